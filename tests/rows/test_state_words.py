"""The words for states: built-in ones, and the user's own."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import UsageProblem
from bulk_sync.rows.check import StateWords, state_words

YES_AND_NO = {
    "English": ("yes", "no"),
    "French": ("oui", "non"),
    "German": ("ja", "nein"),
    "Spanish": ("sí", "no"),
    "Italian": ("sì", "no"),
    "Portuguese": ("sim", "não"),
    "Dutch": ("ja", "nee"),
    "Swedish": ("ja", "nej"),
    "Norwegian": ("ja", "nei"),
    "Finnish": ("kyllä", "ei"),
    "Polish": ("tak", "nie"),
    "Czech": ("ano", "ne"),
    "Hungarian": ("igen", "nem"),
    "Romanian": ("da", "nu"),
    "Russian": ("да", "нет"),
    "Turkish": ("evet", "hayır"),
}
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "title": str.title,
    "decomposed": lambda word: unicodedata.normalize("NFD", word),
    "composed": lambda word: unicodedata.normalize("NFC", word),
    "blanks": lambda word: f"\t{word}\u00a0 ",
    "stop": lambda word: f"{word}.",
    "comma": lambda word: f"{word},",
    "exclamation": lambda word: f"{word} !",
}


@pytest.mark.parametrize("language", YES_AND_NO)
@pytest.mark.parametrize("way", WAYS)
def test_yes_and_no_are_read_in_every_language_however_they_are_typed(
    language: str, way: str
) -> None:
    read = [StateWords().state(WAYS[way](word)) for word in YES_AND_NO[language]]
    assert read == [True, False]


def test_no_word_is_both_yes_and_no() -> None:
    yes, no = (
        {state_words.plain_word(word) for words in listed.values() for word in words.split()}
        for listed in (state_words._YES, state_words._NO)
    )
    assert not yes & no
    assert len(state_words._STATES) == len(yes | no)


@given(st.sampled_from(sorted(state_words._STATES)), st.sampled_from(sorted(WAYS)))
def test_no_respelling_changes_the_meaning_of_a_word(word: str, way: str) -> None:
    assert StateWords().state(WAYS[way](word)) in {state_words._STATES[word], None}
    assert StateWords.parse("consent", None, None).state(word) is not state_words._STATES[word]


@pytest.mark.parametrize(
    "cell",
    [
        "", " ", ".", "!", "x", "yes?", "yes*", "no no", "nº", "№", "①", "¹", "⁰", "1.", "0.",
        "1.0", "yes\u200b", "(no)", "not", "none", "N/A", "-", "opted out",
    ],
)  # fmt: skip
def test_an_unknown_word_is_not_guessed(cell: str) -> None:
    assert StateWords().state(cell) is None


@pytest.mark.parametrize("cell", ["YES", "1", "yes!"])
def test_the_wide_letters_of_a_japanese_keyboard_are_read(cell: str) -> None:
    assert StateWords().state("".join(chr(0xFEE0 + ord(char)) for char in cell)) is True


def test_own_words_are_read_like_the_others() -> None:
    words = StateWords.parse(None, 'opted out,DNS, x , "sold, never"', "may be sold")
    for cell in ("Opted Out", "dns.", " X", "Sold, never", "yes"):
        assert words.state(cell) is True
    assert words.state("May be sold!") is False
    assert words.state("sold") is None


def test_own_words_mean_the_same_whatever_yes_means() -> None:
    for means in ("opt-out", "consent"):
        words = StateWords.parse(means, "withdrawn", "granted")
        assert [words.state("withdrawn"), words.state("granted")] == [True, False]


def test_consent_turns_yes_and_no_around() -> None:
    words = StateWords.parse("consent", None, None)
    assert [words.state(cell) for cell in ("yes", "VRAI", "1", "no", "Nein.", "maybe")] == [
        False, False, False, True, True, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("means", "forbid", "allow", "sentence"),
    [
        (None, "x", "X.", "'X.' is both in --true-values"),
        (None, "no", None, "--true-values: 'no' allows the sale already"),
        (None, None, "Ja", "--false-values: 'Ja' forbids the sale already"),
        (None, "no", None, "--state-means consent"),
        ("consent", "yes", None, "with --state-means consent, 'yes' allows the sale"),
        ("opt-out", "no", None, "with --state-means opt-out, 'no' allows the sale"),
        (None, " , ", None, "--true-values is empty"),
        (None, None, "", "--false-values is empty"),
    ],
)
def test_words_that_contradict_are_refused(
    means: str | None, forbid: str | None, allow: str | None, sentence: str
) -> None:
    with pytest.raises(UsageProblem) as refused:
        StateWords.parse(means, forbid, allow)
    assert sentence in str(refused.value)


def test_a_repeated_word_with_the_same_meaning_is_accepted() -> None:
    assert StateWords.parse(None, "yes,x", "no").state("yes") is True
    assert StateWords.parse("consent", "no", "yes").state("no") is True


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (StateWords(), "yes forbids the sale"),
        (StateWords.parse("consent", None, None), "yes allows the sale"),
        (
            StateWords.parse("consent", "withdrawn", "granted"),
            "yes allows the sale, 'withdrawn' forbids it, 'granted' allows it",
        ),
    ],
)
def test_the_meaning_is_one_sentence(words: StateWords, sentence: str) -> None:
    assert str(words) == sentence
