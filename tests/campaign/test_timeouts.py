"""Timeouts in virtual time: late requests end, and no others."""

import asyncio
from collections.abc import Awaitable
from contextlib import suppress

import pytest
from virtual_time import virtually

from bulk_sync.campaign.timeouts import Timeouts

TIMEOUT_S = 5.0


async def wait_for_answer(deadlines: Timeouts, answer: Awaitable[object]) -> str:
    """Wait for an answer as the transport does, with a ``TimeoutError`` after the deadline."""
    task = deadlines.begin()
    try:
        await answer
    except asyncio.CancelledError:
        if not deadlines.has_passed(task):
            raise
        raise TimeoutError from None
    else:
        return "in time"
    finally:
        deadlines.end(task)


def now_s() -> float:
    return asyncio.get_running_loop().time()


def cancelling() -> int:
    task = asyncio.current_task()
    assert task is not None
    return task.cancelling()


async def timed(deadlines: Timeouts, takes_s: float) -> tuple[str, float, int]:
    """Return how a request ended, its seconds, and the cancellations left."""
    began = now_s()
    try:
        ended = await wait_for_answer(deadlines, asyncio.sleep(takes_s))
    except TimeoutError:
        ended = "late"
    return ended, now_s() - began, cancelling()


def test_late_requests_end_at_their_timeout_and_others_do_not() -> None:
    async def several() -> list[tuple[str, float, int]]:
        deadlines = Timeouts(TIMEOUT_S)

        async def begun_after(wait_s: float, takes_s: float) -> tuple[str, float, int]:
            await asyncio.sleep(wait_s)
            return await timed(deadlines, takes_s)

        starts = [(0.0, 60.0), (0.0, 4.9), (1.0, 4.9), (2.0, 60.0), (3.0, 1.0), (30.0, 60.0)]
        return await asyncio.gather(*(begun_after(*start) for start in starts))

    ended = virtually(several())
    assert [how for how, _, _ in ended] == ["late", "in time", "in time", "late", "in time", "late"]
    assert [took for _, took, _ in ended] == pytest.approx([5.0, 4.9, 4.9, 5.0, 1.0, 5.0])
    assert {left for _, _, left in ended} == {0}


def test_a_shorter_timeout_holds_for_requests_in_flight_and_for_later_ones() -> None:
    async def ended() -> list[tuple[str, float, int]]:
        deadlines = Timeouts(TIMEOUT_S)
        asyncio.get_running_loop().call_later(1.0, deadlines.shorten, 2.0)

        async def begun_after(wait_s: float, takes_s: float) -> tuple[str, float, int]:
            await asyncio.sleep(wait_s)
            return await timed(deadlines, takes_s)

        starts = [(0.0, 60.0), (0.0, 2.9), (0.5, 60.0), (2.0, 60.0), (2.0, 1.9)]
        return await asyncio.gather(*(begun_after(*start) for start in starts))

    how, took, left = zip(*virtually(ended()), strict=True)
    assert how == ("late", "in time", "late", "late", "in time")
    assert took == pytest.approx([3.0, 2.9, 2.5, 2.0, 1.9])
    assert set(left) == {0}


def test_no_timeout_is_lengthened() -> None:
    async def ended() -> tuple[str, float, int]:
        deadlines = Timeouts(TIMEOUT_S)
        deadlines.shorten(2 * TIMEOUT_S)
        return await timed(deadlines, 60.0)

    how, took, left = virtually(ended())
    assert (how, left) == ("late", 0)
    assert took == pytest.approx(TIMEOUT_S)


def test_a_task_has_a_new_deadline_for_every_request() -> None:
    async def one_after_the_other() -> list[tuple[str, float, int]]:
        deadlines = Timeouts(TIMEOUT_S)
        return [await timed(deadlines, takes_s) for takes_s in (4.0, 4.0, 60.0, 4.0, 60.0)]

    ended = virtually(one_after_the_other())
    assert [how for how, _, _ in ended] == ["in time", "in time", "late", "in time", "late"]
    assert [took for _, took, _ in ended] == pytest.approx([4.0, 4.0, 5.0, 4.0, 5.0])
    assert {left for _, _, left in ended} == {0}


def test_an_answer_that_comes_with_the_deadline_is_late_and_leaves_nothing_behind() -> None:
    async def answered_when_due() -> int:
        loop, deadlines = asyncio.get_running_loop(), Timeouts(TIMEOUT_S)
        answer = loop.create_future()
        loop.call_later(TIMEOUT_S, answer.set_result, None)
        with pytest.raises(TimeoutError):
            await wait_for_answer(deadlines, answer)
        return cancelling()

    assert virtually(answered_when_due()) == 0


def test_a_deadline_after_the_answer_is_withdrawn() -> None:
    async def answered_all_the_same() -> tuple[int, str]:
        deadlines = Timeouts(TIMEOUT_S)
        task = deadlines.begin()
        with suppress(asyncio.CancelledError):  # a library that has its answer may do this
            await asyncio.sleep(60.0)
        deadlines.end(task)
        return cancelling(), await wait_for_answer(deadlines, asyncio.sleep(4.0))

    assert virtually(answered_all_the_same()) == (0, "in time")


@pytest.mark.parametrize("after_s", [1.0, TIMEOUT_S], ids=["before it is due", "when it is due"])
def test_a_task_cancelled_by_another_is_not_late(after_s: float) -> None:
    async def cancelled() -> None:
        task = asyncio.create_task(wait_for_answer(Timeouts(TIMEOUT_S), asyncio.sleep(60.0)))
        asyncio.get_running_loop().call_later(after_s, task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task

    virtually(cancelled())
