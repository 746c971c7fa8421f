"""Counts of parts add up to the counts of the whole, and survive a file."""

from datetime import date

import orjson
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.runs.kept.tally import Tally

TODAY = date(2026, 11, 23)
STATES = st.sampled_from([True, False, None])
ROWS = st.lists(
    st.tuples(
        STATES, STATES, STATES, st.sampled_from(Outcome), st.sampled_from([None, *Reason]),
        st.integers(20_000, 21_000),
    ),
    max_size=20,
)  # fmt: skip


def frame(rows: list[tuple[object, ...]], *, is_dated: bool) -> pd.DataFrame:
    desired, before, after, outcome, reason, received = (
        zip(*rows, strict=True) if rows else [()] * 6
    )
    made: dict[str, object] = {
        columns.DESIRED: pd.array(desired, "boolean"),
        columns.BEFORE: pd.array(before, "boolean"),
        columns.AFTER: pd.array(after, "boolean"),
        columns.OUTCOME: pd.Categorical([str(each) for each in outcome], list(map(str, Outcome))),
        columns.REASON: pd.Categorical(
            [None if each is None else str(each) for each in reason], list(map(str, Reason))
        ),
    }
    if is_dated:
        made[columns.RECEIVED] = pd.array(received, "Int64").astype("int64")
    return pd.DataFrame(made)


def are_equal(one: Tally, other: Tally) -> bool:
    return orjson.dumps(one.dumps()) == orjson.dumps(other.dumps())


@given(ROWS, st.integers(0, 20), st.booleans())
def test_the_counts_of_two_parts_add_up_to_those_of_the_whole(
    rows: list[tuple[object, ...]], at: int, is_dated: bool
) -> None:
    whole = frame(rows, is_dated=is_dated)
    parts = [Tally.count(part, TODAY) for part in (whole[:at], whole[at:])]
    counted, total = Tally.count(whole, TODAY), parts[0] + parts[1]
    assert total.matrix() == counted.matrix()
    assert total.most_frequent() == counted.most_frequent()
    assert total.late == counted.late
    assert +total.days_left == +counted.days_left
    assert (total.rows, total.forbid, total.allow) == (counted.rows, counted.forbid, counted.allow)
    assert are_equal(Tally.loads(orjson.loads(orjson.dumps(counted.dumps()))), counted)


def test_rows_are_counted_by_the_state_before_and_after() -> None:
    states = [(True, True), (True, False), (False, True), (False, True), (None, True), (True, None)]
    rows: list[tuple[object, ...]] = [
        (True, before, after, Outcome.UPDATED, None, 20_000) for before, after in states
    ]
    tally = Tally.count(frame(rows, is_dated=False), TODAY)
    assert tally.matrix() == ((1, 1, 1), (2, 0, 0), (1, 0, 0))
