"""Workers go on while a row backs off, and outcomes are recorded beside them; in virtual time."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from virtual_time import TOOK_S, Disk, virtually

from bulk_sync.campaign.call_budget import Calls
from bulk_sync.campaign.client import Client
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.engines.breaker import Breaker
from bulk_sync.engines.journal import ReadyQueue
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.workers import Workers
from bulk_sync.engines.write import Writes, write
from bulk_sync.rows.results import Steps
from bulk_sync.settings import Failures, Keys, Pace
from bulk_sync.stopping import Stop

ROWS = 400
WAIT_S = 30.0


def now() -> float:
    return asyncio.get_running_loop().time()


@dataclass
class SlowClient:
    """A client whose every write takes 240 ms."""

    pacer: Pacer
    calls: Calls = field(default_factory=Calls)
    done: dict[str, float] = field(default_factory=dict)

    async def write(self, key: str, *, desired: bool) -> int:
        del desired
        await asyncio.sleep(0.24)
        self.done[key] = now()
        return 1


def one_by_one() -> tuple[Workers, SlowClient]:
    stop = Stop()
    client = SlowClient(Pacer(Pace(concurrency=1), stop, now))
    breaker = Breaker(stop, Failures(), "ccpaOptOut")
    workers = Workers(cast("Client", client), stop, lambda *_: None, breaker, "ccpaOptOut", Disk())
    return workers, client


@dataclass
class Waiting:
    """Work without requests; its first row backs off alone."""

    steps: Steps = field(default_factory=lambda: Steps.blank(ROWS))
    name: str = "read"
    calls_each: int = 1
    done: list[int] = field(default_factory=list)

    async def do_row(self, client: Client, stop: Stop, at: int) -> None:
        await asyncio.sleep(0.05)
        if at == 0:
            with client.pacer.backing_off():
                await stop.sleep(WAIT_S)
        self.done.append(at)


def test_a_row_that_backs_off_alone_delays_no_other_row() -> None:
    async def work() -> tuple[list[int], float]:
        workers, _ = one_by_one()
        waiting, began = Waiting(), now()
        await workers.carry_out(waiting, ReadyQueue(range(ROWS)), ROWS, lambda _: None)
        return waiting.done, now() - began

    done, took_s = virtually(work())
    assert done == [*range(1, ROWS), 0]
    assert took_s < WAIT_S + 0.1


@dataclass
class Journal:
    """A journal with the time of each recorded outcome."""

    intended: set[int] = field(default_factory=set)
    settled: dict[int, float] = field(default_factory=dict)

    def intend(self, positions: Sequence[int]) -> None:
        self.intended.update(positions)

    def settle(self, positions: Sequence[int]) -> None:
        assert self.intended >= set(positions)
        self.settled |= dict.fromkeys(positions, now())


def test_an_outcome_is_recorded_within_half_a_second_however_long_the_pass() -> None:
    journal, keys = Journal(), [f"@{number}" for number in range(ROWS)]

    async def work() -> SlowClient:
        workers, client = one_by_one()
        resolver = Resolver(Keys(), "ccpaOptOut")
        await write(workers, Writes(keys, [True] * ROWS, Steps.blank(ROWS), resolver), journal)
        return client

    done = virtually(work()).done
    assert list(done) == keys
    waits = [journal.settled[at] - done[key] for at, key in enumerate(keys)]
    assert max(waits) <= 0.5 + 3 * TOOK_S
