"""The messages about rows: the fault, the column, and the correction."""

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


@pytest.mark.parametrize("cell", ["yess", "ouii", "opted-out", "maybe", "7 yes", "1.0"])
def test_the_message_about_a_cell_without_a_state_has_the_usable_words(cell: str) -> None:
    (sentence,) = details([("@a", cell)])
    assert sentence.startswith(f"Column 'ccpaOptOut' has '{cell}'")
    assert sentence.endswith(
        "which is neither yes nor no. Write yes (forbids the sale) or no (allows it)."
    )


@pytest.mark.parametrize("cell", ["maybe", ""])
def test_advice_follows_what_yes_means(cell: str) -> None:
    (sentence,) = details([("@a", cell)], words=CONSENT)
    assert sentence.endswith("Write yes (allows the sale) or no (forbids it).")


def test_no_verdict_on_a_row_names_an_option_that_the_user_did_not_give() -> None:
    cells = ["", "perhaps", UNCALCULATED, "yess"]
    keys = ["", "@a\u200b", UNCALCULATED, "#NAME?", "12/05/2026", "1.23457E+15", "#####"]
    rows = [(f"@{at}", cell) for at, cell in enumerate(cells)]
    assert not [each for each in details([*rows, *((key, "yes") for key in keys)]) if "--" in each]
    (skipped,) = details([("@a", "")], blank_state=BlankState.SKIP)
    assert skipped == (
        "Column 'ccpaOptOut' is empty in this row, so the row is left out (--blank-state skip)."
    )


def test_a_conflict_names_the_state_in_each_row() -> None:
    first, second = details([("@a", "no"), ("@a", "yes")], on_conflict=OnConflict.REJECT)
    assert first.startswith("This row allows the sale, and row 3 forbids it for the same key.")
    assert second.startswith("This row forbids the sale, and row 2 allows it for the same key.")
