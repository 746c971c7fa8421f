"""How long Campaign may still act on a request without an answer."""

import pytest

from bulk_sync.campaign.create import Settling
from bulk_sync.campaign.latency import Latency
from bulk_sync.outcomes import Reason


def settling(*took_s: float) -> Settling:
    latency = Latency()
    for seconds in took_s:
        latency.add(seconds)
    return Settling(latency, timeout_s=60.0)


@pytest.mark.parametrize(
    ("took_s", "usual_s"),
    [
        ((), 1.0),
        ((0.05,), 1.0),
        ((0.5,) * 20, 5.0),
        ((0.5,) * 19 + (4.0,), 5.0),
        ((0.5,) * 18 + (4.0,) * 2, 40.0),
        ((9.0,), 60.0),
    ],
    ids=["unknown", "fast", "ten times as long", "one slow of 20", "two slow of 20", "slow"],
)
def test_a_request_settles_in_ten_times_the_usual_time_within_bounds(
    took_s: tuple[float, ...], usual_s: float
) -> None:
    found = settling(*took_s)
    assert found.usual_s == pytest.approx(usual_s, rel=0.03)
    for reason in Reason:
        is_cut_off = reason in {Reason.TIMEOUT, Reason.HTTP_502, Reason.HTTP_504}
        assert found.after_s(reason) == (60.0 if is_cut_off else found.usual_s)
