"""``apply``: carries out a reviewed plan, once."""

import logging
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from bulk_sync import report
from bulk_sync.errors import Refused, UsageProblem
from bulk_sync.ledger import Kind, Ledger
from bulk_sync.rows import expand
from bulk_sync.runs import lineage, pipeline, plan_file
from bulk_sync.runs.begin import begin, begun_as, past_of, warn_of_same_file, working_alone
from bulk_sync.runs.job import Input, Job, new_run_id
from bulk_sync.runs.lineage import same_place
from bulk_sync.runs.past_runs import NothingLeft, is_held
from bulk_sync.runs.plan_file import HOLD, LIMITS, Facts, PlanFile
from bulk_sync.runs.resumption import continue_run
from bulk_sync.runs.review import Finished, Screen
from bulk_sync.settings import Bound, Connection, Keys, reached
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)

_SECONDS: Final = len("20261123T020000Z")
"""The part of a run's id with its time."""


def apply(
    job: Job,
    path: Path,
    screen: Screen,
    *,
    expected: str | None = None,
    typed: Collection[str] = (),
) -> Finished:
    """Carry out a reviewed plan, once.

    Args:
        job: how to work.
        path: the plan.
        screen: shows progress, and asks before anything is written.
        expected: SHA-256 that the file must have; None for any.
        typed: options of the command line, in place of the plan's own limits.

    Raises:
        NothingLeft: it was carried out, and that stands.
        StopRun: it could not begin; nothing was sent.
    """
    planned = plan_file.read(path)
    _check(planned, path, job.connection, expected)
    facts, run_id = planned.facts, new_run_id()
    job = _job_of(job, facts, typed)
    report.check(job.record.reports_of(run_id), {path})
    with Interrupts() as interrupts, working_alone(job, run_id) as book:
        runs = book.runs()
        earlier = lineage.apply_of(runs, planned.sha256)
        if earlier is not None and (not earlier.is_finished or is_held(earlier)):
            return continue_run(book, job, earlier, screen, interrupts)
        if earlier is not None:
            lineage.check_stands(runs, earlier, f"The apply of {path}")
            raise NothingLeft(f"{path} has been carried out.", earlier)
        warn_of_same_file(book, job, facts.input_sha256)
        _warn_of_later_runs(book, facts)
        rows = expand.collapse(planned.rows)
        begun = begun_as(Kind.APPLY, job, facts.input, facts.input_sha256, facts.rows)
        begun = replace(begun, plan=str(path), plan_sha256=planned.sha256)
        run = begin(book, job, run_id, begun, rows, Input(str(path)).stem, planned=planned.rows)
        run = replace(run, past=past_of(book, job))
        return pipeline.carry_out(run, job, screen, interrupts)


def _job_of(job: Job, facts: Facts, typed: Collection[str]) -> Job:
    """Return the job of a plan; of two limits the stricter one holds, unless one was typed."""
    kept = {
        name: Bound.parse(str(most), f"The plan's {name}")
        for name, most in facts.limits.items()
        if name in LIMITS and name not in typed
    }
    limits, keys = job.limits.within(kept, facts.rows), Keys.of(facts.settings)
    limits = replace(limits, hold_opt_ins=limits.hold_opt_ins or bool(facts.limits.get(HOLD)))
    settings = {name: str(most) for name in kept if (most := getattr(limits, name)) is not None}
    job = replace(
        job,
        limits=limits,
        connection=reached(job.connection, keys),
        matching=replace(job.matching, keys=keys),
        record=replace(job.record, name=facts.job),
    )
    held = {HOLD: limits.hold_opt_ins}
    return job.with_settings(**held, **settings, **facts.settings).guarded()


def _check(planned: PlanFile, path: Path, connection: Connection, expected: str | None) -> None:
    """Check that a plan is the reviewed one, and of this place.

    Raises:
        Refused: it is another one.
        UsageProblem: it is of another place.
    """
    facts = planned.facts
    if expected is not None and expected.strip().lower() != planned.sha256:
        raise Refused(
            f"Nothing was written: {path} is not the plan that was reviewed. Its SHA-256 is "
            f"{planned.sha256}, and --expect-sha256 is {expected}. Apply the reviewed file, "
            "or have this one reviewed."
        )
    if not same_place(facts, connection):
        raise UsageProblem(
            f"{path} is a plan for organization {facts.organization!r} at {facts.endpoint}, and "
            f"this is {connection.organization!r} at {connection.endpoint}. Plan again for it."
        )
    if facts.attribute != connection.attribute:
        raise UsageProblem(
            f"{path} is a plan for the attribute {facts.attribute!r}, and --attribute is "
            f"{connection.attribute!r}. Give that of the plan, or plan again."
        )


def _warn_of_later_runs(book: Ledger, facts: Facts) -> None:
    """Warn of runs since a plan was made: it may be out of date."""
    made = facts.run_id[:_SECONDS]
    for run in book.runs():
        is_later = run.run_id[:_SECONDS] >= made and not lineage.was_turned_away(run)
        if is_later and run.begun.kind is not Kind.PLAN and same_place(run.begun, facts):
            log.warning(
                "Run %s has worked on this organization since the plan was made. Profiles whose "
                "state moved since are left alone.",
                run.run_id,
            )
