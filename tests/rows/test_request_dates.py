"""How request dates are read, found by name, and put rows into their order."""

import logging
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bulk_sync.errors import InputProblem
from bulk_sync.rows import check, columns, comparison, request_dates
from bulk_sync.rows.check import Rules
from bulk_sync.rows.request_order import UNDATED
from bulk_sync.rows.results import Steps


def column(*cells: str) -> pd.Series:
    return pd.Series(cells, dtype="str", name="Received")


def ms(year: int, month: int, day: int, hour: int = 0, minute: int = 0, second: float = 0) -> int:
    """Return a UTC time in ms since the epoch."""
    midnight = datetime(year, month, day, hour, minute, tzinfo=UTC)
    return round(midnight.timestamp() * 1000 + second * 1000)


def raw(names: list[str], *rows: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(list(rows), columns=names, dtype="str")
    return frame.assign(**{columns.ROW: range(2, len(rows) + 2)})


def dated(*cells: str) -> pd.DataFrame:
    """Judge rows of one state with these request dates."""
    rows = [(f"@{at}", "true", cell) for at, cell in enumerate(cells)]
    return check.rows(raw(["PKey", "ccpaOptOut", "Request date"], *rows), Rules())


@pytest.mark.parametrize(
    ("cell", "read_as"),
    [
        ("2026-11-23", ms(2026, 11, 23)),
        (" 2026-11-23\u00a0", ms(2026, 11, 23)),
        ("2026-11-23T02:03", ms(2026, 11, 23, 2, 3)),
        ("2026-11-23 02:03:04", ms(2026, 11, 23, 2, 3, 4)),
        ("2026-11-23T02:03:04.567Z", ms(2026, 11, 23, 2, 3, 4.567)),
        ("2026-11-23 02:03:04.005678000-0500", ms(2026, 11, 23, 7, 3, 4.006)),
        ("2026-11-23T02:03:04+05:30", ms(2026, 11, 22, 20, 33, 4)),
        ("2026-11-23 02:03 +01", ms(2026, 11, 23, 1, 3)),
        ("2026-11-23 02:03:04 UTC", ms(2026, 11, 23, 2, 3, 4)),
        ("2026/11/3", ms(2026, 11, 3)),
        ("2028-02-29", ms(2028, 2, 29)),
        ("2199-01-01", ms(2199, 1, 1)),
        ("23.11.2026", ms(2026, 11, 23)),
        ("3.4.2026", ms(2026, 4, 3)),
        ("3.4.2026 14:05", ms(2026, 4, 3, 14, 5)),
        ("11/23/2026", ms(2026, 11, 23)),
        ("23/11/2026", ms(2026, 11, 23)),
        ("5/5/2026", ms(2026, 5, 5)),
        ("11/23/2026 12:05 AM", ms(2026, 11, 23, 0, 5)),
        ("11/23/2026, 2:05:06 pm", ms(2026, 11, 23, 14, 5, 6)),
        ("11/23/26", ms(2026, 11, 23)),
        ("11-23-2026", ms(2026, 11, 23)),
        ("23-11-2026", ms(2026, 11, 23)),
        ("3-Nov-26", ms(2026, 11, 3)),
        ("03-NOV-2026 14:05", ms(2026, 11, 3, 14, 5)),
        ("3 November 2026", ms(2026, 11, 3)),
        ("Nov 3, 2026", ms(2026, 11, 3)),
        ("Nov. 3, 2026", ms(2026, 11, 3)),
        ("Tuesday, November 3, 2026", ms(2026, 11, 3)),
        ("November 3, 2026, 2:05 PM", ms(2026, 11, 3, 14, 5)),
    ],
)
def test_a_date_is_read_as_people_spreadsheets_and_databases_write_it(
    cell: str, read_as: int
) -> None:
    assert request_dates.read(column(cell)).earliest.tolist() == [read_as]


@pytest.mark.parametrize(
    "cell",
    [
        "", "soon", "46349", "1795392000000", "2026-11", "2026-02-29", "2026-13-01", "0000-00-00",
        "2026-11-23T24:01", "2026-11-23T02:60", "2026-11-23 13:05 PM", "2026-11-23 0:05 AM",
        "2026-11.23", "11.23.2026", "13/13/2026", "2/30/2026", "2/30/26", "11-2026", "Nov 2026",
        "3-Nov", "31 Nov 2026", "Movember 3, 2026", "3 Nov", "Nov 3", "November", "3/Nov/2026",
        "202-11-23", "2026-11-2026", "2026-11-0023", "0023/11/2026",
        "2026-11-23 and more", "\uff12\uff10\uff12\uff16-11-23",
    ],
)  # fmt: skip
def test_what_is_no_date_leaves_the_row_undated(cell: str) -> None:
    assert request_dates.read(column(cell)).earliest.tolist() == [UNDATED]


def test_one_date_shows_how_the_others_are_meant() -> None:
    assert request_dates.read(column("3/4/2026", "3/14/2026")).earliest.tolist() == [
        ms(2026, 3, 4),
        ms(2026, 3, 14),
    ]
    assert request_dates.read(column("3/4/2026", "14/3/2026")).earliest.tolist() == [
        ms(2026, 4, 3),
        ms(2026, 3, 14),
    ]


@pytest.mark.parametrize(
    ("shows", "day", "order"),
    [
        ("11/23/2026", ms(2026, 11, 3), "month/day/year"),
        ("11/23/26", ms(2026, 11, 3), "month/day/year"),
        ("11-23-2026", ms(2026, 11, 3), "month/day/year"),
        ("23/11/2026", ms(2026, 3, 11), "day/month/year"),
        ("31/12/25", ms(2026, 3, 11), "day/month/year"),  # 2031 is too far ahead for a request
    ],
)
@pytest.mark.parametrize("cell", ["11/03/2026", "11-3-2026", "11/03/26"])
def test_the_whole_column_has_one_order(
    shows: str, day: int, order: str, cell: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    read = request_dates.read(column(cell, shows, "2026-01-02"), today=date(2026, 11, 29))
    assert read.earliest[0] == day
    assert UNDATED not in read.earliest
    (told,) = caplog.messages
    assert told.endswith(f"by the dates in column 'Received', read as {order}")


def test_a_column_s_name_may_show_the_order() -> None:
    for name, day in (("MM/DD/YYYY", ms(2026, 11, 3)), ("dd/mm/yy", ms(2026, 3, 11))):
        cells = pd.Series(["11/03/2026"], dtype="str", name=f"Date received ({name})")
        assert request_dates.read(cells).earliest.tolist() == [day]
    cells = pd.Series(["11/03/2026", "23/11/2026"], dtype="str", name="Received (MM/DD)")
    assert request_dates.read(cells).earliest.tolist() == [UNDATED, ms(2026, 11, 23)]


@pytest.mark.parametrize(
    "cells",
    [("11/03/26",), ("26/11/03", "26/11/04"), ("03/04/26", "11/23/26", "23/11/2026")],
    ids=["no cell shows it", "the year may come first", "two are shown"],
)
def test_a_short_year_is_never_guessed(cells: tuple[str, ...]) -> None:
    read = request_dates.read(column(*cells), today=date(2026, 11, 29))
    assert read.earliest[0] == UNDATED


@pytest.mark.parametrize(
    ("cells", "read_as"),
    [
        (["3/4/2026", "5/5/2026"], [UNDATED, ms(2026, 5, 5)]),
        (["3/4/2026", "14/3/2026", "3/14/2026"], [UNDATED, ms(2026, 3, 14), ms(2026, 3, 14)]),
        (["3/4/2026", "31/2/2026"], [UNDATED, UNDATED]),
        (["3/4/2026", "14.3.2026", "2026-03-14"], [UNDATED, ms(2026, 3, 14), ms(2026, 3, 14)]),
    ],
    ids=["nothing shows it", "both are shown", "what is no date shows nothing", "nor other forms"],
)
def test_day_and_month_are_never_guessed(
    cells: list[str], read_as: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    assert request_dates.read(column(*cells, "3/4/2026")).earliest.tolist() == [*read_as, UNDATED]
    (warning,) = [each for each in caplog.messages if "swapped" in each]
    assert "'Received'" in warning
    assert "in 2 request dates" in warning
    assert "ISO" in warning


def test_the_log_counts_what_cannot_be_read_and_names_no_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    request_dates.read(column("soon", "soon", "", "2026-11-23", "never"))
    (warning,) = [each for each in caplog.messages if "cannot be read" in each]
    assert "3 request dates" in warning
    assert "soon" not in warning


def test_the_log_names_the_first_rows_that_it_is_about(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "bulk_sync"):
        rows = column("2026-11-23", "soon", *["3/4/2026"] * 7)
        request_dates.read(rows, lambda at: f"row {at + 2} of a.csv")
    swapped, unreadable = caplog.messages
    assert "1 request date cannot be read (row 3 of a.csv), so this row is" in unreadable
    assert "7 request dates day and month could be swapped (row 4 of a.csv, " in swapped
    assert "row 8 of a.csv, ...), so" in swapped


def test_no_rows_have_no_dates() -> None:
    assert request_dates.read(column()).earliest.tolist() == []


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001


@pytest.mark.parametrize(
    "far", ["1899-12-30", "1900-01-01 00:00:00", "1970-01-01", "1/13/1904", "0001-01-01",
            "2062-11-24", "13.1.2062", "2028-11-30T08:00:00Z", "9999-12-31"]
)  # fmt: skip
def test_dates_on_which_nobody_asked_are_undated_and_their_rows_named(
    far: str, caplog: pytest.LogCaptureFixture
) -> None:
    today = date(2026, 11, 28)
    read = request_dates.read(
        column("2000-01-01", far, "2028-11-28"), lambda at: f"row {at + 2}", today
    )
    assert read.earliest.tolist() == [ms(2000, 1, 1), UNDATED, ms(2028, 11, 28)]
    assert read.latest[1] == UNDATED
    assert read.day[1] == UNDATED
    (warning,) = (each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert "1 request date is before 2000 or more than two years ahead (row 3)" in warning


DAYS = st.dates(date(1900, 1, 1), date(2100, 1, 1))


@given(times=st.lists(TIMES, min_size=1), separator=st.sampled_from("T "))
@settings(max_examples=100)
def test_an_iso_time_comes_back_to_the_millisecond(times: list[datetime], separator: str) -> None:
    times = [each.replace(microsecond=each.microsecond // 1000 * 1000) for each in times]
    found = request_dates.read(column(*(each.isoformat(separator) for each in times))).earliest
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert found.tolist() == [(each - epoch) // timedelta(milliseconds=1) for each in times]


@given(days=st.lists(DAYS, max_size=12), is_day_first=st.booleans())
@settings(max_examples=100)
def test_a_column_in_one_order_is_read_in_it_or_not_at_all(
    days: list[date], is_day_first: bool
) -> None:
    def written(day: date) -> str:
        first, second = (day.day, day.month) if is_day_first else (day.month, day.day)
        return f"{first}/{second}/{day.year}"

    found = request_dates.read(column(*map(written, days))).earliest.tolist()
    right = [ms(day.year, day.month, day.day) for day in days]
    if any(day.day > 12 for day in days):
        assert found == right
    else:
        sure = [day.day == day.month for day in days]
        assert found == [
            there if is_sure else UNDATED for there, is_sure in zip(right, sure, strict=True)
        ]


REQUESTS = st.dates(date(2000, 1, 1), date(2026, 11, 28))
CELLS = st.one_of(REQUESTS.map(date.isoformat), st.sampled_from(["", "soon", "2026-01-01"]))


@given(cells=st.lists(CELLS, max_size=20), data=st.data())
@settings(max_examples=100)
def test_the_oldest_come_first_the_undated_last_and_equals_as_they_stand(
    cells: list[str], data: Any
) -> None:
    frame = dated(*cells)
    last = "9999"
    order = sorted(
        range(len(cells)), key=lambda at: cells[at] if cells[at][:1].isdecimal() else last
    )
    assert comparison.open_rows(frame).tolist() == order

    current = data.draw(st.lists(st.booleans(), min_size=len(cells), max_size=len(cells)))
    reading = Steps.of(len(cells))
    for place, at in enumerate(order):
        reading.done(place, 1, 1, state=current[at])
    planned = comparison.compare(frame, reading)
    assert planned[columns.BEFORE].tolist() == current
    assert planned[columns.ROW].tolist() == frame[columns.ROW].tolist()
    assert comparison.writes(planned).tolist() == [at for at in order if not current[at]]


def test_a_row_that_counts_for_others_is_as_old_as_the_oldest_that_says_the_same() -> None:
    frame = raw(
        ["PKey", "ccpaOptOut", "Received"],
        ("@a", "true", "2026-03-01"),
        ("@b", "true", "2026-02-01"),
        ("@a", "true", "2026-01-15"),
        ("@a", "false", "2026-01-01"),
    )
    checked = check.rows(frame, Rules(on_conflict=check.OnConflict.OPT_OUT))
    assert checked[columns.REQUESTED].iat[0] == ms(2026, 1, 15)
    assert comparison.open_rows(checked).tolist() == [0, 1]


@pytest.mark.parametrize(
    "name",
    [
        "Request date", "REQUEST_DATE", "requestedAt", "Date of request", "received",
        "Opt-out date", "Date received (MM/DD/YYYY)", "Requested on", "Submission time",
    ],
)  # fmt: skip
def test_the_column_is_found_by_name_case_and_punctuation_aside(name: str) -> None:
    checked = check.rows(raw(["PKey", "ccpaOptOut", name], ("@a", "true", "2026-01-01")), Rules())
    assert checked[columns.REQUESTED].tolist() == [ms(2026, 1, 1)]


@pytest.mark.parametrize("name", ["date", "createdAt", "birth date", "sync_at"])
def test_no_other_date_is_taken_for_the_request_s(name: str) -> None:
    checked = check.rows(raw(["PKey", "ccpaOptOut", name], ("@a", "true", "2026-01-01")), Rules())
    assert columns.REQUESTED not in checked


def test_the_log_names_the_option_for_a_mere_date(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    check.rows(raw(["PKey", "ccpaOptOut", "Date"], ("@a", "true", "2026-01-01")), Rules())
    (told,) = caplog.messages
    assert told.endswith("add --date-column Date")


def test_the_column_may_be_named() -> None:
    rows = [("@a", "true", "2026-02-01", "2026-01-01"), ("@b", "true", "2026-01-01", "2026-02-01")]
    frame = raw(["PKey", "ccpaOptOut", "Received", "created"], *rows)
    assert comparison.open_rows(check.rows(frame, Rules())).tolist() == [1, 0]
    assert comparison.open_rows(check.rows(frame, Rules(date_column="created"))).tolist() == [0, 1]


def test_of_two_columns_neither_is_taken_and_the_log_asks(caplog: pytest.LogCaptureFixture) -> None:
    names = ["PKey", "ccpaOptOut", "Received", "Request date"]
    with caplog.at_level(logging.WARNING):
        checked = check.rows(raw(names, ("@a", "true", "2026-01-01", "2026-01-01")), Rules())
    assert columns.REQUESTED not in checked
    (warning,) = [each for each in caplog.messages if "More than one" in each]
    assert "'Received', 'Request date'" in warning
    assert "--date-column" in warning


def test_a_column_of_states_is_none_of_dates() -> None:
    frame = raw(["PKey", "Requested"], ("@a", "true"))
    assert columns.REQUESTED not in check.rows(frame, Rules(state_column="Requested"))


def test_a_name_that_is_not_there_is_refused_with_those_that_are() -> None:
    with pytest.raises(InputProblem, match=r"--date-column 'when'.* Columns: 'PKey', 'ccpaOptOut'"):
        check.rows(raw(["PKey", "ccpaOptOut"], ("@a", "true")), Rules(date_column="when"))


def test_what_a_plan_added_is_not_taken_for_a_column_of_the_input() -> None:
    frame = raw(["PKey", "ccpaOptOut", columns.REQUESTED], ("@a", "true", "5"))
    assert columns.REQUESTED not in check.rows(frame, Rules())
