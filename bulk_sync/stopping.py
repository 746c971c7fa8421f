"""The request to stop: a signal, a limit or a lost server ends a run early.

No new row is taken, requests in flight are finished, and sleeping tasks wake up.
"""

import asyncio
from collections.abc import Callable

from bulk_sync.errors import StopRun


class Stop:
    """Knows whether, and why, the run has to end early. Belongs to one event loop."""

    def __init__(self) -> None:
        self.cause: StopRun | None = None
        self._event = asyncio.Event()
        self._listeners: list[Callable[[], None]] = []

    @property
    def is_requested(self) -> bool:
        """Return whether the run has to end."""
        return self.cause is not None

    def ask(self, cause: StopRun) -> None:
        """End the run; the first cause stands."""
        if self.cause is None:
            self.cause = cause
            self._event.set()
            for listener in self._listeners:
                listener()

    def on_request(self, listener: Callable[[], None]) -> None:
        """Call a function at once when the run has to end."""
        self._listeners.append(listener)

    async def sleep(self, seconds: float) -> None:
        """Sleep, but wake at once when the run has to end."""
        if seconds > 0 and not self.is_requested:
            try:
                async with asyncio.timeout(seconds):
                    await self._event.wait()
            except TimeoutError:
                return
