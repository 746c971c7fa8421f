"""Verdicts on cells of states."""

import pytest
from checked_rows import raw, verdicts

from bulk_sync.rows import check, columns
from bulk_sync.rows.check import BlankState, Rules


@pytest.mark.parametrize(
    "state",
    [
        "true",
        "T",
        "Yes",
        "y",
        "1",
        "ON",
        " true\u00a0",
        "VRAI",
        "wahr",
        "Verdadero",
        "VERO",
        "ИСТИНА",
    ],
)
def test_true_has_many_spellings(state: str) -> None:
    assert check.rows(raw([("@a", state)]), Rules())[columns.DESIRED].tolist() == [True]


@pytest.mark.parametrize(
    "state", ["false", "F", "No", "n", "0", "off", "FAUX", "Falsch", "FALSO", "onwaar", "YANLIŞ"]
)
def test_false_has_many_spellings(state: str) -> None:
    assert check.rows(raw([("@a", state)]), Rules())[columns.DESIRED].tolist() == [False]


@pytest.mark.parametrize("state", ["maybe", "2", "1.0", "-", "opt-out", "null", "tru", "'true"])
def test_any_other_state_is_rejected_and_not_guessed(state: str) -> None:
    assert verdicts([("@a", state)]) == [("rejected", "bad_state")]


def test_a_blank_state_is_rejected_or_skipped_by_the_option() -> None:
    rows = [("@a", ""), ("@b", " \u00a0")]
    assert verdicts(rows) == [("rejected", "blank_state")] * 2
    assert verdicts(rows, blank_state=BlankState.SKIP) == [("skipped", "blank_state")] * 2


def test_one_state_serves_a_file_of_keys() -> None:
    frame = raw([("@a", "x"), ("@b", "y")], ("PKey", "note"))
    assert check.rows(frame, Rules(state=False))[columns.DESIRED].tolist() == [False, False]
