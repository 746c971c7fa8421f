"""Writes due opt-outs before everything is read, if a budget does not cover both."""

import logging
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.engines.current import StateReader
from bulk_sync.errors import Refused, StoppedEarly
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, comparison, expand, plan_limits
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.results import Steps
from bulk_sync.runs.history.current_states import compare_run
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.runs.stages import writing
from bulk_sync.runs.stages.execution import Execution
from bulk_sync.runs.terms.remaining_cost import calls_per_change

log = logging.getLogger(__name__)


def write_early(execution: Execution, states: Steps, reader: StateReader) -> Refused | None:
    """Write the opt-outs known to be due, if the budget does not cover the rest too.

    Only if no limit can be passed, whatever the unread rows turn out to be; and a person is asked
    as before any other write.

    Returns:
        Why nothing was written; None if the run may go on.
    """
    run, session = execution.run, execution.session
    left = session.run(session.client.calls.left())
    if left is None or session.cause is not None or not reader.calls_left:
        return None
    compared = compare_run(run, states, execution.job)
    due = comparison.opt_outs(compared)
    early = comparison.narrowed(compared, due)
    recording = Recording(run.ledger, run.run_id, early, due, run.checkpoint.early())
    writes = len(recording.steps.open())
    calls = writes * calls_per_change(execution.job.writing)
    if not writes or left >= reader.calls_left + calls:
        return None
    unread = columns.have_outcome(compared, [Outcome.PENDING])
    if not _is_within_limits(execution, compared, unread):
        log.info(
            "Opt-outs that are due wait until everything is read, because a limit depends on the "
            "rest: %s",
            f"{writes:,}",
        )
        return None
    log.warning(
        "The budget leaves %s, and reading %s more takes %s. The opt-outs that are known to be "
        "due are written first: %s",
        count(left, "call"),
        count(int(unread.sum()), "key"),
        count(reader.calls_left, "call"),
        f"{writes:,}",
    )
    try:
        _approve(execution, early, reader)
        run.checkpoint.keep_early(list(recording.keys))
    except Refused as refused:
        return refused
    except StoppedEarly as full:
        session.stop(full)
        return None
    writing.write(execution, early, recording)
    return None


def results_so_far(run: RunContext, planned: pd.DataFrame) -> pd.DataFrame:
    """Return a plan with the results of its early writes."""
    early = run.checkpoint.early()
    if not early:
        return planned
    recorded = {write.intent.key for write in run.ledger.writes(run.run_id)}
    positions = comparison.writes(planned)
    keys = Texts(columns.profiles(planned), positions)
    made = positions[[key in recorded for key in keys]]
    narrowed = comparison.narrowed(planned, made)
    return Recording(run.ledger, run.run_id, narrowed, made, early).results(narrowed)


def refusal_after(refused: Refused, early: int) -> Refused:
    """Return a refusal with the early writes in its message."""
    detail = str(refused).removeprefix("Nothing was written: ")
    return Refused(
        f"Nothing more was written than the {count(early, 'opt-out')} due first: {detail}",
        refused.option,
    )


def _approve(execution: Execution, early: pd.DataFrame, reader: StateReader) -> None:
    reviewed = execution.review(early, execution.read_with(reader))
    calls_to_come = reviewed.forecast.calls_to_come + reader.calls_left
    forecast = replace(reviewed.forecast, calls_to_come=calls_to_come)
    execution.screen.show(replace(reviewed, forecast=forecast, refusal=None))
    execution.screen.approve(reviewed)


def _is_within_limits(
    execution: Execution, compared: pd.DataFrame, unread: npt.NDArray[np.bool_]
) -> bool:
    """Return whether no limit can be passed, whatever the unread rows turn out to be.

    An unread row may be about the same profile, and want the other state; or about many profiles.
    """
    limits, desired = execution.job.limits, columns.desired(compared)
    may_share = expand.may_share_profiles(compared)
    if may_share and (limits.max_changes is not None or (desired[unread] == 0).any()):
        return False
    return plan_limits.passes_however(compared, limits, execution.past, execution.run.rest.totals)
