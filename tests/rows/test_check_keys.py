"""Verdicts on cells of keys."""

import re

import pytest
from checked_rows import raw

from bulk_sync.errors import UsageProblem
from bulk_sync.rows import check, columns
from bulk_sync.rows.check import Rules
from bulk_sync.rows.check.verdicts import NO_VALUE
from bulk_sync.rows.parse.cell_text import UNCALCULATED
from bulk_sync.settings import KeyKind, Keys


@pytest.mark.parametrize(
    "key", ["007", "NA", "null", "nan", "1e5", "TRUE", "None", "May", "a b", "ä/ö?#%+", "..", "-1"]
)
def test_a_key_is_unchanged_text(key: str) -> None:
    checked = check.rows(raw([(key, "true")]), Rules())
    assert checked[columns.KEY].tolist() == [key]
    assert checked[columns.OUTCOME].isna().all()


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ("  @a ", "@a"),
        ("\u00a0@a\u00a0", "@a"),
        ("\u2003@a\t", "@a"),
        ("'@a", "@a"),
        ("''a", "'a"),
        ('="@a"', "@a"),
        (' ="@a" ', "@a"),
        ('="a""b"', 'a"b'),
        ('="007"', "007"),
        ('="', '="'),
        ('"@a"', '"@a"'),
    ],
)
def test_additions_of_spreadsheets_to_a_key_are_removed(cell: str, key: str) -> None:
    assert check.rows(raw([(cell, "true")]), Rules())[columns.KEY].tolist() == [key]


@pytest.mark.parametrize(
    ("key", "reason", "says"),
    [
        ("", "empty_key", "Column 'PKey' is empty in this row. Write the key there, or delete"),
        (" \u00a0", "empty_key", "empty"),
        ("'", "empty_key", "empty"),
        ('=""', "empty_key", "empty"),
        ("1.23457E+15", "bad_key", "long number"),
        ("1,23457E+15", "bad_key", "long number"),
        ("#NAME?", "bad_key", "error value"),
        ("#N/A", "bad_key", "error value"),
        ("#WERT!", "bad_key", "error value"),
        ("#¿NOMBRE?", "bad_key", "error value"),
        ("########", "bad_key", "too narrow"),
        (UNCALCULATED, "bad_key", f"The key is {NO_VALUE}."),
        ("12/05/2026", "bad_key", "date"),
        ("2026-05-12 00:00:00", "bad_key", "date"),
        ("12.05.2026", "bad_key", "date"),
        ("5-Dec", "bad_key", "date"),
        ("Dec-26", "bad_key", "date"),
        ("@a\nb", "bad_key", "holds a line break, U+000A LINE FEED, as"),
        ("@a\u2028b", "bad_key", "holds a line break, U+2028 LINE SEPARATOR, as"),
        ("@a\x07", "bad_key", "holds an invisible control character, U+0007, as"),
        ("@a\x9f", "bad_key", "holds an invisible control character, U+009F, as"),
    ],
)
def test_a_damaged_key_is_rejected_with_what_happened(key: str, reason: str, says: str) -> None:
    checked = check.rows(raw([(key, "true")]), Rules())
    assert checked[columns.REASON].tolist() == [reason]
    assert says in str(checked[columns.DETAIL].iat[0])


@pytest.mark.parametrize(
    ("char", "name"),
    [
        ("\u200b", "U+200B ZERO WIDTH SPACE"),
        ("\u200c", "U+200C ZERO WIDTH NON-JOINER"),
        ("\u200d", "U+200D ZERO WIDTH JOINER"),
        ("\u200e", "U+200E LEFT-TO-RIGHT MARK"),
        ("\u202c", "U+202C POP DIRECTIONAL FORMATTING"),
        ("\u2069", "U+2069 POP DIRECTIONAL ISOLATE"),
        ("\u061c", "U+061C ARABIC LETTER MARK"),
        ("\u2060", "U+2060 WORD JOINER"),
        ("\ufeff", "U+FEFF ZERO WIDTH NO-BREAK SPACE"),
        ("\u00ad", "U+00AD SOFT HYPHEN"),
        ("\u034f", "U+034F COMBINING GRAPHEME JOINER"),
        ("\u180e", "U+180E MONGOLIAN VOWEL SEPARATOR"),
        ("\u3164", "U+3164 HANGUL FILLER"),
        ("\ufe0f", "U+FE0F VARIATION SELECTOR-16"),
        ("\U000e0041", "U+E0041 TAG LATIN CAPITAL LETTER A"),
        ("\ufff9", "U+FFF9 INTERLINEAR ANNOTATION ANCHOR"),
        ("\ufffd", "U+FFFD REPLACEMENT CHARACTER"),
        ("\0", "U+0000 NULL"),
    ],
)
@pytest.mark.parametrize("kind", KeyKind)
def test_an_invisible_character_is_named_with_its_place(
    char: str, name: str, kind: KeyKind
) -> None:
    keys = [f"{char}ä@x.org", f"ä@{char}x.org", f"ä@x.org{char}"]
    frame = raw([(key, "true") for key in keys])
    checked = check.rows(frame, Rules(keys=Keys(kind), key_column="PKey", tells_kind=False))
    assert checked[columns.REASON].tolist() == ["bad_key"] * 3
    for place, detail in zip((1, 3, 8), checked[columns.DETAIL], strict=True):
        assert f"{name}, as character {place} of 8." in detail
        assert detail.count(". ") == 1  # no second sentence about the address


@pytest.mark.parametrize(
    "cell",
    [
        "jo@x.org",
        "'jo@x.org'",
        "<jo@x.org>",
        "'<jo@x.org>'",
        "<'jo@x.org'>",
        "' jo@x.org '",
        "'jo@x.org",
        "''jo@x.org'",
        '="jo@x.org"',
        "=\"'jo@x.org'\"",
        '="<jo@x.org>"',
    ],
)
def test_additions_of_outlook_to_an_address_are_removed(cell: str) -> None:
    rules = Rules(keys=Keys(KeyKind.EMAIL), key_column="PKey", tells_kind=False)
    checked = check.rows(raw([(cell, "true"), ("a@x.org", "true")]), rules)
    assert checked[columns.KEY].tolist() == ["jo@x.org", "a@x.org"]
    assert checked[columns.OUTCOME].isna().all()
    assert check.key(cell) == "jo@x.org"


@pytest.mark.parametrize("cell", ["<@a>", "@a'", "<a>", "(a@b.c)"])
def test_other_keys_keep_the_characters_around_them(cell: str) -> None:
    checked = check.rows(raw([(cell, "true")]), Rules())
    assert checked[columns.KEY].tolist() == [cell]
    assert checked[columns.OUTCOME].isna().all()


def test_a_wrong_address_is_rejected_with_its_fault() -> None:
    rules = Rules(keys=Keys(KeyKind.EMAIL), key_column="PKey", tells_kind=False)
    checked = check.rows(raw([("a@b..c", "perhaps"), ("", "yes")]), rules)
    wrong, empty = map(str, checked[columns.DETAIL])
    assert wrong.startswith("'a@b..c' is no e-mail address: the domain holds two dots in a row.")
    assert "Write the e-mail address there" in empty


@pytest.mark.parametrize(("text", "says"), [(" ' ", "empty"), ("jo@x\u200b.org", "U+200B ZERO")])
def test_a_single_unusable_key_is_wrong_usage(text: str, says: str) -> None:
    with pytest.raises(UsageProblem, match=re.escape(says)):
        check.key(text)
