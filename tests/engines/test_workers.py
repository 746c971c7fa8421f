"""Workers take their rows while others wait for another try; in virtual time."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

from virtual_time import virtually

from bulk_sync.campaign.call_budget import Calls
from bulk_sync.campaign.client import Client
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.engines.breaker import Breaker
from bulk_sync.engines.workers import Workers
from bulk_sync.rows.results import Steps
from bulk_sync.settings import Failures, Pace
from bulk_sync.stopping import Stop

ROWS = 100
WAIT_S = 30.0


@dataclass
class Waiting:
    """Work without requests, of which the first row waits alone for another try."""

    steps: Steps = field(default_factory=lambda: Steps.of(ROWS))
    name: str = "read"
    calls_each: int = 1
    done: list[int] = field(default_factory=list)

    async def one(self, client: Client, stop: Stop, at: int) -> None:
        await asyncio.sleep(0.05)
        if at == 0:
            with client.pacer.backing_off():
                await stop.sleep(WAIT_S)
        self.done.append(at)


@dataclass
class InOrder:
    """Hands out positions in their order."""

    positions: Iterator[int] = field(default_factory=lambda: iter(range(ROWS)))

    def take_now(self) -> int | None:
        return next(self.positions, None)

    async def take(self) -> int | None:
        return self.take_now()


def test_a_row_that_waits_alone_for_another_try_holds_no_other_row_up() -> None:
    async def work() -> tuple[list[int], float]:
        loop, stop, waiting = asyncio.get_running_loop(), Stop(), Waiting()
        pacer = Pacer(Pace(concurrency=1), stop, loop.time)
        client = cast("Client", SimpleNamespace(pacer=pacer, calls=Calls()))
        local = Workers(client, stop, lambda *_: None, Breaker(stop, Failures(), "ccpaOptOut"))
        began = loop.time()
        await local.carry_out(waiting, InOrder(), ROWS, lambda _: None)
        return waiting.done, loop.time() - began

    done, took_s = virtually(work())
    assert done == [*range(1, ROWS), 0]
    assert took_s < WAIT_S + 0.1
