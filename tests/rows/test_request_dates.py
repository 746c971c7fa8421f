"""Request dates: how they are read, found by name, and used for the order of rows."""

import logging
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import pytest
from date_cells import read_dates, requests_of
from examples import examples
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.errors import InputProblem
from bulk_sync.rows import (
    check,
    columns,
    comparison,
    hints,
    request_dates,
    request_order,
)
from bulk_sync.rows.check import Rules
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.request_order import DAY_DOUBT_MS, UNDATED, Precision
from bulk_sync.rows.results import Steps
from bulk_sync.rows.slices import Slices
from bulk_sync.settings import DateOrder


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
        ("2026-11-23T23:59:59", ms(2026, 11, 23, 23, 59, 59)),
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
        ("11/23/2026 1:05 am", ms(2026, 11, 23, 1, 5)),
        ("11/23/2026 12:59 PM", ms(2026, 11, 23, 12, 59)),
        ("11/23/2026, 2:05:06 pm", ms(2026, 11, 23, 14, 5, 6)),
        ("11/23/26", ms(2026, 11, 23)),
        ("11-23-2026", ms(2026, 11, 23)),
        ("23-11-2026", ms(2026, 11, 23)),
        ("3-Nov-26", ms(2026, 11, 3)),
        ("03-NOV-2026 14:05", ms(2026, 11, 3, 14, 5)),
        ("3 November 2026", ms(2026, 11, 3)),
        ("Nov 3, 2026", ms(2026, 11, 3)),
        ("Nov. 3, 2026", ms(2026, 11, 3)),
        ("Nov 3 2026", ms(2026, 11, 3)),
        ("November 3rd, 2026", ms(2026, 11, 3)),
        ("1st Sept. 2026", ms(2026, 9, 1)),
        ("Sept 22nd 2026 2:05 PM", ms(2026, 9, 22, 14, 5)),
        ("Tuesday, November 3, 2026", ms(2026, 11, 3)),
        ("November 3, 2026, 2:05 PM", ms(2026, 11, 3, 14, 5)),
    ],
)
def test_a_date_is_read_as_people_spreadsheets_and_databases_write_it(
    cell: str, read_as: int
) -> None:
    assert requests_of(column(cell)).earliest.tolist() == [read_as]


@pytest.mark.parametrize(
    "cell",
    [
        "", "soon", "46349", "1795392000000", "2026-11", "2026-02-29", "2026-13-01", "0000-00-00",
        "2026-11-23T24:00", "2026-11-23T02:60", "2026-11-23 13:05 PM", "2026-11-23 0:05 AM",
        "2026-11-23T02:03:60",
        "2026-11.23", "11.23.2026", "13/13/2026", "2/30/2026", "2/30/26", "11-2026", "Nov 2026",
        "3-Nov", "31 Nov 2026", "Movember 3, 2026", "3 Nov", "Nov 3", "November", "3/Nov/2026",
        "Nov 3 26", "Nov 32026", "3th", "Novth 3, 2026", "Septs 3, 2026", "202-11-23",
        "2026-11-2026", "2026-11-0023", "0023/11/2026",
        "2026-11-23 and more", "\uff12\uff10\uff12\uff16-11-23",
    ],
)  # fmt: skip
def test_an_unreadable_date_leaves_the_row_undated(cell: str) -> None:
    assert requests_of(column(cell)).earliest.tolist() == [UNDATED]


def test_one_date_shows_the_order_of_the_others() -> None:
    assert requests_of(column("3/4/2026", "3/14/2026")).earliest.tolist() == [
        ms(2026, 3, 4),
        ms(2026, 3, 14),
    ]
    assert requests_of(column("3/4/2026", "14/3/2026")).earliest.tolist() == [
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
def test_the_whole_column_has_one_order(shows: str, day: int, order: str, cell: str) -> None:
    read, how = read_dates(column(cell, shows, "2026-01-22"), date(2026, 11, 29))
    assert read.earliest[0] == day
    assert UNDATED not in read.earliest
    assert not read.is_doubtful.any()
    assert how.read_as == f"read as {order}"


def test_a_column_s_name_may_show_the_order() -> None:
    for name, day in (("MM/DD/YYYY", ms(2026, 11, 3)), ("dd/mm/yy", ms(2026, 3, 11))):
        cells = pd.Series(["11/03/2026"], dtype="str", name=f"Date received ({name})")
        assert requests_of(cells).earliest.tolist() == [day]
        assert not requests_of(cells).is_doubtful.any()
    cells = pd.Series(["11/03/2026", "23/11/2026"], dtype="str", name="Received (MM/DD)")
    assert requests_of(cells).earliest.tolist() == [ms(2026, 3, 11), ms(2026, 11, 23)]
    assert requests_of(cells).is_doubtful.tolist() == [True, False]


@pytest.mark.parametrize(
    "cells",
    [("11/03/26",), ("26/11/03", "26/11/04"), ("03/04/26", "11/23/26", "23/11/2026")],
    ids=["no cell shows it", "the year may come first", "two are shown"],
)
def test_a_short_year_is_never_guessed(cells: tuple[str, ...]) -> None:
    read = requests_of(column(*cells), date(2026, 11, 29))
    assert read.earliest[0] == UNDATED


@pytest.mark.parametrize(
    ("others", "read_as"),
    [
        (["5/5/2026"], [ms(2026, 5, 5)]),
        (["14/3/2026", "3/14/2026"], [ms(2026, 3, 14), ms(2026, 3, 14)]),
        (["31/2/2026"], [UNDATED]),
        (["14.3.2026", "2026-03-14"], [ms(2026, 3, 14), ms(2026, 3, 14)]),
    ],
    ids=["nothing shows it", "both are shown", "what is no date shows nothing", "nor other forms"],
)
def test_day_and_month_are_never_guessed_but_both_dates_count(
    others: list[str], read_as: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    read, how = read_dates(column("3/4/2026", *others, "4/3/2026 14:05"))
    first, last = ms(2026, 3, 4), ms(2026, 4, 3) + DAY_DOUBT_MS
    assert read.earliest.tolist() == [first, *read_as, first]
    assert [read.latest[0], read.latest[-1]] == [last, last]
    assert read.day[0] == first // 86_400_000
    (warning,) = [each for each in caplog.messages if "swapped" in each]
    assert "'Received'" in warning
    assert "in 2 request dates" in warning
    assert "ISO" in warning
    assert how.read_as == "with day and month in doubt in 2 of them"


@pytest.mark.parametrize(
    ("text", "order"),
    [
        ("14/3/2026", "day/month/year"),
        ("3/14/2026", "month/day/year"),
        ("3-14-26", "month/day/year"),
    ],
)
def test_dates_that_a_spreadsheet_stored_with_day_and_month_swapped_are_in_doubt(
    text: str, order: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = column("2026-04-03", text, "2026-05-05", "2026-03-14", "2026-04-03 09:30:00")
    read, how = read_dates(rows, date(2026, 11, 29))
    assert read.is_doubtful.tolist() == [True, False, False, False, True]
    first, last = ms(2026, 3, 4), ms(2026, 4, 3) + DAY_DOUBT_MS
    assert read.earliest.tolist() == [
        first, ms(2026, 3, 14), ms(2026, 5, 5), ms(2026, 3, 14), first,
    ]  # fmt: skip
    assert [read.latest[0], read.latest[-1]] == [last, last]
    assert how.read_as == f"read as {order} with day and month in doubt in 2 of them"
    (warning,) = caplog.messages
    assert "in 2 dates (row 2, row 6) day and month may have been swapped" in warning
    assert warning.endswith(".")


def test_a_date_that_does_not_exist_is_none_beside_dates_that_may_be_swapped(
    caplog: pytest.LogCaptureFixture,
) -> None:
    read, _ = read_dates(column("2026-13-01", "14/3/2026"), date(2026, 11, 29))
    assert read.earliest.tolist() == [UNDATED, ms(2026, 3, 14)]
    assert "1 request date cannot be read (row 2)" in caplog.text


@pytest.mark.parametrize(
    "others", [(), ("2026-03-14",), ("14.3.2026",), ("3-Mar-26",), ("5/5/2026",)], ids=str
)
def test_stored_dates_are_certain_without_a_text_in_another_order(others: tuple[str, ...]) -> None:
    read = requests_of(column("2026-04-03", *others))
    assert read.earliest[0] == ms(2026, 4, 3)
    assert not read.is_doubtful.any()


@pytest.mark.parametrize(
    ("stated", "cells", "days"),
    [
        (DateOrder.MONTH_FIRST, ["3/4/2026", "3/5/26"], [ms(2026, 3, 4), ms(2026, 3, 5)]),
        (DateOrder.DAY_FIRST, ["3/4/2026", "3/5/26"], [ms(2026, 4, 3), ms(2026, 5, 3)]),
        (DateOrder.MONTH_FIRST, ["2026-04-03", "3/14/2026"], [ms(2026, 4, 3), ms(2026, 3, 14)]),
        (DateOrder.DAY_FIRST, ["2026-04-03", "14/3/2026"], [ms(2026, 4, 3), ms(2026, 3, 14)]),
    ],
)
def test_a_stated_order_holds_for_texts_and_real_dates_count_as_they_are(
    stated: DateOrder, cells: list[str], days: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    read, how = read_dates(column(*cells), date(2026, 11, 29), stated)
    assert read.earliest.tolist() == days
    assert not read.is_doubtful.any()
    order = {DateOrder.MONTH_FIRST: "month/day/year", DateOrder.DAY_FIRST: "day/month/year"}
    assert how.read_as == f"read as {order[stated]}, as stated, and real dates as they are"
    assert not caplog.messages


@pytest.mark.parametrize(
    ("name", "other", "is_stored_doubtful"),
    [("Received", "14/3/2026", True), ("Received (dd/mm/yyyy)", "5/5/2026", False)],
    ids=["another date", "the name"],
)
def test_a_stated_order_that_the_column_contradicts_settles_nothing(
    name: str, other: str, is_stored_doubtful: bool, caplog: pytest.LogCaptureFixture
) -> None:
    cells = column("3/4/2026", other, "2026-04-03").rename(name)
    read, how = read_dates(cells, date(2026, 11, 29), DateOrder.MONTH_FIRST)
    assert read.is_doubtful.tolist() == [True, False, is_stored_doubtful]
    assert how.read_as.startswith("not read month-first, as stated, because other dates or its")
    assert "contradict --date-order month-first, so it does not count" in caplog.messages[0]


@pytest.mark.parametrize(
    ("cells", "option"),
    [
        (["3/4/2026"], "--date-order month-first or --date-order day-first"),
        (["2026-04-03", "3/14/2026"], "--date-order month-first; else"),
        (["2026-04-03", "14/3/2026"], "--date-order day-first; else"),
    ],
    ids=" ".join,
)
def test_the_log_names_the_option_that_ends_the_doubt(
    cells: list[str], option: str, caplog: pytest.LogCaptureFixture
) -> None:
    read_dates(column(*cells), date(2026, 11, 29))
    (warning,) = caplog.messages
    assert option in warning


def test_of_two_possible_dates_one_in_the_future_does_not_count() -> None:
    today = date(2026, 11, 29)
    read = requests_of(column("11/12/2026", "2026-10-12", "2026-12-05", "14/3/2026"), today)
    assert read.earliest.tolist() == [
        UNDATED, ms(2026, 10, 12), ms(2026, 5, 12), ms(2026, 3, 14),
    ]  # fmt: skip
    assert read.is_doubtful.tolist() == [False, False, True, False]
    read = requests_of(column("11/12/2026"), today)
    assert read.earliest.tolist() == [ms(2026, 11, 12)]
    assert read.latest.tolist() == [ms(2026, 11, 12) + DAY_DOUBT_MS]
    assert read.is_doubtful.tolist() == [True]


@pytest.mark.parametrize("desired", [0, 1])
def test_in_doubt_between_two_dates_the_opt_out_counts(desired: int) -> None:
    read = requests_of(column("3/4/2026", "1/1/2026"))
    times = request_dates.times_of(read, np.full(2, desired, np.int8))
    assert times.latest[0] == (ms(2026, 4, 3) + DAY_DOUBT_MS if desired else ms(2026, 3, 4))
    assert times.precision.tolist() == [Precision.SWAPPED, Precision.DAY]
    frame = pd.DataFrame({columns.LATEST: times.latest, columns.PRECISION: times.precision}).assign(
        **{columns.DESIRED: columns.states(np.full(2, desired, np.int8))}
    )
    request, _ = request_order.requests(frame, np.arange(2))
    assert str(request) == ("2026-04-03" if desired else "2026-03-04")


def test_the_log_counts_unreadable_dates_without_their_content(
    caplog: pytest.LogCaptureFixture,
) -> None:
    read_dates(column("soon", "soon", "", "2026-11-23", "never"))
    (warning,) = [each for each in caplog.messages if "cannot be read" in each]
    assert "3 request dates" in warning
    assert "soon" not in warning


def test_the_log_names_the_first_rows_concerned(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("WARNING", "bulk_sync"):
        rows = column("2026-11-23", "soon", *["3/4/2026"] * 7)
        read_dates(rows)
    swapped, unreadable = caplog.messages
    assert "1 request date cannot be read (row 3), so such rows are" in unreadable
    assert "7 request dates (row 4, " in swapped
    assert "row 8, ...) day and month could be swapped, so" in swapped


def test_no_rows_have_no_dates() -> None:
    assert requests_of(column()).earliest.tolist() == []


ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TIMES = st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=ZONES)  # noqa: DTZ001


@pytest.mark.parametrize(
    "far", ["1899-12-30", "1900-01-01 00:00:00", "1970-01-01", "1/13/1904", "0001-01-01",
            "2062-11-24", "13.1.2062", "2026-11-30T08:00:00Z", "12/14/2026", "9999-12-31"]
)  # fmt: skip
def test_dates_before_2000_or_in_the_future_are_undated_and_their_rows_named(
    far: str, caplog: pytest.LogCaptureFixture
) -> None:
    today = date(2026, 11, 28)
    read = requests_of(column("2000-01-01", far, "2026-11-29"), today)
    assert read.earliest.tolist() == [ms(2000, 1, 1), UNDATED, ms(2026, 11, 29)]
    assert read.latest[1] == UNDATED
    assert read.day[1] == UNDATED
    (warning,) = (each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert "1 request date is before 2000 or in the future (row 3), so" in warning


DAYS = st.dates(date(1900, 1, 1), date(2100, 1, 1))


@given(times=st.lists(TIMES, min_size=1), separator=st.sampled_from("T "))
@examples(40)
def test_an_iso_time_comes_back_to_the_millisecond(times: list[datetime], separator: str) -> None:
    times = [each.replace(microsecond=each.microsecond // 1000 * 1000) for each in times]
    found = requests_of(column(*(each.isoformat(separator) for each in times))).earliest
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    assert found.tolist() == [(each - epoch) // timedelta(milliseconds=1) for each in times]


@given(days=st.lists(DAYS, max_size=12), is_day_first=st.booleans())
@examples(40)
def test_a_column_in_one_order_is_read_in_it_or_as_doubtful(
    days: list[date], is_day_first: bool
) -> None:
    def written(day: date) -> str:
        first, second = (day.day, day.month) if is_day_first else (day.month, day.day)
        return f"{first}/{second}/{day.year}"

    found = requests_of(column(*map(written, days))).earliest.tolist()
    right = [ms(day.year, day.month, day.day) for day in days]
    if any(day.day > 12 for day in days):
        assert found == right
    else:
        swapped = [ms(day.year, day.day, day.month) for day in days]
        assert found == list(map(min, right, swapped))


REQUESTS = st.dates(date(2000, 1, 1), date(2026, 11, 28))
CELLS = st.one_of(REQUESTS.map(date.isoformat), st.sampled_from(["", "soon", "2026-01-01"]))


@given(cells=st.lists(CELLS, max_size=20), data=st.data())
@examples(40)
def test_the_oldest_come_first_the_undated_last_and_equal_dates_in_input_order(
    cells: list[str], data: Any
) -> None:
    frame = dated(*cells)
    last = "9999"
    order = sorted(
        range(len(cells)), key=lambda at: cells[at] if cells[at][:1].isdecimal() else last
    )
    assert comparison.open_rows(frame).tolist() == order

    current = data.draw(st.lists(st.booleans(), min_size=len(cells), max_size=len(cells)))
    reading = Steps.blank(len(cells))
    for place, at in enumerate(order):
        reading.done(place, 1, 1, state=current[at])
    planned = comparison.compare(frame, reading)
    assert planned[columns.BEFORE].tolist() == current
    assert planned[columns.ROW].tolist() == frame[columns.ROW].tolist()
    assert comparison.writes(planned).tolist() == [at for at in order if not current[at]]


def test_a_row_is_as_old_as_the_oldest_of_its_repeats() -> None:
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
def test_the_column_is_found_by_name_without_case_and_punctuation(name: str) -> None:
    checked = check.rows(raw(["PKey", "ccpaOptOut", name], ("@a", "true", "2026-01-01")), Rules())
    assert checked[columns.REQUESTED].tolist() == [ms(2026, 1, 1)]


@pytest.mark.parametrize("name", ["date", "createdAt", "birth date", "sync_at"])
def test_no_other_date_is_taken_for_the_request_s(name: str) -> None:
    checked = check.rows(raw(["PKey", "ccpaOptOut", name], ("@a", "true", "2026-01-01")), Rules())
    assert columns.REQUESTED not in checked


@pytest.mark.parametrize("name", ["Date", "Timestamp", "DATUM"])
def test_a_column_of_dates_that_is_not_used_is_named_with_its_option(name: str) -> None:
    frame = raw(["PKey", "ccpaOptOut", name], ("@a", "true", "2026-01-01"))
    layout = Layout([], check.find_columns(frame.columns, Rules()), Rules())
    assert str(layout).endswith(f"no request dates: '{name}' not used")
    (hint,) = hints.find(Slices.of(check.rows(frame, Rules())), layout)
    assert hint.endswith(f"add --date-column {name}.")


@pytest.mark.parametrize("option", [{"date_column": "Date"}, {"needs_state": False}], ids=str)
def test_a_column_of_dates_that_is_used_or_not_needed_is_not_named(option: dict[str, Any]) -> None:
    found = check.find_columns(["PKey", "ccpaOptOut", "Date"], Rules(**option))
    assert found.unused == ()
    assert check.find_columns(["PKey", "ccpaOptOut", "Date", "Received"], Rules()).unused == ()


def test_the_layout_has_the_order_of_day_and_month() -> None:
    rows = [("@a", "true", "3/4/2026"), ("@b", "true", "3/14/2026")]
    checked = check.check(raw(["PKey", "ccpaOptOut", "Received"], *rows), Rules())
    layout = Layout([], checked.found, Rules(), checked.dates_read_as)
    assert str(layout).endswith("request dates: 'Received', read as month/day/year")


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


def test_a_column_of_states_is_no_column_of_dates() -> None:
    frame = raw(["PKey", "Requested"], ("@a", "true"))
    assert columns.REQUESTED not in check.rows(frame, Rules(state_column="Requested"))


def test_an_unknown_name_is_refused_with_the_names_of_the_columns() -> None:
    with pytest.raises(InputProblem, match=r"--date-column 'when'.* Columns: 'PKey', 'ccpaOptOut'"):
        check.rows(raw(["PKey", "ccpaOptOut"], ("@a", "true")), Rules(date_column="when"))


def test_columns_added_by_a_plan_are_not_taken_for_columns_of_the_input() -> None:
    frame = raw(["PKey", "ccpaOptOut", columns.REQUESTED], ("@a", "true", "5"))
    assert columns.REQUESTED not in check.rows(frame, Rules())


@pytest.mark.parametrize(
    ("rules", "kept"),
    [(Rules(), columns.LATEST), (Rules(ignore_dates=True), columns.UNJUDGED)],
    ids=["by default", "ignored"],
)
def test_a_request_counts_against_a_newer_choice_unless_dates_are_ignored(
    rules: Rules, kept: str
) -> None:
    names = ["PKey", "ccpaOptOut", "Request date"]
    checked = check.rows(raw(names, ("@a", "true", "2026-11-23")), rules)
    assert {columns.LATEST, columns.UNJUDGED} & set(checked) == {kept}
