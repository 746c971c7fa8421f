"""The comparison, the counts and the limits."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pandas as pd
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, comparison, plan_limits
from bulk_sync.rows.check import Rules
from bulk_sync.rows.results import Steps
from bulk_sync.rows.totals import Totals
from bulk_sync.settings import Bound, Limits


def checked(states: list[str], keys: list[str] | None = None) -> pd.DataFrame:
    keys = keys or [f"@{at}" for at in range(len(states))]
    frame = pd.DataFrame({"PKey": keys, "ccpaOptOut": states}, dtype="str")
    return check.rows(frame.assign(**{columns.ROW: range(2, len(frame) + 2)}), Rules())


def read(current: Sequence[bool | None]) -> Steps:
    steps = Steps.blank(len(current))
    for at, state in enumerate(current):
        if state is not None:
            steps.done(at, 1, 1_700_000_000_000 + at, state=state)
    return steps


def outcomes(frame: pd.DataFrame) -> list[str]:
    return [str(outcome) for outcome in frame[columns.OUTCOME]]


@pytest.mark.parametrize(
    ("desired", "current", "outcome"),
    [
        ("true", True, "unchanged"),
        ("true", False, "would_update"),
        ("false", True, "would_update"),
        ("false", False, "unchanged"),
        ("true", None, "pending"),
    ],
)
def test_a_row_is_decided_by_desired_and_current(
    desired: str, current: bool | None, outcome: str
) -> None:
    planned = comparison.compare(checked([desired]), read([current]))
    assert outcomes(planned) == [outcome]


def test_a_problem_of_reading_is_the_row_s_outcome() -> None:
    steps = read([None, True])
    failed = RowFailed(Reason.NOT_FOUND, "no such profile", outcome=Outcome.NOT_FOUND)
    steps.failed(0, 1_700_000_000_000, failed)
    planned = comparison.compare(checked(["true", "true"]), steps)
    assert outcomes(planned) == ["not_found", "unchanged"]
    assert planned[columns.DETAIL].tolist() == ["no such profile", ""]
    assert planned[columns.ATTEMPTS].tolist() == [1, 1]


def test_a_write_is_updated_only_when_it_was_confirmed() -> None:
    planned = comparison.compare(checked(["true"] * 4), read([False] * 4))
    writing = Steps.blank(4)
    writing.done(0, 2, 1_700_000_009_000, state=True)
    writing.failed(1, 1_700_000_009_000, RowFailed(Reason.TIMEOUT, "no answer"))
    writing.failed(2, 1_700_000_009_000, RowFailed(Reason.HTTP_403, "refused", holds=False))
    results = comparison.settle(planned, writing)
    assert outcomes(results) == ["updated", "failed", "failed", "pending"]
    assert results[columns.BEFORE].tolist() == [False] * 4
    after = [None if state is pd.NA else state for state in results[columns.AFTER]]
    assert after == [True, None, False, False]
    assert results[columns.ATTEMPTS].tolist() == [2, 1, 1, 1]


def test_a_repeat_shows_the_states_of_the_row_that_counts() -> None:
    planned = comparison.compare(checked(["true", "true"], ["@a", "@a"]), read([False]))
    writing = Steps.blank(1)
    writing.done(0, 1, 1_700_000_009_000, state=True)
    results = comparison.settle(planned, writing)
    assert outcomes(results) == ["updated", "duplicate"]
    assert results[columns.AFTER].tolist() == [True, True]


def test_after_a_refusal_every_change_is_pending_with_the_reason() -> None:
    planned = comparison.compare(checked(["true", "false"]), read([False, False]))
    held = comparison.hold_back(planned, Reason.LIMIT)
    assert outcomes(held) == ["pending", "unchanged"]
    assert held[columns.REASON].astype(object).fillna("").tolist() == ["limit", ""]
    assert held[columns.DETAIL].tolist() == ["Not done: a safety limit, or a person, said no.", ""]


def test_opt_ins_that_a_limit_holds_back_keep_their_reason_when_the_run_stops() -> None:
    planned = comparison.compare(checked(["true", "false"]), read([False, True]))
    planned.loc[1, [columns.OUTCOME, columns.REASON, columns.DETAIL]] = "pending", "limit", "Held."
    held = comparison.hold_back(planned, Reason.STOPPED)
    assert outcomes(held) == ["pending", "pending"]
    assert held[columns.REASON].tolist() == ["stopped", "limit"]
    assert held[columns.DETAIL].tolist() == ["Not done: the run stopped before this row.", "Held."]


def opt_ins(count: int, rows: int) -> pd.DataFrame:
    current = [True] * count + [False] * (rows - count)
    return comparison.compare(checked(["false"] * rows), read(current))


@pytest.mark.parametrize(
    ("count", "rows", "passes"),
    [(10, 20, True), (11, 20, False), (20, 2000, True), (21, 2000, False)],
    ids=["ten always", "eleven of few", "one percent of many", "more than one percent"],
)
def test_opt_ins_are_limited_by_default(count: int, rows: int, passes: bool) -> None:
    planned = opt_ins(count, rows)
    assert Totals.count(planned).opt_ins == count
    refusal = plan_limits.refusal(planned, Limits())
    assert (refusal is None) is passes


def test_a_refusal_names_count_share_limit_rows_and_option() -> None:
    refusal = plan_limits.refusal(opt_ins(6, 8), Limits(max_opt_ins=Bound(count=2)))
    assert str(refusal) == (
        "Nothing was written: 6 opt-ins (true to false) of 8 rows (75%) are more than the limit of "
        "2 (rows 2, 3, 4, 5, 6, ...). If that is right, let them pass with --max-opt-ins 6."
    )


def test_changes_are_limited_when_asked() -> None:
    planned = comparison.compare(checked(["true"] * 4), read([False] * 4))
    assert plan_limits.refusal(planned, Limits()) is None
    assert plan_limits.refusal(planned, Limits(max_changes=Bound(count=4))) is None
    refusal = plan_limits.refusal(planned, Limits(max_changes=Bound(percent=Fraction(50))))
    assert "--max-changes 4" in str(refusal)


CELLS = st.sampled_from(["true", "false", "maybe", ""])


@given(
    rows=st.lists(st.tuples(st.sampled_from(["@a", "@b", "@c", "@d"]), CELLS), max_size=15),
    data=st.data(),
)
@examples(40)
def test_every_row_has_one_outcome_and_the_counts_add_up(
    rows: list[tuple[str, str]], data: Any
) -> None:
    frame = checked([state for _, state in rows], [key for key, _ in rows])
    current = data.draw(
        st.lists(
            st.sampled_from([True, False, None]),
            min_size=len(comparison.open_rows(frame)),
            max_size=len(comparison.open_rows(frame)),
        )
    )
    planned = comparison.compare(frame, read(current))
    writing = Steps.blank(len(comparison.writes(planned)))
    for at in range(len(writing.state)):
        if data.draw(st.booleans()):
            row = comparison.writes(planned)[at]
            writing.done(at, 1, 1, state=bool(planned[columns.DESIRED].iat[row]))
    results = comparison.settle(planned, writing)
    totals = Totals.count(results)
    assert sum(totals.outcomes.values()) == totals.rows == len(rows)
    assert "would_update" not in totals.outcomes
    assert totals.outcomes.get("updated", 0) == totals.writes == int((writing.state >= 0).sum())
    updated = results[results[columns.OUTCOME] == "updated"]
    assert (updated[columns.AFTER] == updated[columns.DESIRED]).all()
