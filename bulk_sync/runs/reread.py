"""Reads again what a run applied, and tells what no longer holds. It changes nothing."""

import logging
import random
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from bulk_sync.engines.session import Session
from bulk_sync.interrupts import Interrupts
from bulk_sync.ledger import Intent, Ledger, Run
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison
from bulk_sync.rows.results import Steps
from bulk_sync.rows.totals import Totals
from bulk_sync.runs import day_budget, finish, pipeline, write_records
from bulk_sync.runs.begin import of_pkeys
from bulk_sync.runs.job import Finished, Job, Screen, new_run_id
from bulk_sync.runs.past_runs import NothingLeft, known
from bulk_sync.runs.remaining_cost import check_budget
from bulk_sync.settings import Bound, Writing

log = logging.getLogger(__name__)


def audit(job: Job, run_id: str, screen: Screen, sample: Bound | None = None) -> Finished:
    """Hold what a run applied against the current states.

    Args:
        job: how to work.
        run_id: which run.
        screen: is told how far it is.
        sample: how many of its writes to look at; None takes all.

    Returns:
        A row per write looked at: ``unchanged`` where it holds, ``drifted`` where it does not.

    Raises:
        NothingLeft: it wrote nothing.
        UsageProblem: the ledger knows no such run.
    """
    began, job = time.monotonic(), of_pkeys(job)
    check_budget(job.pace, job.connection, Writing())
    with Interrupts() as interrupts, known(job.state) as book:
        run = book.run(run_id)
        intents = _sampled(_auditable(write_records.written(book, run_id).done), sample)
        later = _changed_since(book, run)
        if not intents:
            raise NothingLeft(f"Run {run_id} changed nothing, so there is nothing to audit.")
        rows = write_records.judged(
            intents, [each.desired for each in intents], run.begun.attribute
        )
        states, budget = Steps.of(len(rows)), day_budget.of(book, job)
        with Session(job.connection, job.pace, screen.tell, budget=budget) as session:
            keys = rows[columns.KEY].tolist()
            session.read(keys, states, job.reading, lambda _: None)
        interrupts.defer()
        found = _judged(comparison.compare(rows, states), later)
        finished = Finished(
            run_id=run_id,
            rows=found,
            totals=Totals.of(found),
            cost=pipeline.cost_of(session, began),
            cause=session.cause,
            settings=job.settings,
        )
        paths = job.reports_of(f"audit-{new_run_id()}")  # never over the report of the run
        todo = paths[0].with_name(f"audit-{run_id}.todo.csv") if paths else Path()
        facts = {"Audit of run": run_id, "Writes looked at": str(len(found))}
        written, todo_written, failure = finish.write_reports(found, paths, todo, facts)
    return replace(finished, reports=written, todo=todo_written, cause=finished.cause or failure)


def _auditable(intents: Sequence[Intent]) -> Sequence[Intent]:
    """Leave out profiles that were perhaps created, and whose PKey nobody knows."""
    known = [each for each in intents if each.before is not None or each.key.startswith("@")]
    if len(known) < len(intents):
        log.warning(
            "%d profiles that may have been created are left out", len(intents) - len(known)
        )
    return known


def _sampled(intents: Sequence[Intent], sample: Bound | None) -> Sequence[Intent]:
    if sample is None:
        return intents
    count = min(len(intents), max(1, sample.of(len(intents))))
    chosen = sorted(random.sample(range(len(intents)), count))
    return [intents[at] for at in chosen]


def _changed_since(book: Ledger, run: Run) -> dict[str, str]:
    """Tell which keys later runs have written, for whoever wonders why a state does not hold."""
    return book.keys_of([each.run_id for each in book.runs() if each.position > run.position])


def _judged(compared: pd.DataFrame, later: dict[str, str]) -> pd.DataFrame:
    """Call what does not hold any more ``drifted``, and say if we did it ourselves."""
    moved = comparison.changes(compared)
    found = compared.copy(deep=False)
    outcome = columns.outcome_codes(compared[columns.OUTCOME])
    reason = columns.reason_codes(compared[columns.REASON])
    outcome[moved] = columns.OUTCOME_CODES[Outcome.DRIFTED]
    reason[moved] = columns.REASON_CODES[Reason.MOVED]
    sentences = {}
    keys, states = compared[columns.KEY].tolist(), compared[columns.BEFORE].tolist()
    for at in moved.tolist():
        run_id = later.get(keys[at])
        by_whom = f"; run {run_id} changed it since" if run_id else ", and not by this tool"
        state = str(states[at]).lower()
        sentences[at] = f"The profile is {state} now{by_whom}."
    found[columns.OUTCOME] = columns.outcomes(outcome)
    found[columns.REASON] = columns.reasons(reason)
    found[columns.DETAIL] = columns.with_details(found[columns.DETAIL], sentences)
    return found
