"""What is known of each row so far: nothing against it, or an outcome with a reason and sentences.

Not frames yet: two arrays of codes, and texts only for the rows that something was said against.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.columns import NONE, OUTCOME_CODES, REASON_CODES


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What is known of each row so far; filled in place.

    Attributes:
        outcome: int8, ``OUTCOME_CODES``; ``NONE`` while nothing was said against the row.
        reason: int8, ``REASON_CODES``; ``NONE`` where there is none.
        details: by position, the sentences.
    """

    outcome: npt.NDArray[np.int8]
    reason: npt.NDArray[np.int8]
    details: dict[int, str]

    @classmethod
    def of(cls, count: int) -> "Verdicts":
        """Make room for so many rows, with nothing said against any."""
        return cls(np.full(count, NONE, np.int8), np.full(count, NONE, np.int8), {})

    def settle(self, at: int, outcome: Outcome, reason: Reason | None, detail: str) -> None:
        """Note a verdict; a row keeps its first outcome and reason, and collects sentences."""
        if self.outcome[at] == NONE:
            self.outcome[at] = OUTCOME_CODES[outcome]
            self.reason[at] = NONE if reason is None else REASON_CODES[reason]
            self.details[at] = detail
        else:
            self.details[at] += f" {detail}"

    def reject(self, at: int, reason: Reason, detail: str) -> None:
        """Note a verdict against the row."""
        self.settle(at, Outcome.REJECTED, reason, detail)

    @property
    def open(self) -> npt.NDArray[np.intp]:
        """The positions of the rows that nothing was said against."""
        return np.flatnonzero(self.outcome == NONE)


def quoted(value: str) -> str:
    """Put what a cell says into quotes, cut short if it is long."""
    return repr(value if len(value) <= 60 else f"{value[:60]}…")
