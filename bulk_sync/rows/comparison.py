"""Compares desired with current states: what is to be written, and what became of it.

    checked --compare(reading)--> planned --settle(writing)--> results

The decision about a row is the table in ``compare``; everything else counts or fills in.
"""

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, request_order
from bulk_sync.rows.columns import OUTCOME_CODES, REASON_CODES
from bulk_sync.rows.request_order import UNDATED, Choice, LastWrites
from bulk_sync.rows.results import UNREAD, Steps

WRITTEN: Final = (Outcome.WOULD_UPDATE, Outcome.UPDATED)
"""Rows whose state is to be changed, or was."""


def open_rows(checked: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Tell the positions of the rows that are to be looked up, oldest request first."""
    return _oldest_first(checked, np.flatnonzero(checked[columns.OUTCOME].isna()))


def changes(planned: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Tell the positions of the rows whose profile's state is to be changed."""
    return np.flatnonzero(columns.have_outcome(planned, [Outcome.WOULD_UPDATE]))


def writes(planned: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Tell the positions of the rows to be written, be it anew, oldest request first."""
    is_write = columns.have_outcome(planned, [Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE])
    return _oldest_first(planned, np.flatnonzero(is_write))


def opt_outs(planned: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Return the positions of the rows that are to be opted out, oldest request first."""
    at = changes(planned)
    before = columns.state_codes(planned[columns.BEFORE].iloc[at])
    desired = columns.state_codes(planned[columns.DESIRED].iloc[at])
    return _oldest_first(planned, at[(before == 0) & (desired == 1)])


def narrowed(planned: pd.DataFrame, positions: npt.NDArray[np.intp]) -> pd.DataFrame:
    """Return a plan of which only some rows are written; the others wait, ``pending``."""
    waits = np.zeros(len(planned), np.bool_)
    waits[writes(planned)] = True
    waits[positions] = False
    codes = columns.outcome_codes(planned[columns.OUTCOME])
    codes[waits] = OUTCOME_CODES[Outcome.PENDING]
    left = planned.copy(deep=False)
    left[columns.OUTCOME] = columns.outcomes(codes)
    return left


def opt_ins(frame: pd.DataFrame) -> npt.NDArray[np.intp]:
    """Tell the positions of the rows that lift an opt-out, or have lifted it."""
    written = np.flatnonzero(columns.have_outcome(frame, WRITTEN))
    before = columns.state_codes(frame[columns.BEFORE].iloc[written])
    desired = columns.state_codes(frame[columns.DESIRED].iloc[written])
    # Should the state before ever be unknown here, the change counts as the dangerous one.
    lifts: npt.NDArray[np.intp] = written[(before != 0) & (desired == 0)]
    return lifts


def compare(
    checked: pd.DataFrame, reading: Steps, last_writes: LastWrites = request_order.no_writes
) -> pd.DataFrame:
    """Decide about every row that was looked up.

    ================================  ==============
    what the reading found            outcome
    ================================  ==============
    a problem                         the problem's
    nothing: the run stopped before   ``pending``
    the desired state                 ``unchanged``
    the other one, a newer choice     ``drifted``
    the other state                   ``would_update``
    ================================  ==============

    Args:
        checked: what ``check.rows`` returned.
        reading: the current states of its open rows, in their order.
        last_writes: looks up what this tool wrote last to profiles whose state is another one.

    Returns:
        The same rows with BEFORE, AFTER, ATTEMPTS and AT; OUTCOME is complete.
    """
    positions = open_rows(checked)
    before = np.full(len(checked), UNREAD, np.int8)
    before[positions] = reading.state
    desired = columns.state_codes(checked[columns.DESIRED])[positions]
    verdict = np.full(len(positions), OUTCOME_CODES[Outcome.WOULD_UPDATE], np.int8)
    verdict[reading.state == desired] = OUTCOME_CODES[Outcome.UNCHANGED]
    verdict[reading.state == UNREAD] = OUTCOME_CODES[Outcome.PENDING]
    differ = np.flatnonzero(verdict == OUTCOME_CODES[Outcome.WOULD_UPDATE])
    left_alone = _newer(checked, positions, reading, differ, last_writes)
    verdict[list(left_alone)] = OUTCOME_CODES[Outcome.DRIFTED]
    planned = checked.copy(deep=False)
    planned[columns.BEFORE] = columns.states(before)
    planned[columns.AFTER] = columns.states(before)
    planned[columns.ATTEMPTS] = np.zeros(len(checked), np.int64)
    planned[columns.AT] = columns.times(np.zeros(len(checked), np.int64))
    planned = _record(planned, positions, reading, verdict)
    return planned if not left_alone else _leave_alone(planned, positions, left_alone)


def _newer(
    checked: pd.DataFrame,
    positions: npt.NDArray[np.intp],
    reading: Steps,
    differ: npt.NDArray[np.intp],
    last_writes: LastWrites,
) -> dict[int, Choice]:
    """Find the rows for which Campaign holds a newer choice.

    An opt-in without a date may be older than a request for the opt-out that has one, so it does
    not lift what this tool wrote, or found, for such a request.

    Args:
        checked: what ``check.rows`` returned.
        positions: its open rows.
        reading: their current states.
        differ: places among them whose state is not the desired one.
        last_writes: looks up what this tool wrote last.

    Returns:
        The newer choices, by place among the open rows.
    """
    if reading.changed_ms is None or columns.LATEST not in checked:
        return {}
    desired = columns.state_codes(checked[columns.DESIRED])[positions[differ]]
    latest = checked[columns.LATEST].to_numpy()[positions[differ]]
    is_judged = (latest != UNDATED) | (desired == 0)
    differ, latest, desired = differ[is_judged], latest[is_judged], desired[is_judged]
    keys = columns.profiles(checked).iloc[positions[differ]].tolist()
    requests = request_order.requests(checked, positions[differ])
    firsts_ms = [0 if request is None else request.first_ms for request in requests]
    written = last_writes(keys, min(firsts_ms)) if firsts_ms else {}
    changed_ms = reading.changed_ms[differ]
    found = {}
    for at, request in enumerate(requests if written else ()):
        wanted = bool(desired[at])
        own = written.get((keys[at], not wanted))
        if own is not None and request is not None:
            found[at] = request_order.choice(int(changed_ms[at]), own, request, desired=wanted)
            changed_ms[at] = found[at].at_ms
        elif own is not None and (dated := request_order.dated(own)) is not None:
            found[at] = dated
    is_newer = request_order.choices(latest, desired, changed_ms)
    is_newer[[at for at in found if requests[at] is None]] = True
    return {
        int(differ[at]): found.get(at) or Choice(int(changed_ms[at]))
        for at in np.flatnonzero(is_newer).tolist()
    }


def _leave_alone(
    planned: pd.DataFrame, positions: npt.NDArray[np.intp], left_alone: Mapping[int, Choice]
) -> pd.DataFrame:
    """Say of rows for which Campaign holds a newer choice that they are left alone."""
    reason = columns.reason_codes(planned[columns.REASON])
    sentences = {}
    for at, choice in left_alone.items():
        row = int(positions[at])
        reason[row] = REASON_CODES[Reason.NEWER_CHOICE]
        sentences[row] = request_order.sentence(choice)
    planned[columns.REASON] = columns.reasons(reason)
    planned[columns.DETAIL] = columns.with_details(planned[columns.DETAIL], sentences)
    return planned


def reopened(rows: pd.DataFrame) -> pd.DataFrame:
    """Turn rows of a plan or of results into judged rows again: each is to be looked up anew.

    Args:
        rows: judged rows, of which each counts by itself; what comparing added is left out.

    Returns:
        The same rows as ``check.rows`` would return them.
    """
    added = (columns.BEFORE, columns.AFTER, columns.ATTEMPTS, columns.AT)
    fresh = rows.drop(columns=[name for name in added if name in rows])
    return unjudged(fresh)


def unjudged(rows: pd.DataFrame) -> pd.DataFrame:
    """Add OUTCOME, REASON, DETAIL and COUNTS_AS to rows that are all to be looked up.

    Args:
        rows: with KEY and DESIRED, each key once; index 0..n-1.
    """
    nothing = np.full(len(rows), columns.NONE, np.int8)
    fresh = rows.copy(deep=False)
    fresh[columns.OUTCOME] = columns.outcomes(nothing)
    fresh[columns.REASON] = columns.reasons(nothing)
    fresh[columns.DETAIL] = columns.details(len(rows), {})
    fresh[columns.COUNTS_AS] = np.arange(len(rows))
    return fresh


def settle(planned: pd.DataFrame, writing: Steps) -> pd.DataFrame:
    """Note what became of the writes.

    Args:
        planned: what ``compare`` returned.
        writing: its ``writes``, in their order.

    Returns:
        The same rows; each ``would_update`` is ``updated``, each ``would_create`` ``created``, or
        ``pending`` or its problem's outcome.
    """
    positions = writes(planned)
    written = writing.state != UNREAD
    after = columns.state_codes(planned[columns.AFTER])
    tried = written | (writing.attempts > 0)
    after[positions[tried]] = writing.state[tried]
    verdict = np.full(len(positions), OUTCOME_CODES[Outcome.PENDING], np.int8)
    is_new = columns.have_outcome(planned, [Outcome.WOULD_CREATE])[positions]
    done = np.where(is_new, OUTCOME_CODES[Outcome.CREATED], OUTCOME_CODES[Outcome.UPDATED])
    verdict[written] = done[written]
    results = planned.copy(deep=False)
    results[columns.AFTER] = columns.states(after)
    return _record(results, positions, writing, verdict)


def hold_back(frame: pd.DataFrame, reason: Reason, detail: str) -> pd.DataFrame:
    """Say why nothing was tried: every row still to be done is ``pending`` for this reason."""
    waiting = frame[columns.OUTCOME].isin(
        [Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE, Outcome.PENDING]
    )
    held = frame.copy(deep=False)
    held[columns.OUTCOME] = frame[columns.OUTCOME].mask(waiting, str(Outcome.PENDING))
    held[columns.REASON] = frame[columns.REASON].mask(waiting, str(reason))
    unsaid = waiting & (frame[columns.DETAIL] == "")
    held[columns.DETAIL] = frame[columns.DETAIL].mask(unsaid, detail)
    return held


def _oldest_first(frame: pd.DataFrame, positions: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Order positions by REQUESTED, undated last and the input's order among equals.

    What is recorded of a reading is recorded by place in this order, so the order must depend on
    the frame alone: whoever resumes finds the same one.
    """
    if columns.REQUESTED not in frame:
        return positions
    return positions[np.argsort(frame[columns.REQUESTED].to_numpy()[positions], kind="stable")]


def _record(
    frame: pd.DataFrame,
    positions: npt.NDArray[np.intp],
    steps: Steps,
    verdict: npt.NDArray[np.int8],
) -> pd.DataFrame:
    """Write one step's verdicts, problems, tries and times into the rows that it worked on.

    Args:
        frame: whose columns are replaced, not changed: another frame may share them.
        positions: the rows worked on.
        steps: what became of each.
        verdict: ``OUTCOME_CODES`` of those without a problem.
    """
    outcome = columns.outcome_codes(frame[columns.OUTCOME])
    reason = columns.reason_codes(frame[columns.REASON])
    outcome[positions] = verdict
    sentences = {}
    for at, problem in steps.problems.items():
        row = int(positions[at])
        outcome[row] = OUTCOME_CODES[problem.outcome]
        reason[row] = REASON_CODES[problem.reason]
        sentences[row] = problem.detail
    attempts = frame[columns.ATTEMPTS].to_numpy(copy=True)
    times = columns.times_ms(frame[columns.AT])
    tried = np.flatnonzero(steps.attempts)
    attempts[positions[tried]] = steps.attempts[tried]
    times[positions[tried]] = steps.at_ms[tried]
    frame[columns.OUTCOME] = columns.outcomes(outcome)
    frame[columns.REASON] = columns.reasons(reason)
    frame[columns.DETAIL] = columns.with_details(frame[columns.DETAIL], sentences)
    frame[columns.ATTEMPTS] = attempts
    frame[columns.AT] = columns.times(times)
    return repeat(frame)


def repeat(frame: pd.DataFrame) -> pd.DataFrame:
    """Let rows that repeat a key show the states of the row that counts."""
    counts_as = frame[columns.COUNTS_AS].to_numpy()
    if (counts_as == np.arange(len(frame))).all():
        return frame
    for name in (columns.BEFORE, columns.AFTER):
        frame[name] = columns.states(columns.state_codes(frame[name])[counts_as])
    return frame
