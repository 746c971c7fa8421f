"""Finds rows that repeat a key, and lets one of them count; or none, if they contradict each other.

    all keys --by 8 bytes each--> keys that may repeat --as texts--> groups --> the row that counts

Whatever is said against the others goes into the verdicts.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.rules import OnConflict
from bulk_sync.rows.check.verdicts import Verdicts

_Mask = npt.NDArray[np.bool_]

_BATCH_ROWS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Places:
    """Where a row stands, in the words of a person: row 7, or row 7 of b.csv."""

    numbers: npt.NDArray[np.int64]
    files: pd.Series | None

    @classmethod
    def of(cls, raw: pd.DataFrame) -> "Places":
        """Take what names the rows of an input."""
        return cls(raw[columns.ROW].to_numpy(), raw.get(columns.FILE))

    def name(self, at: int) -> str:
        """Name the row at a position."""
        place = f"row {self.numbers[at]}"
        return place if self.files is None else f"{place} of {self.files.iat[at]}"


def counts_as(
    keys: pa.ChunkedArray,
    desired: npt.NDArray[np.int8],
    on_conflict: OnConflict,
    places: Places,
    verdicts: Verdicts,
) -> npt.NDArray[np.int64]:
    """Find the rows that repeat a key, and settle all but the one that counts.

    Returns:
        int64: the position of the row that counts for this one: its own unless it is a repeat.
    """
    positions = np.arange(len(desired))
    repeated = _repeated(keys, desired, verdicts.open)
    if on_conflict is OnConflict.REJECT:
        repeated = repeated.without(_refuse_conflicts(repeated, places, verdicts))
    if on_conflict is OnConflict.LAST:
        agrees = repeated.wanted == repeated.last_wanted()
    else:
        agrees = (repeated.wanted == 1) | (repeated.first(repeated.wanted == 1) < 0)
    counting = repeated.first(agrees)
    positions[repeated.rows] = counting
    for at in np.flatnonzero(counting != repeated.rows).tolist():
        row, place = int(repeated.rows[at]), places.name(counting[at])
        if agrees[at]:
            sentence = f"Same key and state as {place}, which counts."
            verdicts.settle(row, Outcome.DUPLICATE, None, sentence)
        else:
            sentence = (
                f"{place.capitalize()} has this key with the other state, and counts by "
                f"--on-conflict {on_conflict}."
            )
            verdicts.settle(row, Outcome.DUPLICATE, Reason.CONFLICT, sentence)
    return positions


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Rows whose key may stand in several of them, and what each wants.

    Attributes:
        rows: n positions, ascending.
        group: int64, which key each of them has: 0, 1, ...
        wanted: int8, the state each of them wants: 1 or 0.
    """

    rows: npt.NDArray[np.intp]
    group: npt.NDArray[np.int64]
    wanted: npt.NDArray[np.int8]

    def first(self, chosen: _Mask) -> npt.NDArray[np.intp]:
        """Tell for each row the first of the chosen rows with the same key; -1 if none is."""
        firsts = np.full(self.group.max(initial=-1) + 1, -1, np.intp)
        groups, at = np.unique(self.group[chosen], return_index=True)
        firsts[groups] = self.rows[chosen][at]
        return firsts[self.group]

    def last_wanted(self) -> npt.NDArray[np.int8]:
        """Tell for each row what the last row with the same key wants."""
        lasts = np.zeros(self.group.max(initial=-1) + 1, np.int8)
        groups, from_the_end = np.unique(self.group[::-1], return_index=True)
        lasts[groups] = self.wanted[::-1][from_the_end]
        return lasts[self.group]

    def without(self, left_out: _Mask) -> "_Repeated":
        kept = ~left_out
        return _Repeated(self.rows[kept], self.group[kept], self.wanted[kept])


def _refuse_conflicts(repeated: _Repeated, places: Places, verdicts: Verdicts) -> _Mask:
    """Reject the rows whose key has both states.

    Returns:
        bool: which of the repeated rows these are.
    """
    says_true = repeated.wanted == 1
    others = np.where(says_true, repeated.first(~says_true), repeated.first(says_true))
    refused = others >= 0
    for at, other in zip(repeated.rows[refused].tolist(), others[refused].tolist(), strict=True):
        sentence = (
            f"This key has both states in the input: {places.name(other)} says the other one; see "
            "--on-conflict."
        )
        verdicts.reject(at, Reason.CONFLICT, sentence)
    return refused


def _repeated(
    keys: pa.ChunkedArray, desired: npt.NDArray[np.int8], usable: npt.NDArray[np.intp]
) -> _Repeated:
    """Find those of the usable rows whose key may stand in several of them.

    Only they are compared as texts; all others are told apart by 8 bytes each. Different keys with
    the same hash, should there ever be any, are found to be different then.
    """
    hashes = _hashes(keys)[usable]
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    rows = usable[np.isin(hashes, shared)] if len(shared) else usable[:0]
    chosen = np.zeros(len(keys), np.bool_)
    chosen[rows] = True
    # Not pc.take, which puts all chunks into one first.
    group, _ = pd.factorize(pd.array(keys.filter(pa.array(chosen)), dtype="str"))
    return _Repeated(rows, group.astype(np.int64), desired[rows])


def _hashes(keys: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Hash every key; Python objects are made of one batch at a time."""
    hashes = np.empty(len(keys), np.int64)
    done = 0
    for batch in pa.table([keys], ["keys"]).to_batches(max_chunksize=_BATCH_ROWS):
        texts = batch.column(0).to_pylist()
        hashes[done : done + len(texts)] = list(map(hash, texts))
        done += len(texts)
    return hashes
