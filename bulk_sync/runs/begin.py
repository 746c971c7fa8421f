"""Puts a run on the disk and into the ledger, or finds it there again: from then on it is safe.

    alone ---> opened -------> story.carry_out
          `--> going_on ---'

One run at a time works on an organization; what other runs have said meanwhile is taken into
account.
"""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import pandas as pd

from bulk_sync import __version__, ledger, report
from bulk_sync.errors import Exit, StoppedEarly, UsageProblem
from bulk_sync.interrupts import Interrupts
from bulk_sync.ledger import Begun, Ended, Kind, Ledger, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.rows.plan_limits import Past
from bulk_sync.runs import checkpoint, pipeline, row_keeping
from bulk_sync.runs.checkpoint import WorkingSet
from bulk_sync.runs.job import Finished, Job, Screen
from bulk_sync.runs.past_runs import NothingLeft, is_at, without_checkpoint
from bulk_sync.runs.plan_file import INPUT_SETTINGS, KEY_SETTINGS, OUT
from bulk_sync.runs.run_context import Opened
from bulk_sync.settings import Keys, Oddity, State
from bulk_sync.storage import lock

log = logging.getLogger(__name__)

_COMPARED: Final = 5
"""How many finished runs of the same job an input is compared with."""

_READING: Final = frozenset((*KEY_SETTINGS, *INPUT_SETTINGS))

_DONE: Final = (Outcome.UPDATED, Outcome.CREATED)

_KEPT_FOR: Final = timedelta(days=30)
"""How long the working set of a finished run waits for ``retry``, or for what was refused."""


@contextmanager
def alone(job: Job, run_id: str) -> Iterator[Ledger]:
    """Open the ledger with nobody else at work on the organization."""
    state = job.state
    whose, who = lock.name(job.connection), lock.holder(run_id)
    # Runs that keep their rows in different places may still share the ledger's file.
    folders = {state.folder.resolve(), (ledger.folder_of(state) or state.folder).resolve()}
    with ExitStack() as locks:
        for folder in sorted(folders):
            try:
                locks.enter_context(lock.held(folder, whose, who, state.lock_wait_s))
            except lock.NoLocks:
                if not ledger.has_lock(state):
                    raise
        with ledger.opened(state) as book:
            book.hold(whose, who, state.lock_wait_s)
            yield book


@contextmanager
def working_on_plan(state: State, run_id: str) -> Iterator[None]:
    """Lock a plan against other processes; they may use the organization, which is only read."""
    folder = checkpoint.folder_of(state.folder, run_id)
    with lock.held(folder, "plan", lock.holder(run_id), state.lock_wait_s):
        yield


def begun_as(
    kind: Kind, job: Job, source: str, digest: str, rows: int, parent: str | None = None
) -> Begun:
    """Say what a run was asked to do.

    Args:
        kind: the command.
        job: how it is to work.
        source: the input, as it was given.
        digest: SHA-256 of the input.
        rows: how many it has.
        parent: the run that it is of.
    """
    return Begun(
        kind=kind,
        job=job.name,
        endpoint=job.connection.endpoint,
        organization=job.connection.organization,
        attribute=job.connection.attribute,
        input=source,
        input_sha256=digest,
        rows=rows,
        parent=parent,
        settings=dict(job.settings),
        version=__version__,
        operator=lock.operator(),
    )


def opened(
    book: Ledger,
    job: Job,
    run_id: str,
    begun: Begun,
    rows: pd.DataFrame,
    stem: str,
    *,
    planned: pd.DataFrame | None = None,
) -> Opened:
    """Put a run on the disk, then into the ledger: from then on it can be resumed.

    Args:
        book: the ledger.
        job: how it is to work.
        run_id: its name.
        begun: what it was asked to do.
        rows: the judged rows.
        stem: what its reports are called by.
        planned: the plan, if it is known already.

    Raises:
        UsageProblem: it cannot be kept; nothing was sent.
    """
    reports = [str(path) for path in job.reports_of(run_id)]
    begun = replace(begun, settings={**begun.settings, "report": reports, "stem": stem})
    working_set = WorkingSet.create(job.state.folder, run_id, rows)
    try:
        if planned is not None:
            working_set.keep_plan(planned)
        book.begin(run_id, begun)
    except StoppedEarly as failure:
        working_set.remove()
        raise UsageProblem(f"The run was not begun. {failure}") from failure
    return Opened(run_id, begun, stem, rows, planned, working_set, book)


def going_on(book: Ledger, job: Job, run: Run, screen: Screen, interrupts: Interrupts) -> Finished:
    """Find a run on the disk again, and tell its story to the end.

    Args:
        book: the ledger.
        job: how to work; without reports those of the run are written.
        run: which run.
        screen: is told how far it is.
        interrupts: what signals do.

    Raises:
        UsageProblem: its working set is not here, or cannot be used.
    """
    working_set = WorkingSet.find(job.state.folder, run.run_id)
    if working_set is None:
        raise UsageProblem(without_checkpoint(job.state, run))
    rows = working_set.rows()
    planned = working_set.plan(rows)
    written = (
        set() if planned is not None else {each.intent.key for each in book.writes(run.run_id)}
    )
    if not written <= working_set.early():
        raise working_set.problem(working_set.plan_path, "is missing, although the run has written")
    stem = str(run.begun.settings.get("stem", "input"))
    opened = Opened(
        run_id=run.run_id,
        begun=run.begun,
        stem=stem,
        rows=rows,
        planned=planned,
        working_set=working_set,
        ledger=book,
        past=past_of(book, job),
    )
    opened = with_the_word_of(opened, run.position)
    log.info("Going on with run %s", run.run_id)
    if run.is_finished and run.ended is not None:  # a limit refused it
        again = replace(run.ended, exit=int(Exit.STOPPED_EARLY), final=False, calls={}, seconds=0.0)
        book.end(run.run_id, replace(again, message="Taken up again."))
    if not job.reports:
        reports = tuple(Path(path) for path in run.begun.settings.get("report", ()))
        job = replace(job, reports=reports)
    if run.begun.kind in {Kind.APPLY, Kind.UNDO} or run.begun.settings.get(OUT):
        job = guarded(job)
    if run.begun.kind in {Kind.RETRY, Kind.UNDO}:
        job = unjudged(job)
    return pipeline.carry_out(opened, job, screen, interrupts)


def with_the_word_of(run: Opened, position: int) -> Opened:
    """Note where in the ledger the word was given that a run is about to carry out.

    That is where the run itself began; for a retry, where the word was given that its parent
    carried out; and for an undo, where the run began whose writes it puts back.

    Args:
        run: the run.
        position: where it began; of no account for a retry and an undo.
    """
    begun, ancestors, undone = run.begun, set(), None
    while begun.parent is not None and undone is None:
        parent = run.ledger.run(begun.parent)
        ancestors.add(parent.run_id)
        if begun.kind == Kind.UNDO:
            undone = parent.run_id
        position, begun = parent.position, parent.begun
    return replace(run, since=position, ancestors=frozenset(ancestors), undone=undone)


def make_sure_of_once(book: Ledger, kind: Kind, parent: Run) -> None:
    """Make sure that a retry or an undo of a run happens once.

    Raises:
        NothingLeft: it has happened.
        UsageProblem: it was interrupted, or put back.
    """
    for run in reversed(book.runs()):
        if run.begun.kind != kind or run.begun.parent != parent.run_id:
            continue
        if not run.is_finished:
            raise UsageProblem(
                f"Run {run.run_id} is the {kind} of {parent.run_id}, and was interrupted. Finish "
                f"it: bulk-sync resume {run.run_id}"
            )
        if run.is_done:
            check_stands(book, run, f"The {kind} of {parent.run_id}")
            raise NothingLeft(f"The {kind} of {parent.run_id} has happened.", run)


def check_stands(book: Ledger, run: Run, what: str) -> None:
    """Make sure that a run that is done was not put back by another.

    Raises:
        UsageProblem: it was.
    """
    undo = undo_of(book, run)
    if undo is not None:
        raise UsageProblem(
            f"{what} has happened, and run {undo.run_id} has put it back. To have it again: "
            f"bulk-sync undo {undo.run_id}"
        )


def undo_of(book: Ledger, run: Run) -> Run | None:
    """Find the run that put another back, or is at it, and was not put back itself."""
    undo = last_of(book, lambda begun: begun.kind == Kind.UNDO and begun.parent == run.run_id)
    return None if undo is None or undo_of(book, undo) is not None else undo


def last_of(book: Ledger, which: Callable[[Begun], bool]) -> Run | None:
    """Find the last such run that is done or is still to be finished; None if there is none."""
    for run in reversed(book.runs()):
        if which(run.begun) and (run.is_done or not run.is_finished):
            return run
    return None


def give_up(book: Ledger, state: State, run: Run, why: str) -> None:
    """End an interrupted run for good; what it wrote stays written, and recorded.

    A process that was killed has counted nothing, so what was written is counted in the ledger.
    """
    before = run.ended or Ended(int(Exit.STOPPED_EARLY), "", final=False)
    outcomes = {**before.outcomes} or {str(Outcome.PENDING): run.begun.rows}
    opt_ins = opt_outs = 0
    made = Counter[str]()
    for write in book.writes(run.run_id):
        if write.settled is None or write.settled.outcome not in _DONE:
            continue
        made[str(write.settled.outcome)] += 1
        if write.settled.outcome is Outcome.UPDATED:
            opt_ins += not write.intent.desired
            opt_outs += write.intent.desired
    for outcome, count in made.items():
        more = min(count - outcomes.get(outcome, 0), outcomes.get(str(Outcome.PENDING), 0))
        if more > 0:
            outcomes[outcome] = outcomes.get(outcome, 0) + more
            outcomes[str(Outcome.PENDING)] -= more
    ended = replace(
        before,
        message=why,
        final=True,
        outcomes={name: count for name, count in outcomes.items() if count},
        opt_ins=opt_ins,
        opt_outs=opt_outs,
        calls={},
        seconds=0.0,
    )
    rows = row_keeping.so_far(book, state, run)
    if (
        rows is not None
        and (until := row_keeping.keep(state, run.run_id, run.begun, rows)) is not None
    ):
        ended = replace(ended, rows_kept_until=str(until))
    book.end(run.run_id, ended)
    found = WorkingSet.find(state.folder, run.run_id)
    if found is not None:
        found.remove()


def was_refused(state: State, run: Run) -> bool:
    """Tell whether a run stopped at its limits, with all that was read still at hand."""
    refused = run.ended is not None and run.ended.exit == Exit.REFUSED
    return refused and WorkingSet.find(state.folder, run.run_id) is not None


def tidy_up(book: Ledger, state: State) -> None:
    """Take away working sets of which nothing is asked any more."""
    unfinished = {run.run_id for run in book.runs() if not run.is_finished}
    oldest_s = time.time() - _KEPT_FOR.total_seconds()
    for each in checkpoint.all_of(state.folder):
        if each.folder.name not in unfinished and each.folder.stat().st_mtime < oldest_s:
            each.remove()


def past_of(book: Ledger, job: Job) -> list[Past]:
    """Find the newest finished runs of the same job."""
    found = []
    for run in reversed(book.runs()):
        here = is_at(run.begun, job.connection.endpoint, job.connection.organization)
        alike = run.begun.kind in {Kind.RUN, Kind.APPLY} and run.begun.job == job.name
        if here and alike and run.is_done and run.ended is not None:
            found.append(Past(run.begun.rows, run.ended.opt_ins + run.ended.opt_outs))
    return found[:_COMPARED]


def of_pkeys(job: Job) -> Job:
    """Forget how an input was to be read: what a run wrote are PKeys, whatever it was given."""
    kept = {name: job.settings[name] for name in job.settings if name not in _READING}
    settings = {**kept, "api": job.connection.api}  # which may be due to the keys
    return replace(job, keys=Keys(), creating=None, settings=settings)


def guarded(job: Job) -> Job:
    """Let every profile be read again before it is written."""
    return replace(job, writing=replace(job.writing, guarded=True))


def unjudged(job: Job) -> Job:
    """Let an input pass that is odd by its nature: what is turned round, or a few rows of many."""
    return replace(job, limits=replace(job.limits, allowed=frozenset(Oddity)))


def check_paths(paths: Sequence[Path], sources: set[Path], option: str = "--report") -> None:
    """Say before anything is sent that a report cannot be written, or would replace an input.

    Raises:
        UsageProblem: that is so.
    """
    inputs = {path.resolve() for path in sources}
    for path in paths:
        report.check_path(path)
        if path.resolve() in inputs:
            raise UsageProblem(f"{option} {path} would replace the input. Name another file.")
