"""How far a pass is: a bar on a terminal, elsewhere a line of the log now and then."""

import logging
import os
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from bulk_sync.campaign.pacing import Pacer
from bulk_sync.cli.monitor import Monitor

if TYPE_CHECKING:
    from tqdm import tqdm

log = logging.getLogger(__name__)

_DRAWN_EVERY_S: Final = 0.1
"""tqdm draws no more often, and to call it costs more than a row."""

_PASSES: Final = {
    "scan": ("Reading Campaign's list", "profile"),
    "read": ("Reading states", "row"),
    "write": ("Writing", "row"),
}


class ProgressBar:
    """Shows one pass after another.

    Args:
        has_bar: there is a terminal for it.
        every_s: seconds between two lines of the log, where there is none.
        monitor: names the run in them.
    """

    def __init__(self, *, has_bar: bool, every_s: float, monitor: Monitor) -> None:
        self._has_bar, self._every_s, self._monitor = has_bar, every_s, monitor
        self._what, self._due_at = "", 0.0
        self._bar: tqdm[Any] | None = None

    def show(self, what: str, done: int, total: int, pacer: Pacer | None) -> None:
        """Show how far a pass is; without a terminal only those that send requests."""
        is_short = done >= total and what != self._what
        if pacer is None and (is_short or not self._has_bar):
            return
        if what != self._what:
            self.end()
            self._what, self._due_at = what, time.monotonic() + self._every_s
            if self._has_bar:
                self._due_at = 0.0
                with suppress(OSError):  # the terminal may have gone
                    self._bar = _bar(what, total)
        now = time.monotonic()
        if now < self._due_at:
            return
        if self._bar is not None:
            self._due_at = now + _DRAWN_EVERY_S
            self._bar.total = total
            self._bar.set_postfix_str(str(pacer or ""), refresh=False)
            with suppress(OSError):
                self._bar.update(done - self._bar.n)
        elif pacer is not None:
            self._due_at = now + self._every_s
            facts = {"pass": what, "done": done, "total": total, **pacer.facts()}
            facts = self._monitor.named("progress") | facts
            title = _PASSES[what][0]
            log.info("%s: %d of %d, %s", title, done, total, pacer, extra={"facts": facts})

    def end(self) -> None:
        """Take the bar off the terminal."""
        if self._bar is not None:
            with suppress(OSError):
                self._bar.close()
        self._bar, self._what = None, ""


def _bar(what: str, total: int) -> "tqdm[Any]":
    """Draw a bar. A terminal in a container may not know its size."""
    from tqdm import tqdm

    title, unit = _PASSES.get(what, (what, "row"))
    columns, lines = os.get_terminal_size(sys.stderr.fileno())
    width, height = (columns or 80) - 1, lines or 24
    return tqdm(desc=title, unit=unit, total=total, leave=False, ncols=width, nrows=height)
