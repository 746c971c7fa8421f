"""Finds runs in the ledger by their ids, or the newest ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from bulk_sync import ledger
from bulk_sync.errors import Exit, StopRun, UsageProblem
from bulk_sync.ledger import Ended, Kind, Ledger, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.report import wording
from bulk_sync.report.facts import Subject
from bulk_sync.runs.kept import checkpoint_place
from bulk_sync.runs.kept.checkpoint import checkpoint_folder
from bulk_sync.settings import State

SUBJECTS: Final = {Kind.PLAN: Subject.PLAN, Kind.UNDO: Subject.UNDO}
"""What a run of a kind is in reports, if it is no result."""


class NothingLeft(StopRun):
    """There is nothing to do.

    Its exit status is that of the run with that work, ``done_by``, if there is one.
    """

    exit = Exit.DONE
    is_answer = True

    def __init__(self, message: str, done_by: Run | None = None) -> None:
        if done_by is not None and done_by.ended is not None:
            self.exit = Exit(done_by.ended.exit)
            subject = SUBJECTS.get(done_by.begun.kind, Subject.RESULT)
            status = exit_status(done_by.ended, subject)
            message += f" Run {done_by.run_id} ended with {status}."
            message += "".join(f" Report: {path}." for path in done_by.ended.reports)
            if done_by.count(Outcome.FAILED):
                message += f" `bulk-sync retry {done_by.run_id}` tries again what failed."
        super().__init__(message)


def exit_status(ended: Ended, subject: Subject) -> str:
    """Return the exit status of a run, with its meaning."""
    return wording.exit_status(
        Exit(ended.exit), subject, outcomes=ended.outcomes, is_resumable=not ended.final
    )


def interrupted(state: State) -> list[Run]:
    """Return the unfinished runs, the newest first.

    Raise LedgerProblem if the ledger, or its end, is gone, and with it perhaps an unfinished run.
    """
    with ledger.open_existing(state) as book:
        if book is None:
            ledger.anchor_of(state).check(lambda _: None)
            return []
        book.check_anchor()
        found = book.runs()
    return [run for run in reversed(found) if not run.is_finished]


def may_pass(state: State, run: Run) -> bool:
    """Return whether a stopped run can go on: its checkpoint is here."""
    return was_stopped(run) and has_checkpoint(state, run)


def was_stopped(run: Run) -> bool:
    """Return whether a limit or a person refused a run, or a limit holds its opt-ins back.

    A run that was given up since waits for nothing more.
    """
    is_refused = run.ended is not None and run.ended.exit == Exit.REFUSED
    return is_held(run) or (is_refused and not run.is_given_up)


def is_held(run: Run) -> bool:
    """Return whether a run is finished but for opt-ins that are held back."""
    is_left = run.is_finished and run.ended is not None and run.ended.exit == Exit.ROWS_LEFT
    return is_left and run.count(Outcome.PENDING) > 0 and not run.is_given_up


def undecided(state: State) -> list[Run]:
    """Return the runs that wait for a person to let them pass, the newest first."""
    with ledger.open_existing(state) as book:
        found = [] if book is None else book.runs()
    return [run for run in reversed(found) if not run.begun.is_plan and may_pass(state, run)]


def newest_change(state: State) -> Run | None:
    """Return the newest run with a write; None if there is none."""
    with known(state) as book:
        for run in reversed(book.runs()):
            if any(book.writes(run.run_id)):
                return run
    return None


def find_run(state: State, run_id: str) -> Run:
    """Return a run of the ledger; raise UsageProblem if there is none."""
    with known(state) as book:
        return book.run(run_id)


def has_checkpoint(state: State, run: Run) -> bool:
    """Return whether the checkpoint of a run is in this state folder."""
    return checkpoint_place.exists(state, run.run_id)


def without_checkpoint(state: State, run: Run) -> str:
    """Return what to do about an interrupted run without a checkpoint here."""
    return (
        f"Run {run.run_id} was interrupted, but what is needed to go on with it is not at "
        f"{checkpoint_folder(state.folder, run.run_id)}. It began as {run.begun.operator}: if "
        "that is another machine or user, or it had another --state-dir, finish it there with "
        f"`bulk-sync resume {run.run_id}`. If that folder is lost, give the run up here with "
        f"`bulk-sync resume {run.run_id} --give-up`, and run its file again."
    )


@contextmanager
def known(state: State) -> Iterator[Ledger]:
    """Open the ledger; raise UsageProblem if there is none."""
    with ledger.open_existing(state) as book:
        if book is None:
            raise UsageProblem(
                f"There is no ledger at {ledger.anchor_of(state).ledger}. Check --state-dir and "
                "--ledger; the first `bulk-sync run` makes it."
            )
        yield book
