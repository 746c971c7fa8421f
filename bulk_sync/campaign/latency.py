"""How long answers took: percentiles out of a fixed number of counters."""

import math
from collections import Counter
from typing import Final

_STEPS: Final = 16
"""Counters per doubling: a percentile is off by less than 3 %."""

_LEAST_S: Final = 1e-6
_LEAST_STEP: Final = math.floor(_STEPS * math.log2(_LEAST_S))

_AT_ONCE: Final = 256
"""Times that are counted together."""


class Latency:
    """Counts times by their size; millions of them take no more room than a few.

    They are counted many at once: between two requests everything that is looked at is cold, and
    takes several times as long.
    """

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self._new: list[float] = []

    def note(self, seconds: float) -> None:
        """Count one time."""
        self._new.append(seconds)
        if len(self._new) >= _AT_ONCE:
            self._count()

    def _count(self) -> None:
        self._counts.update(
            math.floor(_STEPS * math.log2(each_s)) if each_s > _LEAST_S else _LEAST_STEP
            for each_s in self._new
        )
        self._new.clear()

    def quantile(self, share: float) -> float | None:
        """Tell the seconds that so large a share of the times did not exceed; None without any."""
        self._count()
        left = share * self._counts.total()
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                return float(2 ** ((step + 0.5) / _STEPS))
        return None
