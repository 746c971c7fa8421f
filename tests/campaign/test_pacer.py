"""The pacer's own reports, and single waits, in virtual time."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from virtual_time import busy, too_many, virtually

from bulk_sync.campaign.concurrency import FIRST_IN_FLIGHT
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.errors import Interrupted
from bulk_sync.settings import Pace
from bulk_sync.stopping import Stop


def with_pacer(pace: Pace, work: Callable[[Pacer], Coroutine[Any, Any, Any]]) -> Any:
    """Run some work with a pacer of its own."""

    async def worked() -> Any:
        return await work(Pacer(pace, Stop(), asyncio.get_running_loop().time))

    return virtually(worked())


async def one_call(pacer: Pacer, took_s: float = 0.25) -> None:
    sent_at = await pacer.acquire()
    await asyncio.sleep(took_s)
    pacer.release()
    pacer.went_well(sent_at)


def test_the_pace_is_shown_as_far_as_it_is_known() -> None:
    async def texts(pacer: Pacer) -> list[str]:
        lines = [str(pacer)]
        await one_call(pacer)
        await pacer.acquire()
        lines.append(str(pacer))
        pacer.hold(too_many(30.0))
        await asyncio.sleep(10.0)
        return [*lines, str(pacer)]

    assert with_pacer(Pace(), texts) == [
        "0 in flight",
        "1 in flight, answers in 255 ms",
        "1 in flight, answers in 255 ms, waiting 20 s as Campaign asks (http_429)",
    ]


@pytest.mark.parametrize(
    ("rate", "shown"),
    [(7.5, "7.5"), (50, "50"), (99.94, "99.9"), (100.4, "100"), (1000, "1,000")],
    ids=str,
)
def test_a_rate_is_shown_to_three_digits(rate: float, shown: str) -> None:
    async def texts(pacer: Pacer) -> str:
        return str(pacer)

    assert with_pacer(Pace(rate=rate), texts) == f"0 in flight, at most {shown}/s"


def test_the_log_gets_counts_and_causes() -> None:
    async def facts(pacer: Pacer) -> list[dict[str, Any]]:
        found = [dict(pacer.facts())]
        await one_call(pacer)
        await pacer.acquire()
        pacer.hold(too_many(30.0))
        await asyncio.sleep(10.0)
        return [*found, dict(pacer.facts())]

    before, after = with_pacer(Pace(rate=7.12345, concurrency=5), facts)
    nothing = {"held_seconds": 0, "throttled_seconds": 0, "throttled_by": {}, "slowed_by": {}}
    at_most = {"most_in_flight": 5, "rate": 7.123}
    assert before == {"in_flight": 0, **at_most, "latency_seconds": None, **nothing}
    latency = after.pop("latency_seconds")
    assert latency == {"p50": pytest.approx(0.25, rel=0.03), "p95": pytest.approx(0.25, rel=0.03)}
    assert after == {
        "in_flight": 1,
        **at_most,
        "held_seconds": 20,
        "throttled_seconds": 10,
        "throttled_by": {"http_429": 10},
        "slowed_by": {},
    }


def test_a_rate_that_campaign_allows_counts_if_it_is_less_than_the_given_one() -> None:
    async def rates(pacer: Pacer) -> list[float | None]:
        found = [pacer.rate]
        for given in (pacer, Pacer(Pace(rate=0.01), Stop(), asyncio.get_running_loop().time)):
            await one_call(given)
            given.hold(too_many(1.0))
            await asyncio.sleep(1.0)
            await one_call(given)
            found.append(given.rate)
        return found

    given, learnt, low = with_pacer(Pace(rate=50), rates)
    assert given == 50
    assert 0.1 <= learnt < 50
    assert low == 0.01


def test_waits_of_a_429_without_one_double_up_to_a_minute_until_a_call_goes_well() -> None:
    async def waits(pacer: Pacer) -> list[float]:
        found = []
        for good in (False,) * 8 + (True, False):
            if good:
                await one_call(pacer)
            pacer.hold(too_many(None))
            found.append(round(pacer.held_for_s, 3))
            pacer.hold(too_many(0.0))
            assert round(pacer.held_for_s, 3) == found[-1]  # of a request from before the wait
            await asyncio.sleep(found[-1])
            await pacer.acquire()
            pacer.release()
        return found

    assert with_pacer(Pace(), waits) == [1, 2, 4, 8, 16, 32, 60, 60, 1, 2]


def test_the_longer_of_two_waits_counts_and_each_second_once() -> None:
    async def held(pacer: Pacer) -> tuple[dict[str, float], float]:
        pacer.hold(too_many(10.0))
        await asyncio.sleep(4.0)
        pacer.hold(too_many(3.0))
        pacer.hold(too_many(8.0))
        began = asyncio.get_running_loop().time()
        sent_at = await pacer.acquire()
        return dict(pacer.held_s), sent_at - began

    assert with_pacer(Pace(), held) == ({"http_429": pytest.approx(12)}, pytest.approx(8))


def test_many_errors_cut_the_load_name_the_cause_and_hold_for_two_responses() -> None:
    async def slowed(pacer: Pacer) -> tuple[list[int], dict[str, int], list[float]]:
        await one_call(pacer, took_s=0.5)
        limits, held = [pacer.limit], []
        for _ in range(FIRST_IN_FLIGHT):
            pacer.was_too_much("http_503")
            limits.append(pacer.limit)
            held.append(round(pacer.held_for_s, 1))
        pacer.was_lost("connection")
        await asyncio.sleep(1.0)
        pacer.was_lost("connection")
        return limits, dict(pacer.facts()["slowed_by"]), held

    limits, slowed_by, held = with_pacer(Pace(), slowed)
    assert limits == [FIRST_IN_FLIGHT] * 10 + [int(FIRST_IN_FLIGHT * 0.7)] * 7
    assert slowed_by == {"http_503": 1, "connection": 1}
    assert held == [0] * 9 + [1.0] * 7


def test_the_log_has_a_smaller_load_every_thirty_seconds_at_most(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def cut(pacer: Pacer) -> None:
        for _ in range(FIRST_IN_FLIGHT):
            pacer.was_lost("connection")
        for pause_s in (29.0, 2.0):
            await asyncio.sleep(pause_s)
            pacer.was_lost("connection")

    caplog.set_level(logging.INFO)
    with_pacer(Pace(), cut)
    found = [each.getMessage().partition(": ")[2] for each in caplog.records]
    limits = (int(FIRST_IN_FLIGHT * 0.7), int(FIRST_IN_FLIGHT * 0.7**3))
    assert found == [f"at most {limit} requests are in flight for now" for limit in limits]


def test_a_wait_for_one_request_holds_all_only_during_many_errors() -> None:
    async def held(pacer: Pacer) -> list[float]:
        pacer.hold(busy(30.0))
        found = [pacer.held_for_s]
        for _ in range(FIRST_IN_FLIGHT):
            pacer.was_lost("connection")
        pacer.hold(busy(30.0))
        return [*found, pacer.held_for_s]

    assert with_pacer(Pace(), held) == [0.0, pytest.approx(30.0)]


def test_the_log_has_the_time_when_a_run_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    async def held(pacer: Pacer) -> None:
        for _ in range(FIRST_IN_FLIGHT):
            pacer.was_lost("connection")
        pacer.hold(busy(3600.0))

    caplog.set_level(logging.INFO)
    began = datetime.now(UTC)
    with_pacer(Pace(), held)
    goes_on = caplog.messages[-1].rpartition(" at ")[2]
    assert timedelta(minutes=59) < datetime.fromisoformat(goes_on) - began < timedelta(minutes=61)


def test_who_listens_hears_of_each_request_that_begins_to_back_off() -> None:
    async def heard(pacer: Pacer) -> list[int]:
        found: list[int] = []
        with pacer.backing_off():
            pass
        listening = pacer.listening(lambda: found.append(pacer.workers))
        with listening, pacer.backing_off(), pacer.backing_off():
            pass
        with pacer.backing_off():
            pass
        return found

    assert with_pacer(Pace(concurrency=4), heard) == [5, 6]


def test_a_stopped_run_waits_for_no_turn() -> None:
    async def asked(pacer: Pacer) -> Any:
        stop = Stop()
        pacer = Pacer(Pace(concurrency=1), stop, asyncio.get_running_loop().time)
        stop.ask(Interrupted("Stopped."))
        await pacer.acquire()
        return await asyncio.gather(pacer.acquire(), return_exceptions=True)

    (ended,) = with_pacer(Pace(), asked)
    assert isinstance(ended, Interrupted)
