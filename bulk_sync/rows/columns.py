"""The columns of every frame: names and dtypes, the vocabulary as code.

read.rows    -> the input's own columns (str, untouched, no missing values)
                + ROW, and FILE when the input is several files
check.rows   -> adds KEY, DESIRED, OUTCOME, REASON, DETAIL, COUNTS_AS, and REQUESTED when the
                input has request dates; OUTCOME is missing where the row is to be looked up
plan.compare -> adds BEFORE, AFTER, ATTEMPTS, AT; OUTCOME is complete
"""

from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.outcomes import Outcome, Reason

ROW: Final = "sync_row"
"""int64: the number that a spreadsheet shows; the header is row 1."""

FILE: Final = "sync_file"
"""category: the path as given; only when the input is several files."""

KEY: Final = "sync_key"
"""str: the key as it is used."""

DESIRED: Final = "sync_desired"
"""boolean (nullable): missing if unreadable."""

BEFORE: Final = "sync_before"
"""boolean (nullable): missing if never read, or unknown."""

AFTER: Final = "sync_after"
"""boolean (nullable): missing if not known."""

OUTCOME: Final = "sync_outcome"
"""category of ``Outcome`` values."""

REASON: Final = "sync_reason"
"""category of ``Reason`` values; missing where there is none."""

DETAIL: Final = "sync_detail"
"""str: a sentence for a person; empty where there is none."""

ATTEMPTS: Final = "sync_attempts"
"""int64: HTTP tries of the last step; 0 if nothing was sent for the row."""

AT: Final = "sync_at"
"""datetime64[ms, UTC]: end of the last step; missing if nothing was sent for the row."""

REPORT: Final = (
    ROW, FILE, KEY, DESIRED, BEFORE, AFTER, OUTCOME, REASON, DETAIL, ATTEMPTS, AT,
)  # fmt: skip
"""The columns that a report adds to the input's own, in this order."""

COUNTS_AS: Final = "sync_counts_as"
"""int64: position of the row that counts for this key; its own unless it repeats another."""

REQUESTED: Final = "sync_requested"
"""int64: ms since the epoch at which the row's state was asked for, ``dates.UNDATED`` where that is
not known; only when the input has request dates. Rows are worked on in this order."""

OURS: Final = (*REPORT, COUNTS_AS, REQUESTED)
"""Every column that is not the input's own."""

UNREAD: Final = -1
"""How arrays of states say that there is none; true is 1, false is 0."""


def states(codes: npt.NDArray[np.int8]) -> pd.Series:
    """Turn 1, 0 and ``UNREAD`` into a nullable boolean column."""
    return pd.Series(pd.arrays.BooleanArray(codes == 1, codes < 0))


def state_codes(column: pd.Series) -> npt.NDArray[np.int8]:
    """Turn a nullable boolean column into 1, 0 and ``UNREAD``."""
    codes = column.astype("Int8").fillna(UNREAD).to_numpy(dtype=np.int8)
    return np.array(codes, np.int8)


def times(at_ms: npt.NDArray[np.int64]) -> pd.Series:
    """Turn milliseconds since the epoch, 0 or less where there is none, into UTC times."""
    stamps = pd.Series(at_ms.view("datetime64[ms]")).dt.tz_localize("UTC")
    return stamps.where(at_ms > 0)


def times_ms(column: pd.Series) -> npt.NDArray[np.int64]:
    """Turn UTC times into milliseconds since the epoch; 0 where there is none."""
    stamps = column.dt.tz_localize(None).to_numpy(dtype="datetime64[ms]")
    return np.where(np.isnat(stamps), 0, stamps.astype(np.int64))


def outcomes(values: npt.NDArray[np.object_]) -> pd.Series:
    """Turn outcomes, None where open, into a categorical column."""
    return _category(values, Outcome)


def reasons(values: npt.NDArray[np.object_]) -> pd.Series:
    """Turn reasons, None where there is none, into a categorical column."""
    return _category(values, Reason)


def _category(values: npt.NDArray[np.object_], names: type[StrEnum]) -> pd.Series:
    categories = pd.Index([str(name) for name in names])
    index = {name: code for code, name in enumerate(categories)}
    codes = np.full(len(values), -1, np.int8)
    given = np.flatnonzero(~pd.isna(values))
    codes[given] = [index[value] for value in values[given]]
    return pd.Series(pd.Categorical.from_codes(codes, categories=categories))
