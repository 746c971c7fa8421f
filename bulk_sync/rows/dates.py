"""Reads the dates on which requests were made: the order in which their rows are worked on.

Nothing else depends on them, so a date that cannot be read rejects no row: it is undated, and its
turn comes last. Nor is one guessed: ``3/4/2026`` is a date only in a column where another one, such
as ``3/14/2026``, shows which of the two numbers is the month.
"""

import logging
import re
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

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

UNDATED: Final = np.iinfo(np.int64).max
"""How arrays of dates say that there is none; so it sorts last, and is never the oldest."""

_FORM: Final = (
    r"^(?P<first>\d{1,4})(?P<mark>[-./])(?P<second>\d{1,2})(?P<again>[-./])(?P<third>\d{1,4})"
    r"(?:(?:[Tt]|,? +)(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<seconds>\d{2}(?:\.\d{1,9})?))?"
    r"(?: ?(?P<half>[AaPp])[Mm])?(?: ?(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?)?$"
)
"""RE2: three numbers and perhaps a time of day; which of the numbers is which is told later."""

_DAY_MS: Final = 86_400_000
_BATCH: Final = 1 << 16

_Days = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


def read(column: pd.Series) -> npt.NDArray[np.int64]:
    """Read a column of dates: ISO ones, ``m/d/yyyy`` or ``d/m/yyyy``, and ``d.m.yyyy``.

    Each may be followed by a time of day, which is UTC unless it says otherwise. In a column with
    slashes one that can be read in one way only shows the order of the others, as long as none
    shows the other order; without one those that could be read in two ways are undated. The log
    says how many that are, and how many cannot be read at all.

    Args:
        column: str, without missing values; the name is what the log calls it by.

    Returns:
        int64: ms since the epoch, UTC; ``UNDATED`` where there is no date.

    Memory: some 100 bytes for each distinct text, beside the result.
    """
    if not len(column):
        return np.zeros(0, np.int64)
    cells = pc.dictionary_encode(pa.chunked_array(column)).unify_dictionaries()
    texts = pc.utf8_trim_whitespace(cells.chunk(0).dictionary)
    codes = np.concatenate([chunk.indices.to_numpy() for chunk in cells.chunks])
    batches = [_parts(texts.slice(at, _BATCH)) for at in range(0, len(texts), _BATCH)]
    days, is_ambiguous = _days(_joined(batches))
    clock_ms = np.concatenate([batch.clock_ms for batch in batches])
    is_dated = (days != UNDATED) & (clock_ms != UNDATED)
    dates = np.full(len(texts), UNDATED)
    dates[is_dated] = days[is_dated] * _DAY_MS + clock_ms[is_dated]
    is_unreadable = ~is_dated & ~is_ambiguous & np.asarray(pc.not_equal(texts, ""))
    _tell(str(column.name), int(is_ambiguous[codes].sum()), int(is_unreadable[codes].sum()))
    of_rows: npt.NDArray[np.int64] = dates[codes]
    return of_rows


def of_keys(
    dates: npt.NDArray[np.int64],
    counts_as: npt.NDArray[np.int64],
    desired: npt.NDArray[np.int8],
) -> npt.NDArray[np.int64]:
    """Give a row that counts for several the oldest of their dates: it was asked for since then.

    Args:
        dates: what ``read`` returned.
        counts_as: by row, the position of the one that counts for it.
        desired: by row, the state; a repeat that says another one is another request.

    Returns:
        int64, as ``dates``.
    """
    oldest = dates.copy()
    same = desired == desired[counts_as]
    np.minimum.at(oldest, counts_as[same], dates[same])
    return oldest


@dataclass(frozen=True, slots=True)
class _Parts:
    """What n texts are made of.

    Attributes:
        numbers: int64, 3 by n: the three numbers in the order of the text.
        is_year_first: ``2026-11-23``.
        is_dotted: ``23.11.2026``.
        is_slashed: ``11/23/2026`` or ``23/11/2026``.
        clock_ms: int64: ms to be added to midnight UTC; ``UNDATED`` where there is no such time.
    """

    numbers: npt.NDArray[np.int64]
    is_year_first: _Mask
    is_dotted: _Mask
    is_slashed: _Mask
    clock_ms: npt.NDArray[np.int64]


def _joined(batches: list[_Parts]) -> _Parts:
    return _Parts(
        np.concatenate([batch.numbers for batch in batches], axis=1),
        np.concatenate([batch.is_year_first for batch in batches]),
        np.concatenate([batch.is_dotted for batch in batches]),
        np.concatenate([batch.is_slashed for batch in batches]),
        np.concatenate([batch.clock_ms for batch in batches]),
    )


def _parts(texts: pa.Array) -> _Parts:
    """Take distinct texts apart."""
    found = pc.extract_regex(texts, _FORM)
    part = {name: pc.fill_null(pc.struct_field(found, name), "") for name in _names(found)}
    mark = part["mark"]
    is_form = _is(pc.and_(pc.is_valid(found), pc.equal(mark, part["again"])))
    has_year = is_form & _is(pc.equal(pc.utf8_length(part["third"]), 4))
    is_year_first = is_form & _is(pc.equal(pc.utf8_length(part["first"]), 4))
    is_year_first &= _is(pc.less_equal(pc.utf8_length(part["third"]), 2))
    has_year &= _is(pc.less_equal(pc.utf8_length(part["first"]), 2))
    return _Parts(
        np.stack([_numbers(part[name]) for name in ("first", "second", "third")]),
        is_year_first,
        has_year & _is(pc.equal(mark, ".")),
        has_year & _is(pc.equal(mark, "/")),
        _clock_ms(part),
    )


def _days(parts: _Parts) -> tuple[_Days, _Mask]:
    """Tell the days since the epoch, and which texts could be two of them."""
    first, second, third = parts.numbers
    days = np.full(len(first), UNDATED)
    days[parts.is_year_first] = _calendar(first, second, third)[parts.is_year_first]
    days[parts.is_dotted] = _calendar(third, second, first)[parts.is_dotted]
    month_first = np.where(parts.is_slashed, _calendar(third, first, second), UNDATED)
    day_first = np.where(parts.is_slashed, _calendar(third, second, first), UNDATED)
    shows_month_first = (month_first != UNDATED) & (day_first == UNDATED)
    shows_day_first = (day_first != UNDATED) & (month_first == UNDATED)
    days[shows_month_first] = month_first[shows_month_first]
    days[shows_day_first] = day_first[shows_day_first]
    could_be_both = (month_first != UNDATED) & (day_first != UNDATED)
    is_same = could_be_both & (month_first == day_first)  # 5/5/2026
    days[is_same] = month_first[is_same]
    could_be_both &= ~is_same
    if shows_month_first.any() == shows_day_first.any():
        return days, could_be_both
    read_as = month_first if shows_month_first.any() else day_first
    days[could_be_both] = read_as[could_be_both]
    return days, np.zeros(len(days), np.bool_)


def _calendar(
    year: npt.NDArray[np.int64], month: npt.NDArray[np.int64], day: npt.NDArray[np.int64]
) -> _Days:
    """Tell the days since the epoch; ``UNDATED`` where the calendar has no such day."""
    months = (12 * (year - 1970) + month - 1).astype("datetime64[M]")
    days = months.astype("datetime64[D]").astype(np.int64) + day - 1
    is_in_month = days.astype("datetime64[D]").astype("datetime64[M]") == months
    is_day = (month >= 1) & (month <= 12) & (day >= 1) & is_in_month
    return np.where(is_day, days, UNDATED)


def _clock_ms(part: dict[str, pa.Array]) -> npt.NDArray[np.int64]:
    """Tell the time of day in UTC, which another day may have begun or ended by."""
    hour, minute = _numbers(part["hour"]), _numbers(part["minute"])
    seconds = _or_zero(part["seconds"]).cast(pa.float64()).to_numpy()
    has_half = _is(pc.not_equal(part["half"], ""))
    is_after_noon = _is(pc.equal(pc.utf8_lower(part["half"]), "p"))
    is_time = np.where(has_half, (hour >= 1) & (hour <= 12), hour <= 23)
    is_time &= (minute <= 59) & (seconds < 60)
    hour = np.where(has_half, hour % 12 + 12 * is_after_noon, hour)
    local_ms = (60 * hour + minute) * 60_000 + np.rint(seconds * 1000).astype(np.int64)
    zones = pc.dictionary_encode(part["zone"])
    ahead_ms = np.array([_ahead_ms(zone) for zone in zones.dictionary.to_pylist()], np.int64)
    return np.where(is_time, local_ms - ahead_ms[zones.indices.to_numpy()], UNDATED)


def _ahead_ms(zone: str) -> int:
    """Tell how far a zone, such as ``+05:30``, ``-0800`` or ``Z``, is ahead of UTC."""
    match = re.fullmatch(r"([+-])(\d\d):?(\d\d)?", zone)
    if match is None:
        return 0
    minutes = 60 * int(match[2]) + int(match[3] or 0)
    return 60_000 * (minutes if match[1] == "+" else -minutes)


def _tell(name: str, ambiguous: int, unreadable: int) -> None:
    last = "so these rows are worked on last. Write ISO dates, such as 2026-11-23"
    if ambiguous:
        log.warning(
            "Column %r: in %d request dates day and month could be swapped, %s",
            name, ambiguous, last,
        )  # fmt: skip
    if unreadable:
        log.warning("Column %r: %d request dates cannot be read, %s", name, unreadable, last)


def _names(structs: pa.StructArray) -> list[str]:
    return [field.name for field in structs.type]


def _is(matches: pa.Array) -> _Mask:
    return np.asarray(matches.to_numpy(zero_copy_only=False), np.bool_)


def _or_zero(texts: pa.Array) -> pa.Array:
    return pc.if_else(pc.equal(texts, ""), "0", texts)


def _numbers(texts: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(_or_zero(texts).cast(pa.int64()).to_numpy(), np.int64)
