"""The straight line of every run, whatever command it came from.

    judged rows --GET--> current states --compare--> plan
    plan --show, limits, approve--> intents --PATCH--> outcomes --settle--> results --> report

Everything is read and compared before anything is written, so a preview, a refusal and an
interrupted run are the same run stopped early. A resumed run continues from its checkpoint and the
ledger. Only opt-outs known to be due may be written before: see ``early_writes``.
"""

import logging
from dataclasses import replace
from typing import Final

import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.engines.current import Read, StateReader
from bulk_sync.engines.session import Session
from bulk_sync.errors import BudgetSpent, BudgetTooSmall, Interrupted, Refused, StoppedEarly
from bulk_sync.ledger import Kind
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import comparison, plan_limits
from bulk_sync.rows.results import Steps
from bulk_sync.runs.history import current_states, written_since
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept import large_input
from bulk_sync.runs.kept.plan_file import LIMITS
from bulk_sync.runs.kept.rest import NOTHING
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.runs.stages import dividing, early_writes, writing
from bulk_sync.runs.stages.begin import past_of
from bulk_sync.runs.stages.execution import Execution, StageEnd, cost_of, early_end
from bulk_sync.runs.stages.finish import finish_run
from bulk_sync.runs.stages.review import Finished, Plan, Screen
from bulk_sync.runs.terms import day_budget
from bulk_sync.runs.terms.job import Job
from bulk_sync.runs.terms.remaining_cost import (
    RemainingCost,
    calls_per_change,
    calls_to_come,
    check_budget,
)
from bulk_sync.settings import KeyKind, Writing
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)

_NOTHING_READ: Final = Read(None, paged=False, looked_up=0, seconds=0.0)


def carry_out(run: RunContext, job: Job, screen: Screen, interrupts: Interrupts) -> Finished:
    """Take a run from where it stands to its end, or as far as it goes."""
    screen.begin(run.run_id, run.begun)
    budget = day_budget.budget_of(run.ledger, job)
    past, large = past_of(run.ledger, job, run.begun.input), large_input.find(run.checkpoint)
    failures = job.limits.failures(run.begun.rows)
    if run.begun.kind == Kind.RETRY:  # all its rows have failed before
        failures = replace(failures, lost=None)
    with Session(job.connection, job.pace, screen.show_progress, failures, budget) as session:
        execution = Execution(run, job, screen, session, budget, past, large)
        try:
            check_budget(job.pace, job.connection, Writing() if run.begun.is_plan else job.writing)
            if job.matching.keys.kind is not KeyKind.EMAIL:  # else the rows have the addresses
                job.protection.find_profiles(session, job.connection.attribute)
            if session.cause is None:
                execution = dividing.settle_rest(dividing.divide(execution))
            ended = _carry_out(execution, interrupts)
        except (Interrupted, BudgetTooSmall) as stopped:
            interrupts.defer()
            left = _results_so_far(execution.run, job)
            ended = early_end(left, stopped, execution.run.rest)
    interrupts.defer()
    if execution.large is not None:
        execution, ended = dividing.undivided(execution, execution.large, ended)
    cost = replace(cost_of(session, job.record.seconds), needed=ended.needed)
    if isinstance(ended.cause, BudgetSpent):
        to_come = _cost_to_come(execution, ended)
        cost = replace(cost, to_come=to_come)
        ended = replace(ended, cause=_budget_spent(ended.cause, to_come, session))
    return finish_run(execution.run, job, ended, cost, screen.show_progress)


def _shown_alone(execution: Execution, planned: pd.DataFrame, read: Read) -> StageEnd:
    """Show a plan that is not carried out now, with the calls of reading again before it is."""
    run, reviewed = execution.run, execution.review(planned, read)
    calls_before = 1  # ``apply`` reads only what is to be written
    if not execution.job.writing.guarded:
        # A run begins anew, with what earlier processes of the plan have read too.
        earlier = run.ledger.run(run.run_id).ended
        calls_before = reviewed.forecast.calls
        calls_before += 0 if earlier is None else sum(earlier.calls.values())
    forecast = reviewed.forecast.of_preview(calls_before)
    execution.screen.show(replace(reviewed, forecast=forecast))
    return StageEnd(planned, None, warning=reviewed.warning)


def _carry_out(execution: Execution, interrupts: Interrupts) -> StageEnd:
    """Read, compare, show, check limits, ask and write, as far as it goes."""
    run, job = execution.run, execution.job
    is_plan = run.begun.is_plan
    if (cause := execution.session.cause) is not None:
        return early_end(_results_so_far(run, job), cause, run.rest)
    if run.planned is None:
        ended, read = _read(execution)
    else:
        planned, read = current_states.protected(run, run.planned, job.protection), _NOTHING_READ
        ended = StageEnd(planned, None)
        if is_plan:  # of an undo: the ledger has the states
            ended = _shown_alone(execution, planned, read)
    if ended.cause is not None or is_plan:
        return ended
    planned = ended.rows
    if not run.is_read_now:
        planned = written_since.without_outdated(run, planned)
    recording = writing.recorded(run, planned)
    if recording.has_begun:
        waiting = _held_still(execution, planned, recording)
        _warn_of_limits(run, job)
    else:
        reviewed = execution.review(planned, read)
        waiting = reviewed.held
        try:
            _approve(execution, reviewed)
        except Refused as refused:
            if early := run.checkpoint.early():
                refused = early_writes.refusal_after(refused, len(early))
            left = early_writes.results_so_far(run, planned)
            return StageEnd(comparison.hold_back(left, Reason.LIMIT), refused)
    if waiting is not None:
        planned = plan_limits.without_opt_ins(planned)
        recording = writing.recorded(run, planned)
    interrupts.defer()
    written = writing.write(execution, planned, recording)
    return replace(written, needed=ended.needed, held=waiting)


def _held_still(
    execution: Execution, planned: pd.DataFrame, recording: Recording
) -> Refused | None:
    """Return why opt-ins that were held back wait on; ask a person if they may pass by now."""
    limits, opt_ins = execution.job.limits, comparison.opt_ins(planned)
    if not limits.hold_opt_ins or recording.has_lifted or not len(opt_ins):
        return None
    held = plan_limits.held_opt_ins(planned, limits, execution.run.rest.totals)
    if held is None:
        try:
            alone = comparison.narrowed(planned, opt_ins)
            execution.screen.approve(execution.review(alone, _NOTHING_READ))
        except Refused as refused:
            return refused
    return held


def _approve(execution: Execution, reviewed: Plan) -> None:
    """Show a plan, and ask a person if it writes anything; raise Refused if it may not."""
    execution.screen.show(reviewed)
    if reviewed.refusal is not None:
        raise reviewed.refusal
    if reviewed.writes:
        execution.screen.approve(reviewed)


def _read(execution: Execution) -> tuple[StageEnd, Read]:
    """Read the unknown states, and compare; show the plan if the run is no more than that."""
    run, job, session = execution.run, execution.job, execution.session
    is_plan = run.begun.is_plan
    if (cut_off := execution.cut_off()) is not None:
        unread = comparison.without_states(run.rows, Outcome.PENDING)
        unread = comparison.hold_back(unread, Reason.LIMIT)
        return StageEnd(unread, cut_off), _NOTHING_READ
    states = run.checkpoint.states(current_states.unread(run.rows))
    left = job
    if run.rest is not NOTHING:  # Campaign's list was read before
        is_known = run.rest.totals.rows > 0 or bool(states.attempts.any())
        left = job.after_the_list(is_known=is_known)
    reader = current_states.reader_of(session, run.rows, states, left, run.checkpoint)
    refused, needed = _read_states(execution, states, reader)
    planned = current_states.compare_run(run, states, job)
    read, cause = execution.read_with(reader), session.cause or refused
    ended = StageEnd(planned, None)
    try:
        if cause is None and is_plan:
            ended = _shown_alone(execution, planned, read)
        elif cause is None:
            run.checkpoint.keep_plan(planned)
    except StoppedEarly as full:
        cause = full
    if cause is not None:
        ended = early_end(early_writes.results_so_far(run, planned), cause, run.rest)
        ended = replace(ended, reads=reader.calls_left)
    return replace(ended, needed=needed), read


def _read_states(
    execution: Execution, states: Steps, reader: StateReader
) -> tuple[Refused | None, RemainingCost | None]:
    """Carry out the stages of reading, with early writes between them.

    Returns:
        Why early writes were refused, and the cost of reading if the budget does not cover it.
    """
    session, was_known, refused = execution.session, bool(states.attempts.any()), None
    session.run(reader.begin())
    needed = _forecast(execution, reader)
    session.run(reader.scan())
    if not execution.run.begun.is_plan and (was_known or reader.pages):
        refused = early_writes.write_early(execution, states, reader)
    if refused is None:
        session.run(reader.look_up())
    return refused, needed


def _forecast(execution: Execution, reader: StateReader) -> RemainingCost | None:
    """Return the cost of reading, and log it, if the budget does not cover it."""
    session = execution.session
    left, calls = session.run(session.client.calls.left()), reader.calls_left
    if left is None or calls <= left or session.cause is not None:
        return None
    needed = RemainingCost(calls, calls, execution.budgets(left), is_in_all=True)
    if reader.is_all_or_nothing:
        log.warning(
            "Reading Campaign's list takes %s more, and the budget leaves %s now. A part of the "
            "list is not kept: give at least %s at once, or leave out --fetch scan.",
            count(calls, "call"),
            count(left, "call"),
            count(session.client.calls.least, "call"),
        )
        return needed
    log.warning(
        "Reading the current states costs %s. The budget leaves %s now; what is read is "
        "kept, and `bulk-sync resume` goes on with it.",
        needed,
        count(left, "call"),
    )
    return needed


def _results_so_far(run: RunContext, job: Job) -> pd.DataFrame:
    planned = run.planned
    if planned is None:
        planned = run.checkpoint.plan(run.rows)
    if planned is not None:
        planned = current_states.protected(run, planned, job.protection)
        planned = written_since.without_outdated(run, planned)
        return writing.recorded(run, planned).results(planned)
    states = run.checkpoint.states(current_states.unread(run.rows))
    return early_writes.results_so_far(run, current_states.compare_run(run, states, job))


def _cost_to_come(execution: Execution, ended: StageEnd) -> RemainingCost:
    run = execution.run
    of_change = 0 if run.begun.is_plan else calls_per_change(execution.job.writing)
    elsewhere = run.rest.totals.outcomes.get(Outcome.PENDING, 0)
    calls, most = calls_to_come(ended.rows, elsewhere, ended.reads, of_change)
    return RemainingCost(calls, most, execution.budgets(0))


def _budget_spent(cause: BudgetSpent, to_come: RemainingCost, session: Session) -> BudgetSpent:
    detail, calls = f"{cause} Left to do: {to_come}.", session.client.calls.total
    if calls and not session.has_progressed:
        least = max(calls + 1, session.client.calls.least)
        with_calls = count(calls, "call")
        detail += f" Nothing got further with {with_calls}: give at least {least:,} at once."
    return BudgetSpent(detail)


def _warn_of_limits(run: RunContext, job: Job) -> None:
    settings = run.begun.settings
    for name in LIMITS:
        given = job.record.settings.get(name)
        if name == "max_opt_ins" and job.limits.hold_opt_ins:
            continue  # this one can still let held opt-ins pass
        if given is not None and given != settings.get(name):
            log.warning(
                "--%s %s comes too late: the run has begun to write, and was checked before "
                "that. To write no more of it: bulk-sync resume %s --give-up",
                name.replace("_", "-"),
                given,
                run.run_id,
            )
