"""Opt-ins of a plan without request dates, and other runs since the plan was read.

Campaign may show no time of a change. What this tool knows by itself:

=============================================  ===================================================
since the plan was read, another run           if the opt-out stands, it is
=============================================  ===================================================
has opted the profile out, or may have         that run's: not lifted
has lifted the opt-out                         a newer choice in Campaign: not lifted
of a file or plan found the opt-out in place,  what the later request wants: not lifted
or has yet to write it
was of another profile, or was undone          lifted
=============================================  ===================================================
"""

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import pandas as pd

from bulk_sync.engines.journal import now_ms
from bulk_sync.ledger import Kind, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.runs import lineage, past_rows
from bulk_sync.runs.identity import Identity
from bulk_sync.runs.lineage import Lineage
from bulk_sync.runs.run_context import RunContext
from bulk_sync.runs.written_since import ANSWER_MS, Change, Reading, written_since
from bulk_sync.settings import State

log = logging.getLogger(__name__)

_ASKS: Final = {Outcome.UNCHANGED, Outcome.UPDATED, Outcome.FAILED, Outcome.PENDING}
"""Outcomes of a row with a request that counts, carried out or not."""

_ANEW: Final = (
    "so the opt-out was not lifted. To lift it all the same, run this row again from a file."
)


def overtaken(
    run: RunContext, state: State, planned: pd.DataFrame, opt_ins: Mapping[int, str]
) -> dict[int, str]:
    """Return the opt-ins of an applied plan, or of its retry, that other runs have overtaken.

    Args:
        run: the run that carries the plan out; nothing is overtaken if it is of another kind.
        state: where the rows of other runs are kept.
        planned: the plan.
        opt_ins: PKeys of opt-ins without a request date, by position.

    Returns:
        A sentence for the report by position.
    """
    plan = run.begun.plan_sha256 or run.lineage.plan
    if plan is None or not opt_ins or run.lineage.undone is not None:
        return {}
    runs = run.ledger.runs()
    reader = lineage.reader(runs, run.run_id, plan)
    read_ms = columns.times_ms(planned[columns.AT])
    since_ms = int(read_ms[read_ms > 0].min(initial=now_ms()))
    if run.lineage.plan is not None and reader is not None:  # these states were read just now
        since_ms = min(since_ms, reader.begun_ms)
    pkeys = sorted(set(opt_ins.values()))
    sentences = _asked_for(run, state, _later(run, runs, reader, since_ms), pkeys)
    for pkey, changes in written_since(run, Reading(since_ms - ANSWER_MS, reader), pkeys).items():
        for change in changes:
            if change.write.intent.desired or not change.write.is_doubtful:
                sentences[pkey] = _sentence(change)
    return {at: sentences[pkey] for at, pkey in opt_ins.items() if pkey in sentences}


def _later(run: RunContext, runs: Sequence[Run], reader: Run | None, since_ms: int) -> list[Run]:
    """Return the runs with requests given since a plan was read."""
    if reader is None:
        since = max((each.position for each in runs if each.begun_ms < since_ms), default=0)
    else:
        since = reader.position
    later = Lineage(since, run.lineage.family).later(runs, run.begun)
    put_back = lineage.undone(later)
    return [
        each
        for each in later
        if each.begun.kind in {Kind.RUN, Kind.APPLY, Kind.RETRY}
        and each.run_id not in put_back
        and (lineage.trace(runs, each.run_id).since or 0) > since
    ]


def _asked_for(
    run: RunContext, state: State, later: Sequence[Run], pkeys: Iterable[str]
) -> dict[str, str]:
    """Return the profiles among some with opt-outs that later runs ask for, with sentences."""
    people = Identity(frozenset(pkeys))
    known = list(past_rows.find(run.ledger, state, later))
    ids = {rows.run.run_id for rows in known}
    for other in later:
        if other.begun.rows and other.run_id not in ids:
            log.warning(
                "The rows of run %s are not kept here, and its file was given after the plan was "
                "made. If it asks for opt-outs that this plan lifts, they are lifted all the same.",
                other.run_id,
            )
    return {
        pkey: (
            f"The file of run {row.run.run_id} was given after the plan was made and asks for this "
            f"opt-out, {_ANEW}"
        )
        for rows in known
        for row in rows.search(people)
        if row.cells[columns.DESIRED] and row.cells[columns.OUTCOME] in _ASKS
        for pkey in row.pkeys & people.exactly
    }


def _sentence(change: Change) -> str:
    run_id, write = change.write.run_id, change.write
    if not write.intent.desired:
        return (
            f"Run {run_id} has lifted this opt-out since the plan was made, and it was chosen "
            f"again since then, {_ANEW}"
        )
    has = "may have" if write.is_doubtful else "has"
    return f"Run {run_id} {has} opted this profile out since the plan was made, {_ANEW}"
