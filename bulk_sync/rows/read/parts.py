"""A table in parts: its rows are read part by part, as often as they are needed."""

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import Final, Self

from bulk_sync.rows.read.cells import FIRST_ROWS, Cells, joined, own_columns
from bulk_sync.rows.read.first_rows import FirstRows

LAST_ROWS: Final = 60
"""Rows at the end of a table that are in one part: what stands below a list is seen together."""


@dataclass(frozen=True, slots=True)
class Parts:
    """One table, every cell as text.

    Attributes:
        names: the header's cells, untouched.
        sheet: the sheet of a workbook.
        header_row: the number of the header's row; None in Parquet, which has none.
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

    def first_rows(self) -> FirstRows:
        """Return the header, as row 1 where it has no number, and the first rows below it."""
        first: list[Cells] = []
        with closing(self.read()) as parts:
            for part in parts:
                first.append(part)
                if sum(len(each.numbers) for each in first) >= FIRST_ROWS:
                    break
        if not first:
            return FirstRows({self.header_row or 1: self.names}, self.sheet)
        cells = replace(joined(first), sheet=self.sheet, header_row=self.header_row)
        return cells.first_rows()

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
        return own_columns(self.names, place, found.get)


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
