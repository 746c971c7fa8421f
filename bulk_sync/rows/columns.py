"""The columns of every frame: names and dtypes, the vocabulary as code.

read.slices  -> the input's own columns (str, untouched, no missing values)
                + ROW, and FILE when the input is several files
check.rows   -> adds KEY, DESIRED, OUTCOME, REASON, DETAIL, COUNTS_AS, and REQUESTED when the
                input has request dates; OUTCOME is missing where the row is to be looked up
expand.expand -> adds PROFILE, PROFILES and OWNER when keys are no PKeys; a row per profile
comparison.compare -> adds BEFORE, AFTER, ATTEMPTS, AT; OUTCOME is complete
"""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.results import UNREAD

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

DUE: Final = "sync_due"
"""str: the last day on which an opt-out may be carried out, as ISO date; empty where that is not
known; only when the input has request dates. Reports alone have it."""

PROFILES: Final = "sync_profiles"
"""int64: number of profiles with the key; only when keys are no PKeys."""

REPORT: Final = (
    ROW, FILE, KEY, DESIRED, BEFORE, AFTER, OUTCOME, REASON, DETAIL, ATTEMPTS, AT, DUE, PROFILES,
)  # fmt: skip
"""The columns that a report adds to the input's own, in this order; it replaces columns of these
names. Those below are in no report, and have names that no input has."""

COUNTS_AS: Final = "bulk_sync_counts_as"
"""int64: position of the row that counts for this key; its own unless it repeats another."""

REQUESTED: Final = "bulk_sync_requested"
"""int64: ms since the epoch of the row's request, ``request_order.UNDATED`` if unknown; only when
the input has request dates. Rows are worked on in this order."""

LATEST: Final = "bulk_sync_requested_last"
"""int64: as REQUESTED, of the last of repeated requests; only when a newer choice in Campaign is to
be left alone."""

UNJUDGED: Final = "bulk_sync_requested_unjudged"
"""int64: in place of LATEST where newer choices in Campaign are overwritten; the ledger has it."""

PRECISION: Final = "bulk_sync_requested_precision"
"""int8: how exact LATEST is, as ``request_order.Precision``; only with request dates."""

RECEIVED: Final = "bulk_sync_received"
"""int64: days since the epoch, of the first request; ``request_order.UNDATED`` if unknown; only
with request dates."""

PROFILE: Final = "bulk_sync_profile"
"""str: PKey of the row's profile, KEY where none was found; only when keys are no PKeys, as the two
below."""

OWNER: Final = "bulk_sync_owner"
"""int64: position of the input's row."""

CREATE: Final = "bulk_sync_create"
"""str: the JSON with which a profile is created for the row; empty where none is."""

PKEYS: Final = "bulk_sync_pkeys"
"""list of str: the PKeys of the profiles with the row's key; only kept rows have it."""

UNCHANGED_PKEYS: Final = "bulk_sync_pkeys_unchanged"
"""list of str: those of them that had the desired state; only kept rows have it."""

POSITION: Final = "bulk_sync_position"
"""int64: the row's position in the input; only for rows on disk."""

ORIGINAL: Final = {"original_file": FILE, "original_row": ROW}
"""The columns that a todo file adds to the input's own, and where they come from: the place of the
row in the original file. In the next input they are columns of its own."""

NOT_DONE: Final = "Not done:"
"""How DETAIL begins in a row that was left because its run ended."""

MATCHED: Final = (PROFILE, OWNER, CREATE)

DATED: Final = (REQUESTED, LATEST, UNJUDGED, PRECISION, RECEIVED)

COMPARED: Final = (BEFORE, AFTER, OUTCOME, REASON, DETAIL, ATTEMPTS, AT)
"""What comparing and writing add to judged rows, or change of them."""

EXPANDED: Final = (COUNTS_AS, PROFILES, *MATCHED, *DATED)
"""What expanding adds to them, or changes."""

OURS: Final = (*REPORT, COUNTS_AS, *DATED, *MATCHED, PKEYS, UNCHANGED_PKEYS, POSITION)
"""Every column that is not the input's own."""

NONE: Final = -1
"""No outcome, or no reason, in arrays of codes."""

OUTCOME_CODES: Final = {outcome: code for code, outcome in enumerate(Outcome)}
"""The int8 of each outcome in arrays: one byte a row instead of an object."""

REASON_CODES: Final = {reason: code for code, reason in enumerate(Reason)}
"""The int8 of each reason in arrays."""

_OUTCOMES: Final = pd.Index([str(outcome) for outcome in Outcome])
_REASONS: Final = pd.Index([str(reason) for reason in Reason])


def states(codes: npt.NDArray[np.int8]) -> pd.Series:
    """Turn 1, 0 and ``UNREAD`` into a nullable boolean column."""
    return pd.Series(pd.arrays.BooleanArray(codes == 1, codes < 0))


def state_codes(column: pd.Series) -> npt.NDArray[np.int8]:
    """Turn a nullable boolean column into 1, 0 and ``UNREAD``."""
    known = column.array
    codes: npt.NDArray[np.int8] = known.to_numpy(np.bool_, na_value=False).astype(np.int8)
    codes[known.isna()] = UNREAD
    return codes


def desired(rows: pd.DataFrame) -> npt.NDArray[np.int8]:
    """Return the states of DESIRED: 1, 0 and ``UNREAD``."""
    return state_codes(rows[DESIRED])


def times(at_ms: npt.NDArray[np.int64]) -> pd.Series:
    """Turn milliseconds since the epoch, 0 or less where there is none, into UTC times."""
    stamps = at_ms.astype("datetime64[ms]")
    stamps[at_ms <= 0] = np.datetime64("NaT", "ms")
    # Not Series.dt.tz_localize, which takes seven times as long, and two columns more on the way.
    return pd.Series(pd.DatetimeIndex(stamps, tz="UTC", copy=False), copy=False)


def times_ms(column: pd.Series) -> npt.NDArray[np.int64]:
    """Turn UTC times into milliseconds since the epoch; 0 where there is none."""
    stamps = column.to_numpy(dtype="datetime64[ms]")  # UTC
    return np.maximum(stamps.view(np.int64), 0)  # a missing one is the least of all numbers


def outcomes(codes: npt.NDArray[np.int8]) -> pd.Series:
    """Turn ``OUTCOME_CODES``, ``NONE`` where open, into a categorical column."""
    return pd.Series(pd.Categorical.from_codes(codes, categories=_OUTCOMES))


def outcome_codes(column: pd.Series) -> npt.NDArray[np.int8]:
    """Turn a categorical column into ``OUTCOME_CODES``, ``NONE`` where open; a copy."""
    return _codes(column, _OUTCOMES)


def reasons(codes: npt.NDArray[np.int8]) -> pd.Series:
    """Turn ``REASON_CODES``, ``NONE`` where there is none, into a categorical column."""
    return pd.Series(pd.Categorical.from_codes(codes, categories=_REASONS))


def reason_codes(column: pd.Series) -> npt.NDArray[np.int8]:
    """Turn a categorical column into ``REASON_CODES``, ``NONE`` where there is none; a copy."""
    return _codes(column, _REASONS)


def have_outcome(frame: pd.DataFrame, among: Iterable[Outcome]) -> npt.NDArray[np.bool_]:
    """Return whether each row has one of some outcomes."""
    codes = outcome_codes(frame[OUTCOME])
    have = np.zeros(len(codes), np.bool_)
    for each in among:
        have |= codes == OUTCOME_CODES[each]
    return have


def profiles(frame: pd.DataFrame) -> pd.Series:
    """Return the key or PKey by which each row's profile is read and written."""
    return frame[PROFILE] if PROFILE in frame else frame[KEY]


def input_rows(frame: pd.DataFrame) -> int:
    """Return the number of rows of the input in a frame."""
    if OWNER not in frame or frame.empty:
        return len(frame)
    return int(frame[OWNER].to_numpy()[-1]) + 1


def rows_of(frame: pd.DataFrame, chosen: npt.NDArray[np.bool_]) -> pd.DataFrame:
    """Return some rows of a frame, with the same columns, dtypes and index labels.

    Memory: the rows returned. pandas would first copy a whole text column into one chunk.
    """
    mask = pa.array(chosen)
    taken = [
        pd.array(pa.chunked_array(column).filter(mask), dtype="str")
        if column.dtype == "str"
        else column.array[chosen]
        for _, column in frame.items()
    ]
    rows = pd.DataFrame(dict(enumerate(taken)), index=frame.index[chosen])
    return rows.set_axis(frame.columns, axis="columns")


def details(count: int, sentences: Mapping[int, str]) -> pd.Series:
    """Return a str column with some sentences by position, and "" elsewhere."""
    blank = pa.repeat(pa.scalar("", pa.large_string()), count)
    return with_details(pd.Series(pd.array(blank, dtype="str")), sentences)


def with_details(column: pd.Series, sentences: Mapping[int, str]) -> pd.Series:
    """Return DETAIL with other sentences in some rows."""
    if not sentences:
        return column
    changed = column.copy()
    changed.iloc[list(sentences)] = list(sentences.values())
    return changed


def _codes(column: pd.Series, categories: pd.Index) -> npt.NDArray[np.int8]:
    found = column.array
    if found.categories is not categories:
        # Parquet may have left out the categories that do not occur, or changed their order.
        found = found.set_categories(categories)
    return np.array(found.codes, np.int8)
