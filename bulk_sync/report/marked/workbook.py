"""Marks a workbook with openpyxl: a script for a process of its own, limited as for parsing.

    in:   what to mark, as JSON, and the workbook
    out:  what became of it, as JSON, and the marked workbook

openpyxl keeps the XML of each cell: ``storage/kept_cells.py``. At the end all cells of both
workbooks are compared.
"""

import gc
import json
import re
import sys
import warnings
import zipfile
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import cache
from io import BytesIO
from itertools import zip_longest
from typing import Any, Final

from openpyxl import load_workbook
from openpyxl.comments import Comment
from openpyxl.packaging.custom import StringProperty
from openpyxl.styles import Alignment, Color, Font, PatternFill
from openpyxl.worksheet.hyperlink import Hyperlink

from bulk_sync.rows.parse import confine, xlsx
from bulk_sync.rows.parse.package import Package
from bulk_sync.rows.parse.sheets import Sheet, SheetRow
from bulk_sync.storage import workbook_seal
from bulk_sync.storage.kept_cells import keep_cells
from bulk_sync.storage.workbook_seal import JOB, JOB_OF_REST, SEAL

NAME: Final = "Check by bulk-sync"
BAD: Final = "FFFFC6CD"
DOUBTFUL: Final = "FFFFEA9D"
"""Light red and light yellow, as no palette has them: by these a mark is recognized."""

_BYTES, _SECONDS = 1 << 30, 60
_WIDTHS: Final = {"A": 42, "B": 8, "C": 84, "D": 14}
"""Of the columns of the first sheet, in characters."""
_LINE: Final = 15
"""The height of a line of text."""

_COLOUR: Final = "(The cell had a colour of its own: "
_OURS: Final = re.compile(
    rf"\s{{0,9}}bulk-sync:[^\n]*(?:\n{re.escape(_COLOUR)}(?P<colour>[^\n]*)\.\))?"
)
_COLOUR_WORDS: Final = re.compile(r"(rgb|theme|indexed|tint) ([\w.+-]+)")
_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LIKE_AN_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


def main() -> None:
    """Mark the workbook on standard input."""
    request = json.loads(sys.stdin.buffer.readline())
    content, whole, problem = sys.stdin.buffer.read(), BytesIO(), ""
    confine(_BYTES, _SECONDS)
    gc.disable()  # hardly anything becomes free before the end, and looking for it takes time
    keep_cells()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what is not kept
        book: Any = load_workbook(BytesIO(content))
    if book.chartsheets:  # openpyxl would give names that belong to a sheet to another one
        problem = "a sheet of it is a chart"
    elif b"xl/queryTables/" in content:  # the table would refer to a part that is not kept
        problem = "a table in it is filled from another source"
    else:
        _mark(book, request["sheet"], request["problems"])
        if book[request["sheet"]].protection.sheet:
            request["head"].append(request["locked"])
        _add_first_sheet(book, _lines(request))
        _set_properties(book.custom_doc_props, {request["property"]: request["job"]})
        book.save(whole)
        workbook_seal.seal(whole)
        problem = _difference(content, whole.getvalue())
    sys.stdout.buffer.write(json.dumps({"problem": problem}).encode() + b"\n")
    sys.stdout.buffer.write(whole.getvalue())


def _set_properties(kept: Any, own: Mapping[str, str]) -> None:
    """Replace our own properties of the workbook; those of other programs stay."""
    for name in {SEAL, JOB, JOB_OF_REST}.intersection(kept.names):
        del kept[name]
    for name, value in {**own, SEAL: workbook_seal.BLANK}.items():
        if value:
            kept.append(StringProperty(name=name, value=value))


def _mark(book: Any, name: str, problems: Sequence[Mapping[str, Any]]) -> None:
    """Take the marks of an earlier check off all sheets, and mark cells of one."""
    own = {each.title: dict(_unmarked(each)) for each in book.worksheets}[name]
    sheet = book[name]
    seen = _seen(sheet, {(row, column) for each in problems for row, column in each["places"]})
    for problem in problems:
        for row, column in problem["places"]:
            cell = _cell(sheet, *seen.get((row, column), (row, column)))
            colour = own.setdefault(cell.coordinate, _colour(cell))
            cell.fill = _fill(f"rgb {BAD if problem['is_bad'] else DOUBTFUL}")
            note = _clean(problem["note"]) + f"\n{_COLOUR}{colour}.)" * bool(colour)
            before = cell.comment
            text, author = (f"{before.text}\n\n", before.author) if before else ("", "bulk-sync")
            cell.comment = _note(text + note, author)


def _seen(
    sheet: Any, places: Collection[tuple[int, int]]
) -> dict[tuple[int, int], tuple[int, int]]:
    """Return by the places that are merged with others the one that is seen."""
    rows, columns = sorted({row for row, _ in places}), {column for _, column in places}
    return {
        (row, column): (each.min_row, each.min_col)
        for each in sheet.merged_cells.ranges
        for row in rows[bisect_left(rows, each.min_row) : bisect_right(rows, each.max_row)]
        for column in columns
        if each.min_col <= column <= each.max_col
    }


def _unmarked(sheet: Any) -> Iterator[tuple[str, str]]:
    """Yield the places where marks are taken off, and the colours that the cells had."""
    for cell in list(sheet._cells.values()):  # its public ways make all cells between, too
        match = None
        if cell.comment is not None:
            text, author = cell.comment.text, cell.comment.author
            match, left = _OURS.search(text), _OURS.sub("", text)
            cell.comment = _note(left, author) if left.strip() else None
        if cell.has_style and _colour(cell) in {f"rgb {BAD}", f"rgb {DOUBTFUL}"}:
            colour = (match["colour"] or "") if match else ""
            cell.fill = _fill(colour)
            yield cell.coordinate, colour


def _cell(sheet: Any, row: int, column: int) -> Any:
    """Return a cell; a new one looks as its row or column would."""
    is_there = (row, column) in sheet._cells
    cell: Any = sheet.cell(row, column)
    if not is_there:
        columns = sheet.column_dimensions.values()
        looks = [sheet.row_dimensions.get(row), *(c for c in columns if c.min <= column <= c.max)]
        styles = (each._style for each in looks if each is not None and each.has_style)
        cell._style = copy(next(styles, cell._style))
    return cell


def _note(text: str, author: str) -> Comment:
    lines = sum(1 + len(line) // 50 for line in text.split("\n"))
    return Comment(text, author, height=15 * (lines + 1), width=320)


def _colour(cell: Any) -> str:
    """Return the colour of a solid fill in words, such as ``rgb FFFFFF00``; "" if none."""
    if cell.fill.fill_type != "solid":
        return ""
    colour = cell.fill.fgColor
    return f"{colour.type} {colour.value}" + (f" tint {colour.tint}" if colour.tint else "")


@cache
def _fill(colour: str) -> PatternFill:
    """Return a fill of a colour in words; "" is none."""
    values: dict[str, Any] = dict(_COLOUR_WORDS.findall(colour))
    return PatternFill("solid", fgColor=Color(**values)) if values else PatternFill()


def _lines(request: Mapping[str, Any]) -> Iterator[tuple[list[Any], list[str], str]]:
    """Yield the rows of the first sheet: contents, their looks, and where a link in it leads."""
    title, *head = request["head"]
    yield [title], ["title"], ""
    yield from (([sentence], ["line"], "") for sentence in head)
    yield from request["lines"]


def _add_first_sheet(book: Any, lines: Iterable[tuple[list[Any], list[str], str]]) -> None:
    """Put our sheet before all others, and open the workbook on it."""
    if NAME in book.sheetnames:
        del book[NAME]
    sheet = book.create_sheet(NAME, 0)
    book.active = 0
    for view in book.views:
        view.firstSheet, view.visibility = 0, "visible"
    for each in book.worksheets:  # what is typed goes into all selected sheets
        each.sheet_view.tabSelected = each is sheet
    styles = dict(_styles(sheet["A1"]))
    for row, (contents, looks, link) in enumerate(lines, start=1):
        if looks == ["line"]:
            sheet.merge_cells(start_row=row, end_row=row, start_column=1, end_column=len(_WIDTHS))
        sheet.row_dimensions[row].height = _height(contents, looks)
        for column, (content, look) in enumerate(zip(contents, looks, strict=True), start=1):
            cell = sheet.cell(row, column)
            cell.value = content if isinstance(content, int) else _clean(content) or None
            if isinstance(content, str) and content:
                cell.data_type = "s"  # whatever it begins with
            cell._style = copy(styles[look])
            if look == "link":
                cell.hyperlink = Hyperlink(ref="", location=link)
    for letter, width in _WIDTHS.items():
        sheet.column_dimensions[letter].width = width
    sheet.sheet_view.showGridLines = False
    sheet.page_setup.orientation, sheet.page_setup.fitToHeight = "landscape", 0
    sheet.sheet_properties.pageSetUpPr.fitToPage = True


def _height(contents: Sequence[object], looks: Sequence[str]) -> int:
    """Return the height of a row with room for its texts: LibreOffice gives it none."""
    if looks == ["title"]:
        return 2 * _LINE
    widths = [sum(_WIDTHS.values())] if looks == ["line"] else _WIDTHS.values()
    texts = zip(map(str, contents), widths, strict=False)
    # Words are not broken, so a line is not full.
    return _LINE * max((1 + int(1.15 * len(text)) // width for text, width in texts), default=1)


def _styles(cell: Any) -> Iterator[tuple[str, Any]]:
    """Yield the styles of the first sheet; to make one for each cell would take long."""
    top, wrapped = Alignment(vertical="top"), Alignment(vertical="top", wrap_text=True)
    font, bold = Font("Calibri", 11), Font("Calibri", 11, b=True)
    for name, cell.font, cell.alignment, colour in (
        ("title", Font("Calibri", 14, b=True), top, ""),
        ("line", font, wrapped, ""),
        ("header", bold, top, ""),
        ("cell", font, wrapped, ""),
        ("link", Font("Calibri", 11, u="single", color="FF0B57A4"), top, ""),
        ("bad", font, wrapped, f"rgb {BAD}"),
        ("doubtful", font, wrapped, f"rgb {DOUBTFUL}"),
    ):
        cell.fill = _fill(colour)
        yield name, copy(cell._style)


def _clean(text: str) -> str:
    return _LIKE_AN_ESCAPE.sub("_x005F_", _NOT_XML.sub("\ufffd", text))


def _difference(before: bytes, after: bytes) -> str:
    """Return which row or sheet of the user's is not as before; "" if all are."""
    old, new = _sheets(before), _sheets(after)
    if [each.name for each in old] != [each.name for each in new]:
        return "openpyxl, which marks it, would lose a sheet"
    for one, other in zip(old, new, strict=True):
        for rows in zip_longest(
            one.rows(), other.rows(), fillvalue=SheetRow(0, {}, is_hidden=False)
        ):
            if rows[0] != rows[1]:
                number = max(row.number for row in rows)
                return f"openpyxl, which marks it, would change row {number} of {one.name!r}"
    return ""


def _sheets(content: bytes) -> list[Sheet]:
    package = Package(zipfile.ZipFile(BytesIO(content)), "the workbook", len(content))
    return [each for each in xlsx.sheets(package) if each.name != NAME]


if __name__ == "__main__":
    main()
