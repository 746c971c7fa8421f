"""Reads an .xlsx: its parts, through the relationships, and the rows of its sheets.

The XML of a sheet is parsed piece by piece. Memory: the shared texts, and the rows of one piece.
"""

import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property, partial
from typing import Final
from xml.etree import ElementTree as ET

from bulk_sync.rows.parse.cell_text import UNCALCULATED, displayed_text, number_text, relevant
from bulk_sync.rows.parse.package import Package
from bulk_sync.rows.parse.sheets import Sheet, SheetRow, column_of, without_covered
from bulk_sync.rows.parse.xlsx_layout import Layout, read_layout

_TRUE: Final = frozenset({"1", "true"})
_FALSE: Final = frozenset({"0", "false"})
_BOOLEANS: Final = {"1": "TRUE", "true": "TRUE", "0": "FALSE", "false": "FALSE"}
"""The spellings of a boolean in XML, and the texts of a cell."""
_DIGITS: Final = "0123456789"
_ESCAPED: Final = re.compile("_x(?![Dd][89A-Fa-f])([0-9A-Fa-f]{4})_")
"""A character that XML cannot hold, or would change; no half of a pair."""

_BLANKS: Final = " \t\r\n"

_BUILT_IN: Final = {
    **dict.fromkeys(map(str, range(41, 45)), '0;-0;"-";@'),
    **dict.fromkeys(map(str, (*range(14, 23), *range(27, 37), 45, 47, *range(50, 59))), "yyyy"),
    "46": "[h]:mm:ss",
}
"""The formats outside a workbook's own list that display more than a number."""


def sheets(package: Package) -> Sequence[Sheet]:
    """Return the sheets with cells.

    Raises:
        InputProblem: it unpacks to too much.
        KeyError, ET.ParseError, StopIteration: it is damaged.
    """
    book = _Book(package)
    found = []
    for each in book.root.iter():
        if _local(each.tag) != "sheet":
            continue
        identity = next(value for name, value in each.items() if _local(name) == "id")
        kind, part = book.related[identity]
        if kind == "worksheet":
            is_hidden = each.get("state", "visible") != "visible"
            layout = cache(partial(read_layout, package, part))
            rows = partial(_seen, book, part, layout)
            hidden = partial(_hidden, layout)
            found.append(Sheet(each.get("name", ""), is_hidden, rows, hidden))
    return found


class _Book:
    """What the sheets have in common: ``workbook.xml``, its relationships, texts and styles."""

    def __init__(self, package: Package) -> None:
        top = relations(package, "")
        main = next(part for kind, part in top.values() if kind == "officeDocument")
        self.package = package
        self.related = relations(package, main)
        self.root = ET.fromstring(package.read(main))  # noqa: S314 - expat bounds expansion
        self._parts = dict(self.related.values())
        self.formats = self._formats()
        codes = self.formats.values()
        self.has_text_formats = any(displayed_text(code, "x") != "x" for code in codes)
        self.is_1904 = _first(self.root, "workbookPr").get("date1904") in _TRUE
        self.is_calculated_on_load = self._is_calculated_on_load()

    @cached_property
    def texts(self) -> list[str]:
        """The shared texts; cells refer to them by position."""
        part = self._parts.get("sharedStrings", "")
        parser = _Texts()
        if part in self.package:
            for _ in self.package.parse(part, parser.start, parser.end, parser.text):
                pass
        return parser.texts

    def _is_calculated_on_load(self) -> bool:
        """Return whether programs calculate all formulas when they open it.

        Programs that do not calculate say so, or write no settings of calculation at all.
        """
        settings = [each for each in self.root.iter() if _local(each.tag) == "calcPr"]
        return not settings or settings[0].get("fullCalcOnLoad") in _TRUE

    def _formats(self) -> dict[str, str]:
        part = self._parts.get("styles", "")
        if part not in self.package:
            return {}
        root = ET.fromstring(self.package.read(part))  # noqa: S314 - expat bounds expansion
        listed = _first(root, "numFmts")  # those of conditional formats stand elsewhere
        codes = _BUILT_IN | {
            each.get("numFmtId", ""): each.get("formatCode", "") for each in listed
        }
        numbers = [each.get("numFmtId", "") for each in _first(root, "cellXfs")]
        formats = {str(at): relevant(codes.get(number, "")) for at, number in enumerate(numbers)}
        return {style: code for style, code in formats.items() if code}


def _seen(book: _Book, part: str, layout: Callable[[], Layout]) -> Iterator[SheetRow]:
    return without_covered(_rows(book, part), layout().merged)


def _hidden(layout: Callable[[], Layout]) -> list[tuple[int, int]]:
    return layout().hidden


def _rows(book: _Book, part: str) -> Iterator[SheetRow]:
    parser = _Rows(book)
    for _ in book.package.parse(part, parser.start, parser.end, parser.text):
        yield from parser.rows
        parser.rows.clear()


class _Texts:
    """Collects texts while their XML is parsed: of cells, or shared ones, which ``texts`` has."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._is_kept = False
        self._is_aside = False
        self._pieces: list[str] = []
        self._current: list[str] | None = None

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        tag = tag.rpartition(":")[2]
        if tag == "t":
            self._current = []
            self._is_kept = attributes.get("xml:space") == "preserve"
        elif tag in {"si", "is"}:
            self._pieces = []
        elif tag == "rPh":  # how a text is pronounced
            self._is_aside = True

    def text(self, content: str) -> None:
        """Take the text of an element."""
        if self._current is not None:
            self._current.append(content)

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        tag = tag.rpartition(":")[2]
        if tag == "t" and self._current is not None:
            piece = "".join(self._current)
            if not self._is_aside:
                self._pieces.append(piece if self._is_kept else piece.strip(_BLANKS))
            self._current = None
        elif tag == "si":
            self.texts.append(self.whole())
        elif tag == "rPh":
            self._is_aside = False

    def whole(self) -> str:
        """Return the text of the pieces so far."""
        return _unescaped("".join(self._pieces))


class _Rows(_Texts):
    def __init__(self, book: _Book) -> None:
        super().__init__()
        self.rows: list[SheetRow] = []
        self._book = book
        self._number = 0
        self._is_hidden = False
        self._cells: dict[int, str] = {}
        self._column = -1
        self._cell: dict[str, str] = {}
        self._has_formula = False
        self._value: list[str] | None = None
        self._shows_zeros = True

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Take the beginning of an element."""
        if tag == "c":
            letters = attributes["r"].rstrip(_DIGITS) if "r" in attributes else None
            self._column = self._column + 1 if letters is None else column_of(letters)
            self._cell, self._has_formula, self._value = attributes, False, None
        elif tag == "v":
            self._value = self._current = []
        elif tag == "row":
            self._number = int(attributes.get("r") or self._number + 1)
            self._is_hidden = attributes.get("hidden") in _TRUE
            self._cells, self._column = {}, -1
        elif tag == "f":
            self._has_formula = True
        elif tag == "sheetView":
            self._shows_zeros = attributes.get("showZeros") not in _FALSE
        elif ":" in tag:
            self.start(tag.rpartition(":")[2], attributes)
        else:
            super().start(tag, attributes)

    def end(self, tag: str) -> None:
        """Take the end of an element."""
        if tag == "v":
            self._current = None
        elif tag == "c":
            text = self._cell_text()
            if text:
                self._cells[self._column] = text
        elif tag == "row":
            if self._cells:
                self.rows.append(SheetRow(self._number, self._cells, self._is_hidden))
        elif ":" in tag:
            self.end(tag.rpartition(":")[2])
        else:
            super().end(tag)

    def _cell_text(self) -> str:
        kind = self._cell.get("t", "n")
        value = None if self._value is None else "".join(self._value)
        if value is None and (kind == "inlineStr" or self._pieces):
            text, self._pieces = self.whole(), []
        elif self._has_formula and self._is_uncalculated(kind, value):
            return UNCALCULATED
        elif not value:
            return ""
        elif kind == "s":
            text = self._book.texts[int(value)]
        elif kind == "n":
            return self._number_text(float(value))
        elif kind == "b":
            text = _BOOLEANS.get(value.strip().lower(), value)
        else:
            text = value.replace("T", " ") if kind == "d" else _unescaped(value)
        return displayed_text(self._format, text) if self._book.has_text_formats else text

    @property
    def _format(self) -> str:
        return self._book.formats.get(self._cell.get("s", "0"), "")

    def _number_text(self, value: float) -> str:
        if value == 0 and not self._shows_zeros:
            return ""
        return number_text(value, self._format, self._number, is_1904=self._book.is_1904)

    def _is_uncalculated(self, kind: str, value: str | None) -> bool:
        """Check whether a formula has no value, or a 0 in its place.

        XlsxWriter and NPOI write 0; POI writes 0.0, and spreadsheet programs never do.
        """
        if kind == "str":
            return value is None
        value = (value or "").strip()
        is_zero = value == "0.0" or (value == "0" and self._book.is_calculated_on_load)
        return not value or (kind == "n" and is_zero)


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Return the parts related to a part: by identity their kind and their name."""
    folder, _, name = part.rpartition("/")
    found = {}
    for each in ET.fromstring(package.read(f"{folder}/_rels/{name}.rels")):  # noqa: S314
        target = each.get("Target", "").replace("\\", "/")
        if each.get("TargetMode") != "External":
            path = target if target.startswith("/") else f"{folder}/{target}"
            kind = each.get("Type", "").rpartition("/")[2]
            found[each.get("Id", "")] = kind, posixpath.normpath(path).lstrip("/")
    return found


def _first(root: ET.Element, name: str) -> ET.Element:
    """Return the first element of a name; an empty one if there is none."""
    return next((each for each in root.iter() if _local(each.tag) == name), ET.Element(name))


def _local(name: str) -> str:
    return name.rpartition("}")[2]
