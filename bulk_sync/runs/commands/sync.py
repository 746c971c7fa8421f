"""Carries a file of desired states into Campaign, or as far as a plan."""

import logging
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from bulk_sync import ledger, report
from bulk_sync.errors import Refused
from bulk_sync.ledger import Begun, Kind, Ledger, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import comparison
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.commands.resumption import continue_run, give_up, give_up_stopped
from bulk_sync.runs.history.exclusion import working_alone, working_on_plan
from bulk_sync.runs.history.lineage import same_place, work_of
from bulk_sync.runs.history.past_runs import has_checkpoint
from bulk_sync.runs.kept import plan_file
from bulk_sync.runs.kept.plan_file import HOLD, LIMITS, OUT, PROTECT
from bulk_sync.runs.stages import finish, pipeline, validation
from bulk_sync.runs.stages.begin import begin, begun_as, check_files, warn_of_same_file
from bulk_sync.runs.stages.review import Finished, Screen
from bulk_sync.runs.terms.job import Input, Job
from bulk_sync.settings import KeyKind, State, new_run_id
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)


def sync(job: Job, given: Input, screen: Screen, *, fresh: bool = False) -> Finished:
    """Carry a file of desired states into Campaign.

    With ``fresh`` an interrupted run of the same input is given up; else nothing begins beside it.

    Raises:
        StopRun: it could not begin; nothing was sent.
    """
    run_id = new_run_id()
    check_files(job, run_id, validation.files(given))
    with Interrupts() as interrupts, working_alone(job, run_id) as book:
        with _reading(given, Kind.RUN, job, run_id, screen) as (job, rows, begun):
            try:
                _make_way(book, job.record.state, begun, fresh=fresh)
            except Refused as refused:
                screen.begin(run_id, begun)
                unread = partial(comparison.without_states, outcome=Outcome.PENDING)
                finish.refuse(book, job, run_id, begun, given.stem, rows.map(unread), refused)
                raise
            warn_of_same_file(book, job, begun.input_sha256)
            run = begin(book, job, run_id, begun, rows, given.stem)
        return pipeline.carry_out(run, job, screen, interrupts)


def preview(
    job: Job, given: Input, screen: Screen, out: Path | None = None, *, fresh: bool
) -> Finished:
    """Show the writes of ``sync``, and write nothing to Campaign.

    A preview is a run of its own: its states are kept, and the same command, or ``resume``,
    continues an interrupted one, unless ``fresh``.

    Raises:
        StopRun: it could not begin.
    """
    run_id = new_run_id()
    _check_preview(job, run_id, given, out)
    if out is not None:
        job = job.guarded()  # as ``apply`` will be
    with (
        Interrupts() as interrupts,
        ledger.open_ledger(job.record.state) as book,
        ExitStack() as inputs,
    ):
        reading = _reading(given, Kind.PLAN, job, run_id, screen)
        job, rows, begun = inputs.enter_context(reading)
        saved = {OUT: None if out is None else str(out.absolute())}
        begun = replace(begun, settings={**begun.settings, **saved})
        for run in _interrupted_plans(book, job, begun):
            with working_on_plan(book, job.record.state, run.run_id):
                if book.run(run.run_id).is_finished:  # by the process that was waited for
                    continue
                if not fresh:
                    inputs.close()
                    settings = {**run.begun.settings, **begun.settings}
                    same = replace(run, begun=replace(begun, settings=settings))
                    return continue_run(book, job, same, screen, interrupts)
                give_up(book, job.record.state, run, "Given up for a fresh start.")
        warn_of_same_file(book, job, begun.input_sha256)
        opening = begin(book, job, run_id, begun, rows, given.stem)
        inputs.close()  # the rows are kept with the run now
        with working_on_plan(book, job.record.state, run_id):
            return pipeline.carry_out(opening, job, screen, interrupts)


def _check_preview(job: Job, run_id: str, given: Input, out: Path | None) -> None:
    """Check files as for a run, and that its reports replace nothing of another program."""
    job.protection.read()
    inputs = {*validation.files(given), *job.protection.files}
    reports = job.record.reports_of(run_id)
    report.check_replaceable(reports, inputs)
    if out is not None:
        plan_file.check_path(out, inputs, reports)


@contextmanager
def _reading(
    given: Input, kind: Kind, job: Job, run_id: str, screen: Screen
) -> Iterator[tuple[Job, Slices, Begun]]:
    """Read an input, and yield the job for it, its rows and the first line of its run.

    The rows can be read until the block ends.

    Keys other than PKeys, and new profiles, need all rows in memory.
    """
    with validation.judged(given, screen.show_progress, job) as judged:
        rows = judged.rows
        if judged.layout.columns.keys.kind is not KeyKind.PKEY:
            rows = Slices.of(rows.joined())
        report.check_fits(rows.first.columns, job.record.reports_of(run_id))
        job = validation.with_input(job, judged)
        screen.announce(judged)
        begun = begun_as(kind, job, given.source, judged.sha256, rows.count)
        rows = rows.watched("Keeping the rows", screen.show_progress)
        yield job, rows, begun


def _interrupted_plans(book: Ledger, job: Job, begun: Begun) -> list[Run]:
    """Return the interrupted plans of the same request, the newest first.

    ``resume`` goes on with what a run was recorded with, so another wish is another run.
    """
    named = (
        *job.record.of_input,
        *("sheet", "header_row", "api", "ticket", "comment", "prepared_by", "input_name"),
        *(OUT, HOLD, PROTECT, "approvals", *LIMITS),
    )

    def identity(each: Begun) -> tuple[object, ...]:
        settings = [each.settings.get(name) for name in named]
        return work_of(each), each.input_sha256, each.job, settings

    return [
        run
        for run in reversed(book.runs())
        if not run.is_finished
        and identity(run.begun) == identity(begun)
        and has_checkpoint(job.record.state, run)
    ]


def _make_way(book: Ledger, state: State, own: Begun, *, fresh: bool) -> None:
    """Give up stopped runs of the same input.

    Raise Refused, with nothing given up, if one was interrupted.
    """
    begun_before = [
        run
        for run in book.runs()
        if run.begun.kind is own.kind and not run.is_finished and same_place(run.begun, own)
    ]
    same = [run for run in begun_before if work_of(run.begun) == work_of(own)]
    for run in begun_before:
        if run not in same and run.begun.job == own.job:
            log.warning(
                "Run %s of this job was interrupted. To finish it: bulk-sync resume %s",
                run.run_id,
                run.run_id,
            )
    if same and not fresh:
        (run, *_), since = same, ledger.local(same[0].begun_ms)
        raise Refused(
            f"Nothing was written: run {run.run_id} of this very input, begun {since}, was "
            f"interrupted. Finish it with `bulk-sync resume {run.run_id}`, or give it up and "
            "start anew with --fresh.",
            "--fresh",
        )
    for run in same:
        give_up(book, state, run, "Given up for a fresh start.")
    give_up_stopped(book, state, own)
