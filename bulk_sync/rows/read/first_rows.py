"""Chooses the sheet, and the row of the header, by the first rows of a file. Pure.

    sheets, each with its first rows --choose--> a sheet, and the number of its header's row

A row is a header if the columns of keys, and of states where they are needed, are found in it.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from bulk_sync.errors import InputProblem
from bulk_sync.rows import emails
from bulk_sync.rows.check.header import Found, find_columns
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.listing import row_of_sheet
from bulk_sync.settings import KeyKind

HEADER_ROWS: Final = 20
"""Rows among which a header is looked for, if the first one with content is none."""

_OURS: Final = "bulk-sync"
"""How the first cell of a sheet begins that bulk-sync writes beside data."""

_PERSON: Final = re.compile(rf"{emails.PLAIN}|@\S{{40,}}")
"""An address, or a PKey, which has some 90 characters: no column of keys is called that."""


@dataclass(frozen=True, slots=True)
class FirstRows:
    """The first rows with content, of a sheet or of a file without sheets.

    Attributes:
        rows: by number, as the spreadsheet shows it, the texts of the cells.
        sheet: the sheet's name; None in a file without sheets.
        is_hidden: a person or a program hid the sheet.
    """

    rows: Mapping[int, Sequence[str]]
    sheet: str | None = None
    is_hidden: bool = False

    @property
    def is_ours(self) -> bool:
        """Return whether bulk-sync wrote the sheet beside data."""
        number, cells = next(iter(self.rows.items()))
        return number == 1 and cells[0].lower().startswith(_OURS)

    def count_cells(self) -> int:
        """Return how many cells there are beside the first one of each row."""
        return sum(len(cells) - 1 for cells in self.rows.values())

    def __str__(self) -> str:
        """Return the sheet's name for a message."""
        return f"{self.sheet!r}{' (hidden)' * self.is_hidden}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is known of the table's place, and of its columns.

    Attributes:
        sheet: the sheet of a workbook; None looks for it.
        header_row: the number of the header's row; None looks for it.
        rules: for the columns of a header; None takes any row for a header.
    """

    sheet: str | None = None
    header_row: int | None = None
    rules: Rules | None = None

    def is_header(self, cells: Sequence[str]) -> bool:
        """Return whether a row is a header, and not the first person of a list without one."""
        try:
            found = self.find(cells)
        except InputProblem:
            return False
        return found is None or _PERSON.fullmatch(found.key) is None

    def find(self, cells: Sequence[str]) -> Found | None:
        """Return the columns of a header; None if any row will do.

        Raises:
            InputProblem: a column is missing or ambiguous.
        """
        if self.rules is None:
            return None
        return find_columns(filter(str.strip, cells), self.rules)

    def headers(self, first: FirstRows) -> list[int]:
        """Return the numbers of the rows that could be the header; one if there is no doubt."""
        if self.header_row is not None:
            rows = [self.header_row] if self.header_row in first.rows else []
        else:
            number, cells = next(iter(first.rows.items()))
            if self.is_header(cells):
                return [number]
            rows = [number for number in first.rows if number <= HEADER_ROWS]
        return [number for number in rows if self.is_header(first.rows[number])]


@dataclass(frozen=True, slots=True)
class HeaderPlace:
    """The place of a table: the sheet, and the number of its header's row."""

    first: FirstRows
    header_row: int

    def __str__(self) -> str:
        """Return the place for a message, such as ``row 4 of sheet 'Requests'``."""
        return row_of_sheet(self.header_row, self.first.sheet)


def choose(sheets: Sequence[FirstRows], wanted: Wanted) -> HeaderPlace | None:
    """Choose the first sheet with a header in a certain row, or the only other one.

    Returns:
        The choice; None if there is none, or more than one.
    """
    headers = [(first, wanted.headers(first)) for first in sheets]
    able = headers[:1] if headers[0][1] else [each for each in headers if each[1]]
    if len(able) != 1 or len(able[0][1]) != 1:
        return None
    return HeaderPlace(able[0][0], able[0][1][0])


def data_above(choice: HeaderPlace, wanted: Wanted) -> list[int]:
    """Return the rows above a header with both a key and a state, as in a table sorted with it."""
    names = choice.first.rows[choice.header_row]
    found = wanted.find(names)
    if found is None:
        return []
    columns = [list(names).index(name) for name in (found.key, found.state) if name is not None]
    return [
        number
        for number, cells in choice.first.rows.items()
        if number < choice.header_row
        and all(at < len(cells) and cells[at].strip() for at in columns)
        and _is_key(cells[columns[0]], found.keys.kind)
    ]


def _is_key(cell: str, kind: KeyKind) -> bool:
    """Return whether a cell looks like a key; any word may be a custom one."""
    word = cell.strip(" '\"=")
    if kind is KeyKind.EMAIL:
        return "@" in word and " " not in word
    return word.startswith("@") if kind is KeyKind.PKEY else " " not in word
