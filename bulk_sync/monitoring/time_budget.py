"""Keeps hooks short: a hook that hangs is left alone, and whatever it does changes nothing.

Each hook works in a thread of its own, since no timeout of a socket covers the resolver, or a
server that sends a byte now and then.
"""

import logging
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Final

from bulk_sync.monitoring.run_end import HookFailed

log = logging.getLogger(__name__)

TOGETHER_S: Final = 12.0
"""The most seconds that all hooks of one run take."""


class TimeBudget:
    """The time that the hooks of one run may take together."""

    def __init__(
        self, most_s: float = TOGETHER_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.left_s = most_s
        self._clock = clock

    def spend(self, name: str, hooks: Sequence[Callable[[], None]], most_s: float) -> bool:
        """Call hooks side by side, and warn of those that fail or take too long.

        Args:
            name: the option behind them, for the log.
            hooks: raise HookFailed, or OSError, if they do not do their work.
            most_s: the time that they may take, if so much is left.

        Returns:
            Whether any of them did its work.
        """
        limit_s = min(most_s, self.left_s)
        if limit_s <= 0:
            log.warning("%s: left out, because other hooks took all their time.", name)
            return False
        began = self._clock()
        workers = ThreadPoolExecutor(len(hooks))
        calls = [workers.submit(hook) for hook in hooks]
        wait(calls, limit_s)
        workers.shutdown(wait=False, cancel_futures=True)
        self.left_s -= self._clock() - began
        succeeded = False
        for call in calls:
            if not call.done():
                log.warning("%s: given up after %.3g s. The run is not affected.", name, limit_s)
                continue
            error = call.exception()
            succeeded |= error is None
            if error is not None:
                log.warning("%s: %s The run is not affected.", name, _reason(error))
        return succeeded


def _reason(error: BaseException) -> str:
    """Return why a hook failed; texts of other errors than ours may hold its URL."""
    if isinstance(error, HookFailed):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}."
    return f"{type(error).__name__}."
