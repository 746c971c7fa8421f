"""Tells when one event loop is what a run waits for, while a processor has nothing to do."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BUSY: Final = 0.9
"""Share of a processor that a process uses at least, whose event loop never waits."""

_IDLE: Final = 0.5
"""Processors that must be idle for another process to be of use, and to take it from nobody."""

_ALLOWED: Final = 2.0

_WORTH_S: Final = 2.0
"""Seconds of work that must be left: to start processes takes half of one on each processor."""

_STAT: Final = Path("/proc/stat")
_QUOTA: Final = Path("/sys/fs/cgroup/cpu.max")


def idle_s(stat: Path = _STAT) -> float:
    """Tell for how many seconds processors of this machine were idle, in sum; 0 if unknown."""
    try:
        fields = stat.read_text().split("\n", 1)[0].split()
        return (int(fields[4]) + int(fields[5])) / os.sysconf("SC_CLK_TCK")  # idle, iowait
    except (OSError, IndexError, ValueError):
        return 0.0


def allowed(quota: Path = _QUOTA) -> float:
    """Tell how many processors this process may use: those of the machine, or of its container."""
    count = float(len(os.sched_getaffinity(0)))
    try:
        most_us, period_us = quota.read_text().split()
        return min(count, int(most_us) / int(period_us))
    except (OSError, ValueError):  # no such file, or "max"
        return count


@dataclass(frozen=True, slots=True)
class _Seen:
    at: float
    own_s: float
    idle_s: float
    done: int


class Gauge:
    """Watches this process while it does n rows.

    Args:
        count: n.
        clock: tells the time in seconds.
        own: tells what this process has used of its processors, in seconds.
        idle: tells for how long processors were idle, in seconds.
        allowed: tells how many processors this process may use.
    """

    def __init__(
        self,
        count: int,
        clock: Callable[[], float] = time.monotonic,
        own: Callable[[], float] = time.process_time,
        idle: Callable[[], float] = idle_s,
        allowed: Callable[[], float] = allowed,
    ) -> None:
        self._count = count
        self._clocks = clock, own, idle
        self._allowed = allowed
        self._last = self._look(0)

    def shows_limit(self, done: int) -> bool:
        """Tell, of the time since the last look, whether another process would make it faster.

        Args:
            done: rows that are done by now.
        """
        last, now = self._last, self._look(done)
        self._last = now
        took_s = now.at - last.at
        left_s = (self._count - done) * took_s / max(1, done - last.done)
        return (
            now.own_s - last.own_s >= _BUSY * took_s
            and now.idle_s - last.idle_s >= _IDLE * took_s
            and left_s >= _WORTH_S
            and self._allowed() >= _ALLOWED
        )

    def _look(self, done: int) -> _Seen:
        clock, own, idle = self._clocks
        return _Seen(clock(), own(), idle(), done)
