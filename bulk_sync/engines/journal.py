"""Records on disk what a pass does: in groups, in order, in a thread of its own.

    Recorder      rows are done ---> in groups ---> recorded
    IntentQueue   intents, in groups ---> recorded ---> rows may be worked on

The disk takes milliseconds; meanwhile the event loop goes on. The caller's function records, and
returns when the record would survive a crash.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from typing import Final, Protocol

from bulk_sync.errors import StopRun
from bulk_sync.stopping import Stop

Record = Callable[[Sequence[int]], None]
"""Makes the results of some positions durable, or raises StopRun."""


class PositionSource(Protocol):
    """Where workers take their positions from."""

    async def take(self) -> int | None:
        """Return the next position; None after the last."""


_MOST: Final = 4096
"""Positions in one group of what is done, at most."""

_SHORTEST_S: Final = 0.2
_LONGEST_S: Final = 30.0
_SHARE: Final = 0.05
"""Results are recorded after a twentieth of the time of the pass so far, within these bounds: a
crash costs no more, and a pass of six hours takes some 800 records."""

_AHEAD_S: Final = 1.0
_FEWEST_AHEAD: Final = 16
_MOST_AHEAD: Final = 512
"""Intents are recorded for about a second's work, within these bounds: each row in flight when a
process dies costs a call to read it again."""

_GROWTH: Final = 3
"""How much larger one group is than the one before, at most: the first ones show the pace."""


class Recorder:
    """Records finished positions. Belongs to one event loop.

    Args:
        record: makes them durable; if it cannot, the run stops.
        thread: runs it; one worker keeps records in order.
        most_s: seconds after which a finished position is recorded at the latest.

    Attributes:
        is_durable: whether everything so far could be recorded.
    """

    def __init__(
        self, record: Record, thread: Executor, stop: Stop, *, most_s: float = _LONGEST_S
    ) -> None:
        self._record, self._thread, self._stop = record, thread, stop
        self._most_s = most_s
        self.is_durable = True
        self._loop = asyncio.get_running_loop()
        self._began = self._last = self._loop.time()
        self._done: list[int] = []
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None

    def add(self, at: int) -> None:
        """Add a finished position."""
        self._done.append(at)
        if self._task is None and (self._timer is None or len(self._done) >= _MOST):
            self._record_soon()

    def add_all(self, positions: Sequence[int]) -> None:
        """Add several."""
        if positions:
            self._done += positions[:-1]
            self.add(positions[-1])

    async def close(self) -> None:
        """Record the rest."""
        if self._task is not None:
            await self._task
        if self._timer is not None:
            self._timer.cancel()
        await self._flush()

    def _record_soon(self) -> None:
        """Set the timer for the next group; a whole one is recorded at once."""
        now = self._loop.time()
        every_s = min(self._most_s, max(_SHORTEST_S, _SHARE * (now - self._began)))
        wait_s = 0.0 if len(self._done) >= _MOST else max(0.0, self._last + every_s - now)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(wait_s, self._begin)

    def _begin(self) -> None:
        self._last, self._timer = self._loop.time(), None
        self._task = self._loop.create_task(self._flush())

    async def _flush(self) -> None:
        group, self._done = self._done, []
        if not group:
            return
        try:
            await self._loop.run_in_executor(self._thread, self._record, group)
        except StopRun as cause:
            self.is_durable = False
            self._stop.ask(cause)
        self._task = None
        if self._done:
            self._record_soon()


class IntentQueue:
    """Yields positions after their intents are durable. Belongs to one event loop.

    Those that are ``ready`` need no intent. If one cannot be recorded, the run stops. The thread is
    that of ``Recorder``.
    """

    def __init__(
        self,
        ready: Sequence[int],
        todo: Sequence[int],
        record: Record,
        thread: Executor,
        stop: Stop,
    ) -> None:
        self._ready, self._todo = deque(ready), deque(todo)
        self._record, self._thread, self._stop = record, thread, stop
        self._size = _FEWEST_AHEAD
        self._granted_at: float | None = None
        self._task: asyncio.Task[None] | None = None

    async def take(self) -> int | None:
        """Return the next position, after its intent is durable; None after the last."""
        while self._stop.cause is None:
            if self._task is None and self._todo and len(self._ready) <= self._size // 2:
                self._task = asyncio.create_task(self._grant())
            if self._ready:
                return self._ready.popleft()
            if self._task is None:
                return None
            await asyncio.shield(self._task)
        return None

    async def withdraw(self) -> list[int]:
        """Empty the queue, and return the positions left with durable intents."""
        if self._task is not None:
            await self._task
        left = list(self._ready)
        self._ready.clear()
        return left

    async def _grant(self) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if self._granted_at is not None:
            pace = self._size / max(now - self._granted_at, 1e-3)
            most = min(_MOST_AHEAD, _GROWTH * self._size)
            self._size = int(min(most, max(_FEWEST_AHEAD, pace * _AHEAD_S)))
        self._granted_at = now
        group = [self._todo.popleft() for _ in range(min(self._size, len(self._todo)))]
        try:
            await loop.run_in_executor(self._thread, self._record, group)
            self._ready.extend(group)
        except StopRun as cause:
            self._stop.ask(cause)
        finally:
            self._task = None


class ReadyQueue:
    """Yields positions without need of an intent."""

    def __init__(self, positions: Iterable[int]) -> None:
        self._positions = iter(positions)

    async def take(self) -> int | None:
        """Return the next position; None after the last."""
        return next(self._positions, None)


def now_ms() -> int:
    """Return the UTC time in ms since the epoch."""
    return time.time_ns() // 1_000_000
