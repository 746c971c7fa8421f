"""Parses one sheet of a workbook: each cell as the text in the spreadsheet, in full.

content --.xlsx, .ods, .xls--> sheets --choose--> header, rows as wide as it --> batches
"""

import struct
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

import pyarrow as pa

from bulk_sync.errors import InputProblem
from bulk_sync.rows.listing import first_few
from bulk_sync.rows.parse import Parsed, batch, ods, xls, xlsx
from bulk_sync.rows.parse.cell_text import UnusableNumber
from bulk_sync.rows.parse.package import Package
from bulk_sync.rows.parse.sheets import Choose, Protected, Sheet, SheetRow, column_letters

_BATCH_ROWS: Final = 1 << 13
_NAMED: Final = 5
_BESIDE: Final = 20
"""Columns right of the header's last name where notes or a signature may stand."""

_ZIP: Final = b"PK\x03\x04"
_OLE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_DAMAGE: Final = (
    OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError,
    ET.ParseError, expat.ExpatError, LookupError, ValueError, OverflowError, struct.error,
    *xls.DAMAGE,
)  # fmt: skip
"""Errors of damaged files; RuntimeError where zipfile takes a part for encrypted."""


def parse(path: Path, choose: Choose) -> Parsed:
    """Parse one sheet.

    Raises:
        InputProblem: it is no workbook, protected or damaged, or nothing is in the header's row.
    """
    with _explained(path):
        sheets = _sheets(path)
        if not sheets:
            raise InputProblem(f"{path} has no sheets with cells.")
        at, number = choose(sheets)
        rows = sheets[at].rows()
        header = next((row for row in rows if row.number >= number), None)
        ranges = sheets[at].hidden()
    if header is None or header.number != number:
        raise InputProblem(
            f"Row {number} on the sheet {sheets[at].name!r} of {path} is empty. Name the row with "
            "the names of the columns with --header-row."
        )
    names = [*header.texts(), ""]  # the last column has what stands beside the table
    parsed = Parsed(names, iter(()), sheets[at].name, number)
    named = [at for at, name in enumerate(names) if name.strip()]
    hidden = [at for at in named if any(first <= at <= last for first, last in ranges)]
    if hidden:
        parsed.notes.append(_note_of_hidden_columns(hidden, parsed, path))
    parsed.batches = _batches(rows, parsed, path)
    return parsed


def _sheets(path: Path) -> Sequence[Sheet]:
    """Return all sheets; the content decides on the format, not the suffix."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(len(_OLE))
    if head.startswith(_ZIP):
        package = Package(zipfile.ZipFile(path), str(path), size)
        return ods.sheets(package) if "content.xml" in package else xlsx.sheets(package)
    if head == _OLE:
        return xls.sheets(path.read_bytes())
    if not head:
        raise InputProblem(f"{path} is empty. See that its export finished.")
    raise InputProblem(
        f"{path} is no workbook, although its name ends in {path.suffix}. Open it in a spreadsheet "
        "program, and save it there as .xlsx; if it is text, let its name end in .csv."
    )


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except Protected as problem:
        raise InputProblem(
            f"{path} is protected by a password. Save it without one, or as CSV, and try again."
        ) from problem
    except UnusableNumber as problem:
        raise InputProblem(
            f"Row {problem.row} of {path} holds {problem.value}, which is no {problem.what}. "
            "Correct it there."
        ) from problem
    except _DAMAGE as problem:
        raise InputProblem(
            f"{path} is cut off or damaged, or no workbook ({problem}). Save it again, or as CSV."
        ) from problem


def _batches(rows: Iterator[SheetRow], parsed: Parsed, path: Path) -> Iterator[pa.RecordBatch]:
    """Yield the rows below the header; raise InputProblem for content far from the table."""
    width = len(parsed.names) - 1
    hidden: list[int] = []
    with _explained(path):
        while some := list(islice(rows, _BATCH_ROWS)):
            for row in some:
                if max(row.cells) >= width + _BESIDE:
                    beyond = min(column for column in row.cells if column >= width + _BESIDE)
                    raise InputProblem(
                        f"Cell {column_letters(beyond)}{row.number} of {path} holds data, but its "
                        f"column has no name in row {parsed.header_row}, which was taken for the "
                        "header. Name it there, clear the cell, or name the header's row with "
                        "--header-row."
                    )
            hidden += [row.number for row in some if row.is_hidden]
            columns = [
                pa.array([row.cells.get(at, "") for row in some], pa.large_string())
                for at in range(width)
            ]
            columns.append(pa.array([_beside(row, width) for row in some], pa.large_string()))
            yield batch(pa.array([row.number for row in some], pa.int64()), columns)
    if hidden:
        parsed.notes.append(_note_of_hidden(hidden, parsed.sheet, path))


def _beside(row: SheetRow, width: int) -> str:
    if max(row.cells) < width:
        return ""
    return " | ".join(text for column, text in sorted(row.cells.items()) if column >= width)


def _note_of_hidden_columns(hidden: Sequence[int], parsed: Parsed, path: Path) -> str:
    named = [f"{parsed.names[at]!r} ({column_letters(at)})" for at in hidden]
    columns = "1 column is" if len(hidden) == 1 else f"{len(hidden)} columns are"
    return (
        f"{path}: on the sheet {parsed.sheet!r}, {columns} hidden and read too: "
        f"{first_few(named, _NAMED)}. Unhide what you rely on, and look at it."
    )


def _note_of_hidden(hidden: list[int], sheet: str | None, path: Path) -> str:
    rows = f"{len(hidden)} rows are hidden and were read too (rows {first_few(hidden, _NAMED)})"
    if len(hidden) == 1:
        rows = f"1 row is hidden and was read too (row {hidden[0]})"
    return (
        f"{path}: on the sheet {sheet!r}, {rows}. To leave hidden rows out, copy the visible "
        "ones into a file of their own."
    )
