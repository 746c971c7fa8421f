"""What rate is learnt from which requests were granted beside some that were refused."""

import pytest

from bulk_sync.campaign.allowance import Allowance

TOOK_S = 0.05
BEGAN = 100.0


def found(sent: list[tuple[float, bool]], *, resumed_at: float = 2.0) -> float:
    """Tell the rate that is kept to after requests were granted, or not, by when they were sent."""
    allowance = Allowance(BEGAN)
    for sent_at, is_granted in sent:
        now = BEGAN + sent_at + TOOK_S
        if is_granted:
            allowance.answered(now, TOOK_S)
        else:
            allowance.refused(now, now - TOOK_S)
    allowance.resumed(BEGAN + resumed_at)
    assert allowance.rate is not None
    return allowance.rate


def from_a_bucket(
    rate: float, saved: float, asked: float, until: float
) -> list[tuple[float, bool]]:
    """Ask at a rate for as long as it takes, and so long after the first refusal."""
    sent: list[tuple[float, bool]] = []
    left, at, refused_at = saved, 0.0, float("inf")
    while at < refused_at + until:
        left = min(saved, left + rate / asked)
        sent.append((at, left >= 1))
        if left >= 1:
            left -= 1
        else:
            refused_at = min(refused_at, at)
        at += 1 / asked
    return sent


@pytest.mark.parametrize("saved", [20, 100, 400])
@pytest.mark.parametrize("asked", [1070, 1280, 2000])
def test_what_a_server_had_saved_up_does_not_count_for_its_rate(asked: float, saved: float) -> None:
    rate = found(from_a_bucket(1000, saved, asked, TOOK_S), resumed_at=20.0)
    assert rate == pytest.approx(1000, rel=0.015)


def test_requests_that_came_too_late_to_be_refused_show_the_least_that_is_granted() -> None:
    sent = [(index / 1280, True) for index in range(1280)]
    sent += [(1.0, False), (1.002, False), (1.004, False)]
    sent += [(1.005 + index / 950, True) for index in range(45)]
    assert 850 <= found(sent) <= 950


def test_a_refusal_after_which_nothing_was_sent_shows_a_rate_roughly() -> None:
    sent = [(index / 1280, True) for index in range(1280)]
    assert 0.8 * 1280 <= found([*sent, (1.0, False)]) <= 0.9 * 1280


def test_what_was_sent_before_a_wait_says_nothing_about_the_time_after_it() -> None:
    allowance = Allowance(BEGAN)
    allowance.refused(BEGAN + 0.1, BEGAN + 0.05)
    allowance.resumed(BEGAN + 1.1)
    kept_to = allowance.rate
    assert kept_to is not None
    for index in range(100):
        allowance.answered(BEGAN + 1.2 + index / 1000, TOOK_S)
    allowance.refused(BEGAN + 1.3, BEGAN + 0.06)  # late: sent before the wait
    allowance.refused(BEGAN + 1.3, BEGAN + 1.25)
    allowance.resumed(BEGAN + 2.3)
    assert allowance.rate is not None
    assert allowance.rate >= 0.7 * kept_to
