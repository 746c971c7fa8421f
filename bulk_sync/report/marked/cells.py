"""The cells of a sheet that are to be marked, or were: their places in the XML."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from xlsxwriter.utility import xl_cell_to_rowcol, xl_rowcol_to_cell

from bulk_sync.report.marked.xml_part import XmlPart, parser_of
from bulk_sync.report.table import SHEET_COLUMNS

_DIGITS: Final = "0123456789"
_TRUE: Final = frozenset({"1", "true"})
_AFTER_NOTES: Final = frozenset(
    {"legacyDrawingHF", "drawingHF", "picture", "oleObjects", "controls", "webPublishItems"}
    | {"tableParts", "extLst", "AlternateContent"}
)
"""What follows the reference to the notes' drawing in the XML of a sheet."""


class Place(NamedTuple):
    """A cell as a spreadsheet counts its row, and as Python counts its column."""

    row: int
    column: int

    def __str__(self) -> str:
        return str(xl_rowcol_to_cell(self.row - 1, self.column))

    @classmethod
    def parse(cls, reference: str) -> "Place":
        """Return the place of ``B5``."""
        row, column = xl_cell_to_rowcol(reference)
        return cls(row + 1, column)


class Tag(NamedTuple):
    """A cell's tag.

    Attributes:
        start: where it begins, or would begin.
        style: the number of the cell's style.
        row: where the tag of its row begins.
    """

    start: int
    style: int
    row: int


@dataclass(slots=True)
class Sheet:
    """What is to be changed in the XML of a sheet.

    Attributes:
        part: the XML.
        there: the wanted cells that are there, and all cells with one of some styles.
        missing: the other wanted cells.
        drawing: the identity of the drawing of its notes; "" without any.
        after: where the reference to one would stand.
    """

    part: XmlPart
    there: dict[Place, Tag] = field(default_factory=dict)
    missing: dict[Place, Tag] = field(default_factory=dict)
    drawing: str = ""
    after: int = -1

    def style(self, place: Place, style: int) -> None:
        """Give a cell another style."""
        if place in self.there:
            self.part.change(self.there[place].start, s=str(style))
        else:
            tag = self.missing[place]
            self.part.insert(tag.start, f'<c r="{place}" s="{style}"/>'.encode())
            self.part.change(tag.row, spans=None)  # may name the former cells alone


def find(xml: bytes, wanted: Mapping[int, Collection[int]], styles: Collection[int]) -> Sheet:
    """Find cells in the XML of a sheet.

    Args:
        xml: the sheet.
        wanted: by row, the columns of the wanted cells.
        styles: cells with one of these styles are wanted too.

    Raises:
        ValueError, LookupError, expat.ExpatError: it is damaged, or unusual.
    """
    sheet = Sheet(XmlPart(xml))
    scan = _Scan(sheet, wanted, styles)
    scan.parser = parser = parser_of(sheet.part.xml)
    parser.StartElementHandler, parser.EndElementHandler = scan.start, scan.end
    parser.Parse(sheet.part.xml, True)  # noqa: FBT003 - it takes no keyword
    return sheet


class _Scan:
    """Collects the places of cells while the XML of their sheet is parsed."""

    def __init__(
        self, sheet: Sheet, wanted: Mapping[int, Collection[int]], styles: Collection[int]
    ) -> None:
        self.parser: Any = None
        self._sheet, self._wanted, self._styles = sheet, wanted, styles
        self._depth = self._row = self._row_start = 0
        self._column = -1
        self._columns: dict[str, int] = {}
        self._column_styles: list[tuple[range, int]] = []
        self._row_style: int | None = None
        self._starts: dict[int, int] = {}

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        self._depth += 1
        if tag == "c":
            self._cell(attributes)
        elif tag == "row":
            self._row = int(attributes.get("r") or self._row + 1)
            self._column, self._starts = -1, {}
            self._row_start = self.parser.CurrentByteIndex
            has_style = attributes.get("customFormat") in _TRUE
            self._row_style = int(attributes.get("s", "0")) if has_style else None
        elif tag == "col" and len(self._column_styles) < SHEET_COLUMNS:
            columns = range(int(attributes["min"]) - 1, int(attributes["max"]))
            self._column_styles.append((columns, int(attributes.get("style", "0"))))
        elif self._depth == 2:
            self._top(tag.rpartition(":")[2], attributes)

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        self._depth -= 1
        if tag == "row" and self._row in self._wanted:
            self._close_row()
        elif self._depth == 0 and self._sheet.after < 0:
            self._sheet.after = self.parser.CurrentByteIndex

    def _top(self, name: str, attributes: dict[str, str]) -> None:
        if name == "legacyDrawing":
            self._sheet.drawing = next(
                value for key, value in attributes.items() if key.endswith(":id")
            )
        elif name in _AFTER_NOTES and self._sheet.after < 0:
            self._sheet.after = self.parser.CurrentByteIndex

    def _cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        self._column = self._column + 1 if reference is None else self._position(reference)
        columns = self._wanted.get(self._row, ())
        if columns:
            self._starts[self._column] = self.parser.CurrentByteIndex
        style = int(attributes.get("s", "0"))
        if self._column in columns or style in self._styles:
            place = Place(self._row, self._column)
            self._sheet.there[place] = Tag(self.parser.CurrentByteIndex, style, self._row_start)

    def _close_row(self) -> None:
        """Find where the missing cells of a row would stand, and the style each would have."""
        end = self.parser.CurrentByteIndex
        for column in sorted(set(self._wanted[self._row]) - self._starts.keys()):
            after = [start for other, start in self._starts.items() if other > column]
            style = self._row_style
            if style is None:
                of_columns = (style for columns, style in self._column_styles if column in columns)
                style = next(of_columns, 0)
            tag = Tag(min(after, default=end), style, self._row_start)
            self._sheet.missing[Place(self._row, column)] = tag

    def _position(self, reference: str) -> int:
        letters = reference.rstrip(_DIGITS)
        if letters not in self._columns:
            self._columns[letters] = xl_cell_to_rowcol(f"{letters}1")[1]
        return self._columns[letters]
