"""What surrounds the work of a pass: when it is recorded what became of a write."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import cast

from virtual_time import TOOK_S, Disk, virtually

from bulk_sync.campaign.call_budget import Calls
from bulk_sync.campaign.client import Client
from bulk_sync.engines.journal import Source
from bulk_sync.engines.passes import Pass
from bulk_sync.engines.work import Work
from bulk_sync.engines.workers import Workers
from bulk_sync.engines.write import Writes, write
from bulk_sync.rows.results import Steps
from bulk_sync.stopping import Stop

ROWS = 400


@dataclass
class OneByOne:
    """Carries out work without any request: a row every 240 ms, in virtual time."""

    done: dict[int, float] = field(default_factory=dict)

    async def carry_out(
        self,
        work: Work,
        source: Source,
        count: int,
        note: Callable[[int], None],
        done: int = 0,
        total: int | None = None,
    ) -> None:
        del count, done, total
        while (at := await source.take()) is not None:
            await asyncio.sleep(0.24)
            work.steps.done(at, 1, 1, state=True)
            self.done[at] = asyncio.get_running_loop().time()
            note(at)


@dataclass
class Noted:
    """Notes when outcomes were recorded."""

    settled: dict[int, float] = field(default_factory=dict)

    def intend(self, positions: Sequence[int]) -> None:
        assert not self.settled.keys() & set(positions)

    def settle(self, positions: Sequence[int]) -> None:
        self.settled |= dict.fromkeys(positions, asyncio.get_running_loop().time())


@dataclass
class Nobody:
    """A client that sends nothing: its budget alone is asked for."""

    calls: Calls = field(default_factory=lambda: Calls(None))


def shared_by(engine: OneByOne) -> Pass:
    client, local = cast("Client", Nobody()), cast("Workers", engine)
    return Pass(client, local, Stop(), lambda *_: None, "ccpaOptOut", Disk())


KEYS = [f"@{number}" for number in range(ROWS)]


def test_an_outcome_is_recorded_within_half_a_second_however_long_the_pass() -> None:
    engine, journal = OneByOne(), Noted()

    async def work() -> None:
        writes = Writes(KEYS, [True] * ROWS, Steps.of(ROWS))
        await write(shared_by(engine), writes, journal)

    virtually(work())
    assert engine.done.keys() == journal.settled.keys() == set(range(ROWS))
    assert max(journal.settled[at] - engine.done[at] for at in engine.done) <= 0.5 + 3 * TOOK_S
