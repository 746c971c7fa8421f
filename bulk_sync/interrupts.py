"""What SIGINT, SIGTERM and SIGHUP do while no event loop runs.

Before anything is written they end the run with a ``StopRun``, so that exit status and summary are
those of the contract. From the first write on, until the reports lie on the disk, they wait: what
was done must be reported. A second signal then ends at once. After SIGTERM the process ends within
twenty seconds, whatever hangs: Kubernetes kills it after thirty.
"""

import _thread
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Final, NoReturn, Self

from bulk_sync.errors import Exit, Interrupted, Terminated

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


_WITHIN_S: Final = 18.0
"""Seconds from SIGTERM to the end of the process, at most."""


class Ending:
    """Ends the process in time once SIGTERM has come. ``ENDING`` is the one of the process."""

    def __init__(self) -> None:
        self._ends_at: float | None = None
        self._is_replayed = False

    def heed(self, number: int) -> None:
        """Handle a signal: start the time limit, or end at once after a second SIGTERM.

        May be called by a handler, so it takes no lock that the interrupted code may hold.
        """
        if number != signal.SIGTERM:
            return
        if self._is_replayed:
            self._is_replayed = False
        elif self._ends_at is not None:
            end_at_once()
        else:
            self._ends_at = time.monotonic() + _WITHIN_S
            _thread.start_new_thread(self._end, (self._ends_at,))

    def replay(self, number: int) -> None:
        """Raise a signal again that was heeded before."""
        self._is_replayed = number == signal.SIGTERM
        signal.raise_signal(number)

    def forget(self) -> None:
        """Stop watching: what was to be done is done."""
        self._ends_at, self._is_replayed = None, False

    def _end(self, ends_at: float) -> None:
        time.sleep(_WITHIN_S)
        if self._ends_at == ends_at:
            end_at_once()


ENDING: Final = Ending()


def end_at_once(_number: int = 0, _frame: FrameType | None = None) -> NoReturn:
    """End the process as SIGTERM does; the run can be resumed."""
    os._exit(Exit.TERMINATED)


@contextmanager
def put_off() -> Iterator[None]:
    """Have signals do what they do after the block; elsewhere than in the main thread, nothing."""
    told: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        ENDING.heed(number)
        told.append(number)

    before = heeded() if threading.current_thread() is threading.main_thread() else {}
    for number in before:
        signal.signal(number, keep)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in told:
            ENDING.replay(each)


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
        ENDING.heed(number)
        name = signal.Signals(number)
        raise CAUSES[name](f"Stopped by {name.name}{self._said}.")


def _go_on(number: int, _frame: FrameType | None) -> None:
    ENDING.heed(number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, end_at_once)
    log.warning("The report is being written. A second signal ends at once.")
