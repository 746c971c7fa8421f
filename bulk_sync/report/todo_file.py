"""The todo file: the rows for a person to correct, in the input's format, ready to be read again.

It has the input's own columns, the number that each row had in the original file, and why the row
is left. A column with that number, in an input that was a todo file itself, stays as it is.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime, time
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, Final

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import NEEDS_A_PERSON
from bulk_sync.report import csv_file, table
from bulk_sync.report.destination import Destination
from bulk_sync.report.table import Results
from bulk_sync.rows import columns
from bulk_sync.rows.parse import formats

CSV: Final = ".todo.csv"
WORKBOOK: Final = ".todo.xlsx"
SUFFIXES: Final = (CSV, WORKBOOK)

_SHEET: Final = "To correct"
_SHEET_ROWS: Final = 1_048_575
_CELL_CHARACTERS: Final = 16_383
"""A character takes two of a cell's 32,767 places at most."""

_WIDTH_SAMPLE: Final = 1_000
_NARROWEST, _WIDEST = 10, 60
_LINE: Final = 15
"""The height of a line of text."""

_DATES: Final = {
    r"^(?:19[1-9]|2\d\d)\d-\d\d-\d\d$": "yyyy-mm-dd",
    r"^(?:19[1-9]|2\d\d)\d-\d\d-\d\d \d\d:\d\d:\d\d$": "yyyy-mm-dd hh:mm:ss",
}
_NUMBER: Final = "0"
_BATCH_ROWS: Final = 8_192


def write(results: pd.DataFrame, source: str, stem: Destination) -> Destination | None:
    """Write the rows that need a person: as a workbook if they were in one, else as CSV.

    Without such rows no file is left there, not even an older one.

    Args:
        results: of a run.
        source: its input, as it was given.
        stem: the beginning of the file's name.

    Returns:
        The file; None if there are no such rows.

    Raises:
        StoppedEarly: it cannot be written.
    """
    needy = _rows(results)
    if needy.empty:
        for suffix in SUFFIXES:
            stem.beside(f"{stem.name}{suffix}").remove()
        return None
    suffix = WORKBOOK if _are_workbooks(results, source) and _fits(needy) else CSV
    destination = stem.beside(f"{stem.name}{suffix}")
    with destination.writing() as file:
        if suffix == WORKBOOK:
            _write_workbook(needy, file)
        else:
            csv_file.write(Results.of(needy, _names(needy)), file)
    return destination


def _rows(results: pd.DataFrame) -> pd.DataFrame:
    """Return the rows that need a person, with the columns of a todo file, and KEY."""
    needy = columns.rows_of(results, columns.have_outcome(results, NEEDS_A_PERSON))
    own = table.own_columns(results)
    for name, source in columns.ORIGINAL.items():
        if source in needy and name not in own:
            needy[name] = needy[source]
            own.append(name)
    return needy[[*own, columns.REASON, columns.DETAIL, columns.KEY]]


def _names(needy: pd.DataFrame) -> list[str]:
    """Return the names of the columns of the file."""
    return [str(name) for name in needy if name != columns.KEY]


def _are_workbooks(results: pd.DataFrame, source: str) -> bool:
    files = results[columns.FILE].cat.categories if columns.FILE in results else [source]
    kinds = [formats.find(Path(str(file))) for file in files]
    return all(kind is not None and kind.has_sheets for kind in kinds)


def _fits(needy: pd.DataFrame) -> bool:
    texts = (_texts(needy[name]) for name in needy)
    return (
        len(needy) <= _SHEET_ROWS
        and needy.shape[1] <= table.SHEET_COLUMNS
        and all((pc.max(pc.utf8_length(each)).as_py() or 0) <= _CELL_CHARACTERS for each in texts)
    )


def _write_workbook(needy: pd.DataFrame, file: BinaryIO) -> None:
    """Write one sheet: texts as texts, so that keys survive, and dates as dates."""
    # Late: its library takes as long to import as a small run has calls to make.
    import xlsxwriter  # noqa: PLC0415

    from bulk_sync.report.xlsx_cells import write_text  # noqa: PLC0415

    names = _names(needy)
    texts = [_texts(needy[name]) for name in names]
    forms = [_form_of_dates(name, cells, needy) for name, cells in zip(names, texts, strict=True)]
    whole = BytesIO()  # on a full disk the archive would go on writing after the error
    with TemporaryDirectory() as folder:  # the remains of a failure hold keys
        options = {"constant_memory": True, "tmpdir": folder, "use_zip64": True}
        with xlsxwriter.Workbook(whole, options) as book:
            sheet = book.add_worksheet(_SHEET)
            sheet.freeze_panes(1, 0)
            sheet.autofilter(0, 0, len(needy), len(names) - 1)
            sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{len(needy) + 1}"})
            sheet.set_landscape()
            sheet.fit_to_pages(1, 0)
            sheet.repeat_rows(0)
            header = book.add_format({"bold": True, "bottom": 1, "bg_color": "#E8EDF3"})
            ours = book.add_format({"text_wrap": True, "valign": "top", "bg_color": "#FFF4D6"})
            looks = [
                ours
                if name in columns.OURS
                else book.add_format({"num_format": form or "@", "valign": "top", "align": "left"})
                for name, form in zip(names, forms, strict=True)
            ]
            for at, (name, cells) in enumerate(zip(names, texts, strict=True)):
                below = None if looks[at] is ours else looks[at]  # a new key is to be text too
                sheet.set_column(at, at, _width(name, cells), below)
                write_text(sheet, 0, at, name, header)
            detail = names.index(columns.DETAIL)
            for number, row in enumerate(_zipped(texts), start=1):
                sheet.set_row(number, _LINE * -(-max(len(row[detail]), 1) // _WIDEST))
                for at, cell in enumerate(row):
                    if not cell:
                        continue
                    if forms[at] == _NUMBER:
                        sheet.write_number(number, at, int(cell), looks[at])
                    elif forms[at]:
                        moment = datetime.fromisoformat(cell)
                        sheet.write_datetime(number, at, moment, looks[at])
                    else:
                        write_text(sheet, number, at, cell, looks[at])
    file.write(whole.getbuffer())


def _zipped(texts: Sequence[pa.ChunkedArray]) -> Iterator[tuple[str, ...]]:
    for first in range(0, len(texts[0]), _BATCH_ROWS):
        batch = [cells.slice(first, _BATCH_ROWS).to_pylist() for cells in texts]
        yield from zip(*batch, strict=True)


def _texts(column: pd.Series) -> pa.ChunkedArray:
    """Return the cells of a column as texts; a missing value is empty."""
    texts = pa.chunked_array(pa.array(column.astype(object), from_pandas=True).cast(table.TEXT))
    return pc.fill_null(texts, "")


def _form_of_dates(name: str, cells: pa.ChunkedArray, needy: pd.DataFrame) -> str:
    """Return the number format of a column of dates or row numbers; "" for texts.

    They are read as the same texts again. A key that is a date is to become text.
    """
    if name in columns.ORIGINAL and pc.all(pc.match_substring_regex(cells, r"^\d{1,9}$")).as_py():
        return _NUMBER
    filled = cells.filter(pc.not_equal(cells, ""))
    if not len(filled) or cells.equals(_texts(needy[columns.KEY])):
        return ""
    forms = (form for pattern, form in _DATES.items() if _are_dates(filled, pattern))
    return next(forms, "")


def _are_dates(cells: pa.ChunkedArray, pattern: str) -> bool:
    """Check whether all cells are dates of a form. Midnight would be read as a day alone."""
    if not pc.all(pc.match_substring_regex(cells, pattern)).as_py():
        return False
    try:
        moments = list(map(datetime.fromisoformat, cells.unique().to_pylist()))
    except ValueError:
        return False
    return " " not in pattern or all(moment.time() != time.min for moment in moments)


def _width(name: str, cells: pa.ChunkedArray) -> int:
    longest: int = pc.max(pc.utf8_length(cells.slice(0, _WIDTH_SAMPLE))).as_py()
    return min(max(len(name), longest, _NARROWEST) + 2, _WIDEST)
