"""XLSX: a frozen header, a filter, readable widths; every text stays text.

No text becomes a number, a date, a link or a formula, so nothing needs an apostrophe. A full sheet
is followed by another with the same header.
"""

from collections.abc import Iterator, Mapping
from io import BytesIO
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
import xlsxwriter
from xlsxwriter.exceptions import XlsxFileError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from bulk_sync.report import table as tables

SHEET_ROWS: Final = 1_048_575
"""Data rows that a sheet can hold under its header."""

_ABOUT: Final = "About"
_CELL_UNITS: Final = 32_767
"""UTF-16 units that a cell can hold."""

_WIDTH_SAMPLE_ROWS: Final = 1_000
_NARROWEST: Final = 8
_WIDEST: Final = 60


def write(
    table: pa.Table,
    file: BinaryIO,
    title: Mapping[str, str] = MappingProxyType({}),
    *,
    sheet_rows: int = SHEET_ROWS,
) -> None:
    """Write a table of results. Memory: the compressed workbook.

    Args:
        table: the results.
        file: where to.
        title: the facts of the run, for a last sheet of its own; no sheet without facts.
        sheet_rows: data rows after which another sheet begins.

    Raises:
        OSError: the table has too many columns for a sheet, or the disk is full.
    """
    if table.num_columns > tables.SHEET_COLUMNS:
        raise OSError(
            f"a sheet holds {tables.SHEET_COLUMNS} columns, and there are {table.num_columns}"
        )
    # In memory first: on a full disk the archive would go on writing after the error.
    whole = BytesIO()
    # The remains of a failure hold keys: they go with the folder.
    with TemporaryDirectory() as folder:
        options = {"constant_memory": True, "tmpdir": folder, "use_zip64": True}
        try:
            with xlsxwriter.Workbook(whole, options) as book:
                bold, plain = book.add_format({"bold": True}), book.add_format()
                for first_row in range(0, max(table.num_rows, 1), sheet_rows):
                    _fill(book.add_worksheet(), table.slice(first_row, sheet_rows), bold, plain)
                if title:
                    _add_facts(book.add_worksheet(_ABOUT), title, bold, plain)
        except XlsxFileError as failure:
            raise OSError(str(failure)) from failure
    file.write(whole.getbuffer())


def _fill(sheet: Worksheet, table: pa.Table, bold: Format, plain: Format) -> None:
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, table.num_rows, table.num_columns - 1)
    for column, (name, width) in enumerate(zip(table.column_names, _widths(table), strict=True)):
        sheet.set_column(column, column, width)
        _write_text(sheet, 0, column, name, bold)
    for row, cells in enumerate(_rows(table), start=1):
        for column, value in enumerate(cells):
            match value:
                case bool():
                    sheet.write_boolean(row, column, value)
                case int():
                    sheet.write_number(row, column, value)
                case str() if value:
                    _write_text(sheet, row, column, value, plain)


def _add_facts(sheet: Worksheet, title: Mapping[str, str], bold: Format, plain: Format) -> None:
    """Add the facts of the run, so that the workbook can be filed by itself."""
    sheet.set_column(0, 0, max(map(len, title)) + 2)
    sheet.set_column(1, 1, _WIDEST)
    for row, (name, value) in enumerate(title.items()):
        _write_text(sheet, row, 0, name, bold)
        if value:
            _write_text(sheet, row, 1, value, plain)


def _rows(table: pa.Table) -> Iterator[tuple[Any, ...]]:
    for batch in tables.values(table):
        yield from zip(*(column.to_pylist() for column in batch.values()), strict=True)


def _write_text(sheet: Worksheet, row: int, column: int, text: str, style: Format) -> None:
    text = _cut(text)
    if text.startswith("<r>") and text.endswith("</r>"):
        # XlsxWriter would take such a text for its own markup and not escape it.
        sheet.write_rich_string(row, column, text[0], style, text[1:], style)
    else:
        sheet.write_string(row, column, text, style)


def _cut(text: str) -> str:
    """Cut a text to what a cell can hold, with an ellipsis where something is missing."""
    if len(text) <= _CELL_UNITS // 2:  # a character has two UTF-16 units at most
        return text
    units = text.encode("utf-16-le")
    if len(units) <= 2 * _CELL_UNITS:
        return text
    return units[: 2 * (_CELL_UNITS - 1)].decode("utf-16-le", errors="ignore") + "…"


def _widths(table: pa.Table) -> list[int]:
    """Return the width of each column for its header and its first values."""
    widths = [len(name) for name in table.column_names]
    for batch in tables.texts(table.slice(0, _WIDTH_SAMPLE_ROWS)):
        longest = (pc.max(pc.utf8_length(column)).as_py() for column in batch.values())
        widths = list(map(max, widths, longest))
    return [min(max(width + 2, _NARROWEST), _WIDEST) for width in widths]
