"""The engine that shares work among workers."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

from bulk_sync.campaign.pacing import Pulse
from bulk_sync.engines.journal import Source
from bulk_sync.engines.local import Local
from bulk_sync.engines.processes import wire
from bulk_sync.engines.processes.gauge import Gauge
from bulk_sync.engines.processes.handle import Handle
from bulk_sync.engines.processes.pulse import SharedPulse
from bulk_sync.engines.processes.round import InHand, Round
from bulk_sync.engines.processes.sources import First, Left
from bulk_sync.engines.work import Work
from bulk_sync.errors import Interrupted, StoppedEarly, StopRun
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Pace

log = logging.getLogger(__name__)

_WORTH: Final = 500
"""Rows for which it is worth while to start processes; each takes half a second to come up."""

_FIRST_ALONE: Final = 100
"""Rows that one process does before others are started: a low limit shows by then, while few
requests are in flight that can be refused."""

_LOOK_S: Final = 0.3
_COMING_UP_S: Final = 30.0
_DRAIN_S: Final = 1.0

_PART_S: Final = 0.5
_FIRST_PART: Final = 32
_LARGEST_PART: Final = 512
"""Rows of a part: half a second's work, and that of an answer's time, within these bounds."""

_GROWTH: Final = 4

_AT_ONCE: Final = 2
"""Parts that a worker has in hand, so that it need not wait for the next one."""


class Processes:
    """Several event loops; see ``Engine``. Belongs to the event loop of the run.

    Args:
        near: carries out what is not worth a process; its client's calls and latencies are those
            of all.
        connection: where Campaign is and who asks.
        pace: how hard all of them together may ask.
    """

    def __init__(self, near: Local, connection: Connection, pace: Pace) -> None:
        self._near = near
        self._connection = connection
        self._pace = pace
        self._workers: list[Handle] = []
        self._pulse = SharedPulse(near, self._workers)
        self._are_up = False
        self._goes_alone = False

    async def carry_out(
        self,
        work: Work,
        source: Source,
        count: int,
        note: Callable[[int], None],
        done: int = 0,
        total: int | None = None,
    ) -> None:
        """Do the work for every position that the source hands out; see ``Engine``."""
        total = count if total is None else total
        is_worth = count >= _WORTH and work.is_parted
        if is_worth and self._pace.rate is not None:  # of which they have nothing to find out
            await self._bring_up()
        if not is_worth or self._goes_alone or self._near.stop.asked:
            await self._near.carry_out(work, source, count, note, done, total)
        elif self._are_up:
            round_ = Round(self._near, work, note, total, lambda: done, self._pulse)
            await self._share(round_, source, count)
        else:
            await self._begin_alone(work, source, count, note, done, total)

    async def close(self) -> None:
        """End the workers, which give back what they were lent."""
        async with self._attended():
            for worker in self._workers:
                worker.tell(wire.Close())
            await asyncio.gather(*(worker.ended() for worker in self._workers))

    async def _begin_alone(
        self,
        work: Work,
        source: Source,
        count: int,
        note: Callable[[int], None],
        done: int,
        total: int,
    ) -> None:
        """Do the first rows here: until others are up, or to the end if none are called."""
        first = First(source, note)

        def tell(what: str, how_far: int, of: int, pulse: Pulse) -> None:
            if not first.is_over:  # then those tell who go on
                self._near.tell(what, how_far, of, pulse)

        near = replace(self._near, tell=tell)
        async with asyncio.TaskGroup() as tasks:
            alone = tasks.create_task(
                near.carry_out(work, first, count, first.note, done, total), name="alone"
            )
            calling = tasks.create_task(self._call_others(first, count), name="calling")
            await asyncio.wait({alone, calling}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({alone}, timeout=self._drain_s if first.is_over else None)
            calling.cancel()
            if first.is_over and not self._near.stop.asked:
                round_ = Round(
                    self._near, work, note, total, lambda: done + first.noted, self._pulse
                )
                await self._share(round_, source, count - first.handed)

    @property
    def _drain_s(self) -> float | None:
        """Seconds for which others wait for the first rows' requests; None waits for them all.

        A row that fails again and again holds up nobody, but where more than was allowed would be
        asked at once.
        """
        return None if self._pace.is_bounded else _DRAIN_S

    async def _call_others(self, first: First, count: int) -> None:
        """Start the others once they are worth it, and have them go on when they are up."""
        if not self._workers:  # or the pass before was over before they were up
            if self._pace.processes:
                await first.has_noted(_FIRST_ALONE)
            else:
                await _one_is_the_limit(first, count)
            self._heed_refusals()
        await self._bring_up()
        self._heed_refusals()
        if self._are_up and not self._goes_alone:
            first.end()

    async def _bring_up(self) -> None:
        """Start the others, and wait until all are up; go on alone if that fails."""
        if self._are_up or self._goes_alone or self._near.stop.asked:
            return
        try:
            if not self._workers:
                self._start()
            async with asyncio.timeout(_COMING_UP_S):
                self._are_up = all([await worker.is_up() for worker in self._workers])
            why = "one ended before it began"
        except TimeoutError:
            why = f"one was not up after {_COMING_UP_S:g} s"
        except OSError as error:
            why = error.strerror or str(error)
        if not (self._are_up or self._near.stop.asked):
            log.warning("Other processes could not be started (%s): one goes on alone.", why)
            self._goes_alone = True
            await self.close()
            self._workers.clear()

    def _start(self) -> None:
        near = self._near
        connection = replace(self._connection, api=near.client.api)
        level = logging.getLogger("bulk_sync").getEffectiveLevel()
        setup = wire.Setup(connection, self._pace.part(), level)
        near.stop.on_asked(self._end)
        near.client.pacer.on_held(self._hold)
        for _ in range(self._pace.parts):
            self._workers.append(Handle(setup))

    async def _share(self, round_: Round, source: Source, count: int) -> None:
        """Have the workers do what a source hands out; this process does what they give back."""
        near = self._near
        await near.client.calls.close()  # what this process has set aside, it needs no more
        self._heed_refusals()
        if held_s := near.client.pacer.held_for_s:
            self._hold(held_s, "a wait that was asked for before")
        async with self._attended(), asyncio.TaskGroup() as feeding:
            for worker in self._workers:
                for _ in range(_AT_ONCE):
                    feeding.create_task(self._feed(worker, source, round_))
        left = Left(round_.given_back, source)
        if self._goes_alone:
            count -= round_.done
            so_far = round_.before() + round_.done
            await near.carry_out(round_.work, left, count, round_.note, so_far, round_.total)
        for at in left.positions:
            round_.note(at)

    async def _feed(self, worker: Handle, source: Source, round_: Round) -> None:
        """Give a worker one part after the other."""
        size = _FIRST_PART
        while not (self._near.stop.asked or self._goes_alone):
            positions: list[int] = []
            while len(positions) < size and (at := await source.take()) is not None:
                positions.append(at)
            if not positions:
                return
            began = time.monotonic()
            await worker.carry_out(InHand(round_, positions))
            size = self._next_size(size, time.monotonic() - began)

    def _next_size(self, size: int, took_s: float) -> int:
        """Tell how large the next part is to be, after one that took so long.

        While answers are on their way a worker must have others to ask for: of slow ones a part
        takes longer, though it is small.
        """
        meant_s = _PART_S + 2 * (self._near.client.pacer.latency.quantile(0.5) or 0.0)
        if took_s < meant_s:
            return min(_LARGEST_PART, _GROWTH * size)
        return max(_FIRST_PART, size // 2) if took_s > 2 * meant_s else size

    def _heed_refusals(self) -> None:
        """Let this process go on alone once requests were refused for a rate that was not given."""
        was_refused = str(Reason.HTTP_429) in self._near.client.pacer.held_s
        if self._goes_alone or self._pace.rate is not None or not was_refused:
            return
        self._goes_alone = True
        if self._workers or self._pace.processes:
            log.info(
                "Campaign refuses requests for their rate (429), which several processes cannot "
                "find out together: one goes on alone for the rest of the run. A rate that is "
                "known can be shared: give it with --rate"
            )
        for worker in self._workers:
            worker.tell(wire.Retire())

    def _end(self) -> None:
        cause = self._near.stop.cause
        self._near.client.calls.end_lending()
        for worker in self._workers:
            told = cause if isinstance(cause, Interrupted) else StoppedEarly(str(cause))
            worker.tell(wire.End(told))
            worker.give_up()

    def _hold(self, seconds: float, why: str) -> None:
        """Have the workers wait as this process is asked to."""
        for worker in self._workers:
            worker.tell(wire.Hold(seconds, why))
        self._heed_refusals()

    @asynccontextmanager
    async def _attended(self) -> AsyncIterator[None]:
        """Hear what the workers tell for as long as the block lasts."""
        async with asyncio.TaskGroup() as tasks:
            hearing = [tasks.create_task(self._hear(worker, tasks)) for worker in self._workers]
            yield
            for each in hearing:
                each.cancel()

    async def _hear(self, worker: Handle, tasks: asyncio.TaskGroup) -> None:
        """Act on what a worker tells."""
        client = self._near.client
        async for message in worker.told():
            match message:
                case wire.Spent(by_method, by_status, latency, facts):
                    client.calls.add(by_method, by_status)
                    client.pacer.latency.add(latency)
                    worker.facts = facts
                case wire.Borrow(count):
                    tasks.create_task(self._lend(worker, count))
                case wire.Return(day, count):
                    tasks.create_task(client.calls.take_back(day, count))
                case wire.Hold(seconds, why):
                    client.pacer.hold_for(seconds, why)
                    for each in self._workers:
                        if each is not worker:
                            each.tell(message)
                    self._heed_refusals()
                case wire.End(cause):
                    self._near.stop.ask(cause)
                case wire.Said(logger, level, said):
                    logging.getLogger(logger).log(level, "%s", said)

    async def _lend(self, worker: Handle, count: int) -> None:
        try:
            worker.tell(wire.Lent(await self._near.client.calls.lend(count, self._pace.parts)))
        except StopRun as cause:
            worker.tell(wire.Lent(cause))


async def _one_is_the_limit(first: First, count: int) -> None:
    gauge = Gauge(count)
    while True:
        await asyncio.sleep(_LOOK_S)
        if gauge.shows_limit(first.noted):
            log.info("One process is the limit, and a processor is idle: another one is started")
            return
