"""Whether the request or the choice in Campaign is the later one."""

from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from date_cells import requests_of

from bulk_sync.rows import request_dates, request_order
from bulk_sync.rows.request_order import DatedChoice, Own, Precision, RequestDate


def changed_ms(text: str) -> int:
    return round(datetime.fromisoformat(f"{text}Z").timestamp() * 1000)


def is_newer(requests: list[str], desired: int, changed: int) -> bool:
    """Judge a row with several requests of one state."""
    read = requests_of(pd.Series(requests, dtype="str", name="Request date"))
    count = len(requests)
    states = np.full(count, desired, np.int8)
    times = request_dates.times_of(read, states)
    new_request = request_dates.merge(times, np.zeros(count, np.int64), states)
    newer = request_order.are_newer(
        new_request.latest[:1], np.array([desired], np.int8), np.array([changed], np.int64)
    )
    if new_request.latest[0] != request_order.UNDATED:
        doubt_ms = new_request.latest[0] - request_order.decisive_ms(
            request_order.RequestDate(0, precision(new_request)), True
        )
        request = request_order.RequestDate(
            int(doubt_ms if desired else new_request.latest[0]), precision(new_request)
        )
        one = request_order.is_newer(
            request_order.DatedChoice(changed), request, desired=bool(desired)
        )
        assert one is bool(newer[0])
    return bool(newer[0])


def precision(new_request: request_dates.RequestTimes) -> Precision:
    return Precision(int(new_request.precision[0]))


@pytest.mark.parametrize(
    ("requested", "changed", "stops_opt_out", "stops_opt_in"),
    [
        ("2026-11-02 10:00Z", "2026-11-02 09:59:59.999", False, False),
        ("2026-11-02 10:00Z", "2026-11-02 10:00", False, True),
        ("2026-11-02 10:00Z", "2026-11-02 10:00:00.001", True, True),
        ("2026-11-02T00:00Z", "2026-11-02 00:00:00.001", True, True),
        ("2026-11-02", "2026-11-01 23:59", False, False),
        ("2026-11-02", "2026-11-02 00:00", False, True),
        ("2026-11-02", "2026-11-03 07:59", False, True),
        ("2026-11-02", "2026-11-03 08:00", True, True),
        ("2026-02-01 14:00", "2026-02-01 13:59", False, False),
        ("2026-02-01 14:00", "2026-02-01 15:00", False, True),
        ("2026-02-01 14:00", "2026-02-01 22:00:00.001", True, True),
    ],
    ids=[
        "just before",
        "a tie goes to the opt-out",
        "just after",
        "midnight is an instant if it says so",
        "the day before",
        "on the day",
        "late on the day in California",
        "on the next day",
        "before a time without a zone",
        "a time that may be California's",
        "after it in California too",
    ],
)
def test_a_newer_choice_stops_a_request(
    requested: str, changed: str, *, stops_opt_out: bool, stops_opt_in: bool
) -> None:
    assert is_newer([requested], 1, changed_ms(changed)) is stops_opt_out
    assert is_newer([requested], 0, changed_ms(changed)) is stops_opt_in


@pytest.mark.parametrize(
    ("requests", "stops_opt_out", "stops_opt_in"),
    [
        (["2026-01-05", "2026-03-05"], False, False),
        (["2026-03-05", "2026-01-05"], False, False),
        (["2026-01-05", "2026-01-06"], True, True),
        (["2026-01-05", ""], False, True),
        (["", "2026-01-05"], False, True),
        (["", ""], False, False),
    ],
    ids=["the last one counts", "wherever it stands", "both are older", "perhaps", "maybe", "none"],
)
def test_of_repeated_requests_the_last_one_counts(
    requests: list[str], *, stops_opt_out: bool, stops_opt_in: bool
) -> None:
    changed = changed_ms("2026-02-01 12:00")
    assert is_newer(requests, 1, changed) is stops_opt_out
    assert is_newer(requests, 0, changed) is stops_opt_in


def test_a_change_with_an_unreadable_date_stops_opt_ins_alone() -> None:
    assert is_newer(["2026-11-02"], 0, request_order.UNREADABLE)
    assert not is_newer(["2026-11-02"], 1, request_order.UNREADABLE)
    assert not is_newer([""], 0, request_order.UNREADABLE)
    assert not is_newer(["2026-11-02"], 0, 0)
    assert "cannot be read" in request_order.sentence(DatedChoice(request_order.UNREADABLE))


def test_a_choice_of_the_year_10000_has_a_message() -> None:
    assert "9999-12-31 23:59 UTC" in request_order.sentence(
        DatedChoice(changed_ms("9999-12-31 23:59"))
    )
    assert "10000-01-01 07:59 UTC" in request_order.sentence(DatedChoice(253402329599000))


def own_write(requested: str, *, state: bool = False, is_doubtful: bool = False) -> Own:
    """Return a write at noon of 28 November, confirmed a second later."""
    began = changed_ms("2026-11-28 12:00")
    request = RequestDate.parse(requested) if requested else None
    return Own(state, began, began + 1_000, request, began, "R", is_doubtful)


AT_NOON = "2026-11-28 12:00:00.500"

LATER_FIRST = [
    ("2026-11-25", "2026-11-20", AT_NOON),
    ("2026-11-21", "2026-11-20", AT_NOON),
    ("2026-11-25", "2026-11-20", ""),
    ("2026-11-25", "2026-11-20", "2026-11-28 11:59"),
    ("2026-11-25", "2026-11-20", "2026-11-28 12:01:01"),
    ("2026-11-20T10:00:01", "2026-11-20T10:00", AT_NOON),
    ("2026-11-20T10:00:00.001Z", "2026-11-20T10:00Z", AT_NOON),
    ("2026-11-22", "2026-11-20T10:00Z", AT_NOON),
    ("2026-11-21T08:00Z", "2026-11-20", AT_NOON),
]
"""Two requests, the later one first, and Campaign's time of the write for the other one."""


@pytest.mark.parametrize(("later", "earlier", "stamp"), LATER_FIRST)
@pytest.mark.parametrize("desired", [True, False], ids=["opt-out", "opt-in"])
def test_the_later_request_wins_whatever_was_written_when(
    later: str, earlier: str, stamp: str, *, desired: bool
) -> None:
    stamp_ms = changed_ms(stamp) if stamp else 0
    for request, carried_out in ((later, earlier), (earlier, later)):
        new_request = RequestDate.parse(request)
        found = request_order.choice(
            stamp_ms, own_write(carried_out, state=not desired), new_request, desired=desired
        )
        assert request_order.is_newer(found, new_request, desired=desired) is (request == earlier)


@pytest.mark.parametrize(
    ("request_date", "carried_out", "stamp"),
    [
        ("2026-11-20", "2026-11-20", AT_NOON),
        ("2026-11-20T10:00Z", "2026-11-20", AT_NOON),
        ("2026-11-20", "2026-11-20T10:00Z", AT_NOON),
        ("2026-11-20T10:00", "2026-11-20T12:00Z", AT_NOON),
        ("2026-11-21T07:59Z", "2026-11-20", AT_NOON),
        ("2026-11-20", "", AT_NOON),
        ("2026-11-25", "2026-11-20", "2026-11-26 12:00"),
        ("2026-11-25", "2026-11-20", "2026-11-28 12:01:01.001"),
        ("2026-11-25", "2026-11-20", "2026-11-28 13:00:01"),
    ],
    ids=[
        "the same day",
        "a time of the day",
        "the day of a time",
        "a time that may be another zone's",
        "a time when it is still that day in California",
        "what was carried out is undated",
        "a stamp from before the write",
        "a stamp of more than a minute after it",
        "a stamp of an hour after it",
    ],
)
def test_on_a_tie_or_in_doubt_the_opt_out_wins(
    request_date: str, carried_out: str, stamp: str
) -> None:
    new_request = RequestDate.parse(request_date)
    for desired in (True, False):
        written = own_write(carried_out, state=not desired)
        found = request_order.choice(changed_ms(stamp), written, new_request, desired=desired)
        assert request_order.is_newer(found, new_request, desired=desired) is not desired


def test_an_undated_request_is_older_than_requests_after_its_write() -> None:
    new_request = RequestDate.parse("2026-11-28T12:00:00.001Z")
    found = request_order.choice(
        changed_ms(AT_NOON), own_write("", state=True), new_request, desired=False
    )
    assert not request_order.is_newer(found, new_request, desired=False)


@pytest.mark.parametrize("stamp", ["2026-11-28 13:00:01.001", "2026-12-24 10:00"])
def test_a_time_of_change_after_the_write_is_a_change_by_others(stamp: str) -> None:
    new_request = RequestDate.parse("2026-11-25")
    found = request_order.choice(
        changed_ms(stamp), own_write("2026-11-20"), new_request, desired=True
    )
    assert found == DatedChoice(changed_ms(stamp))
    assert request_order.is_newer(found, new_request, desired=True)


def test_both_times_of_a_doubtful_write_may_count() -> None:
    for desired, stops in ((True, False), (False, True)):
        new_request = RequestDate.parse("2026-11-25")
        written = own_write("2026-11-20", state=not desired, is_doubtful=True)
        found = request_order.choice(changed_ms(AT_NOON), written, new_request, desired=desired)
        assert request_order.is_newer(found, new_request, desired=desired) is stops


@pytest.mark.parametrize(
    "text", ["2026-11-20", "2026-11-20T10:00:00.000", "2026-11-20T10:00:00.001Z", "0001-01-01"]
)
def test_a_request_date_is_read_back_as_it_is_written(text: str) -> None:
    assert str(RequestDate.parse(text)) == text


def test_the_message_names_the_other_request() -> None:
    message = request_order.sentence(DatedChoice(1, own_write("2026-11-25")))
    assert "Run R has carried out a request of 2026-11-25 for this profile" in message
    assert "whose date is not known" in request_order.sentence(DatedChoice(1, own_write("")))
