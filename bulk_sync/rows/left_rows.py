"""The rows that are left to a person, as far as lines show them: how many, and the first ones."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final, Self

import numpy as np
import pandas as pd

from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns

COMPARED_ROWS: Final = 1_000
"""How many rows are searched for those with the same reason."""

_NAMES: Final = (
    columns.ROW, columns.FILE, columns.OUTCOME, columns.REASON, columns.DETAIL, *columns.ORIGINAL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class LeftRows:
    """Rows with some outcomes; the sum of two is that of all their rows.

    Attributes:
        count: how many there are.
        first: the first ``COMPARED_ROWS`` of them, with the columns that lines show.
    """

    count: int = 0
    first: pd.DataFrame = field(default_factory=pd.DataFrame)

    @classmethod
    def find(cls, rows: pd.DataFrame, among: Collection[Outcome]) -> Self:
        """Find the rows with some outcomes among results."""
        is_left = columns.have_outcome(rows, among)
        if not is_left.any():
            return cls()
        shown = rows[[name for name in _NAMES if name in rows]]
        is_first = is_left & (np.cumsum(is_left) <= COMPARED_ROWS)
        first = columns.rows_of(shown, is_first).reset_index(drop=True)
        return cls(int(is_left.sum()), first)

    def __add__(self, other: "LeftRows") -> "LeftRows":
        """Return the rows of both, in this order."""
        room = COMPARED_ROWS - len(self.first)
        first, more = self.first, other.first.iloc[:room]
        if len(first) and len(more):
            first = pd.concat([first, more], ignore_index=True)
        elif len(more):
            first = more
        return LeftRows(self.count + other.count, first)
