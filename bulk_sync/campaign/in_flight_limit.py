"""Campaign's limit on requests in flight, learnt from those beside a refused one.

It looks like a limit on the rate, but pacing cannot keep it: two slow responses are enough to pass
it. With a limit of N a request is refused while N others are in flight, and at most N were ever
granted at once. With a limit on the rate as many were granted at once before:

    limit of 4 in flight             limit on the rate
    in flight, granted   4 4 4 4     in flight, granted   6 6 6 5
    refused                    x     refused                    x

Pure: the time is an argument, in seconds of any one clock. ``pytest tests/campaign/test_pacing.py
-k in_flight`` measures the constants against 18 such servers in virtual time.
"""

import logging
from bisect import bisect_left, bisect_right
from collections import deque
from typing import Final

log = logging.getLogger(__name__)

_REMEMBERED: Final = 4096
"""Granted requests to compare with: more than are ever in flight."""

_REFUSALS: Final = 8
"""The latest refusals, to be compared."""

_ON_THE_WAY: Final = 0.25
"""The share of a response's time after which its request has reached Campaign."""

_SURE: Final = 0.75
"""Refusals below this share of the first limit are for the rate. Without it a limit of 50/s beside
5 % of failures passed for one of 1 in flight (``-k single_requests_fail``)."""

PROBE_S: Final = 20.0
LONGEST_PROBE_S: Final = 300.0
"""A limit is kept for so long before more is tried; doubles, up to the longest, while that is
refused."""

_RAISE_S: Final = 1.0
"""Seconds between further raises, each twice as large as the one before."""


class InFlightLimit:
    """The most requests in flight, infinite at first, and the time to try more, ``raise_at``."""

    def __init__(self, now: float) -> None:
        self.most = float("inf")
        self._granted: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._refused: deque[tuple[float, float]] = deque(maxlen=_REFUSALS)
        self._began = now
        self._probe_s = PROBE_S
        self.raise_at = float("inf")
        self._raise_by = 1.0
        self._least = 0.0

    def granted(self, now: float, took_s: float) -> None:
        """Record a good response."""
        self._granted.append((now - took_s, now))

    def refused(self, now: float, sent_at: float) -> None:
        """Record a refusal."""
        if sent_at >= self._began:
            self._refused.append((sent_at, now))

    def try_more(self, now: float) -> None:
        """Allow more, twice as much more each time, until a refusal."""
        self.most += self._raise_by
        self._raise_by *= 2
        self.raise_at = now + _RAISE_S

    def judge(self, now: float, in_flight: int, *, may_be_rate: bool) -> bool:
        """Return whether the recent refusals show a limit on requests in flight, and keep to it.

        If they may be for the rate, the limit must be new, and not far below the first one.
        """
        shown, before = self._shown(in_flight)
        self._began = now
        self._granted.clear()
        self._refused.clear()
        is_kept, was_raised = self.most < float("inf"), self._raise_by > 1
        if is_kept and not was_raised:
            shown = min(shown, self.most - 1)
        if shown < 1 or (may_be_rate and (before > shown or shown < self._least)):
            return False
        if not is_kept or was_raised:
            self._least = _SURE * shown
        if was_raised:  # in vain
            self._probe_s = min(LONGEST_PROBE_S, 2 * self._probe_s)
        self.most, self._raise_by = shown, 1.0
        self.raise_at = now + self._probe_s
        log.info("Campaign allows %d requests at once", self.most)
        return True

    def _shown(self, in_flight: int) -> tuple[float, float]:
        """Return the most granted at once beside each refusal, and before all of them.

        Campaign had as many in flight as its limit after a refused request was sent, so each
        refusal shows an upper bound of the limit.
        """
        granted = [each for each in self._granted if each[0] >= self._began]
        if not granted or not self._refused:
            return 0.0, 0.0
        took_s = sum(came - sent for sent, came in granted) / len(granted)
        sent, came = sorted(each for each, _ in granted), sorted(each for _, each in granted)

        def at_once(at: float) -> int:
            return bisect_right(sent, at) - bisect_right(came, at)

        def most_at_once(since: float, until: float) -> int:
            sends = sent[bisect_left(sent, since) : bisect_right(sent, until)]
            return max(map(at_once, (since, *sends)))

        first = min(sent_at for sent_at, _ in self._refused)
        shown = min(
            most_at_once(sent_at, min(known, sent_at + _ON_THE_WAY * took_s))
            for sent_at, known in self._refused
        )
        before = max((at_once(at) for at in sent if at < first), default=0)
        return float(shown + in_flight), float(before)
