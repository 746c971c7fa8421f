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
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import file_digest
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from bulk_sync import lock, report
from bulk_sync.engines.session import Read, Session
from bulk_sync.engines.work import Writes
from bulk_sync.errors import (
    AccessDenied,
    Exit,
    Interrupted,
    Refused,
    StoppedEarly,
    StopRun,
    UsageProblem,
)
from bulk_sync.interrupts import Interrupts
from bulk_sync.ledger import Begun, Ended, Kind, Ledger
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, limits, plan
from bulk_sync.rows.limits import Past
from bulk_sync.rows.plan import Totals
from bulk_sync.rows.steps import Steps
from bulk_sync.runs import day_budget
from bulk_sync.runs.day_budget import DayBudget
from bulk_sync.runs.job import Cost, Finished, Job, Plan, Screen
from bulk_sync.runs.recording import Recording
from bulk_sync.workset import WorkingSet

log = logging.getLogger(__name__)

_NOTHING_READ = Read(None, scanned=False, seconds=0.0)


@dataclass(frozen=True, slots=True)
class Opened:
    """A run that is on disk, and may have got as far as any stage.

    Attributes:
        run_id: its name.
        begun: what it was asked to do.
        stem: what its todo file is called by.
        rows: the judged rows.
        planned: the plan, if it is known already.
        working_set: where it is kept.
        ledger: where its writes are recorded.
        past: finished runs of the same job, for comparison.
        since: position in the ledger after which the word of another run is the later one; None if
            there can be none.
        ancestors: runs whose word it has, which are no others.
        undone: the run whose writes it puts back; None if it does not.
    """

    run_id: str
    begun: Begun
    stem: str
    rows: pd.DataFrame
    planned: pd.DataFrame | None
    working_set: WorkingSet
    ledger: Ledger
    past: Sequence[Past] = ()
    since: int | None = None
    ancestors: frozenset[str] = frozenset()
    undone: str | None = None


def carry_out(run: Opened, job: Job, screen: Screen, interrupts: Interrupts) -> Finished:
    """Tell the story from where the run stands to its end, or as far as it goes.

    Returns:
        What became of it; whatever ended it early is in ``cause``.
    """
    began = time.monotonic()
    budget = day_budget.of(run.ledger, job)
    failures = job.limits.failures(len(run.rows))
    with Session(job.connection, job.pace, screen.tell, failures, budget) as session:
        try:
            rows, cause = _tell(run, job, screen, session, interrupts)
        except Interrupted as stopped:
            interrupts.defer()
            rows, cause = _held(_so_far(run), stopped)
    interrupts.defer()
    return _close(run, job, rows, cause, cost_of(session, began))


def preview(
    rows: pd.DataFrame,
    job: Job,
    screen: Screen,
    past: Sequence[Past],
    budget: DayBudget | None,
) -> tuple[pd.DataFrame, StopRun | None, Cost]:
    """Tell the story up to the plan, without leaving a trace but that of its calls in the budget.

    Returns:
        The plan, why it is not complete (None if it is), and what it took.
    """
    began = time.monotonic()
    failures = job.limits.failures(len(rows))
    with Session(job.connection, job.pace, screen.tell, failures, budget) as session:
        states = Steps.of(len(plan.open_rows(rows)))
        read = session.read(_open_keys(rows), states, job.reading, lambda _: None)
        planned = plan.compare(rows, states)
        if session.cause is not None:
            planned = plan.hold_back(planned, Reason.STOPPED, str(session.cause))
        else:
            screen.show(_reviewed(planned, job, past, session, read, budget))
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


def write_reports(
    rows: pd.DataFrame, paths: Sequence[Path], todo: Path, facts: Mapping[str, str]
) -> tuple[tuple[Path, ...], Path | None, StopRun | None]:
    """Write what was asked for.

    Returns:
        The reports written, the todo file if there is one, and what went wrong.
    """
    written: list[Path] = []
    try:
        for path in paths:
            report.write(rows, path, title=facts)
            written.append(path)
        left = paths and report.write_todo(rows, todo)
    except StopRun as failure:
        log.warning("%s", failure)
        return tuple(written), None, failure
    return tuple(written), todo if left else None, None


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
        states = run.working_set.states(len(plan.open_rows(run.rows)))
        keep = partial(run.working_set.keep_states, reading=states)
        read = session.read(_open_keys(run.rows), states, job.reading, keep)
        planned = plan.compare(run.rows, states)
        if session.cause is not None:
            return _held(planned, session.cause)
        try:
            run.working_set.keep_plan(planned)
        except StoppedEarly as full:
            return _held(planned, full)
    recording = Recording(run.ledger, run.run_id, planned, plan.changes(planned))
    if not recording.has_begun:
        budget = day_budget.of(run.ledger, job)
        reviewed = _reviewed(planned, job, run.past, session, read, budget)
        screen.show(reviewed)
        try:
            if reviewed.refusal is not None:
                raise reviewed.refusal
            if reviewed.totals.changes:
                screen.approve(reviewed)
        except Refused as refused:
            return plan.hold_back(planned, Reason.LIMIT, str(refused)), refused
    interrupts.defer()
    return _write(run, job, session, planned, recording)


def _so_far(run: Opened) -> pd.DataFrame:
    """Tell how far a run got, from what is on the disk."""
    planned = run.planned
    if planned is None:
        planned = run.working_set.plan(run.rows)
    if planned is None:
        return plan.compare(run.rows, run.working_set.states(len(plan.open_rows(run.rows))))
    recording = Recording(run.ledger, run.run_id, planned, plan.changes(planned))
    return plan.settle(planned, recording.steps)


def _write(
    run: Opened, job: Job, session: Session, planned: pd.DataFrame, recording: Recording
) -> tuple[pd.DataFrame, StopRun | None]:
    if not recording.keys:
        return planned, None
    later = _later(run, recording)
    writes = Writes(
        keys=recording.keys,
        desired=recording.desired,
        steps=recording.steps,
        how=job.writing,
        # What a later run had to write had not arrived: what stands there now is that run's.
        in_doubt=recording.in_doubt - later.rewritten,
        forbidden=later.forbidden,
        uncertain=_uncertain(run, recording),
    )
    session.write(writes, recording)
    results = plan.settle(planned, recording.steps)
    if session.cause is None:
        return results, None
    if recording.unrecorded:
        log.warning(
            "%d changes were confirmed by Campaign, but could not be recorded in the ledger: they "
            "are read again before anything else is written.",
            recording.unrecorded,
        )
    cause = session.cause
    if isinstance(cause, UsageProblem):  # which would say that nothing was sent
        cause = StoppedEarly(str(cause))
    return _held(results, cause)


@dataclass(frozen=True, slots=True)
class _Later:
    """What later runs have said of the rows that are still to be written.

    Attributes:
        forbidden: rows that must not be written any more, and why.
        rewritten: those of them that a later run has written since.
    """

    forbidden: Mapping[int, str] = field(default_factory=dict)
    rewritten: frozenset[int] = frozenset()


def _later(run: Opened, recording: Recording) -> _Later:
    """Tell what must not be written any more, because a later run has had the later word.

    That is every key that a later run meant to write. Of the others nobody knows what the later
    file said of them, for what already held was not written: so no opt-out is lifted any more on
    the word of the earlier file, while setting one does no harm.
    """
    if run.since is None:
        return _Later()
    later = [
        each
        for each in run.ledger.runs()
        if each.position > run.since
        and each.run_id not in {run.run_id, *run.ancestors}
        and (each.ended is None or each.ended.exit not in {Exit.REFUSED, Exit.USAGE})
        and is_at(each.begun, run.begun.endpoint, run.begun.organization)
        and each.begun.attribute == run.begun.attribute
    ]
    forbidden: dict[int, str] = {}
    files = [each.run_id for each in later if each.begun.kind in {Kind.RUN, Kind.APPLY}]
    if files and run.undone is None:
        detail = (
            f"Run {files[-1]} has worked on this organization since, so its file has the later "
            "word: no opt-out is lifted any more for this one. Run the file again if that is right."
        )
        forbidden = dict.fromkeys(recording.opt_ins, detail)
    written = run.ledger.keys_of([each.run_id for each in later])
    rewritten = {at: written[key] for at, key in enumerate(recording.keys) if key in written}
    for at, run_id in rewritten.items():
        forbidden[at] = f"Run {run_id} has worked on this profile since."
    return _Later(forbidden, frozenset(rewritten))


def _uncertain(run: Opened, recording: Recording) -> frozenset[int]:
    """Tell for an undo which writes may never have happened: its parent died while they flew."""
    if run.undone is None:
        return frozenset()
    writes = run.ledger.writes(run.undone)
    unknown = {write.intent.key for write in writes if write.settled is None}
    return frozenset(at for at, key in enumerate(recording.keys) if key in unknown)


def _reviewed(
    planned: pd.DataFrame,
    job: Job,
    past: Sequence[Past],
    session: Session,
    read: Read,
    budget: DayBudget | None,
) -> Plan:
    totals = plan.totals(planned)
    each = 1 + job.writing.guarded + job.writing.verify
    calls = session.client.calls
    left_today = None if budget is None else budget.left()
    return Plan(
        rows=planned,
        totals=totals,
        refusal=limits.refusal(planned, job.limits, past),
        calls=calls.total,
        calls_to_come=totals.changes * each,
        max_calls=job.pace.max_calls,
        max_calls_per_day=job.pace.max_calls_per_day,
        left_today=None if left_today is None else left_today + calls.set_aside,
        seconds=read.seconds,
        costs=read.costs,
        scanned=read.scanned,
        rate=job.pace.rate,
    )


def _open_keys(rows: pd.DataFrame) -> list[str]:
    keys: list[str] = rows[columns.KEY].to_numpy()[plan.open_rows(rows)].tolist()
    return keys


def _held(rows: pd.DataFrame, cause: StopRun) -> tuple[pd.DataFrame, StopRun]:
    return plan.hold_back(rows, Reason.STOPPED, str(cause)), cause


def _close(
    run: Opened, job: Job, rows: pd.DataFrame, cause: StopRun | None, cost: Cost
) -> Finished:
    """Write the reports, end the run in the ledger, and keep what may still be asked of it."""
    totals = plan.totals(rows)
    paths = job.reports_of(run.run_id)
    todo = paths[0].with_name(f"{run.stem}.{run.run_id}.todo.csv") if paths else Path()
    written, todo_written, failure = write_reports(rows, paths, todo, _facts(run, totals))
    cause = cause or failure
    # Wrong settings end a run for good only while nothing was found out that would be lost.
    is_wrong = isinstance(cause, UsageProblem | AccessDenied)
    is_final = (
        cause is None
        or isinstance(cause, Refused)
        or (is_wrong and not rows[columns.BEFORE].notna().any())
    )
    finished = Finished(
        run_id=run.run_id,
        rows=rows,
        totals=totals,
        cost=cost,
        cause=cause,
        reports=written,
        todo=todo_written,
        is_resumable=not is_final,
    )
    try:
        has_failed = totals.outcomes.get(Outcome.FAILED, 0)
        if is_final and cause is None and has_failed:
            run.working_set.keep_results(rows)
        head = run.ledger.end(run.run_id, _ended(finished, is_final=is_final))
        if is_final and not has_failed and not isinstance(cause, Refused):
            run.working_set.remove()
    except StopRun as failure:
        log.warning("%s", failure)
        return replace(finished, cause=cause or failure, is_resumable=True)
    return replace(finished, head=head)


def _ended(finished: Finished, *, is_final: bool) -> Ended:
    return Ended(
        exit=int(finished.exit),
        message="" if finished.cause is None else str(finished.cause),
        final=is_final,
        outcomes=finished.totals.outcomes,
        opt_ins=finished.totals.opt_ins,
        opt_outs=finished.totals.opt_outs,
        calls=finished.cost.calls,
        seconds=round(finished.cost.seconds, 3),
        reports={str(path): digest(path) for path in finished.reports},
    )


def digest(path: Path) -> str:
    """Tell the SHA-256 of a file."""
    with path.open("rb") as file:
        return file_digest(file, "sha256").hexdigest()


def is_at(begun: Begun, endpoint: str, organization: str) -> bool:
    """Tell whether a run works on this instance, however its endpoint is spelled."""
    same = lock.place(begun.endpoint) == lock.place(endpoint)
    return same and begun.organization == organization


def _facts(run: Opened, totals: Totals) -> Mapping[str, str]:
    """Say what a report is of, for formats that have room for it."""
    return {
        "Run": run.run_id,
        "Kind": run.begun.kind,
        "Input": run.begun.input,
        "Input SHA-256": run.begun.input_sha256,
        "Endpoint": run.begun.endpoint,
        "Organization": run.begun.organization,
        "Attribute": run.begun.attribute,
        "Operator": run.begun.operator,
        "Rows": str(totals.rows),
    }
