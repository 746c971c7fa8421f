"""Reads an .xls, by xlrd, and finds formulas without a value, which xlrd does not.

The file is a small file system (OLE, [MS-CFB]) whose stream ``Workbook`` is a list of records
([MS-XLS] 2.4), each with a kind, a length and its data.
"""

import os
import struct
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import xlrd
from xlrd.compdoc import CompDoc, CompDocError
from xlrd.formula import FormulaError

from bulk_sync.rows.parse.cell_text import UNCALCULATED, displayed_text, number_text, relevant
from bulk_sync.rows.parse.sheets import Merged, Protected, Sheet, SheetRow, without_covered

DAMAGE: Final = (xlrd.XLRDError, CompDocError, FormulaError, AssertionError)
"""Errors of xlrd for damaged files, beside Python's own."""

_STREAMS: Final = ("Workbook", "Book")
_BOF, _EOF, _BOUNDSHEET, _FORMULA = 0x809, 0x0A, 0x85, 0x06


def sheets(content: bytes) -> Sequence[Sheet]:
    """Return all sheets with cells.

    Raises:
        Protected: it is protected by a password.
        XLRDError, ...: it is damaged; see ``DAMAGE``.
    """
    if "EncryptedPackage".encode("utf-16-le") in content:
        raise Protected
    with Path(os.devnull).open("w") as log:
        try:
            book = xlrd.open_workbook(
                file_contents=content,
                formatting_info=True,
                ragged_rows=True,
                ignore_workbook_corruption=True,
                logfile=log,
            )
        except xlrd.XLRDError as problem:
            raise (Protected if "encrypted" in str(problem) else problem) from problem
        ole = CompDoc(content, logfile=log, ignore_workbook_corruption=True)
    content, start, length = next(filter(any, map(ole.locate_named_stream, _STREAMS)))
    stream = content[start : start + length]
    codes = (book.format_map[style.format_key].format_str or "" for style in book.xf_list)
    formats = {style: relevant(code) for style, code in enumerate(codes)}
    return [
        Sheet(
            sheet.name,
            bool(sheet.visibility),
            partial(_seen, sheet, formats, _uncalculated(stream, at)),
            partial(_hidden, sheet),
        )
        for sheet, at in zip(book.sheets(), _starts(stream), strict=True)
    ]


def _seen(
    sheet: Any, formats: Mapping[int, str], uncalculated: frozenset[tuple[int, int]]
) -> Iterator[SheetRow]:
    merged = [
        Merged(top + 1, left, bottom, right - 1) for top, bottom, left, right in sheet.merged_cells
    ]
    return without_covered(_rows(sheet, formats, uncalculated), merged)


def _rows(
    sheet: Any, formats: Mapping[int, str], uncalculated: frozenset[tuple[int, int]]
) -> Iterator[SheetRow]:
    for at in range(sheet.nrows):
        cells = {}
        for column, cell in enumerate(sheet.row(at)):
            text = (
                UNCALCULATED
                if (at, column) in uncalculated
                else _text(cell, formats.get(cell.xf_index, ""), at + 1, sheet)
            )
            if text:
                cells[column] = text
        if cells:
            info = sheet.rowinfo_map.get(at)
            yield SheetRow(at + 1, cells, info is not None and bool(info.hidden))


def _hidden(sheet: Any) -> list[tuple[int, int]]:
    return [(column, column) for column, info in sheet.colinfo_map.items() if info.hidden]


def _text(cell: Any, code: str, row: int, sheet: Any) -> str:
    match cell.ctype:
        case xlrd.XL_CELL_NUMBER | xlrd.XL_CELL_DATE:
            if cell.value == 0 and not sheet.show_zero_values:
                return ""
            return number_text(cell.value, code, row, is_1904=bool(sheet.book.datemode))
        case xlrd.XL_CELL_BOOLEAN:
            return displayed_text(code, "TRUE" if cell.value else "FALSE")
        case xlrd.XL_CELL_ERROR:
            return str(xlrd.error_text_from_code.get(cell.value, "#ERROR!"))
    return displayed_text(code, str(cell.value))


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    depth = 0
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        depth += (kind == _BOF) - (kind == _EOF)
        if depth <= 0:
            return
        if depth == 1:
            yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


def _starts(stream: bytes) -> list[int]:
    listed = [data for kind, data in _records(stream, 0) if kind == _BOUNDSHEET]
    return [struct.unpack_from("<I", data)[0] for data in listed if not data[5]]


def _uncalculated(stream: bytes, start: int) -> frozenset[tuple[int, int]]:
    """Return by row and column the formulas of a sheet without a value.

    Spreadsheets write the empty text as well, as a result; but hardly ever for every formula.
    """
    formulas = [data for kind, data in _records(stream, start) if kind == _FORMULA]
    found = [data for data in formulas if _is_empty_text(data) or _is_to_calculate(data)]
    if len(found) < len(formulas):
        found = [data for data in found if _is_to_calculate(data)]
    return frozenset(struct.unpack_from("<HH", data) for data in found)


def _is_empty_text(formula: bytes) -> bool:
    return formula[12:14] == b"\xff\xff" and formula[6] == 3


def _is_to_calculate(formula: bytes) -> bool:
    """Check for a 0 to be calculated on loading: spreadsheet programs never write that flag."""
    return bool(formula[14] & 2) and not any(formula[6:14])
