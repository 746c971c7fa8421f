"""The suggested options for cells in many rows."""

import pandas as pd
import pytest
from checked_rows import raw

from bulk_sync.rows import check, hints
from bulk_sync.rows.check import BlankState, Rules, StateWords
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.slices import Slices


def hints_for(*cells: str, rules: Rules | None = None) -> list[str]:
    rules = rules or Rules()
    frame = raw([(f"@{at}", cell) for at, cell in enumerate(cells)])
    layout = Layout([], check.find_columns(frame.columns, rules), rules)
    return hints.find(Slices.of(check.rows(frame, rules)), layout)


def test_a_word_in_several_rows_has_an_option() -> None:
    (first,) = hints_for("Opted Out", "opted out ", "once", "yes", "no")
    assert first == (
        "2 rows have 'Opted Out' in column 'ccpaOptOut'. If it forbids the sale, add --true-values "
        "'Opted Out'; if it allows the sale, add --false-values 'Opted Out'."
    )


def test_the_option_is_understood_as_it_is_named() -> None:
    first, second, how = hints_for("x", "x", "DNS, sold", "DNS, sold")
    assert "--true-values x;" in first
    assert """--true-values '"DNS, sold"';""" in second
    assert how == "Write several words into one list, with commas between them."
    words = StateWords.parse(None, 'x,"DNS, sold"', None)  # as a shell passes it
    assert hints_for("x", "DNS, sold", rules=Rules(words=words)) == []


def test_a_further_word_is_added_to_the_given_list() -> None:
    assert len(hints_for("x", "x", rules=Rules(words=StateWords.parse(None, "dns", None)))) == 2


def test_words_with_an_obvious_meaning_have_one_line_with_both_options() -> None:
    (line,) = hints_for("Opted Out", "opted out", "Opted in", "Opted in", "yes")
    assert line == (
        "Column 'ccpaOptOut' has words of its own: 'Opted Out' in 2, 'Opted in' in 2 rows. If "
        "'Opted Out' forbids the sale and 'Opted in' allows the sale, add --true-values "
        "'Opted Out' --false-values 'Opted in'."
    )


def test_empty_cells_have_an_option_unless_it_is_given() -> None:
    (blank,) = hints_for("", "", "yes")
    assert blank.startswith("2 rows are empty in column 'ccpaOptOut'.")
    assert blank.endswith("--blank-state skip.")
    assert hints_for("", "", rules=Rules(blank_state=BlankState.SKIP)) == []
    assert hints_for("", "yes", "no") == []


def test_the_words_of_most_rows_come_first_and_sentences_are_no_words() -> None:
    cells = [word for count, word in enumerate("abcd", 2) for _ in range(count)]
    assert [each[:12] for each in hints_for(*cells, *["long " * 9] * 3)][:3] == [
        "5 rows have ", "4 rows have ", "3 rows have ",
    ]  # fmt: skip
    assert hints_for(*["long " * 9] * 3) == []
    assert [len(hints_for(*["x" * length] * 2)) for length in (40, 41)] == [1, 0]


def test_an_obvious_word_beside_another_has_a_line_of_its_own() -> None:
    lines = hints_for("Opted Out", "opted out", "x", "x")
    assert [each[:22] for each in lines[:2]] == ["2 rows have 'Opted Out", "2 rows have 'x' in col"]


def test_a_file_of_keys_has_no_such_option() -> None:
    frame = raw([("", "x"), ("", "x")], ("PKey", "note"))
    rules = Rules(state=True)
    layout = Layout([], check.find_columns(frame.columns, rules), rules)
    assert hints.find(Slices.of(check.rows(frame, rules)), layout) == []


@pytest.mark.parametrize(
    ("name", "cells", "count"),
    [
        ("Opt out requested", ("TRUE", "FALSE", "FALSE"), "2 rows allow"),
        ("Opt-out requested?", ("no", "perhaps"), "1 row allows"),
        ("Opt out requested", ("yes", "no"), ""),
        ("Opt out requested", ("yes", "yes", "yes", "no", "no"), ""),
        ("Opt out", ("no", "no", "no"), ""),
    ],
)
def test_empty_boxes_in_most_rows_get_a_warning_before_they_count_as_opt_ins(
    name: str, cells: tuple[str, ...], count: str
) -> None:
    frame, rules = raw([(f"@{at}", cell) for at, cell in enumerate(cells)], ("PKey", name)), Rules()
    layout = Layout([], check.find_columns(frame.columns, rules), rules)
    found = hints.find(Slices.of(check.rows(frame, rules)), layout)
    assert [each for each in found if "no request" in each] == found[: bool(count)]
    assert not count or found[0].startswith(f"{count} the sale (No in {name!r}). ")


@pytest.mark.parametrize(
    ("name", "cells", "means", "is_asked"),
    [
        ("Subscribed", ("yes", "no"), None, True),
        ("Subscribed", ("yes", "yes"), None, False),
        ("Subscribed", ("yes", "no"), "opt-out", False),
        ("Do not sell", ("yes", "no"), None, False),
    ],
)
def test_a_named_column_whose_name_does_not_show_what_yes_does_gets_a_warning_before_opt_ins(
    name: str, cells: tuple[str, ...], means: str | None, is_asked: bool
) -> None:
    frame = raw([(f"@{at}", cell) for at, cell in enumerate(cells)], ("PKey", name))
    rules = Rules(state_column=name, words=StateWords.parse(means, None, None))
    layout = Layout([], check.find_columns(frame.columns, rules), rules)
    found = hints.find(Slices.of(check.rows(frame, rules)), layout)
    assert [each.partition(". ")[0] for each in found] == [
        "The name of column 'Subscribed' does not show what a yes in it does"
    ] * is_asked
    assert all(each.endswith("add --state-means consent.") for each in found)


def test_words_in_the_list_of_the_other_state_get_a_warning() -> None:
    right = StateWords.parse(None, "opted out,x", "opted in,z")
    assert hints_for("Opted out", "x", "z", rules=Rules(words=right)) == []
    swapped = StateWords.parse(None, "Opted in,z", "Opted out,x")
    assert hints_for("Opted out", "x", "z", rules=Rules(words=swapped)) == [
        f"{word!r} is taken to {does} the sale, though the word itself {opposite} it. Are the two "
        "lists of words swapped?"
        for word, does, opposite in (
            ("opted in", "forbid", "allows"),
            ("opted out", "allow", "forbids"),
        )
    ]


@pytest.mark.parametrize("most", [2, 100_000], ids=["cut to the most frequent", "all kept"])
def test_frequent_words_are_counted_however_many_others_there_are(most: int) -> None:
    words = hints.Words(most)
    for number in range(9):
        cells = ["Opted Out", "opted out", "DNS", *(f"word {number} {at}" for at in range(3))]
        words.add(pd.Series(cells, dtype="str"))
    assert words.most_frequent() == {"Opted Out": 18, "DNS": 9}
