"""Writes a plan to Campaign, each change recorded in the ledger before it is sent."""

import logging

import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.engines.decide import READ_FIRST
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.write import Writes
from bulk_sync.rows import comparison
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.runs.stages.cares import cares
from bulk_sync.runs.stages.execution import Execution, StageEnd, early_end

log = logging.getLogger(__name__)


def write(execution: Execution, planned: pd.DataFrame, recording: Recording) -> StageEnd:
    """Send the remaining writes, and return the results."""
    if not recording.keys:
        return StageEnd(planned, None)
    run, job, session = execution.run, execution.job, execution.session
    writes = Writes(
        keys=recording.keys,
        desired=recording.desired,
        steps=recording.steps,
        verify=job.writing.verify,
        cares=cares(run, job, planned, recording),
        usual=READ_FIRST if job.writing.guarded else None,
        resolver=Resolver(job.matching.keys, job.connection.attribute, is_wary=True),
    )
    session.write(writes, recording)
    recording.leave_in_doubt(at for at in recording.steps.open() if writes.may_have_arrived(at))
    results = comparison.settle(planned, recording.steps)
    if session.cause is None:
        return StageEnd(results, None)
    if recording.unrecorded:
        log.warning(
            "%s confirmed by Campaign, but could not be recorded in the ledger. Before anything "
            "else is written, this is read again.",
            count(recording.unrecorded, "change was", "changes were"),
        )
    was_sent = writes.has_sent or recording.has_begun
    return early_end(results, session.cause, run.rest, was_sent=was_sent)


def recorded(run: RunContext, planned: pd.DataFrame) -> Recording:
    """Return the writes of a plan, with their results by the ledger."""
    early = run.checkpoint.early()
    return Recording(run.ledger, run.run_id, planned, comparison.writes(planned), early)
