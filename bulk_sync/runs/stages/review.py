"""What a person sees of a run: its plan, what it cost, and how it ended."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.engines.current import Read
from bulk_sync.errors import Exit, Refused, StopRun
from bulk_sync.ledger import Begun, Head
from bulk_sync.report.destination import Destination, is_unpublished
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.kept.rest import NOTHING, Rest
from bulk_sync.runs.stages.validation import Judged
from bulk_sync.runs.terms.remaining_cost import Budgets, RemainingCost


@dataclass(frozen=True, slots=True)
class Forecast:
    """What carrying out a plan is expected to take.

    Attributes:
        read: how the current states were read.
        calls: calls to Campaign so far.
        calls_to_come: calls for writing, if nothing fails.
        calls_before: calls to read everything anew after a preview; 0 if this is none.
        rate: most requests a second; None if it adapts.
        quickest_s: the time of the quickest answer so far; None if there was none.
        most_in_flight: most requests in flight at once.
    """

    read: Read
    calls: int
    calls_to_come: int
    calls_before: int
    budgets: Budgets
    rate: float | None
    quickest_s: float | None
    most_in_flight: int

    def of_preview(self, calls_before: int) -> "Forecast":
        """Return the forecast for a later run, which has a budget of its own."""
        budgets = replace(self.budgets, left_now=self.budgets.max_calls or 0)
        return replace(self, calls_before=calls_before, budgets=budgets)

    @property
    def seconds(self) -> float | None:
        """Estimate how long writing takes, with reading anew, by the rate of the look-ups.

        After a scan it is a lower bound: a page does not show how long a single profile takes, and
        Campaign may tolerate fewer requests at once than are allowed.
        """
        before_s = self.read.seconds if self.calls_before > 1 else 0.0
        if self.calls:  # an earlier process of the plan has read too
            before_s *= max(1.0, self.calls_before / self.calls)
        if self.rate is not None:
            return before_s + self.calls_to_come / self.rate
        if self.calls and not self.read.paged:
            return before_s + self.calls_to_come * self.read.seconds / self.calls
        if self.quickest_s is None:
            return None
        at_once = max(1, min(self.most_in_flight, self.calls_to_come))
        return before_s + self.calls_to_come * self.quickest_s / at_once

    @property
    def is_lower_bound(self) -> bool:
        """Return whether ``seconds`` is a lower bound."""
        return self.rate is None and (self.read.paged or not self.calls)

    @property
    def days(self) -> int:
        """Return on how many further days the run goes on, because today's calls do not suffice."""
        known = self.calls_to_come and self.budgets.left_today is not None
        return self.budgets.days(self.calls_before + self.calls_to_come) if known else 0

    @property
    def runs(self) -> int:
        """Return how often it must be resumed, because each run may make so many calls."""
        calls = self.calls_before + self.calls_to_come
        return self.budgets.runs(calls) if self.calls_to_come else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is about to write, for review.

    Attributes:
        rows: every row of the input, with its outcome, but those of the rest.
        refusal: the limits against it; None if there are none.
        held: why its opt-ins are held back, and the rest is written; None if they are not.
    """

    rows: pd.DataFrame
    totals: Totals
    refusal: Refused | None
    forecast: Forecast
    held: Refused | None = None

    @property
    def held_opt_ins(self) -> int:
        """Return the number of opt-ins held back."""
        return 0 if self.held is None else self.totals.opt_ins

    @property
    def writes(self) -> int:
        """Return the number of profiles to be written, opt-ins held back left out."""
        return self.totals.writes - self.held_opt_ins

    @property
    def warning(self) -> str:
        """Return what a limit would do to it; "" if it passes none."""
        if self.refusal is not None:
            why = str(self.refusal).removeprefix("Nothing was written: ")
            return f"A limit would stop the run: {why}"
        if self.held is not None:
            what = count(self.totals.opt_ins, "opt-in")
            return f"{what} would be held back, and the rest written: {self.held}"
        return ""


class Screen(Protocol):
    """Shows a run to a person."""

    def begin(self, run_id: str, begun: Begun) -> None:
        """Show the run at its beginning, or when it goes on."""

    def announce(self, judged: Judged) -> None:
        """Show what of the input was read as what."""

    def show_progress(self, what: str, done: int, total: int, pacer: Pacer | None = None) -> None:
        """Show progress in a pass: ``scan``, ``read`` or ``write``, or in the words of a report."""

    def show(self, reviewed: Plan) -> None:
        """Show the plan."""

    def approve(self, reviewed: Plan) -> None:
        """Raise Refused, or Interrupted, if it may not be written."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a process cost, and what is left to spend.

    Attributes:
        calls: calls to Campaign by method.
        answered: what came back, by method and HTTP status, or by reason where nothing did.
        seconds: wall time, from reading the input to the last report.
        working_s: seconds of it in which calls were made.
        held_s: seconds in which every request had to wait, by the answer of Campaign.
        latency_s: the median and the 95th percentile of good answers; None without any.
        to_come: what is left to spend, if a budget ended the run.
        needed: what reading was forecast to take, if a budget did not cover it.
    """

    calls: Mapping[str, int]
    answered: Mapping[tuple[str, str], int]
    seconds: float
    working_s: float
    held_s: Mapping[str, float]
    latency_s: tuple[float, float] | None
    to_come: RemainingCost | None = None
    needed: RemainingCost | None = None

    @property
    def answers(self) -> Mapping[str, int]:
        """Return what came back, whatever the method."""
        answers: Counter[str] = Counter()
        for (_, status), number in self.answered.items():
            answers[status] += number
        return answers

    @property
    def throttled_s(self) -> float:
        """Return the seconds in which Campaign had every request wait."""
        return sum(self.held_s.values())

    @property
    def rate(self) -> float | None:
        """Return the calls a second while calls were made; None without any."""
        total = sum(self.calls.values())
        return total / self.working_s if total and self.working_s else None


@dataclass(frozen=True, slots=True)
class Files:
    """What a run wrote for people.

    Attributes:
        todo: the file of the rows for a person, if there are any.
        plan_sha256: of the plan file, if there is one.
    """

    reports: tuple[Destination, ...] = ()
    todo: Destination | None = None
    plan_sha256: str | None = None

    @property
    def are_unpublished(self) -> bool:
        """Return whether one is here because it could not be uploaded."""
        return any(map(is_unpublished, (*self.reports, self.todo)))

    @property
    def note(self) -> str:
        """Return a sentence for each file still to be uploaded."""
        here = filter(is_unpublished, (*self.reports, self.todo))
        return " ".join(f"A report could not be uploaded. It is here: {file}." for file in here)


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a run.

    Attributes:
        rows: the results, one row per input row, but those of the rest.
        cause: why the run ended early; None if it did not.
        head: where the ledger ends now; None if nothing was written there.
        is_resumable: whether ``resume`` can go on with it.
        settings: the options of the run, by name.
        held: why the opt-ins among the pending rows wait; None if none do.
        rest: the rows that are not in ``rows``.
    """

    run_id: str
    rows: pd.DataFrame
    totals: Totals
    cost: Cost
    cause: StopRun | None
    files: Files = field(default_factory=Files)
    head: Head | None = None
    is_resumable: bool = False
    settings: Mapping[str, Any] = field(default_factory=dict)
    held: Refused | None = None
    rest: Rest = NOTHING

    @property
    def exit(self) -> Exit:
        """The exit status by the contract."""
        status = exit_of(self.totals, self.cause)
        return Exit.ROWS_LEFT if status is Exit.DONE and self.files.are_unpublished else status


def exit_of(totals: Totals, cause: StopRun | None) -> Exit:
    """Return the exit status by the contract."""
    if cause is not None:
        return cause.exit
    return Exit.DONE if totals.complete else Exit.ROWS_LEFT
