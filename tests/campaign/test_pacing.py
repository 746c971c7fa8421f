"""The rates and loads that the pacer reaches, in virtual time."""

import asyncio
import math
from bisect import bisect_left
from collections import Counter
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest
from virtual_time import (
    AtOnce,
    Bucket,
    BusyLoop,
    Failing,
    FarEnd,
    Slowing,
    Window,
    busy,
    calls,
    too_many,
    virtually,
)

from bulk_sync.campaign.concurrency import FIRST_IN_FLIGHT
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.errors import Interrupted, StopRun
from bulk_sync.settings import Pace
from bulk_sync.stopping import Stop

CALLS = 20_000
SHARE = 0.8


def most_within(seconds: float, sent: list[float]) -> int:
    return max(bisect_left(sent, at + seconds) - index for index, at in enumerate(sent))


def most_in_a_second(sent: list[float]) -> int:
    return most_within(1.0, sent)


@pytest.mark.parametrize("latency_s", [0.001, 0.05, 1.0])
@pytest.mark.parametrize("rate", [0.5, 7.5, 50, 200, 1000])
def test_a_given_rate_is_used_and_never_exceeded(rate: float, latency_s: float) -> None:
    count = int(min(CALLS / 4, rate * 60))
    went = virtually(calls(FarEnd(latency_s, jitter=0.3), Pace(rate=rate), count))
    assert most_in_a_second(went.sent) <= max(1, round(rate))
    assert (count - 1) / (went.sent[-1] - went.sent[0]) >= 0.97 * rate


@pytest.mark.parametrize(("rate", "on_the_way_s"), [(5.0, 0.019), (50.0, 0.014), (500.0, 0.004)])
def test_a_given_rate_is_not_exceeded_on_a_busy_machine(rate: float, on_the_way_s: float) -> None:
    """Nor by what arrives, if one request is on its way for so much longer than another."""
    went = virtually(calls(FarEnd(0.1), Pace(rate=rate), int(rate * 60)), BusyLoop)
    assert most_within(1.0 + on_the_way_s, went.sent) <= rate


def test_requests_missed_during_a_pause_are_not_sent_faster_afterwards() -> None:
    async def passes() -> list[float]:
        pacer = Pacer(Pace(rate=100), Stop(), asyncio.get_running_loop().time)
        sent: list[float] = []
        for pause_s in (0.0, 30.0):
            await asyncio.sleep(pause_s)
            for _ in range(200):
                sent.append(await pacer.acquire())
                pacer.release()
        return sent

    assert most_in_a_second(virtually(passes())) <= 100


@pytest.mark.parametrize(
    ("rate", "burst_s", "retry_after_s", "at_once"),
    [
        *((rate, 0.1, 1.0, at_once) for rate in (50, 200, 1000) for at_once in (True, False)),
        *((rate, 1.0, 1.0, True) for rate in (50, 1000)),
        (200, 1.0, 1.0, False),
        (200, 0.1, None, True),
        (200, 0.1, 0.0, False),
    ],
)
def test_a_hidden_limit_is_found_and_used(
    rate: float, burst_s: float, retry_after_s: float | None, at_once: bool
) -> None:
    far_end = Bucket(rate, 0.05, burst_s, at_once=at_once)
    went = virtually(calls(far_end, Pace(), CALLS, retry_after_s=retry_after_s))
    assert went.granted_a_second >= 0.91 * rate
    assert went.statuses[429] <= 0.01 * sum(went.statuses.values())


@pytest.mark.parametrize("jitter", [0.05, 0.2])
@pytest.mark.parametrize(
    ("at_once", "share"), [(True, 0.75), (False, 0.86)], ids=["gateway", "server"]
)
@pytest.mark.parametrize("seed", [2, 7])
def test_a_hidden_limit_is_found_though_answers_arrive_at_irregular_times(
    jitter: float, at_once: bool, share: float, seed: int
) -> None:
    """A gateway that refuses at once shows less: no request follows the refused one."""
    far_end = Bucket(1000, 0.05, 0.1, at_once=at_once, jitter=jitter, seed=seed)
    went = virtually(calls(far_end, Pace(), CALLS))
    assert went.granted_a_second >= share * 1000
    assert went.statuses[429] <= 0.01 * sum(went.statuses.values())


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_limit_for_each_second_of_the_clock_is_found_though_requests_overtake_each_other(
    seed: int,
) -> None:
    went = virtually(calls(Window(1000, 0.05, jitter=0.2, seed=seed, way=0.5), Pace(), CALLS // 2))
    assert went.granted_a_second >= 0.55 * 1000
    assert went.statuses[429] <= 0.01 * sum(went.statuses.values())


@pytest.mark.parametrize("rate", [50, 200, 1000])
def test_a_limit_for_each_second_of_the_clock_is_found(rate: int) -> None:
    went = virtually(calls(Window(rate, 0.05), Pace(), min(CALLS, 60 * rate)))
    assert went.granted_a_second >= 0.8 * rate
    assert went.statuses[429] <= 0.01 * sum(went.statuses.values())


def test_a_limit_that_falls_and_rises_is_followed() -> None:
    far_end = Bucket(200, 0.05, 0.5, at_once=False)
    done: dict[float, int] = {}
    limits = [(100.0, 200), (200.0, 20), (320.0, 200)]

    def watch(now: float) -> None:
        since = now - 1000.0
        far_end.rate = next((rate for until, rate in limits if since < until), 200)
        at = sum(since >= until for until, _ in limits)
        done[at] = done.get(at, 0) + 1

    virtually(calls(far_end, Pace(), 42_500, watch=watch))
    assert done[0] >= 0.9 * 200 * 100
    assert 0.7 * 20 * 100 <= done[1] <= 1.2 * 20 * 100
    assert done[2] >= 0.7 * 200 * 120


@pytest.mark.parametrize(
    ("contention", "crosstalk"), [(0, 0.0025), (0.03, 0.001), (0, 0.01), (0.05, 0.004), (0, 0.0002)]
)
def test_a_server_that_slows_under_load_gets_its_best_load(
    contention: float, crosstalk: float
) -> None:
    far_end = Slowing(0.008, contention, crosstalk)
    best = max(far_end.granted_a_second(in_flight) for in_flight in range(1, 65))
    assert virtually(calls(far_end, Pace(), 10_000)).granted_a_second >= 0.9 * best


@pytest.mark.parametrize("share", [0.002, 0.01, 0.05, 0.2])
def test_refusals_unrelated_to_the_rate_do_not_stop_the_run(share: float) -> None:
    class Moody(FarEnd):
        def refuses(self, _now: float) -> bool:
            return self._random.random() < share

    went = virtually(calls(Moody(0.05), Pace(), 2000))
    assert went.seconds <= 60 + 2.5 * went.statuses[429] * 1.0


@pytest.mark.parametrize("most", [4, 10, 30])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("refused_after_s", "jitter", "retry_after_s"),
    [(0.001, 0.0, None), (0.001, 0.2, 1.0), (0.02, 0.2, None)],
    ids=["gateway", "gateway, out of step, retry-after", "server, out of step"],
)
def test_a_limit_on_requests_in_flight_is_found_and_used(
    most: int, status: int, refused_after_s: float, jitter: float, retry_after_s: float | None
) -> None:
    far_end = AtOnce(
        most, 0.02, status=status, refused_after_s=refused_after_s, jitter=jitter, way=jitter / 2
    )
    possible = most / (0.02 * math.exp(jitter**2 / 2))
    went = virtually(calls(far_end, Pace(), int(12 * possible), retry_after_s=retry_after_s))
    assert went.granted_a_second >= SHARE * possible


def test_a_limit_on_requests_in_flight_that_rises_is_followed() -> None:
    far_end = AtOnce(4, 0.02)
    done: Counter[bool] = Counter()

    def watch(now: float) -> None:
        since = now - 1000.0
        far_end.most = 4 if since < 10.0 else 12
        done[since >= 40.0] += 1

    went = virtually(calls(far_end, Pace(), 40_000, watch=watch))
    assert done[True] >= SHARE * 12 / 0.02 * (went.seconds - 40.0)


FAILURES = [{503: 0.005}, {503: 0.02}, {504: 0.01}, {504: 0.03}, {503: 0.02, 504: 0.03}]


def without(failures: Mapping[int, float]) -> float:
    return 1 - sum(failures.values())


@pytest.mark.parametrize(
    ("failures", "retry_after_s"),
    [*((each, None) for each in FAILURES), *((each, 1.0) for each in FAILURES if 503 in each)],
    ids=str,
)
def test_single_failures_do_not_slow_the_run(
    failures: Mapping[int, float], retry_after_s: float | None
) -> None:
    possible = 64 / 0.03 * without(failures)
    far_end = Failing(FarEnd(0.03, jitter=0.1), failures)
    went = virtually(calls(far_end, Pace(), CALLS, retry_after_s=retry_after_s))
    assert went.granted_a_second >= SHARE * possible


@pytest.mark.parametrize(
    ("rate", "failures"),
    [*((200, each) for each in FAILURES), (50, FAILURES[-1]), (1000, FAILURES[-1])],
    ids=str,
)
def test_a_hidden_limit_is_used_although_single_requests_fail(
    rate: int, failures: Mapping[int, float]
) -> None:
    far_end = Failing(Bucket(rate, 0.05, 0.1, at_once=False, jitter=0.1), failures)
    went = virtually(calls(far_end, Pace(), min(CALLS, 40 * rate)))
    assert went.granted_a_second >= SHARE * rate * without(failures)


@pytest.mark.parametrize("failures", [{503: 0.02}, {504: 0.03}], ids=str)
def test_a_limit_on_requests_in_flight_is_used_although_single_requests_fail(
    failures: Mapping[int, float],
) -> None:
    possible = 4 / 0.02 * without(failures)
    far_end = Failing(AtOnce(4, 0.02, jitter=0.1), failures)
    went = virtually(calls(far_end, Pace(), int(20 * possible)))
    assert went.granted_a_second >= SHARE * possible


@pytest.mark.parametrize(
    "failures", [{504: 0.33}, {503: 0.33}, {504: 0.5}, {503: 0.2, 504: 0.2}], ids=str
)
def test_a_server_that_fails_often_gets_fewer_requests(failures: Mapping[int, float]) -> None:
    far_end = Failing(FarEnd(0.05), failures)
    went = virtually(calls(far_end, Pace(), 2000, retry_after_s=None))
    assert len(went.sent) / went.seconds <= 0.2 * FIRST_IN_FLIGHT / 0.05


@pytest.mark.parametrize("burst_s", [0.1, 1.0])
@pytest.mark.parametrize("jitter", [0.02, 0.04])
def test_a_hidden_limit_is_found_within_seconds(burst_s: float, jitter: float) -> None:
    """At 200/s 4,000 calls take 20 s, and the first 429 asks to wait one more."""
    far_end = Bucket(200, 0.05, burst_s, at_once=False, jitter=jitter)
    assert virtually(calls(far_end, Pace(), 4000)).seconds <= 21.4


def test_the_wait_of_a_single_503_holds_no_other_request() -> None:
    async def after_a_503() -> float:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Pace(), Stop(), loop.time)
        sent_at = await pacer.acquire()
        pacer.release()
        pacer.was_too_much("http_503", sent_at)
        pacer.hold(busy(30.0))
        return await pacer.acquire() - sent_at

    assert virtually(after_a_503()) == 0.0


def test_the_wait_of_one_of_several_503s_holds_every_request() -> None:
    async def after_503s() -> float:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Pace(), Stop(), loop.time)
        sent = [await pacer.acquire() for _ in range(FIRST_IN_FLIGHT)]
        await asyncio.sleep(0.05)
        for sent_at in sent:
            pacer.release()
            pacer.was_too_much("http_503", sent_at)
            pacer.hold(busy(30.0))
        return await pacer.acquire() - sent[-1]

    assert virtually(after_503s()) == pytest.approx(30.05)


def test_requests_that_back_off_leave_their_place_to_others_unless_many_do() -> None:
    async def workers() -> list[int]:
        pacer = Pacer(Pace(concurrency=2), Stop(), asyncio.get_running_loop().time)
        begun = [pacer.workers]
        with pacer.backing_off():
            begun.append(pacer.workers)
            with pacer.backing_off(), pacer.backing_off():
                begun.append(pacer.workers)
            for _ in range(FIRST_IN_FLIGHT):
                pacer.was_lost("connection")
            begun.append(pacer.workers)
        return begun

    assert virtually(workers()) == [2, 3, 4, 2]


def test_a_wait_that_campaign_asks_for_holds_every_request() -> None:
    async def held() -> tuple[float, list[float]]:
        loop = asyncio.get_running_loop()
        pacer = Pacer(Pace(rate=100), Stop(), loop.time)
        sent: list[float] = []

        async def one() -> None:
            sent.append(await pacer.acquire())

        waiting = [asyncio.create_task(one()) for _ in range(10)]
        await asyncio.sleep(0.05)
        before = len(sent)
        pacer.hold(too_many(30.0))
        held_at = loop.time()
        assert pacer.held_s == {"http_429": 0.0}
        await asyncio.gather(*waiting)
        assert 0 < before < 10
        assert pacer.held_s == {"http_429": pytest.approx(30.0)}
        return held_at, sent[before:]

    held_at, later = virtually(held())
    assert min(later) >= held_at + 30.0


def test_requests_waiting_for_their_turn_end_when_the_run_stops() -> None:
    async def stopped() -> list[StopRun | float | BaseException]:
        stop = Stop()
        pacer = Pacer(Pace(concurrency=1), stop, asyncio.get_running_loop().time)
        turns: list[Coroutine[Any, Any, float]] = [pacer.acquire() for _ in range(3)]
        first = await turns[0]
        waiting = [asyncio.create_task(turn) for turn in turns[1:]]
        await asyncio.sleep(0)
        stop.ask(Interrupted("Stopped."))
        return [first, *await asyncio.gather(*waiting, return_exceptions=True)]

    first, *others = virtually(stopped())
    assert isinstance(first, float)
    assert [type(other) for other in others] == [Interrupted, Interrupted]


def test_a_request_that_backs_off_frees_its_place_only_meanwhile() -> None:
    async def workers() -> list[int]:
        pacer = Pacer(Pace(concurrency=4), Stop(), asyncio.get_running_loop().time)
        found = [pacer.workers]
        with pacer.backing_off():
            found.append(pacer.workers)
        return [*found, pacer.workers]

    assert virtually(workers()) == [4, 5, 4]
