"""What a check found in an input: everything that is counted, in one pass over the rows."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import reduce
from typing import Self

import pandas as pd

from bulk_sync.engines.journal import now_ms
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report.destination import Destination
from bulk_sync.rows import hints
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.left_rows import LeftRows
from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.counts import Counts
from bulk_sync.runs.tally import Tally


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found in an input.

    Attributes:
        at_ms: when it was counted.
        totals: rows by outcome.
        reasons: rows by outcome and reason.
        tally: further counts; without deadlines if no report shows them.
        rejected: the rows that cannot be used.
        hints: sentences that name options for columns and cells that were not used.
    """

    at_ms: int
    totals: Totals
    reasons: Counter[tuple[str, str]]
    tally: Tally
    rejected: LeftRows
    hints: Sequence[str] = ()

    @classmethod
    def count(cls, rows: Slices, layout: Layout, *, has_deadlines: bool) -> Self:
        """Count the results of a check.

        Args:
            rows: from ``comparison.without_states``.
            layout: their columns.
            has_deadlines: count opt-outs by their last day; the tables of holidays take longer
                than a small file.
        """
        at_ms, cells = now_ms(), hints.Cells(layout)
        today = datetime.fromtimestamp(at_ms / 1000, UTC).date() if has_deadlines else None

        def counted(each: pd.DataFrame) -> Counts:
            cells.add(each)
            return Counts.from_rows(each, [Outcome.REJECTED], today)

        counts = reduce(Counts.plus, map(counted, rows.read()))
        return cls(at_ms, *counts, hints.sentences(cells, rows))

    @property
    def is_usable(self) -> bool:
        """Return whether no row is rejected."""
        return not self.rejected.count

    @property
    def may_stay(self) -> bool:
        """Return whether the rejected rows are no requests, such as a total, below usable rows."""
        no_requests = self.reasons[Outcome.REJECTED, Reason.NOT_DATA]
        return no_requests == self.rejected.count and Outcome.USABLE in self.totals.outcomes


@dataclass(frozen=True, slots=True)
class Validated:
    """An input that was checked without contacting Campaign, and what was written about it.

    Attributes:
        layout: what was read as what.
        verdict: what was found.
        reports: all reports.
        marked: those that are copies of the input with marks in it.
        todo: the file with the rows that cannot be used, if it is wanted and there are any.
    """

    layout: Layout
    verdict: Verdict
    reports: Sequence[Destination] = ()
    marked: Sequence[Destination] = ()
    todo: Destination | None = None
