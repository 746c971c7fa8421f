"""What SIGINT, SIGTERM and SIGHUP do, by what the process is doing.

    doing                           first signal                        second signal
    ------------------------------  ----------------------------------  ----------------------------
    no write yet: ``Interrupts``    StopRun at once                     the same
    event loop: ``in_loop``         finish what is in flight            SIGINT: cancel, in order
    closing: ``deferred``           after the block, as outside of it   the same
    report: ``Interrupts.defer``    go on                               SIGINT: KeyboardInterrupt

A second SIGTERM always ends the process at once, as does one after a Ctrl-C in the last row and in
an event loop. After the first SIGTERM the process ends within 18 s, whatever hangs: Kubernetes
kills it after 30. A closed terminal sends SIGHUP twice, so a second one means nothing. ``nohup``
ignores SIGHUP, and so does this module then.
"""

import _thread
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import TYPE_CHECKING, Any, Final, NoReturn, Self

from bulk_sync.errors import Exit, Interrupted, StopRun, Terminated

if TYPE_CHECKING:
    import asyncio

log = logging.getLogger(__name__)

_CAUSES: Final = {signal.SIGINT: Interrupted, signal.SIGTERM: Terminated, signal.SIGHUP: Terminated}
_END_WITHIN_S: Final = 18.0
"""Seconds from the first SIGTERM to the end of the process, at most."""


def _handlers() -> dict[signal.Signals, Any]:
    """Return the handlers of now, in the main thread; an ignored SIGHUP is left out."""
    if threading.current_thread() is not threading.main_thread():
        return {}
    now = {number: signal.getsignal(number) for number in _CAUSES}
    if now[signal.SIGHUP] is signal.SIG_IGN:
        del now[signal.SIGHUP]
    return now


def _end_at_once(_number: int = 0, _frame: FrameType | None = None) -> NoReturn:
    os._exit(Exit.TERMINATED)


class Deadline:
    """Ends the process in time after a SIGTERM. ``DEADLINE`` is the one of the process."""

    def __init__(self) -> None:
        self._ends_at: float | None = None
        self._is_replayed = False

    def start(self, number: int) -> None:
        """Start after a first SIGTERM; end the process at once after a second.

        Handlers call this: it takes no lock, since the interrupted code may hold it.
        """
        if number != signal.SIGTERM:
            return
        if self._is_replayed:
            self._is_replayed = False
        elif self._ends_at is not None:
            _end_at_once()
        else:
            self._ends_at = time.monotonic() + _END_WITHIN_S
            _thread.start_new_thread(self._wait, (self._ends_at,))

    def replay(self, number: int) -> None:
        """Raise a counted signal again."""
        self._is_replayed = number == signal.SIGTERM
        signal.raise_signal(number)

    def cancel(self) -> None:
        """Let the process live: the work is done."""
        self._ends_at, self._is_replayed = None, False

    def _wait(self, ends_at: float) -> None:
        time.sleep(_END_WITHIN_S)
        if self._ends_at == ends_at:
            _end_at_once()


DEADLINE: Final = Deadline()


class Interrupts:
    """Turns signals into a ``StopRun`` while the block lasts, in the main thread.

    Args:
        when: a part of the message, after the name of the signal.
    """

    def __init__(self, when: str = ", before anything was written by this process") -> None:
        self._when = when
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = _handlers()
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
        """Let the first signal do nothing from now on: the report is being written."""
        for number in self._before:
            signal.signal(number, _go_on)

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        DEADLINE.start(number)
        name = signal.Signals(number)
        raise _CAUSES[name](f"Stopped by {name.name}{self._when}.")


def _go_on(number: int, _frame: FrameType | None) -> None:
    DEADLINE.start(number)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, _end_at_once)
    log.warning("The run is about to end. A second signal ends at once.")


@contextmanager
def deferred() -> Iterator[None]:
    """Let signals wait for the end of the block."""
    waiting: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        DEADLINE.start(number)
        waiting.append(number)

    before = _handlers()
    for number in before:
        signal.signal(number, keep)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for each in waiting:
            DEADLINE.replay(each)


@contextmanager
def in_loop(
    loop: "asyncio.AbstractEventLoop", stop: Callable[[StopRun], None], cancel: Callable[[], Any]
) -> Iterator[None]:
    """Let signals stop the work of an event loop in order.

    Args:
        loop: runs in the main thread.
        stop: ends the work after what is in flight; called at the first signal.
        cancel: breaks the work off; called at the second Ctrl-C.
    """
    before = _handlers()

    def break_off() -> None:
        loop.remove_signal_handler(signal.SIGINT)
        cancel()

    def interrupt(number: signal.Signals) -> None:
        DEADLINE.start(number)
        for each in before:
            if each is signal.SIGHUP:
                loop.add_signal_handler(each, lambda: None)
            else:
                loop.remove_signal_handler(each)
        signal.signal(signal.SIGTERM, _end_at_once)
        # A KeyboardInterrupt may be raised anywhere, also between the end of a task and the moment
        # when its waiters learn of it: they would wait for ever. So only the third Ctrl-C is one.
        loop.add_signal_handler(signal.SIGINT, break_off)
        stop(_CAUSES[number](f"Stopped by {number.name}. What is done stays done."))
        # Logged last: the reader may send the second signal at once.
        log.warning("Stopping: requests in flight are finished. A second signal ends at once.")

    for number in before:
        loop.add_signal_handler(number, interrupt, number)
    try:
        yield
    finally:
        for number, handler in before.items():
            loop.remove_signal_handler(number)
            signal.signal(number, handler)
