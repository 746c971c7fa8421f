"""Writes request dates so that they are read the same without the other rows of their column.

The order of the whole column decides on ``3/4/2026``. A part of the column may show no order, or
another one. So there it becomes ``2026/03/04``, and a date in doubt ``2026-03-04 or 2026-04-03``.
So does an opt-out that was asked for again in other rows: from the first request to the last one.
"""

from datetime import date
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.rows import columns
from bulk_sync.rows.date_texts import EITHER, HALVES, Order, distinct, read_days
from bulk_sync.rows.request_dates import DAY_MS, read_distinct
from bulk_sync.rows.request_order import DAY_DOUBT_MS, UNDATED


class Dates(NamedTuple):
    """A column of request dates, and its ``Order``; JSON has it as a list."""

    column: str
    order: str
    doubts_stored: bool


def rewritten(rows: pd.DataFrame, dates: Dates | None, today: date) -> pd.DataFrame:
    """Return some rows of an input with certain dates; cells without a date stay as they are."""
    if dates is None or dates.column not in rows:
        return rows
    order = Order(dates.order, dates.doubts_stored)
    return rows.assign(**{dates.column: _texts(rows[dates.column], order, today)})


def with_repeats(rows: pd.DataFrame, dates: Dates | None, today: date) -> pd.DataFrame:
    """Return some judged rows as ``rewritten`` does, and opt-outs with the dates of their repeats.

    So the deadline stays that of the first request, and a choice in Campaign before the last one
    is no newer one.
    """
    rows, last_name = rewritten(rows, dates, today), columns.LATEST
    if dates is None or dates.column not in rows or columns.RECEIVED not in rows:
        return rows
    if last_name not in rows:
        last_name = columns.UNJUDGED
    cells, cell_of = distinct(pa.chunked_array(rows[dates.column]))
    own, _ = read_distinct(cells, today, Order(dates.order, dates.doubts_stored))
    first, last_ms = rows[columns.RECEIVED].to_numpy(), rows[last_name].to_numpy()
    is_other = (first != own.day[cell_of]) | (last_ms != own.latest[cell_of])
    is_other &= (first != UNDATED) & (columns.desired(rows) == 1)
    now = np.datetime64(today, "D").astype(np.int64)  # no request is known to be later
    last = np.where(last_ms == UNDATED, now, -((DAY_DOUBT_MS - last_ms) // DAY_MS))
    span = _span(first, np.maximum(first, last))
    texts = pc.if_else(pa.array(is_other), span, cells.cast(span.type).take(pa.array(cell_of)))
    return rows.assign(**{dates.column: pd.Series(pd.array(texts, dtype="str"), rows.index)})


def _texts(column: pd.Series, order: Order, today: date) -> pd.Series:
    cells, cell_of = distinct(pa.chunked_array(column))
    halves = pc.extract_regex(pc.utf8_trim_whitespace(cells), HALVES)
    days, clock = (pc.struct_field(halves, name) for name in ("day", "clock"))
    found, far = read_days(days, order, today), read_days(days, order, None)
    # A day on which nobody asked stays one.
    is_far = far.first != UNDATED
    first, last = np.where(is_far, far[:2], found[:2])
    is_dated = first != UNDATED
    is_either = is_dated & (found.is_doubtful | found.is_far) & (first != last)
    day = _span(first, np.where(is_either, last, first))
    written = _joined(day, clock.cast(day.type), "")
    is_other = pa.array(is_either | (is_dated & found.is_numeric))
    texts = pc.if_else(is_other, written, cells.cast(written.type)).take(pa.array(cell_of))
    return pd.Series(pd.array(texts, dtype="str"), column.index)


def _span(first: npt.NDArray[np.int64], last: npt.NDArray[np.int64]) -> pa.Array:
    """Return texts of days since the epoch, and of what may be either of two."""
    either = _joined(_iso(first), _iso(last), EITHER)
    return pc.if_else(pa.array(first != last), either, pc.replace_substring(_iso(first), "-", "/"))


def _joined(one: pa.Array, other: pa.Array, between: str) -> pa.Array:
    return pc.binary_join_element_wise(one, other, pa.scalar(between, one.type))


def _iso(days: npt.NDArray[np.int64]) -> pa.Array:
    whole = np.where(days == UNDATED, 0, days).astype("datetime64[D]")
    return pa.array(whole).cast(pa.large_string())
