"""A file of desired states, carried into Campaign; or as far as its plan, or its verdicts."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bulk_sync import ledger, report
from bulk_sync.errors import Refused
from bulk_sync.interrupts import Interrupts
from bulk_sync.ledger import Begun, Kind, Ledger
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import due_dates, matched, plan
from bulk_sync.rows.steps import Steps
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import day_budget, ending, judging, plan_file, precedence, story
from bulk_sync.runs.finding import is_at
from bulk_sync.runs.job import Finished, Input, Job, Screen, named, new_run_id
from bulk_sync.runs.opening import (
    alone,
    begun_as,
    check_paths,
    give_up,
    guarded,
    opened,
    past_of,
    tidy_up,
    was_refused,
)
from bulk_sync.runs.plan_file import INPUT_SETTINGS, KEY_SETTINGS, LIMITS, Facts

log = logging.getLogger(__name__)


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
    with Interrupts() as interrupts, alone(job, run_id) as book:
        rows, digest, keys = judging.judged(given, job)
        report.check_fits(rows, job.reports)
        job = judging.with_keys(job, keys)
        _make_way(book, job, digest, fresh=fresh)
        begun = begun_as(Kind.RUN, job, given.source, digest, len(rows))
        run = opened(book, job, run_id, begun, rows, given.stem)
        run = replace(run, past=past_of(book, job))
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
    if out is not None:
        job = guarded(job)  # as ``apply`` will be
    with Interrupts() as interrupts, day_budget.reading(job) as book:
        rows, digest, keys = judging.judged(given, job)
        report.check_fits(rows, paths)
        job = judging.with_keys(job, keys)
        past = [] if book is None else past_of(book, job)
        budget = None if book is None else day_budget.of(book, job)
        last_writes = precedence.of(book, job.state, job.connection)
        planned, cause, cost = story.preview(rows, job, screen, past, budget, last_writes)
        interrupts.defer()
        totals = Totals.of(planned)
        begun = begun_as(Kind.RUN, job, given.source, digest, len(rows))
        todo = paths[0].with_name(f"{given.stem}.{run_id}.todo.csv") if paths else Path()
        facts = {"Plan": run_id, "Input": given.source, "Rows": str(len(rows))}
        joined = matched.joined(planned)
        written, todo_written, failure = ending.write_reports(joined, paths, todo, facts)
        made = None
        if out is not None and cause is None:
            made = plan_file.write(out, planned, _plan_facts(run_id, begun, totals))
    return Finished(
        run_id=run_id,
        rows=joined,
        totals=totals,
        cost=cost,
        cause=cause or failure,
        reports=written,
        todo=todo_written,
        plan_sha256=made,
    )


def judge(given: Input, reports: Sequence[Path]) -> tuple[pd.DataFrame, int]:
    """Judge a file without contacting Campaign, and write the verdicts where asked.

    Returns:
        Results of a run that tried no row, and how many rows are rejected.

    Raises:
        StopRun: the file cannot be read, or a report not be written.
    """
    paths = named(reports, new_run_id())
    _check_reports(paths, given)
    checked, _, _ = judging.judged(given)
    report.check_fits(checked, paths)
    judged = plan.compare(checked, Steps.of(len(plan.open_rows(checked))))
    for path in paths:
        report.write(
            due_dates.with_due(judged),
            path,
            title={"Input": given.source, "Rows": str(len(judged))},
        )
    return judged, Totals.of(judged).outcomes.get(Outcome.REJECTED, 0)


def _make_way(book: Ledger, job: Job, digest: str, *, fresh: bool) -> None:
    """See to interrupted runs before another begins.

    Raises:
        Refused: one had the same input.
    """
    for run in book.runs():
        begun = run.begun
        here = is_at(begun, job.connection.endpoint, job.connection.organization)
        if not here or begun.kind != Kind.RUN:
            continue
        if run.is_finished:
            if begun.input_sha256 == digest and was_refused(job.state, run):
                give_up(book, job.state, run, run.ended.message if run.ended else "")
            continue
        if begun.input_sha256 != digest or begun.attribute != job.connection.attribute:
            if begun.job == job.name:
                log.warning(
                    "Run %s of this job was interrupted. To finish it: bulk-sync resume %s",
                    run.run_id,
                    run.run_id,
                )
        elif fresh:
            give_up(book, job.state, run, "Given up for a fresh start.")
        else:
            since = ledger.utc(run.begun_ms)
            raise Refused(
                f"Nothing was written: run {run.run_id} of this very input, begun {since}, was "
                f"interrupted. Finish it with `bulk-sync resume {run.run_id}`, or give it up and "
                "start anew with --fresh.",
                "--fresh",
            )
    tidy_up(book, job.state)


def _plan_facts(run_id: str, begun: Begun, totals: Totals) -> Facts:
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
        settings={name: begun.settings.get(name) for name in (*KEY_SETTINGS, *INPUT_SETTINGS)},
        limits={name: given for name in LIMITS if (given := begun.settings.get(name)) is not None},
    )


def _check_reports(paths: Sequence[Path], given: Input) -> None:
    """Say before anything is read that a report cannot be written, or would replace the input."""
    check_paths(paths, judging.files(given))
