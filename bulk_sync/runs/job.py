"""What a run is asked, what it shows on the way, and what comes of it. Nothing is decided here."""

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol

import pandas as pd

from bulk_sync.campaign.pacing import Pulse
from bulk_sync.engines.scan import Costs
from bulk_sync.errors import Exit, Refused, StopRun, UsageProblem
from bulk_sync.ledger import Head
from bulk_sync.rows import read
from bulk_sync.rows.check import OnConflict, Rules
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.remaining_cost import ToCome, further
from bulk_sync.settings import Connection, Creating, Keys, Limits, Pace, Reading, State, Writing

_LONGEST_STEM: Final = 180
"""Bytes; a file's name has room for 255."""

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
        return _shortened(name) or "input"


@dataclass(frozen=True, slots=True)
class Job:
    """How a run is to work.

    Attributes:
        connection: where Campaign is and who asks.
        state: where the run is kept while it works, and the ledger.
        pace: how hard Campaign may be asked.
        reading: how states are read.
        writing: how they are written.
        limits: what stops a run that looks like a mistake.
        keys: what the keys are.
        on_conflict: what becomes of one profile with two states.
        creating: with what profiles are created that are not found; None creates none.
        reports: where to write the report; the suffix of each decides its format, and ``RUN_ID``
            in it is replaced.
        name: what runs over the same kind of input share.
        settings: the options as they were given, without secrets, for whoever goes on.
    """

    connection: Connection
    state: State
    pace: Pace = field(default_factory=Pace)
    reading: Reading = field(default_factory=Reading)
    writing: Writing = field(default_factory=Writing)
    limits: Limits = field(default_factory=Limits)
    keys: Keys = field(default_factory=Keys)
    on_conflict: OnConflict = OnConflict.REJECT
    creating: Creating | None = None
    reports: tuple[Path, ...] = ()
    name: str = ""
    settings: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    def reports_of(self, run_id: str) -> tuple[Path, ...]:
        """Tell where one run's reports go, wherever the process stands later."""
        return named(self.reports, run_id)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about to write, for whoever reviews it.

    Attributes:
        rows: every row of the input, with what would become of it.
        totals: its counts.
        refusal: what a limit says against writing it; None if nothing.
        calls: calls to Campaign so far.
        calls_to_come: calls that writing takes, if nothing fails.
        calls_before: calls that whoever carries a preview out makes before; nothing is kept of what
            it has read. 0 if this is no preview.
        max_calls: most calls of the run; None has no limit.
        max_calls_per_day: most calls of all runs in a day; None has no limit.
        left_today: how many of those are left.
        seconds: how long reading took.
        costs: what reading by look-up and by scan was forecast to cost; None if nothing was read.
        paged: whether the list was paged through.
        looked_up: how many keys were looked up by themselves.
        rate: most requests a second that the run may send; None if it adapts.
        quickest_s: how long the quickest answer took so far; None if there was none.
        most_in_flight: requests that may be in flight at once.
    """

    rows: pd.DataFrame
    totals: Totals
    refusal: Refused | None
    calls: int
    calls_to_come: int
    calls_before: int
    max_calls: int | None
    max_calls_per_day: int | None
    left_today: int | None
    seconds: float
    costs: Costs | None
    paged: bool
    looked_up: int
    rate: float | None
    quickest_s: float | None
    most_in_flight: int

    @property
    def seconds_to_come(self) -> float | None:
        """An estimate of how long the writes take, at the rate allowed or that of the look-ups.

        And how long it takes to read everything again, if that comes before them.

        After a scan it is the least that it can be: a page says nothing of how long a single
        profile takes, and Campaign may bear fewer requests at once than are allowed.
        """
        before_s = self.seconds if self.calls_before > 1 else 0.0
        if self.rate is not None:
            return before_s + self.calls_to_come / self.rate
        if self.calls and not self.paged:
            return before_s + self.calls_to_come * self.seconds / self.calls
        if self.quickest_s is None:
            return None
        at_once = max(1, min(self.most_in_flight, self.calls_to_come))
        return before_s + self.calls_to_come * self.quickest_s / at_once

    @property
    def is_least(self) -> bool:
        """Whether ``seconds_to_come`` is no more than the least that it can be."""
        return self.rate is None and (self.paged or not self.calls)

    @property
    def days_to_come(self) -> int:
        """Return on how many further days it goes on, since calls of today do not suffice."""
        if self.max_calls_per_day is None or self.left_today is None:
            return 0
        return self._further(self.left_today, self.max_calls_per_day)

    @property
    def runs_to_come(self) -> int:
        """Return how many times it must be resumed, since each run may make so many calls."""
        if self.max_calls is None:
            return 0
        spent = 0 if self.calls_before else self.calls
        return self._further(max(0, self.max_calls - spent), self.max_calls)

    def _further(self, left: int, each: int) -> int:
        """Return how many budgets of ``each`` it takes when this one is spent."""
        calls = self.calls_before + self.calls_to_come
        return further(calls, left, each) if self.calls_to_come else 0


class Screen(Protocol):
    """Whoever watches a run."""

    def tell(self, what: str, done: int, total: int, pulse: Pulse) -> None:
        """Take note of progress in a pass: ``scan``, ``read`` or ``write``."""

    def show(self, reviewed: Plan) -> None:
        """Show the plan."""

    def approve(self, reviewed: Plan) -> None:
        """Raise Refused, or Interrupted, if it may not be written."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost.

    Attributes:
        calls: calls to Campaign by method.
        answers: what came back, by HTTP status, or by reason where nothing did.
        seconds: wall time.
        working_s: seconds of it in which calls were made.
        held_s: seconds in which Campaign had every request wait, by what it answered.
        latency_s: what half, and what 95 % of the good answers took at most; None without any.
    """

    calls: Mapping[str, int]
    answers: Mapping[str, int]
    seconds: float
    working_s: float
    held_s: Mapping[str, float]
    latency_s: tuple[float, float] | None

    @property
    def throttled_s(self) -> float:
        """Seconds in which Campaign had every request wait."""
        return sum(self.held_s.values())

    @property
    def rate(self) -> float | None:
        """Calls a second while calls were made; None without any."""
        total = sum(self.calls.values())
        return total / self.working_s if total and self.working_s else None


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a run.

    Attributes:
        run_id: sorts by time and fits a file name.
        rows: the results, one row per input row.
        totals: their counts.
        cost: what it took.
        cause: why the run ended early; None if it did not.
        reports: the reports written.
        todo: the file of the rows that need a person, if there are any.
        head: where the ledger ends now; None if nothing was written there.
        is_resumable: ``resume`` can go on with it.
        plan_sha256: of the plan file, if one was asked for.
        to_come: what is left to spend, if a budget ended it.
        needed: what reading was forecast to take, if a budget did not cover it.
        settings: the options that the run works with, by name.
    """

    run_id: str
    rows: pd.DataFrame
    totals: Totals
    cost: Cost
    cause: StopRun | None
    reports: tuple[Path, ...] = ()
    todo: Path | None = None
    head: Head | None = None
    is_resumable: bool = False
    plan_sha256: str | None = None
    to_come: ToCome | None = None
    needed: ToCome | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def exit(self) -> Exit:
        """The exit status by the contract."""
        if self.cause is not None:
            return self.cause.exit
        return Exit.DONE if self.totals.complete else Exit.ROWS_LEFT


def named(reports: Sequence[Path], run_id: str) -> tuple[Path, ...]:
    """Put a run's id into the paths of its reports, where they have ``RUN_ID``.

    Raises:
        UsageProblem: one names no file.
    """
    if not all(path.name for path in reports):
        raise UsageProblem("--report names no file. Write it like --report results.csv.")
    paths = (path.with_name(path.name.replace(RUN_ID, run_id)) for path in reports)
    return tuple(path.absolute() for path in paths)


def _shortened(name: str) -> str:
    """Leave room in a file's name for a run's id and a suffix."""
    return os.fsencode(name)[:_LONGEST_STEM].decode("utf-8", "ignore")


def new_run_id() -> str:
    """Make an id that sorts by time and fits a file name: ``20261123T020000Z-7f3a9c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
