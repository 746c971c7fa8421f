"""Request dates that cannot be read, or are one of two days: their rows are used all the same."""

from collections.abc import Iterator
from typing import Final, NamedTuple

import pandas as pd

from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.rows.request_order import UNDATED, Precision


class Doubt(NamedTuple):
    """What is doubtful about a date, and what becomes of its row."""

    what: str
    effect: str

    @property
    def sentences(self) -> str:
        """Return both for one row."""
        return f"{self.what}. {self.effect}"


_UNREADABLE: Final = Doubt(
    "The request date cannot be read, or is before 2000 or in the future",
    "The row is used all the same, but worked on last.",
)
_SWAPPED: Final = Doubt(
    "Day and month of the request date could be swapped",
    "The row is used all the same: the earlier date counts for the deadline, and in doubt the "
    "opt-out.",
)


def find(rows: pd.DataFrame, column: str | None) -> Iterator[tuple[Doubt, pd.Series]]:
    """Yield each doubt, and which rows of a checked input have it."""
    if column is None or columns.REQUESTED not in rows:
        return
    is_used = ~columns.have_outcome(rows, [Outcome.REJECTED]) & (rows[column].str.strip() != "")
    yield _UNREADABLE, (rows[columns.REQUESTED] == UNDATED) & is_used
    yield _SWAPPED, (rows[columns.PRECISION] == Precision.SWAPPED) & is_used


def with_details(rows: pd.DataFrame, column: str | None) -> pd.DataFrame:
    """Return rows whose DETAIL, if it is empty, names what is doubtful about their date."""
    named = rows.copy(deep=False)
    for doubt, has_it in find(rows, column):
        is_free = has_it & (rows[columns.DETAIL] == "")
        if is_free.any():
            named[columns.DETAIL] = named[columns.DETAIL].mask(is_free, doubt.sentences)
    return named
