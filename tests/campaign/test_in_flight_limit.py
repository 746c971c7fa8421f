"""The limit of requests in flight, learned from refusals."""

import pytest

from bulk_sync.campaign.in_flight_limit import InFlightLimit


def refuse(limit: InFlightLimit, at: float, beside: int, *, may_be_rate: bool = False) -> bool:
    """Refuse one request while others are in flight, and judge it a second later."""
    for number in range(beside):
        limit.granted(at + 1 + number / 100, took_s=1.0)
    limit.refused(at + 0.6, sent_at=at + 0.5)
    return limit.judge(at + 2, 0, may_be_rate=may_be_rate)


def test_the_limit_is_the_number_in_flight_beside_a_refused_request() -> None:
    limit = InFlightLimit(0.0)
    assert refuse(limit, 0.0, 4)
    assert (limit.most, limit.raise_at) == (4, 2 + 20)


def test_a_second_refusal_at_the_limit_lowers_it() -> None:
    limit = InFlightLimit(0.0)
    assert refuse(limit, 0.0, 4)
    assert refuse(limit, 3.0, 4)
    assert limit.most == 3


def test_steps_above_the_limit_grow_and_come_later_after_each_refusal() -> None:
    limit = InFlightLimit(0.0)
    assert refuse(limit, 0.0, 4)
    tried = []
    for now in (22.0, 23.0, 24.0):
        limit.try_more(now)
        tried.append((limit.most, limit.raise_at - now))
    assert tried == [(5, 1), (7, 1), (11, 1)]
    for at, waits_s in ((30.0, 40), (90.0, 80), (190.0, 160), (370.0, 300), (690.0, 300)):
        limit.try_more(at - 1)
        assert refuse(limit, at, 4)
        assert (limit.most, limit.raise_at - at - 2) == (4, waits_s)


def test_a_refusal_with_nothing_in_flight_sets_no_limit() -> None:
    limit = InFlightLimit(0.0)
    assert not refuse(limit, 0.0, 0)
    assert limit.most == float("inf")


def test_a_request_sent_before_the_last_judgement_is_ignored() -> None:
    limit = InFlightLimit(0.0)
    assert refuse(limit, 0.0, 4)
    limit.refused(3.0, sent_at=1.9)
    assert not limit.judge(4.0, 0, may_be_rate=False)
    assert limit.most == 4


@pytest.mark.parametrize(("before", "is_limit"), [(4, True), (5, False)])
def test_a_refusal_perhaps_for_the_rate_sets_no_limit_if_more_was_granted_before(
    before: int, is_limit: bool
) -> None:
    limit = InFlightLimit(0.0)
    for number in range(before):
        limit.granted(1 + number / 100, took_s=0.5)
    assert refuse(limit, 3.0, 4, may_be_rate=True) is is_limit


@pytest.mark.parametrize(("beside", "is_limit"), [(6, True), (5, False)])
def test_a_refusal_perhaps_for_the_rate_sets_no_limit_far_below_the_first(
    beside: int, is_limit: bool
) -> None:
    limit = InFlightLimit(0.0)
    assert refuse(limit, 0.0, 8)
    assert refuse(limit, 3.0, beside, may_be_rate=True) is is_limit


def shown(
    granted: list[float],
    refused: list[tuple[float, float]],
    in_flight: int = 0,
    *,
    may_be_rate: bool = False,
) -> float:
    """Return the limit after requests that took a second each, by the time of sending."""
    limit = InFlightLimit(0.0)
    for sent_at in granted:
        limit.granted(sent_at + 1.0, took_s=1.0)
    for sent_at, known_at in refused:
        limit.refused(known_at, sent_at)
    limit.judge(9.0, in_flight, may_be_rate=may_be_rate)
    return limit.most


@pytest.mark.parametrize(
    ("granted", "refused", "most"),
    [
        ([0.0, 0.1], [(0.5, 0.5)], 2),
        ([0.0, 0.1, 0.55, 0.7], [(0.5, 0.6)], 3),
        ([0.0, 0.1, 0.55, 0.7, 0.8], [(0.5, 2.0)], 4),
        ([0.0, 0.1, 1.2], [(1.05, 1.3)], 1),
        ([0.0], [(0.5, 0.5)], 1),
        ([0.0, 0.1, 0.2, 2.0], [(0.5, 0.5), (2.5, 2.5)], 1),
        ([0.0, 0.1, 0.2], [(0.0, 0.15), (0.5, 0.5)], 2),
    ],
    ids=[
        "in flight when it was sent", "sent before it was refused", "sent while it was on its way",
        "answered meanwhile", "one", "the least beside several", "sent at the very beginning",
    ],
)  # fmt: skip
def test_a_limit_is_at_most_the_number_in_flight_beside_any_refused_request(
    granted: list[float], refused: list[tuple[float, float]], most: int
) -> None:
    assert shown(granted, refused) == most
    assert shown(granted, refused, in_flight=2) == most + 2


@pytest.mark.parametrize(
    ("granted", "is_limit"),
    [([0.0, 0.1, 2.0, 2.1, 2.2], True), ([0.0, 0.1, 0.2, 2.0, 2.1], False)],
    ids=["fewer before", "more before"],
)
def test_what_was_granted_before_the_first_of_several_refusals_counts(
    granted: list[float], *, is_limit: bool
) -> None:
    most = shown(granted, [(2.5, 2.5), (2.4, 2.4)], may_be_rate=True)
    assert (most < float("inf")) is is_limit


def test_what_was_granted_before_a_judgement_does_not_count_after_it() -> None:
    limit = InFlightLimit(0.0)
    assert refuse(limit, 0.0, 4)
    limit.refused(3.5, sent_at=3.0)
    assert not limit.judge(4.0, 0, may_be_rate=False)
