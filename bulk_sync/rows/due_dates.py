"""Tells until when an opt-out must be carried out: 15 business days from the day it was received.

11 CCR 7026 says no later than that (campaign-api.md, section 8); a business day is neither on a
weekend nor a state holiday of California, of which ``holidays_of`` gives the table. Where it is
not certain which day a request came on, the earlier one counts.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import MAXYEAR, date
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome
from bulk_sync.rows import columns
from bulk_sync.rows.dates import UNDATED

BUSINESS_DAYS: Final = 15
SOON: Final = 3
"""Business days before the last one from which on a request is soon late."""

_DAY_MS: Final = 86_400_000
_PACIFIC_MS: Final = 8 * 3_600_000
"""Pacific standard time all the year: in summer it is an hour early, which is the safe side."""

_LEFT: Final = (*NEEDS_A_PERSON, Outcome.WOULD_UPDATE, Outcome.WOULD_CREATE)

_Days = npt.NDArray[np.datetime64]


@dataclass(frozen=True, slots=True)
class Late:
    """Opt-outs that were received and are, or were, not carried out in time.

    Attributes:
        left: past their last day, and still to be carried out.
        done: carried out by this run, after their last day.
        soon: still to be carried out, with no more than three business days left.
    """

    left: int
    done: int
    soon: int


def holidays_of(years: Iterable[int]) -> Mapping[date, str]:
    """Tell the state holidays of California, those observed on another day among them."""
    import holidays  # noqa: PLC0415 - whose tables take a while, and which few runs need

    found = holidays.country_holidays("US", subdiv="CA", years=list(years), language="en_US")
    return {day: found[day] for day in sorted(found)}


def last_days(requested_ms: npt.NDArray[np.int64]) -> _Days:
    """Tell the last day for requests.

    Args:
        requested_ms: int64, ms since the epoch, ``UNDATED`` where unknown; a date without a time
            is midnight UTC.

    Returns:
        datetime64[D]; not a time where the request is undated.
    """
    last = np.full(len(requested_ms), np.datetime64("NaT", "D"))
    dated = requested_ms != UNDATED
    ms = requested_ms[dated]
    days = np.where(ms % _DAY_MS == 0, ms, ms - _PACIFIC_MS) // _DAY_MS
    last[dated] = _counted_on(days.astype("datetime64[D]"), BUSINESS_DAYS)
    return last


def with_due(rows: pd.DataFrame) -> pd.DataFrame:
    """Add DUE to rows that have request dates: the last day of each opt-out, as ISO text."""
    if columns.REQUESTED not in rows:
        return rows
    texts = pa.array(_due(rows)).cast(pa.large_string()).fill_null("")
    dated = rows.copy(deep=False)
    dated[columns.DUE] = pd.Series(pd.array(texts, dtype="str"), index=rows.index)
    return dated


def late(rows: pd.DataFrame, today: date) -> Late | None:
    """Count the opt-outs that are late or soon late; None if the input has no request dates.

    Args:
        rows: results, or a plan.
        today: the day that it is.
    """
    if columns.REQUESTED not in rows:
        return None
    due, now = _due(rows), np.datetime64(today, "D")
    left = columns.have_outcome(rows, _LEFT)
    updated = columns.have_outcome(rows, [Outcome.UPDATED, Outcome.CREATED])
    is_past = due < now  # which no missing day is
    soon = _counted_on(np.array([now]), SOON)[0]
    return Late(
        left=int((left & is_past).sum()),
        done=int((updated & is_past).sum()),
        soon=int((left & ~is_past & (due <= soon)).sum()),
    )


def _due(rows: pd.DataFrame) -> _Days:
    due = last_days(rows[columns.REQUESTED].to_numpy())
    due[columns.state_codes(rows[columns.DESIRED]) != 1] = np.datetime64("NaT")
    return due


def _counted_on(days: _Days, business_days: int) -> _Days:
    """Count business days on, beginning with the day after each."""
    if not len(days):
        return days
    years = np.unique(days.astype("datetime64[Y]").astype(np.int64)) + 1970
    closed = np.array([day for year in years.tolist() for day in _closed(year)], "datetime64[D]")
    counted: _Days = np.busday_offset(days, business_days, roll="backward", holidays=closed)
    return counted


@cache
def _closed(year: int) -> list[date]:
    """Tell the holidays of a year and the next, for a date may be a slip: 0206, or 9999."""
    return list(holidays_of(each for each in (year, year + 1) if each <= MAXYEAR))
