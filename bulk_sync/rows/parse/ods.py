"""Reads an .ods: the tables of its ``content.xml``, piece by piece.

The text of a number counts if it displays more than the number, such as ``007``.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Final

from bulk_sync.rows.parse.cell_text import UNCALCULATED, number_text
from bulk_sync.rows.parse.package import Package
from bulk_sync.rows.parse.sheets import Protected, Sheet, SheetRow

_CONTENT: Final = "content.xml"
_MANIFEST: Final = "META-INF/manifest.xml"
_SETTINGS: Final = "settings.xml"
_HIDES_ZEROS: Final = re.compile(rb"config:name=[\"']ShowZeroValues[\"'][^>]*>\s*false")
_COVERED: Final = "table:covered-table-cell"
"""A cell below a merged one. It may keep a text of its own, which nobody sees."""
_CELLS: Final = frozenset({"table:table-cell", _COVERED})
_ASIDE: Final = frozenset({"office:annotation", "table:shapes"})
"""Elements whose texts and tables are none of the sheet's cells, as are drawings."""

_HIDDEN: Final = {"filter", "collapse"}
_BLANKS: Final = {"text:s": " ", "text:tab": "\t", "text:line-break": "\n"}
_NUMBERS: Final = frozenset({"float", "percentage", "currency"})
_TIME: Final = re.compile(r"PT(\d+)H(\d+)M([\d.]+)S")
_MORE: Final = re.compile(r"-?0\d+|\D*[@A-Za-z_#]\D*\d+!?|\d+(?:-\d+)+|(?!#+$)\D+", re.DOTALL)
"""Texts with more than a number: leading zeros, a sign of a key, groups of digits, words, errors.
Nothing but ``#`` is a number in a narrow column."""

_STATES: Final = {"0", "1"}
"""Numbers that may be displayed as the other one, or with a word behind them."""

_MOST_ROWS: Final = 1 << 20
_MOST_COLUMNS: Final = 1 << 14
"""A sheet has no more; a number of repetitions may be larger."""


def sheets(package: Package) -> Sequence[Sheet]:
    """Return all sheets.

    Raises:
        InputProblem: it unpacks to too much.
        Protected: it is protected by a password.
        expat.ExpatError: it is damaged.
    """
    if _MANIFEST in package and b"encryption-data" in package.read(_MANIFEST):
        raise Protected
    parser = _Tables(-1)
    for _ in package.parse(_CONTENT, parser.list_table):
        pass
    settings = package.read(_SETTINGS) if _SETTINGS in package else b""
    rows = partial(_rows, package, shows_zeros=_HIDES_ZEROS.search(settings) is None)
    return [
        Sheet(
            name,
            style in parser.hidden_styles,
            partial(rows, position),
            partial(parser.hidden_columns.__getitem__, position),
        )
        for position, (name, style) in enumerate(parser.tables)
    ]


def _rows(package: Package, position: int, *, shows_zeros: bool) -> Iterator[SheetRow]:
    return _Tables(position, shows_zeros=shows_zeros).rows(package)


class _Tables:
    """Collects the rows of the table at a position, -1 for none, while the XML is parsed.

    It lists the name, the style and the hidden columns of each table, and the styles of hidden
    ones.
    """

    def __init__(self, position: int, *, shows_zeros: bool = True) -> None:
        self._shows_zeros = shows_zeros
        self.tables: list[tuple[str, str]] = []
        self.hidden_styles: set[str] = set()
        self.hidden_columns: list[list[tuple[int, int]]] = []
        self._position = position
        self._rows: list[tuple[SheetRow, int]] = []
        self._style = ""
        self._is_inside = False
        self._depth_aside = 0
        self._row: Mapping[str, str] = {}
        self._number = 1
        self._cells: dict[int, str] = {}
        self._column = 0
        self._cell: Mapping[str, str] = {}
        self._paragraphs: list[str] = []
        self._is_in_paragraph = False

    def rows(self, package: Package) -> Iterator[SheetRow]:
        for _ in package.parse(_CONTENT, self._start, self._end, self._text):
            for row, repeats in self._rows:
                yield row
                for number in range(row.number + 1, row.number + repeats):
                    yield row._replace(number=number)
            self._rows.clear()
            if self._position < len(self.tables) - 1:
                return

    def list_table(self, tag: str, attributes: dict[str, str]) -> None:
        """Add a table, or a style of tables."""
        if tag == "table:table":
            style = attributes.get("table:style-name", "")
            self.tables.append((attributes.get("table:name", ""), style))
            self.hidden_columns.append([])
            self._column = 0
            self._is_inside = len(self.tables) - 1 == self._position
        elif tag == "table:table-column":
            last = self._column + int(attributes.get("table:number-columns-repeated", 1)) - 1
            if attributes.get("table:visibility") in _HIDDEN and self.hidden_columns:
                self.hidden_columns[-1].append((self._column, last))
            self._column = last + 1
        elif tag == "style:style":
            self._style = attributes.get("style:name", "")
        elif tag == "style:table-properties" and attributes.get("table:display") == "false":
            self.hidden_styles.add(self._style)

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if self._depth_aside:
            self._depth_aside += 1
        elif not self._is_inside:
            self.list_table(tag, attributes)
        elif tag in _CELLS:
            self._cell, self._paragraphs = attributes, []
        elif tag == "text:p":
            self._paragraphs.append("")
            self._is_in_paragraph = True
        elif tag in _BLANKS:
            self._text(_BLANKS[tag] * int(attributes.get("text:c", 1)))
        elif tag == "table:table-row":
            self._row, self._cells, self._column = attributes, {}, 0
        elif tag in _ASIDE or tag.startswith("draw:"):
            self._depth_aside = 1

    def _text(self, content: str) -> None:
        if self._is_in_paragraph and not self._depth_aside:
            self._paragraphs[-1] += content

    def _end(self, tag: str) -> None:
        if self._depth_aside:
            self._depth_aside -= 1
        elif not self._is_inside:
            pass
        elif tag == "text:p":
            self._is_in_paragraph = False
        elif tag == "table:table":
            self._is_inside = False
        elif tag in _CELLS:
            repeats = int(self._cell.get("table:number-columns-repeated", 1))
            text = "" if tag == _COVERED else self._cell_text()
            if text:
                columns = range(self._column, self._column + min(repeats, _MOST_COLUMNS))
                self._cells.update(dict.fromkeys(columns, text))
            self._column += repeats
        elif tag == "table:table-row":
            repeats = int(self._row.get("table:number-rows-repeated", 1))
            if self._cells:
                is_hidden = self._row.get("table:visibility") in _HIDDEN
                row = SheetRow(self._number, self._cells, is_hidden)
                self._rows.append((row, min(repeats, _MOST_ROWS)))
            self._number += repeats

    def _cell_text(self) -> str:
        kind, shown = self._cell.get("office:value-type"), "\n".join(self._paragraphs)
        if kind is None and "table:formula" in self._cell:
            return UNCALCULATED
        if self._paragraphs and not shown.strip():
            return ""  # its number format hides it, or there are blanks alone
        if kind is None or self._cell.get("calcext:value-type") == "error":
            return shown
        if kind in _NUMBERS:
            return self._number_text(shown.strip())
        value = self._cell.get(f"office:{kind}-value", shown)
        match kind:
            case "boolean":
                value = value.upper()
            case "date":
                value = value.replace("T", " ")
            case "time":
                value = _TIME.sub(r"\1:\2:\3", value)
            case "string" if self._paragraphs:
                value = shown
        return value

    def _number_text(self, shown: str) -> str:
        number = self._cell.get("office:value")
        if number is None:
            return shown
        if float(number) == 0 and not self._shows_zeros:
            return ""
        is_word = number in _STATES and any(map(str.isalpha, shown))
        is_other = {number, shown} == _STATES
        if is_word or is_other or _MORE.fullmatch(shown):
            return shown
        return number_text(float(number), "", self._number)
