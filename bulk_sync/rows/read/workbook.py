"""Reads one sheet of a workbook: each cell as the text that the spreadsheet would show in full.

Numbers are plain digits up to the 15 that a spreadsheet keeps; a longer one is shown damaged, as
the spreadsheet does, for its last digits are lost.
"""

from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from bulk_sync.errors import InputProblem
from bulk_sync.rows.read.cells import Cells, from_records
from bulk_sync.rows.read.content import explained
from bulk_sync.rows.read.error_cells import error_cells

_Cell = int | float | str | bool | time | date | datetime | timedelta

_KEPT: Final = 10**15
"""From here on a spreadsheet no longer keeps every digit of a number."""

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ENCRYPTED: Final = "EncryptedPackage".encode("utf-16-le")
"""The name, in an old Office container, of the stream that holds a protected new workbook."""


def cells(path: Path, sheet: str | None) -> Cells:
    """Read one sheet.

    Args:
        path: the workbook.
        sheet: the sheet's name; None takes the first.

    Raises:
        InputProblem: it is no workbook, protected, damaged, has no such sheet, or it is empty.
    """
    with explained(str(path)):
        content = path.read_bytes()
    try:
        with CalamineWorkbook.from_path(path) as book:
            table = _sheet(book, path, sheet)
            return _table(table, path, error_cells(path, table.name))
    except (CalamineError, PasswordError, OSError) as problem:
        raise _refusal(path, content, problem) from problem


def _sheet(book: CalamineWorkbook, path: Path, sheet: str | None) -> CalamineSheet:
    names = book.sheet_names
    if not names:
        raise InputProblem(f"{path} has no sheets.")
    if sheet is not None and sheet not in names:
        there = ", ".join(map(repr, names))
        raise InputProblem(
            f"{path} has no sheet {sheet!r}. Name one of these with --sheet: {there}."
        )
    return book.get_sheet_by_name(names[0] if sheet is None else sheet)


def _table(table: CalamineSheet, path: Path, errors: dict[tuple[int, int], str]) -> Cells:
    """Take the first row that is not blank for the header, and the others below it for data."""
    rows = _texts(table, errors)
    header = next(rows, None)
    if header is None:
        raise InputProblem(
            f"The sheet {table.name!r} of {path} is empty. Name another one with --sheet, or see "
            "that the export finished."
        )
    return from_records(header[1], rows)


def _texts(
    table: CalamineSheet, errors: dict[tuple[int, int], str]
) -> Iterator[tuple[int, Sequence[str]]]:
    """Number the rows as the spreadsheet does, and leave out those that are wholly blank."""
    for number, row in enumerate(table.to_python(skip_empty_area=False), start=1):
        texts = [_text(cell) for cell in row]
        if errors:
            texts = [text or errors.get((number, at), "") for at, text in enumerate(texts)]
        if any(text and not text.isspace() for text in texts):
            yield number, texts


def _text(cell: _Cell) -> str:
    match cell:
        case str():
            return cell
        case bool():
            return "TRUE" if cell else "FALSE"
        case int() | float():
            return _number(cell)
        case datetime():
            return cell.isoformat(" ")
        case _:
            return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _number(value: float) -> str:
    if abs(value) >= _KEPT:
        return f"{value:.5E}"
    return str(int(value)) if value == int(value) else repr(value)


def _refusal(path: Path, content: bytes, problem: Exception) -> InputProblem:
    if isinstance(problem, PasswordError) or _ENCRYPTED in content:
        return InputProblem(
            f"{path} is protected by a password. Save it without one, or as CSV, and try again."
        )
    if not content:
        return InputProblem(f"{path} is empty. See that its export finished.")
    if not content.startswith((_ZIP, _OLE)):
        return InputProblem(
            f"{path} is no workbook, whatever its suffix says. If it is text, call it .csv."
        )
    return InputProblem(
        f"{path} is cut off or damaged, or no workbook ({problem}). Save it again, or as CSV."
    )
