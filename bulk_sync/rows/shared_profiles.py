"""Settles rows about one profile, although their keys differ: one of them counts."""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check import OnConflict, duplicates
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.columns import NONE
from bulk_sync.rows.positions import Positions


def settled(rows: pd.DataFrame, with_profile: Positions, on_conflict: OnConflict) -> pd.DataFrame:
    """Return expanded rows; of those at some positions, one counts for each profile."""
    verdicts = Verdicts.from_rows(rows)
    same = _shared(rows, with_profile, on_conflict, verdicts)
    rows = verdicts.applied(rows)
    owner, by_key = rows[columns.OWNER].to_numpy(), rows[columns.COUNTS_AS].to_numpy()
    first = np.flatnonzero(np.diff(owner, prepend=-1))  # the first profile of each row of the input
    rows[columns.COUNTS_AS] = np.where(by_key != owner, first[by_key], same)
    return _dated(rows, same, columns.desired(rows))


def _shared(
    rows: pd.DataFrame, with_profile: Positions, on_conflict: OnConflict, verdicts: Verdicts
) -> npt.NDArray[np.int64]:
    """Settle rows about one profile, although their keys differ; return the counting row of each.

    If they want two states, all of them are rejected, since the right one is unknown; unless the
    opt-out is to win.
    """
    same = np.arange(len(rows))
    owner = rows[columns.OWNER].to_numpy()
    desired = columns.desired(rows)
    places = duplicates.Places(rows)
    groups = _groups(rows, with_profile)
    refused: dict[int, int] = {}  # owners, and a row that contradicts each
    if on_conflict is not OnConflict.OPT_OUT:
        refused = _contradicted(groups, owner, desired)
        _refuse(rows, refused, places, verdicts)
    for group in groups:
        left = [at for at in group if int(owner[at]) not in refused]
        wins = max(desired[left].tolist(), default=1)
        counting = next((at for at in left if desired[at] == wins), -1)
        for at in left:
            if at == counting:
                continue
            same[at] = counting
            place = places.name(counting)
            if desired[at] == wins:
                sentence = f"Same profile and state as {place}, which counts."
                verdicts.settle(at, Outcome.DUPLICATE, None, sentence)
            else:
                place = duplicates.beginning(places.name(counting))
                sentence = f"{place} opts this profile out, and counts."
                verdicts.settle(at, Outcome.DUPLICATE, Reason.CONFLICT, sentence)
    return same


def _groups(rows: pd.DataFrame, with_profile: Positions) -> list[list[int]]:
    codes, _ = pd.factorize(rows[columns.PROFILE].iloc[with_profile])
    is_shared = np.bincount(codes)[codes] > 1 if len(codes) else np.zeros(0, np.bool_)
    groups: dict[int, list[int]] = {}
    for code, at in zip(codes[is_shared].tolist(), with_profile[is_shared].tolist(), strict=True):
        groups.setdefault(code, []).append(at)
    return list(groups.values())


def _contradicted(
    groups: Sequence[Sequence[int]], owner: npt.NDArray[np.int64], desired: npt.NDArray[np.int8]
) -> dict[int, int]:
    """Return the rows of the input in contradiction to another one, with this one."""
    found = {}
    for group in groups:
        for at in group:
            others = (other for other in group if desired[other] != desired[at])
            if (other := next(others, None)) is not None:
                found[int(owner[at])] = other
    return found


def _refuse(
    rows: pd.DataFrame, refused: Mapping[int, int], places: duplicates.Places, verdicts: Verdicts
) -> None:
    owner, by_key = rows[columns.OWNER].to_numpy(), rows[columns.COUNTS_AS].to_numpy()
    for at in np.flatnonzero(np.isin(owner, list(refused))).tolist():
        place = duplicates.beginning(places.name(refused[int(owner[at])]))
        sentence = (
            f"{place} is about the same profile, and has the other state. Delete the wrong one of "
            "the two rows."
        )
        verdicts.reject(at, Reason.CONFLICT, sentence)
    for at in np.flatnonzero((by_key != owner) & np.isin(by_key, list(refused))).tolist():
        verdicts.outcome[at] = NONE
        verdicts.reject(at, Reason.CONFLICT, "The row that counts for this one is rejected.")


def _dated(
    rows: pd.DataFrame, same: npt.NDArray[np.int64], desired: npt.NDArray[np.int8]
) -> pd.DataFrame:
    if columns.REQUESTED not in rows:
        return rows
    last = columns.LATEST if columns.LATEST in rows else columns.UNJUDGED
    names = (columns.REQUESTED, last, columns.RECEIVED, columns.PRECISION)
    asked = request_dates.merge(
        request_dates.RequestTimes(*(rows[name].to_numpy() for name in names)), same, desired
    )
    for name, values in zip(names, asked, strict=True):
        rows[name] = np.asarray(values)
    return rows
