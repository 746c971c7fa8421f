"""Gives every request its turn: how many in flight, how many a second, and when none at all.

    turn ---> room in flight? ---> past the hold? ---> next slot of the rate? ---> send
         |                                                                          ^
         `---- no: wait in line; the head of the line is let go as soon as it may --'

No slot is promised ahead of time, so a hold holds every request, and a limit that falls is kept at
once. ``load.py``, ``ceiling.py`` and ``allowance.py`` find the limits, or the settings give them.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import ceil
from typing import Any, Final, Protocol

from bulk_sync.campaign.concurrency import FIRST_IN_FLIGHT, Load, Trouble
from bulk_sync.campaign.in_flight_limit import Ceiling
from bulk_sync.campaign.latency import Latency
from bulk_sync.campaign.rate_limit import Allowance
from bulk_sync.errors import RetryLater
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Pace
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

_HEADROOM: Final = 1.02
"""Requests are spaced this much wider than a rate says ..."""

_BURST_S: Final = 0.015
"""... and those that a late timer held up may be sent at once, as many as this time is worth: so
in no second more are sent than the rate, in no minute more than 98 % of it."""

_TICK_S: Final = 0.001
"""The timers of uvloop count in milliseconds: a shorter wait would be none, again and again."""

_MOST_FOR_A_RATE: Final = 2048
"""Requests in flight that a given rate may need, at most: with slow answers more than 64."""

_SLOW_S: Final = 1.5
"""Seconds that an answer may take for a given rate to be reached all the same."""

_FIRST_HOLD_S: Final = 1.0
_LONGEST_HOLD_S: Final = 60.0
"""Bounds of the wait after a 429 that names none; it doubles while they go on."""

_UNKNOWN_S: Final = 0.25
"""Assumed seconds for an answer before the first one."""

_TELL_EVERY_S: Final = 30.0
"""A server that throttles does so every second; a log is read by people."""


class Pulse(Protocol):
    """The present pace: a line for a person, numbers for a log."""

    def __str__(self) -> str:
        """Return a line for a person."""

    def facts(self) -> Mapping[str, Any]:
        """Return numbers for a log."""


class Pacer:
    """Paces one run. Belongs to one event loop, and is made in it.

    Args:
        pace: the bounds.
        stop: sends away whoever waits.
        clock: tells the time in seconds. That of uvloop counts in milliseconds, in which a thousand
            requests a second cannot be told from 980.

    Attributes:
        latency: how long good answers took.
    """

    def __init__(self, pace: Pace, stop: Stop, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.latency = Latency()
        self._held_s: dict[str, float] = {}
        self._held_why = ""
        self._loop = asyncio.get_running_loop()
        self._given_limit = pace.concurrency
        self._given_rate = pace.rate
        self._load = _load_for(pace, self._clock())
        self._trouble = Trouble()
        self._allowance = Allowance(self._clock())
        self._ceiling = Ceiling(self._clock())
        self._stop = stop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._in_flight = 0
        self._backing_off = 0
        self._on_room: Callable[[], None] | None = None
        self._next_slot = 0.0
        self._held_until = 0.0
        self._is_held = False
        self._hold_s = _FIRST_HOLD_S
        self._timer: asyncio.TimerHandle | None = None
        self._told_at = self._slowed_told_at = float("-inf")
        self._slowed_by: Counter[str] = Counter()
        stop.on_asked(self._send_away)

    @property
    def limit(self) -> int:
        """Requests that may be in flight now."""
        return self._given_limit or int(self._load.limit)

    @property
    def workers(self) -> int:
        """Requests that may be begun: those in flight, and those that wait alone for another try.

        While there is much trouble the latter leave no room for others, so a server that is down
        is not asked about every row.
        """
        limit = self.limit
        if not self._backing_off or self._trouble.is_much:
            return limit
        return limit + min(self._backing_off, limit)

    @contextmanager
    def backing_off(self) -> Iterator[None]:
        """Free the place of a request while it alone waits for its retry."""
        self._backing_off += 1
        if self._on_room is not None:
            self._on_room()
        try:
            yield
        finally:
            self._backing_off -= 1

    @contextmanager
    def listening(self, on_room: Callable[[], None]) -> Iterator[None]:
        """Call a function whenever a request begins to back off."""
        self._on_room = on_room
        try:
            yield
        finally:
            self._on_room = None

    @property
    def held_for_s(self) -> float:
        """Seconds for which no request may start yet."""
        return max(0.0, self._held_until - self._clock())

    @property
    def held_s(self) -> Mapping[str, float]:
        """Seconds in which Campaign had every request wait so far, by what it answered."""
        found = dict(self._held_s)
        if self._held_why:
            found[self._held_why] = max(0.0, found[self._held_why] - self.held_for_s)
        return found

    @property
    def throttled_s(self) -> float:
        """Seconds in which Campaign had every request wait."""
        return sum(self.held_s.values())

    @property
    def rate(self) -> float | None:
        """Requests a second, at most; None if nothing bounds them."""
        given, found = self._given_rate, self._allowance.rate
        if given is None or (found is not None and found < given):
            return found
        return given

    def __str__(self) -> str:
        """Return the pace as a line for a person."""
        parts = [f"{self._in_flight} in flight"]
        if self.rate is not None:
            parts.append(f"at most {self.rate:.4g}/s")
        return ", ".join([*parts, *self.waits()])

    def waits(self) -> list[str]:
        """Return how long answers take and what is waited for, for a person."""
        said = []
        if (half_s := self.latency.quantile(0.5)) is not None:
            said.append(f"answers in {1000 * half_s:,.0f} ms")
        if held_s := self.held_for_s:
            said.append(f"waiting {held_s:.0f} s as Campaign asks ({self._held_why})")
        return said

    def facts(self) -> Mapping[str, Any]:
        """Return counts, requests a second, seconds and causes of waits, for a log."""
        half_s, most_s = self.latency.quantile(0.5), self.latency.quantile(0.95)
        return {
            "in_flight": self._in_flight,
            "most_in_flight": self.limit,
            "rate": None if self.rate is None else round(self.rate, 3),
            "latency_seconds": None
            if half_s is None or most_s is None
            else {"p50": round(half_s, 4), "p95": round(most_s, 4)},
            "held_seconds": round(self.held_for_s, 3),
            "throttled_seconds": round(self.throttled_s, 3),
            "throttled_by": {why: round(held_s, 3) for why, held_s in self.held_s.items()},
            "slowed_by": dict(self._slowed_by),
        }

    def at_once(self) -> float | None:
        """Count one more request as sent if it need not wait; ``over`` must follow.

        Returns:
            The time; None if it must wait for its ``turn``.
        """
        now = self._clock()
        if self._waiting or self._wait_s(now) > 0:
            return None
        self._go(now)
        return now

    async def turn(self) -> float:
        """Wait until one more request may be sent; ``over`` must follow.

        Returns:
            The time.

        Raises:
            StopRun: the run is to end, and the request would have had to wait.
        """
        if (now := self.at_once()) is not None:
            return now
        if self._stop.cause is not None:
            raise self._stop.cause
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        self._let_go()
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.over()
            raise
        return self._clock()

    def over(self) -> None:
        """Record that a request is over, whatever its result."""
        self._in_flight -= 1
        if self._waiting and self._timer is None:
            self._let_go()

    def went_well(self, sent_at: float) -> None:
        """Learn from a good answer to a request that was sent at some time."""
        now = self._clock()
        took_s = now - sent_at
        self._hold_s = _FIRST_HOLD_S
        self.latency.note(took_s)
        self._trouble.absent()
        self._allowance.answered(now, took_s)
        self._ceiling.granted(now, took_s)
        if not self._is_held and (self._allowance.rate is None or self._load.is_cut):
            self._load.answered(now, took_s)
        if self._ceiling.is_due(now) and self._in_flight >= self.limit - 1:
            self._ceiling.try_more(now)
            self._load.bound(self._ceiling.most)

    def was_lost(self, why: str, sent_at: float | None = None) -> None:
        """Learn from a request that Campaign did not answer, or not in time."""
        self._met_trouble(sent_at)
        self._cut(why)

    def was_too_much(self, why: str, sent_at: float | None = None) -> None:
        """Learn from an answer that says that Campaign has too much to do."""
        self._met_trouble(sent_at)
        if sent_at is not None:
            self._ceiling.refused(self._clock(), sent_at)
        if self._cut(why):  # what is in flight shows whether there is a limit on that
            self.hold_for(2 * (self.latency.quantile(0.95) or _UNKNOWN_S), why)

    def _met_trouble(self, sent_at: float | None) -> None:
        """Count a failure that was not for the rate: so much of that was granted."""
        self._trouble.met()
        if sent_at is not None:
            now = self._clock()
            self._allowance.answered(now, now - sent_at)

    def _cut(self, why: str) -> bool:
        """Ask for less if there is much trouble, record why, and log it now and then.

        Returns:
            Whether less is asked now.
        """
        before, now = self.limit, self._clock()
        if self._trouble.is_much:
            self._load.overloaded(now)
        if self.limit >= before:
            return False
        self._slowed_by[why] += 1
        if now >= self._slowed_told_at + _TELL_EVERY_S:
            self._slowed_told_at = now
            log.info("%s: at most %d requests are in flight for now", why, self.limit)
        return True

    def hold(self, later: RetryLater) -> None:
        """Start no request before a wait is over, if it holds for all of them.

        A 429 holds all. A 503 holds its own request, unless many recent answers were like it.

        Args:
            later: Campaign's answer. If it names no wait, a growing one of our own is taken; so it
                is after a 429 that names 0, as gateways do that round less than a second down.
        """
        now, asked_s = self._clock(), later.wait_s
        if later.reason is Reason.HTTP_429:
            sent_at = now if later.sent_at is None else later.sent_at
            self._allowance.refused(now, sent_at)
            self._ceiling.refused(now, sent_at)
            asked_s = asked_s or None
        elif not self._trouble.is_much:
            return
        if asked_s is None:
            if self._is_held:
                return  # an answer to a request that was sent before the wait began
            asked_s, self._hold_s = self._hold_s, min(_LONGEST_HOLD_S, 2 * self._hold_s)
        if not self.hold_for(asked_s, str(later.reason)):
            return
        if now >= self._told_at + _TELL_EVERY_S:
            self._told_at = now
            goes_on = datetime.now().astimezone() + timedelta(seconds=asked_s)
            log.info("%s: work goes on at %s", later.detail, goes_on.isoformat(timespec="seconds"))

    def hold_for(self, seconds: float, why: str) -> bool:
        """Hold every request for so many seconds, and return whether that prolongs the wait."""
        now = self._clock()
        until = now + seconds
        if until <= self._held_until:
            return False
        held_s = until - max(now, self._held_until)
        self._held_s[why] = self._held_s.get(why, 0.0) + held_s
        self._held_why = why
        self._held_until, self._is_held = until, True
        return True

    def _wait_s(self, now: float) -> float:
        """Return how long the next request must wait; infinity until another one is over."""
        if self._is_held:
            if now < self._held_until:
                return self._held_until - now
            self._is_held = False
            if self._ceiling.judge(now, self._in_flight, may_be_rate=self._allowance.was_refused):
                self._load.bound(self._ceiling.most)
                self._allowance.forgive(now)
            else:
                self._allowance.resumed(now)
            self._load.interrupted(now)
        if self._in_flight >= self.limit:
            return float("inf")
        return self._next_slot - now

    def _go(self, now: float) -> None:
        """Count one request as sent."""
        self._in_flight += 1
        if (rate := self.rate) is not None:
            self._next_slot = max(self._next_slot, now - _BURST_S) + _HEADROOM / rate

    def _let_go(self) -> None:
        """Send the waiting requests that may start, in order, and set a timer for the next."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            now = self._clock()
            wait_s = self._wait_s(now)
            if wait_s > 0:
                if wait_s < float("inf"):
                    self._timer = self._loop.call_later(max(_TICK_S, wait_s), self._let_go)
                return
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._go(now)
                waiter.set_result(None)

    def _send_away(self) -> None:
        """End every wait for a turn with the cause that stops the run."""
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done() and self._stop.cause is not None:
                waiter.set_exception(self._stop.cause)


def most_in_flight(pace: Pace) -> int:
    """Return the most requests that may ever be in flight: with a rate, all that it may need."""
    if pace.concurrency is not None:
        return pace.concurrency
    if pace.rate is None:
        return pace.most_in_flight
    return max(pace.most_in_flight, min(_MOST_FOR_A_RATE, ceil(pace.rate * _SLOW_S)))


def _load_for(pace: Pace, now: float) -> Load:
    """Begin with few requests in flight; or, if a rate bounds them, with all that it may need."""
    most = most_in_flight(pace)
    first = min(FIRST_IN_FLIGHT, most) if pace.rate is None else most
    return Load(now, first=first, most=most)
