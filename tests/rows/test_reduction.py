"""Large inputs divided into work and rest, compared with the same inputs whole."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pytest
from examples import examples
from hypothesis import example, given
from hypothesis import strategies as st
from raw_inputs import MEMORY, RULES, SIZES, raw_rows

from bulk_sync.errors import InputProblem
from bulk_sync.rows import check, columns, comparison, parquet_rows, reduction
from bulk_sync.rows.check import Rules
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.on_disk import FOUND, Cursor, Store
from bulk_sync.rows.protected_keys import ProtectedKeys
from bulk_sync.rows.results import Steps
from bulk_sync.rows.slices import Slices

Listed = dict[str, list[tuple[bool, int]]]
"""The states and times of last change on the pages of the list, by PKey."""

LISTED = st.dictionaries(
    st.sampled_from(["@a", "@b", "@c", "@A", "7", "@z"]),
    st.lists(st.tuples(st.booleans(), st.sampled_from([0, 1, 1793500000000])), max_size=2),
)


def slices_of(rows: pd.DataFrame, size: int) -> Slices:
    parts = [
        rows.iloc[start : start + size].reset_index(drop=True)
        for start in range(0, len(rows), size)
    ]
    return Slices(len(rows), lambda: iter(parts))


def steps_of(rows: pd.DataFrame, listed: Listed) -> Steps:
    """Return the states of the open rows, by the pages of the list."""
    positions = comparison.open_rows(rows)
    steps = Steps.blank(len(positions), stamped=columns.LATEST in rows)
    for at, key in enumerate(Texts(rows[columns.KEY], positions)):
        shown = listed.get(key, [])
        if len({state for state, _ in shown}) == 1:
            steps.done(at, 1, 1000 + len(shown), state=shown[-1][0])
            if steps.changed_ms is not None:
                steps.changed_ms[at] = shown[-1][1]
    return steps


def store_of(folder: Path, rows: pd.DataFrame, listed: Listed) -> Store:
    """Return a store with the list and the rows, odd positions in another part."""
    store = Store(folder, MEMORY)
    placed = rows.assign(**{columns.POSITION: np.arange(len(rows))})
    for number in range(2):
        store.keep("input", number, parquet_rows.table(placed.iloc[number::2]))
    profiles = [
        {"key": key, "state": state, "changed_ms": changed_ms, "at_ms": 1000 + number}
        for key, shown in listed.items()
        for number, (state, changed_ms) in enumerate(shown, 1)
    ]
    schema = pa.schema(
        {
            "key": pa.large_string(),
            "state": pa.bool_(),
            "changed_ms": pa.int64(),
            "at_ms": pa.int64(),
        }
    )
    with store:
        store.keep("listed", 0, pa.Table.from_pylist(profiles, schema))
    return store


REPEATED = pd.DataFrame(
    {"PKey": [f"@{each}" for each in "abcdefghab"], "ccpaOptOut": "true"}, dtype="str"
).assign(**{columns.ROW: range(2, 12)})
"""Ten rows of which the last two repeat keys: with slices of seven, in the second slice."""


@pytest.mark.parametrize("size", SIZES)
@examples(5)
@example(
    raw=REPEATED,
    rules=Rules(),
    listed={f"@{each}": [(True, 1)] for each in "abcdefgh"},
    protected="",
)
@given(raw=raw_rows(), rules=RULES, listed=LISTED, protected=st.sampled_from(["", "@a", "@b"]))
def test_work_and_rest_have_the_results_of_the_whole(
    raw: pd.DataFrame, rules: Rules, listed: Listed, protected: str, size: int
) -> None:
    try:
        rows = check.rows(raw, rules)
    except InputProblem:
        return
    keys = ProtectedKeys({protected: "row 2 of list.csv"} if protected else {})
    whole = keys.rejected(comparison.compare(rows, steps_of(rows, listed)))
    slices = slices_of(rows, size)
    with TemporaryDirectory() as folder:
        found = list(store_of(Path(folder), rows, listed).found(Path(folder)))

        def find_states() -> Cursor:
            return Cursor(iter([batch.cast(FOUND) for batch in found]), FOUND)

        times: list[npt.NDArray[np.int64]] = []
        protected_rows = keys.counting(slices)
        is_rest = reduction.divide(slices, find_states(), protected_rows, times.append)
        rest, left = zip(*reduction.split(slices, is_rest), strict=True)
        work = reduction.work(left, find_states(), is_rest)
    results = keys.rejected(comparison.compare(work.rows, work.states))
    left_alone = reduction.rest_of(slices, times, work.positions)
    joined = pd.concat(
        list(reduction.all_rows(left_alone, results, work.positions)), ignore_index=True
    )
    assert not results[columns.OUTCOME].isna().any()
    pd.testing.assert_frame_equal(joined[list(whole)], whole)
    outcomes = {str(each) for part in rest for each in part[columns.OUTCOME]}
    assert outcomes <= {"unchanged", "duplicate"}
