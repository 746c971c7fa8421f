"""``validate``: checks a file without contacting Campaign, and reports the verdict on every row."""

import logging
from collections.abc import Sequence
from dataclasses import replace

from bulk_sync import report
from bulk_sync.report import todo_file
from bulk_sync.report.destination import Destination
from bulk_sync.report.facts import Facts
from bulk_sync.report.table import Results
from bulk_sync.rows import comparison, doubtful_dates
from bulk_sync.rows.slices import Tell
from bulk_sync.runs import finish, report_facts, validation
from bulk_sync.runs.input_files import InputFiles, at_hand
from bulk_sync.runs.job import Input, JobRecord
from bulk_sync.runs.protection import Protection
from bulk_sync.runs.validation import Judged
from bulk_sync.runs.verdict import Validated, Verdict
from bulk_sync.settings import new_run_id

log = logging.getLogger(__name__)


def judge(
    given: Input,
    reports: Sequence[str],
    tell: Tell,
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
    with (
        at_hand(given.source, given.state_dir) as found,
        validation.judged_at_hand(given, found, tell) as judged,
    ):
        rows = protection.rejected_in(judged.rows.map(comparison.without_states))
        checked, date = replace(judged, rows=rows), judged.layout.columns.date
        counted = rows.watched("Counting the rows", tell)
        verdict = Verdict.count(counted, judged.layout, has_deadlines=bool(paths))
        if not paths:
            return Validated(judged.layout, verdict)
        facts = report_facts.of_check(given.source, checked, verdict, paths, job)
        results = Results.from_slices(
            rows.map(lambda each: finish.report_rows(doubtful_dates.with_details(each, date)))
        )
        written = [_report(checked, found, results, path, facts, tell) for path in paths]
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
    tell: Tell,
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
