"""Finds rows that repeat a key. One of them counts, or none if they contradict each other.

all keys --by 8 bytes each--> keys that may repeat --as texts--> groups --> the row that counts
"""

import re
from collections.abc import Callable
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.rules import OnConflict
from bulk_sync.rows.check.verdicts import Verdicts

_BATCH_ROWS: Final = 1 << 16
_ROW_NUMBER: Final = re.compile(r"[1-9]\d{0,8}")


class Places:
    """The places of rows in the words of a person: row 7, or row 7 of b.csv."""

    def __init__(self, raw: pd.DataFrame) -> None:
        self._numbers, self._files = raw[columns.ROW].to_numpy(), raw.get(columns.FILE)
        self._originals = tuple(map(raw.get, columns.ORIGINAL))

    def name(self, at: int) -> str:
        """Return the place of the row at a position."""
        place = f"row {self._numbers[at]}"
        if self._files is not None:
            place += f" of {self._files.iat[at]}"
        return place + self.original(at)

    def original(self, at: int) -> str:
        """Return the place of a row before it went through a todo file, or nothing."""
        file, row = self._originals
        number = "" if row is None else str(row.iat[at])
        if not _ROW_NUMBER.fullmatch(number):  # a person may have a column of that name too
            return ""
        name = "the original file" if file is None else str(file.iat[at])
        return f" (row {number} of {name})"


def beginning(place: str) -> str:
    """Return the name of a row as the beginning of a sentence."""
    return f"R{place[1:]}"


class Repeats(NamedTuple):
    """The rows whose key may stand in several rows.

    Attributes:
        rows: int64, their positions, ascending.
        forbids: bool, whether each forbids the sale.
        first_forbids: int64, by row the position of the first row with its key that forbids the
            sale; -1 if there is none.
        first_allows: int64, the same for the first that allows it.
        last_forbids: bool, whether the last row with its key forbids the sale.
    """

    rows: npt.NDArray[np.int64]
    forbids: npt.NDArray[np.bool_]
    first_forbids: npt.NDArray[np.int64]
    first_allows: npt.NDArray[np.int64]
    last_forbids: npt.NDArray[np.bool_]


def find(
    keys: pa.ChunkedArray, desired: npt.NDArray[np.int8], usable: npt.NDArray[np.intp]
) -> Repeats:
    """Find the rows whose key may stand in several of the usable rows."""
    rows, group = _repeated(keys, usable)
    forbids = desired[rows] == 1
    last = len(rows) - 1 - _first(np.arange(len(rows)), group[::-1], np.ones(len(rows), bool))
    return Repeats(
        rows,
        forbids,
        first_forbids=_first(rows, group, forbids),
        first_allows=_first(rows, group, ~forbids),
        last_forbids=forbids[last[::-1]],
    )


def settle(
    repeats: Repeats,
    on_conflict: OnConflict,
    name: Callable[[int], str],
    verdicts: Verdicts,
    positions: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int64]:
    """Settle all repeats but the rows that count.

    Args:
        repeats: the rows.
        on_conflict: the fate of one key with two states.
        name: names the row at a position, as ``Places.name``.
        verdicts: on all rows, or on some among which ``repeats.rows`` are places.
        positions: of the repeats in the input, if those are not their places.

    Returns:
        int64, by repeat: the position of the row that counts for it; its own if it is refused.
    """
    rows, forbids = repeats.rows, repeats.forbids
    positions = rows if positions is None else positions
    forbid_counts = repeats.first_forbids >= 0
    refused = np.zeros(len(rows), np.bool_)
    if on_conflict is OnConflict.REJECT:
        refused = forbid_counts & (repeats.first_allows >= 0)
    if on_conflict is OnConflict.LAST:
        forbid_counts = repeats.last_forbids
    counting = np.where(forbid_counts, repeats.first_forbids, repeats.first_allows)
    counting[refused] = positions[refused]
    for at in np.flatnonzero(refused).tolist():
        other = (repeats.first_allows if forbids[at] else repeats.first_forbids)[at]
        sentence = _conflict(name(int(other)), forbids=bool(forbids[at]))
        verdicts.reject(int(rows[at]), Reason.CONFLICT, sentence)
    for at in np.flatnonzero(counting != positions).tolist():
        place, reason = name(int(counting[at])), None
        sentence = f"Same key and state as {place}, which counts."
        if forbids[at] != forbid_counts[at]:
            reason = Reason.CONFLICT
            sentence = (
                f"{beginning(place)} has this key with the other state, and counts by "
                f"--on-conflict {on_conflict}."
            )
        verdicts.settle(int(rows[at]), Outcome.DUPLICATE, reason, sentence)
    return counting


def _conflict(other: str, *, forbids: bool) -> str:
    here, there = ("forbids", "allows") if forbids else ("allows", "forbids")
    return (
        f"This row {here} the sale, and {other} {there} it for the same key. Delete the wrong "
        "one, or let the opt-out count with --on-conflict opt-out."
    )


def _first(
    rows: npt.NDArray[np.intp], group: npt.NDArray[np.int64], chosen: npt.NDArray[np.bool_]
) -> npt.NDArray[np.int64]:
    """Return for each row the first of the chosen rows in its group; -1 if there is none."""
    firsts = np.full(group.max(initial=-1) + 1, -1, np.int64)
    groups, at = np.unique(group[chosen], return_index=True)
    firsts[groups] = rows[chosen][at]
    return firsts[group]


def _repeated(
    keys: pa.ChunkedArray, usable: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.int64]]:
    """Return the usable rows whose key may stand in several, ascending, and the number of its key.

    Only they are compared as texts, all others by 8 bytes each.
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
    batches = pa.table([keys], ["keys"]).to_batches(max_chunksize=_BATCH_ROWS)
    texts = chain.from_iterable(batch.column(0).to_pylist() for batch in batches)
    return np.fromiter(map(hash, texts), np.int64, len(keys))
