"""Makes an .xlsx into a small one that calamine reads in full: one sheet, cut into parts.

Parts are found through the relationships. On the way, in the text of the sheet's XML,

    an error value, ``#NAME?``      becomes text, for calamine reads it as empty
    a formula without a value       becomes the text ``UNCALCULATED``
    a number that displays more     becomes the text that is displayed
    a cell without content          is left out: it may stand in the last column

and the sheet is cut where the cells so far fill enough of a rectangle: calamine holds every cell of
the rectangle around them. So memory does not grow with the sheet, nor with where a cell stands.
"""

import posixpath
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET
from xml.sax.saxutils import escape

from bulk_sync.errors import InputProblem
from bulk_sync.rows.parse.number_format import displayed
from bulk_sync.rows.parse.package import Package, written
from bulk_sync.rows.parse.prepared import (
    UNCALCULATED,
    Prepared,
    hidden_rows,
    no_data,
    no_such_sheet,
    other_sheets,
)

_PART_CELLS: Final = 1 << 20
_PART_BYTES: Final = 8 << 20
"""A part ends at a rectangle of so many cells (64 MB in calamine), or at so much XML."""

_SCANNED: Final = 16 << 20
"""Bytes of another sheet that are searched for data."""

_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_ABOUT: Final = ("About", {"Run", "Plan", "Input"})
"""The sheet that reports have beside their rows, and what its first cell says."""

_DATA: Final = re.compile(rb"<(?:\w+:)?(?:v|is|f)[\s>/]")
_TRUE: Final = frozenset({"1", "true"})
_OPENING: Final = re.compile(rb"<(\w+:)?sheetData\s*>")
_DIMENSION: Final = re.compile(rb"<(?:\w+:)?dimension\s[^<>]*/>")
_ERROR: Final = re.compile(rb"(<(?:\w+:)?c\s[^<>]*\bt=)([\"'])e\2")
_CELL: Final = re.compile(rb"<((?:\w+:)?)c((?:\s[^<>]*)?)(?<!/)>(.*?)</(?:\w+:)?c\s*>", re.DOTALL)
_BLANK: Final = re.compile(rb"<((?:\w+:)?)c\s(?=[^<>]*\br=[\"'])[^<>]*(?:/>|>\s*</(?:\w+:)?c\s*>)")
_TYPE: Final = re.compile(rb"\st=[\"'](\w*)[\"']")
_STYLE: Final = re.compile(rb"\ss=[\"'](\d+)[\"']")
_FORMULA: Final = re.compile(rb"<(?:\w+:)?f[\s/>]")
_VALUE: Final = re.compile(rb"<(?:\w+:)?v(?:\s[^<>]*)?(?:/>|>([^<]*)<)")
_INLINE: Final = re.compile(rb"<(?:\w+:)?is[\s/>]")
_COLUMN: Final = re.compile(rb"\br=[\"']([A-Z]+)\d+[\"']")
_ROW_NUMBER: Final = re.compile(rb"\sr=[\"'](\d+)[\"']")
_HIDDEN: Final = re.compile(
    rb"<(?:\w+:)?row(\s[^<>]*\bhidden=[\"'](?:1|true)[\"'][^<>]*)(?<!/)>(.*?)</(?:\w+:)?row\s*>",
    re.DOTALL,
)


def prepared(package: Package, place: str, sheet: str | None, folder: Path) -> Prepared:
    """Choose a sheet, and write a workbook of it alone.

    Args:
        package: the workbook.
        place: how messages call it.
        sheet: the sheet's name; None takes the first visible one with data.
        folder: where to write.

    Raises:
        InputProblem: there is no such sheet, or none with data, or it unpacks to too much.
        KeyError, ET.ParseError: it is damaged.
    """
    book = _Book.of(package)
    chosen, notes = _chosen(book, place, sheet)
    writer = _Writer(folder / "sheet.xlsx", book, package)
    with written(writer.path) as archive:
        writer.write_sheet(archive, chosen.part)
        writer.write_rest(archive)
    notes += hidden_rows(place, chosen.name, writer.hidden, writer.hidden_count)
    return Prepared(writer.path, writer.sheets, chosen.name, notes)


@dataclass(frozen=True, slots=True)
class _Sheet:
    name: str
    part: str
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class _Book:
    """What ``workbook.xml``, its relationships and ``styles.xml`` say."""

    package: Package
    sheets: list[_Sheet]
    texts: str
    styles: str
    is_1904: bool
    is_calculated_on_load: bool

    @classmethod
    def of(cls, package: Package) -> "_Book":
        top = _relations(package, "")
        main = next(part for kind, part in top.values() if kind == "officeDocument")
        related = _relations(package, main)
        root = ET.fromstring(package.read(main))  # noqa: S314 - expat bounds expansion
        properties = _first(root, "workbookPr")
        calculation = _first(root, "calcPr")
        sheets = []
        for each in root.iter():
            if _local(each.tag) != "sheet":
                continue
            identity = next(value for name, value in each.items() if _local(name) == "id")
            kind, part = related[identity]
            if kind == "worksheet":
                hidden = each.get("state", "visible") != "visible"
                sheets.append(_Sheet(each.get("name", ""), part, hidden))
        by_kind = dict(related.values())
        return cls(
            package,
            sheets,
            by_kind.get("sharedStrings", ""),
            by_kind.get("styles", ""),
            properties.get("date1904") in _TRUE,
            calculation.get("fullCalcOnLoad") in _TRUE,
        )

    def has_data(self, sheet: _Sheet) -> bool:
        """Check whether any cell of a sheet has content, as far as it is searched."""
        if sheet.part not in self.package:
            return False
        searched, rest = 0, b""
        for piece in self.package.pieces(sheet.part):
            if _DATA.search(rest + piece):
                return True
            searched += len(piece)
            if searched > _SCANNED:
                break
            rest = piece[-32:]
        return False

    def is_ours(self, sheet: _Sheet) -> bool:
        """Check whether a report of this program has this sheet beside its rows."""
        name, first_cells = _ABOUT
        if sheet.name != name:
            return False
        content = self.package.read(sheet.part)
        root = ET.fromstring(content)  # noqa: S314 - expat bounds expansion
        cell = _first(root, "c")
        text = "".join(cell.itertext())
        if cell.get("t") == "s" and text.isdigit():
            shared = ET.fromstring(self.package.read(self.texts))  # noqa: S314
            text = "".join(shared[int(text)].itertext()) if int(text) < len(shared) else ""
        return text in first_cells

    def padded(self) -> dict[bytes, str]:
        """Return the number formats that may display more than a number, by style."""
        if self.styles not in self.package:
            return {}
        root = ET.fromstring(self.package.read(self.styles))  # noqa: S314
        codes = {
            each.get("numFmtId", ""): each.get("formatCode", "")
            for each in root.iter()
            if _local(each.tag) == "numFmt"
        }
        formats = [each for each in root.iter() if _local(each.tag) == "cellXfs"]
        styles = [each.get("numFmtId", "") for each in (formats[0] if formats else ())]
        return {
            b"%d" % at: codes[style]
            for at, style in enumerate(styles)
            if style in codes and (displayed(codes[style], 7) or displayed(codes[style], 0))
        }


def _chosen(book: _Book, place: str, sheet: str | None) -> tuple[_Sheet, list[str]]:
    """Choose the sheet that is asked for, or else the first visible one with data."""
    if not book.sheets:
        raise InputProblem(f"{place} has no sheets with cells.")
    if sheet is not None:
        for each in book.sheets:
            if each.name == sheet:
                return each, []
        raise InputProblem(no_such_sheet(place, sheet, [each.name for each in book.sheets]))
    filled = [each for each in book.sheets if book.has_data(each)]
    own = [each for each in filled if not book.is_ours(each)] or filled
    visible = [each for each in own if not each.is_hidden]
    if not visible:
        raise InputProblem(no_data(place, book.sheets[0].name, [each.name for each in own]))
    others = [(each.name, each.is_hidden) for each in own if each is not visible[0]]
    return visible[0], other_sheets(place, visible[0].name, others)


class _Writer:
    """Writes the workbook that calamine reads.

    Attributes:
        path: the workbook.
        sheets: the names of its sheets.
        hidden: the numbers of hidden rows with content, as far as they are known.
        hidden_count: how many they are.
    """

    def __init__(self, path: Path, book: _Book, package: Package) -> None:
        self.path = path
        self.sheets: list[str] = []
        self.hidden: list[int] = []
        self.hidden_count = 0
        self._book = book
        self._package = package
        self._formats = book.padded()
        self._styled = [b's="%b"' % style for style in self._formats]

    def write_sheet(self, archive: zipfile.ZipFile, part: str) -> None:
        """Write a sheet as one or more, each of them a smaller rectangle of cells."""
        if part not in self._package:
            raise KeyError(part)
        pieces = self._package.pieces(part)
        head, opening, body = _opened(pieces)
        if opening is None:
            self._write(archive, [head])
            return
        prefix = opening[1] or b""
        foot = b"</%bsheetData></%bworksheet>" % (prefix, prefix)
        collected: list[bytes] = []
        size, first, width = 0, 0, 0
        for rows in self._chunks(body, pieces, prefix):
            for chunk, low, high, columns in _cut(rows, prefix):
                grown = max(width, columns)
                is_placed = low > 0 and first > 0
                is_wide = (high - first + 1) * grown > _PART_CELLS
                if collected and is_placed and (is_wide or size > _PART_BYTES):
                    self._write(archive, [head, *collected, foot])
                    collected, size, first, grown = [], 0, 0, columns
                collected.append(chunk)
                size += len(chunk)
                first, width = first or low, grown
        self._write(archive, [head, *collected, foot])

    def write_rest(self, archive: zipfile.ZipFile) -> None:
        """Write what belongs to the sheets: shared texts, styles, and the workbook itself."""
        kinds = {"sharedStrings": self._book.texts, "styles": self._book.styles}
        relations = ""
        for kind, part in kinds.items():
            if part in self._package:
                with archive.open(f"xl/{kind}.xml", "w") as target:
                    target.writelines(self._package.pieces(part))
                relations += _relation(kind, kind, f"{kind}.xml")
        listed = ""
        for number, name in enumerate(self.sheets, 1):
            relations += _relation(name, "worksheet", f"worksheets/{name}.xml")
            listed += f'<sheet name="{name}" sheetId="{number}" r:id="{name}"/>'
        root = _relation("book", "officeDocument", "xl/workbook.xml")
        date1904 = ' date1904="1"' if self._book.is_1904 else ""
        archive.writestr("_rels/.rels", _related(root))
        archive.writestr("xl/_rels/workbook.xml.rels", _related(relations))
        archive.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><workbookPr{date1904}/>'
            f"<sheets>{listed}</sheets></workbook>",
        )

    def _write(self, archive: zipfile.ZipFile, parts: list[bytes]) -> None:
        name = f"s{len(self.sheets) + 1}"
        self.sheets.append(name)
        with archive.open(f"xl/worksheets/{name}.xml", "w", force_zip64=True) as target:
            target.writelines(parts)

    def _chunks(self, body: bytes, pieces: Iterator[bytes], prefix: bytes) -> Iterator[bytes]:
        """Yield whole rows, their cells changed as the module says, up to the end of the data."""
        end_of_data = b"</%bsheetData" % prefix
        rest = body
        while True:
            end = rest.find(end_of_data)
            if end >= 0:
                yield self._changed(rest[:end])
                return
            piece = next(pieces, None)
            if piece is None:
                yield self._changed(rest)
                return
            cut = _last_end(rest, prefix)
            if cut:
                yield self._changed(rest[:cut])
            rest = rest[cut:] + piece

    def _changed(self, rows: bytes) -> bytes:
        if b"hidden=" in rows:
            for match in _HIDDEN.finditer(rows):
                if _DATA.search(match[2]):
                    self.hidden_count += 1
                    number = _ROW_NUMBER.search(match[1])
                    if number is not None and len(self.hidden) < 10:
                        self.hidden.append(int(number[1]))
        rows = _ERROR.sub(rb"\1\2str\2", rows)
        if _FORMULA.search(rows) or any(style in rows for style in self._styled):
            rows = _CELL.sub(self._cell, rows)
        return _BLANK.sub(b"", rows)

    def _cell(self, match: re.Match[bytes]) -> bytes:
        """Return a cell as it is, or with a text that says what calamine would not read."""
        prefix, attributes, inner = match.groups()
        kind_match, style = _TYPE.search(attributes), _STYLE.search(attributes)
        kind = kind_match[1] if kind_match else b"n"
        value_match = _VALUE.search(inner)
        value = None if value_match is None else (value_match[1] or b"").strip()
        code = self._formats.get(style[1]) if style else None
        text = None
        if _FORMULA.search(inner) and self._is_uncalculated(kind, value, inner):
            text = UNCALCULATED
        elif code is not None and kind == b"n" and value:
            text = displayed(code, _number(value))
        if text is None:
            whole: bytes = match[0]
            return whole
        attributes = _TYPE.sub(b"", attributes)
        return b'<%bc%b t="str"><%bv>%b</%bv></%bc>' % (
            prefix, attributes, prefix, _escaped(text), prefix, prefix,
        )  # fmt: skip

    def _is_uncalculated(self, kind: bytes, value: bytes | None, inner: bytes) -> bool:
        """Check whether a formula has no value, or the 0 that XlsxWriter writes instead of one."""
        if _INLINE.search(inner):
            return False
        if kind == b"str":
            return value is None
        return not value or (kind == b"n" and value == b"0" and self._book.is_calculated_on_load)


def _opened(pieces: Iterator[bytes]) -> tuple[bytes, re.Match[bytes] | None, bytes]:
    """Return what stands before the rows, the tag that opens them, and the first of them."""
    head = b""
    for piece in pieces:
        head += piece
        if head.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise ET.ParseError("its XML is not UTF-8")
        opening = _OPENING.search(head)
        if opening is not None:
            return _DIMENSION.sub(b"", head[: opening.end()]), opening, head[opening.end() :]
    return head, None, b""


def _last_end(rows: bytes, prefix: bytes) -> int:
    """Return where the last whole row ends; 0 if there is none."""
    tag = b"</%brow>" % prefix
    at = rows.rfind(tag)
    return at + len(tag) if at >= 0 else 0


def _cut(rows: bytes, prefix: bytes) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield rows with their first and last number, and their last column.

    Row by row if the rectangle around them is large: then few of its cells have content.
    """
    tag = b"<%brow" % prefix
    low, high = _number_at(rows, rows.find(tag)), _number_at(rows, rows.rfind(tag))
    columns = _columns(rows)
    if not low or (high - low + 1) * columns <= _PART_CELLS:
        yield rows, low, high, columns
        return
    for row in re.split(rb"(?=%b[\s>])" % re.escape(tag), rows):
        number = _number_at(row, row.find(tag))
        yield row, number, number, _columns(row)


def _number_at(rows: bytes, at: int) -> int:
    """Return the number of the row whose tag begins there; 0 if it has none."""
    if at < 0:
        return 0
    number = _ROW_NUMBER.search(rows, at, rows.find(b">", at) + 1)
    return int(number[1]) if number else 0


def _columns(rows: bytes) -> int:
    """Return the number of the last column in which a cell stands."""
    names = set(_COLUMN.findall(rows))
    longest = max(names, key=lambda name: (len(name), name), default=b"A")
    number = 0
    for letter in longest[:4]:
        number = 26 * number + letter - 64
    return number


def _number(value: bytes) -> float:
    try:
        return float(value)
    except ValueError:
        return 0.5  # which no format displays as more


def _relations(package: Package, part: str) -> dict[str, tuple[str, str]]:
    """Return by identity the kind of a part, and its name, that a part is related to."""
    folder, _, name = part.rpartition("/")
    content = package.read(f"{folder}/_rels/{name}.rels")
    found = {}
    for each in ET.fromstring(content):  # noqa: S314 - expat bounds expansion
        target = each.get("Target", "").replace("\\", "/")
        if each.get("TargetMode") != "External":
            path = target if target.startswith("/") else f"{folder}/{target}"
            kind = each.get("Type", "").rpartition("/")[2]
            found[each.get("Id", "")] = kind, posixpath.normpath(path).lstrip("/")
    return found


def _relation(identity: str, kind: str, target: str) -> str:
    return f'<Relationship Id="{identity}" Type="{_OFFICE}/{kind}" Target="{target}"/>'


def _related(relations: str) -> str:
    return f'<Relationships xmlns="{_RELATIONS}">{relations}</Relationships>'


def _first(root: ET.Element, name: str) -> ET.Element:
    """Return the first element of a name, or an empty one."""
    return next((each for each in root.iter() if _local(each.tag) == name), ET.Element(""))


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _escaped(text: str) -> bytes:
    return escape(text).encode()
