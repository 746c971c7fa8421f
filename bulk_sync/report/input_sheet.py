"""A workbook of one sheet, to be an input: texts stay texts, so keys survive; dates are dates."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time
from io import BytesIO
from typing import Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from bulk_sync.report import table, xlsx_cells
from bulk_sync.report.xlsx_cells import MOST_LINES, write_text
from bulk_sync.rows import columns
from bulk_sync.storage import workbook_seal

_CELL_CHARACTERS: Final = 16_383
"""A character takes two of a cell's 32,767 places at most."""

_WIDTH_SAMPLE: Final = 1_000
_NARROWEST, _WIDEST = 10, 60
_LINE: Final = 15
"""The height of a line of text."""

_BATCH_ROWS: Final = 8_192
_NUMBER: Final = re.compile(r"\d{1,9}")
_DATE: Final = re.compile(r"(?:19[1-9]|2\d\d)\d-\d\d-\d\d(?P<time> \d\d:\d\d:\d\d)?")


def fits(rows: pd.DataFrame, names: Sequence[str]) -> bool:
    """Check whether a sheet can hold some columns without cutting a cell."""
    longest = (pc.max(pc.utf8_length(_texts(rows[name]))).as_py() or 0 for name in names)
    return (
        len(rows) <= table.SHEET_ROWS
        and len(names) <= table.SHEET_COLUMNS
        and max(longest, default=0) <= _CELL_CHARACTERS
    )


def workbook(
    rows: pd.DataFrame,
    names: Sequence[str],
    sheet_name: str,
    *,
    numbers: Sequence[int] | None = None,
    header_row: int = 1,
    job: str = "",
) -> memoryview:
    """Return a workbook with some columns of rows.

    Args:
        rows: has KEY too: a key that looks like a date is to become text.
        names: the columns; REASON and DETAIL, if among them, are set apart by a colour.
        sheet_name: the name of the sheet.
        numbers: the numbers of the rows in the sheet; None follows the header.
        header_row: the number of the header's row.
        job: the job of the input that the rows were left of.
    """
    texts = [_texts(rows[name]) for name in (*names, columns.KEY)]
    first = header_row + 1
    places = range(first, first + len(rows)) if numbers is None else numbers
    whole = BytesIO()
    with xlsx_cells.writing(whole, {workbook_seal.JOB_OF_REST: job}) as book:
        sheet, looks = book.add_worksheet(sheet_name), _Looks(book)
        _set_page(sheet, header_row, places[-1], len(names))
        for at, (name, cells) in enumerate(zip(names, texts, strict=False)):
            below = None if name in columns.OURS else looks.text  # a new key is to be text too
            sheet.set_column(at, at, _width(name, cells), below)
            write_text(sheet, header_row - 1, at, name, looks.header)
        for number, (*row, key) in zip(places, _zipped(texts), strict=True):
            _write_row(sheet, number - 1, dict(zip(names, row, strict=True)), key, looks)
    return whole.getbuffer()


def _write_row(
    sheet: Worksheet, at: int, cells: Mapping[str, str], key: str, looks: "_Looks"
) -> None:
    """Write the cells of a row by the names of their columns; those with the key stay texts."""
    if columns.DETAIL in cells:
        lines = -(-max(len(cells[columns.DETAIL]), 1) // _WIDEST)
        sheet.set_row(at, _LINE * min(lines, MOST_LINES))
    for column, (name, cell) in enumerate(cells.items()):
        moment = None if cell == key else _moment(cell)
        if name in columns.OURS:
            write_text(sheet, at, column, cell, looks.ours)
        elif name in columns.ORIGINAL and _NUMBER.fullmatch(cell):
            sheet.write_number(at, column, int(cell), looks.number)
        elif moment is not None:
            look = looks.time if moment.time() != time.min else looks.date
            sheet.write_datetime(at, column, moment, look)
        elif cell:
            write_text(sheet, at, column, cell, looks.text)


class _Looks:
    """The formats of cells."""

    def __init__(self, book: Workbook) -> None:
        plain = {"valign": "top", "align": "left"}
        self.header = book.add_format({"bold": True, "bottom": 1, "bg_color": "#E8EDF3"})
        self.text = book.add_format({**plain, "num_format": "@"})
        self.number = book.add_format({**plain, "num_format": "0"})
        self.date = book.add_format({**plain, "num_format": "yyyy-mm-dd"})
        self.time = book.add_format({**plain, "num_format": "yyyy-mm-dd hh:mm:ss"})
        self.ours = book.add_format({"valign": "top", "text_wrap": True, "bg_color": "#FFF4D6"})


def _set_page(sheet: Worksheet, header_row: int, last: int, width: int) -> None:
    sheet.freeze_panes(header_row, 0)
    sheet.autofilter(header_row - 1, 0, last - 1, width - 1)
    sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{last}"})
    sheet.set_landscape()
    sheet.fit_to_pages(1, 0)
    sheet.repeat_rows(header_row - 1)


def _moment(cell: str) -> datetime | None:
    """Return the date in a cell if it is read as the same text again. Midnight is read as a day."""
    match = _DATE.fullmatch(cell)
    if match is None:
        return None
    try:
        moment = datetime.fromisoformat(cell)
    except ValueError:
        return None
    return None if match["time"] and moment.time() == time.min else moment


def _zipped(texts: Sequence[pa.ChunkedArray]) -> Iterator[tuple[str, ...]]:
    for first in range(0, len(texts[0]), _BATCH_ROWS):
        batch = [cells.slice(first, _BATCH_ROWS).to_pylist() for cells in texts]
        yield from zip(*batch, strict=True)


def _texts(column: pd.Series) -> pa.ChunkedArray:
    texts = pa.chunked_array(pa.array(column.astype(object), from_pandas=True).cast(table.TEXT))
    return pc.fill_null(texts, "")


def _width(name: str, cells: pa.ChunkedArray) -> int:
    longest: int = pc.max(pc.utf8_length(cells.slice(0, _WIDTH_SAMPLE))).as_py()
    return min(max(len(name), longest, _NARROWEST) + 2, _WIDEST)
