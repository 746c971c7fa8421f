"""A worker process, seen from the run."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import bulk_sync
from bulk_sync.engines.processes import wire
from bulk_sync.engines.processes.round import InHand
from bulk_sync.errors import StoppedEarly, StopRun

log = logging.getLogger(__name__)

_CLOSING_S: Final = 10.0

_LONG_SILENCE_S: Final = 60.0
"""A process that has work tells of it five times a second."""

_ROOT: Final = Path(bulk_sync.__file__).parent.parent
_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv.pop()); "
    "from bulk_sync import garbage; garbage.put_off(); "
    "from bulk_sync.engines.processes import worker; worker.main()"
)
"""Not ``-m``, which would first look for modules, the standard ones too, in the working folder."""


class Handle:
    """A worker process, seen from the run. Belongs to the event loop that makes it.

    Args:
        setup: what it is told first.

    Raises:
        OSError: the process cannot be started.
    """

    def __init__(self, setup: wire.Setup) -> None:
        self.facts: Mapping[str, Any] = {}
        self._parts: dict[int, InHand] = {}
        self._begun = 0
        self._inbox: asyncio.Queue[object] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._up: asyncio.Future[bool] = self._loop.create_future()
        self._silent = asyncio.Event()
        # A group of its own: Ctrl-C at a terminal is for the run alone, which ends its workers.
        own_group: dict[str, Any] = {"process_group": 0} if os.name == "posix" else {}
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            [sys.executable, "-P", "-c", _PROGRAM, str(_ROOT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            **own_group,
        )
        self._stdin = cast("BinaryIO", self._process.stdin)
        self.tell = wire.Mouth(self._stdin)
        self.tell(setup)
        try:
            threading.Thread(target=self._listen, name="worker", daemon=True).start()
        except RuntimeError as error:  # there may be no more
            self._process.kill()
            with self._process:  # which closes the pipes
                raise OSError(str(error)) from error

    async def is_up(self) -> bool:
        """Wait until the process is ready for work; tell whether it is, or nobody waits for it."""
        return await asyncio.shield(self._up)

    def give_up(self) -> None:
        """Let nobody wait until the process is ready."""
        if not self._up.done():
            self._up.set_result(False)

    async def carry_out(self, part: InHand) -> None:
        """Have a part carried out; comes back when nothing more will come of it."""
        if self._silent.is_set():
            part.round.lose(part, _lost())
            return
        self._begun += 1
        number, self._parts[self._begun] = self._begun, part
        self.tell(wire.Part(number, part.round.work.part(part.positions)))
        await part.over.wait()

    async def told(self) -> AsyncIterator[object]:
        """Hear what the process tells, but for what has become of rows, which is noted."""
        while not self._silent.is_set():
            match await self._next():
                case wire.News(number) as news:
                    part = self._parts[number]
                    part.round.take_in(part, news)
                    if news.over:
                        del self._parts[number]
                case wire.Silence():
                    self._silent.set()
                    for part in self._parts.values():
                        part.round.lose(part, _lost())
                case message:
                    yield message

    async def _next(self) -> object:
        """Wait for a message; a process that has work and tells nothing for long is ended.

        Nothing is told of it for less than two waits: what it has may have come during the first.
        """
        waits = 0
        while True:
            try:
                async with asyncio.timeout(_LONG_SILENCE_S / 2):
                    return await self._inbox.get()
            except TimeoutError:
                waits = waits + 1 if self._parts else 0
                if waits == 2:
                    log.warning("A worker process has hung, and is ended.")
                    self._process.kill()

    async def ended(self) -> None:
        """Wait until the process has ended; one that does not, or is still at work, is ended.

        It is at work only where nobody waits for that any more: at a second signal. One that is not
        ready yet holds nothing.
        """
        is_ready = self._up.done() and self._up.result()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_S if is_ready and not self._parts else 0):
                await self._silent.wait()
        self._process.kill()
        await asyncio.to_thread(self._process.wait)
        with suppress(OSError):
            self._stdin.close()

    def _listen(self) -> None:
        """Pass on, in a thread, what the process tells."""
        stdout = cast("BinaryIO", self._process.stdout)
        with stdout, suppress(RuntimeError):  # the loop is closed: nobody asks any more
            try:
                for message in wire.messages(stdout):
                    self._loop.call_soon_threadsafe(self._heard, message)
            finally:
                self._loop.call_soon_threadsafe(self._heard, wire.Silence())

    def _heard(self, message: object) -> None:
        if isinstance(message, wire.Ready) and not self._up.done():
            self._up.set_result(True)
        elif isinstance(message, wire.Silence):
            self.give_up()
        self._inbox.put_nowait(message)


def _lost() -> StopRun:
    return StoppedEarly(
        "A worker process ended unexpectedly: what it said is above, or it was killed, perhaps for "
        "want of memory. What it had in hand is read again before anything else is written."
    )
