"""A reviewed plan, carried out once."""

import logging
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Final

from bulk_sync.errors import Exit, Refused, UsageProblem
from bulk_sync.interrupts import Interrupts
from bulk_sync.ledger import Kind, Ledger, Run
from bulk_sync.rows import expand
from bulk_sync.runs import pipeline, plan_file
from bulk_sync.runs.begin import (
    alone,
    begun_as,
    check_paths,
    check_stands,
    going_on,
    guarded,
    last_of,
    opened,
    past_of,
)
from bulk_sync.runs.job import Finished, Input, Job, Screen, new_run_id
from bulk_sync.runs.past_runs import NothingLeft, is_at
from bulk_sync.runs.plan_file import LIMITS, Facts, PlanFile
from bulk_sync.settings import Bound, Connection, Keys, reached
from bulk_sync.storage import lock

log = logging.getLogger(__name__)

_SECONDS: Final = len("20261123T020000Z")
"""So much of a run's id tells when it was made."""


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
        screen: is told how far it is, and asked before anything is written.
        expected: SHA-256 that the file must have; None for any.
        typed: options that somebody has typed for this very plan; its own limits hold besides.

    Raises:
        NothingLeft: it was carried out, and that stands.
        StopRun: it could not begin; nothing was sent.
    """
    planned = plan_file.read(path)
    _check(planned, path, job.connection, expected)
    facts, run_id = planned.facts, new_run_id()
    job = _within(replace(job, name=facts.job), facts, typed)
    job = replace(job, settings={**job.settings, **facts.settings})
    keys = Keys.of(facts.settings)
    job = guarded(replace(job, keys=keys, connection=reached(job.connection, keys)))
    check_paths(job.reports_of(run_id), {path})
    with Interrupts() as interrupts, alone(job, run_id) as book:
        earlier = _carried_out(book, planned)
        if earlier is not None and not earlier.is_finished:
            return going_on(book, job, earlier, screen, interrupts)
        if earlier is not None:
            check_stands(book, earlier, f"The apply of {path}")
            raise NothingLeft(f"{path} has been carried out.", earlier)
        _warn_of_others(book, planned, job.connection)
        rows = expand.joined(planned.rows)
        begun = begun_as(Kind.APPLY, job, facts.input, facts.input_sha256, facts.rows)
        begun = replace(begun, plan=str(path), plan_sha256=planned.sha256)
        run = opened(book, job, run_id, begun, rows, Input(str(path)).stem, planned=planned.rows)
        run = replace(run, past=past_of(book, job))
        return pipeline.carry_out(run, job, screen, interrupts)


def _within(job: Job, facts: Facts, typed: Collection[str]) -> Job:
    """Hold a job to the limits that its plan was made with, where they are the stricter ones."""
    kept = {
        name: Bound.parse(str(most), f"The plan's {name}")
        for name, most in facts.limits.items()
        if name in LIMITS and name not in typed
    }
    limits = job.limits.within(kept, facts.rows)
    told = {name: str(most) for name in kept if (most := getattr(limits, name)) is not None}
    return replace(job, limits=limits, settings={**job.settings, **told})


def _check(planned: PlanFile, path: Path, connection: Connection, expected: str | None) -> None:
    """Make sure that a plan is the one that was reviewed, and of this place.

    Raises:
        Refused: it is another one.
        UsageProblem: it is of another place.
    """
    facts = planned.facts
    if expected is not None and expected.strip().lower() != planned.sha256:
        raise Refused(
            f"Nothing was written: {path} is not the plan that was reviewed. Its SHA-256 is "
            f"{planned.sha256}, and --expect-sha256 says {expected}."
        )
    same = lock.place(facts.endpoint) == lock.place(connection.endpoint)
    if not same or facts.organization != connection.organization:
        raise UsageProblem(
            f"{path} is a plan for organization {facts.organization!r} at {facts.endpoint}, and "
            f"this is {connection.organization!r} at {connection.endpoint}. Plan again for it."
        )
    if facts.attribute != connection.attribute:
        raise UsageProblem(
            f"{path} is a plan for the attribute {facts.attribute!r}, and --attribute says "
            f"{connection.attribute!r}."
        )


def _carried_out(book: Ledger, planned: PlanFile) -> Run | None:
    """Find the run that carries, or has carried, a plan out; None if it is still to be done."""
    return last_of(
        book,
        lambda begun: begun.kind == Kind.APPLY and begun.plan_sha256 == planned.sha256,
    )


def _warn_of_others(book: Ledger, planned: PlanFile, connection: Connection) -> None:
    """Say who has worked on the organization since a plan was made: it may be out of date."""
    made = planned.facts.run_id[:_SECONDS]
    for run in book.runs():
        here = is_at(run.begun, connection.endpoint, connection.organization)
        here = here and run.begun.kind is not Kind.PLAN
        has_refused = run.ended is not None and run.ended.exit in {Exit.REFUSED, Exit.USAGE}
        if here and run.run_id[:_SECONDS] >= made and not has_refused:
            log.warning(
                "Run %s has worked on this organization since the plan was made.", run.run_id
            )
