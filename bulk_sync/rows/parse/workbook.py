"""Parses one sheet of a workbook: each cell as the text that the spreadsheet would show in full.

Numbers are plain digits up to the 15 that a spreadsheet keeps; a longer one is shown damaged, as
the spreadsheet does, for its last digits are lost.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from itertools import islice
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

import pyarrow as pa
from python_calamine import (
    CalamineError,
    CalamineSheet,
    CalamineWorkbook,
    PasswordError,
    SheetTypeEnum,
    SheetVisibleEnum,
)

from bulk_sync.errors import InputProblem
from bulk_sync.rows.parse import Parsed, batch, ods, xls, xlsx
from bulk_sync.rows.parse.package import BROKEN, Package
from bulk_sync.rows.parse.prepared import (
    Prepared,
    hidden_rows,
    no_data,
    no_such_sheet,
    other_sheets,
)

_Cell = int | float | str | bool | time | date | datetime | timedelta

_KEPT: Final = 10**15
"""From here on a spreadsheet no longer keeps every digit of a number."""

_BATCH_ROWS: Final = 1 << 13
_FEW_ROWS: Final = 1_000

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def parse(path: Path, sheet: str | None, folder: Path) -> Parsed:
    """Parse one sheet.

    Args:
        path: the workbook.
        sheet: the sheet's name; None takes the first visible one with data.
        folder: where files of this process may be.

    Raises:
        InputProblem: it is no workbook, protected, damaged, has no such sheet, or it is empty.
    """
    with path.open("rb") as file:
        head = file.read(len(_OLE))
    try:
        ready = _prepared(path, sheet, folder, head)
        rows = _rows(ready, str(path))
        at, header = next(rows, (0, []))
        names = _trimmed(header)
        if not names:
            raise InputProblem(
                f"The sheet {ready.name!r} of {path} is empty. Name another one with --sheet, or "
                "see that the export finished."
            )
        return Parsed(names, _batches(rows, at, len(names), path), ready.notes)
    except (*_BROKEN, OverflowError) as problem:
        raise _refusal(path, head, problem) from problem


_BROKEN: Final = (
    CalamineError, OSError, ET.ParseError, KeyError, StopIteration, *BROKEN,
)  # fmt: skip


def _prepared(path: Path, sheet: str | None, folder: Path, head: bytes) -> Prepared:
    place = str(path)
    if head.startswith(_ZIP):
        with zipfile.ZipFile(path) as archive:
            package = Package(archive, place, path.stat().st_size)
            if "content.xml" not in package:
                return xlsx.prepared(package, place, sheet, folder)
            document = ods.rewritten(package, folder)
        with CalamineWorkbook.from_path(document.path) as book:
            at, notes = _chosen(book, place, sheet)
            name = book.sheet_names[at]
        numbers = document.hidden.get(at, [])
        notes += hidden_rows(place, name, numbers, len(numbers))
        return Prepared(document.path, [name], name, notes)
    content = path.read_bytes()
    if xls.is_encrypted(content):
        raise PasswordError
    copy = folder / "book.xls"  # whatever its suffix says
    copy.write_bytes(content)
    with CalamineWorkbook.from_path(copy) as book:
        at, notes = _chosen(book, place, sheet)
        name = book.sheet_names[at]
    details = xls.details(content, at)
    notes += hidden_rows(place, name, details.hidden, len(details.hidden))
    return Prepared(copy, [name], name, notes, details.texts)


def _chosen(book: CalamineWorkbook, place: str, sheet: str | None) -> tuple[int, list[str]]:
    """Return the position of the sheet that is asked for, or else the first visible with data."""
    names = book.sheet_names
    if not names:
        raise InputProblem(f"{place} has no sheets.")
    if sheet is not None:
        if sheet not in names:
            raise InputProblem(no_such_sheet(place, sheet, names))
        return names.index(sheet), []
    hidden = [each.visible != SheetVisibleEnum.Visible for each in book.sheets_metadata]
    kinds = [each.typ for each in book.sheets_metadata]
    filled = [
        at
        for at, name in enumerate(names)
        if kinds[at] == SheetTypeEnum.WorkSheet and book.get_sheet_by_name(name).height
    ]
    visible = [at for at in filled if not hidden[at]]
    if not visible:
        raise InputProblem(no_data(place, names[0], [names[at] for at in filled]))
    others = [(names[at], hidden[at]) for at in filled if at != visible[0]]
    return visible[0], other_sheets(place, names[visible[0]], others)


def _rows(ready: Prepared, place: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Number the rows as the spreadsheet does, and leave out those without any content."""
    texts: dict[int, dict[int, str]] = {}
    for (at, column), said in ready.texts.items():
        texts.setdefault(at, {})[column] = said
    with CalamineWorkbook.from_path(ready.path) as book:
        for name in ready.sheets:
            sheet = book.get_sheet_by_name(name)
            first, left = sheet.start or (0, 0)
            for number, cells in _of_sheet(sheet, first):
                row = [""] * left
                row += [_text(cell, number, place) for cell in cells]
                _fill(row, texts.pop(number - 1, {}))
                if any(row):
                    yield number, row
    for at in sorted(texts):  # below the last row that calamine sees
        below: list[str] = []
        _fill(below, texts[at])
        yield at + 1, below


def _fill(row: list[str], texts: Mapping[int, str]) -> None:
    """Write texts into cells of a row, at their columns."""
    for column, text in texts.items():
        row += [""] * (column + 1 - len(row))
        row[column] = text


def _of_sheet(sheet: CalamineSheet, first: int) -> Iterator[tuple[int, Sequence[_Cell]]]:
    if first < _FEW_ROWS:
        return enumerate(sheet.iter_rows(), 1)
    return enumerate(sheet.to_python(skip_empty_area=True), first + 1)


def _batches(
    rows: Iterator[tuple[int, Sequence[str]]], header: int, width: int, path: Path
) -> Iterator[pa.RecordBatch]:
    """Yield the rows below the header, as wide as the header.

    Raises:
        InputProblem: there is content beyond the header's last name.
    """
    try:
        while some := list(islice(rows, _BATCH_ROWS)):
            for number, row in some:
                beyond = next((at for at in range(width, len(row)) if row[at]), None)
                if beyond is not None:
                    raise InputProblem(
                        f"Cell {_letters(beyond)}{number} of {path} holds data, but its column "
                        f"has no name in row {header}, which was taken for the header. Name it "
                        "there, clear the cell, or delete the rows above the header."
                    )
            columns = [
                pa.array([row[at] if at < len(row) else "" for _, row in some], pa.large_string())
                for at in range(width)
            ]
            yield batch(pa.array([number for number, _ in some], pa.int64()), columns)
    except (*_BROKEN, OverflowError) as problem:
        raise _refusal(path, _ZIP, problem) from problem


def _trimmed(header: Sequence[str]) -> list[str]:
    """Leave out what stands behind the last name."""
    last = max((at for at, name in enumerate(header) if name), default=-1)
    return list(header[: last + 1])


def _letters(column: int) -> str:
    text, column = "", column + 1
    while column:
        column, rest = divmod(column - 1, 26)
        text = chr(65 + rest) + text
    return text


def _text(cell: _Cell, number: int, place: str) -> str:
    match cell:
        case str():
            return cell
        case bool():
            return "TRUE" if cell else "FALSE"
        case int() | float():
            if not math.isfinite(cell):
                raise InputProblem(
                    f"Row {number} of {place} holds {cell}, which is no number. Correct it there."
                )
            return _number(cell)
        case datetime():
            return cell.isoformat(" ")
        case _:
            return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _number(value: float) -> str:
    if abs(value) >= _KEPT:
        return f"{value:.5E}"
    return str(int(value)) if value == int(value) else f"{Decimal(repr(value)):f}"


def _refusal(path: Path, head: bytes, problem: Exception) -> InputProblem:
    if isinstance(problem, PasswordError):
        return InputProblem(
            f"{path} is protected by a password. Save it without one, or as CSV, and try again."
        )
    if isinstance(problem, OverflowError):
        return InputProblem(
            f"{path} holds a date or a duration that is out of range ({problem}). Correct it there."
        )
    if not head:
        return InputProblem(f"{path} is empty. See that its export finished.")
    if not head.startswith((_ZIP, _OLE)):
        return InputProblem(
            f"{path} is no workbook, whatever its suffix says. If it is text, call it .csv."
        )
    return InputProblem(
        f"{path} is cut off or damaged, or no workbook ({problem}). Save it again, or as CSV."
    )
