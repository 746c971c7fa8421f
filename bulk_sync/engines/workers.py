"""Carries out the work on single rows in one event loop.

Workers take positions from one source: a slow answer holds up one worker, and no batch. Both
``RowFailed`` and ``StopRun`` end here, in the work's ``Steps`` and as the cause of the run's
``Stop``: workers finish what is in flight, and the caller finds the results.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.engines.breaker import Breaker
from bulk_sync.engines.journal import PositionSource, now_ms
from bulk_sync.errors import RowFailed, StopRun
from bulk_sync.rows.results import Steps
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

_SHOW_EVERY_S: Final = 0.1

Progress = Callable[[str, int, int, Pacer], None]
"""Shows the pass (``read``, ``scan``, ``write``), how many rows are done, how many there are, and
the present pace."""


class Work(Protocol):
    """Something to do for n rows: data, and the coroutine for one row."""

    @property
    def name(self) -> str:
        """The pass, as ``Progress`` shows it."""

    @property
    def steps(self) -> Steps:
        """The results; filled in place."""

    @property
    def calls_each(self) -> int:
        """How many calls one row takes, if nothing fails."""

    async def do_row(self, client: Client, stop: Stop, at: int) -> None:
        """Do one row, and record its result in ``steps``.

        Raises:
            RowFailed: it cannot be done.
            StopRun: the run cannot go on; Campaign has refused every request for the row.
        """


@dataclass(frozen=True, slots=True)
class Workers:
    """The workers of one event loop, and what the passes of one run share."""

    client: Client
    stop: Stop
    progress: Progress
    breaker: Breaker
    attribute: str
    thread: Executor

    def rows_to_retry(self, steps: Steps, suspects: Sequence[int] = ()) -> list[int]:
        """Return the failed rows to try once more: the cause may have passed by now."""
        rows = [] if self.stop.is_requested else sorted({*suspects, *steps.passing()})
        if rows:
            log.info("Trying rows again that failed for what may have passed by now: %d", len(rows))
        return rows

    async def carry_out(
        self,
        work: Work,
        source: PositionSource,
        count: int,
        note: Callable[[int], None],
        done: int = 0,
        total: int | None = None,
    ) -> None:
        """Do the work for every position from the source, which has so many of them.

        Nothing is raised: failed rows are in the work's ``steps``. ``note`` is called after each
        position, in no order, and for one that the run stopped before. For the progress, some were
        ``done`` earlier, out of a ``total``; None: ``count``.
        """
        if not count:
            return
        # What is begun must be finished: no more rows at once than the budget has calls for.
        left = await self.client.calls.left()
        affordable = count if left is None else max(1, left // work.calls_each)
        if not self.stop.is_requested:
            self.client.calls.need(work.calls_each)
        crew = _Crew(self, work, source, note, count, affordable)
        total = count if total is None else total

        def show() -> None:
            self.progress(work.name, done + count - crew.left, total, self.client.pacer)

        async with _repeated(show):
            await crew.run()


@dataclass(slots=True)
class _Crew:
    """The workers of one pass.

    There are as many as requests may be in flight, and more while some wait alone for another try.
    They are hired when the limit grows, and the last ones leave when it shrinks.
    """

    shared: Workers
    work: Work
    source: PositionSource
    note: Callable[[int], None]
    left: int
    affordable: int
    limit: int = 0
    at_work: int = 0

    async def run(self) -> None:
        """Do the work until the source is empty or the run stops."""
        tasks = asyncio.TaskGroup()
        with self.shared.client.pacer.listening(partial(self._hire, tasks)):
            async with tasks:
                self._hire(tasks)

    def _hire(self, tasks: asyncio.TaskGroup) -> None:
        self.limit = min(self.affordable, self.shared.client.pacer.workers)
        for _ in range(min(self.limit, self.left) - self.at_work):
            self.at_work += 1
            tasks.create_task(self._keep_working(tasks))

    async def _keep_working(self, tasks: asyncio.TaskGroup) -> None:
        client, stop, breaker = self.shared.client, self.shared.stop, self.shared.breaker
        do_row, name, steps = self.work.do_row, self.work.name, self.work.steps
        take, note, pacer = self.source.take, self.note, client.pacer
        while stop.cause is None and self.at_work <= self.limit:
            at = await take()
            if at is None:
                break
            has_failed, succeeded = at in steps.problems, breaker.succeeded_rows
            try:
                await do_row(client, stop, at)
            except RowFailed as failed:
                steps.failed(at, now_ms(), failed)
                is_suspect = at in steps.suspects
                breaker.failed(failed, name, succeeded, again=has_failed, suspect=is_suspect)
            except StopRun as cause:
                stop.ask(cause)
                note(at)
                break
            else:
                breaker.succeeded(name, again=has_failed)
            note(at)
            self.left -= 1
            if pacer.workers != self.limit:
                self._hire(tasks)
        self.at_work -= 1


@asynccontextmanager
async def _repeated(show: Callable[[], None]) -> AsyncIterator[None]:
    """Show the progress again and again, also while every request has to wait."""

    async def regularly() -> None:
        while True:
            show()
            await asyncio.sleep(_SHOW_EVERY_S)

    showing = asyncio.create_task(regularly())
    try:
        yield
    finally:
        showing.cancel()
        show()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's where it is installed: a quarter more requests a second."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop
