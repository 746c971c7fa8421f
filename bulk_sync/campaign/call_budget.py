"""Counts the HTTP requests of a run, and keeps them within its budgets.

    allow ---> a call of today's budget is set aside ---> spend (it is sent)
                 (taken in blocks)                          `--- not sent: put_back

Other runs see a whole block as spent, so a killed process has counted all its calls, and at most
one block more. The budget is spent only after all calls set aside were sent.
"""

import asyncio
import time
from collections import Counter
from typing import Final, NamedTuple, Protocol

from bulk_sync.amounts import count
from bulk_sync.errors import BudgetSpent, StoppedEarly

_LEAST_BLOCK: Final = 50
_LARGEST_BLOCK: Final = 2000
_BLOCK_SHARE: Final = 15
"""A block is a fifteenth of the run's calls so far, within these bounds. Each takes a transaction
of the ledger in a thread."""


class Grant(NamedTuple):
    """Calls for one day; ``until`` is its end, in seconds since the epoch."""

    calls: int
    day: str
    until: float


class Budget(Protocol):
    """What all runs together may spend in a day. Its methods run in a thread."""

    def take(self, count: int) -> Grant:
        """Take so many calls of today, or all calls left.

        Raises:
            StoppedEarly: today is spent, or the calls cannot be counted.
        """

    def left(self) -> int | None:
        """Return the calls left today; None without a limit, or if they cannot be counted."""

    def give_back(self, day: str, count: int) -> None:
        """Return unspent calls, if possible."""


class Calls:
    """The calls of one run. Belongs to one event loop.

    ``most`` are those of this run, ``budget`` has those of all runs in a day; None has no limit.

    Attributes:
        by_method: calls so far.
        answers: their responses, or the reason for none, by method and status.
        has_budget: whether ``allow`` must be called before each call.
        least: the smallest budget with which something is kept, as far as is known.
    """

    def __init__(self, most: int | None = None, budget: Budget | None = None) -> None:
        self.by_method: Counter[str] = Counter()
        self.answers: Counter[tuple[str, str]] = Counter()
        self.least = 0
        self.has_budget = budget is not None
        self._most = most
        self._budget = budget
        self._grant = Grant(0, "", 0.0)
        self._left = 0
        self._unsent = 0
        self._unsent_changed = asyncio.Event()
        self._refilling = asyncio.Lock()

    @property
    def total(self) -> int:
        """All calls so far, without requests to IMS."""
        return self.by_method.total()

    @property
    def set_aside(self) -> int:
        """Calls taken from the day's budget and not spent yet."""
        return self._left

    def need(self, calls: int) -> None:
        """Record that so many calls from now on get something done, and fewer do not."""
        self.least = self.total + calls

    async def left(self) -> int | None:
        """Return the calls left until a budget is spent; None without a limit."""
        of_run = self._left_of_run()
        today = None if self._budget is None else await asyncio.to_thread(self._budget.left)
        of_today = None if today is None else today + self._left
        return min((each for each in (of_run, of_today) if each is not None), default=None)

    async def allow(self) -> None:
        """Set one call of today's budget aside, for ``spend``.

        Raises:
            StoppedEarly: today is spent, or the calls cannot be counted.
        """
        if self._budget is None:
            return
        while self._left < 1 or time.time() >= self._grant.until:
            async with self._refilling:
                if self._left < 1 or time.time() >= self._grant.until:
                    await self._refill_or_wait(self._budget)
        self._left -= 1
        self._unsent += 1

    def put_back(self) -> None:
        """Return an allowed call to the budget; it is not sent."""
        if self._budget is not None:
            self._left += 1
            self._unsent -= 1
            self._unsent_changed.set()

    def spend(self, method: str) -> None:
        """Count a call, to be sent now.

        Raises:
            BudgetSpent: the run has spent its budget.
        """
        if self._left_of_run() == 0:
            self.put_back()
            raise BudgetSpent(
                f"The budget of {count(self._most or 0, 'call')} is spent (--max-calls)."
            )
        self.by_method[method] += 1
        if self._budget is not None:
            self._unsent -= 1
            if not self._unsent:
                self._unsent_changed.set()

    async def close(self) -> None:
        """Give back what was set aside and not spent."""
        await self._give_back()

    async def _give_back(self) -> None:
        if self._budget is not None and self._left > 0:
            left, self._left = self._left, 0
            await asyncio.to_thread(self._budget.give_back, self._grant.day, left)

    def _left_of_run(self) -> int | None:
        return None if self._most is None else max(0, self._most - self.total)

    async def _refill_or_wait(self, budget: Budget) -> None:
        """Take the next block, or wait while a call may be put back."""
        self._unsent_changed.clear()
        try:
            await self._refill(budget)
        except StoppedEarly:
            if not self._unsent and not self._left:
                raise
            await self._unsent_changed.wait()

    async def _refill(self, budget: Budget) -> None:
        if time.time() >= self._grant.until:
            await self._give_back()  # what is left of yesterday's
        grant = await asyncio.to_thread(budget.take, self._next_block())
        if grant.day != self._grant.day:
            await self._give_back()  # midnight may have passed meanwhile
        self._grant = grant
        self._left += grant.calls

    def _next_block(self) -> int:
        total = self.total
        block = min(_LARGEST_BLOCK, max(_LEAST_BLOCK, total // _BLOCK_SHARE))
        return block if self._most is None else max(1, min(block, self._most - total))
