"""What comes after a run: going on with it, trying its failed rows again, putting it back."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

import pandas as pd

from bulk_sync import ledger
from bulk_sync.engines.session import Session
from bulk_sync.errors import Exit, Interrupted, UsageProblem
from bulk_sync.interrupts import Interrupts
from bulk_sync.ledger import Kind, Ledger, Run, Settled, Write
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.results import UNREAD, Steps
from bulk_sync.runs import day_budget, pipeline, row_keeping, write_records
from bulk_sync.runs.begin import (
    alone,
    begun_as,
    check_paths,
    give_up,
    going_on,
    guarded,
    make_sure_of_once,
    of_pkeys,
    opened,
    undo_of,
    unjudged,
    was_refused,
    with_the_word_of,
    working_on_plan,
)
from bulk_sync.runs.checkpoint import WorkingSet
from bulk_sync.runs.job import Finished, Job, Screen, new_run_id
from bulk_sync.runs.past_runs import NothingLeft, has_checkpoint, is_at, recorded
from bulk_sync.settings import Fetch, Reading, State

log = logging.getLogger(__name__)

_PATIENCE_S: Final = 30.0
"""How long each profile of a run that is given up may take: Campaign need not be there for that."""


def resume(job: Job, run_id: str, screen: Screen) -> Finished:
    """Go on with an interrupted run, or with one that was refused and may pass now.

    Args:
        job: how to work, as the run was asked to.
        run_id: which run.
        screen: is told how far it is, and asked if the run was not agreed to yet.

    Raises:
        NothingLeft: it is finished.
        StopRun: it cannot go on.
    """
    with Interrupts() as interrupts, _at_work_on(job, run_id) as book:
        run = book.run(run_id)
        if run.is_finished and not was_refused(job.state, run):
            why = ""
            if run.ended is not None and run.ended.exit == Exit.REFUSED:
                why = ": its input was run again since, or what it takes is not kept any more"
            raise NothingLeft(f"There is nothing to resume{why}.", run)
        return going_on(book, job, run, screen, interrupts)


@contextmanager
def _at_work_on(job: Job, run_id: str) -> Iterator[Ledger]:
    """Open the ledger with no other process at work on a run: for a plan, on that alone."""
    run = recorded(job.state, run_id)
    if run.begun.kind is not Kind.PLAN:
        with alone(job, run_id) as book:
            yield book
    elif not has_checkpoint(job.state, run):
        with ledger.opened(job.state) as book:
            yield book
    else:
        with working_on_plan(job.state, run_id), ledger.opened(job.state) as book:
            yield book


def retry(job: Job, parent_id: str, screen: Screen) -> Finished:
    """Try again only the rows of a run that failed.

    Raises:
        NothingLeft: none did.
        StopRun: it could not begin; nothing was sent.
    """
    run_id = new_run_id()
    with Interrupts() as interrupts, alone(job, run_id) as book:
        parent = _finished(book, parent_id)
        make_sure_of_once(book, Kind.RETRY, parent)
        _check_undone(book, parent)
        rows = _failed_rows(job.state, parent)
        check_paths(job.reports_of(run_id), set())
        digest = parent.begun.input_sha256
        begun = begun_as(Kind.RETRY, job, parent.begun.input, digest, len(rows), parent_id)
        run = opened(book, job, run_id, begun, rows, str(parent.begun.settings["stem"]))
        run = with_the_word_of(run, parent.position)
        return pipeline.carry_out(run, unjudged(job), screen, interrupts)


def undo(job: Job, parent_id: str, screen: Screen) -> Finished:
    """Put back what a run changed, where it still stands as the run left it.

    Raises:
        NothingLeft: it changed nothing, or was undone.
        StopRun: it could not begin; nothing was sent.
    """
    run_id, job = new_run_id(), of_pkeys(job)
    with Interrupts() as interrupts, alone(job, run_id) as book:
        parent = book.run(parent_id)
        make_sure_of_once(book, Kind.UNDO, parent)
        check_paths(job.reports_of(run_id), set())
        planned = _turned_round(book, parent, job.state)
        if not parent.is_finished or was_refused(job.state, parent):
            give_up(book, job.state, parent, "Given up, to be undone.")
        if planned is None:
            raise NothingLeft(f"Run {parent_id} changed nothing, so there is nothing to undo.")
        begun = begun_as(
            Kind.UNDO, job, parent.begun.input, parent.begun.input_sha256, len(planned), parent_id
        )
        stem = str(parent.begun.settings["stem"])
        _warn_of_later(book, parent)
        run = opened(book, job, run_id, begun, planned, stem, planned=planned)
        run = with_the_word_of(run, parent.position)
        return pipeline.carry_out(run, unjudged(guarded(job)), screen, interrupts)


def abandon(job: Job, run_id: str, screen: Screen) -> str:
    """Give an interrupted run up: what it wrote stays, and nothing more is written.

    Writes that were in flight when its process died are read again, so that the ledger says what
    became of them; those that cannot be read stay in doubt there.

    Returns:
        What stays, as a sentence.

    Raises:
        NothingLeft: it is finished.
        Interrupted: a signal came while profiles were read.
    """
    with Interrupts(), _at_work_on(job, run_id) as book:
        run = book.run(run_id)
        if run.is_finished and not was_refused(job.state, run):
            raise NothingLeft("There is nothing to give up.", run)
        in_flight = [write for write in book.writes(run_id) if write.settled is None]
        known = _read_again(book, of_pkeys(job), run_id, in_flight, screen)
        book.settle(run_id, known)
        give_up(book, job.state, run, "Given up.")
        confirmed = len(write_records.written(book, run_id).done) - (len(in_flight) - len(known))
    return _what_stays(run_id, confirmed, in_flight, known)


def _read_again(
    book: Ledger, job: Job, run_id: str, in_flight: Sequence[Write], screen: Screen
) -> list[Settled]:
    """Read the profiles whose writes were in flight, and return what became of those writes."""
    # A profile that may have been created has no PKey yet to read it by.
    writes = [write for write in in_flight if write.intent.key.startswith("@")]
    if not writes:
        return []
    pace = replace(job.pace, patience_s=min(job.pace.patience_s, _PATIENCE_S))
    steps = Steps.of(len(writes))
    how = Reading(Fetch.LOOKUP)
    budget = day_budget.of(book, job)
    with Session(job.connection, pace, screen.tell, budget=budget) as session:
        session.read([write.intent.key for write in writes], steps, how, lambda _: None)
    if isinstance(session.cause, Interrupted):
        raise session.cause
    if session.cause is not None:
        log.warning("The changes in flight could not be read again: %s", session.cause)
    settled = []
    for at, write in enumerate(writes):
        state, tries, at_ms = int(steps.state[at]), int(steps.attempts[at]), int(steps.at_ms[at])
        if state == write.intent.desired:
            settled.append(Settled(write.position, Outcome.UPDATED, None, "", tries, at_ms))
        elif state != UNREAD:
            reason = str(Reason.STOPPED)
            detail = f"Had not arrived when run {run_id} was given up."
            outcome = Outcome.PENDING
            settled.append(Settled(write.position, outcome, reason, detail, tries, at_ms))
    return settled


def _what_stays(
    run_id: str, confirmed: int, in_flight: Sequence[Write], known: Sequence[Settled]
) -> str:
    told = f"Its {confirmed:,} confirmed changes stay, and nothing more is written."
    if in_flight:
        arrived = sum(each.outcome is Outcome.UPDATED for each in known)
        told += (
            f" Of {len(in_flight):,} that were in flight when it was interrupted, {arrived:,} have "
            f"arrived and {len(known) - arrived:,} have not."
        )
    if doubtful := len(in_flight) - len(known):
        told += (
            f" Of the other {doubtful:,} it is not known whether they arrived: "
            f"`bulk-sync audit {run_id}` reads them again."
        )
    return told


def _check_undone(book: Ledger, parent: Run) -> None:
    """Make sure that nothing is tried again that was put back.

    Raises:
        UsageProblem: the run was undone.
    """
    undo = undo_of(book, parent)
    if undo is not None:
        raise UsageProblem(
            f"Run {parent.run_id} was undone by {undo.run_id}, so its failed rows are not tried "
            "again. If they are right all the same, give its todo file to `bulk-sync run`."
        )


def _warn_of_later(book: Ledger, parent: Run) -> None:
    """Say whose word an undo does not know: what already held for a run was not written by it."""
    here = parent.begun
    for run in book.runs():
        is_alike = is_at(run.begun, here.endpoint, here.organization)
        is_later = run.position > parent.position and run.begun.kind is not Kind.PLAN
        if is_alike and is_later and run.is_done:
            log.warning(
                "Run %s has worked on this organization since: what its file found as it wanted it "
                "is put back too. Run that file again afterwards.",
                run.run_id,
            )


def _finished(book: Ledger, run_id: str) -> Run:
    run = book.run(run_id)
    if run.begun.kind is Kind.PLAN:
        raise UsageProblem(
            f"Run {run_id} is a plan: it has written nothing, so there is nothing to retry. Plan "
            "its input again."
        )
    if not run.is_finished:
        raise UsageProblem(
            f"Run {run_id} was interrupted, so there is nothing to retry yet. Finish it first: "
            f"bulk-sync resume {run_id}"
        )
    return run


def _failed_rows(state: State, parent: Run) -> pd.DataFrame:
    """Find the rows of a run that failed, as they were judged: each to be looked up again.

    Raises:
        NothingLeft: there are none.
        UsageProblem: they are not kept any more.
    """
    failed = 0 if parent.ended is None else parent.ended.outcomes.get(Outcome.FAILED, 0)
    if not failed:
        raise NothingLeft(f"No row of run {parent.run_id} failed, so there is nothing to retry.")
    working_set = WorkingSet.find(state.folder, parent.run_id)
    rows = None if working_set is None else working_set.rows()
    results = None if working_set is None or rows is None else working_set.results(rows)
    if rows is None or results is None:
        raise UsageProblem(
            f"The {failed} failed rows of run {parent.run_id} are not kept here any more. Its todo "
            "file holds them: give that to `bulk-sync run`."
        )
    has_failed = columns.have_outcome(results, [Outcome.FAILED])
    return comparison.reopened(columns.rows_of(rows, has_failed).reset_index(drop=True))


def _turned_round(book: Ledger, parent: Run, state: State) -> pd.DataFrame | None:
    """Make the plan that puts back what a run wrote, or may have; None if it wrote nothing."""
    written, perhaps = write_records.written(book, parent.run_id)
    if perhaps:
        log.info("%d opt-outs that the run failed to lift are looked at too", len(perhaps))
    intents = write_records.in_order(each for each in written + perhaps if each.before is not None)
    created = [each for each in written if each.before is None]
    if created:
        log.warning(
            "%d profiles that run %s created stay: taking profiles away is no work for this tool.",
            len(created),
            parent.run_id,
        )
    if not intents:
        return None
    before = [bool(each.before) for each in intents]
    rows = write_records.judged(intents, before, parent.begun.attribute)
    own = row_keeping.own_columns(state, parent.run_id)
    if own is not None:
        rows = write_records.with_own_columns(rows, own)
    left = Steps.of(len(intents))
    left.state[:] = [each.desired for each in intents]
    return comparison.compare(rows, left)
