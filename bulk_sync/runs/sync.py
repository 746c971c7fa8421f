"""Carries a file of desired states into Campaign, or as far as a plan or a check."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bulk_sync import job_names, ledger, report
from bulk_sync.engines.journal import now_ms
from bulk_sync.errors import Refused
from bulk_sync.ledger import Begun, Kind, Ledger, Run
from bulk_sync.outcomes import Outcome
from bulk_sync.report import todo_file
from bulk_sync.report.destination import Destination
from bulk_sync.report.facts import Facts
from bulk_sync.report.table import Results
from bulk_sync.rows import comparison, doubtful_dates, expand
from bulk_sync.rows.plan_limits import Past
from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import (
    day_budget,
    finish,
    pipeline,
    plan_file,
    precedence,
    report_facts,
    validation,
)
from bulk_sync.runs.begin import begin, begun_as, check_files, past_of, warn_of_same_file
from bulk_sync.runs.exclusion import working_alone, working_on_plan
from bulk_sync.runs.input_files import InputFiles, at_hand
from bulk_sync.runs.job import Input, Job, JobRecord
from bulk_sync.runs.lineage import same_place
from bulk_sync.runs.past_runs import has_checkpoint, may_pass
from bulk_sync.runs.plan_file import HOLD, LIMITS, OUT, PROTECT
from bulk_sync.runs.protection import Protection
from bulk_sync.runs.resumption import continue_run, give_up
from bulk_sync.runs.review import Finished, Screen
from bulk_sync.runs.validation import Judged
from bulk_sync.runs.verdict import Validated, Verdict
from bulk_sync.settings import new_run_id
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)


def sync(job: Job, given: Input, screen: Screen, *, fresh: bool = False) -> Finished:
    """Carry a file of desired states into Campaign.

    Args:
        job: how to work.
        given: what to read.
        screen: shows the run to a person, who is asked before anything is written.
        fresh: give up an interrupted run of the same input, instead of refusing to start anew.

    Raises:
        StopRun: it could not begin; nothing was sent.
    """
    run_id = new_run_id()
    check_files(job, run_id, validation.files(given))
    with Interrupts() as interrupts, working_alone(job, run_id) as book:
        job, rows, begun = _read(given, Kind.RUN, job, run_id, screen)
        try:
            _make_way(book, job, begun, fresh=fresh)
        except Refused as refused:
            screen.begin(run_id, begun)
            unread = Slices.of(comparison.without_states(rows, Outcome.PENDING))
            finish.refuse(book, job, run_id, begun, given.stem, unread, refused)
            raise
        warn_of_same_file(book, job, begun.input_sha256)
        run = begin(book, job, run_id, begun, rows, given.stem)
        run = replace(run, past=past_of(book, job, given.source))
        return pipeline.carry_out(run, job, screen, interrupts)


def preview(
    job: Job, given: Input, screen: Screen, out: Path | None = None, *, fresh: bool = False
) -> Finished:
    """Show the writes of ``sync``, and write nothing to Campaign.

    A preview with a plan file, or with a budget, is a run of its own: its states are kept, and the
    same command, or ``resume``, continues it. Any other leaves no trace.

    Args:
        job: how to work.
        given: what to read.
        screen: shows the plan to a person.
        out: plan file for ``apply``; None writes none.
        fresh: give up an interrupted one of the same input, instead of continuing it.

    Raises:
        StopRun: it could not begin.
    """
    if out is not None or job.pace.has_budget:
        return _kept_preview(job, given, screen, out, fresh=fresh)
    run_id = new_run_id()
    _check_preview(job, run_id, given)
    with Interrupts() as interrupts, ledger.open_existing(job.state) as book:
        job, rows, begun = _read(given, Kind.PLAN, job, run_id, screen)
        past, budget, runs = list[Past](), None, list[Run]()
        if book is not None:
            warn_of_same_file(book, job, begun.input_sha256)
            past, budget = past_of(book, job, given.source), day_budget.budget_of(book, job)
            runs = book.runs()
        last_writes = precedence.last_writes(book, job.state, job.connection)
        screen.begin(run_id, begun)
        planned, cause, cost = pipeline.preview(rows, job, screen, past, budget, last_writes)
        interrupts.defer()
        totals, joined, now = Totals.count(planned), expand.collapse(planned), now_ms()
        ended = replace(report_facts.ended_with(totals, cause), final=True)
        ending = Run(run_id, 0, now, begun, now, ended)
        paths = job.record.reports_of(run_id)
        facts = report_facts.facts_of(ending, joined, runs, reports=paths)
        files, failure = finish.write_reports(
            Slices.of(joined), paths, f"{given.stem}.{run_id}", facts, screen.tell, joined
        )
    return Finished(
        run_id=run_id,
        rows=joined,
        totals=totals,
        cost=replace(cost, seconds=job.seconds),
        cause=cause or failure,
        files=files,
        settings=job.record.settings,
    )


def _kept_preview(
    job: Job, given: Input, screen: Screen, out: Path | None, *, fresh: bool
) -> Finished:
    """Make a preview as a run of its own, or continue an interrupted one."""
    run_id = new_run_id()
    _check_preview(job, run_id, given)
    if out is not None:
        inputs = {*validation.files(given), *job.protection.files}
        plan_file.check_path(out, inputs, job.record.reports_of(run_id))
        job = job.guarded()  # as ``apply`` will be
    with Interrupts() as interrupts, ledger.open_ledger(job.state) as book:
        job, rows, begun = _read(given, Kind.PLAN, job, run_id, screen)
        saved = {OUT: None if out is None else str(out.absolute())}
        begun = replace(begun, settings={**begun.settings, **saved})
        for run in _interrupted_plans(book, job, begun):
            with working_on_plan(book, job.state, run.run_id):
                if book.run(run.run_id).is_finished:  # by the process that was waited for
                    continue
                if not fresh:
                    settings = {**run.begun.settings, **begun.settings}
                    run = replace(run, begun=replace(begun, settings=settings))  # noqa: PLW2901
                    return continue_run(book, job, run, screen, interrupts)
                give_up(book, job.state, run, "Given up for a fresh start.")
        warn_of_same_file(book, job, begun.input_sha256)
        opening = begin(book, job, run_id, begun, rows, given.stem)
        with working_on_plan(book, job.state, run_id):
            opening = replace(opening, past=past_of(book, job, given.source))
            return pipeline.carry_out(opening, job, screen, interrupts)


def _check_preview(job: Job, run_id: str, given: Input) -> None:
    """Check files as for a run, and that its reports replace nothing of another program."""
    job.protection.read()
    inputs = {*validation.files(given), *job.protection.files}
    report.check_reports(job.record.reports_of(run_id), inputs)


def _read(
    given: Input, kind: Kind, job: Job, run_id: str, screen: Screen
) -> tuple[Job, pd.DataFrame, Begun]:
    """Read an input, and return the job with what was found, the rows, and how the run begins."""
    judged = validation.judged(given, job)
    rows = judged.rows.joined()
    report.check_fits(rows.columns, job.record.reports_of(run_id))
    job = validation.with_input(job, judged)
    screen.announce(judged)
    return job, rows, begun_as(kind, job, given.source, judged.sha256, len(rows))


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
        return each.kind, each.parent, each.input_sha256, each.attribute, each.job, settings

    return [
        run
        for run in reversed(book.runs())
        if not run.is_finished
        and identity(run.begun) == identity(begun)
        and same_place(run.begun, begun)
        and has_checkpoint(job.state, run)
    ]


def judge(
    given: Input,
    reports: Sequence[str],
    tell: report.Tell,
    protection: Protection,
    *,
    job: str = "",
    todo: bool = False,
) -> Validated:
    """Check a file without contacting Campaign, and write the verdicts to reports.

    Args:
        given: the file.
        reports: where they go.
        tell: is told how far each report got.
        protection: people whose rows are rejected, by the keys in the file.
        job: the job of the file; a workbook to be corrected remembers it.
        todo: write those that cannot be used into a file beside the first report, too.

    Raises:
        StopRun: the file cannot be read, or a report not be written.
    """
    paths = JobRecord(reports=tuple(reports), state_dir=given.state_dir).reports_of(new_run_id())
    protection.read()
    report.check_reports(paths, {*validation.files(given), *protection.files})
    stem = paths[0].beside(given.stem) if todo else None
    if stem is not None:
        todo_file.check(stem)
    with at_hand(given.source, given.state_dir) as found:
        judged = validation.judged_at_hand(given, found)
        rows = protection.rejected_in(judged.rows.map(comparison.without_states))
        judged, date = replace(judged, rows=rows), judged.layout.columns.date
        verdict = Verdict.count(rows, judged.layout, has_deadlines=bool(paths))
        if not paths:
            return Validated(judged.layout, verdict)
        facts = report_facts.of_check(given.source, judged, verdict, paths, job)
        results = Results.from_slices(
            rows.map(lambda each: finish.report_rows(doubtful_dates.with_details(each, date)))
        )
        written = [_report(judged, found, results, path, facts, tell) for path in paths]
        left = todo_file.write(rows, facts.source, stem) if stem else None
    marked = tuple(file for file, is_marked in written if is_marked)
    files = tuple(file for file, _ in written)
    return Validated(judged.layout, verdict, files, marked, left)


def _report(
    judged: Judged,
    found: InputFiles,
    results: Results,
    path: Destination,
    facts: Facts,
    tell: report.Tell,
) -> tuple[Destination, bool]:
    """Write a verdict; return where it is, and whether it is the input itself, with marks in it."""
    if path.name.lower().endswith(".xlsx") and judged.layout.sheet is not None:
        # Late: its libraries take as long to import as a small file to check.
        from bulk_sync.report import marked  # noqa: PLC0415

        source = judged.layout.places[0].file
        try:
            book = marked.mark(found.path_of(source), judged.rows.joined(), judged.layout, facts)
        except marked.Unmarkable as why:
            note = (
                f"This is a new workbook, not a copy of {source} with marks, because {why}. "
                f"Correct the rows in {source}."
            )
            log.warning("%s: %s", path, note)
            sentences = *facts.result.sentences, note
            facts = replace(facts, result=replace(facts.result, sentences=sentences))
        else:
            with path.writing() as file:
                file.write(book)
            return path.publish(), True
    report.check_fits(results.names, [path])
    return report.write(results, path, facts, tell), False


def _make_way(book: Ledger, job: Job, own: Begun, *, fresh: bool) -> None:
    """Give up stopped runs of the same input; refuse to begin beside an interrupted one.

    Raises:
        Refused: one was interrupted, and nothing was given up.
    """
    passed: list[tuple[Run, str]] = []
    for run in book.runs():
        begun = run.begun
        if not same_place(begun, own) or begun.kind != own.kind:
            continue
        is_same = (begun.input_sha256, begun.attribute) == (own.input_sha256, own.attribute)
        if run.is_finished:
            if is_same and may_pass(job.state, run):
                passed.append((run, run.ended.message if run.ended else ""))
        elif not is_same:
            if job_names.is_same(begun.job, own.job):
                log.warning(
                    "Run %s of this job was interrupted. To finish it: bulk-sync resume %s",
                    run.run_id,
                    run.run_id,
                )
        elif fresh:
            passed.append((run, "Given up for a fresh start."))
        else:
            since = ledger.local(run.begun_ms)
            raise Refused(
                f"Nothing was written: run {run.run_id} of this very input, begun {since}, was "
                f"interrupted. Finish it with `bulk-sync resume {run.run_id}`, or give it up and "
                "start anew with --fresh.",
                "--fresh",
            )
    for run, why in passed:
        give_up(book, job.state, run, why)
