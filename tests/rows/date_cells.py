"""Columns of request dates, read whole."""

from datetime import date

import pandas as pd

from bulk_sync.rows.request_dates import DateColumn, Requests
from bulk_sync.settings import DateOrder


def read_dates(
    cells: pd.Series, today: date | None = None, stated: DateOrder | None = None
) -> tuple[Requests, DateColumn]:
    """Return the requests in some cells and the column's order; the log names their rows."""
    column = DateColumn(str(cells.name), today, stated)
    column.learn(cells)
    requests = column.read(cells, lambda at: f"row {at + 2}")
    column.warn()
    return requests, column


def requests_of(
    cells: pd.Series, today: date | None = None, stated: DateOrder | None = None
) -> Requests:
    """Return the requests in some cells."""
    return read_dates(cells, today, stated)[0]
