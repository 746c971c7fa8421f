"""The last day of an opt-out: 15 business days, without weekends and state holidays."""

from datetime import date, timedelta

import numpy as np
import pandas as pd
import pytest
from date_cells import requests_of
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome, Reason
from bulk_sync.rows import columns, due_dates
from bulk_sync.rows.columns import NONE, OUTCOME_CODES, REASON_CODES
from bulk_sync.rows.due_dates import Late
from bulk_sync.rows.request_dates import Requests


def read(*cells: str) -> Requests:
    return requests_of(pd.Series(cells, dtype="str", name="Request date"))


def last_day(text: str) -> str:
    return str(due_dates.last_days(read(text).day)[0])


def deadlines_of(frame: pd.DataFrame) -> list[str]:
    due: list[str] = due_dates.with_due(frame)[columns.DUE].tolist()
    return due


def rows(*given: tuple[str | None, int, Outcome]) -> pd.DataFrame:
    """Build results from each request date, former state and outcome."""
    return pd.DataFrame(
        {
            columns.RECEIVED: read(*(at or "" for at, _, _ in given)).day,
            columns.DESIRED: columns.states(np.array([state for _, state, _ in given], np.int8)),
            columns.REASON: columns.reasons(np.full(len(given), NONE, np.int8)),
            columns.OUTCOME: columns.outcomes(
                np.array([OUTCOME_CODES.get(each, NONE) for _, _, each in given], np.int8)
            ),
        }
    )


@pytest.mark.parametrize(
    ("received", "last"),
    [
        ("2026-02-02", "2026-02-24"),
        ("2026-11-02", "2026-11-24"),
        ("2026-11-07", "2026-12-02"),
        ("2026-11-08", "2026-12-02"),
        ("2026-12-14", "2027-01-06"),
        ("2026-11-03 02:00", "2026-11-24"),
        ("2026-11-03 09:00Z", "2026-11-25"),
        ("2026-11-03T00:00:00Z", "2026-11-24"),
        ("2026-11-02T16:00-08:00", "2026-11-24"),
        ("2026-06-22", "2026-07-13"),
        ("2027-12-13", "2028-01-03"),
        ("2028-02-01", "2028-02-23"),
        ("2023-11-01", "2023-11-27"),
        ("2027-06-14", "2027-07-06"),
        ("2029-10-22", "2029-11-13"),
        ("2022-12-05", "2022-12-27"),
        ("2022-12-12", "2023-01-04"),
    ],
    ids=[
        "over Presidents' Day",
        "over Veterans Day",
        "on a Saturday, over Thanksgiving",
        "on the Sunday after",
        "over the new year",
        "still the day before in California",
        "the same day in California",
        "midnight, as an instant",
        "4 p.m. in California",
        "Independence Day on a Saturday",
        "Christmas and the new year on Saturdays",
        "a day that schools observe",
        "Veterans Day on a Saturday",
        "Independence Day on a Sunday",
        "Veterans Day on a Sunday",
        "Christmas on a Sunday",
        "Christmas and the new year on Sundays",
    ],
)
def test_fifteen_business_days_begin_the_day_after(received: str, last: str) -> None:
    assert last_day(received) == last


HOLIDAYS = {
    2022: "01-01 01-17 02-21 03-31 05-30 06-19 07-04 09-05 11-11 11-24 11-25 12-25 12-26",
    2023: "01-01 01-02 01-16 02-20 03-31 05-29 06-19 07-04 09-04 11-10 11-11 11-23 11-24 12-25",
    2024: "01-01 01-15 02-19 03-31 04-01 05-27 06-19 07-04 09-02 11-11 11-28 11-29 12-25",
    2025: "01-01 01-20 02-17 03-31 05-26 06-19 07-04 09-01 11-11 11-27 11-28 12-25",
    2026: "01-01 01-19 02-16 03-31 05-25 06-19 07-04 09-07 11-11 11-26 11-27 12-25",
    2027: "01-01 01-18 02-15 03-31 05-31 06-19 07-04 07-05 09-06 11-11 11-25 11-26 12-25",
    2028: "01-01 01-17 02-21 03-31 05-29 06-19 07-04 09-04 11-10 11-11 11-23 11-24 12-25",
    2029: "01-01 01-15 02-19 03-31 05-28 06-19 07-04 09-03 11-11 11-12 11-22 11-23 12-25",
    2030: "01-01 01-21 02-18 03-31 04-01 05-27 06-19 07-04 09-02 11-11 11-28 11-29 12-25",
}
"""California's state holidays by the Government Code (6700, 6701), written down by hand.

A fixed date on a Sunday adds the Monday, and a Veterans Day on a Saturday the Friday before.
"""

CLOSED = {
    date.fromisoformat(f"{year}-{day}") for year, days in HOLIDAYS.items() for day in days.split()
}


@pytest.mark.parametrize("year", HOLIDAYS)
def test_the_holidays_are_those_of_the_law(year: int) -> None:
    found = [day for day in due_dates.holidays_of([year]) if day.year == year]
    assert sorted(found) == sorted(day for day in CLOSED if day.year == year)


@given(st.dates(date(2022, 1, 1), date(2030, 11, 30)))
def test_the_last_day_is_the_one_counted_day_by_day(received: date) -> None:
    day, left = received, 15
    while left:
        day += timedelta(days=1)
        left -= day.weekday() < 5 and day not in CLOSED
    assert last_day(str(received)) == str(day)


def test_only_a_dated_opt_out_is_due() -> None:
    frame = rows(
        ("2026-11-02", 1, Outcome.UPDATED),
        (None, 1, Outcome.UPDATED),
        ("2026-11-02", 0, Outcome.UPDATED),
    )
    assert due_dates.with_due(frame)[columns.DUE].tolist() == ["2026-11-24", "", ""]


def test_a_slip_in_a_year_does_no_harm() -> None:
    assert last_day("9999-12-31") == "9999-12-31"
    frame = rows(
        ("0001-01-01", 1, Outcome.FAILED),
        ("1969-12-01", 1, Outcome.FAILED),
        ("9999-12-30", 1, Outcome.UPDATED),
    )
    due = deadlines_of(frame)
    assert due[:2] == ["0001-01-22", "1969-12-22"]
    assert due_dates.late(frame, date(2026, 11, 25)) == Late(left=2, done=0, soon=0, undated=0)


def test_without_request_dates_nothing_is_due() -> None:
    frame = rows((None, 1, Outcome.FAILED)).drop(columns=columns.RECEIVED)
    assert columns.DUE not in due_dates.with_due(frame)
    assert due_dates.late(frame, date(2026, 11, 25)) is None


def test_opt_outs_past_their_last_day_are_late_and_those_near_it_soon() -> None:
    frame = rows(
        ("2026-11-02", 1, Outcome.UPDATED),  # due on the 24th
        ("2026-11-02", 1, Outcome.UNCHANGED),  # perhaps long ago
        ("2026-11-02", 1, Outcome.FAILED),
        ("2026-11-02", 1, Outcome.WOULD_UPDATE),
        ("2026-11-02", 0, Outcome.FAILED),  # an opt-in has no last day
        ("2026-11-03", 1, Outcome.PENDING),  # due on the 25th, today
        ("2026-11-07", 1, Outcome.NOT_FOUND),  # due on 2 December, three business days after
        ("2026-11-09", 1, Outcome.NOT_FOUND),  # due on the 3rd
        ("2026-11-12", 1, Outcome.NOT_FOUND),
        (None, 1, Outcome.FAILED),
    )
    today = date(2026, 11, 25)
    assert last_day("2026-11-09") == "2026-12-03"
    assert due_dates.late(frame, today) == Late(left=2, done=1, soon=2, undated=1)
    assert due_dates.late(frame, date(2026, 11, 30)) == Late(left=3, done=1, soon=2, undated=1)
    assert due_dates.late(frame.iloc[:0], today) == Late(0, 0, 0, 0)


def test_days_left_agree_with_the_lines_about_deadlines() -> None:
    days = ("02", "03", "07", "12", "20", "30")
    received = [*(f"2026-11-{day}" for day in days), None]
    frame = rows(
        *((day, 1, Outcome.FAILED) for day in received),
        ("2026-11-02", 1, Outcome.UPDATED),  # carried out
        (None, 0, Outcome.FAILED),  # an opt-in
    )
    today = date(2026, 11, 25)
    assert due_dates.days_left(frame, today) == {
        "overdue": 1,
        "0 to 3 days": 2,
        "4 to 7 days": 1,
        "8 to 15 days": 1,
        "over 15 days": 1,
        "no date": 1,
    }
    late = due_dates.late(frame, today)
    assert late is not None
    assert (late.left, late.soon, late.undated) == (1, 2, 1)
    overdue = due_dates.days_left(frame.iloc[:1], today)
    assert list(overdue.values()) == [1, 0, 0, 0, 0, 0]
    assert due_dates.days_left(rows(("2026-11-02", 1, Outcome.UPDATED)), today) == {}
    assert due_dates.days_left(frame.drop(columns=columns.RECEIVED), today) == {}


@pytest.mark.parametrize("reason", [None, *Reason])
@pytest.mark.parametrize("outcome", NEEDS_A_PERSON)
def test_an_opt_out_that_is_not_done_is_late_whatever_the_reason(
    outcome: Outcome, reason: Reason | None
) -> None:
    frame = rows(("2026-11-02", 1, outcome), ("2026-11-09", 1, outcome), (None, 1, outcome))
    code = NONE if reason is None else REASON_CODES[reason]
    frame[columns.REASON] = columns.reasons(np.full(3, code, np.int8))
    assert due_dates.late(frame, date(2026, 11, 30)) == Late(left=1, done=0, soon=1, undated=1)


def test_a_total_below_the_list_is_no_opt_out_without_a_date() -> None:
    frame = rows(*[(None, -1, Outcome.REJECTED)] * 3)
    reasons = (Reason.NOT_DATA, Reason.BAD_STATE, Reason.BAD_STATE)
    codes = np.array([REASON_CODES[each] for each in reasons], np.int8)
    frame[columns.REASON] = columns.reasons(codes)
    today = date(2026, 11, 30)
    assert due_dates.late(frame, today) == Late(left=0, done=0, soon=0, undated=2)
    assert due_dates.days_left(frame, today)["no date"] == 2


def test_counts_of_both_are_added_where_both_have_request_dates() -> None:
    one, other = Late(1, 2, 3, 4), Late(10, 20, 30, 40)
    assert due_dates.total(one, other) == Late(11, 22, 33, 44)
    assert due_dates.total(one, None) == due_dates.total(None, one) == one
    assert due_dates.total(None, None) is None
