"""``audit``: reads again what a run applied, and reports what no longer holds."""

import logging
import random
from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from bulk_sync import report
from bulk_sync.engines.journal import now_ms
from bulk_sync.engines.session import Session
from bulk_sync.errors import StopRun
from bulk_sync.ledger import Intent, Ledger, Run
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report.facts import Subject
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.results import Steps
from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.history.past_runs import NothingLeft, known
from bulk_sync.runs.kept import write_records
from bulk_sync.runs.stages import finish, report_facts
from bulk_sync.runs.stages.execution import cost_of
from bulk_sync.runs.stages.review import Cost, Finished, Screen
from bulk_sync.runs.stages.validation import files_of
from bulk_sync.runs.terms import day_budget
from bulk_sync.runs.terms.job import Job
from bulk_sync.runs.terms.remaining_cost import check_budget
from bulk_sync.settings import Bound, Writing, new_run_id
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)


def audit(job: Job, run_id: str, screen: Screen, sample: Bound | None = None) -> Finished:
    """Compare what a run applied with the current states, or a sample of its writes.

    Returns:
        A row per write checked: ``unchanged`` where it holds, ``drifted`` where it does not.

    Raises:
        NothingLeft: it wrote nothing.
        UsageProblem: the ledger has no such run, or a report cannot go there.
    """
    job = job.by_pkey()
    check_budget(job.pace, job.connection, Writing())
    with Interrupts() as interrupts, known(job.record.state) as book:
        run = book.run(run_id)
        intents = _sampled(_auditable(write_records.written(book, run_id).done), sample)
        if not intents:
            raise NothingLeft(f"Run {run_id} changed nothing, so there is nothing to audit.")
        name = f"audit-{new_run_id()}"  # leaves the run's report alone
        report.check_writable(job.record.reports_of(name), files_of(run.begun))
        screen.begin(run_id, run.begun)
        compared, cause, cost = _read(book, job, run, intents, screen)
        interrupts.defer()
        found = _mark_moved(compared, book, run)
        reports = report.spare(job.record.reports_of(name), name)
        totals = Totals.count(found)
        ended = replace(report_facts.ended_with(totals, cause), final=True)
        audited = replace(run, ended_ms=now_ms(), ended=ended)
        facts = report_facts.facts_from(
            audited, report_facts.tally_of(audited, found), reports=reports, subject=Subject.AUDIT
        )
        rows, name = Slices.of(found), f"audit-{run_id}"
        files, failure = finish.write_reports(
            rows, reports, name, facts, screen.show_progress, rows
        )
    return Finished(
        run_id=run_id,
        rows=found,
        totals=totals,
        cost=replace(cost, seconds=job.record.seconds),
        cause=cause or failure,
        files=files,
        settings=job.record.settings,
    )


def _auditable(intents: Sequence[Intent]) -> Sequence[Intent]:
    """Leave out profiles that may have been created, with an unknown PKey."""
    known_ones = [each for each in intents if each.before is not None or each.key.startswith("@")]
    if len(known_ones) < len(intents):
        log.warning(
            "Profiles that may have been created are left out, because their PKeys are not known: "
            "%d",
            len(intents) - len(known_ones),
        )
    return known_ones


def _sampled(intents: Sequence[Intent], sample: Bound | None) -> Sequence[Intent]:
    if sample is None:
        return intents
    count = min(len(intents), max(1, sample.most(len(intents))))
    return [intents[at] for at in sorted(random.sample(range(len(intents)), count))]


def _read(
    book: Ledger, job: Job, run: Run, intents: Sequence[Intent], screen: Screen
) -> tuple[pd.DataFrame, StopRun | None, Cost]:
    desired = [each.desired for each in intents]
    rows = write_records.rows_for(intents, desired, run.begun.attribute)
    states, budget = Steps.blank(len(rows)), day_budget.budget_of(book, job)
    with Session(job.connection, job.pace, screen.show_progress, budget=budget) as session:
        session.read(rows[columns.KEY].tolist(), states, job.reading)
    return comparison.compare(rows, states), session.cause, cost_of(session, job.record.seconds)


def _mark_moved(compared: pd.DataFrame, book: Ledger, run: Run) -> pd.DataFrame:
    """Mark what no longer holds as ``drifted``, with the later run that changed it, if any."""
    moved = comparison.changes(compared).tolist()
    verdicts = Verdicts.from_rows(compared)
    keys, states = compared[columns.KEY].tolist(), compared[columns.BEFORE].tolist()
    last = {
        write.pkey: write
        for write in book.writes_to([keys[at] for at in moved])
        if write.position > run.position and write.run_id != run.run_id and write.may_have_changed
    }
    for at in moved:
        by = ", and not by this tool"
        if (write := last.get(keys[at])) is not None:
            how = "changed" if write.is_confirmed else "may have changed"
            by = f"; run {write.run_id} {how} it since"
        sentence = f"The profile is {str(states[at]).lower()} now{by}."
        verdicts.overrule(at, Outcome.DRIFTED, Reason.MOVED, sentence)
    return verdicts.applied(compared)
