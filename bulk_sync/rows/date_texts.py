"""Reads the texts of days and of times of day, each distinct one once. Pure.

No day is guessed. ``3/4/2026`` is one day only if another text of the column, such as
``3/14/2026``, the column's name, or a person shows the order of day and month; a column has one
order. Else it may be either day. So may ``2026-04-03`` beside ``14/3/2026``: a spreadsheet program
that expects the other order makes a date of each text that it can, with day and month swapped, and
leaves the others as texts. If a person states the order, and no text contradicts it, such dates
count as they are. A todo file has ``2026-03-04 or 2026-04-03`` for what may be either day.
"""

import re
from collections.abc import Set as AbstractSet
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.rows.request_order import DAY_DOUBT_MS, LOCAL_DOUBT_MS, UNDATED
from bulk_sync.settings import DateOrder

_MONTH: Final = r"[A-Za-z]{3,9}\.?"
_DAY: Final = r"\d{1,2}(?:st|nd|rd|th)?"
_NAMED_DAY: Final = (
    rf"(?:[A-Za-z]{{3,9}}, )?(?:{_DAY}[ -]{_MONTH},?[ -]\d{{2,4}}|{_MONTH} {_DAY}(?:, ?| )\d{{4}})"
)
"""A month's name in it leaves no doubt: ``3-Nov-26``, ``Tuesday, November 3, 2026``."""
_ISO: Final = r"\d{4}-\d\d-\d\d"
EITHER: Final = " or "
"""Stands between two days in a text of what may be either of them."""
HALVES: Final = rf"(?s)^(?P<day>{_NAMED_DAY}|{_ISO}{EITHER}{_ISO}|[\d./-]*)(?P<clock>.*)$"
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
_STATED: Final = {DateOrder.MONTH_FIRST: "month/day/year", DateOrder.DAY_FIRST: "day/month/year"}
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


class Order(NamedTuple):
    """The order of the numbers in a column of dates.

    Attributes:
        name: such as ``month/day/year``; "" if nothing shows it, or several are shown.
        doubts_stored: whether day and month of the dates that a workbook holds may be swapped.
    """

    name: str = ""
    doubts_stored: bool = False

    @property
    def option(self) -> DateOrder | None:
        """Return the option that states it, if there is one."""
        return next((option for option, name in _STATED.items() if name == self.name), None)


class Days(NamedTuple):
    """Distinct days, since the epoch; ``UNDATED``, which is after all of them, for other texts.

    Attributes:
        first: the earliest day that it may be.
        last: the latest one.
        is_doubtful: whether day and month could be swapped.
        is_far: whether the day is too early or too late for a request, so it is ``UNDATED``.
        is_stored: whether a workbook holds the day as a date.
        is_numeric: whether it is written in numbers, so that their order decides.
    """

    first: _Int64
    last: _Int64
    is_doubtful: _Mask
    is_far: _Mask
    is_stored: _Mask
    is_numeric: _Mask


def orders_in(texts: pa.Array, today: date | None) -> set[int]:
    """Return the orders of numbers that some texts show, as places in ``_ORDERS``."""
    fits = _numbers_of(_plain(texts), today) != UNDATED
    return {order for order, each in enumerate(fits & (fits.sum(axis=0) == 1)) if each.any()}


def find_order(shown: AbstractSet[int], name: str, stated: DateOrder | None = None) -> Order:
    """Return the order of the numbers in a column, by its texts, its name, or a person."""
    own = set() if stated is None else {_ORDER_NAMES.index(_STATED[stated])}
    doubts_stored = bool(shown - {_YEAR_FIRST}) and not shown <= own
    named = {order for words, order in _IN_NAMES.items() if words in name.casefold()}
    found = list(shown | own | named)
    return Order(_ORDER_NAMES[found[0]] if len(found) == 1 else "", doubts_stored)


def read_days(texts: pa.Array, order: Order, today: date | None) -> Days:
    """Return the days of the distinct texts of a column.

    Args:
        texts: str.
        order: of the numbers in the whole column.
        today: days before 2000, or later than the one after this, are far; None takes every day.
    """
    column = _plain(texts)
    numbers, stored = _numbers_of(column, today), _days_of(column, _STORED)
    swapped = _days_of(column, _SWAPPED) if order.doubts_stored else np.full(len(texts), UNDATED)
    swapped[_is_far(swapped, today) | (stored == UNDATED)] = UNDATED  # no workbook has 2026-13-01
    fits = numbers != UNDATED
    is_numeric = fits.any(axis=0)
    if order.name:
        shown = _ORDER_NAMES.index(order.name)
        numbers[np.ix_(np.arange(len(numbers)) != shown, fits[shown])] = UNDATED
    fits = numbers != UNDATED
    is_open = fits[_YEAR_FIRST] & (fits & (numbers != numbers[_YEAR_FIRST])).any(axis=0)
    numbers[:, is_open] = UNDATED  # 26/11/03 is 2003 or 2026
    sure = _days_of(column, *_SURE)
    readings = np.array([stored, swapped, sure, *numbers, *_either_days(texts)])
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
        is_numeric=is_numeric,
    )


def _either_days(texts: pa.Array) -> list[_Int64]:
    """Return both days of texts that name two; ``UNDATED`` for others."""
    found = pc.extract_regex(texts, f"^(?P<one>{_ISO}){EITHER}(?P<other>{_ISO})$")
    parts = (pc.fill_null(pc.struct_field(found, name), "") for name in ("one", "other"))
    return [_days_of(pd.Series(pd.array(part, dtype="str")), _STORED) for part in parts]


def _numbers_of(column: pd.Series, today: date | None) -> _Int64:
    """Return the days of plain texts in numbers, by each of ``_ORDERS``."""
    numbers = np.array([_days_of(column, *forms) for forms in _ORDERS.values()])
    year_first = numbers[_YEAR_FIRST]  # 03/11/30 is no request of 2003
    year_first[_is_far(year_first, today)] = UNDATED
    return numbers


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
