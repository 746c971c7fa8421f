"""The straight line of every run, whatever command it came from and wherever it goes on.

    judged rows --GET--> current states --compare--> plan
    plan --show, limits, approve--> intents --PATCH--> outcomes --settle--> results --> report

Everything is read and compared before anything is written, so a preview, a refusal and an
interrupted run are the same story told less far; and one that is resumed takes up the thread at
what the working set and the ledger hold. Only opt-outs that are known to be due are written before
that: where a budget does not cover looking up the rest too, and no limit can be passed any more.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
import pandas as pd

from bulk_sync.engines.current import NO_CHECKPOINT, Checkpoint, PKeys, Producer, Read, StateReader
from bulk_sync.engines.decide import READ_FIRST
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.session import Session
from bulk_sync.engines.write import Writes
from bulk_sync.errors import (
    BudgetSpent,
    BudgetTooSmall,
    Interrupted,
    Refused,
    StoppedEarly,
    StopRun,
    UsageProblem,
)
from bulk_sync.ledger import Kind
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, expand, new_profiles, plan_limits, request_order
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.plan_limits import Past
from bulk_sync.rows.request_order import LastWrites, Request
from bulk_sync.rows.results import Steps
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import day_budget, precedence
from bulk_sync.runs.day_budget import DayBudget
from bulk_sync.runs.finish import finish_run
from bulk_sync.runs.job import Job
from bulk_sync.runs.plan_file import LIMITS
from bulk_sync.runs.remaining_cost import (
    Budgets,
    RemainingCost,
    calls_per_change,
    check_budget,
)
from bulk_sync.runs.review import Cost, Finished, Forecast, Plan, Screen
from bulk_sync.runs.run_context import RunContext
from bulk_sync.runs.write_records import Recording
from bulk_sync.settings import KeyKind, Oddity, Writing
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)

_NOTHING_READ = Read(None, paged=False, looked_up=0, seconds=0.0)


def carry_out(run: RunContext, job: Job, screen: Screen, interrupts: Interrupts) -> Finished:
    """Tell the story from where the run stands to its end, or as far as it goes.

    Returns:
        What became of it; whatever ended it early is in ``cause``.
    """
    began = time.monotonic()
    budget = day_budget.budget_of(run.ledger, job)
    failures = job.limits.failures(len(run.rows))
    if run.begun.kind == Kind.RETRY:  # all its rows have failed before
        failures = replace(failures, lost=None)
    is_plan = run.begun.kind is Kind.PLAN
    with Session(job.connection, job.pace, screen.tell, failures, budget) as session:
        try:
            check_budget(job.pace, job.connection, Writing() if is_plan else job.writing)
            ended = _tell(run, job, screen, session, interrupts)
        except (Interrupted, BudgetTooSmall) as stopped:
            interrupts.defer()
            ended = _held(_so_far(run, job), stopped)
        is_idle = not session.has_progressed
    interrupts.defer()
    cost = replace(cost_of(session, began), needed=ended.needed)
    if isinstance(ended.cause, BudgetSpent):
        to_come = _to_come(ended, job, budget, is_plan=is_plan)
        cost = replace(cost, to_come=to_come)
        said = f"{ended.cause} Left to do: {to_come}."
        calls = session.client.calls.total
        if is_idle and calls:
            said += f" Nothing got further with {calls} calls: give at least {calls + 1} at once."
        ended = ended._replace(cause=BudgetSpent(said))
    return finish_run(run, job, ended.rows, ended.cause, cost)


def preview(
    rows: pd.DataFrame,
    job: Job,
    screen: Screen,
    past: Sequence[Past],
    budget: DayBudget | None,
    last_writes: LastWrites,
) -> tuple[pd.DataFrame, StopRun | None, Cost]:
    """Tell the story up to the plan, without leaving a trace but that of its calls in the budget.

    Returns:
        The plan, why it is not complete (None if it is), and what it took.
    """
    began = time.monotonic()
    failures = job.limits.failures(len(rows))
    with Session(job.connection, job.pace, screen.tell, failures, budget) as session:
        states = _unread(rows)
        stages = _stages(rows, states, job, session, NO_CHECKPOINT)
        for stage in (stages.begin, stages.scan, stages.look_up):
            session.run(stage())
        planned = _compared(rows, states, job, last_writes)
        if session.cause is not None:
            planned = comparison.hold_back(planned, Reason.STOPPED, str(session.cause))
        else:
            reviewed = _reviewed(planned, job, past, session, stages.read(), budget)
            screen.show(_to_be_carried_out(reviewed, job))
    return planned, session.cause, cost_of(session, began)


def _to_be_carried_out(reviewed: Plan, job: Job) -> Plan:
    """Return a plan with the calls that reading again takes before it is carried out."""
    # ``apply`` reads only what is to be written; a run begins anew.
    calls_before = 1 if job.writing.guarded else reviewed.forecast.calls
    return replace(reviewed, forecast=reviewed.forecast.of_preview(calls_before))


def cost_of(session: Session, began: float) -> Cost:
    """Tell what a session cost since a time of the monotonic clock."""
    calls, pacer = session.client.calls, session.client.pacer
    half, most = pacer.latency.quantile(0.5), pacer.latency.quantile(0.95)
    return Cost(
        calls=MappingProxyType(dict(calls.by_method)),
        answers=MappingProxyType(dict(calls.by_status)),
        seconds=time.monotonic() - began,
        working_s=session.working_s,
        held_s=MappingProxyType(dict(pacer.held_s)),
        latency_s=None if half is None or most is None else (half, most),
    )


class _Ended(NamedTuple):
    """How far a run got.

    Attributes:
        rows: every row of the input.
        cause: why it got no further; None if it did.
        reads: calls that reading still takes, if that is known.
        needed: what reading was forecast to take, if a budget does not cover it.
    """

    rows: pd.DataFrame
    cause: StopRun | None
    reads: int | None = None
    needed: RemainingCost | None = None


def _tell(
    run: RunContext, job: Job, screen: Screen, session: Session, interrupts: Interrupts
) -> _Ended:
    """Read, compare, show, judge, ask, write: as far as it goes, and why no further."""
    planned, read, needed = run.planned, _NOTHING_READ, None
    if planned is None:
        ended, read = _read(run, job, screen, session)
        if ended.cause is not None or run.begun.kind is Kind.PLAN:
            return ended
        planned, needed = ended.rows, ended.needed
    early = run.working_set.early()
    recording = Recording(run.ledger, run.run_id, planned, comparison.writes(planned), early)
    if not recording.has_begun:
        budget = day_budget.budget_of(run.ledger, job)
        reviewed = _reviewed(planned, job, run.past, session, read, budget)
        screen.show(reviewed)
        try:
            if reviewed.refusal is not None:
                raise reviewed.refusal
            if reviewed.totals.writes:
                screen.approve(reviewed)
        except Refused as refused:
            if early:
                refused = _nothing_more(refused, len(early))
            left = _as_far_as_written(run, planned)
            return _Ended(comparison.hold_back(left, Reason.LIMIT, str(refused)), refused)
    else:
        _warn_of_limits(run, job)
    interrupts.defer()
    return _write(run, job, session, planned, recording)._replace(needed=needed)


def _read(run: RunContext, job: Job, screen: Screen, session: Session) -> tuple[_Ended, Read]:
    """Read what is not known yet, and compare; show the plan if it is to be no more than that."""
    is_plan = run.begun.kind is Kind.PLAN
    cut_off = None if is_plan else plan_limits.cut_off(len(run.rows), job.limits, run.past)
    if cut_off is not None:
        unread = comparison.compare(run.rows, Steps.of(len(comparison.open_rows(run.rows))))
        return _Ended(
            comparison.hold_back(unread, Reason.LIMIT, str(cut_off)), cut_off
        ), _NOTHING_READ
    budget, states = day_budget.budget_of(run.ledger, job), _known(run)
    was_known = bool(states.attempts.any())
    stages = _stages(run.rows, states, job, session, run.working_set)
    session.run(stages.begin())
    needed = _forecast(stages, job, session, budget)
    session.run(stages.scan())
    refused = None
    if not is_plan and (was_known or stages.pages):
        refused = _write_early(run, job, screen, session, states, stages)
    if refused is None:
        session.run(stages.look_up())
    read, planned = stages.read(), _compared_of(run, states, job)
    cause = session.cause or refused
    try:
        if cause is None and is_plan:
            reviewed = _reviewed(planned, job, run.past, session, read, budget)
            screen.show(_to_be_carried_out(reviewed, job))
        elif cause is None:
            run.working_set.keep_plan(planned)
    except StoppedEarly as full:
        cause = full
    if cause is None:
        return _Ended(planned, None, needed=needed), read
    held = _held(_as_far_as_written(run, planned), cause)
    return held._replace(reads=stages.calls_left, needed=needed), read


def _nothing_more(refused: Refused, early: int) -> Refused:
    """Return a refusal that does not deny what was written before everything was read."""
    said = str(refused).removeprefix("Nothing was written: ")
    return Refused(
        f"Nothing more was written than the {early:,} opt-outs that were due first: {said}",
        refused.option,
    )


def _forecast(
    stages: StateReader, job: Job, session: Session, budget: DayBudget
) -> RemainingCost | None:
    """Log what reading takes if the budget does not cover it, and return it."""
    left, calls = session.run(session.client.calls.left()), stages.calls_left
    if left is None or calls <= left or session.cause is not None:
        return None
    today = budget.left()
    set_aside = session.client.calls.set_aside
    left_today = None if today is None else today + set_aside
    budgets = Budgets(job.pace.max_calls, job.pace.max_calls_per_day, left, left_today)
    needed = RemainingCost(calls, calls, budgets)
    log.warning(
        "Reading the current states takes %s. The budget leaves %s calls now; what is read is "
        "kept, and `bulk-sync resume` goes on with it.",
        needed.in_all(),
        f"{left:,}",
    )
    return needed


def _write_early(
    run: RunContext,
    job: Job,
    screen: Screen,
    session: Session,
    states: Steps,
    stages: StateReader,
) -> Refused | None:
    """Write the opt-outs that are known to be due if the budget does not cover the rest as well.

    Only if no limit can be passed however the rows turn out that are not read yet; and a person
    is asked as before any other write.

    Returns:
        Why nothing was written; None if the run may go on.
    """
    left = session.run(session.client.calls.left())
    if left is None or session.cause is not None or not stages.calls_left:
        return None
    compared = _compared_of(run, states, job)
    due = comparison.opt_outs(compared)
    early = comparison.narrowed(compared, due)
    recording = Recording(run.ledger, run.run_id, early, due, run.working_set.early())
    writes = len(recording.steps.open())
    if not writes or left >= stages.calls_left + writes * calls_per_change(job.writing):
        return None
    # Another key may turn out to stand for the same profile, and to say otherwise.
    unread = columns.have_outcome(compared, [Outcome.PENDING])
    is_certain = (
        not expand.may_share_profiles(compared)
        or not (columns.state_codes(compared[columns.DESIRED])[unread] == 0).any()
    )
    if not (is_certain and plan_limits.passes_however(compared, job.limits, run.past)):
        log.info(
            "%d opt-outs are due, and wait until everything is read: a limit depends on the rest",
            writes,
        )
        return None
    log.warning(
        "The budget leaves %d calls, and the %d keys that are left take %d: %d opt-outs that are "
        "known to be due are written first",
        left,
        int(unread.sum()),
        stages.calls_left,
        writes,
    )
    budget = day_budget.budget_of(run.ledger, job)
    reviewed = _reviewed(early, job, run.past, session, stages.read(), budget)
    to_come = reviewed.forecast.calls_to_come + stages.calls_left
    forecast = replace(reviewed.forecast, calls_to_come=to_come)
    try:
        screen.show(replace(reviewed, forecast=forecast, refusal=None))
        screen.approve(reviewed)
        run.working_set.keep_early([recording.keys[at] for at in range(len(recording.keys))])
    except Refused as refused:
        return refused
    except StoppedEarly as full:
        session.stop(full)
        return None
    _write(run, job, session, early, recording)
    return None


def _as_far_as_written(run: RunContext, planned: pd.DataFrame) -> pd.DataFrame:
    """Return a plan with what became of the writes that were made before it was complete."""
    early = run.working_set.early()
    if not early:
        return planned
    recorded = {write.intent.key for write in run.ledger.writes(run.run_id)}
    positions = comparison.writes(planned)
    keys = Texts(columns.profiles(planned), positions)
    made = positions[[key in recorded for key in keys]]
    narrowed = comparison.narrowed(planned, made)
    recording = Recording(run.ledger, run.run_id, narrowed, made, early)
    recording.leave_in_doubt(recording.in_doubt)
    return comparison.settle(narrowed, recording.steps)


def _to_come(ended: _Ended, job: Job, budget: DayBudget, *, is_plan: bool) -> RemainingCost:
    """Return what is left to spend on the rows that wait."""
    rows = ended.rows
    waits = columns.have_outcome(rows, [Outcome.PENDING])
    is_read = rows[columns.BEFORE].notna().to_numpy()
    if columns.CREATE in rows:
        is_read = is_read | (rows[columns.CREATE].to_numpy() != "")
    unread = int(np.count_nonzero(waits & ~is_read))
    of_change = 0 if is_plan else calls_per_change(job.writing)
    reads = unread if ended.reads is None else min(unread, ended.reads)
    calls = reads + of_change * int(np.count_nonzero(waits & is_read))
    budgets = Budgets(job.pace.max_calls, job.pace.max_calls_per_day, 0, budget.left())
    return RemainingCost(calls, calls + of_change * unread, budgets)


def _warn_of_limits(run: RunContext, job: Job) -> None:
    """Say that limits which are new come too late for a run that has begun to write."""
    for name in LIMITS:
        given = job.record.settings.get(name)
        if given is not None and given != run.begun.settings.get(name):
            log.warning(
                "--%s %s comes too late: the run has begun to write, and was judged before "
                "that. To write no more of it: bulk-sync resume %s --give-up",
                name.replace("_", "-"),
                given,
                run.run_id,
            )


def _stages(
    rows: pd.DataFrame,
    states: Steps,
    job: Job,
    session: Session,
    checkpoint: Checkpoint,
) -> StateReader:
    """Return the stages of reading the states that are not known yet."""
    keys = Texts(rows[columns.KEY], comparison.open_rows(rows))
    return session.reading(keys, states, job.reading, _producer(rows, job), checkpoint)


def _producer(rows: pd.DataFrame, job: Job) -> Producer:
    """Return what gets from the job's keys to the states of their profiles."""
    attribute, matching = job.connection.attribute, job.matching
    if matching.keys.kind is KeyKind.PKEY:
        tries_keys = Oddity.UNKNOWN_KEYS not in job.limits.allowed
        return PKeys(attribute, columns.LATEST in rows, tries_keys)
    is_wary = matching.creating is not None
    fields = () if matching.creating is None else [name for name, _ in matching.creating.fields]
    return Resolver(matching.keys, attribute, is_wary=is_wary, created_with=fields)


def _compared_of(run: RunContext, states: Steps, job: Job) -> pd.DataFrame:
    """Compare what a run has read; what it has written itself counts as it stood before that."""
    _put_back(run, states)
    last_writes = precedence.last_writes(run.ledger, job.state, job.connection, besides=run.run_id)
    return _compared(run.rows, states, job, last_writes)


def _put_back(run: RunContext, states: Steps) -> None:
    """Restore the earlier state of profiles that the run has written early.

    If they were read again since, they show the run's own write, and the time of that.
    """
    if not run.working_set.early():
        return
    intents = (write.intent for write in run.ledger.writes(run.run_id))
    before = {each.key: each.before for each in intents if each.before is not None}
    states.put_back(Texts(run.rows[columns.KEY], comparison.open_rows(run.rows)), before)


def _compared(rows: pd.DataFrame, states: Steps, job: Job, last_writes: LastWrites) -> pd.DataFrame:
    """Compare, as far as states are known; a row per profile if keys are no PKeys."""
    keys, creating = job.matching.keys, job.matching.creating
    rows, states = expand.expand(rows, states, keys, job.matching.on_conflict)
    planned = comparison.compare(rows, states, last_writes)
    if creating is None:
        return planned
    return new_profiles.planned(planned, creating, keys, job.connection.attribute)


def _unread(rows: pd.DataFrame) -> Steps:
    """Make room for what is to be read."""
    return Steps.of(len(comparison.open_rows(rows)), stamped=columns.LATEST in rows)


def _known(run: RunContext) -> Steps:
    """Tell what a run has read so far."""
    return run.working_set.states(_unread(run.rows))


def _so_far(run: RunContext, job: Job) -> pd.DataFrame:
    """Tell how far a run got, from what is on the disk."""
    planned = run.planned
    if planned is None:
        planned = run.working_set.plan(run.rows)
    if planned is None:
        return _as_far_as_written(run, _compared_of(run, _known(run), job))
    early = run.working_set.early()
    recording = Recording(run.ledger, run.run_id, planned, comparison.writes(planned), early)
    recording.leave_in_doubt(recording.in_doubt)
    return comparison.settle(planned, recording.steps)


def _write(
    run: RunContext, job: Job, session: Session, planned: pd.DataFrame, recording: Recording
) -> _Ended:
    if not recording.keys:
        return _Ended(planned, None)
    requests = _requests(planned)
    last_writes = precedence.last_writes(run.ledger, job.state, job.connection)
    since = precedence.superseded(run, recording, requests, last_writes)
    if run.planned is None:  # which was compared just now
        requests = {}
    elif not job.writing.guarded:
        looked_at = {*recording.opt_ins, *since.overruled}
        requests = {at: requests[at] for at in looked_at if at in requests}
    writes = Writes(
        keys=recording.keys,
        desired=recording.desired,
        steps=recording.steps,
        verify=job.writing.verify,
        cares=recording.cares(
            # What a later run had to write had not arrived: what stands there now is that run's.
            in_doubt=recording.in_doubt - since.rewritten,
            forbidden=since.forbidden,
            uncertain=precedence.uncertain(run, recording),
            requests=requests,
            written=precedence.own_writes(last_writes, recording, requests),
            read_first=job.writing.guarded,
            find_first=run.planned is not None,
        ),
        usual=READ_FIRST if job.writing.guarded else None,
        finder=Resolver(job.matching.keys, job.connection.attribute, is_wary=True),
    )
    session.write(writes, recording)
    recording.leave_in_doubt(at for at in recording.steps.open() if writes.may_have_arrived(at))
    results = comparison.settle(planned, recording.steps)
    if session.cause is None:
        return _Ended(results, None)
    if recording.unrecorded:
        log.warning(
            "%d changes were confirmed by Campaign, but could not be recorded in the ledger: they "
            "are read again before anything else is written.",
            recording.unrecorded,
        )
    return _held(results, session.cause, was_sent=writes.has_sent or recording.has_begun)


def _requests(planned: pd.DataFrame) -> Mapping[int, Request]:
    """Return when each write was asked for, if that is judged; undated ones are left out.

    A choice may have been made in Campaign since the writes were planned. An apply reads every
    profile again and looks for that. A resumed run reads a profile for an opt-in, which lifts an
    opt-out, and where it overrules the write of a later run.
    """
    if columns.LATEST not in planned:
        return {}
    found = enumerate(request_order.requests(planned, comparison.writes(planned)))
    return {at: request for at, request in found if request is not None}


def _reviewed(
    planned: pd.DataFrame,
    job: Job,
    past: Sequence[Past],
    session: Session,
    read: Read,
    budget: DayBudget | None,
) -> Plan:
    totals = Totals.of(planned)
    calls = session.client.calls
    left_today = None if budget is None else budget.left()
    forecast = Forecast(
        read=read,
        calls=calls.total,
        calls_to_come=totals.writes * calls_per_change(job.writing),
        calls_before=0,
        budgets=Budgets(
            job.pace.max_calls,
            job.pace.max_calls_per_day,
            left_now=max(0, (job.pace.max_calls or 0) - calls.total),
            left_today=None if left_today is None else left_today + calls.set_aside,
        ),
        rate=job.pace.rate,
        quickest_s=session.client.pacer.latency.quantile(0),
        most_in_flight=job.pace.concurrency or job.pace.most_in_flight,
    )
    refusal = plan_limits.refusal(planned, job.limits, past)
    return Plan(expand.collapse(planned), totals, refusal, forecast)


def _held(rows: pd.DataFrame, cause: StopRun, *, was_sent: bool = False) -> _Ended:
    """Leave the rows that were not tried pending, and return why.

    Args:
        rows: what became of every row.
        cause: what ended the run.
        was_sent: whether a request that writes was sent.
    """
    has_begun = was_sent or rows[columns.BEFORE].notna().any()
    if isinstance(cause, UsageProblem) and has_begun:  # which would say that nothing was sent
        cause = StoppedEarly(str(cause))
    return _Ended(comparison.hold_back(rows, Reason.STOPPED, str(cause)), cause)
