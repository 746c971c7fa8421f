"""One event loop with one open client, in which plain code carries out one pass after another.

Between the passes no loop runs: a person may think about the plan for as long as they like, and
Ctrl-C at the question is an ordinary KeyboardInterrupt. During a pass SIGINT and SIGTERM stop it:
what is in flight is finished. A second Ctrl-C breaks that off in order, a second SIGTERM ends the
process.
"""

import asyncio
import time
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from typing import Any, Self, TypeVar

from bulk_sync.campaign.call_budget import Budget
from bulk_sync.campaign.client import Client, connected
from bulk_sync.campaign.list_pages import ScanPosition
from bulk_sync.engines.breaker import Breaker
from bulk_sync.engines.current import Checkpoint, StateReader
from bulk_sync.engines.list_choice import preflight
from bulk_sync.engines.producer import PKeys, Producer
from bulk_sync.engines.whole_list import Save, SomeKeys, WholeList
from bulk_sync.engines.workers import Progress, Workers, loop_factory
from bulk_sync.engines.write import Journal, Writes, write
from bulk_sync.errors import StopRun
from bulk_sync.rows.results import Steps
from bulk_sync.settings import Connection, Failures, Pace, Reading
from bulk_sync.signals import deferred, in_loop
from bulk_sync.stopping import Stop

T = TypeVar("T")


class Session:
    """Use as a context manager; the connections close with the block.

    ``budget`` has the calls of all runs in a day; None: no limit.

    Attributes:
        client: the open client.
        working_s: seconds of the passes so far.
    """

    def __init__(
        self,
        connection: Connection,
        pace: Pace,
        progress: Progress,
        failures: Failures | None = None,
        budget: Budget | None = None,
    ) -> None:
        self.working_s = 0.0
        self._connection, self._progress = connection, progress
        self._stop = Stop()
        self._breaker = Breaker(self._stop, failures or Failures(), connection.attribute)
        self._opening = connected(connection, pace, self._stop, budget)
        self._stack = AsyncExitStack()
        self._runner = asyncio.Runner(loop_factory=loop_factory())
        self._thread = ThreadPoolExecutor(1, "records")
        self._stages: StateReader | WholeList | None = None

    def __enter__(self) -> Self:
        try:
            self.client: Client = self.run(self._stack.enter_async_context(self._opening))
        except BaseException:
            self._runner.close()
            raise
        self._workers = Workers(
            self.client,
            self._stop,
            self._progress,
            self._breaker,
            self._connection.attribute,
            self._thread,
        )
        return self

    def __exit__(self, *_error: object) -> None:
        with deferred():  # an exception of a handler would be lost in a callback of the loop
            try:
                self._thread.shutdown()
                self._runner.run(self._stack.aclose())
            finally:
                self._runner.close()

    @property
    def cause(self) -> StopRun | None:
        """Why a pass ended early; None if none did."""
        return self._stop.cause

    @property
    def has_progressed(self) -> bool:
        """Return whether any row was settled or any page was read."""
        pages = 0 if self._stages is None else self._stages.pages
        return pages + self._breaker.rows > 0

    def stop(self, cause: StopRun) -> None:
        """End the passes early; the first cause stands."""
        self._stop.ask(cause)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out one coroutine, with signals asking it to stop."""

        async def with_signals() -> T:
            task = asyncio.current_task()
            cancel = (lambda: None) if task is None else task.cancel
            with in_loop(asyncio.get_running_loop(), self._stop.ask, cancel):
                return await work

        began = time.monotonic()
        try:
            return self._runner.run(with_signals())
        except asyncio.CancelledError:  # only the second Ctrl-C cancels
            raise KeyboardInterrupt from None
        finally:
            self.working_s += time.monotonic() - began

    def reading(
        self,
        keys: Sequence[str],
        steps: Steps,
        how: Reading,
        producer: Producer | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> StateReader:
        """Return the stages of reading the states of keys, by default PKeys: ``StateReader``."""
        pkeys = PKeys(self._connection.attribute, stamped=steps.changed_ms is not None)
        reader = StateReader(
            self._workers, self._connection, keys, steps, how, producer or pkeys, checkpoint
        )
        self._stages = reader
        return reader

    def reading_list(
        self, keys: int, how: Reading, save: Save, left_at: ScanPosition | None, some_keys: SomeKeys
    ) -> WholeList:
        """Return what reads Campaign's whole list, for more keys than memory can look for."""
        whole = WholeList(self._workers, self._connection, keys, how, save, left_at, some_keys)
        self._stages = whole
        return whole

    def read(
        self,
        keys: Sequence[str],
        steps: Steps,
        how: Reading,
        producer: Producer | None = None,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        """Read the states of keys in one go; ``cause`` holds what ended it early."""
        self.run(self.reading(keys, steps, how, producer, checkpoint).read_all())

    def write(self, writes: Writes, journal: Journal) -> None:
        """Set states. What ended it early, the preflight included, is in ``cause``."""
        self.run(self._write(writes, journal))

    async def _write(self, writes: Writes, journal: Journal) -> None:
        try:
            if writes.steps.open() and not self.client.is_ready:
                await preflight(self.client, self._connection)
        except StopRun as cause:
            self._stop.ask(cause)
        await write(self._workers, writes, journal)
