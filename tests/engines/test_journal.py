"""Groups of intents and outcomes are recorded in order, ahead of the work, and never lost."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from virtual_time import TOOK_S, Disk, virtually

from bulk_sync.engines.journal import IntentQueue, Record, Recorder
from bulk_sync.errors import StoppedEarly
from bulk_sync.stopping import Stop


class Recorded:
    """A list of groups; from the n-th group on it refuses, as a full disk does."""

    def __init__(self, full_at: int = 1_000_000) -> None:
        self.groups: list[list[int]] = []
        self.attempts = 0
        self._full_at = full_at

    def __call__(self, positions: Sequence[int]) -> None:
        self.attempts += 1
        if len(self.groups) + 1 >= self._full_at:
            raise StoppedEarly("The disk is full.")
        self.groups.append(list(positions))

    @property
    def all(self) -> list[int]:
        return [at for group in self.groups for at in group]


def take_all(
    count: int, record: Record, *, ready: Sequence[int] = (), workers: int = 8
) -> list[int]:
    async def work() -> tuple[list[int], list[int]]:
        stop, got = Stop(), []
        with ThreadPoolExecutor(1) as thread:
            todo = range(100, 100 + count)
            granted = IntentQueue(ready, todo, record, thread, stop)

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


def test_every_position_is_handed_out_once() -> None:
    record = Recorded()
    assert sorted(take_all(1000, record)) == list(range(100, 1100))
    assert record.all == list(range(100, 1100))


def test_ready_positions_need_no_intent() -> None:
    record = Recorded()
    assert sorted(take_all(3, record, ready=[1, 2])) == [1, 2, 100, 101, 102]
    assert record.all == [100, 101, 102]


def test_an_empty_queue_yields_nothing() -> None:
    assert take_all(0, Recorded()) == []


@pytest.mark.parametrize("full_at", [1, 2, 3])
def test_no_position_is_handed_out_without_an_intent(full_at: int) -> None:
    record = Recorded(full_at)
    handed = take_all(5000, record)
    assert set(handed) <= set(record.all)
    assert record.attempts == full_at  # then the run stops


def test_positions_that_were_not_taken_can_be_withdrawn() -> None:
    async def work() -> tuple[list[int], list[int]]:
        stop, record = Stop(), Recorded()
        with ThreadPoolExecutor(1) as thread:
            granted = IntentQueue([], range(10), record, thread, stop)
            got = [await granted.take() for _ in range(3)]
            stop.ask(StoppedEarly("Enough."))
            assert await granted.take() is None
            return [at for at in got if at is not None], await granted.withdraw()

    got, left = asyncio.run(work())
    assert got + left == list(range(10))


def test_intents_that_are_being_recorded_when_the_run_stops_are_withdrawn_too() -> None:
    async def work() -> tuple[int | None, list[int]]:
        stop = Stop()
        queue = IntentQueue([], range(10), lambda _: None, Disk(), stop)
        taking = asyncio.create_task(queue.take())
        await asyncio.sleep(TOOK_S / 2)
        stop.ask(StoppedEarly("Enough."))
        left = await queue.withdraw()
        return await taking, left

    assert virtually(work()) == (None, list(range(10)))


def record_all(positions: Sequence[int], record: Record) -> StoppedEarly | None:
    async def work() -> Stop:
        stop = Stop()
        with ThreadPoolExecutor(1) as thread:
            notes = Recorder(record, thread, stop)
            for at in positions:
                notes.add(at)
                await asyncio.sleep(0)
            await notes.close()
        return stop

    cause = asyncio.run(work()).cause
    assert cause is None or isinstance(cause, StoppedEarly)
    return cause


def test_finished_positions_are_recorded_in_order_to_the_last() -> None:
    record = Recorded()
    assert record_all(range(20_000), record) is None
    assert record.all == list(range(20_000))


def test_a_full_disk_ends_the_run() -> None:
    assert record_all(range(3), Recorded(full_at=1)) is not None


def now() -> float:
    return asyncio.get_running_loop().time()


Pace = Callable[[float], float]


async def run_pass(
    each_s: Pace, seconds: float, **given: float
) -> tuple[dict[int, float], dict[int, float], list[float]]:
    """Finish positions at some pace; return when each was done and recorded, and all records.

    Args:
        each_s: the seconds of a position, by the time since the pass began.
        seconds: the length of the pass.
        given: of ``Recorder``.
    """
    done: dict[int, float] = {}
    recorded: dict[int, float] = {}
    records: list[float] = []
    began = now()

    def record(positions: Sequence[int]) -> None:
        records.append(now() - began)
        recorded.update(dict.fromkeys(positions, now() - began))

    record_all = Recorder(record, Disk(), Stop(), **given)
    while (since := now() - began) < seconds:
        record_all.add(len(done))
        done[len(done)] = since
        await asyncio.sleep(each_s(since))
    await record_all.close()
    return done, recorded, records


def steady(each_s: float) -> Pace:
    return lambda _: each_s


def in_bursts(since: float) -> float:
    """Return the pause after each position: seven seconds after every hundredth."""
    return 7.0 if int(since * 1000) % 100 == 99 else 0.001


@pytest.mark.parametrize(
    ("pace", "seconds", "given", "most_s", "most_records"),
    [
        (steady(0.01), 10, {}, 30, 60),
        (steady(0.003), 100, {}, 30, 120),
        (in_bursts, 2000, {}, 30, 220),
        (steady(2), 6 * 3600, {}, 30, 900),
        (steady(0.05), 60, {"most_s": 0.5}, 0.5, 150),
    ],
    ids=["ten seconds", "two minutes", "bursts", "six hours", "writes"],
)
def test_a_crash_costs_no_more_than_a_twentieth_of_the_work(
    pace: Pace, seconds: float, given: dict[str, float], most_s: float, most_records: int
) -> None:
    done, recorded, records = virtually(run_pass(pace, seconds, **given))
    assert done.keys() == recorded.keys()
    for at, done_at in done.items():
        waits_s = min(most_s, max(0.2, 0.05 * recorded[at]))
        assert recorded[at] - done_at <= waits_s + 3 * TOOK_S, at
    assert len(records) <= most_records


def test_many_at_once_are_recorded_at_once() -> None:
    async def work() -> list[tuple[float, int]]:
        groups: list[tuple[float, int]] = []
        record_all = Recorder(lambda group: groups.append((now(), len(group))), Disk(), Stop())
        record_all.add(0)
        await asyncio.sleep(3600)
        began, before = now(), len(groups)
        for _ in range(3):
            record_all.add_all(range(4096))
            record_all.add_all([])
            await asyncio.sleep(0.1)
        return [(round(at - began, 6), count) for at, count in groups[before:]]

    assert virtually(work()) == [(round(0.1 * number + TOOK_S, 6), 4096) for number in range(3)]


def test_a_position_finished_during_a_record_is_recorded_next() -> None:
    async def work() -> list[int]:
        record = Recorded()
        record_all = Recorder(record, Disk(), Stop())
        record_all.add(0)
        await asyncio.sleep(0.2 + TOOK_S / 2)
        record_all.add(1)
        await asyncio.sleep(1)
        return record.all

    assert virtually(work()) == [0, 1]


@pytest.mark.parametrize("workers", [1, 8, 64])
def test_intents_are_recorded_for_one_second_of_work_ahead_of_it(workers: int) -> None:
    """Each of the workers has an answer every 100 ms."""

    async def work() -> tuple[list[int], float]:
        recorded: set[int] = set()
        handed: set[int] = set()
        groups: list[int] = []
        ahead: list[int] = []

        def record(positions: Sequence[int]) -> None:
            recorded.update(positions)
            groups.append(len(positions))
            ahead.append(len(recorded - handed))

        granted = IntentQueue([], range(5000), record, Disk(), Stop())

        async def worker() -> None:
            while (at := await granted.take()) is not None:
                assert at in recorded
                handed.add(at)
                await asyncio.sleep(0.1)

        began = now()
        async with asyncio.TaskGroup() as group:
            for _ in range(workers):
                group.create_task(worker())
        assert handed == recorded == set(range(5000))
        # Rows in doubt after a crash without need.
        assert max(ahead) <= 2.5 * max(16, 10 * workers)
        return groups, now() - began

    groups, took_s = virtually(work())
    assert groups[0] == 16
    assert all(after <= 3 * before for before, after in pairwise(groups))
    assert max(groups) <= 512
    usual = sorted(groups)[len(groups) // 2]
    assert max(16, 0.5 * 10 * workers) <= usual <= max(16, 1.2 * 10 * workers)
    assert took_s <= 1.1 * 5000 * 0.1 / workers
