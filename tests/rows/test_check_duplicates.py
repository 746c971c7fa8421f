"""The outcomes of rows with the same key."""

import numpy as np
import pandas as pd
import pytest
from checked_rows import OPEN, raw, verdicts

from bulk_sync.rows import check, columns
from bulk_sync.rows.check import OnConflict, Rules, duplicates


def test_the_second_row_of_a_pair_is_the_duplicate() -> None:
    rows = [("@a", "true"), ("@a", "yes"), (" @a", "1")]
    assert verdicts(rows) == [OPEN, ("duplicate", ""), ("duplicate", "")]
    assert check.rows(raw(rows), Rules())[columns.COUNTS_AS].tolist() == [0, 0, 0]


CONFLICT = [("@a", "true"), ("@a", "false"), ("@a", "true"), ("@b", "false")]


@pytest.mark.parametrize(
    ("on_conflict", "expected"),
    [
        (OnConflict.REJECT, [("rejected", "conflict")] * 3 + [OPEN]),
        (OnConflict.OPT_OUT, [OPEN, ("duplicate", "conflict"), ("duplicate", ""), OPEN]),
        (OnConflict.LAST, [OPEN, ("duplicate", "conflict"), ("duplicate", ""), OPEN]),
    ],
)
def test_two_states_of_one_key_are_settled_by_the_option(
    on_conflict: OnConflict, expected: list[tuple[str, str]]
) -> None:
    assert verdicts(CONFLICT, on_conflict=on_conflict) == expected


def test_the_last_state_wins_even_if_it_is_the_dangerous_one() -> None:
    rows = [("@a", "true"), ("@a", "false")]
    assert verdicts(rows, on_conflict=OnConflict.LAST) == [("duplicate", "conflict"), OPEN]
    assert verdicts(rows, on_conflict=OnConflict.OPT_OUT) == [OPEN, ("duplicate", "conflict")]


def test_a_message_has_the_name_of_a_file_unchanged() -> None:
    rows = raw([("@a", "true"), ("@a", "false")])
    rows[columns.FILE] = pd.Categorical(["Lists/Q4 Ann.csv", "b.csv"])
    checked = check.rows(rows, Rules(on_conflict=OnConflict.OPT_OUT))
    assert checked[columns.DETAIL][1].startswith("Row 2 of Lists/Q4 Ann.csv has this key")


def test_keys_that_differ_in_case_are_two_keys() -> None:
    assert verdicts([("@a", "true"), ("@A", "false")]) == [OPEN, OPEN]


def test_a_conflict_names_the_first_row_with_the_other_state() -> None:
    checked = check.rows(raw([("@a", "true"), *[("@a", "false")] * 2, ("@a", "true")]), Rules())
    assert checked[columns.DETAIL].str.partition(" for the same key")[0].tolist() == [
        "This row forbids the sale, and row 3 allows it",
        *["This row allows the sale, and row 2 forbids it"] * 2,
        "This row forbids the sale, and row 3 allows it",
    ]


def test_different_keys_with_the_same_hash_stay_different(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duplicates, "_hashes", lambda keys: np.zeros(len(keys), np.int64))
    rows = [("@a", "true"), ("@b", "false"), ("@a", "true")]
    assert verdicts(rows) == [OPEN, OPEN, ("duplicate", "")]


@pytest.mark.parametrize(
    ("of_todo", "names"),
    [
        ({}, ["row 2", "row 3"]),
        ({"original_row": ["7", ""]}, ["row 2 (row 7 of the original file)", "row 3"]),
        (
            {"original_file": ["a.csv", ""], "original_row": ["7", ""]},
            ["row 2 (row 7 of a.csv)", "row 3"],
        ),
    ],
    ids=["no todo file", "of a file", "of several"],
)
def test_a_row_of_a_todo_file_is_named_by_its_original_row_too(
    of_todo: dict[str, list[str]], names: list[str]
) -> None:
    rows = pd.DataFrame({**of_todo, columns.ROW: [2, 3]})
    places = duplicates.Places(rows)
    assert [places.name(at) for at in range(2)] == names


def test_a_conflict_may_begin_with_the_first_row_of_either_state() -> None:
    for first, then in (("true", "false"), ("false", "true")):
        assert verdicts([("@a", first), ("@a", then)]) == [("rejected", "conflict")] * 2
