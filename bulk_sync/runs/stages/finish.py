"""How a run ends: its reports, its last line in the ledger, and what is kept of it.

    results --reports--> plan file --> kept rows --> ledger --> the checkpoint goes, if not needed

A failure here is why the run ended early, unless there was another reason before.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from functools import reduce
from operator import add
from pathlib import Path

import pandas as pd

from bulk_sync import ledger, report
from bulk_sync.engines.journal import now_ms
from bulk_sync.errors import AccessDenied, Refused, StoppedEarly, StopRun, UsageProblem
from bulk_sync.ledger import Begun, Ledger, Run
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import todo_file
from bulk_sync.report.destination import Destination
from bulk_sync.report.facts import Facts, Source
from bulk_sync.report.table import Results
from bulk_sync.rows import columns, comparison, due_dates, expand, read
from bulk_sync.rows.slices import RowProgress, Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.history.run_context import RunContext
from bulk_sync.runs.kept import kept_rows, plan_file, write_records
from bulk_sync.runs.kept.checkpoint import CheckpointProblem
from bulk_sync.runs.kept.plan_file import OUT
from bulk_sync.runs.kept.rest import Rest
from bulk_sync.runs.stages import report_facts
from bulk_sync.runs.stages.execution import StageEnd, knows_states
from bulk_sync.runs.stages.review import Cost, Files, Finished
from bulk_sync.runs.terms.job import Input, Job, JobRecord

log = logging.getLogger(__name__)


def finish_run(
    run: RunContext, job: Job, ended: StageEnd, cost: Cost, progress: RowProgress
) -> Finished:
    """Write the reports, end the run in the ledger, and keep what later commands may need."""
    totals, joined = Totals.count(ended.rows) + run.rest.totals, expand.collapse(ended.rows)
    line = report_facts.ended_with(totals, ended.cause, str(ended.held or ended.warning))
    files, failure = _write_all_reports(run, job.record, line, joined, progress)
    cause = ended.cause or failure
    if cause is None:
        try:
            files = replace(files, plan_sha256=_write_plan(run, ended, totals))
        except StopRun as problem:
            cause = problem
    finished = Finished(
        run_id=run.run_id,
        rows=joined,
        totals=totals,
        cost=cost,
        cause=cause,
        files=files,
        is_resumable=not _is_final(cause, joined, run.rest),
        settings=job.record.settings,
        held=None if cause else ended.held,
        rest=run.rest,
    )
    try:
        return _end(run, job, finished, ended)
    except StopRun as problem:
        log.warning("%s", problem)
        return replace(finished, cause=cause or problem, is_resumable=True)


def refuse(
    book: Ledger, job: Job, run_id: str, begun: Begun, stem: str, rows: Slices, why: Refused
) -> None:
    """Record a run that was refused before it began: it is finished, and nothing can resume it.

    ``stem`` is the beginning of its reports' names, ``rows`` every row of the input.
    """
    rows = rows.map(_undone)
    line = report_facts.ended_with(reduce(add, map(Totals.count, rows.read())), why)
    line = replace(line, final=True, seconds=round(job.record.seconds, 3))
    try:
        settings = {**begun.settings, "report": [], "stem": stem}
        book.begin(run_id, replace(begun, settings=settings))
        book.end(
            run_id,
            replace(line, rows_kept_until=kept_rows.keep(job.record.state, run_id, begun, rows)),
        )
    except StopRun as problem:
        log.warning("%s", problem)


def _undone(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of a plan, or of no plan yet, as a limit leaves them."""
    # What a plan found unchanged was read for the plan: this run has confirmed nothing.
    is_open = rows[columns.OUTCOME] == str(Outcome.UNCHANGED)
    rows = rows.assign(
        **{columns.OUTCOME: rows[columns.OUTCOME].mask(is_open, str(Outcome.PENDING))}
    )
    return comparison.hold_back(rows, Reason.LIMIT)


def write_reports(
    rows: Slices,
    reports: Sequence[Destination],
    name: str,
    facts: Facts,
    progress: RowProgress,
    left: Slices,
) -> tuple[Files, StopRun | None]:
    """Write the reports, and the todo file if a row needs a person.

    ``rows`` are results, a row per row of the input. ``left`` has those that may need a person, as
    the todo file is to have them; it lies beside the first report, and ``name`` is how its name
    begins.

    Returns:
        What was written, and what went wrong.
    """
    written: list[Destination] = []
    try:
        results = Results.from_slices(rows.map(due_dates.with_due))
        for destination in reports:
            written.append(report.write(results, destination, facts, progress))  # noqa: PERF401 - may raise
        todo = None
        if reports:
            source = source_of_rest(facts.source)
            todo = todo_file.write(left, source, reports[0].beside(name))
    except StopRun as failure:
        log.warning("%s", failure)
        return Files(tuple(written)), failure
    return Files(tuple(written), todo), None


def source_of_rest(source: Source) -> Source:
    """Return the source of rows that are left of an input, with the job whose table is to hold.

    If these were left of another input already, their run is called after their own file.
    """
    found = read.origin(source.input)
    is_named = source.job != read.default_job(source.input, Input(source.input).stem)
    return source if found is None or is_named else replace(source, job=found.job)


def _write_all_reports(
    run: RunContext,
    record: JobRecord,
    line: ledger.Ended,
    rows: pd.DataFrame,
    progress: RowProgress,
) -> tuple[Files, StopRun | None]:
    """Write the reports of a run with this end.

    ``rows`` has a row per row of the input, but those of the rest.
    """
    # What an undo leaves is to be put back: the original input has the opposite states.
    is_undo = run.lineage.undone is not None
    left = Slices.of(write_records.as_input(rows, run.begun.attribute) if is_undo else rows)
    reports, now = report.spare(record.reports_of(run.run_id), run.run_id), now_ms()
    ending = Run(run.run_id, 1, now, run.begun, now, line)
    past, name = _known_runs(run.ledger), f"{run.stem}.{run.run_id}"
    before = next((each.ended for each in past if each.run_id == run.run_id), None)
    if reports and before is not None and before.todo_sha256:
        name = todo_file.spare(reports[0].beside(name), before.todo_sha256).name
    tally = report_facts.tally_of(ending, rows) + run.rest.tally
    facts = report_facts.facts_from(ending, tally, past, reports=reports)
    results = run.rest.with_results(rows)
    if run.rest.is_all or run.rest.left.count:
        left = results
    files, failure = write_reports(results, reports, name, facts, progress, left)
    if failure is not None and not run.begun.is_plan:
        is_lost = isinstance(failure, CheckpointProblem)  # then no process can write it
        then = "." if is_lost else f"; `bulk-sync resume {run.run_id}` writes the report."
        failure = StoppedEarly(f"{failure} What was changed in Campaign stays so{then}")
    return files, failure


def _write_plan(run: RunContext, ended: StageEnd, totals: Totals) -> str | None:
    out = run.begun.settings.get(OUT) if run.begun.is_plan else None
    if not out:
        return None
    rows = run.rest.with_results(ended.rows)
    return plan_file.write(Path(out), rows, run.run_id, run.begun, totals)


def _is_final(cause: StopRun | None, rows: pd.DataFrame, rest: Rest) -> bool:
    """Return whether ``resume`` cannot go on."""
    if isinstance(cause, UsageProblem | AccessDenied):
        # Wrong settings end a run for good only while no state is known that would be lost.
        return not knows_states(rows, rest)
    return cause is None or isinstance(cause, Refused)


def _end(run: RunContext, job: Job, finished: Finished, ended: StageEnd) -> Finished:
    """Keep what later commands may need, and end the run; raise StopRun if that fails."""
    is_plan, is_final = run.begun.is_plan, not finished.is_resumable
    has_failed = not is_plan and finished.totals.outcomes.get(Outcome.FAILED, 0) > 0
    if is_final and finished.cause is None and has_failed:
        run.checkpoint.keep_results(finished.rows)
    until = ""
    if is_final and not is_plan:
        rows = run.rest.with_results(ended.rows)
        until = kept_rows.keep(job.record.state, run.run_id, run.begun, rows)
    why, cost = finished.cause or finished.held, replace(finished.cost, seconds=job.record.seconds)
    last_line = ledger.Ended(
        exit=int(finished.exit),
        message=str(why or ended.warning or finished.files.note),
        final=is_final,
        outcomes=finished.totals.outcomes,
        opt_ins=finished.totals.opt_ins,
        opt_outs=finished.totals.opt_outs,
        calls=cost.calls,
        seconds=round(cost.seconds, 3),
        reports={str(file): file.sha256() for file in finished.files.reports},
        rows_kept_until=until,
        plan_sha256=finished.files.plan_sha256 or "",
        todo_sha256="" if finished.files.todo is None else finished.files.todo.sha256(),
    )
    head = run.ledger.end(run.run_id, last_line)
    if is_final and not has_failed and not isinstance(why, Refused):
        run.checkpoint.remove()
    return replace(finished, head=head, cost=cost)


def _known_runs(book: Ledger) -> list[Run]:
    try:
        return book.runs()
    except StopRun as problem:
        log.warning("%s", problem)
        return []
