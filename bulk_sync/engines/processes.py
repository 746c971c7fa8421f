"""Carries out work in several event loops, each in a process of its own.

    source --parts--> worker --GET, PATCH--> Campaign
    steps, breaker, note, tell <--news-- |
    calls, holds       <--and back-->    |

For a machine with cores to spare, where one event loop is the limit. All that decides or remembers
stays here: the rows, the ledger, when to give up, how many calls there are. A worker gets parts of
half a second's work, two at a time, so that none waits for another. A worker that dies takes
nothing with it but the certainty of what it had in hand, as a run that is killed does.

Whoever shares a rate that nobody knows cannot learn it, for each takes the refusals of the others
for its own. So the first rows are done here, and once Campaign refuses requests for a rate that was
not given, the workers, if there are any yet, give back what they have not begun, and this process
goes on alone for the rest of the run.
"""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import time
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import bulk_sync
from bulk_sync.engines import wire
from bulk_sync.engines.journal import Source
from bulk_sync.engines.local import Local
from bulk_sync.engines.work import Work
from bulk_sync.errors import Interrupted, StoppedEarly, StopRun
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Pace

log = logging.getLogger(__name__)

_WORTH: Final = 500
"""Rows for which it is worth while to start processes; each takes about a second to come up."""

_FIRST_ALONE: Final = 100
"""Rows that one process does before others are started, if no rate is given: a low limit shows by
then, while few requests are in flight that can be refused."""

_PART_S: Final = 0.5
_FIRST_PART: Final = 32
_LARGEST_PART: Final = 512
"""Rows of a part: half a second's work, and that of an answer's time, within these bounds."""

_GROWTH: Final = 4

_AT_ONCE: Final = 2
"""Parts that a worker has in hand, so that it need not wait for the next one."""

_CLOSING_S: Final = 10.0

_ROOT: Final = Path(bulk_sync.__file__).parent.parent
_PROGRAM: Final = (
    "import sys; sys.path.append(sys.argv.pop()); from bulk_sync.engines import worker; "
    "worker.main()"
)
"""Not ``-m``, which would first look for modules, the standard ones too, in the working folder."""


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
        self._workers: list[_Worker] = []
        self._goes_alone = asyncio.Event()

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
        if is_worth and not self._workers and self._pace.rate is None:
            await self._near.carry_out(work, _Few(source), _FIRST_ALONE, note, done, total)
            count, done = count - _FIRST_ALONE, done + _FIRST_ALONE
        self._heed_refusals()
        if not is_worth or self._goes_alone.is_set() or self._near.stop.asked:
            await self._near.carry_out(work, source, count, note, done, total)
            return
        try:
            if not self._workers:
                self._start()
        except OSError as error:
            self._near.stop.ask(
                StoppedEarly(
                    f"A worker process could not be started ({error.strerror or error}). Give "
                    "fewer --processes, or none, to resume."
                )
            )
            return
        await self._near.client.calls.close()  # what this process has set aside, it needs no more
        round_ = _Round(self._near, work, total, note, _Pulse(self._near, self._workers))
        round_.done = done
        async with self._attended(), asyncio.TaskGroup() as feeding:
            for worker in self._workers:
                for _ in range(_AT_ONCE):
                    feeding.create_task(self._feed(worker, source, round_))
        left = _Left(round_.given_back, source)
        if self._goes_alone.is_set():
            for worker in self._workers:
                worker.tell(wire.Close())
            count -= round_.done - done
            await self._near.carry_out(work, left, count, note, round_.done, total)
        for at in left.positions:
            note(at)

    async def close(self) -> None:
        """End the workers, which give back what they were lent."""
        async with self._attended():
            for worker in self._workers:
                worker.tell(wire.Close())
            for worker in self._workers:
                await worker.ended()

    def _start(self) -> None:
        connection = replace(self._connection, api=self._near.client.api)
        level = logging.getLogger("bulk_sync").getEffectiveLevel()
        setup = wire.Setup(connection, self._pace.part(), level)
        self._near.stop.on_asked(self._end)
        for _ in range(self._pace.parts):
            self._workers.append(_Worker(setup))
        pacer = self._near.client.pacer
        if held_s := pacer.held_for_s:
            for worker in self._workers:
                worker.tell(wire.Hold(held_s, "a wait that was asked for before"))

    async def _feed(self, worker: "_Worker", source: Source, round_: "_Round") -> None:
        """Give a worker one part after the other."""
        size = _FIRST_PART
        while not (self._near.stop.asked or self._goes_alone.is_set()):
            positions: list[int] = []
            while len(positions) < size and (at := await source.take()) is not None:
                positions.append(at)
            if not positions:
                return
            began = time.monotonic()
            await worker.carry_out(_InHand(round_, positions))
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
        if self._goes_alone.is_set() or self._pace.rate is not None or not was_refused:
            return
        self._goes_alone.set()
        log.info(
            "Campaign refuses requests for their rate (429), which %d processes cannot find out "
            "together: one goes on alone for the rest of the run. A rate that is known can be "
            "shared: give it with --rate",
            self._pace.parts,
        )
        for worker in self._workers:
            worker.tell(wire.Retire())

    def _end(self) -> None:
        cause = self._near.stop.cause
        self._near.client.calls.end_lending()
        for worker in self._workers:
            told = cause if isinstance(cause, Interrupted) else StoppedEarly(str(cause))
            worker.tell(wire.End(told))

    @asynccontextmanager
    async def _attended(self) -> AsyncIterator[None]:
        """Hear what the workers tell for as long as the block lasts."""
        async with asyncio.TaskGroup() as tasks:
            hearing = [tasks.create_task(self._hear(worker, tasks)) for worker in self._workers]
            yield
            for each in hearing:
                each.cancel()

    async def _hear(self, worker: "_Worker", tasks: asyncio.TaskGroup) -> None:
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

    async def _lend(self, worker: "_Worker", count: int) -> None:
        try:
            worker.tell(wire.Lent(await self._near.client.calls.lend(count, self._pace.parts)))
        except StopRun as cause:
            worker.tell(wire.Lent(cause))


class _Pulse:
    """How hard Campaign is asked by all workers together; see ``pacing.Pulse``."""

    def __init__(self, near: Local, workers: "list[_Worker]") -> None:
        self._pacer = near.client.pacer
        self._workers = workers

    def __str__(self) -> str:
        facts = self.facts()
        parts = [f"{len(self._workers)} processes", f"{facts['in_flight']} in flight"]
        if facts["rate"] is not None:
            parts.append(f"at most {facts['rate']:.4g}/s")
        return ", ".join([*parts, *self._pacer.waits()])

    def facts(self) -> Mapping[str, Any]:
        """Sum up what the workers tell."""
        told = [worker.facts for worker in self._workers if worker.facts]
        rates = [facts["rate"] for facts in told]
        known = [rate for rate in rates if rate is not None]
        return {
            **self._pacer.facts(),
            "in_flight": sum(facts["in_flight"] or 0 for facts in told),
            "most_in_flight": sum(facts["most_in_flight"] or 0 for facts in told),
            "rate": sum(known) if known and len(known) == len(rates) else None,
            "slowed_by": dict(sum((Counter(facts["slowed_by"]) for facts in told), Counter())),
            "processes": len(self._workers),
        }


class _Round:
    """One piece of work, parts of which are with the workers.

    Attributes:
        done: rows that are done.
        given_back: positions of rows that the workers had, and that may still be done.
    """

    def __init__(
        self, near: Local, work: Work, count: int, note: Callable[[int], None], pulse: _Pulse
    ) -> None:
        self.near = near
        self.work = work
        self._count = count
        self._note = note
        self._pulse = pulse
        self.done = 0
        self.given_back: list[int] = []

    def take_in(self, part: "_InHand", news: wire.News) -> None:
        """Note what has become of some rows."""
        steps, breaker = self.work.steps, self.near.breaker
        ats = [part.positions[n] for n in news.ats]
        steps.state[ats] = news.state
        steps.attempts[ats] = news.attempts
        steps.at_ms[ats] = news.at_ms
        if steps.changed_ms is not None and news.changed_ms is not None:
            steps.changed_ms[ats] = news.changed_ms
        self.work.sent.difference_update(ats)
        self.work.sent.update(part.positions[n] for n in news.sent)
        self.work.cleared.update(part.positions[n] for n in news.cleared)
        for n, at, tries in zip(news.ats, ats, news.attempts.tolist(), strict=True):
            failed_before = at in steps.problems
            problem = news.problems.get(n)
            if problem is not None:
                steps.problems[at] = problem
                breaker.failed(problem, again=failed_before)
            elif tries:
                steps.problems.pop(at, None)
                breaker.succeeded(again=failed_before)
            self.done += bool(tries)
            self._note(at)
        part.left.difference_update(news.ats)
        if news.over:
            self._give_back(part)
        self.near.tell(self.work.name, self.done, self._count, self._pulse)

    def lose(self, part: "_InHand", cause: StopRun) -> None:
        """Note that nobody can tell any more what has become of the rest of a part."""
        self.work.sent.update(part.positions[n] for n in part.left)
        self._give_back(part)
        self.near.stop.ask(cause)

    def _give_back(self, part: "_InHand") -> None:
        self.given_back += [part.positions[n] for n in sorted(part.left)]
        part.left.clear()
        part.over.set()


class _Few(Source):
    """Hands out the first rows of a source, and no more; see ``Source``."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._left = _FIRST_ALONE

    def at_once(self) -> int | None:
        """Tell the next position; None after the last of the first ones, or if there is none."""
        at = self._source.at_once() if self._left > 0 else None
        self._left -= at is not None
        return at

    async def take(self) -> int | None:
        """Tell the next position; None after the last of the first ones."""
        self._left -= 1
        return await self._source.take() if self._left >= 0 else None


class _Left(Source):
    """Hands out what was given back, and then the rest; see ``Source``.

    Attributes:
        positions: what was given back and is not handed out again yet.
    """

    def __init__(self, given_back: Iterable[int], rest: Source) -> None:
        self.positions = deque(sorted(given_back))
        self._rest = rest

    def at_once(self) -> int | None:
        """Tell the next position, if that needs no wait."""
        return self.positions.popleft() if self.positions else self._rest.at_once()

    async def take(self) -> int | None:
        """Tell the next position; None if there is none any more."""
        return self.positions.popleft() if self.positions else await self._rest.take()


class _InHand:
    """A part that a worker has; its rows are known there by their numbers in it."""

    def __init__(self, round_: _Round, positions: list[int]) -> None:
        self.round = round_
        self.positions = positions
        self.left = set(range(len(positions)))
        self.over = asyncio.Event()


class _Worker:
    """A worker process, seen from the run. Belongs to the event loop that makes it.

    Args:
        setup: what it is told first.
    """

    def __init__(self, setup: wire.Setup) -> None:
        self.facts: Mapping[str, Any] = {}
        self._parts: dict[int, _InHand] = {}
        self._begun = 0
        self._inbox: asyncio.Queue[object] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
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
        threading.Thread(target=self._listen, name="worker", daemon=True).start()

    async def carry_out(self, part: _InHand) -> None:
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
            match await self._inbox.get():
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

    async def ended(self) -> None:
        """Wait until the process has ended; one that does not, or is still at work, is ended.

        It is at work only where nobody waits for that any more: at a second signal.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(0 if self._parts else _CLOSING_S):
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
                    self._loop.call_soon_threadsafe(self._inbox.put_nowait, message)
            finally:
                self._loop.call_soon_threadsafe(self._inbox.put_nowait, wire.Silence())


def _lost() -> StopRun:
    return StoppedEarly(
        "A worker process ended unexpectedly: what it said is above, or it was killed, perhaps for "
        "want of memory. What it had in hand is read again before anything else is written."
    )
