"""The whole story of a run, top to bottom.

    file --read--> rows --check--> open rows --GET--> current states --compare--> plan
    plan --show, limits, approve--> PATCH --settle--> results --> report

Everything is read and compared before anything is written, so a dry run, a refusal and an
interrupted run are the same story told less far.
"""

import logging
import os
import secrets
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final, Protocol

import pandas as pd

from bulk_sync import lock, report
from bulk_sync.engines.scan import Costs
from bulk_sync.engines.session import Read, Session
from bulk_sync.errors import Exit, Interrupted, Refused, StopRun, UsageProblem
from bulk_sync.interrupts import Interrupts
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, plan, read
from bulk_sync.rows.check import Rules
from bulk_sync.rows.plan import Totals
from bulk_sync.rows.steps import Steps
from bulk_sync.settings import Connection, Limits, Pace, Reading

log = logging.getLogger(__name__)

RUN_ID: Final = "{run_id}"
"""In a report's path: where the run's id goes."""


@dataclass(frozen=True, slots=True)
class Input:
    """What to read: a file, folder, glob or ``-``, the sheet of a workbook, and the rules."""

    source: str
    sheet: str | None = None
    rules: Rules = field(default_factory=Rules)

    @property
    def stem(self) -> str:
        """The name that reports are called by."""
        path = Path(self.source)
        if self.source == "-":
            return "stdin"
        if any(char in self.source for char in "*?[") and not path.exists():
            return path.parent.name or "input"
        name = path.name if path.name not in {"", ".."} else path.resolve().name
        for suffix in reversed(path.suffixes):
            if suffix.lower() not in read.SUFFIXES:
                break
            name = name[: -len(suffix)]
        return name or "input"


@dataclass(frozen=True, slots=True)
class Job:
    """One run, as it was asked for.

    Attributes:
        state_dir: where the lock of the organization lies.
        reports: where to write the report; the suffix of each decides its format, and ``RUN_ID``
            in it is replaced.
        dry_run: stop before the first write.
        verify: read every changed profile back.
    """

    input: Input
    connection: Connection
    state_dir: Path
    pace: Pace = field(default_factory=Pace)
    reading: Reading = field(default_factory=Reading)
    limits: Limits = field(default_factory=Limits)
    reports: tuple[Path, ...] = ()
    dry_run: bool = False
    verify: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about to write, for whoever reviews it.

    Attributes:
        rows: every row of the input, with what would become of it.
        totals: its counts.
        refusal: what a limit says against writing it; None if nothing.
        calls: calls to Campaign so far.
        calls_to_come: calls that writing takes, if nothing fails.
        seconds: how long reading took.
        costs: what reading by look-up and by scan was forecast to cost; None if nothing was read.
        scanned: which of the two it was.
    """

    rows: pd.DataFrame
    totals: Totals
    refusal: Refused | None
    calls: int
    calls_to_come: int
    seconds: float
    costs: Costs | None
    scanned: bool

    @property
    def seconds_to_come(self) -> float:
        """An estimate of how long the writes take, at the pace of the reading."""
        return self.calls_to_come * self.seconds / self.calls if self.calls else 0.0


class Screen(Protocol):
    """Whoever watches a run."""

    def tell(self, what: str, done: int, total: int) -> None:
        """Take note of progress in a pass: ``scan``, ``read`` or ``write``."""

    def show(self, reviewed: Plan) -> None:
        """Show the plan."""

    def approve(self, reviewed: Plan) -> None:
        """Raise Refused, or Interrupted, if it may not be written."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a run.

    Attributes:
        run_id: sorts by time and fits a file name.
        rows: the results, one row per input row.
        totals: their counts.
        calls: calls to Campaign by method.
        answers: what came back, by HTTP status, or by reason where nothing did.
        seconds: wall time.
        throttled_s: seconds in which Campaign had every request wait.
        reports: the reports written.
        todo: the file of the rows that need a person, if there are any.
        cause: why the run ended early; None if it did not.
    """

    run_id: str
    rows: pd.DataFrame
    totals: Totals
    calls: Mapping[str, int]
    answers: Mapping[str, int]
    seconds: float
    throttled_s: float
    reports: tuple[Path, ...]
    todo: Path | None
    cause: StopRun | None

    @property
    def exit(self) -> Exit:
        """The exit status by the contract."""
        if self.cause is not None:
            return self.cause.exit
        return Exit.DONE if self.totals.complete else Exit.ROWS_LEFT


def sync(job: Job, screen: Screen) -> Finished:
    """Carry a file of desired states into Campaign.

    Args:
        job: what to do.
        screen: is told how far it is, and asked before anything is written.

    Returns:
        What became of it; whatever ended it early, once the input was read, is in ``cause``.

    Raises:
        StopRun: the input or a report's path cannot be used; nothing was sent.
    """
    began = time.monotonic()
    run_id = new_run_id()
    reports = [path.with_name(path.name.replace(RUN_ID, run_id)) for path in job.reports]
    _check_reports(reports, job.input)
    alone = nullcontext() if job.dry_run else lock.held(job.state_dir, job.connection, run_id)
    with Interrupts() as interrupts:
        checked = validate(job.input)
        most_failures = job.limits.failures(len(checked))
        with (
            alone,
            Session(job.connection, job.pace, screen.tell, most_failures) as session,
        ):
            rows, cause = _tell_story(job, screen, session, interrupts, checked)
        interrupts.defer()
        totals = plan.totals(rows)
        facts = _facts(job, run_id, totals)
        written, todo, cause = _write_reports(rows, reports, job.input.stem, run_id, facts, cause)
    return Finished(
        run_id=run_id,
        rows=rows,
        totals=totals,
        calls=MappingProxyType(dict(session.client.calls.by_method)),
        answers=MappingProxyType(dict(session.client.calls.by_status)),
        seconds=time.monotonic() - began,
        throttled_s=session.client.pacer.throttled_s,
        reports=written,
        todo=todo,
        cause=cause,
    )


def validate(given: Input) -> pd.DataFrame:
    """Read and judge a file without contacting Campaign.

    Returns:
        What ``check.rows`` returns.

    Raises:
        InputProblem: it cannot be read as a whole.
    """
    return check.rows(read.rows(given.source, sheet=given.sheet), given.rules)


def judge(given: Input, reports: Sequence[Path]) -> tuple[pd.DataFrame, int]:
    """Judge a file, and write the verdicts where asked.

    Returns:
        Results of a run that tried no row, and how many rows are rejected.

    Raises:
        StopRun: the file cannot be read, or a report not be written.
    """
    run_id = new_run_id()
    paths = [path.with_name(path.name.replace(RUN_ID, run_id)) for path in reports]
    _check_reports(paths, given)
    checked = validate(given)
    judged = plan.compare(checked, Steps.of(len(plan.open_rows(checked))))
    for path in paths:
        report.write(judged, path, title={"Input": given.source, "Rows": str(len(judged))})
    return judged, plan.totals(judged).outcomes.get(Outcome.REJECTED, 0)


def new_run_id() -> str:
    """Make an id that sorts by time and fits a file name: ``20261123T020000Z-7f3a9c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"


def _tell_story(
    job: Job, screen: Screen, session: Session, interrupts: Interrupts, checked: pd.DataFrame
) -> tuple[pd.DataFrame, StopRun | None]:
    """Read, compare, show, judge, ask, write: as far as it goes, and why no further."""
    keys = checked[columns.KEY].to_numpy()[plan.open_rows(checked)].tolist()
    found = session.read(keys, job.reading)
    planned = plan.compare(checked, found.steps)
    if session.cause is not None:
        return plan.hold_back(planned, Reason.STOPPED, str(session.cause)), session.cause
    reviewed = _plan(job, planned, found, session)
    screen.show(reviewed)
    if job.dry_run or not reviewed.totals.changes:
        return planned, None
    try:
        if reviewed.refusal is not None:
            raise reviewed.refusal
        screen.approve(reviewed)
    except Refused as refused:
        return plan.hold_back(planned, Reason.LIMIT, str(refused)), refused
    except Interrupted as stopped:
        return plan.hold_back(planned, Reason.STOPPED, str(stopped)), stopped
    interrupts.defer()
    return _write(job, session, planned)


def _write(
    job: Job, session: Session, planned: pd.DataFrame
) -> tuple[pd.DataFrame, StopRun | None]:
    changes = plan.changes(planned)
    keys = planned[columns.KEY].to_numpy()[changes].tolist()
    desired = columns.state_codes(planned[columns.DESIRED])[changes].astype(bool).tolist()
    results = plan.settle(planned, session.write(keys, desired, verify=job.verify))
    if session.cause is not None:
        results = plan.hold_back(results, Reason.STOPPED, str(session.cause))
    return results, session.cause


def _plan(job: Job, planned: pd.DataFrame, found: Read, session: Session) -> Plan:
    totals = plan.totals(planned)
    return Plan(
        rows=planned,
        totals=totals,
        refusal=plan.refusal(planned, job.limits),
        calls=session.client.calls.total,
        calls_to_come=totals.changes * (2 if job.verify else 1),
        seconds=found.seconds,
        costs=found.costs,
        scanned=found.scanned,
    )


def _check_reports(paths: Sequence[Path], given: Input) -> None:
    """Say before anything is read that a report cannot be written, or would replace the input."""
    sources = {os.path.realpath(path) for path in read.files(given.source)}
    for path in paths:
        report.check_path(path)
        if os.path.realpath(path) in sources:
            raise UsageProblem(f"--report {path} would replace the input. Name another file.")


def _write_reports(
    rows: pd.DataFrame,
    paths: list[Path],
    stem: str,
    run_id: str,
    facts: Mapping[str, str],
    cause: StopRun | None,
) -> tuple[tuple[Path, ...], Path | None, StopRun | None]:
    """Write what was asked for; a report that cannot be written ends the run as failed."""
    written: list[Path] = []
    todo = None
    try:
        for path in paths:
            report.write(rows, path, title=facts)
            written.append(path)
        if paths:
            beside = paths[0].with_name(f"{stem}.{run_id}.todo.csv")
            todo = beside if report.write_todo(rows, beside) else None
    except StopRun as failure:
        log.warning("%s", failure)
        cause = cause or failure
    return tuple(written), todo, cause


def _facts(job: Job, run_id: str, totals: Totals) -> Mapping[str, str]:
    """Say what a report is of, for formats that have room for it."""
    return {
        "Run": run_id,
        "Input": job.input.source,
        "Endpoint": job.connection.endpoint,
        "Organization": job.connection.organization,
        "Attribute": job.connection.attribute,
        "Rows": str(totals.rows),
        "Dry run": "yes" if job.dry_run else "no",
    }
