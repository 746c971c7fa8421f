"""Reads the states for an input larger than memory, and divides it into work and rest.

large input --Campaign's list--> profiles on disk --compare--> work: a run as any other
large plan -----------------------------------------'   '----> rest: needs none
"""

import logging
from dataclasses import replace

import numpy as np
import pyarrow as pa

from bulk_sync.errors import StoppedEarly, StopRun
from bulk_sync.memory import check_fits
from bulk_sync.runs.history import written_since
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept import large_input
from bulk_sync.runs.kept.checkpoint import ROWS, WHOLE
from bulk_sync.runs.kept.large_input import LargeInput
from bulk_sync.runs.kept.rest import Rest
from bulk_sync.runs.stages.execution import Execution, StageEnd, why_left
from bulk_sync.settings import Oddity

log = logging.getLogger(__name__)


def divide(execution: Execution) -> Execution:
    """Read the list, unless the rows are a plan; go on with a run of the rows with work to do.

    ``session.cause`` says why it is not divided, if it is not. If looking keys up one by one takes
    fewer calls than the list, all rows are held in memory.
    """
    run, session, job = execution.run, execution.session, execution.job
    large = execution.large
    if large is None:
        return execution
    is_cheaper = True
    if not large.is_planned:
        if (refused := execution.cut_off()) is not None:
            session.stop(refused)
            return execution
        if wanted := large.wanted:
            some_keys = list if Oddity.UNKNOWN_KEYS in job.limits.allowed else large.some_keys
            whole = session.reading_list(wanted, job.reading, large.save, large.place(), some_keys)
            is_cheaper = session.run(whole.read())
            execution = replace(execution, listed=whole)
    try:
        if session.cause is None:
            run = (_divided if is_cheaper else _held_whole)(execution, large)
            return replace(execution, run=run, large=None)
    except StopRun as cause:
        session.stop(cause)
    return execution


def _divided(execution: Execution, large: LargeInput) -> RunContext:
    """Return a run of the rows with work; raise StoppedEarly if they cannot be divided."""
    run, job = execution.run, execution.job
    if execution.listed is not None and not execution.listed.is_read:
        raise StoppedEarly(
            "Campaign's list ended before its end. What it showed is kept: `bulk-sync resume "
            f"{run.run_id}` goes on there. If it ends there again, run the input anew with --fresh "
            "--fetch lookup."
        )
    progress, protected = execution.screen.show_progress, job.protection.read()
    work = large.divide(job.record.state.folder, job.reading.memory, protected, progress)
    read = np.flatnonzero(work.states.attempts).tolist()
    if read:
        run.checkpoint.keep_states(read, work.states)
    rest = large_input.rest_of(run.checkpoint)
    log.info(
        "Of %s rows %s need work; Campaign holds the states that the others ask for.",
        f"{len(work.rows) + rest.totals.rows:,}",
        f"{len(work.rows):,}",
    )
    planned = run.checkpoint.plan(work.rows)
    return replace(run, rows=work.rows, planned=planned, rest=rest)


def settle_rest(execution: Execution) -> Execution:
    """Go on with a rest without rows that other runs have changed since they were read."""
    run = execution.run
    if not run.rest.totals.rows or run.is_read_now or run.begun.is_plan:
        return execution
    try:
        settle = written_since.outdating(run)
        rest = run.rest if settle is None else large_input.rest_of(run.checkpoint, settle)
    except StopRun as cause:
        execution.session.stop(cause)
        return execution
    return replace(execution, run=replace(run, rest=rest))


def undivided(
    execution: Execution, large: LargeInput, ended: StageEnd
) -> tuple[Execution, StageEnd]:
    """Return a run, ended before its input was divided, with all rows left undone.

    Rows of a plan may be unchanged, unless another run has changed them since.
    """
    rows = large.pending(why_left(ended.cause))
    settle = written_since.outdating(execution.run) if large.is_planned else None
    rest = Rest.unread(rows if settle is None else rows.map(settle))
    if execution.listed is not None:
        ended = replace(ended, reads=execution.listed.calls_left)
    return replace(execution, run=replace(execution.run, rest=rest)), ended


def _held_whole(execution: Execution, large: LargeInput) -> RunContext:
    """Return a run with all rows in memory; raise StoppedEarly if they do not fit."""
    run, count = execution.run, large.slices.count
    why, instead = "are looked up one by one", ", or run the input anew with --fresh --fetch scan"
    check_fits(count, execution.job.reading.memory, why, instead)
    log.warning(
        "Keys are looked up one by one, for which all %s rows are held in memory. --fetch scan "
        "reads Campaign's list instead.",
        f"{count:,}",
    )
    rows = large.slices.joined()
    run.checkpoint.keep_part(ROWS, pa.Table.from_pandas(rows, preserve_index=False))
    run.checkpoint.drop(WHOLE)
    return replace(run, rows=rows)
