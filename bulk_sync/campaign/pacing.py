"""Gives every request its turn: how many are in flight, how many a second, and when none at all.

    acquire --> room in flight? --> past the hold? --> next slot of the rate? --> send
         |                                                                          ^
         `---- no: wait in line; the head of the line goes as soon as it may -------'

No slot is given ahead of time, so a hold holds every request, and a lower limit counts at once.
``concurrency.py``, ``in_flight_limit.py`` and ``rate_limit.py`` find the limits, or the settings
give them.
"""

import asyncio
import logging
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from math import inf
from typing import Any, Final

from bulk_sync.campaign.concurrency import FIRST_IN_FLIGHT, Load, Trouble, most_in_flight
from bulk_sync.campaign.in_flight_limit import InFlightLimit
from bulk_sync.campaign.latency import Latency
from bulk_sync.campaign.rate_limit import RateLimit
from bulk_sync.errors import RetryLater
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Pace
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

_HEADROOM: Final = 1.02
_BURST_S: Final = 0.015
_FULL_BURST: Final = 150.0
"""Requests are spaced wider than the rate by this factor, and requests held up by a late timer go
at once, up to this time's worth: all of it at so many requests a second, and at fewer a share, for
then a late timer costs little. So no second exceeds the rate, and no minute 98 % of it (``pytest
tests/campaign/test_pacing.py -k given_rate``)."""

_TICK_S: Final = 0.001
"""The shortest wait: timers of uvloop count in milliseconds."""

_FIRST_HOLD_S: Final = 1.0
_LONGEST_HOLD_S: Final = 60.0
"""The wait after a 429 without one; it doubles while they go on."""

_LOG_EVERY_S: Final = 30.0


class Pacer:
    """Paces one run. Belongs to one event loop, and is made in it.

    The clock of uvloop counts in milliseconds, too coarse for a thousand requests a second.
    """

    def __init__(self, pace: Pace, stop: Stop, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        now = clock()
        most = most_in_flight(pace)
        first = min(FIRST_IN_FLIGHT, most) if pace.rate is None else most
        self._load = Load(now, first=first, most=most)
        self._trouble = Trouble()
        self._rate_limit = RateLimit(now)
        self._in_flight_limit = InFlightLimit(now)
        self.latency = Latency()
        self._loop = asyncio.get_running_loop()
        self._given_limit = pace.concurrency
        self._given_rate = pace.rate
        self._stop = stop
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._in_flight = 0
        self._backing_off = 0
        self._on_room: Callable[[], None] | None = None
        self._next_slot = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._held_until = 0.0
        self._is_held = False
        self._hold_s = _FIRST_HOLD_S
        self._held_s: dict[str, float] = {}
        self._held_why = ""
        self._hold_logged_at = self._cut_logged_at = float("-inf")
        self._slowed_by: Counter[str] = Counter()
        stop.on_request(self._end_waits)

    @property
    def limit(self) -> int:
        """The most requests in flight now."""
        return self._given_limit or int(self._load.limit)

    @property
    def workers(self) -> int:
        """The most requests to begin: those in flight, and those in a backoff.

        During much trouble the latter leave no room for others, so a server without responses does
        not get a request for every row.
        """
        limit = self.limit
        if not self._backing_off or self._trouble.is_much:
            return limit
        return limit + min(self._backing_off, limit)

    @contextmanager
    def backing_off(self) -> Iterator[None]:
        """Free the place of a request during its backoff."""
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
        """Seconds until a request may start."""
        return max(0.0, self._held_until - self._clock())

    @property
    def held_s(self) -> Mapping[str, float]:
        """Seconds so far of waits for every request, by cause."""
        found = dict(self._held_s)
        if self._held_why:
            found[self._held_why] = max(0.0, found[self._held_why] - self.held_for_s)
        return found

    @property
    def rate(self) -> float | None:
        """The most requests a second; None without a limit."""
        given, found = self._given_rate, self._rate_limit.rate
        if given is None or (found is not None and found < given):
            return found
        return given

    def __str__(self) -> str:
        """Return the pace as a line for a person."""
        parts = [f"{self._in_flight} in flight"]
        if self.rate is not None:
            shown = f"{self.rate:,.{1 if self.rate < 100 else 0}f}"
            parts.append(f"at most {shown.removesuffix('.0')}/s")
        if (half_s := self.latency.quantile(0.5)) is not None:
            parts.append(f"answers in {1000 * half_s:,.0f} ms")
        if held_s := self.held_for_s:
            parts.append(f"waiting {held_s:.0f} s as Campaign asks ({self._held_why})")
        return ", ".join(parts)

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
            "throttled_seconds": round(sum(self.held_s.values()), 3),
            "throttled_by": {why: round(held_s, 3) for why, held_s in self.held_s.items()},
            "slowed_by": dict(self._slowed_by),
        }

    def try_acquire(self) -> float | None:
        """Return the time if a request may start now, else None; ``release`` must follow."""
        now = self._clock()
        if self._waiting or self._wait_s(now) > 0:
            return None
        self._start(now)
        return now

    async def acquire(self) -> float:
        """Wait until a request may start, and return the time; ``release`` must follow.

        Raises:
            StopRun: the run stops, and the request would have to wait.
        """
        if (now := self.try_acquire()) is not None:
            return now
        if self._stop.cause is not None:
            raise self._stop.cause
        waiter = self._loop.create_future()
        self._waiting.append(waiter)
        self._start_waiting()
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release()
            raise
        now = self._clock()
        if (rate := self.rate) is not None:  # the loop may have been busy since its slot
            self._next_slot = max(self._next_slot, now - _burst_s(rate) + _HEADROOM / rate)
        return now

    def release(self) -> None:
        """Record the end of a request, whatever its result."""
        self._in_flight -= 1
        if self._waiting and self._timer is None:
            self._start_waiting()

    def went_well(self, sent_at: float) -> None:
        """Learn from a good response."""
        now = self._clock()
        took_s = now - sent_at
        self._hold_s = _FIRST_HOLD_S
        self.latency.add(took_s)
        self._trouble.fade()
        self._rate_limit.granted(now, took_s)
        self._in_flight_limit.granted(now, took_s)
        if not self._is_held and (self._rate_limit.rate is None or self._load.is_cut):
            self._load.responded(now, took_s)
        if now >= self._in_flight_limit.raise_at and self._in_flight >= self.limit - 1:
            self._in_flight_limit.try_more(now)
            self._load.bound(self._in_flight_limit.most)

    def was_lost(self, why: str, sent_at: float | None = None) -> None:
        """Learn from a request without a response, or without one in time."""
        self._count_trouble(sent_at)
        self._cut(why)

    def was_too_much(self, why: str, sent_at: float | None = None) -> None:
        """Learn from a response about overload."""
        self._count_trouble(sent_at)
        if sent_at is not None:
            self._in_flight_limit.refused(self._clock(), sent_at)
        if self._cut(why):  # what is in flight shows whether there is a limit on that
            self._hold_for(2 * (self.latency.quantile(0.95) or _FIRST_HOLD_S / 4), why)

    def _count_trouble(self, sent_at: float | None) -> None:
        """Count a failure not for the rate: its request was granted."""
        self._trouble.add()
        if sent_at is not None:
            now = self._clock()
            self._rate_limit.granted(now, now - sent_at)

    def _cut(self, why: str) -> bool:
        """Reduce the load during much trouble, and return whether it is less now."""
        before, now = self.limit, self._clock()
        if self._trouble.is_much:
            self._load.overloaded(now)
        if self.limit >= before:
            return False
        self._slowed_by[why] += 1
        if now >= self._cut_logged_at + _LOG_EVERY_S:
            self._cut_logged_at = now
            log.info("%s: at most %d requests are in flight for now", why, self.limit)
        return True

    def hold(self, later: RetryLater, most_s: float = inf) -> None:
        """Start no request before a requested wait is over, if it counts for all of them.

        A 429 holds all. A 503 holds its own request, unless many recent responses were like it.
        Without one, or with 0 (gateways round down), a growing one of at most ``most_s`` holds.
        """
        now, wait_s = self._clock(), later.wait_s
        if later.reason is Reason.HTTP_429:
            sent_at = now if later.sent_at is None else later.sent_at
            self._rate_limit.refused(now, sent_at)
            self._in_flight_limit.refused(now, sent_at)
            wait_s = wait_s or None
        elif not self._trouble.is_much:
            return
        if wait_s is None:
            if self._is_held:
                return  # a response to a request from before the wait
            wait_s = min(self._hold_s, most_s)
            self._hold_s = min(_LONGEST_HOLD_S, 2 * self._hold_s)
        if self._hold_for(wait_s, str(later.reason)) and now >= self._hold_logged_at + _LOG_EVERY_S:
            self._hold_logged_at = now
            goes_on = datetime.now().astimezone() + timedelta(seconds=wait_s)
            log.info(
                "%s: the run continues at %s", later.detail, goes_on.isoformat(timespec="seconds")
            )

    def _hold_for(self, seconds: float, why: str) -> bool:
        """Hold every request, and return whether the wait is longer now."""
        now = self._clock()
        until = now + seconds
        if until <= self._held_until:
            return False
        self._held_s[why] = self._held_s.get(why, 0.0) + until - max(now, self._held_until)
        self._held_why = why
        self._held_until, self._is_held = until, True
        return True

    def _wait_s(self, now: float) -> float:
        """Return the wait of the next request; infinity until another one is over."""
        if self._is_held:
            if now < self._held_until:
                return self._held_until - now
            self._resume(now)
        if self._in_flight >= self.limit:
            return float("inf")
        return self._next_slot - now

    def _resume(self, now: float) -> None:
        self._is_held = False
        may_be_rate = self._rate_limit.was_refused
        if self._in_flight_limit.judge(now, self._in_flight, may_be_rate=may_be_rate):
            self._load.bound(self._in_flight_limit.most)
            self._rate_limit.forgive(now)
        else:
            self._rate_limit.resumed(now)
        self._load.interrupted(now)

    def _start(self, now: float) -> None:
        self._in_flight += 1
        if (rate := self.rate) is not None:
            self._next_slot = max(self._next_slot, now - _burst_s(rate)) + _HEADROOM / rate

    def _start_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiting:
            now = self._clock()
            wait_s = self._wait_s(now)
            if wait_s > 0:
                if wait_s < float("inf"):
                    delay_s = max(_TICK_S, wait_s)
                    self._timer = self._loop.call_later(delay_s, self._start_waiting)
                return
            waiter = self._waiting.popleft()
            if not waiter.done():
                self._start(now)
                waiter.set_result(None)

    def _end_waits(self) -> None:
        while self._waiting:
            waiter = self._waiting.popleft()
            if not waiter.done() and self._stop.cause is not None:
                waiter.set_exception(self._stop.cause)


def _burst_s(rate: float) -> float:
    return _BURST_S * min(1.0, rate / _FULL_BURST)
