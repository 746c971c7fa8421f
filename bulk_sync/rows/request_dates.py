"""Reads the dates on which requests were made: the order in which their rows are worked on.

Nothing else depends on them, so a date that cannot be read rejects no row: it is undated, and its
turn comes last. Nor is one guessed: ``3/4/2026`` is a date only in a column where another one, such
as ``3/14/2026``, shows which of the two numbers is the month.
"""

import logging
import re
from collections.abc import Callable
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.rows.request_order import DAY_DOUBT_MS, LOCAL_DOUBT_MS, UNDATED, Precision

log = logging.getLogger(__name__)

NAMES: Final = frozenset(
    "".join(name.split())
    for name in (
        "request date", "request time", "request date time", "request timestamp",
        "requested", "requested at", "requested on", "requested date", "date requested",
        "date of request", "date of the request", "time of request",
        "request received", "request received at", "request received on", "request received date",
        "received", "received at", "received on", "received date", "date received",
        "date of receipt", "receipt date",
        "submitted", "submitted at", "submitted on", "submitted date", "date submitted",
        "submission date", "date of submission",
        "opt out date", "opt out time", "opt out timestamp", "opt out at", "opt out on",
        "date of opt out", "opted out at", "opted out on", "date opted out",
        "opt out request date", "opt out requested at", "opt out requested on",
        "ccpa request date", "privacy request date", "consumer request date",
    )
)  # fmt: skip
"""What a column of request dates is called, without case, blanks and punctuation. A mere ``date``
or ``created at`` is not here: it may be the date of the export, or of the profile."""

_HALVES: Final = r"(?s)^(?P<day>[\d./-]*)(?P<clock>.*)$"
_DAY: Final = (
    r"^(?P<first>\d{1,2}|\d{4})(?P<mark>[-./])(?P<second>\d{1,2})(?P<again>[-./])"
    r"(?P<third>\d{1,2}|\d{4})$"
)
_CLOCK: Final = (
    r"^(?:[Tt]|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<seconds>\d{2}(?:\.\d{1,9})?))?"
    r"(?: ?(?P<half>[AaPp])[Mm])?(?: ?(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?$"
)
"""RE2, as the others. Which of the three numbers of a day is which is told later."""

_FIRST_DAY: Final = int(np.datetime64("2000-01-01", "D").astype(np.int64))
_MOST_DAYS_AHEAD: Final = 731
"""Spreadsheets make 1899, 1900 or 1904 of an empty or shifted date, and 2062 of a mistyped one."""

_NAMED_ROWS: Final = 5
_DAY_MS: Final = 86_400_000
_PACIFIC_MS: Final = LOCAL_DOUBT_MS
"""How far California is behind UTC at most; in summer it is an hour less."""

_Int64 = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


class Requests(NamedTuple):
    """When n rows were asked for; ``UNDATED`` where that is not known.

    Attributes:
        asked: int64, ms since the epoch; a day is its midnight, a time without a zone is UTC.
        until: int64, the latest moment that may be meant: the end of the day in California, or the
            same time by its clocks.
        day: int64, days since the epoch: the earliest day that it may have been in California.
    """

    asked: npt.NDArray[np.int64]
    until: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]


def read(
    column: pd.Series,
    name_row: Callable[[int], str] | None = None,
    today: date | None = None,
) -> Requests:
    """Read a column of dates: ISO ones, ``m/d/yyyy`` or ``d/m/yyyy``, and ``d.m.yyyy``.

    Each may be followed by a time of day, which is UTC unless it says otherwise. In a column with
    slashes one that can be read in one way only shows the order of the others, as long as none
    shows the other order; without one those that could be read in two ways are undated. The log
    says how many that are, and how many cannot be read at all.

    Args:
        column: str, without missing values; the name is what the log calls it by.
        name_row: names the row at a position, for the log; None names none.
        today: the day that it is: dates before 2000, or more than two years ahead, are undated, for
            nobody made a request then; None takes every date.

    Memory: a few columns of numbers and three copies of the texts; each distinct day, and each
    distinct time of day, is read once.
    """
    cells, cell_of = _distinct(pa.chunked_array(column))
    halves = pc.extract_regex(pc.utf8_trim_whitespace(cells), _HALVES)
    day_texts, day_of = _distinct(pc.struct_field(halves, "day"))
    clock_texts, clock_of = _distinct(pc.struct_field(halves, "clock"))
    known_days, could_be_both = _days(day_texts)
    clocks_ms, doubts_ms = _clocks_ms(clock_texts)
    days, clock_ms, doubt_ms = known_days[day_of], clocks_ms[clock_of], doubts_ms[clock_of]
    is_dated = (days != UNDATED) & (clock_ms != UNDATED)
    is_far = is_dated & _is_far(days, today)
    is_dated &= ~is_far
    asked, until, day = (np.full(len(cells), UNDATED) for _ in range(3))
    asked[is_dated] = days[is_dated] * _DAY_MS + clock_ms[is_dated]
    until[is_dated] = asked[is_dated] + doubt_ms[is_dated]
    is_instant = is_dated & (doubt_ms < _DAY_MS)
    day[is_dated] = days[is_dated]
    day[is_instant] = (asked[is_instant] - _PACIFIC_MS) // _DAY_MS
    is_blank = _is(pc.equal(pc.utf8_trim_whitespace(cells), ""))
    is_ambiguous = could_be_both[day_of]
    is_unreadable = ~is_dated & ~is_far & ~is_ambiguous & ~is_blank
    log.info("The oldest requests are worked on first, by the dates in column %r", column.name)
    swapped = "in {} request dates day and month could be swapped"
    _warn(column.name, swapped, is_ambiguous[cell_of], name_row)
    _warn(column.name, "{} request dates cannot be read", is_unreadable[cell_of], name_row)
    far = "{} request dates are before 2000 or more than two years ahead"
    _warn(column.name, far, is_far[cell_of], name_row)
    return Requests(asked[cell_of], until[cell_of], day[cell_of])


class Asked(NamedTuple):
    """What counts for n rows, whose requests may have been repeated; ``UNDATED`` where unknown.

    Attributes:
        first: int64, when it was asked for first, in ms; rows are worked on in this order.
        latest: int64, when it was asked for last, in ms: what Campaign holds is a newer choice if
            it was made after that. For an opt-out it is the latest moment that may be meant, and
            unknown if one of the requests is undated; for an opt-in it is the earliest, of those
            that are dated.
        day: int64, the day on which it was first received, in days since the epoch.
        precision: int8, how exact ``latest`` is, as ``Precision``.
    """

    first: npt.NDArray[np.int64]
    latest: npt.NDArray[np.int64]
    day: npt.NDArray[np.int64]
    precision: npt.NDArray[np.int8]


def of_keys(
    requests: Requests,
    counts_as: npt.NDArray[np.int64],
    desired: npt.NDArray[np.int8],
) -> Asked:
    """Let the dates of rows that repeat a key count for the row that counts.

    Args:
        requests: what ``read`` returned.
        counts_as: by row, the position of the one that counts for it.
        desired: by row, the state; a repeat that says another one is another request.
    """
    latest = np.where(desired == 1, requests.until, requests.asked)
    doubt_ms = requests.until - requests.asked
    precision = np.full(len(latest), Precision.INSTANT, np.int8)
    precision[doubt_ms == LOCAL_DOUBT_MS] = Precision.LOCAL
    precision[doubt_ms == DAY_DOUBT_MS] = Precision.DAY
    return merged(Asked(requests.asked, latest, requests.day, precision), counts_as, desired)


def merged(asked: Asked, counts_as: npt.NDArray[np.int64], desired: npt.NDArray[np.int8]) -> Asked:
    """Let the dates of some rows count for those that count for them; see ``of_keys``."""
    latest = asked.latest.copy()
    latest[(desired != 1) & (latest == UNDATED)] = -UNDATED  # which is before all others
    first, last, day = asked.first.copy(), latest.copy(), asked.day.copy()
    same = desired == desired[counts_as]
    counting = counts_as[same]
    np.minimum.at(first, counting, asked.first[same])
    np.minimum.at(day, counting, asked.day[same])
    np.maximum.at(last, counting, latest[same])
    is_last = latest[same] == last[counting]
    precision = asked.precision.copy()
    precision[counting] = Precision.INSTANT
    np.maximum.at(precision, counting[is_last], asked.precision[same][is_last])
    last[last == -UNDATED] = UNDATED
    return Asked(first, last, day, precision)


def _distinct(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, _Int64]:
    """Tell the distinct texts, and by place which of them it is."""
    encoded = pc.dictionary_encode(texts)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.dictionary, np.asarray(encoded.indices.to_numpy(), np.int64)


def _days(texts: pa.Array) -> tuple[_Int64, _Mask]:
    """Tell the days since the epoch of distinct texts, and which of them could be two days."""
    part = _parts(texts, _DAY)
    mark, is_day = part["mark"], _is(pc.equal(part["mark"], part["again"]))
    has_year = {each: _is(pc.equal(pc.utf8_length(part[each]), 4)) for each in ("first", "third")}
    begins = is_day & has_year["first"] & ~has_year["third"]
    ends = is_day & has_year["third"] & ~has_year["first"]
    first, second, third = (_numbers(part[name]) for name in ("first", "second", "third"))
    days = np.where(begins, _calendar(first, second, third), UNDATED)
    days = np.where(ends & _is(pc.equal(mark, ".")), _calendar(third, second, first), days)
    is_slashed = ends & _is(pc.equal(mark, "/"))
    slashed, could_be_both = _slashed(
        np.where(is_slashed, _calendar(third, first, second), UNDATED),
        np.where(is_slashed, _calendar(third, second, first), UNDATED),
    )
    return np.where(is_slashed, slashed, days), could_be_both


def _slashed(month_first: _Int64, day_first: _Int64) -> tuple[_Int64, _Mask]:
    """Choose between two ways of reading, and tell where there is nothing to choose by."""
    is_month_first, is_day_first = month_first != UNDATED, day_first != UNDATED
    could_be_both = is_month_first & is_day_first & (month_first != day_first)
    shows_month_first = bool((is_month_first & ~is_day_first).any())
    shows_day_first = bool((is_day_first & ~is_month_first).any())
    sure = np.where(could_be_both, UNDATED, np.minimum(month_first, day_first))
    if shows_month_first is shows_day_first:
        return sure, could_be_both
    meant = month_first if shows_month_first else day_first
    return np.where(could_be_both, meant, sure), np.zeros(len(sure), np.bool_)


def _calendar(year: _Int64, month: _Int64, day: _Int64) -> _Int64:
    """Tell the days since the epoch; ``UNDATED`` where the calendar has no such day."""
    months = (12 * (year - 1970) + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    is_in_month = days.astype("datetime64[D]").astype("datetime64[M]") == months
    is_day = (month >= 1) & (month <= 12) & (day >= 1) & is_in_month
    return np.where(is_day, days, UNDATED)


def _clocks_ms(texts: pa.Array) -> tuple[_Int64, _Int64]:
    """Tell the ms since midnight UTC of distinct times, and how much later they may be meant.

    ``UNDATED`` for what is no time.
    """
    part = _parts(texts, _CLOCK)
    hour, minute = _numbers(part["hour"]), _numbers(part["minute"])
    seconds = _or_zero(part["seconds"]).cast(pa.float64()).to_numpy()
    has_half = _is(pc.not_equal(part["half"], ""))
    is_after_noon = _is(pc.equal(pc.utf8_lower(part["half"]), "p"))
    is_time = _is(pc.not_equal(part["hour"], ""))
    is_time &= np.where(has_half, (hour >= 1) & (hour <= 12), hour <= 23)
    is_time &= (minute <= 59) & (seconds < 60)
    hour = np.where(has_half, hour % 12 + 12 * is_after_noon, hour)
    local_ms = (60 * hour + minute) * 60_000 + np.rint(seconds * 1000).astype(np.int64)
    zones, zone_of = _distinct(part["zone"])
    ahead_ms = np.array([_ahead_ms(zone) for zone in zones.to_pylist()], np.int64)
    ms = np.where(is_time, local_ms - ahead_ms[zone_of], UNDATED)
    is_day, has_zone = _is(pc.equal(texts, "")), _is(pc.not_equal(part["zone"], ""))
    doubt_ms = np.where(has_zone, 0, _PACIFIC_MS)
    doubt_ms = np.where(is_day, DAY_DOUBT_MS, doubt_ms)
    return np.where(is_day, 0, ms), doubt_ms


def _ahead_ms(zone: str) -> int:
    """Tell how far a zone, such as ``+05:30``, ``-0800`` or ``Z``, is ahead of UTC."""
    match = re.fullmatch(r"([+-])(\d\d):?(\d\d)?", zone)
    if match is None:
        return 0
    minutes = 60 * int(match[2]) + int(match[3] or 0)
    return 60_000 * (minutes if match[1] == "+" else -minutes)


def _is_far(days: _Int64, today: date | None) -> _Mask:
    """Check which days are too early or too late for a request."""
    if today is None:
        return np.zeros(len(days), np.bool_)
    last = np.datetime64(today, "D").astype(np.int64) + _MOST_DAYS_AHEAD
    return (days < _FIRST_DAY) | (days > last)


def _warn(
    column: object, problem: str, which: _Mask, name_row: Callable[[int], str] | None
) -> None:
    """Say how many dates have a problem, and in which rows; they are worked on all the same."""
    positions = np.flatnonzero(which).tolist()
    if not positions:
        return
    named = [] if name_row is None else [name_row(at) for at in positions[:_NAMED_ROWS]]
    more = ", ..." if len(named) < len(positions) else ""
    log.warning(
        "Column %r: %s%s, so these rows are worked on last. Write ISO dates, such as 2026-11-23",
        column,
        problem.format(len(positions)),
        f" ({', '.join(named)}{more})" if named else "",
    )


def _parts(texts: pa.Array, form: str) -> dict[str, pa.Array]:
    """Take texts apart by a form with named groups; all of them empty where it does not fit."""
    found = pc.extract_regex(texts, form)
    return {each.name: pc.fill_null(pc.struct_field(found, each.name), "") for each in found.type}


def _is(matches: pa.Array) -> _Mask:
    return np.asarray(matches.to_numpy(zero_copy_only=False), np.bool_)


def _or_zero(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), "0", texts)


def _numbers(texts: pa.Array) -> _Int64:
    return np.asarray(_or_zero(texts).cast(pa.int64()).to_numpy(), np.int64)
