"""The sheets of a workbook, whatever its format."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple

_FIRST_ROWS: Final = 50
"""Rows by which sheet and header are chosen, and which are shown if that fails."""

_CELL_CHARACTERS: Final = 1000


class Protected(Exception):
    """The workbook is protected by a password."""


class SheetRow(NamedTuple):
    """One row of a sheet.

    Attributes:
        number: as the spreadsheet shows it.
        cells: by column, from 0, the texts of its cells with content; at least one.
        is_hidden: a filter or a person hid it.
    """

    number: int
    cells: Mapping[int, str]
    is_hidden: bool

    def texts(self) -> list[str]:
        """Return the texts of all cells up to the last one with content."""
        return [self.cells.get(at, "") for at in range(max(self.cells) + 1)]


class Merged(NamedTuple):
    """Merged cells: rows as the spreadsheet shows them, columns from 0, both with their ends."""

    top: int
    left: int
    bottom: int
    right: int

    def shows(self, row: int, column: int) -> bool:
        """Return whether a cell of one of their rows is seen: it is beside them, or the first."""
        return not self.left <= column <= self.right or (row, column) == (self.top, self.left)


def without_covered(rows: Iterable[SheetRow], merged: Sequence[Merged]) -> Iterator[SheetRow]:
    """Yield rows without what merged cells hide: all but the first may keep texts of their own.

    Raises:
        ValueError: the rows do not ascend.
    """
    if not merged:
        yield from rows
        return
    waiting, covering, last = sorted(merged, reverse=True), list[Merged](), 0
    for row in rows:
        if row.number < last:
            raise ValueError(f"row {row.number} stands below row {last}")
        last = row.number
        while waiting and waiting[-1].top <= last:
            covering.append(waiting.pop())
        covering = [each for each in covering if last <= each.bottom]
        if not covering:
            yield row
            continue
        cells = {
            column: text
            for column, text in row.cells.items()
            if all(each.shows(last, column) for each in covering)
        }
        if cells:
            yield row._replace(cells=cells)


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a workbook.

    Attributes:
        name: the sheet's name.
        is_hidden: a person or a program hid it.
        rows: yields its rows with content, each time from the first one.
        hidden: returns the first and the last of each range of hidden columns, from 0.
    """

    name: str
    is_hidden: bool
    rows: Callable[[], Iterator[SheetRow]]
    hidden: Callable[[], Sequence[tuple[int, int]]]

    def first_rows(self) -> list[tuple[int, list[str]]]:
        """Return its first rows with content, with their numbers; long texts are cut off."""
        rows = islice(self.rows(), _FIRST_ROWS)
        return [(row.number, [text[:_CELL_CHARACTERS] for text in row.texts()]) for row in rows]


def column_letters(column: int) -> str:
    """Return the letters of a column, from 0: ``A``, ..., ``Z``, ``AA``."""
    text, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


@lru_cache(1 << 14)
def column_of(letters: str) -> int:
    """Return the column, from 0, with some letters."""
    position = -1
    for letter in letters:
        position = 26 * (position + 1) + ord(letter) - ord("A")
    return position


Choose = Callable[[Sequence[Sheet]], Sequence[int]]
"""Chooses by the first rows of the sheets: the position of one, and the number of its header's row.
"""
