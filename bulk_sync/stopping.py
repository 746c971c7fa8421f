"""The request to stop, seen by everything that waits.

A signal, a limit or a server that is gone ends a run early: no new row is taken, what is in flight
is finished, and whoever sleeps is woken.
"""

import asyncio
from collections.abc import Callable

from bulk_sync.errors import StopRun


class Stop:
    """Says whether, and why, the run is to end early. Belongs to one event loop."""

    def __init__(self) -> None:
        self.cause: StopRun | None = None
        self._event = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def asked(self) -> bool:
        """Whether the run is to end."""
        return self.cause is not None

    def ask(self, cause: StopRun) -> None:
        """End the run; the first cause stands."""
        if self.cause is None:
            self.cause = cause
            self._event.set()
            for listener in self._listeners:
                listener()

    def on_asked(self, listener: Callable[[], None]) -> None:
        """Have something done at once when the run is to end."""
        self._listeners.append(listener)

    async def sleep(self, seconds: float) -> None:
        """Sleep, but wake at once when the run is to end."""
        if seconds <= 0 or self.asked:
            return
        try:
            async with asyncio.timeout(seconds):
                await self._event.wait()
        except TimeoutError:
            return
