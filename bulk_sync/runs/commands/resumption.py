"""``resume``: finishes an interrupted run from its checkpoint, or gives it up for good."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

from bulk_sync import ledger
from bulk_sync.amounts import count
from bulk_sync.engines.session import Session
from bulk_sync.errors import Exit, Interrupted, UsageProblem
from bulk_sync.ledger import Begun, Ended, Kind, Ledger, Run, Settled, Write
from bulk_sync.outcomes import CONFIRMED, Outcome, Reason
from bulk_sync.rows import request_order
from bulk_sync.rows.results import Steps
from bulk_sync.runs.history import lineage, progress
from bulk_sync.runs.history.exclusion import working_alone, working_on_plan
from bulk_sync.runs.history.past_runs import (
    NothingLeft,
    find_run,
    may_pass,
    was_stopped,
    without_checkpoint,
)
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept import checkpoint_place, kept_rows, large_input, plan_file, write_records
from bulk_sync.runs.kept.plan_file import OUT
from bulk_sync.runs.stages import pipeline
from bulk_sync.runs.stages.begin import check_files
from bulk_sync.runs.stages.review import Finished, Screen
from bulk_sync.runs.stages.validation import files_of
from bulk_sync.runs.terms import day_budget
from bulk_sync.runs.terms.job import Job
from bulk_sync.settings import Fetch, Reading, State
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)


_PATIENCE_S: Final = 30.0
"""How long each profile of a run that is given up may take: it can be given up offline."""


class CannotResume(UsageProblem):
    """Something about one run hinders it; other runs may go on."""


def resume(job: Job, run_id: str, screen: Screen) -> Finished:
    """Finish an interrupted run, or one that may pass a limit now.

    Raises:
        NothingLeft: it is finished.
        CannotResume: something about this run hinders it.
        StopRun: it cannot go on.
    """
    with Interrupts() as interrupts, _working_on(job, run_id) as book:
        run = book.run(run_id)
        if run.is_finished and not may_pass(job.record.state, run):
            why = ": it was given up" if run.is_given_up else ""
            if was_stopped(run) and not why:
                why = ": the same was begun anew since, or its checkpoint is not kept any more"
            raise NothingLeft(f"There is nothing to resume{why}.", run)
        if out := run.begun.settings.get(OUT):
            with _hindering(run):
                plan_file.check_older(Path(out), run)
        return continue_run(book, job, run, screen, interrupts)


def continue_run(
    book: Ledger, job: Job, run: Run, screen: Screen, interrupts: Interrupts
) -> Finished:
    """Read a run from its checkpoint, and take it to its end.

    A job without reports writes those of the run.

    Raises:
        UsageProblem: its checkpoint is not here, or cannot be used.
        CannotResume: a report, or the plan, cannot go where it is to go.
    """
    context = _from_checkpoint(book, job, run)
    if not job.record.reports:
        reports = tuple(run.begun.settings.get("report", ()))
        job = replace(job, record=replace(job.record, reports=reports))
    out = run.begun.settings.get(OUT)
    with _hindering(run):
        check_files(job, run.run_id, files_of(run.begun))
        if out:
            plan_file.check_place(Path(out), job.record.reports_of(run.run_id))
    log.info("Resuming run %s", run.run_id)
    if run.is_finished and run.ended is not None:  # a limit stopped it
        reopened = replace(run.ended, exit=int(Exit.STOPPED_EARLY), final=False)
        book.end(run.run_id, replace(reopened, calls={}, seconds=0.0, message="Resumed."))
    if run.begun.kind in {Kind.APPLY, Kind.UNDO} or out:
        job = job.guarded()
    if run.begun.parent is not None:
        job = job.with_any_oddity()
    return pipeline.carry_out(context, job, screen, interrupts)


def abandon(job: Job, run_id: str, screen: Screen) -> str:
    """Give an interrupted run up: what it wrote stays, and nothing more is written.

    Writes in flight when its process died are read again for the ledger; if they cannot be read,
    they stay in doubt there.

    Returns:
        What stays, as a sentence.

    Raises:
        NothingLeft: it is finished.
        Interrupted: a signal came while profiles were read.
    """
    with Interrupts(), _working_on(job, run_id) as book:
        run = book.run(run_id)
        if run.is_finished and not may_pass(job.record.state, run):
            raise NothingLeft("There is nothing to give up.", run)
        in_flight = [write for write in book.writes(run_id) if write.settled is None]
        known = _read_again(book, job.by_pkey(), run_id, in_flight, screen)
        book.settle(run_id, known)
        give_up(book, job.record.state, run, "Given up.")
        confirmed = len(write_records.written(book, run_id).done) - (len(in_flight) - len(known))
    return _what_stays(run_id, confirmed, in_flight, known)


def give_up(book: Ledger, state: State, run: Run, why: str) -> None:
    """End an interrupted run for good; what it wrote stays written, and recorded.

    Its writes are counted in the ledger: a process that was killed has counted nothing.
    """
    made, rows_made = _count_writes(book, run.run_id)
    before = run.ended or Ended(int(Exit.STOPPED_EARLY), "", final=False)
    outcomes = Counter({**before.outcomes} or {str(Outcome.PENDING): run.begun.rows})
    for outcome in CONFIRMED:
        more = min(rows_made[outcome] - outcomes[outcome], outcomes[Outcome.PENDING])
        if more > 0:
            outcomes[str(outcome)] += more
            outcomes[str(Outcome.PENDING)] -= more
    is_new = before.message not in {"", why}
    message = f"{why[:-1]}; before that: {before.message}" if is_new else why
    ended = replace(
        before,
        message=message,
        final=True,
        outcomes={name: number for name, number in outcomes.items() if number},
        opt_ins=made[Outcome.UPDATED, False],
        opt_outs=made[Outcome.UPDATED, True],
        calls={},
        seconds=0.0,
    )
    checkpoint = checkpoint_place.find_newest(state, run.run_id)
    if not run.is_finished and not run.begun.is_plan:  # else kept already, or never
        with kept_rows.warning_of(run.run_id):
            if (rows := progress.so_far(book, state, run)) is not None:
                until = kept_rows.keep(state, run.run_id, run.begun, rows)
                ended = replace(ended, rows_kept_until=until)
    book.end(run.run_id, ended)
    if checkpoint is not None:
        checkpoint.remove()


def give_up_stopped(book: Ledger, state: State, own: Begun) -> None:
    """Give up the runs whose work one that begins does: those that a limit or a person stopped."""
    for run in book.runs():
        if lineage.work_of(run.begun) == lineage.work_of(own) and may_pass(state, run):
            give_up(book, state, run, "" if run.ended is None else run.ended.message)


@contextmanager
def _working_on(job: Job, run_id: str) -> Iterator[Ledger]:
    """Open the ledger while no other process may work on a run: for a plan, on that alone."""
    run = find_run(job.record.state, run_id)
    if not run.begun.is_plan:
        with working_alone(job, run_id) as book:
            yield book
    else:
        with (
            ledger.open_ledger(job.record.state) as book,
            working_on_plan(book, job.record.state, run_id),
        ):
            yield book


@contextmanager
def _hindering(run: Run) -> Iterator[None]:
    try:
        yield
    except UsageProblem as problem:
        raise CannotResume(f"Run {run.run_id} does not go on. {problem}") from problem


def _from_checkpoint(book: Ledger, job: Job, run: Run) -> RunContext:
    """Read what is known of a run; raise UsageProblem if it is not here, or damaged."""
    checkpoint = checkpoint_place.take_over(job.record.state, run.run_id)
    if checkpoint is None:
        raise CannotResume(without_checkpoint(job.record.state, run))
    large_input.check(checkpoint)  # a damaged part is no reason to write half of the rest
    rows = checkpoint.rows()
    planned = checkpoint.plan(rows)
    if planned is None:
        written = {write.intent.key for write in book.writes(run.run_id)}
        if not written <= checkpoint.early():
            lost = "is missing, although the run has written"
            raise checkpoint.problem(checkpoint.plan_path, lost)
    return RunContext(
        run_id=run.run_id,
        begun=run.begun,
        rows=rows,
        rest=large_input.rest_of(checkpoint),
        planned=planned,
        checkpoint=checkpoint,
        ledger=book,
        lineage=lineage.trace(book.runs(), run.run_id),
    )


def _read_again(
    book: Ledger, job: Job, run_id: str, in_flight: Sequence[Write], screen: Screen
) -> list[Settled]:
    # A profile that may have been created has no PKey yet to read it by.
    writes = [write for write in in_flight if write.intent.key.startswith("@")]
    if not writes:
        return []
    pace = replace(job.pace, patience_s=min(job.pace.patience_s, _PATIENCE_S))
    keys = [write.intent.key for write in writes]
    steps, how = Steps.blank(len(keys), stamped=True), Reading(Fetch.LOOKUP)
    budget = day_budget.budget_of(book, job)
    with Session(job.connection, pace, screen.show_progress, budget=budget) as session:
        session.read(keys, steps, how)
    if isinstance(session.cause, Interrupted):
        raise session.cause
    if session.cause is not None:
        log.warning("The changes in flight could not be read again: %s", session.cause)
    settled = []
    for at, (profile,) in steps.matches(keys):
        write, tries, at_ms = writes[at], int(steps.attempts[at]), int(steps.at_ms[at])
        if profile.state != write.intent.desired:
            why = str(Reason.STOPPED), f"Had not arrived when run {run_id} was given up."
            settled.append(Settled(write.position, Outcome.PENDING, *why, tries, at_ms))
        elif not request_order.is_since(profile.changed_ms, write.acted_ms):  # else in doubt still
            settled.append(Settled(write.position, Outcome.UPDATED, None, "", tries, at_ms))
    return settled


def _what_stays(
    run_id: str, confirmed: int, in_flight: Sequence[Write], known: Sequence[Settled]
) -> str:
    stays = count(confirmed, "confirmed change stays", "confirmed changes stay")
    sentences = [f"Its {stays}, and nothing more is written."]
    if in_flight:
        arrived = sum(each.outcome is Outcome.UPDATED for each in known)
        sentences.append(
            f"Of {len(in_flight):,} in flight when it was interrupted, {arrived:,} arrived and "
            f"{len(known) - arrived:,} did not."
        )
    if doubtful := len(in_flight) - len(known):
        sentences.append(
            f"Of the other {doubtful:,} it is not known whether they arrived: "
            f"`bulk-sync audit {run_id}` reads them again."
        )
    return " ".join(sentences)


def _count_writes(
    book: Ledger, run_id: str
) -> tuple[Counter[tuple[Outcome, bool]], Counter[Outcome]]:
    """Count the confirmed writes of a run by outcome and state, and their rows by outcome.

    A row of several profiles counts if all its writes are confirmed.
    """
    made = Counter[tuple[Outcome, bool]]()
    of_rows: dict[tuple[str | None, int], dict[str, Outcome]] = {}
    for write in book.writes(run_id):
        intent, settled = write.intent, write.settled
        outcome = Outcome.PENDING if settled is None else settled.outcome
        made[outcome, intent.desired] += 1
        of_rows.setdefault((intent.file, intent.row), {})[intent.key] = outcome
    rows = (set(each.values()) for each in of_rows.values())
    return made, Counter(min(each) for each in rows if each <= {*CONFIRMED})
