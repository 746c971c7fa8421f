"""How long answers took: percentiles out of a fixed number of counters."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Final

_STEPS: Final = 16
"""Counters per doubling: a percentile is off by less than 3 %."""

_LEAST_S: Final = 1e-6
_LEAST_STEP: Final = math.floor(_STEPS * math.log2(_LEAST_S))


class Latency:
    """Counts times by their size; millions of them take no more room than a few."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def note(self, seconds: float) -> None:
        """Count one time."""
        step = math.floor(_STEPS * math.log2(seconds)) if seconds > _LEAST_S else _LEAST_STEP
        self._counts[step] += 1

    @property
    def counts(self) -> Mapping[int, int]:
        """The counters, for another process to ``add``."""
        return self._counts

    def add(self, counts: Mapping[int, int]) -> None:
        """Count what another process has counted."""
        self._counts.update(counts)

    def quantile(self, share: float) -> float | None:
        """Tell the seconds that so large a share of the times did not exceed; None without any."""
        left = share * self._counts.total()
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                return float(2 ** ((step + 0.5) / _STEPS))
        return None
