"""Counts of a plan or of results, adding up to the rows of the input."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, expand
from bulk_sync.rows.columns import OUTCOME_CODES


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

_COMPLETE: Final = frozenset(
    {
        Outcome.UNCHANGED,
        Outcome.UPDATED,
        Outcome.WOULD_UPDATE,
        Outcome.CREATED,
        Outcome.WOULD_CREATE,
        Outcome.DUPLICATE,
        Outcome.SKIPPED,
    }
)


_PAIRS: Final = [*product(map(str, Outcome), map(str, Reason))]
_NEW: Final = (Outcome.WOULD_CREATE, Outcome.CREATED)


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
