"""One of several processes that share a run's work; ``handle`` starts it.

It has an event loop and a client of its own and carries out whatever parts it is given. It decides
nothing: which rows, how hard, how many calls and when to end is told by the run, over the pipe
that is its standard input. If that ends, the run is dead, and nothing more may be sent: the
process ends at once. Signals are the run's affair.
"""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import Any, Final

from bulk_sync import garbage
from bulk_sync.campaign.calls import Grant
from bulk_sync.campaign.client import Client, connected
from bulk_sync.engines.breaker import Breaker
from bulk_sync.engines.journal import Source
from bulk_sync.engines.local import Local, loop_factory
from bulk_sync.engines.processes import wire
from bulk_sync.errors import StopRun
from bulk_sync.interrupts import CAUSES
from bulk_sync.outcomes import Outcome
from bulk_sync.settings import Failures
from bulk_sync.stopping import Stop

_NEWS_S: Final = 0.2
"""Seconds after which the run is told what is done."""


class _Loans:
    """The calls that the run lends; see ``campaign.calls.Budget``."""

    def __init__(self, tell: wire.Mouth) -> None:
        self._tell = tell
        self.answers: SimpleQueue[Grant | StopRun] = SimpleQueue()

    def take(self, count: int) -> Grant:
        self._tell(wire.Borrow(count))
        grant = self.answers.get()
        if isinstance(grant, StopRun):
            raise grant
        return grant

    def left(self) -> None:
        """Tell nothing: the run knows."""

    def give_back(self, day: str, count: int) -> None:
        self._tell(wire.Return(day, count))


class _Retired(StopRun):
    """Others go on; the run is not to end."""


class _Carried:
    """A part that is being carried out, and which of its rows are done and not told yet."""

    def __init__(self, part: wire.Part, stop: Stop) -> None:
        self.part = part
        self._stop = stop
        self._done: list[int] = []

    def note(self, at: int) -> None:
        """Take note that a row is done, unless it is for others to go on with."""
        if not (isinstance(self._stop.cause, _Retired) and self._may_be_tried(at)):
            self._done.append(at)

    def _may_be_tried(self, at: int) -> bool:
        """Tell whether a row was not begun, or failed for what may have passed by now."""
        steps = self.part.work.steps
        problem = steps.problems.get(at)
        if problem is None:
            return not steps.attempts[at]
        return problem.passing or problem.outcome is Outcome.PENDING

    def has_news(self) -> bool:
        """Tell whether any row is done that was not told yet."""
        return bool(self._done)

    def news(self, *, over: bool) -> wire.News:
        """Tell what is done since the last time."""
        ats, self._done = self._done, []
        steps, sent = self.part.work.steps, self.part.work.sent
        return wire.News(
            number=self.part.number,
            ats=ats,
            state=steps.state[ats],
            attempts=steps.attempts[ats],
            at_ms=steps.at_ms[ats],
            changed_ms=None if steps.changed_ms is None else steps.changed_ms[ats],
            problems={at: steps.problems[at] for at in ats if at in steps.problems},
            sent=frozenset(sent if over else sent.intersection(ats)),
            cleared=frozenset(self.part.work.cleared),
            over=over,
        )


class _Rows(Source):
    """Hands out the rows of a part, and lets the next part begin when there is none any more.

    While two parts are handed out at once, twice as many requests want to be sent as may be.
    """

    def __init__(self, count: int, turn: asyncio.Lock) -> None:
        self._left = iter(range(count))
        self._turn: asyncio.Lock | None = turn

    def at_once(self) -> int | None:
        """Tell the next row; None after the last."""
        at = next(self._left, None)
        if at is None:
            self.end()
        return at

    def end(self) -> None:
        """Let the next part begin, if it may not yet."""
        if self._turn is not None:
            self._turn.release()
            self._turn = None


class _Worker:
    """Carries out parts, and tells of them. Belongs to one event loop."""

    def __init__(self, client: Client, stop: Stop, tell: wire.Mouth) -> None:
        self.inbox: asyncio.Queue[Any] = asyncio.Queue()
        self._client = client
        self._stop = stop
        self._tell = tell
        self._carried: set[_Carried] = set()
        self._turn = asyncio.Lock()
        self._told_methods: Counter[str] = Counter()
        self._told_status: Counter[str] = Counter()
        self._told_latency: Counter[int] = Counter()
        # When to give up is decided where all rows are known.
        breaker = Breaker(stop, Failures(most=None, alike=None), "")
        self._engine = Local(client, stop, lambda *_: None, breaker)

    async def work(self) -> None:
        """Do what is told, until it is enough."""
        async with asyncio.TaskGroup() as tasks:
            telling = tasks.create_task(self._tell_regularly())
            while True:
                match await self.inbox.get():
                    case wire.Part() as part:
                        carried = _Carried(part, self._stop)
                        self._carried.add(carried)
                        tasks.create_task(self._carry(carried))
                    case wire.Hold(seconds, why):
                        self._client.pacer.hold_for(seconds, why)
                    case wire.Retire():
                        self._stop.ask(_Retired())
                    case wire.End(cause):
                        self._stop.ask(cause)
                    case wire.Close():
                        telling.cancel()
                        return

    async def _carry(self, carried: _Carried) -> None:
        work = carried.part.work
        count = len(work.steps.state)
        await self._turn.acquire()
        rows = _Rows(count, self._turn)
        await self._engine.carry_out(work, rows, count, carried.note)
        rows.end()
        self._carried.remove(carried)
        self._tell_spent()  # before calls are waited for: what is not told of counts as lent
        if not self._carried:
            await self._client.calls.close()  # nobody needs them here
        self._tell(carried.news(over=True))

    async def _tell_regularly(self) -> None:
        while True:
            await asyncio.sleep(_NEWS_S)
            if self._carried:
                self._tell_spent()
            for carried in self._carried:
                if carried.has_news():
                    self._tell(carried.news(over=False))

    def _tell_spent(self) -> None:
        calls, pacer = self._client.calls, self._client.pacer
        spent = wire.Spent(
            by_method=calls.by_method - self._told_methods,
            by_status=calls.by_status - self._told_status,
            latency=Counter(pacer.latency.counts) - self._told_latency,
            facts=pacer.facts(),
        )
        self._told_methods.update(spent.by_method)
        self._told_status.update(spent.by_status)
        self._told_latency.update(spent.latency)
        self._tell(spent)


class _Log(logging.Handler):
    """Has the run say what is logged here."""

    def __init__(self, tell: wire.Mouth) -> None:
        super().__init__()
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(wire.Said(record.name, record.levelno, record.getMessage()))


async def _work(setup: wire.Setup, orders: Iterator[Any], tell: wire.Mouth) -> None:
    loop, stop, loans = asyncio.get_running_loop(), Stop(), _Loans(tell)
    async with connected(setup.connection, setup.pace, stop, loans) as client:
        worker = _Worker(client, stop, tell)

        def listen() -> None:
            is_closed = False
            try:
                for message in orders:
                    if isinstance(message, wire.Lent):
                        loans.answers.put(message.grant)  # whoever borrows waits in a thread
                        continue
                    loop.call_soon_threadsafe(worker.inbox.put_nowait, message)
                    is_closed = isinstance(message, wire.Close)
                    if is_closed:
                        return
            finally:
                if not is_closed:
                    os._exit(1)  # the run is dead, or not to be understood

        stop.on_asked(partial(_tell_cause, stop, tell))
        client.pacer.on_held(lambda seconds, why: tell(wire.Hold(seconds, why)))
        threading.Thread(target=listen, name="orders", daemon=True).start()
        tell(wire.Ready())
        await worker.work()


def _tell_cause(stop: Stop, tell: wire.Mouth) -> None:
    if stop.cause is not None and not isinstance(stop.cause, _Retired):
        tell(wire.End(stop.cause))


def main() -> None:
    """Work until the run says that it is enough, or is gone."""
    garbage.spare_imports()
    for number in CAUSES:
        signal.signal(number, signal.SIG_IGN)
    orders = wire.messages(sys.stdin.buffer)
    tell = wire.Mouth(os.fdopen(os.dup(1), "wb"))
    os.dup2(2, 1)  # whatever is printed here is no message
    setup = next(orders)
    logging.basicConfig(handlers=[_Log(tell)], level=logging.WARNING, force=True)
    logging.getLogger("bulk_sync").setLevel(setup.log_level)
    with asyncio.Runner(loop_factory=loop_factory()) as runner, suppress(asyncio.CancelledError):
        runner.run(_work(setup, orders, tell))
