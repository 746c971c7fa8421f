"""``report``: writes the report of a past run again, in any format.

    finished run --kept rows-------.
    plan         --plan file--------+--> results --> reports
    unfinished   --its checkpoint--'

Campaign is not asked, and nothing is recorded.
"""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial, reduce
from operator import add
from pathlib import Path

import pandas as pd
import pyarrow as pa

from bulk_sync import report
from bulk_sync.errors import Exit, InputProblem, UsageProblem
from bulk_sync.ledger import Ended, Ledger, Run
from bulk_sync.report import todo_file
from bulk_sync.report.table import Results
from bulk_sync.rows import due_dates, expand
from bulk_sync.rows.slices import RowProgress, Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.history import lineage
from bulk_sync.runs.history.exclusion import at_work
from bulk_sync.runs.history.past_runs import NothingLeft, has_checkpoint, known, without_checkpoint
from bulk_sync.runs.history.progress import so_far
from bulk_sync.runs.kept import kept_rows, plan_file, write_records
from bulk_sync.runs.kept.kept_rows import KeptRows
from bulk_sync.runs.kept.plan_file import OUT
from bulk_sync.runs.stages import finish, report_facts
from bulk_sync.runs.stages.review import Files
from bulk_sync.runs.stages.validation import files_of
from bulk_sync.runs.terms.job import JobRecord
from bulk_sync.settings import State

log = logging.getLogger(__name__)


def report_again(
    state: State,
    run_id: str | None,
    paths: Sequence[str],
    progress: RowProgress,
    *,
    todo: bool = False,
) -> tuple[Run, Files]:
    """Write the reports of a past run again, and the todo file beside the first if it is wanted.

    ``run_id`` is the run, or the beginning of its id; None for the newest that is no plan.

    Returns:
        The run, and what was written.

    Raises:
        NothingLeft: there is no run yet.
        UsageProblem: there is no such run, its rows are not here, or a report cannot go there.
        StoppedEarly: a report cannot be written.
    """
    with known(state) as book:
        run = book.run(run_id) if run_id else _newest(book)
        destinations = JobRecord(state, reports=tuple(paths)).reports_of(run.run_id)
        report.check_replaceable(destinations, files_of(run.begun))
        name = f"{run.begun.settings.get('stem') or run.begun.job}.{run.run_id}"
        stem = destinations[0].beside(name) if todo else None
        if stem is not None:
            todo_file.check(stem)
        found, past = _rows(book, state, run), book.runs()
    rows = found.map(expand.collapse)
    report.check_fits(rows.first.columns, destinations)
    ending = run
    if not run.is_finished:
        ending = _as_far_as_it_got(run, reduce(add, map(Totals.count, found.read())))
    tally = reduce(add, (report_facts.tally_of(ending, each) for each in rows.read()))
    facts = report_facts.facts_from(ending, tally, past, reports=destinations)
    results = Results.from_slices(rows.map(due_dates.with_due))
    written = tuple(report.write(results, each, facts, progress) for each in destinations)
    left = None
    if stem is not None:
        if lineage.trace(past, run.run_id).undone is not None:
            rows = rows.map(partial(write_records.as_input, attribute=run.begun.attribute))
        left = todo_file.write(rows, finish.source_of_rest(facts.source), stem)
    return run, Files(written, left)


def _as_far_as_it_got(run: Run, totals: Totals) -> Run:
    ended = run.ended or Ended(
        exit=int(Exit.STOPPED_EARLY),
        message="The run has not ended: it was killed, or is still at work.",
        final=False,
    )
    counted = replace(
        ended, outcomes=totals.outcomes, opt_ins=totals.opt_ins, opt_outs=totals.opt_outs
    )
    return replace(run, ended=counted)


def _newest(book: Ledger) -> Run:
    for run in reversed(book.runs()):
        if not run.begun.is_plan:
            return run
    raise NothingLeft("There is no run yet, so there is nothing to report.")


def _rows(book: Ledger, state: State, run: Run) -> Slices:
    """Return the results of a run; raise UsageProblem if they are not here, or damaged."""
    kept = kept_rows.all_of(state.folder).get(run.run_id)
    if kept is not None:
        return _kept(kept, run)
    if not run.is_finished:
        return _so_far(book, state, run)
    if run.begun.is_plan:
        return _planned(run)
    raise UsageProblem(_not_kept(run))


def _kept(kept: KeptRows, run: Run) -> Slices:
    """Return kept rows; opening and reading them raise UsageProblem if they are damaged."""

    def read() -> Iterator[pd.DataFrame]:
        with _explained(kept, run):
            yield from rows.read()

    with _explained(kept, run):
        rows = kept.slices()
    return replace(rows, read=read)


@contextmanager
def _explained(kept: KeptRows, run: Run) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        raise UsageProblem(
            f"The rows of run {run.run_id} cannot be read from {kept.path}: {error}. "
            f"{_where_reports_are(run)}"
        ) from error


def _so_far(book: Ledger, state: State, run: Run) -> Slices:
    rows = so_far(book, state, run)
    if rows is None:
        if has_checkpoint(state, run):  # the log has the reason
            raise UsageProblem(f"What run {run.run_id} has done so far cannot be read.")
        raise UsageProblem(without_checkpoint(state, run))
    process = at_work(state, book).get(run.run_id)
    at_its_end = f"To finish it: bulk-sync resume {run.run_id}"
    if process is not None:
        at_its_end = f"It is at work, as {process}: wait for its end."
    shown = f"Run {run.run_id} is not finished: the report shows how far it got."
    log.warning("%s %s", shown, at_its_end)
    return rows


def _planned(run: Run) -> Slices:
    out = run.begun.settings.get(OUT)
    with suppress(InputProblem):
        if out and (plan := plan_file.read(Path(out))).run_id == run.run_id:
            return plan.rows
    where = f", and its file is not at {out} any more" if out else ", and it was saved to no file"
    again = f"plan {run.begun.input}" if run.begun.parent is None else f"undo {run.begun.parent}"
    raise UsageProblem(
        f"Run {run.run_id} is a plan, whose rows are kept in the plan file alone{where}. Make the "
        f"plan again: `bulk-sync {again} --out plan.parquet`, with --report."
    )


def _not_kept(run: Run) -> str:
    until = "" if run.ended is None else run.ended.rows_kept_until
    why = "were not kept when it ended"
    if until:
        place = run.begun.operator
        why = f"are not here, or not any more: it ran as {place}, and kept them until {until}"
    return f"The rows of run {run.run_id} {why} (--keep-rows). {_where_reports_are(run)}"


def _where_reports_are(run: Run) -> str:
    paths = () if run.ended is None else tuple(run.ended.reports)
    first = f"Its report went to {', '.join(paths)}. " if paths else ""
    return f"{first}What it changed is in the ledger: `bulk-sync runs {run.run_id}`."
