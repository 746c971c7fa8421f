"""What a run spends: HTTP requests to Campaign, counted, and kept within what may be spent.

    allow ---> a call of today's budget is set aside ---> spend (it is sent) ---> answered
                 (taken from the budget in blocks)           `--- not sent: put_back

A block that was taken is spent as far as others can know, so a process that is killed has counted
what it sent, and at most the rest of a block more.
"""

import asyncio
import time
from collections import Counter
from typing import Final, NamedTuple, Protocol

from bulk_sync.errors import StoppedEarly

_LEAST_BLOCK: Final = 50
_LARGEST_BLOCK: Final = 2000
_BLOCK_SHARE: Final = 10
"""A block is a tenth of what the run has spent so far: few of them, and little lost by a kill."""


class Grant(NamedTuple):
    """Calls that may be made on one day; ``until`` is the UTC time at which it is over, in s."""

    calls: int
    day: str
    until: float


class Budget(Protocol):
    """What all runs together may spend in a day; called in a thread of its own."""

    def take(self, count: int) -> Grant:
        """Take so many calls out of what is left of today, or as many as there are.

        Raises:
            StoppedEarly: none is left, or nobody can tell.
        """

    def give_back(self, day: str, count: int) -> None:
        """Put back what was taken and not spent; whoever cannot leaves it."""


_UNBOUNDED: Final = Grant(0, "", 0.0)


class Calls:
    """The calls of one run. Belongs to one event loop.

    Args:
        most: calls of this run, at most; None has no limit.
        budget: what all runs may spend in a day; None has no limit.

    Attributes:
        by_method: calls so far.
        by_status: their answers, and what stood in for one.
    """

    def __init__(self, most: int | None = None, budget: Budget | None = None) -> None:
        self.by_method: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self._most = most
        self._budget = budget
        self._grant = _UNBOUNDED
        self._left = 0
        self._refilling = asyncio.Lock()

    @property
    def total(self) -> int:
        """All calls; requests to IMS are not among them."""
        return self.by_method.total()

    @property
    def set_aside(self) -> int:
        """Calls that were taken from the day's budget, and are not spent yet."""
        return self._left

    async def allow(self) -> None:
        """Set one call of today's budget aside, for ``spend``.

        Raises:
            StoppedEarly: there is none.
        """
        if self._budget is None:
            return
        while self._left < 1 or time.time() >= self._grant.until:
            async with self._refilling:
                if self._left < 1 or time.time() >= self._grant.until:
                    await self._refill(self._budget)
        self._left -= 1

    def put_back(self) -> None:
        """Tell that a call that was allowed is not made."""
        if self._budget is not None:
            self._left += 1

    def spend(self, method: str) -> None:
        """Count a call that is about to be sent.

        Raises:
            StoppedEarly: the run has spent what it may.
        """
        if self._most is not None and self.total >= self._most:
            raise StoppedEarly(f"The budget of {self._most} calls is spent (--max-calls).")
        self.by_method[method] += 1

    async def close(self) -> None:
        """Give back what was set aside and not spent."""
        if self._budget is not None and self._left > 0:
            left, self._left = self._left, 0
            await asyncio.to_thread(self._budget.give_back, self._grant.day, left)

    async def _refill(self, budget: Budget) -> None:
        await self.close()  # what is left of yesterday's
        block = min(_LARGEST_BLOCK, max(_LEAST_BLOCK, self.total // _BLOCK_SHARE))
        if self._most is not None:
            block = max(1, min(block, self._most - self.total))
        self._grant = await asyncio.to_thread(budget.take, block)
        self._left += self._grant.calls
