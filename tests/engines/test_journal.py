"""Groups of intents and outcomes: recorded in order, ahead of the work, and never lost."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from bulk_sync.engines.journal import Granted, Kept, Record
from bulk_sync.errors import StoppedEarly
from bulk_sync.stopping import Stop


class Recorded:
    """Takes groups down; from the n-th on it refuses, as a full disk would."""

    def __init__(self, full_at: int = 1_000_000) -> None:
        self.groups: list[list[int]] = []
        self._full_at = full_at

    def __call__(self, positions: Sequence[int]) -> None:
        if len(self.groups) + 1 >= self._full_at:
            raise StoppedEarly("The disk is full.")
        self.groups.append(list(positions))

    @property
    def all(self) -> list[int]:
        return [at for group in self.groups for at in group]


def taken(count: int, record: Record, *, ready: Sequence[int] = (), workers: int = 8) -> list[int]:
    async def work() -> tuple[list[int], list[int]]:
        stop, got = Stop(), []
        with ThreadPoolExecutor(1) as thread:
            todo = range(100, 100 + count)
            granted = Granted(ready, todo, record, thread, stop)

            async def worker() -> None:
                while (at := await granted.take()) is not None:
                    got.append(at)
                    await asyncio.sleep(0)

            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(worker())
            return got, await granted.withdraw()

    got, left = asyncio.run(work())
    assert not set(got) & set(left)
    return got


def test_every_position_is_handed_out_once_after_its_intent() -> None:
    record = Recorded()
    handed: list[int] = []

    def watched(positions: Sequence[int]) -> None:
        assert not set(positions) & set(handed)
        record(positions)

    handed += taken(1000, watched)
    assert sorted(handed) == list(range(100, 1100))
    assert record.all == list(range(100, 1100))
    assert all(len(group) <= 512 for group in record.groups)


def test_what_is_ready_needs_no_intent() -> None:
    record = Recorded()
    assert sorted(taken(3, record, ready=[1, 2])) == [1, 2, 100, 101, 102]
    assert record.all == [100, 101, 102]


def test_nothing_is_handed_out_for_nothing() -> None:
    assert taken(0, Recorded()) == []


@pytest.mark.parametrize("full_at", [1, 2, 3])
def test_without_an_intent_nothing_is_handed_out(full_at: int) -> None:
    record = Recorded(full_at)
    handed = taken(5000, record)
    assert set(handed) <= set(record.all)


def test_what_was_granted_and_not_taken_can_be_withdrawn() -> None:
    async def work() -> tuple[list[int], list[int]]:
        stop, record = Stop(), Recorded()
        with ThreadPoolExecutor(1) as thread:
            granted = Granted([], range(10), record, thread, stop)
            got = [await granted.take() for _ in range(3)]
            stop.ask(StoppedEarly("Enough."))
            assert await granted.take() is None
            return [at for at in got if at is not None], await granted.withdraw()

    got, left = asyncio.run(work())
    assert got + left == list(range(10))


def kept(positions: Sequence[int], record: Record) -> StoppedEarly | None:
    async def work() -> Stop:
        stop = Stop()
        with ThreadPoolExecutor(1) as thread:
            notes = Kept(record, thread, stop)
            for at in positions:
                notes.note(at)
                await asyncio.sleep(0)
            await notes.close()
        return stop

    cause = asyncio.run(work()).cause
    assert cause is None or isinstance(cause, StoppedEarly)
    return cause


def test_what_is_done_is_recorded_in_order_and_to_the_last() -> None:
    record = Recorded()
    assert kept(range(20_000), record) is None
    assert record.all == list(range(20_000))


def test_a_full_disk_ends_the_run() -> None:
    assert kept(range(3), Recorded(full_at=1)) is not None
