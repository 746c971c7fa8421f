"""What a run still costs, and how many days or runs that takes under the budgets in force.

A resumed run spends a call first to find out whether Campaign answers: a budget of 100 calls
leaves 99 for the work.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

import numpy as np
import pandas as pd

from bulk_sync.errors import BudgetTooSmall
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.settings import ATTRIBUTE, Connection, Pace, Writing

_TO_BEGIN: Final = 1
"""Calls with which a run begins, or goes on."""


def calls_per_change(writing: Writing) -> int:
    """Return how many calls one change takes, if nothing fails."""
    return 1 + writing.guarded + writing.verify


def check_budget(pace: Pace, connection: Connection, writing: Writing) -> None:
    """Raise BudgetTooSmall if a budget is spent before anything is done.

    A run begins with a call, and another one for a custom attribute; a change must be finished, or
    it begins anew the next time.
    """
    begins = _TO_BEGIN + (connection.attribute != ATTRIBUTE)
    least = begins + calls_per_change(writing)
    for name, budget in (
        ("--max-calls", pace.max_calls),
        ("--max-calls-per-day", pace.max_calls_per_day),
    ):
        if budget is not None and budget < least:
            raise BudgetTooSmall(
                f"{name} {budget} gets nothing done, so no call was made: beginning takes {begins},"
                f" and each profile up to {calls_per_change(writing)}. Give at least {name} "
                f"{least}.",
                f"{name} {least}",
            )


def calls_to_come(
    rows: pd.DataFrame, elsewhere: int, reads: int | None, of_change: int
) -> tuple[int, int]:
    """Return the calls of pending rows, if nothing fails: at least, and if each is to be changed.

    Args:
        rows: the results of a run.
        elsewhere: further pending rows, all unread.
        reads: calls that reading still takes, if fewer than one for each unread row.
        of_change: calls of one change.
    """
    waits = columns.have_outcome(rows, [Outcome.PENDING])
    is_read = rows[columns.BEFORE].notna().to_numpy()
    if columns.CREATE in rows:
        is_read = is_read | (rows[columns.CREATE].to_numpy() != "")
    unread = int(np.count_nonzero(waits & ~is_read)) + elsewhere
    calls = unread if reads is None else min(unread, reads)
    calls += of_change * int(np.count_nonzero(waits & is_read))
    return calls, calls + of_change * unread


@dataclass(frozen=True, slots=True)
class Budgets:
    """What limits calls.

    Attributes:
        max_calls: most calls of each run; None has no limit.
        max_calls_per_day: most calls of all runs in a day; None has no limit.
        left_now: calls left for this run.
        left_today: calls left of the day; None if that is not known, or has no limit.
    """

    max_calls: int | None
    max_calls_per_day: int | None
    left_now: int
    left_today: int | None

    def days(self, calls: int) -> int:
        """Return on how many further days so many calls are made."""
        if self.max_calls_per_day is None:
            return 0
        return _further(calls, self.left_today or 0, self.max_calls_per_day)

    def runs(self, calls: int) -> int:
        """Return how many times a run is resumed for so many calls."""
        return 0 if self.max_calls is None else _further(calls, self.left_now, self.max_calls)


@dataclass(frozen=True, slots=True)
class RemainingCost:
    """What is left to spend on a run.

    Attributes:
        calls: calls to come, if nothing fails.
        most: the same if every unread profile is to be changed.
        is_in_all: whether this run and this day count, if something is left of their budgets.
    """

    calls: int
    most: int
    budgets: Budgets
    is_in_all: bool = False

    @property
    def _days(self) -> tuple[int, int]:
        budgets = self.budgets
        if budgets.max_calls_per_day is None:  # at one run a day
            return self._runs
        today = int(self.is_in_all and (budgets.left_today or 0) > 0)
        return budgets.days(self.calls) + today, budgets.days(self.most) + today

    @property
    def _runs(self) -> tuple[int, int]:
        now = int(self.is_in_all and self.budgets.left_now > 0)
        return self.budgets.runs(self.calls) + now, self.budgets.runs(self.most) + now

    def __str__(self) -> str:
        budgets, more, ways = self.budgets, "" if self.is_in_all else "more ", list[str]()
        # What is left today suffices: only the runs are worth a word.
        is_today = not self.is_in_all and not any(self._days) and budgets.max_calls is not None
        if budgets.max_calls_per_day is not None and not is_today:
            most = f"{budgets.max_calls_per_day:,} calls a day (--max-calls-per-day)"
            ways.append(f"{_between(self._days, f'{more}day')} at {most}")
        if budgets.max_calls is not None:
            nightly = _between(self._runs, f"{more}day")
            nightly = "" if ways else f", which is {nightly} at one run a day"
            runs = _between(self._runs, f"{more}run")
            ways.append(f"{runs} of {budgets.max_calls:,} calls (--max-calls){nightly}")
        calls = _between((self.calls, self.most), "call")
        return f"{calls}; that takes {' and '.join(ways)}"

    def facts(self) -> dict[str, int]:
        """Return the same for a script."""
        days, most_days = self._days
        runs, most_runs = self._runs
        return {
            "calls": self.calls,
            "most_calls": self.most,
            "days": days,
            "most_days": most_days,
            "runs": runs,
            "most_runs": most_runs,
        }


def _further(calls: int, left: int, budget: int) -> int:
    """Return how many more budgets it takes; ``check_budget`` refuses those that divide by 0."""
    return ceil(max(0, calls - left) / (budget - _TO_BEGIN))


def _between(bounds: tuple[int, int], what: str) -> str:
    least, most = bounds
    plural = "" if most == 1 else "s"
    return f"{least:,} {what}{plural}" if least == most else f"{least:,} to {most:,} {what}s"
