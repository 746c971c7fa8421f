"""``apply``: carries out a reviewed plan, once.

plan file --the reviewed one, of this place--> approved, not too old --> a run, or an undo
"""

import logging
import math
import time
import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from bulk_sync import report
from bulk_sync.errors import Refused, UsageProblem
from bulk_sync.ledger import Begun, Kind, Ledger, Run, local
from bulk_sync.rows import expand
from bulk_sync.runs import lineage, pipeline, plan_file, reversal
from bulk_sync.runs.begin import begin, begun_as, past_of, warn_of_same_file, working_alone
from bulk_sync.runs.job import Input, Job, new_run_id
from bulk_sync.runs.lineage import same_place
from bulk_sync.runs.past_runs import NothingLeft, is_held
from bulk_sync.runs.plan_file import HOLD, LIMITS, PROTECT, PlanFile
from bulk_sync.runs.protection import Protection
from bulk_sync.runs.resumption import continue_run
from bulk_sync.runs.review import Finished, Screen
from bulk_sync.settings import Approval, Bound, Connection, Keys, reached
from bulk_sync.signals import Interrupts

log = logging.getLogger(__name__)

_FAST_CLOCK_S: Final = 600
"""How far the clock of another machine may be ahead."""

_UNITS_S: Final[Mapping[str, int]] = {"d": 86_400, "h": 3600, "m": 60}


class PlanExpired(Refused):
    """A plan is too old, or from the future.

    Args:
        message: what the person reads.
        planned: the plan, to make it again.
    """

    def __init__(self, message: str, planned: PlanFile) -> None:
        super().__init__(message)
        self.planned = planned


def apply(
    job: Job, path: Path, screen: Screen, approval: Approval, typed: Collection[str] = ()
) -> Finished:
    """Carry out a reviewed plan, once.

    Args:
        job: how to work.
        path: the plan.
        screen: shows progress, and asks before anything is written.
        approval: what the plan needs.
        typed: options of the command line, in place of the plan's own limits.

    Raises:
        NothingLeft: it was carried out, and that stands.
        StopRun: it could not begin; nothing was sent.
    """
    planned = plan_file.read(path)
    _check(planned, path, job.connection, approval.sha256)
    approval = _of_plan(approval, planned, typed)
    job, run_id = _job_of(job, planned, approval, typed), new_run_id()
    job.protection.read()
    report.check(job.record.reports_of(run_id), {path, *job.protection.files})
    with Interrupts() as interrupts, working_alone(job, run_id) as book:
        runs = book.runs()
        earlier = lineage.apply_of(runs, planned.sha256)
        if earlier is not None and (not earlier.is_finished or is_held(earlier)):
            _warn_of_late_names(earlier, approval)
            return continue_run(book, job, earlier, screen, interrupts)
        if earlier is not None:
            lineage.check_stands(runs, earlier, f"The apply of {path}")
            raise NothingLeft(f"{path} has been carried out.", earlier)
        _check_approved(planned, path, approval)
        _check_age(planned, path, approval.valid_s)
        kind, of = Kind.APPLY, planned.begun
        if of.parent is None:
            warn_of_same_file(book, job, of.input_sha256)
            _warn_of_later_runs(book, planned)
        else:
            reversal.check(book, of.parent)
            kind, job = Kind.UNDO, job.with_any_oddity()
        begun = begun_as(kind, job, of.input, of.input_sha256, of.rows, of.parent)
        begun = replace(begun, plan=str(path), plan_sha256=planned.sha256)
        rows, stem = expand.collapse(planned.rows), Input(str(path)).stem
        run = begin(book, job, run_id, begun, rows, stem, planned=planned.rows)
        log.info("%s", _whose(path, planned, job.record.settings))
        return pipeline.carry_out(replace(run, past=past_of(book, job)), job, screen, interrupts)


def _job_of(job: Job, planned: PlanFile, approval: Approval, typed: Collection[str]) -> Job:
    """Return the job of a plan; of two limits the stricter one holds, unless one was typed."""
    begun, own = planned.begun, job.record.settings
    kept = {
        name: Bound.parse(str(most), f"The plan's {name}")
        for name in LIMITS
        if name not in typed and (most := begun.settings.get(name)) is not None
    }
    limits, keys = job.limits.within(kept, begun.rows), Keys.of(begun.settings)
    limits = replace(limits, hold_opt_ins=limits.hold_opt_ins or bool(begun.settings.get(HOLD)))
    of_plan = (*job.record.of_input, "read_as", "prepared_by")
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
    job = replace(
        job,
        limits=limits,
        connection=reached(job.connection, keys),
        matching=replace(job.matching, keys=keys),
        record=replace(job.record, name=begun.job),
        protection=_protection_of(job, begun, typed),
    )
    settings[PROTECT] = list(map(str, job.protection.files))
    return job.with_settings(**settings).guarded()


def _protection_of(job: Job, begun: Begun, typed: Collection[str]) -> Protection:
    """Return the lists of a plan and those of this command, unless they were typed."""
    kept = () if PROTECT in typed else map(Path, begun.settings.get(PROTECT, ()))
    return Protection(dict.fromkeys((*kept, *job.protection.files)))


def _check(planned: PlanFile, path: Path, connection: Connection, expected: str | None) -> None:
    """Check that a plan is the reviewed one, and of this place.

    Raises:
        Refused: it is another one.
        UsageProblem: it is of another place.
    """
    begun = planned.begun
    if expected is not None and expected.strip().lower() != planned.sha256:
        raise Refused(
            f"Nothing was written: {path} is not the plan that was reviewed. Its SHA-256 is "
            f"{planned.sha256}, and --expect-sha256 is {expected}. Apply the reviewed file, "
            "or have this one reviewed."
        )
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


def _of_plan(approval: Approval, planned: PlanFile, typed: Collection[str]) -> Approval:
    """Return an approval with each name once; of two numbers the larger holds, unless typed."""
    names = dict[str, str]()
    for name in approval.names:
        names.setdefault(_folded(name), name)
    of_plan = planned.begun.settings.get("approvals") or 0
    needed = approval.needed if "approvals" in typed else max(approval.needed, of_plan)
    return replace(approval, names=tuple(names.values()), needed=needed)


def _check_approved(planned: PlanFile, path: Path, approval: Approval) -> None:
    """Raise Refused if too few people other than the preparer approve a plan."""
    preparer = planned.begun.settings.get("prepared_by") or ""
    others = [name for name in approval.names if _folded(name) != _folded(preparer)]
    if approval.needed and not preparer:
        raise Refused(
            f"Nothing was written: {path} does not say who prepared it, so nobody can approve it "
            "(--approvals). An earlier version of this program made it: plan again."
        )
    if len(others) >= approval.needed:
        return
    people = "person" if approval.needed == 1 else "people"
    has = f"only that of {' and '.join(others)}" if others else "none"
    own = (
        " The preparer's own approval does not count." if len(others) < len(approval.names) else ""
    )
    raise Refused(
        f"Nothing was written: {path} was prepared by {preparer} and needs the approval of "
        f"{approval.needed} other {people} (--approvals {approval.needed}); it has {has}.{own} "
        f"Whoever approves it adds their own name to the command: --approved-by NAME."
    )


def _check_age(planned: PlanFile, path: Path, valid_s: float) -> None:
    """Raise PlanExpired if a plan is too old, or if its age is not known."""
    made_s = planned.made.timestamp()
    age_s, made = time.time() - made_s, local(round(made_s * 1000))
    if age_s < -_FAST_CLOCK_S:
        raise PlanExpired(
            f"Nothing was written: {path} was made on {made}, and by the clock of this machine it "
            f"is {local(round(time.time() * 1000))}. One of the two clocks is wrong, so the age "
            "of the plan is not known. Set the clock, or make a new plan",
            planned,
        )
    if age_s >= valid_s:
        days = math.ceil(age_s / _UNITS_S["d"])
        raise PlanExpired(
            f"Nothing was written: {path} was made on {made}, and is older than --plan-valid "
            f"{_span(valid_s)}. To apply it all the same, add --plan-valid {days}d. Better make a "
            "new plan",
            planned,
        )


def _span(seconds: float) -> str:
    """Return a duration as it is typed."""
    unit = next((unit for unit, size in _UNITS_S.items() if seconds % size == 0), "s")
    return f"{seconds / _UNITS_S.get(unit, 1):g}{unit}"


def _folded(name: str) -> str:
    """Return a name in one spelling for all: capitals and outer blanks do not count."""
    return " ".join(unicodedata.normalize("NFKC", name).casefold().split())


def _whose(path: Path, planned: PlanFile, settings: Mapping[str, Any]) -> str:
    """Return who wanted a plan, as a sentence."""
    preparer, names = settings.get("prepared_by"), settings["approved_by"]
    made = local(round(planned.made.timestamp() * 1000))
    by = f" by {preparer}" if preparer else ""
    approved = f", approved by {' and '.join(names)}" if names else ""
    ticket = f", ticket {settings['ticket']}" if settings["ticket"] else ""
    return f"{path} is the plan {planned.run_id}, prepared{by} on {made}{approved}{ticket}"


def _warn_of_late_names(earlier: Run, approval: Approval) -> None:
    """Warn of names that a run which goes on is not recorded with."""
    before = set(map(_folded, earlier.begun.settings.get("approved_by") or ()))
    late = [name for name in approval.names if _folded(name) not in before]
    if late:
        log.warning(
            "Run %s goes on as it was approved when it began. The approval of %s comes too late "
            "to be recorded.",
            earlier.run_id,
            " and ".join(late),
        )


def _warn_of_later_runs(book: Ledger, planned: PlanFile) -> None:
    """Warn of runs since a plan was made: it may be out of date."""
    made = planned.run_id.partition("-")[0]
    for run in book.runs():
        is_later = run.run_id.partition("-")[0] >= made and not lineage.was_turned_away(run)
        if is_later and run.begun.kind is not Kind.PLAN and same_place(run.begun, planned.begun):
            log.warning(
                "Run %s has worked on this organization since the plan was made. Profiles whose "
                "state moved since are left alone.",
                run.run_id,
            )
