"""How many requests a second Campaign allows: learnt from what it refuses.

Campaign tells no rate. None is kept to until a 429 shows that there is one: then what was granted
while more was refused gives its height, and the run stays just below. After a while a little more
is tried; each time that is in vain, the next attempt waits twice as long.

    sent:  + + + + + + + + + - + + + - + + + + - + + + - + +      + granted, - refused
                             |<---- the rate ---->|

A server that had little to do has saved up some requests that it grants beyond its rate, and none
is left when it refuses one. So what it had granted by each refusal, in the order in which they were
sent, grows with its rate and nothing else.

Pure: the time is an argument, in seconds of any one clock.
"""

import logging
import math
from bisect import bisect
from collections import deque
from dataclasses import dataclass, field
from statistics import correlation, linear_regression
from typing import Final

log = logging.getLogger(__name__)

_FIRST_BELOW: Final = 0.87
"""How far the run stays below what Campaign granted when it first refused more, if that is known
only roughly, as from one refusal; a second one costs more than that."""

_BELOW: Final = 0.97
"""How far below a rate that is known better."""

_SOON_S: Final = 3.0
"""A refusal so soon after the last wait shows that the rate was not found yet."""

_SOON_BELOW: Final = 0.8
_LEAST: Final = 0.5
"""How far a rate falls then, if nothing else is known, and at most."""

_SLOWEST: Final = 0.1
"""Requests a second, at least."""

_TELLING: Final = 10
"""So many requests that were granted beside one that was not show a rate."""

_FITS: Final = 0.9
"""How well, as a coefficient of determination, a line must fit what was granted by each refusal to
be believed: whose limit is by the clock grants nothing for a while, and no line does."""

_AT_THE_EDGES: Final = 0.5
"""How many requests fewer than were counted up to the last one are taken to have been granted,
since what was left of one by then is not known. The headroom of the pacer does the rest."""

_WATCHED: Final = 1 / 3
"""The least share of how long an answer takes for which that is to be watched: in less, requests
that overtake each other on their way count for too much. A gateway that refuses at once shows
less, since nothing is sent after the first 429."""

_REMEMBERED: Final = 4096
"""Requests of which it is known when they were sent: more than are ever in flight."""

_WINDOW_S: Final = 1.0
"""Limits are counted by the second, if they are by the clock."""

_MEMORY_S: Final = 30.0
"""How far back it counts what Campaign granted, waits included: it bears that much for sure."""

_IN_VAIN: Final = 4.0
_FALLEN: Final = 0.6
_IGNORED_S: Final = 60.0
"""Who goes so many times slower, is refused after as few requests as before, and so gets less done
in all, is not refused for the rate (what a rate grants stays the same however fast one asks): for a
while then refusals are waited for, and nothing is learnt from them."""

_PROBE_S: Final = 20.0
_LONGEST_PROBE_S: Final = 300.0
"""After how long without a refusal a higher rate is tried; doubles, up to the longest, while that
is in vain."""

_EARLY_S: Final = 0.5
_EARLY_PROBE_S: Final = 5.0
"""Who is refused within so short a time has seen little of what is granted to requests that come
evenly, and so tries more that soon."""

_RAISE: Final = 0.01
_LARGEST_RAISE: Final = 0.1
_CAREFUL_S: Final = 5.0
"""By what share a rate is raised each second; after a few that went well, by twice as much each."""

_LATEST: Final = 0.1
"""The share of the latest answer in how long answers take."""


@dataclass(slots=True)
class _Refusal:
    """A 429, and how the requests that were in flight with it went.

    Attributes:
        began: when it came.
        granted: how many of the others were answered all the same.
        refused: how many were not, this one included.
        sent: when those of them were sent that were sent since the last wait.
    """

    began: float
    granted: int = 0
    refused: int = 0
    sent: list[float] = field(default_factory=list)

    @property
    def is_telling(self) -> bool:
        """Whether enough is known of the others to see what rate was granted."""
        return self.refused > 1 and self.granted >= _TELLING


class Allowance:
    """What may be asked in a second.

    Args:
        now: the time.

    Attributes:
        rate: requests a second to keep to; None while none was refused for its sake.
    """

    def __init__(self, now: float) -> None:
        self.rate: float | None = None
        self._took_s = 0.0
        self._refusal: _Refusal | None = None
        self._resumed_at = now
        self._granted = 0  # since then
        self._window_began = now
        self._in_window = 0
        self._in_last_window = 0
        self._granted_sent: deque[float] = deque(maxlen=_REMEMBERED)
        self._borne = 0.0
        self._first_found = 0.0
        self._stretches = 0
        self._stretches_s = 0.0
        self._granted_in_all = 0
        self._ignored_until = now
        self._steady = 0.0
        self._probe_s = _PROBE_S
        self._raise_at = math.inf
        self._raises = 0

    @property
    def was_refused(self) -> bool:
        """Return whether there was a 429 since the last wait."""
        return self._refusal is not None

    def answered(self, now: float, took_s: float) -> None:
        """Note a good answer: when it came, and how long it took."""
        self._granted += 1
        self._granted_sent.append(now - took_s)
        if self._refusal is None or not self._took_s:  # the last ones in flight are the slowest
            self._took_s += (took_s - self._took_s) * (_LATEST if self._took_s else 1.0)
        if self._refusal is not None:
            self._refusal.granted += 1
            return
        if now >= self._window_began + _WINDOW_S:
            self._in_last_window, self._in_window, self._window_began = self._in_window, 0, now
        self._in_window += 1
        if now >= self._raise_at:
            self._try_more(now)

    def refused(self, now: float, sent_at: float) -> None:
        """Note a 429, and when its request was sent; those until ``resumed`` belong together."""
        if self._refusal is None:
            self._refusal = _Refusal(now)
        self._refusal.refused += 1
        if sent_at >= self._resumed_at:
            self._refusal.sent.append(sent_at)

    def resumed(self, now: float) -> None:
        """Note that requests are sent again after a wait, and use what a 429 has shown."""
        refusal, self._refusal = self._refusal, None
        if refusal is not None and now >= self._ignored_until:
            self._learn(refusal, now)
        self._resumed_at, self._granted = now, 0

    def forgive(self, now: float) -> None:
        """Forget the refusals since the last wait: they were not for the rate."""
        self._refusal, self._resumed_at, self._granted = None, now, 0

    def _learn(self, refusal: _Refusal, now: float) -> None:
        """Find the rate to go on with."""
        since_s = max(now - self._resumed_at, 1e-3)
        kept = math.exp(-since_s / _MEMORY_S)
        self._borne = kept * self._borne + (1 - kept) * self._granted / since_s
        found = self._found(refusal, now)
        if self.rate is None:
            self._first_found, self._stretches, self._granted_in_all = found, 0, 0
            self._stretches_s = 0.0
        self._stretches += 1
        self._stretches_s += since_s
        self._granted_in_all += self._granted
        if self._is_in_vain(found, since_s):
            log.info("Campaign refuses requests however few they are; it is not for the rate")
            self.rate, self._raise_at = None, math.inf
            self._ignored_until = now + _IGNORED_S
            return
        if self._raises:  # in vain
            self._probe_s = min(_LONGEST_PROBE_S, 2 * self._probe_s)
        else:
            is_early = (
                self.rate is None
                and refusal.began - self._resumed_at < _EARLY_S
                and self._granted_since(refusal) is None
            )
            self._probe_s = _EARLY_PROBE_S if is_early else _PROBE_S
        self.rate = self._steady = max(found, self._borne, _SLOWEST)
        self._raise_at, self._raises = now + self._probe_s, 0
        log.info("Campaign refused more; going on with %.1f requests a second", self.rate)

    def _found(self, refusal: _Refusal, now: float) -> float:
        """Tell the rate that a refusal shows, in requests a second."""
        beside, since = self._granted_beside(refusal, now), self._granted_since(refusal)
        if self.rate is None and since is not None:
            return since
        if self.rate is None:
            return _FIRST_BELOW * max(beside, self._in_window, self._in_last_window)
        worked_s = refusal.began - self._resumed_at
        if since is not None:
            found = since / _BELOW
        elif refusal.is_telling:
            found = beside
        elif self._raises or worked_s >= _SOON_S:
            found = self._steady  # which went well for long
        elif worked_s >= 0.9 * _WINDOW_S:
            found = self._granted / worked_s
        else:
            found = _SOON_BELOW * self.rate
        return max(_LEAST * self.rate, _BELOW * min(self.rate, found))

    def _granted_since(self, refusal: _Refusal) -> float | None:
        """Tell the rate that was granted after the first request that was refused, if that shows.

        By the line through what had been granted by each refusal, where they go on for long enough:
        of what was saved up nothing was left at any of them. Otherwise up to the last that was
        sent: the rate is that at least, since something may have been left by then.
        """
        refused = sorted(refusal.sent)
        if not refused:
            return None
        began, least_s = refused[0], _WATCHED * self._took_s
        granted = sorted(sent_at for sent_at in self._granted_sent if sent_at > began)
        if len(granted) < _TELLING:
            return None
        before = [bisect(granted, sent_at) for sent_at in refused]
        if before[-1] >= _TELLING and refused[-1] - began >= least_s:
            return _slope(refused, before)
        if granted[-1] - began >= least_s:
            return (len(granted) - _AT_THE_EDGES) / (granted[-1] - began)
        return None

    def _granted_beside(self, refusal: _Refusal, now: float) -> float:
        """Tell the rate that was granted to the requests in flight beside one that was refused."""
        watched_s = min(self._took_s or 1e-3, now - refusal.began)
        return max(1, refusal.granted) / max(1e-3, watched_s)

    def _is_in_vain(self, rate: float, since_s: float) -> bool:
        """Tell whether going slower does not help: refusals come after as few requests as ever."""
        return (
            rate < self._first_found / _IN_VAIN
            and self._granted < 2 * self._granted_in_all / self._stretches
            and self._granted / since_s < _FALLEN * self._granted_in_all / self._stretches_s
        )

    def _try_more(self, now: float) -> None:
        """Raise the rate a little, until it is refused again; forget it if nothing comes of it."""
        if self.rate is None:
            return
        reached = self._granted / max(now - self._resumed_at, 1e-3)
        if self.rate > 2 * reached and self._raises > _CAREFUL_S:
            self.rate, self._raise_at = None, math.inf
            log.info("Campaign bears more than the run asks for")
            return
        self._steady = self.rate
        self.rate *= 1 + min(_LARGEST_RAISE, _RAISE * 2 ** max(0.0, self._raises - _CAREFUL_S))
        self._raises += 1
        self._raise_at = now + 1.0


def _slope(sent: list[float], granted: list[int]) -> float | None:
    """Tell how much is granted in a second, if that was the same all the time."""
    if correlation(sent, granted) ** 2 < _FITS:
        return None
    return linear_regression(sent, granted).slope
