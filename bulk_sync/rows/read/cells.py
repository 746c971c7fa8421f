"""The table of an input, whatever its format: columns of text, and row numbers."""

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.parse.sheets import column_letters
from bulk_sync.rows.read.first_rows import FirstRows

log = logging.getLogger(__name__)

_OURS: Final = (columns.ROW, columns.FILE)
_FIRST_ROWS: Final = 8
"""How many rows show what is in a table."""

LAST_ROWS: Final = 60
"""Rows at the end of a table that are in one part: what stands below a list is seen together."""

_BATCH_ROWS: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Cells:
    """The rows of a table, or some of them, every cell as text.

    Attributes:
        names: the header's cells, untouched.
        texts: by column, string or large_string without nulls.
        numbers: by row, its number in a spreadsheet.
        sheet: the sheet of a workbook.
        header_row: the number of the header's row; None in Parquet.
    """

    names: Sequence[str]
    texts: Sequence[pa.ChunkedArray]
    numbers: npt.NDArray[np.int64]
    sheet: str | None = None
    header_row: int | None = None

    def first_filled(self, at: int) -> int | None:
        """Return the number of the first row with content in a column; None if there is none."""
        content = pc.not_equal(self.texts[at], "").to_numpy()
        return int(self.numbers[content.argmax()]) if content.any() else None

    def frame(self, positions: Mapping[str, int]) -> pd.DataFrame:
        """Return some columns as str, by their positions, then ROW."""
        own = {name: pd.array(self.texts[at], dtype="str") for name, at in positions.items()}
        frame = pd.DataFrame(own)
        frame[columns.ROW] = self.numbers
        return frame

    def split(self, most_bytes: int) -> Iterator["Cells"]:
        """Yield the rows, about so many bytes at a time, but at least one."""
        count = len(self.numbers)
        step = max(1, count * most_bytes // max(1, self.bytes))
        for start in range(0, count, step):
            texts = [text.slice(start, step) for text in self.texts]
            yield replace(self, texts=texts, numbers=self.numbers[start : start + step])

    @property
    def bytes(self) -> int:
        """Return how many bytes the rows take as text, about."""
        texts = sum(pc.sum(pc.binary_length(text), min_count=0).as_py() for text in self.texts)
        return int(texts) + len(self.numbers) * len(self.names)


@dataclass(frozen=True, slots=True)
class Table:
    """One table; its rows are read part by part, as often as they are needed.

    Attributes:
        names: the header's cells, untouched.
        sheet: the sheet of a workbook.
        header_row: the number of the header's row; None in Parquet.
        read: starts to read the rows, a part at a time, each with rows.
    """

    names: Sequence[str]
    sheet: str | None
    header_row: int | None
    read: Callable[[], Generator[Cells, None, None]]

    @classmethod
    def of(cls, cells: Cells) -> Self:
        """Return a table as its only part."""
        only = [cells] if len(cells.numbers) else []
        return cls(cells.names, cells.sheet, cells.header_row, lambda: (each for each in only))

    def whole(self) -> Cells:
        """Return all rows, also if there are none."""
        with closing(self.read()) as parts:
            cells = joined([from_records(self.names, ()), *parts])
        return replace(cells, sheet=self.sheet, header_row=self.header_row)

    def first_rows(self) -> FirstRows:
        """Return the header, as row 1 where it has no number, and the first rows below it."""
        with closing(self.read()) as parts:
            numbered = (
                (number, [text[at].as_py() for text in part.texts])
                for part in parts
                for at, number in enumerate(part.numbers[:_FIRST_ROWS].tolist())
            )
            rows = dict(islice(numbered, _FIRST_ROWS))
        return FirstRows({self.header_row or 1: self.names, **rows}, self.sheet)

    def positions(self, place: str) -> dict[str, int]:
        """Return the names of the input's own columns, and where they are; see ``own_columns``.

        Columns without a name take a pass over the rows.
        """
        nameless = [at for at, name in enumerate(self.names) if not name.strip()]
        found: dict[int, int] = {}
        with closing(self.read()) as parts:
            while len(found) < len(nameless) and (part := next(parts, None)) is not None:
                rows = {at: part.first_filled(at) for at in nameless if at not in found}
                found |= {at: row for at, row in rows.items() if row is not None}
        return own_columns(self.names, place, found)


def joined(cells: Sequence[Cells]) -> Cells:
    """Return the rows of one table, or of its parts, which are at least one."""
    if len(cells) == 1:
        return cells[0]
    filled = [each for each in cells if len(each.numbers)]  # an empty chunk is an empty batch later
    texts = [
        pa.chunked_array(
            [chunk for each in filled for chunk in each.texts[at].cast(pa.large_string()).chunks],
            pa.large_string(),
        )
        for at in range(len(cells[0].names))
    ]
    return replace(cells[0], texts=texts, numbers=np.concatenate([each.numbers for each in cells]))


def grouped(parts: Iterable[Cells], most_bytes: int) -> Iterator[Cells]:
    """Yield the same rows in parts of about so many bytes, but of at least one row."""
    group: list[Cells] = []
    taken = 0
    for each in parts:
        for part in each.split(most_bytes):
            size = part.bytes
            if group and taken + size > most_bytes:
                yield joined(group)
                group, taken = [], 0
            group.append(part)
            taken += size
    if group:
        yield joined(group)


def with_last_rows(parts: Iterable[Cells]) -> Iterator[Cells]:
    """Yield the same rows, so that the last part has ``LAST_ROWS``, if there are so many."""
    held: list[Cells] = []
    for part in parts:
        held.append(part)
        while sum(len(each.numbers) for each in held[1:]) >= LAST_ROWS:
            yield held.pop(0)
    if held:
        yield joined(held)


def own_columns(
    names: Sequence[str], place: str, first_filled: Mapping[int, int]
) -> dict[str, int]:
    """Return the names of the input's own columns, and where they are, from 0.

    Columns without a name, and those with an earlier one's, are called by their letters. Left
    out are nameless ones without content, and columns called ROW or FILE: they come from an
    earlier report. ``first_filled`` has the first row with content of nameless ones.

    Raises:
        InputProblem: no column has a name.
    """
    own: dict[str, int] = {}
    for at, name in enumerate(names):
        if name in _OURS:
            continue
        if name.strip() and name not in own:
            own[name] = at
        elif name.strip():
            own[_lettered(names, at, place, f"the name {name!r}, as an earlier one has")] = at
        elif at in first_filled:
            why = f"no name but holds data, first in row {first_filled[at]}"
            own[_lettered(names, at, place, why)] = at
    if not any(name.strip() for name in names if name not in _OURS):
        raise InputProblem(
            f"{place} has no column with a name of its own. Write a header above the data, "
            "such as PKey,ccpaOptOut."
        )
    return own


def _lettered(names: Sequence[str], at: int, place: str, why: str) -> str:
    """Return the name of a column in reports, with its letters; warn of it."""
    name, letters = names[at], column_letters(at)
    new_name = f"{name} ({letters})" if name.strip() else f"column {letters}"
    while new_name in names:
        new_name += "_"
    log.warning(
        "%s: column %s has %s. It is not used; reports call it %r", place, letters, why, new_name
    )
    return new_name


def from_records(names: Sequence[str], records: Iterable[tuple[int, Sequence[str]]]) -> Cells:
    """Return numbered records, each as long as the header, as columns.

    Memory: one batch of records, beside the columns so far.
    """
    batches: list[list[pa.Array]] = []
    numbers: list[npt.NDArray[np.int64]] = [np.zeros(0, np.int64)]
    iterator = iter(records)
    while batch := list(islice(iterator, _BATCH_ROWS)):
        numbers.append(np.array([number for number, _ in batch], np.int64))
        cells = zip(*(record for _, record in batch), strict=True)
        batches.append([pa.array(column, pa.large_string()) for column in cells])
    texts = [
        pa.chunked_array([batch[at] for batch in batches], pa.large_string())
        for at in range(len(names))
    ]
    return Cells(names, texts, np.concatenate(numbers))
