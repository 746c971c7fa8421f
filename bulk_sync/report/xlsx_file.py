"""XLSX: a frozen header, a filter, readable widths; every text stays text.

No text becomes a number, a date, a link or a formula, so nothing needs an apostrophe. A full sheet
is followed by another with the same header.
"""

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO
from itertools import islice
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, Final

import pyarrow.compute as pc
import xlsxwriter
from xlsxwriter.exceptions import XlsxFileError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from bulk_sync.report import table as tables
from bulk_sync.report.facts import Facts, Subject
from bulk_sync.report.table import Results

SHEET_ROWS: Final = 1_048_575
"""Data rows that a sheet can hold under its header."""

_ABOUT: Final = "About"
_CELL_UNITS: Final = 32_767
"""UTF-16 units that a cell can hold."""

_WIDTH_SAMPLE_ROWS: Final = 1_000
_NARROWEST: Final = 8
_WIDEST: Final = 60


def write(results: Results, file: BinaryIO, facts: Facts, *, sheet_rows: int = SHEET_ROWS) -> None:
    """Write results. Memory: the compressed workbook.

    Args:
        results: the rows.
        file: where to.
        facts: those of the run, for a last sheet of its own; a new input has none.
        sheet_rows: data rows after which another sheet begins.

    Raises:
        OSError: the table has too many columns for a sheet, or the disk is full.
    """
    if len(results.names) > tables.SHEET_COLUMNS:
        raise OSError(
            f"a sheet holds {tables.SHEET_COLUMNS} columns, and there are {len(results.names)}"
        )
    # In memory first: on a full disk the archive would go on writing after the error.
    whole = BytesIO()
    # The remains of a failure hold keys: they go with the folder.
    with TemporaryDirectory() as folder:
        options = {"constant_memory": True, "tmpdir": folder, "use_zip64": True}
        try:
            with xlsxwriter.Workbook(whole, options) as book:
                bold, plain = book.add_format({"bold": True}), book.add_format()
                rows, widths = _rows(results), _widths(results)
                for first_row in range(0, max(results.count, 1), sheet_rows):
                    sheet = book.add_worksheet()
                    count = min(sheet_rows, results.count - first_row)
                    _head(sheet, results.names, widths, count, bold)
                    _fill(sheet, islice(rows, sheet_rows), plain)
                if facts.subject is not Subject.MAP:
                    _add_facts(book.add_worksheet(_ABOUT), facts, bold, plain)
        except XlsxFileError as failure:
            raise OSError(str(failure)) from failure
    file.write(whole.getbuffer())


def _head(
    sheet: Worksheet, names: Sequence[str], widths: Sequence[int], count: int, bold: Format
) -> None:
    sheet.freeze_panes(1, 0)
    sheet.autofilter(0, 0, count, len(names) - 1)
    for column, (name, width) in enumerate(zip(names, widths, strict=True)):
        sheet.set_column(column, column, width)
        write_text(sheet, 0, column, name, bold)


def _fill(sheet: Worksheet, rows: Iterable[tuple[Any, ...]], plain: Format) -> None:
    for row, cells in enumerate(rows, start=1):
        for column, value in enumerate(cells):
            match value:
                case bool():
                    sheet.write_boolean(row, column, value)
                case int():
                    sheet.write_number(row, column, value)
                case str() if value:
                    write_text(sheet, row, column, value, plain)


def _add_facts(sheet: Worksheet, facts: Facts, bold: Format, plain: Format) -> None:
    """Add the facts of the run, so that the workbook can be filed by itself."""
    # Reading passes over a sheet that begins with the name of this program.
    lines = {"bulk-sync": str(facts.subject), **dict(facts.lines())}
    sheet.set_column(0, 0, max(map(len, lines)) + 2)
    sheet.set_column(1, 1, _WIDEST)
    for row, (name, value) in enumerate(lines.items()):
        write_text(sheet, row, 0, name, bold)
        write_text(sheet, row, 1, value, plain)


def _rows(results: Results) -> Iterator[tuple[Any, ...]]:
    for batch in results.values():
        yield from zip(*(column.to_pylist() for column in batch.values()), strict=True)


def write_text(sheet: Worksheet, row: int, column: int, text: str, style: Format) -> None:
    """Write a cell that is a text, whatever it looks like."""
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


def _widths(results: Results) -> list[int]:
    """Return the width of each column for its header and its first values."""
    widths = [len(name) for name in results.names]
    for batch in islice(results.texts(), 1):
        shown = [column[:_WIDTH_SAMPLE_ROWS] for column in batch.values()]
        longest = (pc.max(pc.utf8_length(column)).as_py() for column in shown)
        widths = list(map(max, widths, longest))
    return [min(max(width + 2, _NARROWEST), _WIDEST) for width in widths]
