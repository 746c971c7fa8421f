"""What a refusal says of how many requests may be in flight at once."""

import pytest

from bulk_sync.campaign.in_flight_limit import InFlightLimit


def refused(limit: InFlightLimit, at: float, beside: int, *, may_be_rate: bool = False) -> bool:
    """Refuse one request while so many others are in flight, and judge it a second later."""
    for number in range(beside):
        limit.granted(at + 1 + number / 100, took_s=1.0)
    limit.refused(at + 0.6, sent_at=at + 0.5)
    return limit.judge(at + 2, 0, may_be_rate=may_be_rate)


def test_the_limit_is_what_was_in_flight_beside_a_refused_request() -> None:
    limit = InFlightLimit(0.0)
    assert refused(limit, 0.0, 4)
    assert (limit.most, limit.raise_at) == (4, 2 + 20)


def test_a_limit_that_is_kept_and_refused_falls() -> None:
    limit = InFlightLimit(0.0)
    assert refused(limit, 0.0, 4)
    assert refused(limit, 3.0, 4)
    assert limit.most == 3


def test_more_is_tried_faster_and_faster_and_later_after_each_time_in_vain() -> None:
    limit = InFlightLimit(0.0)
    assert refused(limit, 0.0, 4)
    tried = []
    for now in (22.0, 23.0, 24.0):
        limit.try_more(now)
        tried.append((limit.most, limit.raise_at - now))
    assert tried == [(5, 1), (7, 1), (11, 1)]
    for at, waits_s in ((30.0, 40), (90.0, 80), (190.0, 160), (370.0, 300), (690.0, 300)):
        limit.try_more(at - 1)
        assert refused(limit, at, 4)
        assert (limit.most, limit.raise_at - at - 2) == (4, waits_s)


def test_a_refusal_beside_nothing_says_nothing() -> None:
    limit = InFlightLimit(0.0)
    assert not refused(limit, 0.0, 0)
    assert limit.most == float("inf")


def test_a_request_sent_before_the_last_judgement_says_nothing() -> None:
    limit = InFlightLimit(0.0)
    assert refused(limit, 0.0, 4)
    limit.refused(3.0, sent_at=1.9)
    assert not limit.judge(4.0, 0, may_be_rate=False)
    assert limit.most == 4


@pytest.mark.parametrize(("before", "is_limit"), [(4, True), (5, False)])
def test_what_may_be_for_the_rate_is_no_limit_if_more_was_granted_before(
    before: int, is_limit: bool
) -> None:
    limit = InFlightLimit(0.0)
    for number in range(before):
        limit.granted(1 + number / 100, took_s=0.5)
    assert refused(limit, 3.0, 4, may_be_rate=True) is is_limit


@pytest.mark.parametrize(("beside", "is_limit"), [(6, True), (5, False)])
def test_what_may_be_for_the_rate_is_no_limit_far_below_the_first(
    beside: int, is_limit: bool
) -> None:
    limit = InFlightLimit(0.0)
    assert refused(limit, 0.0, 8)
    assert refused(limit, 3.0, beside, may_be_rate=True) is is_limit
