"""The verdicts on rows: an outcome, a reason and sentences for each row that has a problem.

These are two arrays of codes, and texts for the rows with problems alone; frames follow later.
"""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.columns import NONE, OUTCOME_CODES, REASON_CODES

NO_VALUE: Final = (
    "a formula without a value: open the workbook in a spreadsheet program, save it there, and try "
    "again"
)
"""The rest of a sentence about a cell with the text ``UNCALCULATED``."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts so far; filled in place.

    Attributes:
        outcome: int8, ``OUTCOME_CODES``; ``NONE`` while the row has no problem.
        reason: int8, ``REASON_CODES``; ``NONE`` where there is none.
        details: by position, the sentences.
        aside: positions of rows without further verdicts.
    """

    outcome: npt.NDArray[np.int8]
    reason: npt.NDArray[np.int8]
    details: dict[int, str]
    aside: set[int] = field(default_factory=set)

    @classmethod
    def blank(cls, count: int) -> "Verdicts":
        """Return verdicts on so many rows without a problem."""
        return cls(np.full(count, NONE, np.int8), np.full(count, NONE, np.int8), {})

    @classmethod
    def from_rows(cls, rows: pd.DataFrame) -> "Verdicts":
        """Return the verdicts on some rows so far, to be overruled."""
        outcome = columns.outcome_codes(rows[columns.OUTCOME])
        return cls(outcome, columns.reason_codes(rows[columns.REASON]), {})

    def applied(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Return a shallow copy of the rows with these verdicts; other sentences stay."""
        judged = rows.copy(deep=False)
        judged[columns.OUTCOME] = columns.outcomes(self.outcome)
        judged[columns.REASON] = columns.reasons(self.reason)
        judged[columns.DETAIL] = columns.with_details(rows[columns.DETAIL], self.details)
        return judged

    def overrule(self, at: int, outcome: Outcome, reason: Reason | None, detail: str) -> None:
        """Give a row another verdict."""
        self.outcome[at] = OUTCOME_CODES[outcome]
        self.reason[at] = NONE if reason is None else REASON_CODES[reason]
        self.details[at] = detail

    def settle(self, at: int, outcome: Outcome, reason: Reason | None, detail: str) -> None:
        """Add a verdict; a row keeps its first outcome and reason, and collects sentences."""
        if at in self.aside:
            return
        if self.outcome[at] == NONE:
            self.overrule(at, outcome, reason, detail)
        else:
            self.details[at] += f" {detail}"

    def reject(self, at: int, reason: Reason, detail: str) -> None:
        """Reject a row."""
        self.settle(at, Outcome.REJECTED, reason, detail)

    def set_aside(self, at: int, reason: Reason, detail: str) -> None:
        """Reject a row whose cells are not worth another sentence."""
        self.reject(at, reason, detail)
        self.aside.add(at)

    @property
    def open(self) -> npt.NDArray[np.intp]:
        """The positions of the rows without a problem."""
        return np.flatnonzero(self.outcome == NONE)


def quoted(value: str) -> str:
    """Return the text of a cell in quotes, cut short if it is long."""
    return repr(value if len(value) <= 60 else f"{value[:60]}…")
