"""Compares desired with current states: what is to be written, and the results of it.

    checked --compare(states)--> planned --settle(writes)--> results

The decision about a row is the table in ``compare``; everything else counts or fills in.
"""

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, request_order
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.columns import OUTCOME_CODES
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.positions import Positions
from bulk_sync.rows.request_order import UNDATED, DatedChoice, LastWrites, Own, Writes
from bulk_sync.rows.results import UNREAD, Steps

_Codes = npt.NDArray[np.int8]

WRITTEN: Final = (Outcome.WOULD_UPDATE, Outcome.UPDATED)
"""Rows whose state is to be changed, or was."""

CHANGED: Final = (*WRITTEN, Outcome.WOULD_CREATE, Outcome.CREATED)
"""Rows with a profile that is to be changed or created, or was."""

_NOT_DONE: Final = {
    Reason.LIMIT: f"{columns.NOT_DONE} a safety limit, or a person, said no.",
    Reason.STOPPED: f"{columns.NOT_DONE} the run stopped before this row.",
}


def open_rows(checked: pd.DataFrame) -> Positions:
    """Return the positions of the rows to be looked up, oldest request first."""
    return _oldest_first(checked, np.flatnonzero(checked[columns.OUTCOME].isna()))


def changes(planned: pd.DataFrame) -> Positions:
    """Return the positions of the rows with a state to be changed."""
    return np.flatnonzero(columns.have_outcome(planned, [Outcome.WOULD_UPDATE]))


def writes(planned: pd.DataFrame) -> Positions:
    """Return the positions of the rows to be changed or created, oldest request first."""
    is_write = columns.have_outcome(planned, [Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE])
    return _oldest_first(planned, np.flatnonzero(is_write))


def opt_outs(planned: pd.DataFrame) -> Positions:
    """Return the positions of the rows to be opted out, oldest request first."""
    positions = changes(planned)
    desired = columns.state_codes(planned[columns.DESIRED].iloc[positions])
    return _oldest_first(planned, positions[desired == 1])


def narrowed(planned: pd.DataFrame, positions: Positions) -> pd.DataFrame:
    """Return a plan of which only some rows are written; the others wait, ``pending``."""
    waits = np.zeros(len(planned), np.bool_)
    waits[writes(planned)] = True
    waits[positions] = False
    codes = columns.outcome_codes(planned[columns.OUTCOME])
    codes[waits] = OUTCOME_CODES[Outcome.PENDING]
    return planned.assign(**{columns.OUTCOME: columns.outcomes(codes)})


def opt_ins(frame: pd.DataFrame) -> Positions:
    """Return the positions of the rows to lift an opt-out, or to have lifted it."""
    is_written = columns.have_outcome(frame, WRITTEN)
    return np.flatnonzero(is_written & (columns.desired(frame) == 0))


def compare(
    checked: pd.DataFrame, states: Steps, last_writes: LastWrites = request_order.no_writes
) -> pd.DataFrame:
    """Decide about every open row.

    ================================  ==============
    current state                     outcome
    ================================  ==============
    a problem                         the problem's
    not read: the run stopped before  ``pending``
    the desired state                 ``unchanged``
    the other one, a newer choice     ``drifted``
    the other state                   ``would_update``
    ================================  ==============

    Args:
        checked: rows of ``check.rows``, or of ``expand.expand``.
        states: the current states of its open rows, in their order.
        last_writes: looks up the last writes of this tool to profiles with another state.

    Returns:
        The same rows with BEFORE, AFTER, ATTEMPTS and AT; OUTCOME is complete.
    """
    positions = open_rows(checked)
    before = np.full(len(checked), UNREAD, np.int8)
    before[positions] = states.state
    desired = columns.desired(checked)[positions]
    verdict = np.full(len(positions), OUTCOME_CODES[Outcome.WOULD_UPDATE], np.int8)
    verdict[states.state == desired] = OUTCOME_CODES[Outcome.UNCHANGED]
    verdict[states.state == UNREAD] = OUTCOME_CODES[Outcome.PENDING]
    differ = np.flatnonzero(verdict == OUTCOME_CODES[Outcome.WOULD_UPDATE])
    newer = _newer_choices(checked, positions, states, differ, last_writes)
    known = columns.states(before)
    planned = checked.assign(**{columns.BEFORE: known, columns.AFTER: known})
    drifted = {
        at: RowFailed(Reason.NEWER_CHOICE, request_order.sentence(each), outcome=Outcome.DRIFTED)
        for at, each in newer.items()
    }
    states = replace(states, problems=drifted | states.problems)
    return _with_step(planned, positions, states, verdict)


def without_states(checked: pd.DataFrame, outcome: Outcome = Outcome.USABLE) -> pd.DataFrame:
    """Return checked rows as results without a state; open rows get the outcome."""
    unread = columns.states(np.full(len(checked), UNREAD, np.int8))
    none = np.zeros(len(checked), np.int64)
    codes = columns.outcome_codes(checked[columns.OUTCOME])
    codes[codes == columns.NONE] = OUTCOME_CODES[outcome]
    results = checked.copy(deep=False)
    results[columns.BEFORE] = results[columns.AFTER] = unread
    results[columns.OUTCOME] = columns.outcomes(codes)
    results[columns.ATTEMPTS] = none
    results[columns.AT] = columns.times(none)
    return results


def _newer_choices(
    checked: pd.DataFrame,
    positions: Positions,
    states: Steps,
    differ: Positions,
    last_writes: LastWrites,
) -> dict[int, DatedChoice]:
    """Return the newer choices in Campaign, by place among the open rows.

    An opt-in without a date does not lift an opt-out that this tool wrote, or found, for a dated
    request: it may be older. ``differ`` are the places with another state than the desired one.
    """
    if states.changed_ms is None or columns.LATEST not in checked:
        return {}
    desired = columns.desired(checked)[positions[differ]]
    latest = checked[columns.LATEST].to_numpy()[positions[differ]]
    is_judged = (latest != UNDATED) | (desired == 0)
    differ, latest, desired = differ[is_judged], latest[is_judged], desired[is_judged]
    profiles = Texts(columns.profiles(checked), positions[differ])[:]
    keys = profiles
    if columns.PROFILE in checked:
        keys = Texts(checked[columns.KEY], positions[differ])[:]
    requests = request_order.requests(checked, positions[differ])
    firsts_ms = [0 if request is None else request.first_ms for request in requests]
    sought = profiles if keys is profiles else list(dict.fromkeys([*profiles, *keys]))
    written = last_writes(sought, min(firsts_ms)) if firsts_ms else {}
    changed_ms = states.changed_ms[differ]
    found = {}
    for at, request in enumerate(requests if written else ()):
        wanted = bool(desired[at])
        own = _last_write(written, profiles[at], keys[at], state=not wanted)
        if own is not None and request is not None:
            found[at] = request_order.choice(int(changed_ms[at]), own, request, desired=wanted)
            changed_ms[at] = found[at].at_ms
        elif own is not None and (dated := request_order.dated(own)) is not None:
            found[at] = dated
    is_newer = request_order.are_newer(latest, desired, changed_ms)
    is_newer[[at for at in found if requests[at] is None]] = True
    return {
        int(differ[at]): found.get(at) or DatedChoice(int(changed_ms[at]))
        for at in np.flatnonzero(is_newer).tolist()
    }


def _last_write(written: Writes, profile: str, key: str, *, state: bool) -> Own | None:
    """Return the last write of a state to a profile.

    If it is not known whether a profile was created, the ledger knows it by its address alone.
    """
    if (own := written.get((profile, state))) is not None:
        return own
    made = written.get((key, state))
    return None if made is None or made.is_seen else made


def reopened(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a plan or of results as checked rows, each to be looked up by itself."""
    added = (columns.BEFORE, columns.AFTER, columns.ATTEMPTS, columns.AT)
    return unjudged(rows.drop(columns=[name for name in added if name in rows]))


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


def settle(planned: pd.DataFrame, steps: Steps) -> pd.DataFrame:
    """Return the results of a plan, by the steps of its ``writes``, in their order."""
    positions = writes(planned)
    is_done = steps.state != UNREAD
    after = columns.state_codes(planned[columns.AFTER])
    is_tried = is_done | (steps.attempts > 0)
    after[positions[is_tried]] = steps.state[is_tried]
    verdict = np.full(len(positions), OUTCOME_CODES[Outcome.PENDING], np.int8)
    is_new = columns.have_outcome(planned, [Outcome.WOULD_CREATE])[positions]
    done = np.where(is_new, OUTCOME_CODES[Outcome.CREATED], OUTCOME_CODES[Outcome.UPDATED])
    verdict[is_done] = done[is_done]
    results = planned.assign(**{columns.AFTER: columns.states(after)})
    return _with_step(results, positions, steps, verdict)


def hold_back(frame: pd.DataFrame, reason: Reason) -> pd.DataFrame:
    """Return the rows with those still to be done ``pending`` for LIMIT or STOPPED.

    Why the run ended is told once, by the run. Opt-ins that a limit holds back keep their sentence.
    """
    waits = frame[columns.OUTCOME].isin(
        [Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE, Outcome.PENDING]
    )
    waits &= ~frame[columns.REASON].eq(Reason.LIMIT).to_numpy()
    held = frame.copy(deep=False)
    held[columns.OUTCOME] = frame[columns.OUTCOME].mask(waits, str(Outcome.PENDING))
    held[columns.REASON] = frame[columns.REASON].mask(waits, str(reason))
    is_blank = waits & (frame[columns.DETAIL] == "")
    held[columns.DETAIL] = frame[columns.DETAIL].mask(is_blank, _NOT_DONE[reason])
    return as_read(held)


def as_read(results: pd.DataFrame) -> pd.DataFrame:
    """Return results without the states, planned by an undo, of rows left alone and never read."""
    is_unread = columns.have_outcome(results, [Outcome.PENDING, Outcome.REJECTED])
    is_unread &= (results[columns.ATTEMPTS].to_numpy() == 0) & results[columns.AT].isna().to_numpy()
    if not is_unread.any():
        return results
    known = results.copy(deep=False)
    for name in (columns.BEFORE, columns.AFTER):
        codes = columns.state_codes(results[name])
        codes[is_unread] = UNREAD
        known[name] = columns.states(codes)
    return known


def repeat(frame: pd.DataFrame) -> pd.DataFrame:
    """Copy the states of a row to those that repeat its key."""
    counts_as = frame[columns.COUNTS_AS].to_numpy()
    if (counts_as == np.arange(len(frame))).all():
        return frame
    for name in (columns.BEFORE, columns.AFTER):
        frame[name] = columns.states(columns.state_codes(frame[name])[counts_as])
    return frame


def foreseen(planned: pd.DataFrame) -> pd.Series:
    """Return AFTER as it is once a plan is carried out; for results, AFTER itself."""
    is_write = columns.have_outcome(planned, (Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE))
    if not is_write.any():
        return planned[columns.AFTER]
    codes = columns.state_codes(planned[columns.AFTER])
    codes[is_write] = columns.desired(planned)[is_write]
    return columns.states(codes[planned[columns.COUNTS_AS].to_numpy()])


def _oldest_first(frame: pd.DataFrame, positions: Positions) -> Positions:
    """Order positions by REQUESTED, undated last, and the input's order among equals.

    Another order needs another format of checkpoints, which name keys by their place in
    ``open_rows``.
    """
    if columns.REQUESTED not in frame:
        return positions
    return positions[np.argsort(frame[columns.REQUESTED].to_numpy()[positions], kind="stable")]


def _with_step(
    frame: pd.DataFrame, positions: Positions, steps: Steps, verdict: _Codes
) -> pd.DataFrame:
    """Return all rows with the problems, tries and times of a step at some positions.

    ``verdict`` has the ``OUTCOME_CODES`` of those without a problem.
    """
    verdicts = Verdicts.from_rows(frame)
    verdicts.outcome[positions] = verdict
    for at, problem in steps.problems.items():
        verdicts.overrule(int(positions[at]), problem.outcome, problem.reason, problem.detail)
    if columns.AT in frame:
        attempts = frame[columns.ATTEMPTS].to_numpy(copy=True)
        times = columns.times_ms(frame[columns.AT])
    else:
        attempts, times = np.zeros((2, len(frame)), np.int64)
    tried = np.flatnonzero(steps.attempts)
    attempts[positions[tried]] = steps.attempts[tried]
    times[positions[tried]] = steps.at_ms[tried]
    results = verdicts.applied(frame)
    results[columns.ATTEMPTS] = attempts
    results[columns.AT] = columns.times(times)
    return repeat(results)
