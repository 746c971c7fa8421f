"""What a run still costs, and how many days or runs that takes under the budgets in force.

A run that goes on spends a call first to find out whether Campaign answers, so of a budget of 100
calls 99 get something done.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

from bulk_sync.errors import BudgetTooSmall
from bulk_sync.settings import ATTRIBUTE, Connection, Pace, Writing

_TO_BEGIN: Final = 1
"""Calls with which a run begins, or goes on."""


def each(writing: Writing) -> int:
    """Return how many calls one change takes, if nothing fails."""
    return 1 + writing.guarded + writing.verify


def further(calls: int, left: int, budget: int) -> int:
    """Return how many more budgets it takes when this one is spent.

    Args:
        calls: that are to be made.
        left: of this budget.
        budget: calls of each of the next ones; ``check_budget`` lets none pass that is too small.
    """
    return ceil(max(0, calls - left) / (budget - _TO_BEGIN))


def check_budget(pace: Pace, connection: Connection, writing: Writing) -> None:
    """Raise BudgetTooSmall if a budget is so small that it is spent before anything is done.

    A run begins with a call, and another one if the attribute is a custom one; a change that is
    begun must be finished, or it is begun again the next time.
    """
    begins = _TO_BEGIN + (connection.attribute != ATTRIBUTE)
    least = begins + each(writing)
    for name, budget in (
        ("--max-calls", pace.max_calls),
        ("--max-calls-per-day", pace.max_calls_per_day),
    ):
        if budget is not None and budget < least:
            raise BudgetTooSmall(
                f"{name} {budget} gets nothing done, so no call was made: beginning takes "
                f"{begins}, and each profile up to {each(writing)}. Give at least {name} {least}.",
                f"{name} {least}",
            )


@dataclass(frozen=True, slots=True)
class ToCome:
    """What is left to spend on a run.

    Attributes:
        calls: calls that are left, if nothing fails.
        most: the same if every profile that is still to be read is to be changed.
        left_today: calls that the day has left; None if it has no budget.
        left_now: calls that this run has left.
        max_calls: of each run; None has no limit.
        max_calls_per_day: of all runs; None has no limit.
    """

    calls: int
    most: int
    left_today: int | None
    left_now: int
    max_calls: int | None
    max_calls_per_day: int | None

    @property
    def days(self) -> tuple[int, int]:
        """On how many further days it goes on, at least and at most."""
        if self.max_calls_per_day is None:
            return self.runs
        left, budget = self.left_today or 0, self.max_calls_per_day
        return further(self.calls, left, budget), further(self.most, left, budget)

    @property
    def runs(self) -> tuple[int, int]:
        """Return how many times it is to be resumed, at least and at most."""
        if self.max_calls is None:
            return 0, 0
        left, budget = self.left_now, self.max_calls
        return further(self.calls, left, budget), further(self.most, left, budget)

    def __str__(self) -> str:
        return self._text(now=False)

    def in_all(self) -> str:
        """Return the same, with this run and this day counted."""
        return self._text(now=True)

    def _text(self, *, now: bool) -> str:
        said, more = list[str](), "" if now else "more "
        if self.max_calls_per_day is not None:
            days = _between(self.days, f"{more}day", int(now and bool(self.left_today)))
            said.append(f"{days} at {self.max_calls_per_day:,} a day (--max-calls-per-day)")
        if self.max_calls is not None:
            is_on = int(now and self.left_now > 0)
            days = _between(self.runs, f"{more}day", is_on)
            days = "" if said else f", which is {days} at one run a day"
            runs = _between(self.runs, f"{more}run", is_on)
            said.append(f"{runs} of {self.max_calls:,} calls (--max-calls){days}")
        return f"{_between((self.calls, self.most), 'call')}, or {' and '.join(said)}"

    def facts(self, *, now: bool = False) -> dict[str, int]:
        """Return the same for a script, this run and this day counted or not."""
        is_on = now and self.left_now > 0
        days, most_days = (each + is_on for each in self.days)
        runs, most_runs = (each + is_on for each in self.runs)
        return {
            "calls": self.calls,
            "most_calls": self.most,
            "days": days,
            "most_days": most_days,
            "runs": runs,
            "most_runs": most_runs,
        }


def _between(bounds: tuple[int, int], what: str, besides: int = 0) -> str:
    """Write a number of something, or two if they differ; and one more of it besides."""
    least, most = bounds[0] + besides, bounds[1] + besides
    plural = "" if most == 1 else "s"
    return f"{least:,} {what}{plural}" if least == most else f"{least:,} to {most:,} {what}s"
