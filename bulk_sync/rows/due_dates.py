"""Counts the last day for an opt-out: 15 business days from the day it was received.

11 CCR 7026 allows no later day (manual/campaign-api.md, section 8). A business day is neither on a
weekend nor a state holiday of California; ``holidays_of`` gives the table. Where it is not certain
which day a request came on, or whether a day is a holiday, the earlier last day counts.
"""

from collections.abc import Iterable, Mapping
from datetime import MAXYEAR, date
from functools import cache
from operator import add
from typing import Final, NamedTuple
from unicodedata import combining, normalize

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bulk_sync.outcomes import CONFIRMED, NEEDS_A_PERSON, Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.request_order import UNDATED

BUSINESS_DAYS: Final = 15
SOON: Final = 3
"""A request is soon late from this many business days before its last one."""

_CLASSES: Final = (SOON, 7, BUSINESS_DAYS)
"""Where classes of days left end."""

_MOVED_FROM_SUNDAY: Final = frozenset(
    {"New Year's Day", "Cesar Chavez Day", "Independence Day", "Veterans Day", "Christmas Day"}
)
"""Holidays of a fixed date, whose Monday is one if they fall on a Sunday; of those on a Saturday
only Veterans Day moves, to the Friday (Government Code 6701)."""

_HOLIDAYS: Final = _MOVED_FROM_SUNDAY | {
    "Martin Luther King Jr. Day",
    "Presidents' Day",
    "Memorial Day",
    "Juneteenth National Independence Day",
    "Labor Day",
    "Thanksgiving Day",
    "Day After Thanksgiving",
}
"""State holidays. Whatever else the tables have, such as days that schools observe, makes no
day later."""

_OBSERVED: Final = " (observed)"
_SUNDAY_MOVES_TO, _SATURDAY_MOVES_TO = 0, 4
_LAST: Final = np.datetime64("9999-12-31")

_LEFT: Final = (*NEEDS_A_PERSON, Outcome.USABLE, Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE)

_Days = npt.NDArray[np.datetime64]


class Late(NamedTuple):
    """Opt-outs that are, or were, not carried out in time.

    Attributes:
        left: past their last day, and still to be carried out.
        done: carried out by this run, after their last day.
        soon: still to be carried out, with at most three business days left.
        undated: still to be carried out, by a day that is not known.
    """

    left: int
    done: int
    soon: int
    undated: int


def holidays_of(years: Iterable[int]) -> Mapping[date, str]:
    """Return the state holidays of California, also those observed on another day."""
    import holidays  # noqa: PLC0415 - whose tables take a while, and which few runs need

    found = holidays.country_holidays("US", subdiv="CA", years=list(years), language="en_US")
    named = {
        day: [name for name in unaccented(found[day]).split("; ") if _is_holiday(name, day)]
        for day in sorted(found)
    }
    return {day: "; ".join(names) for day, names in named.items() if names}


def _is_holiday(name: str, day: date) -> bool:
    if not name.endswith(_OBSERVED):
        return name in _HOLIDAYS
    name = name.removesuffix(_OBSERVED)
    if day.weekday() == _SATURDAY_MOVES_TO:
        return name == "Veterans Day"
    return name in _MOVED_FROM_SUNDAY and day.weekday() == _SUNDAY_MOVES_TO


def unaccented(name: str) -> str:
    """Remove accents: some tables write César Chávez."""
    return "".join(char for char in normalize("NFKD", name) if not combining(char))


def last_days(received: npt.NDArray[np.int64]) -> _Days:
    """Return the last day for requests; not a time where undated.

    Args:
        received: int64, the days of receipt in days since the epoch; ``UNDATED`` where unknown.
    """
    day_of, days = pd.factorize(received)  # each day is counted once
    last = np.full(len(days), np.datetime64("NaT", "D"))
    dated = days != UNDATED
    last[dated] = _counted_on(days[dated].astype("datetime64[D]"), BUSINESS_DAYS)
    return last[day_of]


def with_due(rows: pd.DataFrame) -> pd.DataFrame:
    """Add DUE to rows with request dates; an unreadable state may be an opt-out, so it has one."""
    if columns.RECEIVED not in rows:
        return rows
    due = pa.array(_due(rows)).dictionary_encode("encode")
    texts = due.dictionary.cast(pa.large_string()).fill_null("").take(due.indices)
    return rows.assign(**{columns.DUE: pd.Series(pd.array(texts, dtype="str"), index=rows.index)})


def late(rows: pd.DataFrame, today: date) -> Late | None:
    """Count late opt-outs of results, or of a plan; None if the input has no request dates."""
    if columns.RECEIVED not in rows:
        return None
    due, now = _due(rows), np.datetime64(today, "D")
    left = _are_left(rows)
    desired = columns.desired(rows)
    updated = columns.have_outcome(rows, CONFIRMED)
    is_past = due < now  # which no missing day is
    soon = _counted_on(np.array([now]), SOON)[0]
    return Late(
        left=int((left & is_past).sum()),
        done=int((updated & is_past).sum()),
        soon=int((left & ~is_past & (due <= soon)).sum()),
        undated=int((left & np.isnat(due) & (desired != 0)).sum()),
    )


def total(one: Late | None, other: Late | None) -> Late | None:
    """Return the counts of both."""
    if one is None or other is None:
        return one or other
    return Late(*map(add, one, other))


def days_left(rows: pd.DataFrame, today: date) -> Mapping[str, int]:
    """Count opt-outs still to be carried out by the business days until their last one.

    Returns:
        Every class with its count; nothing without request dates, or without such opt-outs.
    """
    if columns.RECEIVED not in rows:
        return {}
    is_opt_out = columns.desired(rows) != 0
    due = _due(rows)[_are_left(rows) & is_opt_out]
    now = np.array([today], "datetime64[D]")
    yesterday = now - np.timedelta64(1, "D")
    ends = np.concatenate([yesterday, *(_counted_on(now, most) for most in _CLASSES)])
    # The places of the last class, and of no day at all, follow those with an end.
    found = np.searchsorted(ends, due) + np.isnat(due)
    counts = np.bincount(found, minlength=len(ends) + 2).tolist()
    starts = [0, *(most + 1 for most in _CLASSES)]
    spans = [f"{least} to {most} days" for least, most in zip(starts, _CLASSES, strict=False)]
    names = ["overdue", *spans, f"over {_CLASSES[-1]} days", "no date"]
    return dict(zip(names, counts, strict=True)) if len(due) else {}


def _are_left(rows: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Return whether each row is, or may be, a request still to be carried out.

    A total below the list is none, unless it has a date, or asks for an opt-out.
    """
    not_data = columns.reason_codes(rows[columns.REASON]) == columns.REASON_CODES[Reason.NOT_DATA]
    is_undated = rows[columns.RECEIVED].to_numpy(np.int64) == UNDATED
    asks = columns.desired(rows) == 1
    left = columns.have_outcome(rows, _LEFT)
    left[not_data & is_undated & ~asks] = False
    return left


def _due(rows: pd.DataFrame) -> _Days:
    due = last_days(rows[columns.RECEIVED].to_numpy())
    due[columns.desired(rows) == 0] = np.datetime64("NaT", "D")
    return due


def _counted_on(days: _Days, business_days: int) -> _Days:
    """Count business days, beginning with the day after each."""
    years = np.unique(days.astype("datetime64[Y]").astype(np.int64)) + 1970
    closed = np.array([day for year in years.tolist() for day in _closed(year)], "datetime64[D]")
    counted = np.busday_offset(days, business_days, roll="backward", holidays=closed)
    last: _Days = np.minimum(counted, _LAST)
    return last


@cache
def _closed(year: int) -> list[date]:
    """Return the holidays of a year and the next; a date may be a slip: 0206, or 9999."""
    return list(holidays_of(each for each in (year, year + 1) if each <= MAXYEAR))
