"""What SIGINT, SIGTERM and SIGHUP do while no event loop runs.

Before anything is written they end the run with a ``StopRun``, so that exit status and summary are
those of the contract. From the first write on, until the reports lie on the disk, they wait: what
was done must be told. A second signal then ends at once.
"""

import logging
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, Self

from bulk_sync.errors import Interrupted, Terminated

log = logging.getLogger(__name__)

CAUSES: Final = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated}
if sys.platform != "win32":
    CAUSES[signal.SIGHUP] = Terminated  # the terminal was closed, or the line to it was lost


def heeded() -> dict[signal.Signals, Any]:
    """Tell which of these signals are heeded, and what they do now: ``nohup`` has one ignored."""
    now = {number: signal.getsignal(number) for number in CAUSES}
    return {
        number: handler
        for number, handler in now.items()
        if not (repeats(number) and handler is signal.SIG_IGN)
    }


def repeats(number: signal.Signals) -> bool:
    """Tell whether a signal may come twice for one cause, so that a second one says no more.

    A terminal that is closed is told of by the system, and by the shell as well.
    """
    return sys.platform != "win32" and number is signal.SIGHUP


@contextmanager
def put_off() -> Iterator[None]:
    """Have signals do what they do after the block; elsewhere than in the main thread, nothing."""
    told: list[int] = []
    before = heeded() if threading.current_thread() is threading.main_thread() else {}
    for number in before:
        signal.signal(number, lambda number, _frame: told.append(number))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in told:
            signal.raise_signal(each)


class Interrupts:
    """Use as a context manager, in the main thread; elsewhere it does nothing.

    Args:
        said: what a signal makes the ``StopRun`` say, after its name.
    """

    def __init__(self, said: str = ", before anything was written by this process") -> None:
        self._said = said
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self._before = heeded()
        for number in self._before:
            signal.signal(number, self._stop)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def defer(self) -> None:
        """Let signals wait for the end of the block."""
        for number in self._before:
            signal.signal(number, _go_on)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        name = signal.Signals(number)
        raise CAUSES[name](f"Stopped by {name.name}{self._said}.")


def _go_on(_number: int, _frame: FrameType | None) -> None:
    log.warning("The report is being written. A second signal ends at once.")
    for number in heeded():
        if not repeats(number):
            signal.signal(number, signal.default_int_handler)
