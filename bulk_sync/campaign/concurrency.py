"""How many requests in flight Campaign answers best: learnt from how long its answers take.

The limit grows while answers take no longer for it. Once they do, two neighbouring loads are
compared by what they get done, and the better one stays: beyond the knee of a server more requests
wait, but no more are answered. Many failures in a short time cut the limit, which then grows one by
one (additive increase, multiplicative decrease).

Pure: the time is an argument, in seconds of any one clock.
"""

from dataclasses import dataclass
from typing import Final

FIRST_IN_FLIGHT: Final = 16

_GROWTH: Final = 1.1
"""By what the limit grows each round at first: a rate that is passed is passed by no more."""

_DECREASE: Final = 0.7
_CALM_S: Final = 1.0
"""Seconds in which one decrease stands for all answers of the requests then in flight."""

_MANY: Final = 1 / 4
_RECENT: Final = 32
"""Overload is more than this share of about so many recent answers that were 503, or lost on the
way; ten in a row are enough. Measured on two million random answers: if 5 % fail it is never
passed, if 8 % do, 29 times. ``pytest tests/campaign/test_pacing.py -k fail`` repeats what
follows from it."""

_KNEE: Final = 1.5
"""Answers that take so many times as long as the quickest round show that requests wait."""

_STEP: Final = 1.25
"""By what two loads differ that are compared."""

_GAIN: Final = 1.03
"""So much more must get done for a heavier load to be worth it."""

_LOSS: Final = 0.98
"""So little less may get done for a lighter load to be as good."""

_EPOCH_S: Final = 0.25
_EPOCH_ROUNDS: Final = 4
"""How long a load is watched, at least."""

_REST_S: Final = 5.0
_LONGEST_REST_S: Final = 60.0
"""How long a load that is better than its neighbours stays untouched; doubles up to the longer."""


class Trouble:
    """The share of recent answers that speak of overload, if they are many."""

    def __init__(self) -> None:
        self._share = 0.0

    def met(self) -> None:
        """Count a 503, or a request that was lost."""
        self._share += (1 - self._share) / _RECENT

    def absent(self) -> None:
        """Count a good answer."""
        self._share -= self._share / _RECENT

    @property
    def is_much(self) -> bool:
        """Return whether it is more than chance."""
        return self._share > _MANY


class Load:
    """What may be asked at once.

    Args:
        now: the time.
        first: requests in flight to begin with.
        most: requests in flight, at most.

    Attributes:
        limit: requests that may be in flight.
    """

    def __init__(self, now: float, *, first: int, most: int) -> None:
        self.limit = float(first)
        self._most = self._given_most = float(most)
        self._round = _Round(now)
        self._quickest_s = float("inf")
        self._is_ramping = True
        self._climb: _Climb | None = None
        self._calm_until = 0.0
        self._before_cut = 0.0

    def answered(self, now: float, took_s: float) -> None:
        """Record a good answer: when it came, and how long it took."""
        done = self._round
        done.answers += 1
        done.took_s += took_s
        if done.answers >= self.limit:
            self._round = _Round(now)
            if now >= self._calm_until:
                self._judge(done, now)

    def overloaded(self, now: float) -> None:
        """Ask for less, at most once a second."""
        self._is_ramping, self._climb = False, None
        if now >= self._calm_until:
            self._calm_until = now + _CALM_S
            self._before_cut = max(self._before_cut, self.limit)
            self.limit = max(1.0, self.limit * _DECREASE)

    @property
    def is_cut(self) -> bool:
        """Return whether overload has cut the limit, and it has not grown again since."""
        return self.limit < self._before_cut

    def bound(self, most: float) -> None:
        """Go to so many requests in flight, and never beyond."""
        self.limit = self._most = min(self._given_most, most)
        self._before_cut = 0.0

    def interrupted(self, now: float) -> None:
        """Begin a new comparison after a time in which nothing was sent."""
        self._is_ramping, self._climb = False, None
        self._round = _Round(now)

    def _judge(self, done: "_Round", now: float) -> None:
        """Set the limit by a round of answers: as many as may be in flight at once."""
        took_s = done.took_s / done.answers
        self._quickest_s = min(self._quickest_s, took_s)
        if self._climb is None and took_s > _KNEE * self._quickest_s:
            self._is_ramping, self._climb = False, _Climb()
        if self._climb is not None:
            limit = self._climb.next(self.limit, done.answers, now)
        else:
            limit = max(self.limit + 1, self.limit * _GROWTH if self._is_ramping else 0.0)
        self.limit = min(self._most, limit)


@dataclass(slots=True)
class _Round:
    """Answers since a time, and how long they took together."""

    began: float
    answers: int = 0
    took_s: float = 0.0


class _Climb:
    """Compares loads by what they get done: first the heavier neighbour, then the lighter."""

    def __init__(self) -> None:
        self._epoch: _Round | None = None
        self._rounds = 0
        self._home = 0.0
        self._most_done = 0.0
        self._direction = 0
        self._failed = 0
        self._rest_s = _REST_S
        self._rest_until = 0.0

    def next(self, limit: float, answers: int, now: float) -> float:
        """Record a round of answers, and return the limit of the next one."""
        if now < self._rest_until:
            return limit
        if self._epoch is None:  # the first round still holds answers to the load before
            self._epoch, self._rounds = _Round(now), 0
            return limit
        self._epoch.answers += answers
        self._rounds += 1
        watched_s = now - self._epoch.began
        if watched_s < _EPOCH_S or self._rounds < _EPOCH_ROUNDS:
            return limit
        done, self._epoch = self._epoch.answers / watched_s, None
        return self._judged(limit, done, now)

    def _judged(self, limit: float, done: float, now: float) -> float:
        """Decide by what a load got done in a second."""
        if not self._direction:
            self._home, self._most_done = limit, done
            self._direction, self._failed = 1, 0
        elif done > self._most_done * (_GAIN if self._direction > 0 else _LOSS):
            self._home, self._most_done = limit, max(done, self._most_done)
            self._failed = 1  # the way back was worse
        elif self._failed:
            self._direction = 0
            self._rest_until = now + self._rest_s
            self._rest_s = min(_LONGEST_REST_S, 2 * self._rest_s)
            return self._home
        else:
            self._direction, self._failed = -self._direction, 1
        if self._direction > 0:
            return max(self._home + 1, self._home * _STEP)
        return max(1.0, min(self._home - 1, self._home / _STEP))
