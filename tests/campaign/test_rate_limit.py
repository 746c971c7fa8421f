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
    rate: float, saved: float, sent_rate: float, until: float, latest_s: float = 0.0, seed: int = 0
) -> list[tuple[float, bool]]:
    """Send at a rate until some time after the first refusal, and return what was granted.

    Requests take up to ``latest_s`` seconds to arrive, and overtake each other.
    """
    late = random.Random(seed)
    asks = (index / sent_rate for index in range(int(sent_rate * 8)))
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
@pytest.mark.parametrize("sent_rate", [1070, 1280, 2000])
def test_saved_up_requests_do_not_count_for_the_rate(sent_rate: float, saved: float) -> None:
    rate = learned_rate(granted_by_bucket(1000, saved, sent_rate, TOOK_S), resumed_at=20.0)
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


@pytest.mark.parametrize(
    ("beside", "refused", "rate"),
    [(9, [0.0], 0.87 * 9 / TOOK_S), (10, [0.0], 9.5 / 0.1), (10, [0.0, 0.105], 10 / 0.105)],
    ids=["too few", "enough after the last", "enough before the last"],
)
def test_ten_requests_granted_beside_refused_ones_show_a_rate(
    beside: int, refused: list[float], rate: float
) -> None:
    sent = [(0.01 * index, True) for index in range(1, beside + 1)]
    sent += [(at, False) for at in refused]
    assert learned_rate(sorted(sent)) == pytest.approx(rate)


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


class Course:
    """A limit in the course of time: stretches of granted requests, each with a refusal at its end.

    The first stretch is of 100 requests a second, of which 95 come within the first second: the
    rate is 87 % of that.
    """

    FIRST = 0.87 * 95

    def __init__(self) -> None:
        self.limit = RateLimit(BEGAN)
        self.now = BEGAN
        self.stretch(100, 1.0)

    def stretch(
        self, rate: float, seconds: float, *, refused: int = 1, beside: int = 0
    ) -> float | None:
        """Grant so many requests a second, refuse some, and return the rate after the wait."""
        for index in range(int(rate * seconds)):
            self.limit.granted(self.now + TOOK_S + index / rate, TOOK_S)
        ended = self.now + seconds + TOOK_S
        for index in range(refused):
            self.limit.refused(ended + index / 1000, ended - TOOK_S + index / 1000)
        for index in range(beside):
            self.limit.granted(ended + (1 + index) / 1000, TOOK_S)
        self.now = ended + 1.0
        self.limit.resumed(self.now)
        return self.limit.rate

    def raised(self, times: int) -> list[float]:
        """Grant a request each second from the first raise on, and return the rates."""
        found = []
        for index in range(round(self.limit._raise_at - self.now) * 80):
            self.limit.granted(self.now + index / 80, TOOK_S)
        assert self.limit.rate is not None
        before = self.limit.rate
        self.now = self.limit._raise_at
        for _ in range(times):
            for _ in range(90):
                self.limit.granted(self.now, TOOK_S)
            found.append(round((self.limit.rate or 0.0) / before, 4))
            self.now += 1.0
        return found


@pytest.mark.parametrize(
    ("rate", "seconds", "beside", "refused", "share"),
    [
        (Course.FIRST, 0.5, 0, 1, 0.8),
        (Course.FIRST, 0.5, 9, 2, 0.8),
        (Course.FIRST, 0.5, 10, 1, 0.8),
        (Course.FIRST, 0.5, 10, 2, 1),
        (30, 0.5, 0, 1, 0.8),
        (40, 1.5, 0, 1, 60 / 1.55 / Course.FIRST),
        (40, 0.9, 0, 1, 36 / 0.95 / Course.FIRST),
        (30, 2.9, 0, 1, 87 / 2.95 / Course.FIRST),
        (30, 3.0, 0, 1, 1),
        (200, 1.5, 0, 1, 1),
    ],
    ids=[
        "soon", "with too few beside", "with many beside one", "with many beside several",
        "soon with few", "granted for a while", "for a second", "for almost three", "for three",
        "more than before",
    ],
)  # fmt: skip
def test_a_further_refusal_lowers_the_rate_by_how_long_it_went_well(
    rate: float, seconds: float, beside: int, refused: int, share: float
) -> None:
    course = Course()
    assert course.limit.rate == pytest.approx(Course.FIRST)
    found = course.stretch(rate, seconds, beside=beside, refused=refused)
    assert found == pytest.approx(0.97 * share * Course.FIRST)


def test_a_rate_is_raised_faster_and_faster_and_falls_back_when_that_is_refused() -> None:
    course = Course()
    steady = 1.01 * 1.02 * 1.04 * 1.08 * 1.1 * 1.1
    assert course.limit._raise_at - course.now == 20
    assert course.raised(6) == [1.01, 1.0302, 1.0714, 1.1571, 1.2728, 1.4001]
    assert course.stretch(90, 0.1) == pytest.approx(0.97 * steady * Course.FIRST)


def test_more_is_tried_later_after_each_time_in_vain() -> None:
    course, waits_s = Course(), []
    for _ in range(6):
        course.raised(1)
        course.stretch(80, 0.5)
        waits_s.append(round(course.limit._raise_at - course.now))
    assert waits_s == [40, 80, 160, 300, 300, 300]
    course.stretch(80, 0.5)
    assert round(course.limit._raise_at - course.now) == 20


def test_a_rate_far_above_what_the_run_sends_is_forgotten() -> None:
    course = Course()
    course.now = course.limit._raise_at
    course.limit.granted(course.now, TOOK_S)
    assert course.limit.rate == pytest.approx(1.01 * Course.FIRST)
    course.limit.granted(course.now + 0.99, TOOK_S)
    assert course.limit.rate == pytest.approx(1.01 * Course.FIRST)
    course.limit.granted(course.now + 1.0, TOOK_S)
    assert course.limit.rate is None
    course.limit.granted(course.now + 100.0, TOOK_S)
    assert course.limit.rate is None


def test_refusals_at_any_rate_teach_nothing_for_a_minute() -> None:
    course, rates = Course(), []
    while course.limit.rate is not None:
        rates.append(course.limit.rate)
        course.stretch(100, 0.2)
    assert rates[-1] >= Course.FIRST / 4 > 0.776 * rates[-1]
    for at, is_found in ((59.0, False), (60.0, True)):
        course.limit.refused(course.now + at, course.now + at - TOOK_S)
        were_refused = [course.limit.was_refused]
        course.limit.resumed(course.now + at)
        assert [*were_refused, course.limit.was_refused] == [True, False]
        assert (course.limit.rate is not None) is is_found


@pytest.mark.parametrize(
    ("requests", "teaches"),
    [(79, False), (80, True)],
    ids=["less than twice the average", "twice the average"],
)
def test_a_slow_run_that_gets_much_further_learns_from_its_refusal(
    requests: int, *, teaches: bool
) -> None:
    course = Course()
    for _ in range(5):
        course.stretch(100, 0.2)
    assert (course.stretch(requests / 0.2, 0.2) is not None) is teaches


def test_refusals_that_are_forgiven_lower_no_rate() -> None:
    course = Course()
    course.limit.refused(course.now + 0.5, course.now + 0.4)
    course.limit.forgive(course.now + 1.0)
    course.limit.resumed(course.now + 2.0)
    assert course.limit.rate == pytest.approx(Course.FIRST)
