"""Divides the rows of an input larger than memory: those with work to do, and the rest.

slices + states in the list --compare--> the rest: Campaign holds the desired state
                                            '---> all others, as one frame
the rest + results of the others --> all rows, in the input's order
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.on_disk import Cursor
from bulk_sync.rows.results import UNREAD, Steps
from bulk_sync.rows.slices import Slices

_Int64 = npt.NDArray[np.int64]

FindStates = Callable[[], Cursor]
"""Starts reading what Campaign's list showed of the open rows, as ``Store.found`` yields it."""


class Division(NamedTuple):
    """Which rows of an input are the rest.

    Attributes:
        is_rest: by row.
        states: int8, by row: 1, 0, or ``UNREAD`` if the list did not show it.
    """

    is_rest: npt.NDArray[np.bool_]
    states: npt.NDArray[np.int8]


class Work(NamedTuple):
    """The rows with work to do.

    Attributes:
        rows: as of ``check.rows``; COUNTS_AS holds places in this frame.
        positions: int64, theirs in the input, ascending.
        states: those of the open ones, as far as the list showed them.
    """

    rows: pd.DataFrame
    positions: _Int64
    states: Steps


def divide(slices: Slices, find_states: FindStates, protected: _Int64) -> Division:
    """Find the rows without work, and mere repeats of them.

    A row with another state, if it counts for nothing, has a reason; the row that counts then needs
    a person's eye too, and is no rest.

    Args:
        slices: as of ``check.rows``, with PKeys, or those of a plan.
        find_states: what the list showed; of a plan, nothing.
        protected: positions of rows counting for those of protected people: no rest.

    Memory: two bytes a row, 16 for each repeat, and a slice.
    """
    is_rest = np.zeros(slices.count, np.bool_)
    states = np.full(slices.count, UNREAD, np.int8)
    repeats, roots, shown = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [protected]
    for start, frame, planned in _compared(slices, find_states()):
        here = slice(start, start + len(frame))
        is_rest[here] = columns.have_outcome(planned, [Outcome.UNCHANGED])
        states[here] = columns.state_codes(planned[columns.BEFORE])
        counts_as = frame[columns.COUNTS_AS].to_numpy()
        is_repeat = counts_as != np.arange(here.start, here.stop)
        repeats.append(start + np.flatnonzero(is_repeat))
        roots.append(counts_as[is_repeat])
        has_reason = is_repeat & frame[columns.REASON].notna().to_numpy()
        shown.append(counts_as[has_reason])
    is_rest[np.concatenate(shown)] = False
    rows, counting = np.concatenate(repeats), np.concatenate(roots)
    is_rest[rows], states[rows] = is_rest[counting], states[counting]
    return Division(is_rest, states)


def split(
    slices: Slices, find_states: FindStates, division: Division
) -> Iterator[tuple[pd.DataFrame, pd.DataFrame]]:
    """Yield of each slice the results of the rest, with POSITION, and the rows with work to do.

    Either may be empty. COUNTS_AS holds positions in the input.
    """
    for start, frame, planned in _compared(slices, find_states()):
        here = slice(start, start + len(frame))
        chosen = division.is_rest[here]
        for name in (columns.BEFORE, columns.AFTER):
            planned[name] = columns.states(division.states[here])
        planned[columns.COUNTS_AS] = frame[columns.COUNTS_AS]
        rest = columns.rows_of(planned, chosen).reset_index(drop=True)
        rest[columns.POSITION] = start + np.flatnonzero(chosen)
        yield rest, columns.rows_of(frame, ~chosen)


def work(frames: Sequence[pd.DataFrame], cursor: Cursor, division: Division) -> Work:
    """Return the rows with work to do, as ``split`` yields them, with their states."""
    positions = np.flatnonzero(~division.is_rest)
    rows = pd.concat(frames, ignore_index=True)
    rows[columns.COUNTS_AS] = np.searchsorted(positions, rows[columns.COUNTS_AS].to_numpy())
    found = [
        table.filter(pa.array(~division.is_rest[table["position"].to_numpy()])) for table in cursor
    ]
    return Work(
        rows, positions, _steps(rows, positions, pa.concat_tables(found) if found else None)
    )


def all_rows(
    rest_parts: Iterable[pd.DataFrame], results: pd.DataFrame, positions: _Int64
) -> Iterator[pd.DataFrame]:
    """Yield all rows of an input in their order.

    Args:
        rest_parts: of ``split``.
        results: those of the rows with work, a row per row of the input.
        positions: theirs in the input.
    """
    counts_as = positions[results[columns.COUNTS_AS].to_numpy()]
    results, done = results.assign(**{columns.COUNTS_AS: counts_as}), 0
    for part in rest_parts:
        if part.empty:
            continue
        end = int(np.searchsorted(positions, part[columns.POSITION].to_numpy()[-1]))
        yield _merged(part, results.iloc[done:end], positions[done:end])
        done = end
    if done < len(results):
        yield results.iloc[done:].reset_index(drop=True)


def _merged(part: pd.DataFrame, others: pd.DataFrame, positions: _Int64) -> pd.DataFrame:
    """Return the rows of both in the input's order."""
    order = np.argsort(np.concatenate([part[columns.POSITION].to_numpy(), positions]))
    part = part[list(others.columns)]
    if others.empty:
        return part
    for name in (columns.OUTCOME, columns.REASON):
        others = others.assign(**{name: others[name].astype(part[name].dtype)})
    if columns.FILE in part:
        file = others[columns.FILE].cat.set_categories(part[columns.FILE].cat.categories)
        others = others.assign(**{columns.FILE: file})
    return pd.concat([part, others], ignore_index=True).iloc[order].reset_index(drop=True)


def _alone(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a slice in which each row counts for itself: others may stand in another slice."""
    return frame.assign(**{columns.COUNTS_AS: np.arange(len(frame))})


def _compared(slices: Slices, cursor: Cursor) -> Iterator[tuple[int, pd.DataFrame, pd.DataFrame]]:
    """Yield the position of the first row of each slice, the slice, and its rows compared alone."""
    start = 0
    for frame in slices.read():
        end, planned = start + len(frame), _alone(frame)
        if columns.BEFORE not in frame:  # as in a plan
            steps = _steps(frame, np.arange(start, end), cursor.until(end))
            planned = comparison.compare(planned, steps)
        yield start, frame, planned
        start = end


def _steps(rows: pd.DataFrame, positions: _Int64, found: pa.Table | None) -> Steps:
    """Return the states of the open rows of a frame, in their order.

    Args:
        rows: the frame.
        positions: of its rows in the input, ascending.
        found: what the list showed of them.
    """
    is_stamped = columns.LATEST in rows
    open_rows = comparison.open_rows(rows)
    steps = Steps.blank(len(open_rows), stamped=is_stamped)
    if found is None or not found.num_rows:
        return steps
    step_of = np.full(len(rows), -1)
    step_of[open_rows] = np.arange(len(open_rows))
    position, states = found["position"].to_numpy(), found["state"].to_numpy()
    first = np.flatnonzero(np.diff(position, prepend=-1))
    last = np.append(first[1:], len(position)) - 1  # a profile on several pages is as it was last
    at = step_of[np.searchsorted(positions, position[first])]
    has_two = np.logical_or.reduceat(states, first) != np.logical_and.reduceat(states, first)
    is_certain = ~has_two & (at >= 0)
    at, last = at[is_certain], last[is_certain]
    steps.state[at] = states[last]
    steps.attempts[at] = 1
    steps.at_ms[at] = found["at_ms"].to_numpy()[last]
    if steps.changed_ms is not None:
        steps.changed_ms[at] = found["changed_ms"].to_numpy()[last]
    return steps
