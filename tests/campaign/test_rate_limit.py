"""The rate learned from requests granted beside some that were refused."""

import random

import pytest

from bulk_sync.campaign.rate_limit import RateLimit

TOOK_S = 0.05
BEGAN = 100.0


def learned_rate(
    sent: list[tuple[float, bool]], *, resumed_at: float = 2.0, took_s: float = TOOK_S
) -> float:
    """Return the rate learned from requests, each with its time and whether it was granted."""
    limit = RateLimit(BEGAN)
    for sent_at, is_granted in sent:
        now = BEGAN + sent_at + took_s
        if is_granted:
            limit.granted(now, took_s)
        else:
            limit.refused(now, now - took_s)
    limit.resumed(BEGAN + resumed_at)
    assert limit.rate is not None
    return limit.rate


def granted_by_bucket(
    rate: float, saved: float, asked: float, until: float, latest_s: float = 0.0, seed: int = 0
) -> list[tuple[float, bool]]:
    """Send at a rate until some time after the first refusal, and return what was granted.

    Requests take up to ``latest_s`` seconds to arrive, and overtake each other.
    """
    late = random.Random(seed)
    asks = (index / asked for index in range(int(asked * 8)))
    comes = sorted((at + late.uniform(0, latest_s), at) for at in asks)
    sent: list[tuple[float, bool]] = []
    left, filled_at, refused_at = saved, 0.0, float("inf")
    for came_at, at in comes:
        left, filled_at = min(saved, left + rate * (came_at - filled_at)), came_at
        if at < refused_at + until:
            sent.append((at, left >= 1))
        if left >= 1:
            left -= 1
        else:
            refused_at = min(refused_at, came_at)
    return sent


@pytest.mark.parametrize("saved", [20, 100, 400])
@pytest.mark.parametrize("asked", [1070, 1280, 2000])
def test_saved_up_requests_do_not_count_for_the_rate(asked: float, saved: float) -> None:
    rate = learned_rate(granted_by_bucket(1000, saved, asked, TOOK_S), resumed_at=20.0)
    assert rate == pytest.approx(1000, rel=0.015)


@pytest.mark.parametrize("seed", range(5))
def test_requests_that_overtake_each_other_show_a_rate(seed: int) -> None:
    sent = granted_by_bucket(1000, 100, 4000, 0.3, latest_s=0.1, seed=seed)
    assert learned_rate(sent, resumed_at=20.0, took_s=0.3) == pytest.approx(1000, rel=0.1)


def test_no_rate_shows_while_nothing_is_granted() -> None:
    """A limit by the clock: late requests of the last second do not count for this one."""
    sent = [(index / 1280, True) for index in range(1000)]
    sent += [(0.782, False), *((0.783 + index / 1280, True) for index in range(12))]
    sent += [(0.795 + index / 1280, False) for index in range(46)]
    assert learned_rate(sorted(sent)) >= 0.6 * 1000


def test_requests_too_late_to_be_refused_show_a_lower_bound() -> None:
    sent = [(index / 1280, True) for index in range(1280)]
    sent += [(1.0, False), (1.002, False), (1.004, False)]
    sent += [(1.005 + index / 950, True) for index in range(45)]
    assert 850 <= learned_rate(sent) <= 950


def test_a_refusal_without_later_requests_shows_a_rate_roughly() -> None:
    sent = [(index / 1280, True) for index in range(1280)]
    assert 0.8 * 1280 <= learned_rate([*sent, (1.0, False)]) <= 0.9 * 1280


def test_a_few_requests_beside_a_refused_one_show_a_rate_roughly() -> None:
    sent = [(index / 10, True) for index in range(10)]
    sent += [(1.0, False), (1.01, True), (1.02, True), (1.03, True)]
    assert learned_rate(sent) == pytest.approx(0.87 * 3 / TOOK_S)


def test_requests_from_before_a_wait_do_not_count_after_it() -> None:
    limit = RateLimit(BEGAN)
    limit.refused(BEGAN + 0.1, BEGAN + 0.05)
    limit.resumed(BEGAN + 1.1)
    kept_to = limit.rate
    assert kept_to is not None
    for index in range(100):
        limit.granted(BEGAN + 1.2 + index / 1000, TOOK_S)
    limit.refused(BEGAN + 1.3, BEGAN + 0.06)  # late: sent before the wait
    limit.refused(BEGAN + 1.3, BEGAN + 1.25)
    limit.resumed(BEGAN + 2.3)
    assert limit.rate is not None
    assert limit.rate >= 0.7 * kept_to
