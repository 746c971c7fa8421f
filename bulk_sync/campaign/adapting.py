"""How much Campaign bears: learnt from its answers alone. Pure: the time is an argument.

Campaign tells no limits, so two are found by trying, and both are left again when they change:

    rate    none, until a 429 shows that there is one. What was let through while it was met gives
            its height, and the run stays just below. After a while a little more is tried; each
            time that is in vain, the next attempt waits twice as long.
    limit   of requests in flight. Grows while answers take no longer for it. Once they do, two
            neighbouring loads are compared by what they get done, and the better one stays: beyond
            the knee of a server more requests wait, but no more are answered.

A 503 or no answer at all cuts the limit, which then grows one by one (additive increase,
multiplicative decrease).
"""

import logging
import math
from collections import deque
from dataclasses import dataclass
from typing import Final

log = logging.getLogger(__name__)

MOST_IN_FLIGHT: Final = 64
FIRST_IN_FLIGHT: Final = 16

_GROWTH: Final = 1.1
"""By what the limit grows each round at first: a rate that is passed is passed by no more."""

_DECREASE: Final = 0.7
_CALM_S: Final = 1.0
"""Seconds in which one decrease stands for all answers of the requests then in flight."""

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

_FIRST_BELOW: Final = 0.87
"""How far the run stays below what Campaign granted when it first refused more, which is known
only roughly; a second refusal costs more than that."""

_BELOW: Final = 0.97
"""How far below a rate that is known better."""

_SLOWEST: Final = 0.1
"""Requests a second, at least."""

_SOON_S: Final = 3.0
"""A refusal so soon after the last wait shows that the rate was not found yet."""

_SOON_BELOW: Final = 0.8
_LEAST: Final = 0.5
"""How far a rate falls then, if nothing else is known, and at most."""

_IN_VAIN: Final = 4.0
_MOOD_S: Final = 60.0
"""Who goes so many times slower and is refused as often as before is not refused for the rate;
for a while then no rate is looked for."""

_TELLING: Final = 10
"""So many requests that were granted beside one that was not show a rate."""

_RECENT_S: Final = 1.0
"""Limits are counted by the second, if they are by the clock."""

_MEMORY_S: Final = 30.0
"""How far back it counts what Campaign granted, waits included: it bears that much for sure."""

_PROBE_S: Final = 20.0
_LONGEST_PROBE_S: Final = 300.0
"""After how long without a refusal a higher rate is tried; doubles, up to the longest, while that
is in vain."""

_RAISE: Final = 0.01
_LARGEST_RAISE: Final = 0.1
_CAREFUL_S: Final = 5.0
"""By what share a rate is raised each second; after a few that went well, by twice as much each."""


@dataclass(slots=True)
class _Refusal:
    """A 429, and how the requests that were in flight with it went.

    Attributes:
        began: when it came.
        granted: how many of the others were answered all the same.
        refused: how many were not, this one included.
    """

    began: float
    granted: int = 0
    refused: int = 0

    @property
    def tells(self) -> bool:
        """Whether enough is known of the others to see what rate was granted."""
        return self.refused > 1 and self.granted >= _TELLING


@dataclass(slots=True)
class _Round:
    """Answers to about as many requests as are in flight at once."""

    began: float = 0.0
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
        """Note a round of answers, and tell the limit of the next one."""
        if now < self._rest_until:
            return limit
        if self._epoch is None:  # the first round still holds answers to the load before
            self._epoch, self._rounds = _Round(began=now), 0
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


class Load:
    """What may be asked at once, and in a second.

    Args:
        now: the time in seconds, by any clock that all calls go by.
        first: requests in flight to begin with.
        most: requests in flight, at most.
        adapts: the limit may change; the rate always may.

    Attributes:
        limit: requests that may be in flight.
        rate: requests a second that Campaign bears, as far as known; None if it never refused any.
    """

    def __init__(self, now: float, *, first: int, most: int, adapts: bool) -> None:
        self.limit = float(first)
        self.rate: float | None = None
        self._most = most
        self._adapts = adapts
        self._round = _Round(began=now)
        self._took_s = 0.0
        self._quickest_s = float("inf")
        self._is_ramping = True
        self._is_climbing = False
        self._climb = _Climb()
        self._calm_until = 0.0
        self._refusal: _Refusal | None = None
        self._resumed_at = now
        self._granted = 0
        self._borne = 0.0
        self._before = 0.0
        self._recent: deque[tuple[float, int]] = deque()
        self._last_probe_s = _PROBE_S
        self._first_found = 0.0
        self._refusals = 0
        self._granted_before = 0
        self._deaf_until = 0.0
        self._raise_at = 0.0
        self._raised_s = 0.0

    def answered(self, now: float, took_s: float) -> None:
        """Note a good answer: when it came, and how long it took."""
        self._granted += 1
        if self._refusal is not None:
            self._refusal.granted += 1
            self._took_s = self._took_s or took_s
            return
        done = self._round
        done.answers += 1
        done.took_s += took_s
        if done.answers >= self.limit:
            self._end_round(now)

    def unanswered(self, now: float) -> None:
        """Note that there was no answer, or none in time: ask for less."""
        self._is_ramping = False
        if self._adapts and now >= self._calm_until:
            self._calm_until = now + _CALM_S
            self.limit = max(1.0, self.limit * _DECREASE)
            self._climb = _Climb()

    def refused(self, now: float) -> None:
        """Note a 429; those that follow until ``resume`` belong to it."""
        if self._refusal is None:
            self._refusal = _Refusal(now)
        self._refusal.refused += 1

    def resume(self, now: float) -> None:
        """Note that requests are sent again after a wait, and use what a 429 has shown."""
        refusal, self._refusal = self._refusal, None
        if refusal is not None and now >= self._deaf_until:
            self._is_ramping = False
            self._settle(refusal, now)
        self._resumed_at, self._granted = now, 0
        self._round, self._climb = _Round(began=now), _Climb()

    def _settle(self, refusal: _Refusal, now: float) -> None:
        """Find the rate to go on with."""
        since_s = now - self._resumed_at
        kept = math.exp(-since_s / _MEMORY_S)
        self._borne = kept * self._borne + (1 - kept) * self._granted / max(since_s, 1e-3)
        was_raised, self._probe_s = self._raised_s > 0, self._last_probe_s
        if self.rate is None:
            found = _FIRST_BELOW * max(self._companions(refusal, now), self._in_last_second())
        elif was_raised or refusal.began - self._resumed_at >= _SOON_S:
            found = self._companions(refusal, now) if refusal.tells else self._before
            found = _BELOW * min(found, self.rate)
            self._probe_s = min(_LONGEST_PROBE_S, 2 * self._probe_s) if was_raised else _PROBE_S
        else:
            found = max(_LEAST * self.rate, _BELOW * min(self.rate, self._seen(refusal, now)))
        if self._is_in_vain(found):
            log.info("Campaign refuses requests however few they are; it is not for the rate")
            self.rate, self._deaf_until = None, now + _MOOD_S
            return
        self.rate = self._before = max(found, self._borne, _SLOWEST)
        self._last_probe_s = self._probe_s
        self._raise_at, self._raised_s = now + self._probe_s, 0.0
        log.info("Campaign refused more; going on with %.3g requests a second", self.rate)

    def _is_in_vain(self, rate: float) -> bool:
        """Tell whether going slower does not help: refusals come after as few requests as ever."""
        if self.rate is None:
            self._first_found, self._refusals, self._granted_before = rate, 0, 0
        self._refusals += 1
        self._granted_before += self._granted
        usual = self._granted_before / self._refusals
        return rate < self._first_found / _IN_VAIN and self._granted < 2 * usual

    def _seen(self, refusal: _Refusal, now: float) -> float:
        """Tell what rate Campaign granted although the run went on with more than it bears."""
        if refusal.tells:
            return self._companions(refusal, now)
        worked_s = refusal.began - self._resumed_at
        if worked_s >= _RECENT_S * 0.9:
            return self._granted / worked_s
        return _SOON_BELOW * (self.rate or 0.0)

    def _companions(self, refusal: _Refusal, now: float) -> float:
        """Tell the rate that was granted to the requests in flight beside one that was refused."""
        watched_s = min(self._took_s or 1e-3, now - refusal.began)
        return max(1, refusal.granted) / max(1e-3, watched_s)

    def _in_last_second(self) -> float:
        """Tell how many answers there were in the last second of work."""
        return float(sum(answers for _, answers in self._recent))

    def _end_round(self, now: float) -> None:
        """Judge the answers to about as many requests as are in flight at once."""
        done, self._round = self._round, _Round(began=now)
        self._took_s = done.took_s / done.answers
        self._recent.append((now, done.answers))
        while self._recent[0][0] < now - _RECENT_S:
            self._recent.popleft()
        self._quickest_s = min(self._quickest_s, self._took_s)
        if self.rate is not None:
            self._raise_rate(now)
        elif self._adapts:
            self._adapt_limit(now, done.answers)

    def _raise_rate(self, now: float) -> None:
        """Try a little more after a long time without a refusal, until there is one again."""
        if self.rate is None or now < self._raise_at:
            return
        reached = self._granted / max(now - self._resumed_at, 1e-3)
        if self.rate > 2 * reached and self._raised_s > _CAREFUL_S:
            self.rate = None
            log.info("Campaign bears more than the run asks for")
            return
        beyond = max(0.0, self._raised_s - _CAREFUL_S)
        self._before = self.rate
        self.rate *= 1 + min(_LARGEST_RAISE, _RAISE * 2**beyond)
        self._raised_s += 1.0
        self._raise_at = now + 1.0

    def _adapt_limit(self, now: float, answers: int) -> None:
        if now < self._calm_until:
            return
        if self._took_s > _KNEE * self._quickest_s:
            self._is_climbing, self._is_ramping = True, False
        if self._is_climbing:
            self.limit = min(float(self._most), self._climb.next(self.limit, answers, now))
        elif self.limit < self._most:
            larger = self.limit * _GROWTH if self._is_ramping else 0.0
            self.limit = min(float(self._most), max(self.limit + 1, larger))
