"""The rows of an input larger than memory that are not in the frame of its run."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import reduce
from typing import Final, Self

import pandas as pd

from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome
from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import NO_ROWS, LeftRows, Totals
from bulk_sync.runs.kept.tally import Counts, Tally


@dataclass(frozen=True, slots=True)
class Rest:
    """The rows of an input larger than memory that need no work: Campaign holds what they ask for.

    They are ``unchanged``, or a ``duplicate`` of such a row, and have no reason, unless another run
    has changed them since they were read. The other rows are the frame of the run, which may be
    empty.

    Attributes:
        totals: counts of these rows.
        tally: further counts of them.
        with_results: returns all rows of the input in their order, given the results of the others
            (one row per row of the input).
        reasons: their number by outcome and reason.
        left: those that are left to a person, but for the pending ones.
        is_all: whether all rows are here, because the run ended before they were told apart.
    """

    totals: Totals
    tally: Tally
    with_results: Callable[[pd.DataFrame], Slices]
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)
    left: LeftRows = field(default_factory=LeftRows)
    is_all: bool = False

    @classmethod
    def counted(
        cls, rows: Iterable[pd.DataFrame], with_results: Callable[[pd.DataFrame], Slices]
    ) -> Self:
        """Count the rows of the rest."""
        today = datetime.now(UTC).date()
        named = set(NEEDS_A_PERSON) - {Outcome.PENDING}  # which the end of the run explains
        found = reduce(Counts.plus, (Counts.from_rows(each, named, today) for each in rows))
        return cls(found.totals, found.tally, with_results, found.reasons, found.left)

    @classmethod
    def unread(cls, rows: Slices) -> Self:
        """Return all rows of an input, as a run leaves them that ended before they were read."""
        return replace(cls.counted(rows.read(), lambda _: rows), is_all=True)


NOTHING: Final = Rest(NO_ROWS, Tally(), Slices.of)
"""Of an input that fits into memory: all its rows are the frame."""
