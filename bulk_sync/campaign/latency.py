"""How long responses took: percentiles from a fixed number of counters."""

import math
from collections import Counter
from typing import Final

_STEPS: Final = 16
"""Counters per doubling: a percentile is off by less than 3 %."""

_LEAST_S: Final = 1e-6


class Latency:
    """Counts times by their size, in a fixed amount of memory."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def add(self, seconds: float) -> None:
        """Count one time."""
        self._counts[math.floor(_STEPS * math.log2(max(_LEAST_S, seconds)))] += 1

    def quantile(self, share: float) -> float | None:
        """Return the seconds not exceeded by this share of the times; None without times."""
        left = share * self._counts.total()
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                return float(2 ** ((step + 0.5) / _STEPS))
        return None
