"""Everything that is counted of results in one pass over them, whatever their number."""

from collections import Counter
from collections.abc import Collection
from datetime import date
from operator import add
from typing import NamedTuple, Self

import pandas as pd

from bulk_sync.outcomes import Outcome
from bulk_sync.rows.left_rows import LeftRows
from bulk_sync.rows.totals import Totals, by_reason
from bulk_sync.runs.tally import Tally


class Counts(NamedTuple):
    """Counts of some rows.

    Attributes:
        totals: rows by outcome.
        reasons: rows by outcome and reason.
        tally: further counts.
        left: the rows that are left to a person.
    """

    totals: Totals
    reasons: Counter[tuple[str, str]]
    tally: Tally
    left: LeftRows

    @classmethod
    def from_rows(cls, rows: pd.DataFrame, left: Collection[Outcome], today: date | None) -> Self:
        """Count rows of results.

        Args:
            rows: the results.
            left: the outcomes of rows that are left to a person.
            today: the day on which they ended; None counts no days.
        """
        return cls(
            Totals.count(rows), by_reason(rows), Tally.count(rows, today), LeftRows.find(rows, left)
        )

    def plus(self, other: "Counts") -> "Counts":
        """Return the counts of the rows of both, in this order."""
        return Counts(*map(add, self, other))
