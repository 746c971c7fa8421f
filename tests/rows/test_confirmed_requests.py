"""Requests whose state was already in Campaign, and missing or very old dates."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from test_request_order import changed_ms, own_write

from bulk_sync.rows import columns, request_order
from bulk_sync.rows.request_order import Confirmed, DatedChoice, Own, Precision, RequestDate


def confirming(carried_out: str, found: str) -> Own:
    """Return a write whose state a later run has found, for another request."""
    confirmed = Confirmed(RequestDate.parse(found), "S", changed_ms("2026-11-29 12:00"))
    return replace(own_write(carried_out), confirmed=confirmed)


@pytest.mark.parametrize(
    ("found", "stamp_ms", "desired", "is_of"),
    [
        ("2026-11-25", 0, True, "S"),
        ("2026-11-25", 0, False, "S"),
        ("2026-11-20", 0, True, "R"),
        ("2026-11-15", 0, True, "R"),
        ("2026-11-25", request_order.UNREADABLE, True, "S"),
        ("2026-11-25", request_order.UNREADABLE, False, None),
        ("2026-11-25", changed_ms("2026-12-24 10:00"), True, None),
    ],
    ids=[
        "a later one", "a later opt-out", "the same day", "an earlier one",
        "a stamp that cannot be read", "which stops an opt-in in any case", "a later stamp",
    ],
)  # fmt: skip
def test_a_later_request_that_found_the_state_counts(
    found: str, stamp_ms: int, *, desired: bool, is_of: str | None
) -> None:
    wanted, written = RequestDate.parse("2026-11-22"), confirming("2026-11-20", found)
    choice = request_order.choice(stamp_ms, written, wanted, desired=desired)
    assert (None if choice.own is None else choice.own.run_id) == is_of
    if choice.own is None:
        assert choice.at_ms == stamp_ms
    else:
        assert choice.own.is_seen is (is_of == "S")
        assert request_order.is_newer(choice, wanted, desired=desired) is (is_of == "S")


def test_a_found_state_has_campaign_s_time_or_that_of_the_request() -> None:
    seen = replace(own_write(""), is_seen=True)
    wanted, stamp_ms = RequestDate.parse("2026-11-22"), changed_ms("2026-11-21 12:00")
    assert request_order.choice(stamp_ms, seen, wanted, desired=True) == DatedChoice(stamp_ms)
    confirmed = Confirmed(RequestDate.parse("2026-11-25"), "S", 1)
    choice = request_order.choice(
        stamp_ms, replace(seen, confirmed=confirmed), wanted, desired=True
    )
    assert "Run S wants the same state by a request of 2026-11-25" in (
        request_order.sentence(choice)
    )


@pytest.mark.parametrize(
    ("carried_out", "found", "newest"),
    [
        ("", None, None),
        ("2026-11-20", None, ("R", "2026-11-20")),
        ("", "2026-11-25", ("S", "2026-11-25")),
        ("2026-11-20", "2026-11-25", ("S", "2026-11-25")),
        ("2026-11-20", "2026-11-20", ("R", "2026-11-20")),
        ("2026-11-20", "2026-11-15", ("R", "2026-11-20")),
    ],
    ids=["none", "the write's", "a later one's", "the later one's", "the same", "an earlier one"],
)
def test_the_newest_dated_request_stands_behind_a_write(
    carried_out: str, found: str | None, newest: tuple[str, str] | None
) -> None:
    written = own_write(carried_out) if found is None else confirming(carried_out, found)
    dated = request_order.dated(written)
    if dated is None or dated.own is None or dated.own.request is None:
        assert newest is None
        return
    assert (dated.own.run_id, str(dated.own.request)) == newest
    assert dated.at_ms == dated.own.request.last_ms
    assert dated.own.is_seen is (newest[0] == "S")


@pytest.mark.parametrize("desired", [True, False])
def test_a_date_before_1970_is_not_taken_for_a_missing_one(*, desired: bool) -> None:
    wanted = RequestDate.parse("1960-01-01")
    found = request_order.choice(0, own_write("1965-01-01"), wanted, desired=desired)
    assert found.at_ms == 1
    assert request_order.is_newer(found, wanted, desired=desired)
    assert not request_order.is_newer(DatedChoice(0), wanted, desired=desired)


def test_rows_without_a_date_have_no_request() -> None:
    rows = pd.DataFrame({columns.DESIRED: columns.states(np.array([1, 0, 1], np.int8))})
    at = np.array([0, 2])
    assert request_order.requests(rows, at) == [None, None]
    noon = changed_ms("2026-11-20 12:00")
    rows[columns.LATEST] = [noon, 1, request_order.UNDATED]
    assert request_order.requests(rows, at) == [RequestDate(noon, Precision.INSTANT), None]
    rows[columns.PRECISION] = np.array([Precision.LOCAL, 0, 0], np.int8)
    early = RequestDate(noon - request_order.LOCAL_DOUBT_MS, Precision.LOCAL)
    assert request_order.requests(rows, at) == [early, None]
    rows[columns.DESIRED] = columns.states(np.array([0, 0, 0], np.int8))
    assert request_order.requests(rows, at)[0] == RequestDate(noon, Precision.LOCAL)
