"""The ways in which a run comes to be, each a command; the story is the same for all of them.

sync      a file ----------------------------.
apply     a reviewed plan -------------------+
retry     the failed rows of a run ----------+--> Opened --> story.carry_out
undo      the writes of a run, turned round --+
resume    whatever of these was interrupted -'
preview   a file, as far as the plan
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd

from bulk_sync import __version__, ledger, lock, report, workset
from bulk_sync.errors import Exit, Refused, StoppedEarly, StopRun, UsageProblem
from bulk_sync.interrupts import Interrupts
from bulk_sync.ledger import Begun, Ended, Kind, Ledger, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import check, columns, plan, read
from bulk_sync.rows.limits import Past
from bulk_sync.rows.steps import Steps
from bulk_sync.runs import plan_file, recording, story
from bulk_sync.runs.job import Finished, Input, Job, Screen, new_run_id
from bulk_sync.runs.plan_file import Facts
from bulk_sync.runs.story import Opened
from bulk_sync.settings import Oddity, State
from bulk_sync.workset import WorkingSet

log = logging.getLogger(__name__)

_COMPARED: Final = 5
"""How many finished runs of the same job an input is compared with."""

_SECONDS: Final = len("20261123T020000Z")
"""So much of a run's id tells when it was made."""

_KEPT_FOR: Final = timedelta(days=30)
"""How long the working set of a finished run waits for ``retry``."""


def sync(job: Job, given: Input, screen: Screen, *, fresh: bool = False) -> Finished:
    """Carry a file of desired states into Campaign.

    Args:
        job: how to work.
        given: what to read.
        screen: is told how far it is, and asked before anything is written.
        fresh: give an interrupted run of the same input up, instead of refusing to start anew.

    Returns:
        What became of it; whatever ended it early, once the run had begun, is in ``cause``.

    Raises:
        StopRun: it could not begin; nothing was sent.
    """
    run_id = new_run_id()
    _check_reports(job.reports_of(run_id), given)
    with Interrupts() as interrupts, _alone(job, run_id) as book:
        rows, digest = _judged(given)
        _make_way(book, job, digest, fresh=fresh)
        begun = _begun(Kind.RUN, job, given.source, digest, len(rows))
        run = _open(book, job, run_id, begun, rows, given.stem)
        run = replace(run, past=_past(book, job))
        return story.carry_out(run, job, screen, interrupts)


def preview(job: Job, given: Input, screen: Screen, out: Path | None = None) -> Finished:
    """Show what ``sync`` would write, and write nothing to Campaign.

    Args:
        job: how to work.
        given: what to read.
        screen: is told how far it is, and shown the plan.
        out: where to write the plan for ``apply``; None for nowhere.

    Raises:
        StopRun: it could not begin, or the plan not be written.
    """
    run_id = new_run_id()
    paths = job.reports_of(run_id)
    _check_reports(paths, given)
    if out is not None:
        plan_file.check_path(out)
    with ledger.existing(job.state) as book:
        past = [] if book is None else _past(book, job)
    with Interrupts() as interrupts:
        rows, digest = _judged(given)
        planned, cause, cost = story.preview(rows, job, screen, past)
        interrupts.defer()
        totals = plan.totals(planned)
        begun = _begun(Kind.RUN, job, given.source, digest, len(rows))
        todo = paths[0].with_name(f"{given.stem}.{run_id}.todo.csv") if paths else Path()
        facts = {"Plan": run_id, "Input": given.source, "Rows": str(len(rows))}
        written, todo_written, failure = story.write_reports(planned, paths, todo, facts)
        made = None
        if out is not None and cause is None:
            made = plan_file.write(out, planned, _plan_facts(run_id, begun, totals))
    return Finished(
        run_id=run_id,
        rows=planned,
        totals=totals,
        cost=cost,
        cause=cause or failure,
        reports=written,
        todo=todo_written,
        plan_sha256=made,
    )


def apply(job: Job, path: Path, screen: Screen, *, expected: str | None = None) -> Finished:
    """Carry out a reviewed plan, once.

    Args:
        job: how to work.
        path: the plan.
        screen: is told how far it is, and asked before anything is written.
        expected: SHA-256 that the file must have; None for any.

    Raises:
        NothingLeft: it was carried out.
        StopRun: it could not begin; nothing was sent.
    """
    planned = plan_file.read(path)
    facts = planned.facts
    if expected is not None and expected.strip().lower() != planned.sha256:
        raise Refused(
            f"Nothing was written: {path} is not the plan that was reviewed. Its SHA-256 is "
            f"{planned.sha256}, and --expect-sha256 says {expected}."
        )
    connection = job.connection
    same = lock.place(facts.endpoint) == lock.place(connection.endpoint)
    if not same or facts.organization != connection.organization:
        raise UsageProblem(
            f"{path} is a plan for organization {facts.organization!r} at {facts.endpoint}, and "
            f"this is {connection.organization!r} at {connection.endpoint}. Plan again for it."
        )
    if facts.attribute != connection.attribute:
        raise UsageProblem(
            f"{path} is a plan for the attribute {facts.attribute!r}, and --attribute says "
            f"{connection.attribute!r}."
        )
    run_id = new_run_id()
    job = _guarded(replace(job, name=facts.job))
    _check_paths(job.reports_of(run_id), {path})
    with Interrupts() as interrupts, _alone(job, run_id) as book:
        for earlier in reversed(book.runs()):
            begun = earlier.begun
            if begun.kind == Kind.APPLY and begun.plan_sha256 == planned.sha256:
                if not earlier.is_finished:
                    return _go_on(book, job, earlier, screen, interrupts)
                if earlier.is_done:
                    raise NothingLeft(f"{path} has been carried out.", earlier)
            here = story.is_at(begun, connection.endpoint, connection.organization)
            if here and earlier.run_id[:_SECONDS] >= facts.run_id[:_SECONDS]:
                log.warning(
                    "Run %s has worked on this organization since the plan was made.",
                    earlier.run_id,
                )
        rows = planned.rows
        begun = _begun(Kind.APPLY, job, facts.input, facts.input_sha256, len(rows))
        begun = replace(begun, plan=str(path), plan_sha256=planned.sha256)
        run = _open(book, job, run_id, begun, rows, Input(str(path)).stem, planned=rows)
        run = replace(run, past=_past(book, job))
        return story.carry_out(run, job, screen, interrupts)


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
    with Interrupts() as interrupts, _alone(job, run_id) as book:
        run = book.run(run_id)
        if run.is_finished and not _was_refused(job.state, run):
            raise NothingLeft("There is nothing to resume.", run)
        return _go_on(book, job, run, screen, interrupts)


def retry(job: Job, parent_id: str, screen: Screen) -> Finished:
    """Try again only the rows of a run that failed.

    Raises:
        NothingLeft: none did.
        StopRun: it could not begin; nothing was sent.
    """
    run_id = new_run_id()
    with Interrupts() as interrupts, _alone(job, run_id) as book:
        parent = _finished(book, parent_id, "retry")
        _go_on_instead(book, Kind.RETRY, parent)
        rows = _failed_rows(job.state, parent)
        _check_paths(job.reports_of(run_id), set())
        digest = parent.begun.input_sha256
        begun = _begun(Kind.RETRY, job, parent.begun.input, digest, len(rows), parent_id)
        run = _open(book, job, run_id, begun, rows, str(parent.begun.settings["stem"]))
        run = _with_the_word_of(run, parent.position)
        return story.carry_out(run, _unjudged(job), screen, interrupts)


def undo(job: Job, parent_id: str, screen: Screen) -> Finished:
    """Put back what a run changed, where it still stands as the run left it.

    Raises:
        NothingLeft: it changed nothing, or was undone.
        StopRun: it could not begin; nothing was sent.
    """
    run_id = new_run_id()
    with Interrupts() as interrupts, _alone(job, run_id) as book:
        parent = book.run(parent_id)
        _go_on_instead(book, Kind.UNDO, parent)
        _check_paths(job.reports_of(run_id), set())
        planned = _turned_round(book, parent)
        if not parent.is_finished:
            _give_up(book, job.state, parent, "Given up, to be undone.")
        if planned is None:
            raise NothingLeft(f"Run {parent_id} changed nothing, so there is nothing to undo.")
        begun = _begun(
            Kind.UNDO, job, parent.begun.input, parent.begun.input_sha256, len(planned), parent_id
        )
        stem = str(parent.begun.settings["stem"])
        run = _open(book, job, run_id, begun, planned, stem, planned=planned)
        run = _with_the_word_of(run, parent.position)
        return story.carry_out(run, _unjudged(_guarded(job)), screen, interrupts)


def judge(given: Input, reports: Sequence[Path]) -> tuple[pd.DataFrame, int]:
    """Judge a file without contacting Campaign, and write the verdicts where asked.

    Returns:
        Results of a run that tried no row, and how many rows are rejected.

    Raises:
        StopRun: the file cannot be read, or a report not be written.
    """
    _check_reports(reports, given)
    checked, _ = _judged(given)
    judged = plan.compare(checked, Steps.of(len(plan.open_rows(checked))))
    for path in reports:
        report.write(judged, path, title={"Input": given.source, "Rows": str(len(judged))})
    return judged, plan.totals(judged).outcomes.get(Outcome.REJECTED, 0)


def interrupted(state: State) -> list[Run]:
    """Find the runs that ``resume`` can go on with, the newest first."""
    with ledger.existing(state) as book:
        found = [] if book is None else book.runs()
    return [run for run in reversed(found) if not run.is_finished]


def newest_change(state: State) -> Run | None:
    """Find the newest run that changed anything; None if there is none.

    Raises:
        UsageProblem: there is no ledger.
    """
    with known(state) as book:
        for run in reversed(book.runs()):
            if any(book.writes(run.run_id)):
                return run
    return None


def recorded(state: State, run_id: str) -> Run:
    """Find a run in the ledger.

    Raises:
        UsageProblem: there is no ledger, or no such run.
    """
    with known(state) as book:
        return book.run(run_id)


@contextmanager
def known(state: State) -> Iterator[Ledger]:
    """Open the ledger, which must be there.

    Raises:
        UsageProblem: there is none.
    """
    with ledger.existing(state) as book:
        if book is None:
            raise UsageProblem(
                f"There is no ledger at {ledger.anchor_of(state).ledger}. Look at --state-dir and "
                "--ledger; the first `bulk-sync run` makes it."
            )
        yield book


class NothingLeft(StopRun):
    """What was asked for is done already, or is nothing.

    Args:
        message: what a person reads.
        done_by: the run that did it, whose exit status is repeated; None if there is nothing to do.
    """

    exit = Exit.DONE

    def __init__(self, message: str, done_by: Run | None = None) -> None:
        if done_by is not None and done_by.ended is not None:
            self.exit = Exit(done_by.ended.exit)
            message += f" Run {done_by.run_id} ended with exit status {int(self.exit)}."
            message += "".join(f" Report: {path}." for path in done_by.ended.reports)
            if done_by.ended.outcomes.get(Outcome.FAILED):
                message += f" `bulk-sync retry {done_by.run_id}` tries again what failed."
        super().__init__(message)


@contextmanager
def _alone(job: Job, run_id: str) -> Iterator[Ledger]:
    """Open the ledger with nobody else at work on the organization."""
    state = job.state
    whose, who = lock.name(job.connection), lock.holder(run_id)
    # Runs that keep their rows in different places may still share the ledger's file.
    folders = {state.folder.resolve(), (ledger.folder_of(state) or state.folder).resolve()}
    with ExitStack() as locks:
        for folder in sorted(folders):
            locks.enter_context(lock.held(folder, whose, who, state.lock_wait_s))
        with ledger.opened(state) as book:
            book.hold(whose, who, state.lock_wait_s)
            yield book


def _judged(given: Input) -> tuple[pd.DataFrame, str]:
    """Read and judge a file, and tell the SHA-256 of its content."""
    stdin = read.stdin() if given.source == read.STDIN else b""
    digest = read.digest(given.source, stdin)
    raw = read.rows(given.source, sheet=given.sheet, stdin=stdin)
    if read.digest(given.source, stdin) != digest:
        raise UsageProblem(
            f"{given.source} changed while it was read. Run again when it is complete; nothing "
            "was sent."
        )
    return check.rows(raw, given.rules), digest


def _make_way(book: Ledger, job: Job, digest: str, *, fresh: bool) -> None:
    """See to interrupted runs before another begins.

    Raises:
        Refused: one had the same input.
    """
    for run in book.runs():
        begun = run.begun
        here = story.is_at(begun, job.connection.endpoint, job.connection.organization)
        if run.is_finished or not here or begun.kind != Kind.RUN:
            continue
        if begun.input_sha256 != digest or begun.attribute != job.connection.attribute:
            if begun.job == job.name:
                log.warning(
                    "Run %s of this job was interrupted. To finish it: bulk-sync resume %s",
                    run.run_id,
                    run.run_id,
                )
        elif fresh:
            _give_up(book, job.state, run, "Given up for a fresh start.")
        else:
            since = ledger.utc(run.begun_ms)
            raise Refused(
                f"Nothing was written: run {run.run_id} of this very input, begun {since}, was "
                f"interrupted. Finish it with `bulk-sync resume {run.run_id}`, or give it up and "
                "start anew with --fresh.",
                "--fresh",
            )
    _tidy_up(book, job.state)


def _give_up(book: Ledger, state: State, run: Run, why: str) -> None:
    before = run.ended or Ended(exit=int(Exit.STOPPED_EARLY), message="", final=False)
    ended = replace(before, message=why, final=True, calls={}, seconds=0.0)
    book.end(run.run_id, ended)
    found = WorkingSet.find(state.folder, run.run_id)
    if found is not None:
        found.remove()


def _tidy_up(book: Ledger, state: State) -> None:
    """Take away working sets of which nothing is asked any more."""
    unfinished = {run.run_id for run in book.runs() if not run.is_finished}
    oldest_s = time.time() - _KEPT_FOR.total_seconds()
    for each in workset.all_of(state.folder):
        if each.folder.name not in unfinished and each.folder.stat().st_mtime < oldest_s:
            each.remove()


def _past(book: Ledger, job: Job) -> list[Past]:
    """Find the newest finished runs of the same job."""
    found = []
    for run in reversed(book.runs()):
        here = story.is_at(run.begun, job.connection.endpoint, job.connection.organization)
        alike = run.begun.kind in {Kind.RUN, Kind.APPLY} and run.begun.job == job.name
        if here and alike and run.is_done and run.ended is not None:
            found.append(Past(run.begun.rows, run.ended.opt_ins + run.ended.opt_outs))
    return found[:_COMPARED]


def _begun(
    kind: Kind, job: Job, source: str, digest: str, rows: int, parent: str | None = None
) -> Begun:
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


def _open(
    book: Ledger,
    job: Job,
    run_id: str,
    begun: Begun,
    rows: pd.DataFrame,
    stem: str,
    *,
    planned: pd.DataFrame | None = None,
) -> Opened:
    """Put a run on the disk, then into the ledger: from then on it can be resumed."""
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


def _go_on(book: Ledger, job: Job, run: Run, screen: Screen, interrupts: Interrupts) -> Finished:
    working_set = WorkingSet.find(job.state.folder, run.run_id)
    if working_set is None:
        folder = workset.folder_of(job.state.folder, run.run_id)
        raise UsageProblem(
            f"Run {run.run_id} was interrupted, but what is needed to go on with it is not at "
            f"{folder}: it began as {run.begun.operator}. Go on there, or run the input again with "
            "--fresh."
        )
    rows = working_set.rows()
    stem = str(run.begun.settings.get("stem", "input"))
    opened = Opened(
        run_id=run.run_id,
        begun=run.begun,
        stem=stem,
        rows=rows,
        planned=working_set.plan(rows),
        working_set=working_set,
        ledger=book,
        past=_past(book, job),
    )
    opened = _with_the_word_of(opened, run.position)
    log.info("Going on with run %s", run.run_id)
    if not job.reports:
        reports = tuple(Path(path) for path in run.begun.settings.get("report", ()))
        job = replace(job, reports=reports)
    if run.begun.kind in {Kind.APPLY, Kind.UNDO}:
        job = _guarded(job)
    if run.begun.kind in {Kind.RETRY, Kind.UNDO}:
        job = _unjudged(job)
    return story.carry_out(opened, job, screen, interrupts)


def _with_the_word_of(run: Opened, position: int) -> Opened:
    """Note where in the ledger the word was given that a run is about to carry out.

    That is where the run itself began, but for an undo, which is of its parent's writes, and for a
    retry, which has the word of the file that the first of its ancestors read.
    """
    begun, ancestors = run.begun, set()
    while begun.parent is not None:
        ancestors.add(begun.parent)
        parent = run.ledger.run(begun.parent)
        position, begun = parent.position, parent.begun
        if begun.kind != Kind.RETRY:
            break
    return replace(run, since=position, ancestors=frozenset(ancestors))


def _unjudged(job: Job) -> Job:
    """Let an input pass that is odd by its nature: what is turned round, or a few rows of many."""
    return replace(job, limits=replace(job.limits, allowed=frozenset(Oddity)))


def _was_refused(state: State, run: Run) -> bool:
    """Tell whether a run stopped at its limits, with all that was read still at hand."""
    refused = run.ended is not None and run.ended.exit == Exit.REFUSED
    return refused and WorkingSet.find(state.folder, run.run_id) is not None


def _guarded(job: Job) -> Job:
    """Let every profile be read again before it is written."""
    return replace(job, writing=replace(job.writing, guarded=True))


def _finished(book: Ledger, run_id: str, command: str) -> Run:
    run = book.run(run_id)
    if not run.is_finished:
        raise UsageProblem(
            f"Run {run_id} was interrupted, so there is nothing to {command} yet. Finish it first: "
            f"bulk-sync resume {run_id}"
        )
    return run


def _go_on_instead(book: Ledger, kind: Kind, parent: Run) -> None:
    """Make sure that a retry or an undo of a run happens once.

    Raises:
        NothingLeft: it has happened.
        UsageProblem: it was interrupted.
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
            raise NothingLeft(f"The {kind} of {parent.run_id} has happened.", run)


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
    wanted = np.flatnonzero(results[columns.OUTCOME] == Outcome.FAILED)
    chosen = rows.iloc[wanted].reset_index(drop=True)
    chosen[columns.COUNTS_AS] = np.arange(len(chosen))
    return chosen


def _turned_round(book: Ledger, parent: Run) -> pd.DataFrame | None:
    """Make the plan that puts back what a run wrote; None if it wrote nothing."""
    intents = recording.written(book, parent.run_id)
    if not intents:
        return None
    rows = recording.judged(intents, [each.before for each in intents], parent.begun.attribute)
    left = Steps.of(len(intents))
    left.state[:] = [each.desired for each in intents]
    return plan.compare(rows, left)


def _plan_facts(run_id: str, begun: Begun, totals: plan.Totals) -> Facts:
    return Facts(
        run_id=run_id,
        job=begun.job,
        endpoint=begun.endpoint,
        organization=begun.organization,
        attribute=begun.attribute,
        input=begun.input,
        input_sha256=begun.input_sha256,
        rows=totals.rows,
        outcomes=totals.outcomes,
        opt_ins=totals.opt_ins,
        opt_outs=totals.opt_outs,
        version=begun.version,
    )


def _check_reports(paths: Sequence[Path], given: Input) -> None:
    """Say before anything is read that a report cannot be written, or would replace the input."""
    _check_paths(paths, set(read.files(given.source)))


def _check_paths(paths: Sequence[Path], sources: set[Path]) -> None:
    inputs = {path.resolve() for path in sources}
    for path in paths:
        report.check_path(path)
        if path.resolve() in inputs:
            raise UsageProblem(f"--report {path} would replace the input. Name another file.")
