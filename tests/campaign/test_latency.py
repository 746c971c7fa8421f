"""Percentiles of counters, compared with percentiles of the times themselves."""

import math

from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.campaign.latency import Latency

SECONDS = st.floats(min_value=1e-5, max_value=1e4)
SHARES = st.sampled_from([0.05, 0.5, 0.9, 0.95, 0.99, 1.0]) | st.floats(0.01, 1.0)


def latency_of(times: list[float]) -> Latency:
    latency = Latency()
    for seconds in times:
        latency.add(seconds)
    return latency


def true_quantile(times: list[float], share: float) -> float:
    """Return the least time with a share of all times at or below it."""
    return sorted(times)[math.ceil(share * len(times)) - 1]


@given(times=st.lists(SECONDS, min_size=1, max_size=200), share=SHARES)
def test_a_quantile_is_off_by_less_than_three_percent(times: list[float], share: float) -> None:
    found, true = latency_of(times).quantile(share), true_quantile(times, share)
    assert found is not None
    assert abs(found / true - 1) < 0.03


def test_without_times_there_is_no_quantile() -> None:
    assert Latency().quantile(0.5) is None


def test_times_of_nothing_are_counted_too() -> None:
    assert (latency_of([0.0, -0.001, 1.0]).quantile(0.5) or 1.0) < 1e-5
