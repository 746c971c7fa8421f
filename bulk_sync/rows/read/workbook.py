"""Reads one sheet of a workbook: each cell as the text that the spreadsheet would show in full.

Numbers are plain digits up to the 15 that a spreadsheet keeps; a longer one is shown damaged, as
the spreadsheet does, for its last digits are lost.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from python_calamine import CalamineError, CalamineSheet, CalamineWorkbook, PasswordError

from bulk_sync.errors import InputProblem
from bulk_sync.rows.read import error_values
from bulk_sync.rows.read.cells import Cells, from_records
from bulk_sync.rows.read.content import explained

_Cell = int | float | str | bool | time | date | datetime | timedelta

_KEPT: Final = 10**15
"""From here on a spreadsheet no longer keeps every digit of a number."""

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_BROKEN_ZIP: Final = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError)
"""What zipfile raises on damage; RuntimeError where it takes a part for encrypted or unknown."""

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
    if content.startswith(_OLE) and error_values.found(content):
        raise InputProblem(
            f"{path} holds error values such as #NAME?, which cannot be told from empty cells in "
            "this old format. Save it as .xlsx: then the report names their rows."
        )
    try:
        declared = error_values.as_text(content) if content.startswith(_ZIP) else content
        source = path if declared is content else io.BytesIO(declared)
        with CalamineWorkbook.from_object(source) as book:
            return _table(_sheet(book, path, sheet), path)
    except (CalamineError, OSError, *_BROKEN_ZIP) as problem:
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


def _table(table: CalamineSheet, path: Path) -> Cells:
    """Take the first row that is not blank for the header, and the others below it for data."""
    rows = _texts(table)
    header = next(rows, None)
    if header is None:
        raise InputProblem(
            f"The sheet {table.name!r} of {path} is empty. Name another one with --sheet, or see "
            "that the export finished."
        )
    return from_records(header[1], rows)


def _texts(table: CalamineSheet) -> Iterator[tuple[int, Sequence[str]]]:
    """Number the rows as the spreadsheet does, and leave out those without any content."""
    for number, row in enumerate(table.to_python(skip_empty_area=False), start=1):
        texts = [_text(cell) for cell in row]
        if any(texts):
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
    return str(int(value)) if value == int(value) else f"{Decimal(repr(value)):f}"


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
