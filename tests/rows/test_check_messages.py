"""What the verdicts on rows say: what is wrong in which column, and what to write."""

from typing import Any

import pytest
from checked_rows import raw

from bulk_sync.rows import check, columns
from bulk_sync.rows.check import BlankState, OnConflict, Rules, StateWords
from bulk_sync.rows.parse.cell_text import UNCALCULATED

CONSENT = StateWords.parse("consent", None, None)


def details(rows: list[tuple[str, str]], **rules: Any) -> list[str]:
    rules = {"state_column": "ccpaOptOut", **rules}
    return list(check.rows(raw(rows), Rules(**rules))[columns.DETAIL])


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("yess", "If it forbids the sale, write yes."),
        ("Y es", "If it forbids the sale, write yes."),
        ("Yes?", "If it forbids the sale, write yes."),
        ("(no)", "If it allows the sale, write no."),
        ("flase", "If it allows the sale, write false."),
        ("ouii", "If it forbids the sale, write oui."),
        ("opted-out", "If it forbids the sale, write yes."),
        ("Do not sell", "If it forbids the sale, write yes."),
        ("maybe", "Write yes (forbids the sale) or no (allows it)."),
        ("7 yes", "Write yes (forbids the sale) or no (allows it)."),
        ("opted in", "Write yes (forbids the sale) or no (allows it)."),
        ("1.0", "Write yes (forbids the sale) or no (allows it)."),
        ("x" * 80, "Write yes (forbids the sale) or no (allows it)."),
    ],
)
def test_a_cell_without_a_state_says_what_to_write(cell: str, advice: str) -> None:
    (sentence,) = details([("@a", cell)])
    assert sentence.startswith(f"Column 'ccpaOptOut' has '{cell[:60]}")
    assert sentence.endswith(f"which is neither yes nor no. {advice}")


@pytest.mark.parametrize(
    ("cell", "advice"),
    [
        ("yess", "If it allows the sale, write yes."),
        ("opted-out", "If it forbids the sale, write no."),
        ("maybe", "Write yes (allows the sale) or no (forbids it)."),
        ("", "Write yes (allows the sale) or no (forbids it)."),
    ],
)
def test_advice_follows_what_yes_means(cell: str, advice: str) -> None:
    (sentence,) = details([("@a", cell)], words=CONSENT)
    assert sentence.endswith(advice)


def test_an_own_word_is_advised_too() -> None:
    words = StateWords.parse("consent", "opted out", None)
    (sentence,) = details([("@a", "opted-out")], words=words)
    assert sentence.endswith("If it forbids the sale, write opted out.")


@pytest.mark.parametrize("cell", ["?", "-", "~"])
def test_a_mere_sign_is_not_taken_for_an_own_sign(cell: str) -> None:
    words = StateWords.parse(None, "✓", "✗")
    (sentence,) = details([("@a", cell)], words=words)
    assert sentence.endswith("Write yes (forbids the sale) or no (allows it).")


def test_no_verdict_on_a_row_names_an_option_that_the_user_did_not_give() -> None:
    cells = ["", "perhaps", UNCALCULATED, "yess"]
    keys = ["", "@a\u200b", UNCALCULATED, "#NAME?", "12/05/2026", "1.23457E+15", "#####"]
    rows = [(f"@{at}", cell) for at, cell in enumerate(cells)]
    assert not [each for each in details([*rows, *((key, "yes") for key in keys)]) if "--" in each]
    (skipped,) = details([("@a", "")], blank_state=BlankState.SKIP)
    assert skipped == (
        "Column 'ccpaOptOut' is empty in this row, so the row is left out (--blank-state skip)."
    )


def test_a_conflict_says_which_row_wants_what() -> None:
    first, second = details([("@a", "no"), ("@a", "yes")], on_conflict=OnConflict.REJECT)
    assert first.startswith("This row allows the sale, and row 3 forbids it for the same key.")
    assert second.startswith("This row forbids the sale, and row 2 allows it for the same key.")
