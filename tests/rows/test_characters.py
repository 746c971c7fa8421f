"""Characters that look like others."""

import pytest

from bulk_sync.rows import characters


@pytest.mark.parametrize(
    ("text", "look_alike"),
    [
        ("jo@x.org", None),
        ("jö@x.org", None),
        ("jo\u0308@x.org", None),
        ("\u0438\u0432\u0430\u043d@x.org", None),
        ("7\u0438\u0432\u0430\u043d@x.org", None),
        ("j\u043e@x.org", "\u043e"),
        ("\u043ejo@x.org", "\u043e"),
        ("\u03bf\u043e@x.org", "\u043e"),
        ("\u043e\u03bf@x.org", "\u03bf"),
        ("\uff4ao@x.org", "\uff4a"),
        ("\ufb01n@x.org", "\ufb01"),
    ],
    ids=[
        "ascii", "an accent", "an accent of its own", "one alphabet", "a digit before it",
        "Cyrillic in Latin",
        "Cyrillic before Latin", "Cyrillic in Greek", "Greek in Cyrillic", "a full-width letter",
        "a ligature",
    ],
)  # fmt: skip
def test_a_letter_of_another_alphabet_than_its_word_is_a_look_alike(
    text: str, look_alike: str | None
) -> None:
    assert characters.first_look_alike(text) == look_alike
