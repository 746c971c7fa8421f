"""``validate``: checks a file without contacting Campaign, and reports the verdict on every row."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Self

import pandas as pd

from bulk_sync import __version__, report
from bulk_sync.engines.journal import now_ms
from bulk_sync.errors import Exit
from bulk_sync.ledger import Begun, Ended, Kind, Run
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import todo_file
from bulk_sync.report.destination import Destination
from bulk_sync.report.facts import Facts, Subject
from bulk_sync.report.table import Results
from bulk_sync.rows import comparison, due_dates, hints, request_dates
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.slices import RowProgress, Slices
from bulk_sync.rows.totals import LeftRows, Totals
from bulk_sync.runs.kept.tally import Counts, Tally
from bulk_sync.runs.stages import report_facts, validation
from bulk_sync.runs.stages.review import Files
from bulk_sync.runs.stages.validation import Judged
from bulk_sync.runs.terms.job import Input, JobRecord
from bulk_sync.runs.terms.protection import Protection
from bulk_sync.settings import State, new_run_id
from bulk_sync.storage import lock

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found in an input.

    Attributes:
        at_ms: when it was counted.
        reasons: rows by outcome and reason.
        tally: further counts; without deadlines if no report shows them.
        rejected: the rows that cannot be used.
        hints: sentences that name options for columns and cells that were not used.
    """

    at_ms: int
    totals: Totals
    reasons: Counter[tuple[str, str]]
    tally: Tally
    rejected: LeftRows
    hints: Sequence[str] = ()

    @classmethod
    def count(cls, rows: Slices, layout: Layout, *, has_deadlines: bool) -> Self:
        """Count rows from ``comparison.without_states``.

        Opt-outs are counted by their last day only if it is wanted: the tables of holidays take
        longer than a small file.
        """
        at_ms, cells = now_ms(), hints.UnusableCells(layout)
        today = datetime.fromtimestamp(at_ms / 1000, UTC).date() if has_deadlines else None

        def counted(each: pd.DataFrame) -> Counts:
            cells.add(each)
            return Counts.from_rows(each, [Outcome.REJECTED], today)

        counts = reduce(Counts.plus, map(counted, rows.read()))
        return cls(at_ms, *counts, hints.sentences(cells))

    @property
    def is_usable(self) -> bool:
        """Return whether no row is rejected."""
        return not self.rejected.count

    @property
    def may_stay(self) -> bool:
        """Return whether the rejected rows are no requests, such as a total, below usable rows."""
        no_requests = self.reasons[Outcome.REJECTED, Reason.NOT_DATA]
        return no_requests == self.rejected.count and Outcome.USABLE in self.totals.outcomes


@dataclass(frozen=True, slots=True)
class Validated:
    """An input that was checked without contacting Campaign, and what was written about it.

    Attributes:
        marked: the reports that are copies of the input with marks in it.
        files: the reports, and the file with the rows that cannot be used, if it is wanted.
    """

    layout: Layout
    verdict: Verdict
    marked: Sequence[Destination] = ()
    files: Files = field(default_factory=Files)


def judge(
    given: Input,
    reports: Sequence[str],
    progress: RowProgress,
    protection: Protection,
    *,
    job: str = "",
    todo: bool = False,
) -> Validated:
    """Check a file without contacting Campaign, and write the verdicts to reports.

    A workbook to be corrected remembers ``job``. With ``todo`` the rows that cannot be used go into
    a file beside the first report, too.

    Raises:
        StopRun: the file cannot be read, or a report not be written.
    """
    paths = JobRecord(State(given.state_dir), reports=tuple(reports)).reports_of(new_run_id())
    protection.read()
    report.check_replaceable(paths, {*validation.files(given), *protection.files})
    stem = paths[0].beside(given.stem) if todo else None
    if stem is not None:
        todo_file.check(stem)
    with validation.judged(given, progress) as judged:
        rows = protection.rejected_in(judged.rows.map(comparison.without_states))
        checked, date = replace(judged, rows=rows), judged.layout.columns.date
        counted = rows.watched("Counting the rows", progress)
        verdict = Verdict.count(counted, judged.layout, has_deadlines=bool(paths))
        if not paths:
            return Validated(judged.layout, verdict)
        facts = facts_of(given.source, checked, verdict, paths, job)
        results = Results.from_slices(
            rows.map(lambda each: due_dates.with_due(request_dates.with_doubts(each, date)))
        )
        written = [_report(checked, results, path, facts, progress) for path in paths]
        left = todo_file.write(rows, facts.source, stem) if stem else None
    marked = tuple(file for file, is_marked in written if is_marked)
    files = tuple(file for file, _ in written)
    return Validated(judged.layout, verdict, marked, Files(files, left))


def _report(
    judged: Judged, results: Results, path: Destination, facts: Facts, progress: RowProgress
) -> tuple[Destination, bool]:
    """Write a verdict; return where it is, and whether it is the input itself, with marks in it."""
    if path.name.lower().endswith(".xlsx") and judged.layout.sheet is not None:
        # Late: its libraries take as long to import as a small file to check.
        from bulk_sync.report import marked  # noqa: PLC0415

        source = judged.layout.places[0].file
        try:
            path_here, layout = judged.files.path_of(source), judged.layout
            book = marked.mark(path_here, judged.rows.joined(), layout, facts)
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
    return report.write(results, path, facts, progress), False


def facts_of(
    source: str,
    judged: Judged,
    verdict: Verdict,
    reports: Sequence[Destination] = (),
    job: str = "",
) -> Facts:
    """Return the facts of a check of a file, which is no run."""
    status = Exit.DONE if verdict.is_usable else Exit.ROWS_LEFT
    outcomes = verdict.totals.outcomes
    ended = Ended(exit=int(status), message="", final=True, outcomes=outcomes)
    begun = Begun(
        kind=Kind.PLAN,
        job=job,
        endpoint="",
        organization="",
        attribute="",
        input=source,
        input_sha256=judged.sha256,
        rows=verdict.totals.rows,
        parent=None,
        settings={**judged.layout.facts, "prepared_by": lock.user()},
        version=__version__,
        operator=lock.operator(),
    )
    run = Run("", 0, verdict.at_ms, begun, verdict.at_ms, ended)
    return report_facts.facts_from(run, verdict.tally, reports=reports, subject=Subject.VERDICT)
