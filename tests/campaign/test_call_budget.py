"""How a run takes calls from its budgets: in blocks, and no more than are left."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from bulk_sync.campaign.call_budget import Calls, Grant
from bulk_sync.errors import BudgetSpent, StoppedEarly


class Day:
    """A budget of one day, with the sizes of the blocks taken from it."""

    def __init__(self, most: int = 10_000_000) -> None:
        self.most = most
        self.blocks: list[int] = []

    def take(self, count: int) -> Grant:
        self.blocks.append(count)
        granted = min(count, self.most)
        self.most -= granted
        if not granted:
            raise StoppedEarly("The day is spent.")
        return Grant(granted, "today", time.time() + 3600)

    def left(self) -> int:
        return self.most

    def give_back(self, _day: str, count: int) -> None:
        self.most += count


def run_async(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())


async def send(calls: Calls, count: int) -> None:
    for _ in range(count):
        await calls.allow()
        calls.spend("GET")


@pytest.mark.parametrize(
    ("sent", "most", "block"),
    [
        (0, None, 50),
        (764, None, 50),
        (765, None, 51),
        (29_985, None, 1999),
        (60_000, None, 2000),
        (0, 30, 30),
        (980, 1_000, 20),
        (1_000, 1_000, 1),
    ],
    ids=[
        "at first", "of few", "a fifteenth", "of many", "of very many", "a small run",
        "the last ones", "one more shows that it is spent",
    ],
)  # fmt: skip
def test_a_block_is_a_fifteenth_of_the_calls_so_far_within_bounds(
    sent: int, most: int | None, block: int
) -> None:
    async def blocks() -> list[int]:
        day = Day()
        calls = Calls(most, day)
        calls.by_method["GET"] = sent
        await calls.allow()
        return day.blocks

    assert run_async(blocks)[0] == block


def test_the_next_block_is_taken_when_no_call_is_left() -> None:
    async def blocks() -> list[list[int]]:
        day, found = Day(), []
        calls = Calls(None, day)
        for count in (50, 1):
            await send(calls, count)
            found.append(list(day.blocks))
        assert calls.set_aside == 49
        return found

    assert run_async(blocks) == [[50], [50] * 2]


def test_the_calls_left_are_those_of_the_smaller_budget() -> None:
    async def left() -> list[int | None]:
        found = [await Calls().left(), await Calls(7).left(), await Calls(None, Day(5)).left()]
        calls = Calls(7, Day(100))
        await send(calls, 3)
        found.append(await calls.left())
        calls = Calls(200, Day(100))
        await send(calls, 3)
        assert calls.set_aside == 47
        return [*found, await calls.left()]

    assert run_async(left) == [None, 7, 5, 4, 97]


def test_a_call_beyond_the_budget_of_the_run_is_put_back() -> None:
    async def spent() -> tuple[int, int, int]:
        day = Day(100)
        calls = Calls(3, day)
        await send(calls, 3)
        await calls.allow()
        with pytest.raises(BudgetSpent, match="The budget of 3 calls is spent"):
            calls.spend("GET")
        await calls.close()
        return calls.total, calls.set_aside, day.most

    assert run_async(spent) == (3, 0, 97)


@pytest.mark.parametrize("is_sent", [False, True], ids=["put back", "sent"])
@pytest.mark.parametrize("turns", [0, 20], ids=["while it asks for more", "while it waits"])
def test_a_spent_day_waits_for_calls_that_may_be_put_back(*, turns: int, is_sent: bool) -> None:
    async def worked() -> tuple[bool, int]:
        calls = Calls(None, Day(1))
        await calls.allow()
        waiting = asyncio.create_task(calls.allow())
        await asyncio.sleep(0)
        for _ in range(turns):
            await asyncio.to_thread(int)
        calls.spend("GET") if is_sent else calls.put_back()
        (ended,) = await asyncio.gather(asyncio.wait_for(waiting, 30), return_exceptions=True)
        if not is_sent:
            calls.spend("GET")
        _, still_waiting = await asyncio.wait([asyncio.create_task(calls.allow())], timeout=30)
        assert not still_waiting
        return isinstance(ended, StoppedEarly), calls.set_aside

    assert run_async(worked) == (is_sent, 0)


def test_waiting_for_a_call_to_be_put_back_makes_no_further_requests() -> None:
    async def worked() -> list[int]:
        day, blocks = Day(2), []
        calls = Calls(None, day)
        await calls.allow()
        calls.put_back()
        for _ in range(2):
            await calls.allow()
        waiting = asyncio.create_task(calls.allow())
        for _ in range(20):
            await asyncio.to_thread(int)
            blocks.append(len(day.blocks))
        calls.put_back()
        await waiting
        return blocks[10:]

    assert len(set(run_async(worked))) == 1


def test_the_least_useful_budget_counts_the_calls_so_far() -> None:
    async def needed() -> tuple[int, int, bool, bool]:
        day = Calls(None, Day())
        await send(day, 3)
        before = day.least
        day.need(5)
        return before, day.least, day.has_budget, Calls(7).has_budget

    assert run_async(needed) == (0, 8, True, False)
