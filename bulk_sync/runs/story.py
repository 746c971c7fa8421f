"""The straight line of every run, whatever command it came from and wherever it goes on.

    judged rows --GET--> current states --compare--> plan
    plan --show, limits, approve--> intents --PATCH--> outcomes --settle--> results --> report

Everything is read and compared before anything is written, so a preview, a refusal and an
interrupted run are the same story told less far; and one that is resumed takes up the thread at
what the working set and the ledger hold.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType

import pandas as pd

from bulk_sync.engines.finding import Finder
from bulk_sync.engines.journal import NO_BOOKMARK, Bookmark, Record
from bulk_sync.engines.reading import Read, Sought
from bulk_sync.engines.session import Session
from bulk_sync.engines.work import Writes
from bulk_sync.errors import Interrupted, Refused, StoppedEarly, StopRun, UsageProblem
from bulk_sync.interrupts import Interrupts
from bulk_sync.ledger import Kind
from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns, creating, limits, matched, newer, plan
from bulk_sync.rows.limits import Past
from bulk_sync.rows.newer import LastWrites, Request
from bulk_sync.rows.steps import Steps
from bulk_sync.rows.texts import Texts
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import day_budget, ending, later, precedence
from bulk_sync.runs.day_budget import DayBudget
from bulk_sync.runs.job import Cost, Finished, Job, Plan, Screen
from bulk_sync.runs.opened import Opened
from bulk_sync.runs.plan_file import LIMITS
from bulk_sync.runs.recording import Recording
from bulk_sync.settings import KeyKind, Oddity

log = logging.getLogger(__name__)

_NOTHING_READ = Read(None, paged=False, looked_up=0, seconds=0.0)


def carry_out(run: Opened, job: Job, screen: Screen, interrupts: Interrupts) -> Finished:
    """Tell the story from where the run stands to its end, or as far as it goes.

    Returns:
        What became of it; whatever ended it early is in ``cause``.
    """
    began = time.monotonic()
    budget = day_budget.of(run.ledger, job)
    failures = job.limits.failures(len(run.rows))
    if run.begun.kind == Kind.RETRY:  # all its rows have failed before
        failures = replace(failures, lost=None)
    with Session(job.connection, job.pace, screen.tell, failures, budget) as session:
        try:
            rows, cause = _tell(run, job, screen, session, interrupts)
        except Interrupted as stopped:
            interrupts.defer()
            rows, cause = _held(_so_far(run, job), stopped)
    interrupts.defer()
    return ending.of(run, job, rows, cause, cost_of(session, began))


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
        states = _unread(rows, job)
        read = _read(rows, states, job, session, lambda _: None, NO_BOOKMARK)
        planned = _compared(rows, states, job, last_writes)
        if session.cause is not None:
            planned = plan.hold_back(planned, Reason.STOPPED, str(session.cause))
        else:
            reviewed = _reviewed(planned, job, past, session, read, budget)
            # Who carries a plan out reads only what is to be written; a run begins anew.
            before = 1 if job.writing.guarded else reviewed.calls
            screen.show(replace(reviewed, calls_before=before))
    return planned, session.cause, cost_of(session, began)


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


def _tell(
    run: Opened, job: Job, screen: Screen, session: Session, interrupts: Interrupts
) -> tuple[pd.DataFrame, StopRun | None]:
    """Read, compare, show, judge, ask, write: as far as it goes, and why no further."""
    planned, read = run.planned, _NOTHING_READ
    if planned is None:
        cut_off = limits.cut_off(len(run.rows), job.limits, run.past)
        if cut_off is not None:
            unread = plan.compare(run.rows, Steps.of(len(plan.open_rows(run.rows))))
            return plan.hold_back(unread, Reason.LIMIT, str(cut_off)), cut_off
        states = _known(run, job)
        keep = partial(run.working_set.keep_states, reading=states)
        read = _read(run.rows, states, job, session, keep, run.working_set)
        planned = _compared(
            run.rows, states, job, precedence.of(run.ledger, job.state, job.connection)
        )
        if session.cause is not None:
            return _held(planned, session.cause)
        try:
            run.working_set.keep_plan(planned)
        except StoppedEarly as full:
            return _held(planned, full)
    recording = Recording(run.ledger, run.run_id, planned, plan.writes(planned))
    if not recording.has_begun:
        budget = day_budget.of(run.ledger, job)
        reviewed = _reviewed(planned, job, run.past, session, read, budget)
        screen.show(reviewed)
        try:
            if reviewed.refusal is not None:
                raise reviewed.refusal
            if reviewed.totals.writes:
                screen.approve(reviewed)
        except Refused as refused:
            return plan.hold_back(planned, Reason.LIMIT, str(refused)), refused
    else:
        _warn_of_limits(run, job)
    interrupts.defer()
    return _write(run, job, session, planned, recording)


def _warn_of_limits(run: Opened, job: Job) -> None:
    """Say that limits which are new come too late for a run that has begun to write."""
    for name in LIMITS:
        given = job.settings.get(name)
        if given is not None and given != run.begun.settings.get(name):
            log.warning(
                "--%s %s comes too late: the run has begun to write, and was judged before "
                "that. To write no more of it: bulk-sync resume %s --give-up",
                name.replace("_", "-"),
                given,
                run.run_id,
            )


def _read(
    rows: pd.DataFrame,
    states: Steps,
    job: Job,
    session: Session,
    keep: Record,
    bookmark: Bookmark,
) -> Read:
    """Read the states that are not known yet, and return what it cost."""
    keys = Texts(rows[columns.KEY], plan.open_rows(rows))
    if job.keys.kind is KeyKind.PKEY:
        tries_keys = Oddity.UNKNOWN_KEYS not in job.limits.allowed
        how = replace(job.reading, tries_keys=tries_keys)
        return session.read(keys, states, how, keep, bookmark)
    made = None if job.creating is None else tuple(name for name, _ in job.creating.fields)
    sought = Sought(job.keys, created_with=made)
    return session.find(keys, states, job.reading, keep, sought)


def _compared(rows: pd.DataFrame, states: Steps, job: Job, last_writes: LastWrites) -> pd.DataFrame:
    """Compare, as far as states are known; a row per profile if keys are no PKeys."""
    if states.found is None:
        return plan.compare(rows, states, last_writes)
    rows, states = matched.parted(
        rows, states, on_ambiguous=job.keys.on_ambiguous, on_conflict=job.on_conflict
    )
    planned = plan.compare(rows, states, last_writes)
    if job.creating is None:
        return planned
    return creating.planned(planned, job.creating, job.keys, job.connection.attribute)


def _unread(rows: pd.DataFrame, job: Job) -> Steps:
    """Make room for what is to be read."""
    count = len(plan.open_rows(rows))
    if job.keys.kind is KeyKind.PKEY:
        return Steps.of(count, stamped=columns.LATEST in rows)
    return Steps.of_finding(count)


def _known(run: Opened, job: Job) -> Steps:
    """Tell what a run has read so far."""
    count = len(plan.open_rows(run.rows))
    if job.keys.kind is KeyKind.PKEY:
        return run.working_set.states(count, stamped=columns.LATEST in run.rows)
    return run.working_set.finding(count)


def _so_far(run: Opened, job: Job) -> pd.DataFrame:
    """Tell how far a run got, from what is on the disk."""
    planned = run.planned
    if planned is None:
        planned = run.working_set.plan(run.rows)
    if planned is None:
        last_writes = precedence.of(run.ledger, job.state, job.connection)
        return _compared(run.rows, _known(run, job), job, last_writes)
    recording = Recording(run.ledger, run.run_id, planned, plan.writes(planned))
    recording.leave_in_doubt(recording.in_doubt)
    return plan.settle(planned, recording.steps)


def _write(
    run: Opened, job: Job, session: Session, planned: pd.DataFrame, recording: Recording
) -> tuple[pd.DataFrame, StopRun | None]:
    if not recording.keys:
        return planned, None
    requests = _requests(planned)
    last_writes = precedence.of(run.ledger, job.state, job.connection)
    since = later.of(run, recording, requests, last_writes)
    if run.planned is None:  # which was compared just now
        requests = {}
    elif not job.writing.guarded:
        looked_at = {*recording.opt_ins, *since.overruled}
        requests = {at: requests[at] for at in looked_at if at in requests}
    writes = Writes(
        keys=recording.keys,
        desired=recording.desired,
        steps=recording.steps,
        how=job.writing,
        # What a later run had to write had not arrived: what stands there now is that run's.
        in_doubt=recording.in_doubt - since.rewritten,
        forbidden=since.forbidden,
        uncertain=later.uncertain(run, recording),
        requests=requests,
        written=later.written(last_writes, recording, requests),
        bodies=recording.bodies,
        finder=Finder(job.keys, job.connection.attribute, is_wary=True),
        looks_first=run.planned is not None,
        began=time.monotonic(),
    )
    session.write(writes, recording)
    recording.leave_in_doubt(at for at in recording.steps.open() if writes.may_have_arrived(at))
    results = plan.settle(planned, recording.steps)
    if session.cause is None:
        return results, None
    if recording.unrecorded:
        log.warning(
            "%d changes were confirmed by Campaign, but could not be recorded in the ledger: they "
            "are read again before anything else is written.",
            recording.unrecorded,
        )
    return _held(results, session.cause, was_sent=bool(writes.sent) or recording.has_begun)


def _requests(planned: pd.DataFrame) -> Mapping[int, Request]:
    """Return when each write was asked for, if that is judged; undated ones are left out.

    A choice may have been made in Campaign since the writes were planned. An apply reads every
    profile again and looks for that. A resumed run reads a profile for an opt-in, which lifts an
    opt-out, and where it overrules the write of a later run.
    """
    if columns.LATEST not in planned:
        return {}
    found = enumerate(newer.requests(planned, plan.writes(planned)))
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
    each = 1 + job.writing.guarded + job.writing.verify
    calls = session.client.calls
    left_today = None if budget is None else budget.left()
    return Plan(
        rows=matched.joined(planned),
        totals=totals,
        refusal=limits.refusal(planned, job.limits, past),
        calls=calls.total,
        calls_to_come=totals.writes * each,
        calls_before=0,
        max_calls=job.pace.max_calls,
        max_calls_per_day=job.pace.max_calls_per_day,
        left_today=None if left_today is None else left_today + calls.set_aside,
        seconds=read.seconds,
        costs=read.costs,
        paged=read.paged,
        looked_up=read.looked_up,
        rate=job.pace.rate,
        quickest_s=session.client.pacer.latency.quantile(0),
        most_in_flight=job.pace.concurrency or job.pace.most_in_flight,
    )


def _held(
    rows: pd.DataFrame, cause: StopRun, *, was_sent: bool = False
) -> tuple[pd.DataFrame, StopRun]:
    """Leave the rows that were not tried pending, and return why.

    Args:
        rows: what became of every row.
        cause: what ended the run.
        was_sent: whether a request that writes was sent.
    """
    has_begun = was_sent or rows[columns.BEFORE].notna().any()
    if isinstance(cause, UsageProblem) and has_begun:  # which would say that nothing was sent
        cause = StoppedEarly(str(cause))
    return plan.hold_back(rows, Reason.STOPPED, str(cause)), cause
