"""The comparison, the counts and the limits."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pandas as pd
import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, comparison, plan_limits
from bulk_sync.rows.check import Rules
from bulk_sync.rows.request_order import UNDATED, Own, Precision, RequestDate
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
    assert held[columns.BEFORE].tolist() == [False, False]


def test_rows_that_wait_keep_their_sentence_when_the_run_stops_and_a_limit_its_reason() -> None:
    planned = comparison.compare(checked(["true", "false", "true"]), read([False, True, False]))
    told = [columns.OUTCOME, columns.REASON, columns.DETAIL]
    planned.loc[1, told] = "pending", "limit", "Held."
    planned.loc[2, told] = "pending", "stopped", "In doubt."
    held = comparison.hold_back(planned, Reason.STOPPED)
    assert outcomes(held) == ["pending"] * 3
    assert held[columns.REASON].tolist() == ["stopped", "limit", "stopped"]
    not_done = "Not done: the run stopped before this row."
    assert held[columns.DETAIL].tolist() == [not_done, "Held.", "In doubt."]


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


DAY_MS = 86_400_000
FIRST_MS = 1_700_000_000_000


def of_day(day: float | None) -> int:
    """Return the time so many days after the first request."""
    return UNDATED if day is None else round(FIRST_MS + day * DAY_MS)


def dated(*rows: tuple[str, float | None]) -> pd.DataFrame:
    """Check rows of (desired state, day of the request)."""
    frame, at_ms = checked([state for state, _ in rows]), [of_day(day) for _, day in rows]
    frame[columns.REQUESTED] = frame[columns.LATEST] = at_ms
    frame[columns.PRECISION] = np.zeros(len(rows), np.int8)
    return frame


def test_the_oldest_request_is_worked_on_first_and_an_undated_one_last() -> None:
    frame = dated(("true", None), ("false", 2), ("true", 1), ("true", 2), ("true", 0))
    assert comparison.open_rows(frame).tolist() == [4, 2, 1, 3, 0]
    planned = comparison.compare(frame, read([True, False, True, False, False]))
    assert outcomes(planned) == [
        "would_update",
        "would_update",
        "would_update",
        "would_update",
        "unchanged",
    ]
    assert comparison.writes(planned).tolist() == [2, 1, 3, 0]
    assert comparison.opt_outs(planned).tolist() == [2, 3, 0]
    assert comparison.opt_ins(planned).tolist() == [1]
    assert comparison.changes(planned).tolist() == [0, 1, 2, 3]


def test_of_a_narrowed_plan_all_other_writes_wait() -> None:
    planned = comparison.compare(checked(["true"] * 4), read([False, True, False, False]))
    left = comparison.narrowed(planned, np.array([2]))
    assert outcomes(left) == ["pending", "unchanged", "would_update", "pending"]
    assert outcomes(planned) == ["would_update", "unchanged", "would_update", "would_update"]


@pytest.mark.parametrize(
    ("desired", "day", "changed", "outcome"),
    [
        ("true", 5, 6, "drifted"),
        ("true", 5, 4, "would_update"),
        ("true", 5, None, "would_update"),
        ("false", 5, 6, "drifted"),
        ("false", 5, 4, "would_update"),
        ("true", None, 6, "would_update"),
        ("false", None, 6, "would_update"),
    ],
    ids=[
        "a newer opt-in", "an older opt-in", "no stamp", "a newer opt-out", "an older opt-out",
        "an undated opt-out", "an undated opt-in",
    ],
)  # fmt: skip
def test_a_newer_choice_is_left_alone(
    desired: str, day: float | None, changed: float | None, outcome: str
) -> None:
    stamp_ms = 0 if changed is None else of_day(changed)
    states = read([desired == "false", desired == "true"])
    stamps = np.array([stamp_ms, of_day(9)])
    planned = comparison.compare(
        dated((desired, day), (desired, day)), replace(states, changed_ms=stamps)
    )
    assert outcomes(planned) == [outcome, "unchanged"]
    assert (planned[columns.REASON][0] == Reason.NEWER_CHOICE) is (outcome == "drifted")
    unstamped = comparison.compare(dated((desired, day), (desired, day)), states)
    assert outcomes(unstamped) == ["would_update", "unchanged"]
    undated = comparison.compare(checked([desired] * 2), replace(states, changed_ms=stamps))
    assert outcomes(undated) == ["would_update", "unchanged"]


def written(day: float | None, *, state: bool) -> Own:
    """Return a write on the sixth day, for a request of a day."""
    request = None if day is None else RequestDate(of_day(day), Precision.INSTANT)
    return Own(state, of_day(6), of_day(6), request, of_day(6), "R")


@pytest.mark.parametrize(
    ("desired", "day", "carried_out", "outcome"),
    [
        ("true", 5, 8, "drifted"),
        ("true", 5, 3, "would_update"),
        ("false", 5, 8, "drifted"),
        ("false", 5, 3, "would_update"),
        ("false", None, 3, "drifted"),
        ("false", None, None, "would_update"),
        ("true", None, 8, "would_update"),
    ],
    ids=[
        "of a later opt-in", "of an earlier opt-in", "of a later opt-out", "of an earlier opt-out",
        "of any opt-out", "of an undated opt-out", "an undated opt-out",
    ],
)  # fmt: skip
def test_of_this_tool_s_own_write_the_date_of_its_request_counts(
    desired: str, day: float | None, carried_out: float | None, outcome: str
) -> None:
    wanted = desired == "true"
    requested: list[tuple[list[str], int]] = []

    def last_writes(keys: Sequence[str], since_ms: int) -> dict[tuple[str, bool], Own]:
        requested.append((list(keys), since_ms))
        other = {("@1", wanted): written(99, state=wanted)}
        return {("@1", not wanted): written(carried_out, state=not wanted), **other}

    states = replace(read([wanted, not wanted]), changed_ms=np.array([0, of_day(6)]))
    frame = dated((desired, 7 if day is None else day), (desired, day))
    planned = comparison.compare(frame, states, last_writes)
    assert outcomes(planned) == ["unchanged", outcome]
    if day is None and wanted:
        assert requested == []
    else:
        assert requested == [(["@1"], 0 if day is None else of_day(day))]
    if outcome == "drifted":
        assert planned[columns.DETAIL][1].startswith("Run R has carried out a request of ")


def test_writes_are_looked_up_since_the_first_of_the_requests() -> None:
    requested: list[tuple[list[str], int]] = []

    def last_writes(keys: Sequence[str], since_ms: int) -> dict[tuple[str, bool], Own]:
        requested.append((list(keys), since_ms))
        return {}

    states = replace(read([False] * 3), changed_ms=np.zeros(3, np.int64))
    comparison.compare(dated(("true", 5), ("true", 3), ("true", 4)), states, last_writes)
    assert requested == [(["@1", "@2", "@0"], of_day(3))]


def test_checked_rows_are_results_without_a_state() -> None:
    results = comparison.without_states(checked(["true", "maybe"]))
    assert outcomes(results) == ["usable", "rejected"]
    assert results[[columns.BEFORE, columns.AFTER, columns.AT]].isna().all(axis=None)
    assert results[columns.ATTEMPTS].tolist() == [0, 0]
    assert outcomes(comparison.without_states(checked(["true"]), Outcome.PENDING)) == ["pending"]


def test_results_are_reopened_each_row_by_itself() -> None:
    planned = comparison.compare(checked(["true", "true"], ["@a", "@a"]), read([False]))
    rows = comparison.reopened(planned)
    assert comparison.open_rows(rows).tolist() == [0, 1]
    assert rows[columns.COUNTS_AS].tolist() == [0, 1]
    assert rows[columns.DETAIL].tolist() == ["", ""]
    assert rows[columns.REASON].isna().all()
    assert columns.BEFORE not in rows


def test_the_states_after_a_plan_are_foreseen_for_repeats_too() -> None:
    planned = comparison.compare(
        checked(["true", "false", "true"], ["@a", "@b", "@a"]), read([False, False])
    )
    assert comparison.foreseen(planned).tolist() == [True, False, True]
    assert planned[columns.AFTER].tolist() == [False, False, False]
    unchanged = comparison.compare(checked(["true"]), read([True]))
    assert comparison.foreseen(unchanged).tolist() == [True]


def test_a_step_replaces_attempts_and_times_where_something_was_sent() -> None:
    planned = comparison.compare(checked(["true"] * 3), read([False, False, True]))
    writing = Steps.blank(2)
    writing.done(1, 3, 1_700_000_009_000, state=True)
    results = comparison.settle(planned, writing)
    assert results[columns.ATTEMPTS].tolist() == [1, 3, 1]
    at_ms = columns.times_ms(results[columns.AT]).tolist()
    assert at_ms == [1_700_000_000_000, 1_700_000_009_000, 1_700_000_000_002]
