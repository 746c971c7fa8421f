"""How many requests are in flight at once, by how long responses take, in given times."""

from collections.abc import Callable, Iterator
from itertools import groupby, islice, pairwise
from math import ceil

import pytest

from bulk_sync.campaign.concurrency import Load, Trouble, most_in_flight
from bulk_sync.settings import Pace

BEGAN = 100.0


def limits(load: Load, took_s: Callable[[int], float]) -> Iterator[tuple[float, float]]:
    """Yield the time and the limit before each round of responses."""
    now = BEGAN
    while True:
        yield now, load.limit
        at_once = int(load.limit)
        responses, lasts_s = ceil(load.limit), took_s(at_once)
        now += lasts_s * responses / at_once
        for _ in range(responses):
            load.responded(now, lasts_s)


def first_limits(load: Load, count: int, lasts_s: float = 0.01) -> list[float]:
    return [round(limit, 2) for _, limit in islice(limits(load, lambda _: lasts_s), count)]


@pytest.mark.parametrize(
    ("first", "expected"),
    [(16, [16, 17.6, 19.36, 21.3]), (9, [9, 10, 11, 12.1]), (1, [1, 2, 3, 4])],
    ids=["by a tenth", "by one", "from one"],
)
def test_it_grows_round_by_round(first: int, expected: list[float]) -> None:
    assert first_limits(Load(BEGAN, first=first, most=64), 4) == expected


def test_it_never_passes_the_most() -> None:
    assert first_limits(Load(BEGAN, first=16, most=18), 4) == [16, 17.6, 18, 18]
    load = Load(BEGAN, first=16, most=18)
    for given, most in ((5, 5), (30, 18)):
        load.bound(given)
        assert first_limits(load, 2) == [most, most]


def test_overload_cuts_it_once_a_second_and_then_it_grows_by_one() -> None:
    load = Load(BEGAN, first=20, most=64)
    for at, limit in ((0.0, 14), (0.5, 14), (0.999, 14), (1.0, 9.8), (2.0, 6.86)):
        load.overloaded(BEGAN + at)
        assert load.limit == pytest.approx(limit)
    for at, limit in ((2.999, 6.86), (3.0, 7.86), (3.1, 8.86)):
        for _ in range(ceil(load.limit)):
            load.responded(BEGAN + at, 0.01)
        assert load.limit == pytest.approx(limit)


def test_a_load_that_has_grown_to_where_it_was_is_not_cut() -> None:
    load = Load(BEGAN, first=10, most=64)
    were_cut = [load.is_cut]
    load.overloaded(BEGAN)
    for _ in range(7 + 8 + 9):
        were_cut.append(load.is_cut)
        load.responded(BEGAN + 1, 0.01)
    assert load.limit == 10
    assert [*were_cut, load.is_cut] == [False, *[True] * 24, False]


def test_it_is_cut_to_one_at_least_and_not_cut_once_it_is_bound() -> None:
    load = Load(BEGAN, first=1, most=64)
    load.overloaded(BEGAN)
    assert load.limit == 1
    load = Load(BEGAN, first=20, most=64)
    load.overloaded(BEGAN)
    load.bound(10)
    assert not load.is_cut


def test_a_pause_ends_the_growth_by_a_tenth_and_the_round() -> None:
    load = Load(BEGAN, first=16, most=64)
    for _ in range(15):
        load.responded(BEGAN, 0.01)
    load.interrupted(BEGAN + 9)
    load.responded(BEGAN + 9, 0.01)
    assert load.limit == 16
    assert first_limits(load, 3) == [16, 17, 18]


@pytest.mark.parametrize(
    ("took_s", "path"),
    [
        (lambda count: 0.01 if count < 21 else 0.016, [21.3, 26.6, 33.3, 41.6, 52, 64]),
        (lambda count: max(count, 8) / 800, [25.8, 32.2, 20.6, 16.5, 13.2, 10.6, 8.4, 6.8, 8.4]),
        (lambda count: 0.01 * max(1, count / 30) ** 2, [37.7, 47.2, 30.2, 24.1, 30.2]),
        (lambda count: 0.001 * count**3, [2, 3, 1]),
    ],
    ids=["heavier is better", "as many as work at once", "a peak", "one by one"],
)
def test_of_two_loads_the_one_that_gets_more_done_stays(
    took_s: Callable[[int], float], path: list[float]
) -> None:
    load = Load(BEGAN, first=16 if path[0] > 2 else 1, most=64)
    tried = [limit for now, limit in islice(limits(load, took_s), 500) if now < BEGAN + 5]
    found = [round(limit, 1) for limit, _ in groupby(tried)]
    assert found[found.index(path[0]) :] == path


@pytest.mark.parametrize(
    ("heavier", "lighter", "path"),
    [
        (1.04, 1.0, [17.6, 22, 27.5]),
        (1.02, 0.98, [17.6, 22, 14.1, 11.3]),
        (1.02, 0.96, [17.6, 22, 14.1, 17.6]),
    ],
    ids=["heavier", "lighter", "neither"],
)
def test_four_rounds_show_which_load_gets_more_done_by_three_percent(
    heavier: float, lighter: float, path: list[float]
) -> None:
    rates = {16: 1600.0, 17: 1000.0, 22: 1000 * heavier, 14: 1000 * lighter}
    course = limits(Load(BEGAN, first=16, most=64), lambda n: n / rates.get(n, 1.0))
    tried = [
        (round(limit, 1), len(list(same)))
        for limit, same in groupby(limit for _, limit in islice(course, 5 * len(path) - 3))
    ]
    assert tried == [(16, 1), *((limit, 5) for limit in path[:-1]), (path[-1], 1)]


def test_a_load_better_than_its_neighbours_rests_for_longer_and_longer() -> None:
    course = list(islice(limits(Load(BEGAN, first=16, most=64), lambda n: max(n, 8) / 800), 40_000))
    changed = [
        now
        for (now, limit), (_, before) in zip(course[1:], course, strict=False)
        if limit != before
    ]
    rests_s = [round(now - before) for before, now in pairwise(changed) if now > before + 1]
    assert rests_s[:6] == [5, 10, 20, 40, 60, 60]


@pytest.mark.parametrize(
    ("pace", "most"),
    [
        (Pace(concurrency=7, rate=1000), 7),
        (Pace(most_in_flight=50), 50),
        (Pace(most_in_flight=50, rate=100), 150),
        (Pace(most_in_flight=50, rate=100.5), 151),
        (Pace(most_in_flight=50, rate=10), 50),
        (Pace(most_in_flight=50, rate=1e6), 2048),
    ],
    ids=["given", "no rate", "for a rate", "a part of one", "a low rate", "a high rate"],
)
def test_a_rate_may_need_more_requests_in_flight(pace: Pace, most: int) -> None:
    assert most_in_flight(pace) == most


@pytest.mark.parametrize(
    ("between", "troubles"), [(0, 10), (1, 11), (2, 14), (3, 25), (4, None)], ids=str
)
def test_overload_is_more_than_a_quarter_of_recent_responses(
    between: int, troubles: int | None
) -> None:
    trouble, is_much = Trouble(), []
    for _ in range(100):
        for _ in range(between):
            trouble.fade()
        trouble.add()
        is_much.append(trouble.is_much)
    assert (is_much.index(True) + 1 if any(is_much) else None) == troubles
