"""The words for states: built-in ones, and the user's own."""

import unicodedata
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import UsageProblem
from bulk_sync.rows.check import StateWords, state_words

TRUE_AND_FALSE = {
    "English": ("true", "false"),
    "French": ("vrai", "faux"),
    "German": ("wahr", "falsch"),
    "Spanish": ("verdadero", "falso"),
    "Italian": ("vero", "falso"),
    "Portuguese": ("verdadeiro", "falso"),
    "Dutch": ("waar", "onwaar"),
    "Swedish": ("sant", "falskt"),
    "Danish": ("sand", "falsk"),
    "Norwegian": ("sann", "usann"),
    "Finnish": ("tosi", "epätosi"),
    "Polish": ("prawda", "fałsz"),
    "Czech": ("pravda", "nepravda"),
    "Hungarian": ("igaz", "hamis"),
    "Romanian": ("adevărat", "fals"),
    "Russian": ("истина", "ложь"),
    "Turkish": ("doğru", "yanlış"),
}
WAYS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "capitals": str.upper,
    "title": str.title,
    "decomposed": lambda word: unicodedata.normalize("NFD", word),
    "composed": lambda word: unicodedata.normalize("NFC", word),
    "blanks": lambda word: f"\t{word}\u00a0 ",
}


@pytest.mark.parametrize("language", TRUE_AND_FALSE)
@pytest.mark.parametrize("way", WAYS)
def test_true_and_false_are_read_in_every_language_in_any_case(language: str, way: str) -> None:
    read = [StateWords().state(WAYS[way](word)) for word in TRUE_AND_FALSE[language]]
    assert read == [True, False]


def test_the_english_words_are_those_of_the_manual() -> None:
    true, false = ["true", "t", "yes", "y", "1", "on"], ["false", "f", "no", "n", "0", "off"]
    assert [StateWords().state(word) for word in [*true, *false]] == [True] * 6 + [False] * 6


def test_no_word_is_both_true_and_false() -> None:
    true, false = (
        {state_words.plain_word(word) for words in listed for word in words.split()}
        for listed in zip(*state_words._TRUE_AND_FALSE.values(), strict=True)
    )
    assert not true & false
    assert len(state_words._STATES) == len(true | false)


@given(st.sampled_from(sorted(state_words._STATES)), st.sampled_from(sorted(WAYS)))
def test_no_spelling_changes_the_meaning_of_a_word(word: str, way: str) -> None:
    assert StateWords().state(WAYS[way](word)) in {state_words._STATES[word], None}
    assert StateWords.parse("consent", None, None).state(word) is not state_words._STATES[word]


@pytest.mark.parametrize(
    "cell",
    [
        "", " ", ".", "!", "x", "yes?", "yes*", "no no", "nº", "№", "①", "¹", "⁰", "1.", "0.",
        "1.0", "yes\u200b", "(no)", "not", "none", "N/A", "-", "opted out",
        "Yes.", "no,", "yes !", "true;", "oui", "Ja", "sí", "si", "sim", "tak", "ano", "igen", "да",
        "evet", "non", "Nein", "não", "nee", "nej", "nie", "ne", "nem", "nu", "нет", "hayır",
        "\uff39\uff25\uff33", "\uff11",  # wide letters and digits
    ],
)  # fmt: skip
def test_what_is_no_word_for_a_state_is_not_guessed(cell: str) -> None:
    assert StateWords().state(cell) is None


def test_own_words_are_read_like_the_others() -> None:
    words = StateWords.parse(None, 'opted out,DNS, x , "sold, never"', "may be sold")
    for cell in ("Opted Out", "dns", " X", "Sold, never", "yes"):
        assert words.state(cell) is True
    assert words.state("May be sold") is False
    assert words.state("May be sold!") is None
    assert words.state("sold") is None


def test_own_words_mean_the_same_whatever_yes_means() -> None:
    for means in ("opt-out", "consent"):
        words = StateWords.parse(means, "withdrawn", "granted")
        assert [words.state("withdrawn"), words.state("granted")] == [True, False]


def test_consent_turns_yes_and_no_around() -> None:
    words = StateWords.parse("consent", None, None)
    assert [words.state(cell) for cell in ("yes", "VRAI", "1", "no", "FALSCH", "maybe")] == [
        False, False, False, True, True, None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("means", "forbid", "allow", "sentence"),
    [
        (None, "x", "X", "'X' is both in --true-values"),
        (None, "no", None, "--true-values: 'no' allows the sale already"),
        (None, None, "Wahr", "--false-values: 'Wahr' forbids the sale already"),
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


def test_a_word_that_has_the_meaning_already_does_no_harm() -> None:
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
