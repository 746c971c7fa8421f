"""Finds rows that repeat a key. One of them counts, or none if they contradict each other.

all keys --by 8 bytes each--> keys that may repeat --as texts--> groups --> the row that counts
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

_BATCH_ROWS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Places:
    """The places of rows in the words of a person: row 7, or row 7 of b.csv."""

    numbers: npt.NDArray[np.int64]
    files: pd.Series | None
    originals: tuple[pd.Series | None, pd.Series | None]

    @classmethod
    def from_rows(cls, raw: pd.DataFrame) -> "Places":
        """Return the places of the rows of an input."""
        file, row = map(raw.get, columns.ORIGINAL)
        if row is not None and not _are_places(row, file):
            file, row = None, None
        return cls(raw[columns.ROW].to_numpy(), raw.get(columns.FILE), (file, row))

    def name(self, at: int) -> str:
        """Return the place of the row at a position."""
        place = f"row {self.numbers[at]}"
        if self.files is not None:
            place += f" of {self.files.iat[at]}"
        return place + self.original(at)

    def beginning(self, at: int) -> str:
        """Return the same as the beginning of a sentence."""
        return f"R{self.name(at)[1:]}"

    def original(self, at: int) -> str:
        """Return the place of a row before it went through a todo file, or nothing."""
        file, row = self.originals
        if row is None or not row.iat[at]:
            return ""
        name = "the original file" if file is None else str(file.iat[at])
        return f" (row {row.iat[at]!s} of {name})"


def _are_places(rows: pd.Series, files: pd.Series | None) -> bool:
    """Return whether cells are row numbers as a todo file has them: each place once at most.

    A person may have a column of that name too.
    """
    given = rows[rows != ""].astype("str")
    places = given if files is None else files[given.index].astype("str") + "\0" + given
    return bool(given.str.fullmatch(r"[1-9]\d{0,8}").all()) and not places.duplicated().any()


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
    rows, group = _repeated(keys, verdicts.open)
    wants_true = desired[rows] == 1
    first_true, first_false = _first(rows, group, wants_true), _first(rows, group, ~wants_true)
    if on_conflict is OnConflict.REJECT:
        others = np.where(wants_true, first_false, first_true)
        _refuse_conflicts(rows, others, desired, places, verdicts)
        kept = others < 0
        rows, first_true, first_false = rows[kept], first_true[kept], first_false[kept]
        wants_true = wants_true[kept]
    true_counts = first_true >= 0
    if on_conflict is OnConflict.LAST:
        last = len(rows) - 1 - _first(np.arange(len(rows)), group[::-1], np.ones(len(rows), bool))
        true_counts = wants_true[last[::-1]]
    counting = np.where(true_counts, first_true, first_false)
    for at in np.flatnonzero(counting != rows).tolist():
        place = places.name(counting[at])
        if wants_true[at] == true_counts[at]:
            sentence = f"Same key and state as {place}, which counts."
            verdicts.settle(int(rows[at]), Outcome.DUPLICATE, None, sentence)
        else:
            sentence = (
                f"{places.beginning(counting[at])} has this key with the other state, and counts "
                f"by --on-conflict {on_conflict}."
            )
            verdicts.settle(int(rows[at]), Outcome.DUPLICATE, Reason.CONFLICT, sentence)
    positions = np.arange(len(desired))
    positions[rows] = counting
    return positions


def _refuse_conflicts(
    rows: npt.NDArray[np.intp],
    others: npt.NDArray[np.intp],
    desired: npt.NDArray[np.int8],
    places: Places,
    verdicts: Verdicts,
) -> None:
    """Reject the rows whose key has both states; ``others`` has a row with the other one, or -1."""
    refused = others >= 0
    wants_true = desired[rows[refused]] == 1
    for at, other, forbids in zip(rows[refused], others[refused], wants_true, strict=True):
        here, there = ("forbids", "allows") if forbids else ("allows", "forbids")
        sentence = (
            f"This row {here} the sale, and {places.name(other)} {there} it for the same key. "
            "Delete the wrong one, or let the opt-out count with --on-conflict opt-out."
        )
        verdicts.reject(int(at), Reason.CONFLICT, sentence)


def _first(
    rows: npt.NDArray[np.intp], group: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.intp]:
    """Return for each row the first of the chosen rows in its group; -1 if there is none."""
    firsts = np.full(group.max(initial=-1) + 1, -1, np.intp)
    groups, at = np.unique(group[chosen], return_index=True)
    firsts[groups] = rows[chosen][at]
    return firsts[group]


def _repeated(
    keys: pa.ChunkedArray, usable: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Find those of the usable rows whose key may stand in several of them.

    Only they are compared as texts, all others by 8 bytes each. So different keys with the same
    hash stay different.

    Returns:
        Their positions, ascending, and for each the number of its key: 0, 1, ...
    """
    hashes = _hashes(keys)[usable]
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    rows = usable[np.isin(hashes, shared)] if len(shared) else usable[:0]
    chosen = np.zeros(len(keys), np.bool_)
    chosen[rows] = True
    # Not pc.take, which puts all chunks into one first.
    group, _ = pd.factorize(pd.array(keys.filter(pa.array(chosen)), dtype="str"))
    return rows, group.astype(np.int64)


def _hashes(keys: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return the hash of every key; Python objects are made of one batch at a time."""
    hashes = np.empty(len(keys), np.int64)
    done = 0
    for batch in pa.table([keys], ["keys"]).to_batches(max_chunksize=_BATCH_ROWS):
        texts = batch.column(0).to_pylist()
        hashes[done : done + len(texts)] = list(map(hash, texts))
        done += len(texts)
    return hashes
