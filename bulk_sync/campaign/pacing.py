"""How many requests a second, how many in flight, and when none at all.

    turn ---> in flight < limit? ---> past the hold? ---> next slot of the rate ---> send

The limit of requests in flight adapts: it grows by one per round of good answers and shrinks when
Campaign throttles or does not answer (additive increase, multiplicative decrease). A wait that
Campaign asks for holds every request.
"""

import asyncio
import logging
import time
from collections import deque
from datetime import datetime, timedelta
from typing import Final

from bulk_sync.settings import Pace
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

MOST_IN_FLIGHT: Final = 64
_FIRST_IN_FLIGHT: Final = 16
_DECREASE: Final = 0.7
_CALM_S: Final = 1.0
"""Seconds in which one decrease stands for all answers of the requests then in flight."""

_FIRST_HOLD_S: Final = 1.0
_LONGEST_HOLD_S: Final = 60.0
"""Bounds of the wait after a 429 that names none; it doubles while they go on."""

_TELL_EVERY_S: Final = 30.0
"""A server that throttles does so every second; a log is read by people."""

_HEADROOM: Final = 1.01
"""Requests are spaced this much wider than the rate says, so that late timers cannot pass it."""


class Pacer:
    """Gives every request its turn. Belongs to one event loop.

    Args:
        pace: the bounds.
        stop: wakes whoever waits.
    """

    def __init__(self, pace: Pace, stop: Stop) -> None:
        self.most_in_flight = pace.concurrency or MOST_IN_FLIGHT
        self.throttled_s = 0.0
        self._adapts = pace.concurrency is None
        self._limit = float(_FIRST_IN_FLIGHT if self._adapts else self.most_in_flight)
        self._interval_s = _HEADROOM / pace.rate if pace.rate else 0.0
        self._next_slot = 0.0
        self._held_until = 0.0
        self._hold_s = _FIRST_HOLD_S
        self._calm_until = 0.0
        self._told_at = -_TELL_EVERY_S
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._stop = stop

    async def turn(self) -> None:
        """Wait until one more request may be sent; ``over`` must follow.

        Raises:
            StopRun: the run is to end, and the request would have had to wait.
        """
        while self._in_flight >= self._limit:
            waiter = asyncio.get_running_loop().create_future()
            self._waiting.append(waiter)
            await waiter
        self._in_flight += 1
        try:
            while (held_s := self._held_until - time.monotonic()) > 0:
                await self._pause(held_s)
            if self._interval_s:
                now = time.monotonic()
                slot = max(now, self._next_slot)
                self._next_slot = slot + self._interval_s
                await self._pause(slot - now)
        except BaseException:
            self.over()
            raise

    async def _pause(self, seconds: float) -> None:
        """Wait; a request that must wait when the run is to end is not sent at all."""
        await self._stop.sleep(seconds)
        if seconds > 0 and self._stop.cause is not None:
            raise self._stop.cause

    def over(self) -> None:
        """Tell that the request is over, whatever came of it."""
        self._in_flight -= 1
        while self._waiting and self._in_flight < self._limit:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
                break

    def went_well(self) -> None:
        """Take a good answer as leave to ask for a little more."""
        self._hold_s = _FIRST_HOLD_S
        if self._adapts and self._limit < self.most_in_flight:
            before = int(self._limit)
            self._limit += 1 / self._limit
            if int(self._limit) > before:
                self._wake()

    def went_badly(self) -> None:
        """Ask for less: Campaign did not answer, or not in time."""
        now = time.monotonic()
        if self._adapts and now >= self._calm_until:
            self._calm_until = now + _CALM_S
            self._limit = max(1.0, self._limit * _DECREASE)

    def hold(self, asked_s: float | None, why: str) -> None:
        """Let no request start before a wait is over, and ask for less afterwards.

        Args:
            asked_s: seconds that Campaign asked for; None takes a growing wait of our own.
            why: what Campaign answered, for the log.
        """
        now = time.monotonic()
        if asked_s is None:
            if now < self._held_until or now < self._calm_until:
                return self.went_badly()  # an answer to a request sent before the wait began
            asked_s, self._hold_s = self._hold_s, min(_LONGEST_HOLD_S, 2 * self._hold_s)
        until = now + asked_s
        if until > self._held_until:
            self.throttled_s += until - max(now, self._held_until)
            if now >= self._told_at + _TELL_EVERY_S:
                self._told_at = now
                goes_on = datetime.now().astimezone() + timedelta(seconds=asked_s)
                log.info("%s: work goes on at %s", why, goes_on.isoformat(timespec="seconds"))
            self._held_until = until
        return self.went_badly()

    def _wake(self) -> None:
        if self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done():
                waiter.set_result(None)
