"""Campaign's limit on requests a second, learnt from what it refuses.

Campaign publishes no rate. The run keeps to none until the first 429. The height of the limit is
what was granted while more was refused, and the run stays just below. After a while it tries a
little more; after each failure the next attempt waits twice as long.

    sent:  + + + + + + + + + - + + + - + + + + - + + + - + +      + granted, - refused
                             |<---- the rate ---->|

An idle server saves up requests and grants them beyond its rate, but none are left when it refuses.
So the number granted by each refusal, in the order of sending, grows with its rate and nothing
else.

Pure: the time is an argument, in seconds of any one clock. ``python tests/bench limits`` measures
the constants against real servers of 50, 200 and 1,000 requests a second, and ``pytest
tests/campaign/test_pacing.py tests/campaign/test_rate_limit.py`` in virtual time: against bursts,
limits by the clock, jitter and quick gateways. The notes below name the tests (``-k``) of the first
file that fail without a constant.
"""

import logging
import math
from bisect import bisect
from collections import deque
from dataclasses import dataclass, field
from statistics import correlation, linear_regression
from typing import Final

from bulk_sync.campaign.in_flight_limit import LONGEST_PROBE_S, PROBE_S

log = logging.getLogger(__name__)

_FIRST_BELOW: Final = 0.87
_BELOW: Final = 0.97
"""How far the run stays below a limit that one refusal shows roughly, or several show well
(``-k found_and_used``)."""

_SOON_S: Final = 3.0
_SOON_BELOW: Final = 0.8
"""The limit is not found yet if a refusal follows the last wait so soon; then the rate falls so far
(``-k found_and_used``)."""

_SLOWEST: Final = 0.1
"""The least requests a second."""

_ENOUGH: Final = 10
"""So many granted requests beside a refused one show a limit (``-k found_and_used``)."""

_FITS: Final = 0.9
"""The least coefficient of determination of a line through what was granted by each refusal. A
server with a limit by the clock grants nothing for a while, and no line fits (``-k by_the_clock``).
"""

_EDGE: Final = 0.5
"""Requests to subtract from those granted up to the last one, since the rest of one is not known
(``-k found_and_used``: with 1 a limit of 200/s is used by 89 %, not 91 %)."""

_REMEMBERED: Final = 4096
"""Requests with a known time of sending: more than are ever in flight."""

_WINDOW_S: Final = 1.0
"""Limits by the clock count by the second."""

_MEMORY_S: Final = 30.0
"""How far back granted requests count for the least rate (``-k falls_and_rises``: without, 0.68 of
the limit are used after it rose)."""

_IN_VAIN: Final = 4.0
_IGNORED_S: Final = 60.0
"""A run that goes so many times slower and is refused after as few requests as before is not
refused for its rate. For so long then refusals teach nothing (``-k nothing_to_do_with``)."""

_RAISE: Final = 0.01
_LARGEST_RAISE: Final = 0.1
"""The rate grows by the first share, and by twice as much each second, up to the second share."""


@dataclass(slots=True)
class _Refusal:
    """The 429s since ``began``, their times since the last wait, and what was granted meanwhile."""

    began: float
    granted: int = 0
    refused: int = 0
    sent: list[float] = field(default_factory=list)


class RateLimit:
    """The most requests a second, ``rate``; None while no request was refused for it."""

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
        self._least = 0.0
        self._first_found = 0.0
        self._stretches = 0
        self._granted_in_all = 0
        self._ignored_until = now
        self._steady = 0.0
        self._probe_s = PROBE_S
        self._raise_at = math.inf
        self._raises = 0

    @property
    def was_refused(self) -> bool:
        """Whether there was a 429 since the last wait."""
        return self._refusal is not None

    def granted(self, now: float, took_s: float) -> None:
        """Record a response other than 429."""
        self._granted += 1
        self._granted_sent.append(now - took_s)
        refusal = self._refusal
        if refusal is None or not self._took_s:  # the last ones in flight are the slowest
            self._took_s = took_s
        if refusal is not None:
            refusal.granted += 1
            return
        if now >= self._window_began + _WINDOW_S:
            self._in_last_window, self._in_window, self._window_began = self._in_window, 0, now
        self._in_window += 1
        if now >= self._raise_at:
            self._try_more(now)

    def refused(self, now: float, sent_at: float) -> None:
        """Record a 429; all until ``resumed`` belong together."""
        if self._refusal is None:
            self._refusal = _Refusal(now)
        self._refusal.refused += 1
        if sent_at >= self._resumed_at:
            self._refusal.sent.append(sent_at)

    def resumed(self, now: float) -> None:
        """Learn from the 429s before the last wait."""
        refusal, self._refusal = self._refusal, None
        if refusal is not None and now >= self._ignored_until:
            self._learn(refusal, now)
        self._resumed_at, self._granted = now, 0

    def forgive(self, now: float) -> None:
        """Forget the 429s since the last wait: they were not for the rate."""
        self._refusal, self._resumed_at, self._granted = None, now, 0

    def _learn(self, refusal: _Refusal, now: float) -> None:
        since_s = max(now - self._resumed_at, 1e-3)
        kept = math.exp(-since_s / _MEMORY_S)
        self._least = kept * self._least + (1 - kept) * self._granted / since_s
        found = self._found(refusal, now)
        if self.rate is None:
            self._first_found, self._stretches, self._granted_in_all = found, 0, 0
        self._stretches += 1
        self._granted_in_all += self._granted
        is_no_rarer = self._granted < 2 * self._granted_in_all / self._stretches
        if found < self._first_found / _IN_VAIN and is_no_rarer:
            log.info("Campaign refuses requests at any rate, so the rate is not the cause")
            self.rate, self._raise_at = None, math.inf
            self._ignored_until = now + _IGNORED_S
            return
        in_vain = self._raises > 0
        self._probe_s = min(LONGEST_PROBE_S, 2 * self._probe_s) if in_vain else PROBE_S
        self.rate = self._steady = max(found, self._least, _SLOWEST)
        self._raise_at, self._raises = now + self._probe_s, 0
        log.info("Campaign refused more; continuing with %.1f requests a second", self.rate)

    def _found(self, refusal: _Refusal, now: float) -> float:
        watched_s = min(self._took_s or 1e-3, now - refusal.began)
        beside = max(1, refusal.granted) / max(1e-3, watched_s)
        since = self._granted_since(refusal)
        if self.rate is None:
            rough = _FIRST_BELOW * max(beside, self._in_window, self._in_last_window)
            return rough if since is None else since
        worked_s = refusal.began - self._resumed_at
        if since is not None:
            found = since / _BELOW
        elif refusal.refused > 1 and refusal.granted >= _ENOUGH:
            found = beside
        elif self._raises or worked_s >= _SOON_S:
            found = self._steady  # which went well for long
        elif worked_s >= 0.9 * _WINDOW_S:
            found = self._granted / worked_s
        else:
            found = _SOON_BELOW * self.rate
        return _BELOW * min(self.rate, found)

    def _granted_since(self, refusal: _Refusal) -> float | None:
        """Return the rate granted after the first refusal, if it shows.

        It is the slope of what was granted by each refusal, where refusals go on for long enough:
        nothing saved up was left. Otherwise it is at least the average up to the last granted
        request.
        """
        refused = sorted(refusal.sent)
        if not refused:
            return None
        began, least_s = refused[0], self._took_s / 3  # in less, overtaking counts for too much
        granted = sorted(sent_at for sent_at in self._granted_sent if sent_at > began)
        if len(granted) < _ENOUGH:
            return None
        before = [bisect(granted, sent_at) for sent_at in refused]
        if before[-1] >= _ENOUGH and refused[-1] - began >= least_s:
            is_line = correlation(refused, before) ** 2 >= _FITS
            return linear_regression(refused, before).slope if is_line else None
        if granted[-1] - began >= least_s:
            return (len(granted) - _EDGE) / (granted[-1] - began)
        return None

    def _try_more(self, now: float) -> None:
        """Raise the rate a little; forget it if the run does not reach it."""
        if self.rate is None:
            return
        reached = self._granted / max(now - self._resumed_at, 1e-3)
        if self.rate > 2 * reached and self._raises:
            self.rate, self._raise_at = None, math.inf
            log.info("Campaign allows more than the run sends")
            return
        self._steady = self.rate
        self.rate *= 1 + min(_LARGEST_RAISE, _RAISE * 2**self._raises)
        self._raises += 1
        self._raise_at = now + 1.0
