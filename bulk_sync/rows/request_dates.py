"""Reads the dates of requests. Rows are worked on in their order.

An unreadable date rejects no row: the row is undated, and its turn comes last. No date is guessed:
``3/4/2026`` is a date only if another one, such as ``3/14/2026``, or the column's name shows the
order of day and month. A column has one order.
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
from bulk_sync.rows.same_name import plain

log = logging.getLogger(__name__)

_NAMES: Final = frozenset(
    "".join(name.split())
    for name in (
        "request date", "request time", "request date time", "request timestamp",
        "requested", "requested at", "requested on", "requested date", "date requested",
        "date of request", "date of the request", "time of request",
        "request received", "request received at", "request received on", "request received date",
        "eingang", "eingegangen am", "eingangsdatum", "antragsdatum", "datum des antrags",
        "date de demande", "date de la demande", "fecha de solicitud", "fecha de la solicitud",
        "data richiesta", "data della richiesta",
        "recd", "recd on", "recd date", "date recd",
        "received", "received at", "received on", "received date", "date received",
        "date of receipt", "receipt date",
        "submitted", "submitted at", "submitted on", "submitted date", "date submitted",
        "submission date", "date of submission", "submission time", "submission timestamp",
        "opt out date", "opt out time", "opt out timestamp", "opt out at", "opt out on",
        "date of opt out", "opted out at", "opted out on", "date opted out",
        "opt out request date", "opt out requested at", "opt out requested on",
        "date of opt out request", "date request received", "request received time",
        "ccpa request date", "privacy request date", "consumer request date",
    )
)  # fmt: skip
"""Names of a column of request dates, as ``plain`` makes them. A mere ``date`` or ``created at`` is
not here: it may be the date of the export, or of the profile."""

_MONTH: Final = r"[A-Za-z]{3,9}\.?"
_NAMED_DAY: Final = (
    rf"(?:[A-Za-z]{{3,9}}, )?(?:\d{{1,2}}[ -]{_MONTH},?[ -]\d{{2,4}}|{_MONTH} \d{{1,2}}, ?\d{{4}})"
)
"""A month's name in it leaves no doubt: ``3-Nov-26``, ``Tuesday, November 3, 2026``."""
_HALVES: Final = rf"(?s)^(?P<day>{_NAMED_DAY}|[\d./-]*)(?P<clock>.*)$"
_DAYS: Final = (
    *("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y"),
    *("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d %b %y"),
)
_ORDERS: Final = {
    "month/day/year": ("%m/%d/%Y", "%m/%d/%y"),
    "day/month/year": ("%d/%m/%Y", "%d/%m/%y"),
    "year/month/day": ("%y/%m/%d",),
}
"""The possible orders of numbers with strokes, and their forms; a column has one order."""
_IN_NAMES: Final = {"mm/dd": "month/day/year", "dd/mm": "day/month/year"}
"""What a column's name may say of its order, such as ``Received (MM/DD/YYYY)``."""

_CLOCK: Final = (
    r"^(?:[Tt]|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<seconds>\d{2}(?:\.\d{1,9})?))?"
    r"(?: ?(?P<half>[AaPp])[Mm])?(?: ?(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?$"
)
"""RE2, as is ``_HALVES``."""

_FIRST_DAY: Final = int(np.datetime64("2000-01-01", "D").astype(np.int64))
_MOST_DAYS_AHEAD: Final = 731
"""Spreadsheets make 1899, 1900 or 1904 of an empty or shifted date, and 2062 of a mistyped one."""

_NAMED_ROWS: Final = 5
_DAY_MS: Final = 86_400_000

_Int64 = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


class Requests(NamedTuple):
    """The times of n requests; ``UNDATED`` where unknown.

    Attributes:
        earliest: int64, ms since the epoch; a day is its midnight, a time without a zone is UTC.
        latest: int64, ms: the latest possible moment, by the clocks of California.
        day: int64, days since the epoch: the earliest possible day in California.
    """

    earliest: _Int64
    latest: _Int64
    day: _Int64


class RequestTimes(NamedTuple):
    """The times of n rows, after repeated requests; ``UNDATED`` where unknown.

    Attributes:
        first: int64, ms, the first request; rows are worked on in this order.
        latest: int64, ms, the last request: a choice in Campaign after it is newer. For an opt-out
            it is the latest possible moment, and unknown if one of the requests is undated; for an
            opt-in the earliest possible moment of the dated ones.
        day: int64, days since the epoch, of the first request.
        precision: int8, how exact ``latest`` is, as ``Precision``.
    """

    first: _Int64
    latest: _Int64
    day: _Int64
    precision: npt.NDArray[np.int8]


_AMBIGUOUS: Final = (
    "in 1 request date day and month could be swapped",
    "in {:,} request dates day and month could be swapped",
    ", or the order into the name of the column: {0} (mm/dd/yyyy) or {0} (dd/mm/yyyy)",
)
_UNREADABLE: Final = ("1 request date cannot be read", "{:,} request dates cannot be read", "")
_FAR: Final = (
    "1 request date is before 2000 or more than two years ahead",
    "{:,} request dates are before 2000 or more than two years ahead",
    "",
)


def is_name(name: str) -> bool:
    """Return whether a column's name, but for a remark in parentheses, is that of request dates."""
    return plain(name.partition("(")[0]) in _NAMES


def read(
    column: pd.Series,
    name_row: Callable[[int], str] | None = None,
    today: date | None = None,
) -> Requests:
    """Read a column of dates.

    They are ISO ones, ``d.m.yyyy``, ones with the English name of a month, and numbers with strokes
    or hyphens in the column's one order. A time of day may follow; it is UTC unless it names a
    zone. The log counts unreadable and ambiguous dates.

    Args:
        column: str, without missing values; the log uses its name.
        name_row: names the row at a position, for the log; None names none.
        today: dates before 2000, or more than two years after this day, are undated; None takes
            every date.

    Memory: a few columns of numbers and three copies of the texts. Each distinct day, and each
    distinct time of day, is read once.
    """
    cells, cell_of = _distinct(pa.chunked_array(column))
    halves = pc.extract_regex(pc.utf8_trim_whitespace(cells), _HALVES)
    day_texts, day_of = _distinct(pc.struct_field(halves, "day"))
    clock_texts, clock_of = _distinct(pc.struct_field(halves, "clock"))
    known_days, is_two_days, order = _days(day_texts, str(column.name), today)
    clocks_ms, doubts_ms = _clocks_ms(clock_texts)
    days, clock_ms, doubt_ms = known_days[day_of], clocks_ms[clock_of], doubts_ms[clock_of]
    is_dated = (days != UNDATED) & (clock_ms != UNDATED)
    is_far = is_dated & _is_far(days, today)
    is_ambiguous = is_two_days[day_of]
    is_blank = _mask(pc.equal(pc.utf8_trim_whitespace(cells), ""))
    is_unreadable = ~is_dated & ~is_ambiguous & ~is_blank
    is_dated &= ~is_far
    earliest, latest, day = (np.full(len(cells), UNDATED) for _ in range(3))
    earliest[is_dated] = days[is_dated] * _DAY_MS + clock_ms[is_dated]
    latest[is_dated] = earliest[is_dated] + doubt_ms[is_dated]
    day[is_dated] = days[is_dated]
    is_instant = is_dated & (doubt_ms < _DAY_MS)
    day[is_instant] = (earliest[is_instant] - LOCAL_DOUBT_MS) // _DAY_MS
    log.info(
        "The oldest requests are worked on first, by the dates in column %r%s",
        column.name,
        f", read as {order}" if order else "",
    )
    problems = ((_AMBIGUOUS, is_ambiguous), (_UNREADABLE, is_unreadable), (_FAR, is_far))
    for problem, has_problem in problems:
        _warn(column.name, problem, has_problem[cell_of], name_row)
    return Requests(earliest[cell_of], latest[cell_of], day[cell_of])


def combine_repeats(
    requests: Requests, counts_as: _Int64, desired: npt.NDArray[np.int8]
) -> RequestTimes:
    """Let the dates of rows that repeat a key count for the row that counts.

    Args:
        requests: what ``read`` returned.
        counts_as: by row, the position of the row that counts for it.
        desired: by row, the state; a repeat with another state is another request.
    """
    latest = np.where(desired == 1, requests.latest, requests.earliest)
    doubt_ms = requests.latest - requests.earliest
    precision = np.full(len(latest), Precision.INSTANT, np.int8)
    precision[doubt_ms == LOCAL_DOUBT_MS] = Precision.LOCAL
    precision[doubt_ms == DAY_DOUBT_MS] = Precision.DAY
    times = RequestTimes(requests.earliest, latest, requests.day, precision)
    return merge(times, counts_as, desired)


def merge(times: RequestTimes, counts_as: _Int64, desired: npt.NDArray[np.int8]) -> RequestTimes:
    """Let the dates of some rows count for others; see ``combine_repeats``.

    Memory: that of the times, and nothing if no row counts for another.
    """
    repeats = np.flatnonzero(counts_as != np.arange(len(counts_as)))
    if not len(repeats):
        return times
    rows = np.union1d(repeats, counts_as[repeats])
    rows = rows[desired[rows] == desired[counts_as[rows]]]
    counting, latest = counts_as[rows], times.latest[rows]
    latest[(desired[rows] != 1) & (latest == UNDATED)] = -UNDATED  # which is before all others
    first, last, day = (array.copy() for array in times[:3])
    precision = times.precision.copy()
    last[rows] = latest
    np.minimum.at(first, counting, times.first[rows])
    np.minimum.at(day, counting, times.day[rows])
    np.maximum.at(last, counting, latest)
    is_last = latest == last[counting]
    precision[counting] = Precision.INSTANT
    np.maximum.at(precision, counting[is_last], times.precision[rows[is_last]])
    last[last == -UNDATED] = UNDATED
    return RequestTimes(first, last, day, precision)


def _distinct(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, _Int64]:
    """Return the distinct texts, and by place the position of its text among them."""
    encoded = pc.dictionary_encode(texts)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.dictionary, np.asarray(encoded.indices.to_numpy(), np.int64)


def _days(texts: pa.Array, name: str, today: date | None) -> tuple[_Int64, _Mask, str | None]:
    """Return the days since the epoch of distinct texts, whether each is in doubt, and the order.

    ``UNDATED`` is after all days.
    """
    column = _plain(texts)
    sure = np.minimum.reduce([_read_days(column, form) for form in _DAYS])
    readings = np.array(
        [
            np.minimum.reduce([_read_days(column, form) for form in forms])
            for forms in _ORDERS.values()
        ]
    )
    years_first = readings[-1]  # 26/11/03 is 2003 or 2026, and 03/11/30 is no request of 2003
    years_first[_is_far(years_first, today)] = UNDATED
    fits = readings != UNDATED
    least = readings.min(axis=0)
    is_in_doubt = (fits & (readings != least)).any(axis=0)
    shown = {order for order, each in enumerate(fits & (fits.sum(axis=0) == 1)) if each.any()}
    said = (order for words, order in _IN_NAMES.items() if words in name.casefold())
    shown |= {list(_ORDERS).index(order) for order in said}
    if len(shown) != 1:
        return np.where(is_in_doubt, UNDATED, np.minimum(sure, least)), is_in_doubt, None
    (order,) = shown
    is_in_doubt &= ~fits[order]
    days = np.where(fits[order], readings[order], np.where(is_in_doubt, UNDATED, least))
    return np.minimum(sure, days), is_in_doubt, list(_ORDERS)[order]


def _plain(texts: pa.Array) -> pd.Series:
    """Return days in fewer forms: without the day of the week, and with one sign between parts."""
    has_name = pc.match_substring_regex(texts, "[A-Za-z]")
    bare = pc.replace_substring_regex(texts, "^[A-Za-z]+, ", "")
    named = pc.replace_substring_regex(bare, "[ .,-]+", " ")
    strokes = pc.replace_substring_regex(texts, r"^(\d\d?)-(\d\d?)-(\d{4}|\d\d)$", r"\1/\2/\3")
    return pd.Series(pd.array(pc.if_else(has_name, named, strokes), dtype="str"))


def _read_days(column: pd.Series, form: str) -> _Int64:
    """Return the days since the epoch; ``UNDATED`` for a text of another form."""
    days = pd.to_datetime(column, format=form, errors="coerce")
    numbers = days.to_numpy("datetime64[D]").astype(np.int64)
    return np.where(days.isna(), UNDATED, numbers)


def _clocks_ms(texts: pa.Array) -> tuple[_Int64, _Int64]:
    """Return the ms since midnight UTC of distinct times, and how much later they can be.

    ``UNDATED`` for other texts.
    """
    found = pc.extract_regex(texts, _CLOCK)
    part = {each.name: pc.fill_null(pc.struct_field(found, each.name), "") for each in found.type}
    hour, minute, seconds = (
        pc.if_else(pc.equal(part[name], ""), "0", part[name]).cast(pa.float64()).to_numpy()
        for name in ("hour", "minute", "seconds")
    )
    half = np.array(part["half"].to_pylist(), "U1")
    has_half, is_after_noon = half != "", np.isin(half, ["P", "p"])
    is_time = _mask(pc.not_equal(part["hour"], "")) & (minute <= 59) & (seconds < 60)
    is_time &= np.where(has_half, (hour >= 1) & (hour <= 12), hour <= 23)
    hour = np.where(has_half, hour % 12 + 12 * is_after_noon, hour)
    zones, zone_of = _distinct(part["zone"])
    ahead_ms = np.array([_ahead_ms(zone) for zone in zones.to_pylist()], np.int64)[zone_of]
    local_ms = np.rint(((hour * 60 + minute) * 60 + seconds) * 1000).astype(np.int64)
    has_zone = _mask(pc.not_equal(part["zone"], ""))
    is_day = _mask(pc.equal(texts, ""))
    ms = np.where(is_time, local_ms - ahead_ms, UNDATED)
    doubt_ms = np.where(has_zone, 0, LOCAL_DOUBT_MS)
    return np.where(is_day, 0, ms), np.where(is_day, DAY_DOUBT_MS, doubt_ms)


def _ahead_ms(zone: str) -> int:
    """Return how far a zone, such as ``+05:30``, ``-0800`` or ``Z``, is ahead of UTC."""
    match = re.fullmatch(r"([+-])(\d\d):?(\d\d)?", zone)
    if match is None:
        return 0
    minutes = 60 * int(match[2]) + int(match[3] or 0)
    return 60_000 * (minutes if match[1] == "+" else -minutes)


def _is_far(days: _Int64, today: date | None) -> _Mask:
    """Check for days too early or too late for a request."""
    if today is None:
        return np.zeros(len(days), np.bool_)
    last = np.datetime64(today, "D").astype(np.int64) + _MOST_DAYS_AHEAD
    return (days < _FIRST_DAY) | (days > last)


def _warn(
    column: object,
    problem: tuple[str, str, str],
    has_problem: _Mask,
    name_row: Callable[[int], str] | None,
) -> None:
    """Log how many dates have a problem, and in which rows."""
    positions = np.flatnonzero(has_problem).tolist()
    if not positions:
        return
    named = [] if name_row is None else [name_row(at) for at in positions[:_NAMED_ROWS]]
    more = ", ..." if len(named) < len(positions) else ""
    one, several, advice = problem
    log.warning(
        "Column %r: %s%s, so %s worked on last. Write ISO dates, such as 2026-11-23%s",
        column,
        one if len(positions) == 1 else several.format(len(positions)),
        f" ({', '.join(named)}{more})" if named else "",
        "this row is" if len(positions) == 1 else "these rows are",
        advice.format(column),
    )


def _mask(matches: pa.Array) -> _Mask:
    return np.asarray(matches.to_numpy(zero_copy_only=False), np.bool_)
