"""Counts of a plan or of results, adding up to the rows of the input, and the first rows left."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, expand
from bulk_sync.rows.columns import OUTCOME_CODES

COMPARED_ROWS: Final = 1_000
"""How many rows are searched for those with the same reason."""

_NAMES: Final = (
    columns.ROW, columns.FILE, columns.OUTCOME, columns.REASON, columns.DETAIL, *columns.ORIGINAL,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts of a plan or of results.

    Attributes:
        rows: rows of the input.
        outcomes: rows by outcome, if there are any, in the order of ``Outcome``.
        opt_ins: rows to be written, or written, from true to false.
        opt_outs: the same from false to true.
        creates: profiles to be created, or created.
    """

    rows: int
    outcomes: Mapping[str, int]
    opt_ins: int = 0
    opt_outs: int = 0
    creates: int = 0

    @classmethod
    def count(cls, frame: pd.DataFrame) -> "Totals":
        """Count rows of the input by outcome, and profiles by what is written to them."""
        counts = _counted(columns.outcome_codes(frame[columns.OUTCOME]))
        written = sum(counts[OUTCOME_CODES[each]] for each in comparison.WRITTEN)
        creates = sum(counts[OUTCOME_CODES[each]] for each in _NEW)
        lifted = len(comparison.opt_ins(frame))
        codes = expand.outcomes(frame)
        return cls(
            rows=len(codes),
            outcomes=by_outcome(codes),
            opt_ins=lifted,
            opt_outs=written - lifted,
            creates=creates,
        )

    def __add__(self, other: "Totals") -> "Totals":
        """Return the counts of the rows of both: different rows of the input."""
        counted = Counter(self.outcomes) + Counter(other.outcomes)
        return Totals(
            rows=self.rows + other.rows,
            outcomes={str(name): counted[name] for name in Outcome if counted[name]},
            opt_ins=self.opt_ins + other.opt_ins,
            opt_outs=self.opt_outs + other.opt_outs,
            creates=self.creates + other.creates,
        )

    @property
    def writes(self) -> int:
        """Profiles to be written, or written."""
        return self.opt_ins + self.opt_outs + self.creates

    @property
    def complete(self) -> bool:
        """Whether every row holds in Campaign, or in a dry run could be planned."""
        return set(self.outcomes) <= _COMPLETE


NO_ROWS: Final = Totals(rows=0, outcomes={})

_COMPLETE: Final = frozenset({
    Outcome.UNCHANGED, Outcome.UPDATED, Outcome.WOULD_UPDATE, Outcome.CREATED, Outcome.WOULD_CREATE,
    Outcome.DUPLICATE, Outcome.SKIPPED,
})  # fmt: skip


_PAIRS: Final = [*product(map(str, Outcome), map(str, Reason))]
_NEW: Final = (Outcome.WOULD_CREATE, Outcome.CREATED)


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


def by_outcome(codes: npt.NDArray[np.int8]) -> Mapping[str, int]:
    """Count rows by outcome, if there are any, from their ``OUTCOME_CODES``."""
    return {str(name): n for name, n in zip(Outcome, _counted(codes), strict=True) if n}


def by_reason(frame: pd.DataFrame) -> Counter[tuple[str, str]]:
    """Count rows with a reason by outcome and reason."""
    outcomes = columns.outcome_codes(frame[columns.OUTCOME])
    reasons = columns.reason_codes(frame[columns.REASON])
    has_both = (outcomes >= 0) & (reasons >= 0)
    pairs = outcomes[has_both].astype(np.intp) * len(Reason) + reasons[has_both]
    counts = np.bincount(pairs)
    return Counter({_PAIRS[at]: int(counts[at]) for at in np.flatnonzero(counts)})


def _counted(codes: npt.NDArray[np.int8]) -> list[int]:
    counts: list[int] = np.bincount(codes[codes >= 0], minlength=len(Outcome)).tolist()
    return counts
