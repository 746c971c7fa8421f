"""The order of day and month in request dates, if a person states it."""

from enum import StrEnum


class DateOrder(StrEnum):
    """What 3/4/2026 is; real dates of a workbook count as they are then."""

    MONTH_FIRST = "month-first"
    DAY_FIRST = "day-first"
