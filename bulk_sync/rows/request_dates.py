"""Reads the dates of requests. Rows are worked on in their order.

An unreadable date rejects no row: the row is undated, and its turn comes last. A date that may be
either of two counts as both: ``date_texts.py``.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.rows.date_texts import (
    HALVES,
    Order,
    as_mask,
    distinct,
    find_order,
    orders_in,
    read_clocks_ms,
    read_days,
)
from bulk_sync.rows.listing import first_few
from bulk_sync.rows.request_order import DAY_DOUBT_MS, LOCAL_DOUBT_MS, UNDATED, Precision
from bulk_sync.settings import DateOrder

log = logging.getLogger(__name__)

_NAMED_ROWS: Final = 5
DAY_MS: Final = 86_400_000

_Int64 = npt.NDArray[np.int64]
_Mask = npt.NDArray[np.bool_]


class Requests(NamedTuple):
    """The times of n requests; ``UNDATED`` where unknown.

    Attributes:
        earliest: int64, ms since the epoch; a day is its midnight, a time without a zone is UTC.
        latest: int64, ms: the latest possible moment, by the clocks of California.
        day: int64, days since the epoch: the earliest possible day in California.
        is_doubtful: whether day and month could be swapped.
    """

    earliest: _Int64
    latest: _Int64
    day: _Int64
    is_doubtful: _Mask


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


_AMBIGUOUS: Final = "in {count:,} request date{s}{rows} day and month could be swapped"
_STORED: Final = "in {count:,} date{s}{rows} day and month may have been swapped"
_UNREADABLE: Final = "{count:,} request date{s} cannot be read{rows}"
_FAR: Final = "{count:,} request date{s} {are} before 2000 or in the future{rows}"
"""Problems of dates, for the log."""

_BOTH_COUNT: Final = "the earlier date counts for the deadline, and in doubt the opt-out"
_WRITE_ISO: Final = "Write ISO dates, such as 2026-11-23"
_LAST: Final = f"such rows are worked on last. {_WRITE_ISO}"


class DateColumn:
    """Reads a column of dates, whole or slice by slice.

    They are ISO ones, ``d.m.yyyy``, ones with the English name of a month, and numbers with strokes
    or hyphens in the column's one order. A time of day may follow; it is UTC unless it names a
    zone. A date that may be two is from the beginning of the one to the end of the other.

    All slices are learned from before the first is read: they show the one order of the numbers.

    Args:
        name: of the column; the log has it.
        today: dates before 2000, or later than the day after this one, are undated; None takes
            every date.
        stated: the order of the numbers, if a person states it.

    Memory: a few columns of numbers and three copies of the texts of a slice. Each distinct day,
    and each distinct time of day, is read once.
    """

    def __init__(
        self, name: str, today: date | None = None, stated: DateOrder | None = None
    ) -> None:
        self._name, self._today, self._stated = name, today, stated
        self._shown: set[int] = set()
        self._counts: Counter[str] = Counter()
        self._rows: dict[str, list[str]] = defaultdict(list)

    @property
    def order(self) -> Order:
        """Return the order of the numbers."""
        return find_order(self._shown, self._name, self._stated)

    @property
    def read_as(self) -> str:
        """Return how the column was read, in words; "" if there is nothing to say."""
        read_as = _read_as(self._stated, self.order)
        doubtful = self._counts[_AMBIGUOUS] + self._counts[_STORED]
        if not doubtful:
            return read_as
        return f"{read_as} with day and month in doubt in {doubtful:,} of them".lstrip()

    def learn(self, column: pd.Series) -> None:
        """Find out which orders some cells, str without missing values, show."""
        cells, _ = distinct(pa.chunked_array(column))
        days, _ = distinct(pc.struct_field(_halves(cells), "day"))
        self._shown |= orders_in(days, self._today)

    def read(self, column: pd.Series, name_row: Callable[[int], str] | None = None) -> Requests:
        """Read some cells.

        Args:
            column: the cells.
            name_row: names the row at a position, for the log, which counts the problems among
                them; None if they are read again.
        """
        cells, cell_of = distinct(pa.chunked_array(column))
        found, problems = read_distinct(cells, self._today, self.order)
        if name_row is not None:
            for problem, has_problem in problems.items():
                positions = np.flatnonzero(has_problem[cell_of])
                self._counts[problem] += len(positions)
                self._rows[problem] += map(name_row, positions[: _NAMED_ROWS + 1].tolist())
        return Requests._make(each[cell_of] for each in found)

    def warn(self) -> None:
        """Log how many dates have which problem, and in which rows."""
        effects = {
            _AMBIGUOUS: f"{_BOTH_COUNT}. {_if_ambiguous(self._stated, self.order)}",
            _STORED: f"{_BOTH_COUNT}. {_if_stored(self.order)}",
            _UNREADABLE: _LAST,
            _FAR: _LAST,
        }
        for problem, effect in effects.items():
            if count := self._counts[problem]:
                rows = f" ({first_few(self._rows[problem], _NAMED_ROWS)})"
                s, are = ("", "is") if count == 1 else ("s", "are")
                what = problem.format(count=count, s=s, are=are, rows=rows)
                log.warning("Column %r: %s, so %s.", self._name, what, effect)


def _halves(cells: pa.Array) -> pa.Array:
    return pc.extract_regex(pc.utf8_trim_whitespace(cells), HALVES)


def read_distinct(
    cells: pa.Array, today: date | None, order: Order
) -> tuple[Requests, Mapping[str, _Mask]]:
    """Return the times of distinct cells, and which of them have which problem."""
    halves = _halves(cells)
    day_texts, day_of = distinct(pc.struct_field(halves, "day"))
    clock_texts, clock_of = distinct(pc.struct_field(halves, "clock"))
    found = read_days(day_texts, order, today)
    clocks_ms, doubts_ms = read_clocks_ms(clock_texts)
    first, last, clock_ms = found.first[day_of], found.last[day_of], clocks_ms[clock_of]
    is_time = clock_ms != UNDATED
    is_far, is_dated = is_time & found.is_far[day_of], is_time & (first != UNDATED)
    is_doubtful = is_dated & found.is_doubtful[day_of]
    clock_ms = np.where(is_doubtful, 0, clock_ms)  # whole days
    doubt_ms = np.where(is_doubtful, DAY_DOUBT_MS, doubts_ms[clock_of])
    earliest, latest, day = (np.full(len(cells), UNDATED) for _ in range(3))
    earliest[is_dated] = first[is_dated] * DAY_MS + clock_ms[is_dated]
    latest[is_dated] = (last * DAY_MS + clock_ms + doubt_ms)[is_dated]
    day[is_dated] = first[is_dated]
    is_instant = is_dated & (doubt_ms < DAY_MS)
    day[is_instant] = (earliest[is_instant] - LOCAL_DOUBT_MS) // DAY_MS
    is_stored = found.is_stored[day_of]
    is_blank = as_mask(pc.equal(pc.utf8_trim_whitespace(cells), ""))
    problems = {
        _AMBIGUOUS: is_doubtful & ~is_stored,
        _STORED: is_doubtful & is_stored,
        _UNREADABLE: ~is_dated & ~is_far & ~is_blank,
        _FAR: is_far,
    }
    return Requests(earliest, latest, day, is_doubtful), problems


def _read_as(stated: DateOrder | None, order: Order) -> str:
    if stated is None:
        return f"read as {order.name}" if order.name else ""
    if not order.name:
        return f"not read {stated}, as stated, because other dates or its name contradict that,"
    return f"read as {order.name}, as stated, and real dates as they are"


def _if_ambiguous(stated: DateOrder | None, order: Order) -> str:
    if stated is not None and not order.name:
        return (
            f"Other dates of the column, or its name, contradict --date-order {stated}, so it does "
            f"not count. {_WRITE_ISO}"
        )
    return (
        f"If one order holds in all rows, state it with --date-order {DateOrder.MONTH_FIRST} or "
        f"--date-order {DateOrder.DAY_FIRST}. Else write ISO dates, such as 2026-11-23"
    )


def _if_stored(order: Order) -> str:
    """Return what to do about dates of a workbook that may be two days."""
    why = (
        "A spreadsheet program that expects month/day makes such dates of day/month, or the other "
        "way round, and leaves as text what it cannot read, as in other rows here. Compare the "
        "dates with their source"
    )
    if order.option is None:
        return f"{why}, and write the texts as dates too"
    return (
        f"{why}. If all real dates are right as they are, say so with --date-order {order.option}; "
        "else correct them, and write the texts as dates too"
    )


def times_of(requests: Requests, desired: npt.NDArray[np.int8]) -> RequestTimes:
    """Return the times of rows, each by itself."""
    latest = np.where(desired == 1, requests.latest, requests.earliest)
    doubt_ms = requests.latest - requests.earliest
    precision = np.full(len(latest), Precision.INSTANT, np.int8)
    precision[doubt_ms == LOCAL_DOUBT_MS] = Precision.LOCAL
    precision[doubt_ms == DAY_DOUBT_MS] = Precision.DAY
    precision[requests.is_doubtful] = Precision.SWAPPED
    return RequestTimes(requests.earliest, latest, requests.day, precision)


def merge(times: RequestTimes, counts_as: _Int64, desired: npt.NDArray[np.int8]) -> RequestTimes:
    """Let the dates of rows that repeat a key count for the row that counts.

    Args:
        times: of n rows.
        counts_as: by row, the position of the row that counts for it.
        desired: by row, the state; a repeat with another state is another request.

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


class Doubt(NamedTuple):
    """What is doubtful about a date, and what becomes of its row."""

    what: str
    effect: str

    @property
    def sentences(self) -> str:
        """Return both for one row."""
        return f"{self.what}. {self.effect}"


_NO_DATE: Final = Doubt(
    "The request date cannot be read, or is before 2000 or in the future",
    "The row is used all the same, but worked on last.",
)
_TWO_DATES: Final = Doubt(
    "Day and month of the request date could be swapped",
    "The row is used all the same: the earlier date counts for the deadline, and in doubt the "
    "opt-out.",
)


def doubts(rows: pd.DataFrame, column: str | None) -> Iterator[tuple[Doubt, pd.Series]]:
    """Yield each doubt, and which rows of a checked input have it."""
    if column is None or columns.REQUESTED not in rows:
        return
    is_used = ~columns.have_outcome(rows, [Outcome.REJECTED]) & (rows[column].str.strip() != "")
    yield _NO_DATE, (rows[columns.REQUESTED] == UNDATED) & is_used
    yield _TWO_DATES, (rows[columns.PRECISION] == Precision.SWAPPED) & is_used


def with_doubts(rows: pd.DataFrame, column: str | None) -> pd.DataFrame:
    """Return rows whose DETAIL begins with what is doubtful about their date."""
    named = rows.copy(deep=False)
    for doubt, has_it in doubts(rows, column):
        if has_it.any():
            more = (doubt.sentences + " " + rows[columns.DETAIL]).str.rstrip()
            named[columns.DETAIL] = named[columns.DETAIL].mask(has_it, more)
    return named


def names_doubt(details: pa.Array) -> pa.Array:
    """Return which texts of DETAIL begin with what is doubtful about a date."""
    return pc.or_(*(pc.starts_with(details, each.what) for each in (_NO_DATE, _TWO_DATES)))
