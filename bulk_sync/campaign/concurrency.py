"""The best number of requests in flight, learnt from how long responses take.

It grows while responses take no longer for it. Once they do, two neighbouring loads are compared
by the responses per second, and the better one stays: beyond the knee of a server more requests
wait, but no more are answered. Many failures in a short time cut the number, and it grows again one
by one (additive increase, multiplicative decrease).

Pure: the time is an argument, in seconds of any one clock. ``python tests/bench limits`` measures
the constants against a server slow under load, ``pytest tests/campaign/test_pacing.py`` in
virtual time against five such servers.
"""

from dataclasses import dataclass
from math import ceil
from typing import Final

from bulk_sync.settings import Pace

FIRST_IN_FLIGHT: Final = 16

_GROWTH: Final = 1.1
"""Growth in each round at first. A larger one passes a rate limit by more."""

_DECREASE: Final = 0.7
_CALM_S: Final = 1.0
"""One decrease stands for all failures of so many seconds: of the requests then in flight."""

_MANY: Final = 1 / 4
_RECENT: Final = 32
"""Overload is more than this share of failures among about so many recent responses; ten in a row
are enough. Among two million random responses, 5 % failures never pass it and 8 % do 29 times
(``pytest tests/campaign/test_pacing.py -k fail``)."""

_KNEE: Final = 1.5
"""Requests wait at the server if a round takes so many times as long as the quickest one."""

_STEP: Final = 1.25
"""The ratio of two loads that are compared."""

_GAIN: Final = 1.03
"""A heavier load must get so much more done to be better; a lighter one may get so much less."""

_EPOCH_ROUNDS: Final = 4
"""Rounds for which a load is watched."""

_REST_S: Final = 5.0
_LONGEST_REST_S: Final = 60.0
"""A load better than its neighbours rests for so long; doubles up to the longer."""

_MOST_FOR_A_RATE: Final = 2048
_SLOW_S: Final = 1.5
"""A given rate is reached although responses take so long, with so many in flight at most."""


def most_in_flight(pace: Pace) -> int:
    """Return the most requests ever in flight; a rate may need more."""
    if pace.concurrency is not None:
        return pace.concurrency
    if pace.rate is None:
        return pace.most_in_flight
    return max(pace.most_in_flight, min(_MOST_FOR_A_RATE, ceil(pace.rate * _SLOW_S)))


class Trouble:
    """The share of overload among recent responses."""

    def __init__(self) -> None:
        self.share = 0.0

    def add(self) -> None:
        """Count a 503, or a request without a response."""
        self.share += (1 - self.share) / _RECENT

    def fade(self) -> None:
        """Count a good response."""
        self.share -= self.share / _RECENT

    @property
    def is_much(self) -> bool:
        """Whether it is more than chance."""
        return self.share > _MANY


@dataclass(slots=True)
class _Round:
    """Responses since a time, and their seconds in sum."""

    began: float
    responses: int = 0
    took_s: float = 0.0


class Load:
    """The number of requests in flight, ``limit``, between one and ``most``."""

    def __init__(self, now: float, *, first: int, most: int) -> None:
        self.limit = float(first)
        self._most = self._given_most = float(most)
        self._round = _Round(now)
        self._quickest_s = float("inf")
        self._is_ramping = True
        self._climb: _Climb | None = None
        self._calm_until = 0.0
        self._before_cut = 0.0

    def responded(self, now: float, took_s: float) -> None:
        """Record a good response."""
        done = self._round
        done.responses += 1
        done.took_s += took_s
        if done.responses >= self.limit:
            self._round = _Round(now)
            if now >= self._calm_until:
                self._judge(done, now)

    def overloaded(self, now: float) -> None:
        """Cut the limit, at most once a second."""
        self._is_ramping, self._climb = False, None
        if now >= self._calm_until:
            self._calm_until = now + _CALM_S
            self._before_cut = max(self._before_cut, self.limit)
            self.limit = max(1.0, self.limit * _DECREASE)

    @property
    def is_cut(self) -> bool:
        """Whether overload has cut the limit, and it has not grown again since."""
        return self.limit < self._before_cut

    def bound(self, most: float) -> None:
        """Set the limit, and never exceed it."""
        self.limit = self._most = min(self._given_most, most)
        self._before_cut = 0.0

    def interrupted(self, now: float) -> None:
        """Start a new comparison after a pause."""
        self._is_ramping, self._climb = False, None
        self._round = _Round(now)

    def _judge(self, done: _Round, now: float) -> None:
        """Set the limit after a round: as many responses as requests may be in flight."""
        took_s = done.took_s / done.responses
        self._quickest_s = min(self._quickest_s, took_s)
        if self._climb is None and took_s > _KNEE * self._quickest_s:
            self._climb = _Climb()
        if self._climb is not None:
            limit = self._climb.next(self.limit, done.responses, now)
        else:
            limit = max(self.limit + 1, self.limit * _GROWTH if self._is_ramping else 0.0)
        self.limit = min(self._most, limit)


class _Climb:
    """Compares loads by responses per second: first the heavier neighbour, then the lighter."""

    def __init__(self) -> None:
        self._epoch: _Round | None = None
        self._rounds = 0
        self._home = 0.0
        self._best = 0.0
        self._direction = 0
        self._has_turned = False
        self._rest_s = _REST_S
        self._rest_until = 0.0

    def next(self, limit: float, responses: int, now: float) -> float:
        """Record a round, and return the limit of the next one."""
        if now < self._rest_until:
            return limit
        if self._epoch is None:  # the first round still has responses to the load before
            self._epoch, self._rounds = _Round(now), 0
            return limit
        self._epoch.responses += responses
        self._rounds += 1
        if self._rounds < _EPOCH_ROUNDS:
            return limit
        watched_s = max(now - self._epoch.began, 1e-6)
        rate, self._epoch = self._epoch.responses / watched_s, None
        return self._judge(limit, rate, now)

    def _judge(self, limit: float, rate: float, now: float) -> float:
        if not self._direction:
            self._home, self._best = limit, rate
            self._direction, self._has_turned = 1, False
        elif rate > self._best * _GAIN**self._direction:
            self._home, self._best = limit, max(rate, self._best)
            self._has_turned = True  # the way back was worse
        elif self._has_turned:
            self._direction = 0
            self._rest_until = now + self._rest_s
            self._rest_s = min(_LONGEST_REST_S, 2 * self._rest_s)
            return self._home
        else:
            self._direction, self._has_turned = -self._direction, True
        if self._direction > 0:
            return max(self._home + 1, self._home * _STEP)
        return max(1.0, min(self._home - 1, self._home / _STEP))
