"""Counts of results, made of parts: nothing needs all rows at once."""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from operator import add
from typing import Any, Final, NamedTuple, Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report.facts import STATES
from bulk_sync.rows import columns, due_dates
from bulk_sync.rows.due_dates import Late
from bulk_sync.rows.totals import LeftRows, Totals, by_reason

_SIZE: Final = len(STATES)


@dataclass(frozen=True, slots=True)
class Tally:
    """Counts of some rows; the sum of two is that of all their rows.

    Attributes:
        rows: how many.
        reasons: rows by reason.
        states: rows by state before and after, in the order of ``STATES``.
        late: opt-outs past their last day, or nearly; None without request dates.
        days_left: opt-outs not carried out, by business days until their last one.
        forbid: usable rows that forbid the sale.
        allow: usable rows that allow it.
    """

    rows: int = 0
    reasons: Counter[Reason] = field(default_factory=Counter)
    states: npt.NDArray[np.int64] = field(
        default_factory=lambda: np.zeros((_SIZE, _SIZE), np.int64)
    )
    late: Late | None = None
    days_left: Counter[str] = field(default_factory=Counter)
    forbid: int = 0
    allow: int = 0

    @classmethod
    def count(cls, rows: pd.DataFrame, today: date | None) -> Self:
        """Count rows of results, with AFTER as ``comparison.foreseen`` has it.

        ``today`` is the day on which they ended; None counts no days.
        """
        codes = columns.reason_codes(rows[columns.REASON])
        found = np.bincount(codes[codes >= 0], minlength=len(Reason)).tolist()
        usable = columns.have_outcome(rows, [Outcome.USABLE])
        desired = columns.desired(rows)[usable]
        return cls(
            rows=len(rows),
            reasons=Counter(dict(zip(Reason, found, strict=True))),
            states=_states(rows),
            late=None if today is None else due_dates.late(rows, today),
            days_left=Counter({} if today is None else due_dates.days_left(rows, today)),
            forbid=int((desired == 1).sum()),
            allow=int((desired == 0).sum()),
        )

    def __add__(self, other: "Tally") -> "Tally":
        """Return the counts of both."""
        days = self.days_left.copy()
        days.update(other.days_left)
        return Tally(
            self.rows + other.rows,
            self.reasons + other.reasons,
            self.states + other.states,
            due_dates.total(self.late, other.late),
            days,
            self.forbid + other.forbid,
            self.allow + other.allow,
        )

    def dumps(self) -> dict[str, object]:
        """Return the counts as JSON can hold them."""
        return {
            **{name: getattr(self, name) for name in ("rows", "days_left", "forbid", "allow")},
            "reasons": {str(reason): number for reason, number in self.reasons.items()},
            "states": self.states.tolist(),
            "late": None if self.late is None else self.late._asdict(),
        }

    @classmethod
    def loads(cls, facts: Mapping[str, Any]) -> Self:
        """Return the counts from what ``dumps`` made."""
        return cls(
            **{name: facts[name] for name in ("rows", "forbid", "allow")},
            reasons=Counter({Reason(name): number for name, number in facts["reasons"].items()}),
            states=np.array(facts["states"], np.int64),
            late=None if facts["late"] is None else Late(**facts["late"]),
            days_left=Counter(facts["days_left"]),
        )

    def most_frequent(self) -> Mapping[Reason, int]:
        """Return the reasons that occur, the most frequent first."""
        ordered = sorted(Reason, key=lambda reason: -self.reasons[reason])
        return {reason: self.reasons[reason] for reason in ordered if self.reasons[reason]}

    def matrix(self) -> tuple[tuple[int, ...], ...]:
        """Return ``states`` as tuples; empty if no state was read."""
        if self.states.sum() == self.states[-1, -1]:
            return ()
        return tuple(map(tuple, self.states.tolist()))


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
        """Count rows of results; those with an outcome of ``left`` are left to a person."""
        return cls(
            Totals.count(rows), by_reason(rows), Tally.count(rows, today), LeftRows.find(rows, left)
        )

    def plus(self, other: "Counts") -> "Counts":
        """Return the counts of the rows of both, in this order."""
        return Counts(*map(add, self, other))


def _states(rows: pd.DataFrame) -> npt.NDArray[np.int64]:
    before = columns.state_codes(rows[columns.BEFORE])
    after = columns.state_codes(rows[columns.AFTER])
    # true, false, unknown: codes 1, 0, -1.
    counted = np.bincount((1 - before) * _SIZE + (1 - after), minlength=_SIZE * _SIZE)
    return counted.reshape(_SIZE, _SIZE)
