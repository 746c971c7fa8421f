"""``apply``: carries out a reviewed plan, once.

A plan that undoes a run is carried out as an undo; any other one as a run of its own.
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from bulk_sync.errors import Refused, UsageProblem
from bulk_sync.ledger import Kind, Ledger, Run, local
from bulk_sync.report.destination import usual_report
from bulk_sync.rows import expand
from bulk_sync.rows.layout import FACTS
from bulk_sync.runs.commands import reversal
from bulk_sync.runs.commands.resumption import give_up_stopped
from bulk_sync.runs.history import lineage
from bulk_sync.runs.history.exclusion import working_alone
from bulk_sync.runs.history.lineage import same_place
from bulk_sync.runs.history.past_runs import NothingLeft, may_pass
from bulk_sync.runs.kept import plan_file
from bulk_sync.runs.kept.plan_file import HOLD, LIMITS, PROTECT, PlanFile
from bulk_sync.runs.stages import finish, pipeline
from bulk_sync.runs.stages.begin import begin, begun_as, check_files, warn_of_same_file
from bulk_sync.runs.stages.review import Finished, Screen
from bulk_sync.runs.stages.validation import files_of
from bulk_sync.runs.terms import approvals
from bulk_sync.runs.terms.job import Input, Job
from bulk_sync.runs.terms.protection import Protection
from bulk_sync.settings import Approval, Bound, Connection, Keys, State, new_run_id, reached
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)


class PlanBegun(UsageProblem):
    """A plan has a ``run`` that was interrupted, or that may pass a limit now."""

    def __init__(self, run: Run) -> None:
        super().__init__(f"The plan has a run. To finish it: bulk-sync resume {run.run_id}")
        self.run = run


def apply(
    job: Job, path: Path, screen: Screen, approval: Approval, typed: Collection[str] = ()
) -> Finished:
    """Carry out a reviewed plan, once.

    ``typed`` has the options of the command line, in place of the plan's own limits.

    Raises:
        PlanBegun: it has a run, which ``resume`` takes further.
        NothingLeft: it was carried out, and that stands.
        StopRun: it could not begin; nothing was sent.
    """
    planned = plan_file.read(path, job.reading.memory)
    _check_place(planned, path, job.connection)
    approval = approvals.of_plan(approval, planned, typed)
    of = planned.begun
    # By its name a todo file is found to be of its job.
    stem = Input(of.input if of.parent is None else str(path)).stem
    job, run_id = _job_of(job, planned, approval, typed, stem), new_run_id()
    kind = Kind.APPLY if of.parent is None else Kind.UNDO
    begun = begun_as(kind, job, of.input, of.input_sha256, of.rows, of.parent)
    begun = replace(begun, plan=str(path), plan_sha256=planned.sha256)
    check_files(job, run_id, files_of(begun))
    with Interrupts() as interrupts, working_alone(job, run_id) as book:
        try:
            earlier = _check_first(book, job.record.state, path, planned, approval)
        except Refused as refused:
            screen.begin(run_id, begun)
            finish.refuse(book, job, run_id, begun, stem, planned.rows, refused)
            raise
        if earlier is not None:
            approvals.warn_of_late_names(earlier, approval)
            raise PlanBegun(earlier)
        if begun.parent is None:
            warn_of_same_file(book, job, begun.input_sha256)
            _warn_of_later_runs(book, planned)
        else:
            reversal.check(book, begun.parent)
            job = job.with_any_oddity()
        give_up_stopped(book, job.record.state, begun)
        rows = planned.rows.map(expand.collapse).watched("Keeping the rows", screen.show_progress)
        run = begin(book, job, run_id, begun, rows, stem, planned=planned.rows.only)
        log.info("%s", _whose(path, planned, job.record.settings))
        return pipeline.carry_out(run, job, screen, interrupts)


def _check_first(
    book: Ledger, state: State, path: Path, planned: PlanFile, approval: Approval
) -> Run | None:
    """Return the run of a plan to go on with; None if a run may begin.

    Raises:
        Refused: it is not the reviewed plan, not approved, or too old.
        NothingLeft: it was carried out, and that stands.
        UsageProblem: it was carried out, perhaps in part, and put back.
    """
    _check_file(planned, path, approval.sha256)
    runs = book.runs()
    for run in runs:
        if run.begun.plan_sha256 == planned.sha256:  # also one that was given up to be undone
            lineage.check_stands(runs, run, f"The apply of {path}")
    earlier = lineage.apply_of(runs, planned.sha256)
    if earlier is None:
        approvals.check(planned, path, approval)
        approvals.check_age(planned, path, approval.valid_s)
    elif earlier.is_finished and not may_pass(state, earlier):
        raise NothingLeft(f"{path} has been carried out.", earlier)
    return earlier


def _job_of(
    job: Job, planned: PlanFile, approval: Approval, typed: Collection[str], stem: str
) -> Job:
    """Return the job of a plan; of two limits the stricter one holds, unless one was typed."""
    begun, own = planned.begun, job.record.settings
    kept = {
        name: Bound.parse(str(most), f"The plan's {name}")
        for name in LIMITS
        if name not in typed and (most := begun.settings.get(name)) is not None
    }
    limits, keys = job.limits.within(kept, begun.rows), Keys.from_options(begun.settings)
    limits = replace(limits, hold_opt_ins=limits.hold_opt_ins or bool(begun.settings.get(HOLD)))
    of_plan = (*job.record.of_input, *FACTS, "prepared_by", "input_name")
    settings = {
        HOLD: limits.hold_opt_ins,
        **{name: str(most) for name in kept if (most := getattr(limits, name)) is not None},
        **{name: begun.settings[name] for name in of_plan if name in begun.settings},
        "approved_by": list(approval.names),
        "approvals": approval.needed,
    }
    for name in ("ticket", "comment"):  # what is said now is added
        said = dict.fromkeys(filter(None, (begun.settings.get(name), own.get(name))))
        settings[name] = "; ".join(said) or None
    kept_lists = () if PROTECT in typed else map(Path, begun.settings.get(PROTECT, ()))
    lists = (*kept_lists, *job.protection.files)
    job = replace(
        job,
        limits=limits,
        connection=reached(job.connection, keys),
        matching=replace(job.matching, keys=keys),
        record=replace(
            job.record, name=begun.job, reports=job.record.reports or (usual_report(stem),)
        ),
        protection=Protection(dict.fromkeys(path.absolute() for path in lists)),
    )
    settings[PROTECT] = list(map(str, job.protection.files))
    return job.with_settings(**settings).guarded()


def _check_file(planned: PlanFile, path: Path, expected: str | None) -> None:
    if expected is not None and expected.strip().lower() != planned.sha256:
        raise Refused(
            f"Nothing was written: {path} is not the plan that was reviewed. Its SHA-256 is "
            f"{planned.sha256}, and --expect-sha256 is {expected}. Apply the reviewed file, "
            "or have this one reviewed."
        )


def _check_place(planned: PlanFile, path: Path, connection: Connection) -> None:
    begun = planned.begun
    if not same_place(begun, connection):
        raise UsageProblem(
            f"{path} is a plan for organization {begun.organization!r} at {begun.endpoint}, and "
            f"this is {connection.organization!r} at {connection.endpoint}. Plan again for it."
        )
    if begun.attribute != connection.attribute:
        raise UsageProblem(
            f"{path} is a plan for the attribute {begun.attribute!r}, and --attribute is "
            f"{connection.attribute!r}. Give that of the plan, or plan again."
        )


def _whose(path: Path, planned: PlanFile, settings: Mapping[str, Any]) -> str:
    preparer, names = settings.get("prepared_by"), settings["approved_by"]
    made = local(round(planned.made.timestamp() * 1000))
    by = f" by {preparer}" if preparer else ""
    approved = f", approved by {' and '.join(names)}" if names else ""
    ticket = f", ticket {settings['ticket']}" if settings["ticket"] else ""
    return f"{path} is the plan {planned.run_id}, prepared{by} on {made}{approved}{ticket}"


def _warn_of_later_runs(book: Ledger, planned: PlanFile) -> None:
    """Warn of runs since a plan was made: it may be out of date."""
    runs, made = book.runs(), planned.run_id.partition("-")[0]
    plan = next((run for run in runs if run.run_id == planned.run_id), None)
    for run in runs:
        if plan is None:  # made with another ledger
            is_later = run.run_id.partition("-")[0] >= made
        else:  # though the clock was set back
            is_later = run.position > plan.position
        is_work = not run.begun.is_plan and not lineage.was_turned_away(run)
        if is_later and is_work and same_place(run.begun, planned.begun):
            log.warning(
                "Run %s has worked on this organization since the plan was made. Profiles whose "
                "state moved since are left alone.",
                run.run_id,
            )
