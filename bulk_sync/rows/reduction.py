"""Divides the rows of an input larger than memory: those with work to do, and the rest.

slices + states in the list --compare--> the rest: Campaign holds the desired state
                                            '---> all others, as one frame
slices + results of the others --> results of all rows, in the input's order
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.on_disk import Cursor
from bulk_sync.rows.results import Steps
from bulk_sync.rows.slices import Slices

_Int64 = npt.NDArray[np.int64]
_Bool = npt.NDArray[np.bool_]

DECIDED: Final = (
    columns.DESIRED,
    columns.OUTCOME,
    columns.REASON,
    columns.COUNTS_AS,
    columns.BEFORE,
    columns.AFTER,
)
"""The columns that decide about a row; the last two are those of a plan."""


class RowsToDo(NamedTuple):
    """The rows with work to do.

    Attributes:
        rows: as of ``check.rows``; COUNTS_AS holds places in this frame.
        positions: int64, theirs in the input, ascending.
        states: those of the open ones, as far as the list showed them.
    """

    rows: pd.DataFrame
    positions: _Int64
    states: Steps


def divide(
    slices: Slices, cursor: Cursor, protected: _Int64, keep: Callable[[_Int64], object]
) -> _Bool:
    """Find the rows without work, and mere repeats of them: the rest.

    A row with another state, if it counts for nothing, has a reason; the row that counts then needs
    a person's eye too, and is no rest.

    Args:
        slices: as of ``check.rows``, with PKeys, or those of a plan; ``DECIDED`` is enough.
        cursor: what the list showed, as ``Store.found`` yields it; of a plan, nothing.
        protected: positions of rows counting for those of protected people: no rest.
        keep: is given when the rows of each slice were read, in ms since the epoch; else 0.

    Memory: a byte a row, 16 for each repeat, and a slice.
    """
    is_rest = np.zeros(slices.count, np.bool_)
    repeats, roots, shown = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [protected]
    for here, frame in _placed(slices):
        found = _certain(cursor.until(here.stop))
        at = found["position"].to_numpy() - here.start
        if columns.BEFORE in frame:  # as in a plan
            is_rest[here] = columns.have_outcome(frame, [Outcome.UNCHANGED])
        else:
            desired = columns.desired(frame)
            is_rest[here.start + at] = found["state"].to_numpy() == desired[at]
        read_ms = np.zeros(len(frame), np.int64)
        read_ms[at] = found["at_ms"].to_numpy()
        keep(read_ms)
        counts_as = frame[columns.COUNTS_AS].to_numpy()
        is_repeat = counts_as != np.arange(here.start, here.stop)
        repeats.append(here.start + np.flatnonzero(is_repeat))
        roots.append(counts_as[is_repeat])
        has_reason = is_repeat & frame[columns.REASON].notna().to_numpy()
        shown.append(counts_as[has_reason])
    is_rest[np.concatenate(shown)] = False
    is_rest[np.concatenate(repeats)] = is_rest[np.concatenate(roots)]
    return is_rest


def split(slices: Slices, is_rest: _Bool) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield of each slice the results of the rest, for counts alone, and the rows with work."""
    for here, frame in _placed(slices):
        decided = frame[[name for name in DECIDED if name in frame]]
        rest = _unchanged(decided, is_rest[here], np.zeros(len(frame), np.int64))
        yield rest, columns.rows_of(frame, ~is_rest[here])


def work(frames: Sequence[pd.DataFrame], cursor: Cursor, is_rest: _Bool) -> RowsToDo:
    """Return the rows with work to do, as ``split`` yields them, with their states."""
    positions = np.flatnonzero(~is_rest)
    rows = pd.concat(frames, ignore_index=True)
    rows[columns.COUNTS_AS] = np.searchsorted(positions, rows[columns.COUNTS_AS].to_numpy())
    found = [table.filter(pa.array(~is_rest[table["position"].to_numpy()])) for table in cursor]
    return RowsToDo(rows, positions, _steps(rows, positions, found))


def rest_of(
    slices: Slices, read_ms: Iterable[_Int64], positions: _Int64
) -> Iterator[tuple[pd.DataFrame, _Bool]]:
    """Yield of each slice the results of the rest, and which of its rows these are.

    Slices are as ``divide`` takes them, and ``read_ms`` what it kept; ``positions`` are those of
    the rows with work.
    """
    for (here, frame), times in zip(_placed(slices), read_ms, strict=True):
        first, last = np.searchsorted(positions, [here.start, here.stop])
        chosen = np.ones(len(frame), np.bool_)
        chosen[positions[first:last] - here.start] = False
        yield _unchanged(frame, chosen, times), chosen


def all_rows(
    rest: Iterable[tuple[pd.DataFrame, _Bool]], results: pd.DataFrame, positions: _Int64
) -> Iterator[pd.DataFrame]:
    """Yield the results of all rows of an input in their order.

    ``rest`` is that of ``rest_of``. Results are those of the rows with work, a row per row of the
    input, and positions theirs in the input.
    """
    counts_as = positions[results[columns.COUNTS_AS].to_numpy()]
    results = results.assign(**{columns.COUNTS_AS: counts_as})
    first = 0
    for frame, chosen in rest:
        last = first + len(chosen) - len(frame)
        order = np.argsort(np.concatenate([np.flatnonzero(chosen), np.flatnonzero(~chosen)]))
        rows = _joined(frame, results.iloc[first:last])
        yield rows.iloc[order].reset_index(drop=True)
        first = last


def _placed(slices: Slices) -> Iterator[tuple[slice, pd.DataFrame]]:
    start = 0
    for frame in slices.read():
        here = slice(start, start + len(frame))
        yield here, frame
        start = here.stop


def _certain(found: pa.Table) -> pa.Table:
    """Return one line for each row: the last one; none if the list showed both states of it."""
    position, states = found["position"].to_numpy(), found["state"].to_numpy()
    first = np.flatnonzero(np.diff(position, prepend=-1))
    if len(first) == len(position):
        return found
    last = np.append(first[1:], len(position)) - 1
    has_two = np.logical_or.reduceat(states, first) != np.logical_and.reduceat(states, first)
    return found.take(pa.array(last[~has_two]))


def _unchanged(frame: pd.DataFrame, chosen: _Bool, read_ms: _Int64) -> pd.DataFrame:
    rows = columns.rows_of(frame, chosen).reset_index(drop=True)
    if columns.BEFORE in rows:  # as in a plan
        return rows
    results = comparison.without_states(rows, Outcome.UNCHANGED)
    results[columns.BEFORE] = results[columns.AFTER] = rows[columns.DESIRED]
    results[columns.ATTEMPTS] = (read_ms[chosen] > 0).astype(np.int64)
    results[columns.AT] = columns.times(read_ms[chosen])
    return results


def _joined(rest: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    if others.empty:
        return rest
    names = [name for name in (columns.OUTCOME, columns.REASON, columns.FILE) if name in others]
    files = {name: rest[name].dtype for name in names}
    return pd.concat([rest[list(others.columns)], others.astype(files)], ignore_index=True)


def _steps(rows: pd.DataFrame, positions: _Int64, found: Sequence[pa.Table]) -> Steps:
    open_rows = comparison.open_rows(rows)
    steps = Steps.blank(len(open_rows), stamped=columns.LATEST in rows)
    if not found:
        return steps
    shown = _certain(pa.concat_tables(found))
    step_of = np.full(len(rows), -1)
    step_of[open_rows] = np.arange(len(open_rows))
    at = step_of[np.searchsorted(positions, shown["position"].to_numpy())]
    steps.state[at] = shown["state"].to_numpy()
    steps.attempts[at] = 1
    steps.at_ms[at] = shown["at_ms"].to_numpy()
    if steps.changed_ms is not None:
        steps.changed_ms[at] = shown["changed_ms"].to_numpy()
    return steps
