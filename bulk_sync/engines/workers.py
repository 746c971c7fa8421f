"""Carries out work in one event loop.

A fixed set of workers pulls positions from one source, so that a slow answer holds up one worker
and no batch. ``RowFailed`` ends here, in ``Steps``. ``StopRun`` ends here too: it becomes the cause
of the run's ``Stop``, workers finish what is in flight, and whoever called finds both what was done
and why it ended early.
"""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from bulk_sync.campaign.client import Client
from bulk_sync.engines.breaker import Breaker
from bulk_sync.engines.journal import Source
from bulk_sync.engines.work import Tell, Work, now_ms
from bulk_sync.errors import RowFailed, StopRun
from bulk_sync.stopping import Stop

_TELL_EVERY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Local:
    """One event loop with one client.

    Attributes:
        client: the open client.
        stop: ends the work early.
        tell: is told how far it is.
        breaker: how many rows have failed so far, and how.
    """

    client: Client
    stop: Stop
    tell: Tell
    breaker: Breaker

    async def carry_out(
        self,
        work: Work,
        source: Source,
        count: int,
        note: Callable[[int], None],
        done: int = 0,
        total: int | None = None,
    ) -> None:
        """Do the work for every position that the source hands out, and note each that is done.

        There are as many workers as requests may be in flight, and more while some wait alone for
        another try: they are called in when that grows, and the last ones leave when it shrinks.

        Nothing is raised: rows that fail are in the work's ``steps``, and what ends the run is
        asked of its ``Stop``. Then what is in flight is finished, and positions that were handed
        out and not begun are noted too.

        Args:
            work: what is to be done.
            source: hands out positions.
            count: how many there are.
            note: is told of each position, in no order.
            done: how many of the same kind were done before, for the progress.
            total: how many there are of that kind in all; None: ``count``.
        """
        client, stop, breaker, pacer = self.client, self.stop, self.breaker, self.client.pacer
        one, name = work.one, work.name
        problems, suspects = work.steps.problems, work.steps.suspects
        total = count if total is None else total
        # What is begun must be finished: no more rows at once than the budget has calls for.
        left = await client.calls.left()
        affordable = count if left is None else max(1, left // work.calls_each)
        end, at_work, limit = done + count, 0, min(affordable, pacer.workers)

        async def worker() -> None:
            nonlocal done, at_work, limit
            at_work += 1
            while not stop.asked and at_work <= limit:
                at = source.at_once()
                if at is None and (at := await source.take()) is None:
                    break
                failed_before = at in problems
                succeeded = breaker.succeeded_rows
                try:
                    await one(client, stop, at)
                except RowFailed as failed:
                    work.steps.failed(at, now_ms(), failed)
                    breaker.failed(
                        failed,
                        name,
                        again=failed_before,
                        suspect=at in suspects,
                        succeeded=succeeded,
                    )
                except StopRun as cause:
                    stop.ask(cause)
                    note(at)
                    break
                else:
                    breaker.succeeded(name, again=failed_before)
                note(at)
                done += 1
                call_in()
            at_work -= 1

        def call_in(most: int = 1) -> None:
            """Add workers if more requests may be begun than there are workers."""
            nonlocal limit
            limit = min(affordable, pacer.workers)
            for _ in range(min(most, limit - at_work, end - done)):
                workers.create_task(worker())

        if not count:
            return
        telling = self._telling(lambda: self.tell(name, done, total, pacer))
        with pacer.listening(call_in):
            async with telling, asyncio.TaskGroup() as workers:
                call_in(limit)

    @asynccontextmanager
    async def _telling(self, tell: Callable[[], None]) -> AsyncIterator[None]:
        """Tell how far it is again and again, also while every request has to wait."""

        async def regularly() -> None:
            while True:
                tell()
                await asyncio.sleep(_TELL_EVERY_S)

        telling = asyncio.create_task(regularly())
        try:
            yield
        finally:
            telling.cancel()
            tell()


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Prefer uvloop where it installs: a quarter more requests a second."""
    if sys.platform == "win32":
        return None
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return None
    return uvloop.new_event_loop
