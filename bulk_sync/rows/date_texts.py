"""Reads the texts of days and of times of day, each distinct one once. Pure.

No day is guessed. ``3/4/2026`` is one day only if another text of the column, such as
``3/14/2026``, or the column's name shows the order of day and month; a column has one order. Else
it may be either day. So may ``2026-04-03`` beside ``14/3/2026``: a spreadsheet program that expects
the other order makes a date of each text that it can, with day and month swapped, and leaves the
others as texts.
"""

import re
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.rows.request_order import DAY_DOUBT_MS, LOCAL_DOUBT_MS, UNDATED

_MONTH: Final = r"[A-Za-z]{3,9}\.?"
_DAY: Final = r"\d{1,2}(?:st|nd|rd|th)?"
_NAMED_DAY: Final = (
    rf"(?:[A-Za-z]{{3,9}}, )?(?:{_DAY}[ -]{_MONTH},?[ -]\d{{2,4}}|{_MONTH} {_DAY}(?:, ?| )\d{{4}})"
)
"""A month's name in it leaves no doubt: ``3-Nov-26``, ``Tuesday, November 3, 2026``."""
HALVES: Final = rf"(?s)^(?P<day>{_NAMED_DAY}|[\d./-]*)(?P<clock>.*)$"
"""RE2: the day and the time of day in a text."""

_STORED, _SWAPPED = "%Y-%m-%d", "%Y-%d-%m"
"""A date that a workbook holds, and the same with day and month swapped."""
_SURE: Final = (
    *("%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y"),
    *("%d %b %Y", "%d %B %Y", "%b %d %Y", "%B %d %Y", "%d %b %y"),
)
_ORDERS: Final = {
    "month/day/year": ("%m/%d/%Y", "%m/%d/%y"),
    "day/month/year": ("%d/%m/%Y", "%d/%m/%y"),
    "year/month/day": ("%y/%m/%d",),
}
"""The possible orders of numbers with strokes, and their forms."""
_ORDER_NAMES: Final = list(_ORDERS)
_YEAR_FIRST: Final = _ORDER_NAMES.index("year/month/day")
_IN_NAMES: Final = {"mm/dd": 0, "dd/mm": 1}
"""What a column's name may say of its order, such as ``Received (MM/DD/YYYY)``."""

_CLOCK: Final = (
    r"^(?:[Tt]|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<seconds>\d{2}(?:\.\d{1,9})?))?"
    r"(?: ?(?P<half>[AaPp])[Mm])?(?: ?(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?$"
)
"""RE2, too."""

_FIRST_DAY: Final = int(np.datetime64("2000-01-01", "D").astype(np.int64))
_MOST_DAYS_AHEAD: Final = 1
"""In some zone it is tomorrow already; no request comes from a later day. Spreadsheets make 1899,
1900 or 1904 of an empty or shifted date."""

_Int64 = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


class Days(NamedTuple):
    """Distinct days, since the epoch; ``UNDATED``, which is after all of them, for other texts.

    Attributes:
        first: the earliest day that it may be.
        last: the latest one.
        is_doubtful: whether day and month could be swapped.
        is_far: whether the day is too early or too late for a request, so it is ``UNDATED``.
        is_stored: whether a workbook holds the day as a date.
        order: of day, month and year in numbers with strokes; "" if nothing shows it.
    """

    first: _Int64
    last: _Int64
    is_doubtful: _Mask
    is_far: _Mask
    is_stored: _Mask
    order: str


def read_days(texts: pa.Array, name: str, today: date | None) -> Days:
    """Return the days of the distinct texts of a column.

    Args:
        texts: str.
        name: of the column; it may show the order.
        today: days before 2000, or later than the one after this, are far; None takes every day.
    """
    column = _plain(texts)
    stored, swapped = _days_of(column, _STORED), _days_of(column, _SWAPPED)
    numbers = np.array([_days_of(column, *forms) for forms in _ORDERS.values()])
    for reading in (swapped, numbers[_YEAR_FIRST]):  # 03/11/30 is no request of 2003
        reading[_is_far(reading, today)] = UNDATED
    fits = numbers != UNDATED
    shown = {order for order, each in enumerate(fits & (fits.sum(axis=0) == 1)) if each.any()}
    if not shown - {_YEAR_FIRST}:
        swapped[:] = UNDATED
    shown |= {order for words, order in _IN_NAMES.items() if words in name.casefold()}
    order = shown.pop() if len(shown) == 1 else None
    if order is not None:
        others = np.arange(len(numbers)) != order
        numbers[np.ix_(others, fits[order])] = UNDATED
    fits = numbers != UNDATED
    is_open = fits[_YEAR_FIRST] & (fits & (numbers != numbers[_YEAR_FIRST])).any(axis=0)
    numbers[:, is_open] = UNDATED  # 26/11/03 is 2003 or 2026
    readings = np.array([stored, swapped, _days_of(column, *_SURE), *numbers])
    is_read = readings != UNDATED
    is_possible = is_read & ~_is_far(readings, today)
    first = np.where(is_possible, readings, UNDATED).min(axis=0)
    is_dated = first != UNDATED
    return Days(
        first,
        last=np.where(is_dated, np.where(is_possible, readings, -UNDATED).max(axis=0), UNDATED),
        is_doubtful=is_dated & (is_read & (readings != first)).any(axis=0),
        is_far=is_read.any(axis=0) & ~is_dated,
        is_stored=stored != UNDATED,
        order="" if order is None else _ORDER_NAMES[order],
    )


def _plain(texts: pa.Array) -> pd.Series:
    """Return days in fewer forms: without the day of the week, and with one sign between parts."""
    has_name = pc.match_substring_regex(texts, "[A-Za-z]")
    bare = pc.replace_substring_regex(texts, "^[A-Za-z]+, ", "")
    short = pc.replace_substring_regex(bare, r"(?i)\b(sep)t\b|(\d)(?:st|nd|rd|th)\b", r"\1\2")
    named = pc.replace_substring_regex(short, "[ .,-]+", " ")
    strokes = pc.replace_substring_regex(texts, r"^(\d\d?)-(\d\d?)-(\d{4}|\d\d)$", r"\1/\2/\3")
    return pd.Series(pd.array(pc.if_else(has_name, named, strokes), dtype="str"))


def _days_of(column: pd.Series, *forms: str) -> _Int64:
    """Return the days since the epoch of texts in some forms; ``UNDATED`` for others."""
    found = []
    for form in forms:
        days = pd.to_datetime(column, format=form, errors="coerce")
        numbers = days.to_numpy("datetime64[D]").astype(np.int64)
        found.append(np.where(days.isna(), UNDATED, numbers))
    earliest: _Int64 = np.minimum.reduce(found)
    return earliest


def _is_far(days: _Int64, today: date | None) -> _Mask:
    """Check for days too early or too late for a request."""
    if today is None:
        return np.zeros(days.shape, np.bool_)
    last = np.datetime64(today, "D").astype(np.int64) + _MOST_DAYS_AHEAD
    return (days < _FIRST_DAY) | (days > last)


def read_clocks_ms(texts: pa.Array) -> tuple[_Int64, _Int64]:
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
    is_time = as_mask(pc.not_equal(part["hour"], "")) & (minute <= 59) & (seconds < 60)
    is_time &= np.where(has_half, (hour >= 1) & (hour <= 12), hour <= 23)
    hour = np.where(has_half, hour % 12 + 12 * is_after_noon, hour)
    zones, zone_of = distinct(part["zone"])
    ahead_ms = np.array([_ahead_ms(zone) for zone in zones.to_pylist()], np.int64)[zone_of]
    local_ms = np.rint(((hour * 60 + minute) * 60 + seconds) * 1000).astype(np.int64)
    has_zone = as_mask(pc.not_equal(part["zone"], ""))
    is_day = as_mask(pc.equal(texts, ""))
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


def distinct(texts: pa.Array | pa.ChunkedArray) -> tuple[pa.Array, _Int64]:
    """Return the distinct texts, and by place the position of its text among them."""
    encoded = pc.dictionary_encode(texts)
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.unify_dictionaries().combine_chunks()
    return encoded.dictionary, np.asarray(encoded.indices.to_numpy(), np.int64)


def as_mask(matches: pa.Array) -> _Mask:
    """Return booleans of Arrow as those of numpy."""
    return np.asarray(matches.to_numpy(zero_copy_only=False), np.bool_)
