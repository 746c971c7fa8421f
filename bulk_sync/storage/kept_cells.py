"""Lets openpyxl keep the XML of each cell of a workbook.

By itself it turns cells into Python's values and back: dates lose fractions, long numbers digits,
formulas their values, texts their looks. It is changed for the whole process.
"""

import sys
from collections.abc import Sequence
from typing import Any, Final, NamedTuple
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from openpyxl.reader import excel
from openpyxl.worksheet import _reader, _writer
from openpyxl.worksheet.cell_range import CellRange, MultiCellRange
from openpyxl.xml.constants import SHEET_MAIN_NS
from openpyxl.xml.functions import iterparse

_PREFIX: Final = f"{{{SHEET_MAIN_NS}}}"


class _Kept(NamedTuple):
    """A cell for openpyxl: what is inside, as XML, and its type."""

    inside: str
    kind: str


def _inside(element: Any) -> str:
    """Return what is inside an element as XML, without the prefixes of names."""
    return "".join(map(_xml, element))


def _xml(element: Any) -> str:
    tag = element.tag.removeprefix(_PREFIX)
    if not (element.attrib or len(element)):  # as nearly all are
        return f"<{tag}>{escape(element.text or '')}</{tag}>"
    for each in element.iter():
        each.tag = each.tag.removeprefix(_PREFIX)
    return ET.tostring(element, "unicode")


def keep_cells() -> None:
    """Let openpyxl keep the XML of each cell, and write it again; also of those below others."""
    reading: Any = _reader.WorkSheetParser
    binding: Any = _reader.WorksheetReader
    writing: Any = _writer
    strings: Any = excel
    parse, write = reading.parse_cell, writing.write_cell
    shared: list[_Kept] = []

    def kept(parser: Any, element: Any) -> dict[str, Any]:
        kind, value = element.attrib.pop("t", "n"), element.findtext(f"{_PREFIX}v")
        is_shared = kind == "s" and value
        inside = shared[int(value)] if is_shared else _Kept(_inside(element), sys.intern(kind))
        element[:] = ()
        cell: dict[str, Any] = parse(parser, element)
        cell["value"] = inside
        return cell

    def written(xf: Any, sheet: Any, cell: Any, styled: Any = None) -> None:
        value = cell.value
        if not isinstance(value, _Kept):
            write(xf, sheet, cell, styled)
            return
        if cell.hyperlink:
            sheet._hyperlinks.append(cell.hyperlink)  # as the replaced function does
        place = f'r="{cell.coordinate}" s="{cell.style_id}" t="{value.kind}"'
        xf._file(f"<c {place}>{value.inside}</c>")  # building elements again takes long

    def read(file: Any) -> Sequence[str]:
        found = (each for _, each in iterparse(file) if each.tag == f"{_PREFIX}si")
        # openpyxl writes no shared texts.
        shared.extend(_Kept(f"<is>{_inside(each)}</is>", "inlineStr") for each in found)
        return ()

    def merged(reader: Any) -> None:
        found = reader.parser.merged_cells
        ranges = [CellRange(each.ref) for each in found.mergeCell] if found else ()
        reader.ws.merged_cells = MultiCellRange(ranges)

    reading.parse_cell, writing.write_cell, strings.read_string_table = kept, written, read
    binding.bind_merged_cells = merged
