"""The slices of an input on disk: raw rows, what is said of each by itself, and their keys."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.duplicates import Places
from bulk_sync.rows.check.header import Found
from bulk_sync.rows.check.row_by_row import JudgedRows
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.columns import NONE, REASON_CODES
from bulk_sync.rows.on_disk import KEYS, Store
from bulk_sync.settings import EmailCase, KeyKind

_RAW, _JUDGED, _KEYS = "raw", "judged", "keys"
_PLACE: Final = KEYS.field("place").type


@dataclass(frozen=True, slots=True)
class Part:
    """A slice on disk.

    Attributes:
        number: from 0.
        start: position of its first row.
        rows: how many it has.
        file: number of its file; -1 if the input is one file.
        above: how many rows of its file are above it; None if others are below.
    """

    number: int
    start: int
    rows: int
    file: int
    above: int | None

    @property
    def end(self) -> int:
        """Return the position behind its last row."""
        return self.start + self.rows


class Parts:
    """All slices of an input; the first one shows their columns."""

    def __init__(self, store: Store, found: Found, first: pd.DataFrame) -> None:
        self._store, self._found = store, found
        self._own = first.columns
        self._files = first[columns.FILE].cat.categories if columns.FILE in first else None
        self._parts: list[Part] = []

    @property
    def rows(self) -> int:
        """Return how many rows there are."""
        return self._parts[-1].end if self._parts else 0

    def add(self, raw: pd.DataFrame, *, is_end: bool) -> Part:
        """Return a part for a slice to be kept; ``is_end``: its rows are the last of their file."""
        file = file_of(raw)
        above = sum(part.rows for part in self._parts if part.file == file)
        part = Part(len(self._parts), self.rows, len(raw), file, above if is_end else None)
        self._parts.append(part)
        return part

    def keep(self, part: Part, raw: pd.DataFrame, judged: JudgedRows) -> None:
        """Keep the raw rows of a part, what is said of each by itself, and its key."""
        key, details = self._found.key, columns.details(part.rows, judged.verdicts.details)
        left_out = [columns.FILE] if part.file >= 0 else []
        if judged.identities.equals(pa.chunked_array(raw[key])):
            left_out.append(key)  # ``raw`` finds it among the keys
        rows = pa.Table.from_pandas(raw.drop(columns=left_out), preserve_index=False)
        self._store.keep(_RAW, part.number, rows)
        said = {
            "desired": judged.desired,
            "outcome": judged.verdicts.outcome,
            "reason": judged.verdicts.reason,
            "detail": pa.array(details),
        }
        if not judged.keys.equals(pa.chunked_array(raw[key])):
            said["key"] = judged.keys
        self._store.keep(_JUDGED, part.number, pa.table(said))
        alike, how = pa.nulls(part.rows, pa.large_string()), self._found.keys
        if how.kind is KeyKind.EMAIL and how.email_case is not EmailCase.IGNORE:
            alike = pc.utf8_lower(judged.identities)
        keys = {
            "position": np.arange(part.start, part.end),
            "identity": judged.identities,
            "alike": alike,
            "is_open": judged.verdicts.outcome == NONE,
            "forbids": judged.desired == 1,
            "place": _places(part, raw),
        }
        self._store.keep(_KEYS, part.number, pa.table(keys, KEYS))

    def raw(self, part: Part) -> pd.DataFrame:
        """Read the raw rows of a part."""
        rows = self._store.part(_RAW, part.number)
        if self._found.key not in rows.column_names:
            (keys,) = self._store.part(_KEYS, part.number, ["identity"])
            rows = rows.append_column(self._found.key, keys)
        own = [name for name in self._own if name != columns.FILE]
        frame: pd.DataFrame = rows.select(own).to_pandas()
        if self._files is not None:
            codes = np.full(len(frame), part.file)
            frame[columns.FILE] = pd.Categorical.from_codes(codes, self._files)
        return frame

    def read(self) -> Iterator[tuple[Part, pd.DataFrame, JudgedRows]]:
        """Yield each part with its raw rows, and what is said of them."""
        for part in self._parts:
            raw = self.raw(part)
            yield part, raw, self._judged(part, raw)

    def _judged(self, part: Part, raw: pd.DataFrame) -> JudgedRows:
        """Read what ``keep`` kept, but identities; ``raw`` are the rows of the part."""
        said = self._store.part(_JUDGED, part.number)
        outcome, reason, desired = (
            said[name].to_numpy().copy() for name in ("outcome", "reason", "desired")
        )
        at = np.flatnonzero(outcome != NONE)
        details = dict(zip(at.tolist(), said["detail"].take(pa.array(at)).to_pylist(), strict=True))
        aside = set(np.flatnonzero(reason == REASON_CODES[Reason.NOT_DATA]).tolist())
        verdicts = Verdicts(outcome, reason, details, aside)
        is_other = "key" in said.column_names
        keys = said["key"] if is_other else pa.chunked_array(raw[self._found.key])
        return JudgedRows(verdicts, keys, keys, desired)

    def names(self, positions: npt.NDArray[np.int64], places: pa.StructArray) -> dict[int, str]:
        """Return the names of some rows by their positions; those at -1 are left out."""
        there, first = np.unique(positions, return_index=True)
        number, file, *originals = places.take(pa.array(first[there >= 0])).flatten()
        rows = pd.DataFrame({columns.ROW: number.to_numpy()})
        if self._files is not None:
            rows[columns.FILE] = pd.Categorical.from_codes(file.to_numpy(), self._files)
        for name, texts in zip(columns.ORIGINAL, originals, strict=True):
            if name in self._own:
                rows[name] = pd.array(texts, dtype="str")
        named = Places(rows)
        return {at: named.name(row) for row, at in enumerate(there[there >= 0].tolist())}


def file_of(raw: pd.DataFrame) -> int:
    """Return the number of a slice's file; -1 if the input is one file."""
    return int(raw[columns.FILE].cat.codes.to_numpy()[0]) if columns.FILE in raw else -1


def _places(part: Part, raw: pd.DataFrame) -> pa.StructArray:
    none = pa.nulls(part.rows, pa.large_string())
    originals = [
        pa.chunked_array(raw[name]).combine_chunks() if name in raw else none
        for name in columns.ORIGINAL
    ]
    numbers = pa.array(raw[columns.ROW]), pa.array(np.full(part.rows, part.file, np.int32))
    return pa.StructArray.from_arrays([*numbers, *originals], fields=list(_PLACE))
