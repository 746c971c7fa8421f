"""A person's own workbook with its bad cells marked, and a first sheet that lists them.

    input.xlsx --package--> parts --changed in places--> the same parts, and a sheet --> marked.xlsx
                              |-- styles.py       the fills of bad cells
                              |-- cells.py        their tags in the sheet
                              |-- notes.py        the reasons, as notes of the cells
                              '-- first_sheet.py  counts, what to do, links

Nothing else of the workbook changes, byte for byte: no value, format, formula or its value, chart,
picture or other sheet. Marks and the first sheet of an earlier check are taken off.
"""

import io
import posixpath
import re
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET
from xml.parsers import expat

import pandas as pd

from bulk_sync.errors import InputProblem
from bulk_sync.report import input_sheet, table
from bulk_sync.report.facts import Facts
from bulk_sync.report.marked import cells, first_sheet, problems
from bulk_sync.report.marked.cells import Place
from bulk_sync.report.marked.notes import COMMENTS, DRAWING, Notes
from bulk_sync.report.marked.problems import Problem
from bulk_sync.report.marked.styles import BAD, DOUBTFUL, MINIMAL, Styles
from bulk_sync.report.marked.xml_part import Element, XmlPart, with_attributes
from bulk_sync.rows import columns
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.parse import xlsx
from bulk_sync.rows.parse.package import Package
from bulk_sync.rows.parse.xlsx import relations

MOST_ROWS: Final = 20_000
"""A longer input is better corrected where it comes from."""

_MOST_BYTES: Final = 256 << 20
"""The parts of the workbook may unpack to so many bytes, pictures included."""

_DAMAGE: Final = (
    InputProblem, OSError, EOFError, zipfile.BadZipFile, zlib.error, RuntimeError,
    NotImplementedError, ET.ParseError, expat.ExpatError, LookupError, ValueError, StopIteration,
)  # fmt: skip

_NOT_IN_NAMES: Final = re.compile(r"[\[\]:*?/\\']")
_NAME_CHARACTERS: Final = 31
"""What the name of a sheet cannot hold in an .xlsx, but in an .ods."""

_TYPES: Final = "[Content_Types].xml"
_OFFICE: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006/relationships"
_SPREADSHEET: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_CONTENT_TYPES: Final = {
    "worksheet": f"{_SPREADSHEET}.worksheet+xml",
    "styles": f"{_SPREADSHEET}.styles+xml",
    "comments": f"{_SPREADSHEET}.comments+xml",
    "vmlDrawing": "application/vnd.openxmlformats-officedocument.vmlDrawing",
}
_SUFFIXES: Final = {"vmlDrawing": "vml"}
_RELATIONS: Final = f'<Relationships xmlns="{_PACKAGE}"></Relationships>'.encode()
_SELECTED: Final = re.compile(rb"""\stabSelected\s*=\s*["'](?:1|true)["']""")


class Unmarkable(Exception):
    """The workbook cannot be marked; the text is the reason, to follow *because*."""


def mark(path: Path, rows: pd.DataFrame, layout: Layout, facts: Facts) -> bytes:
    """Return a workbook with marks.

    Args:
        path: it is only read; of an .xls or .ods the list alone is copied.
        rows: the results of its check.
        layout: what of it was read as what.
        facts: those of the check.

    Raises:
        Unmarkable: it has too many rows, or is built in an unusual way.

    Memory: the unpacked parts that change, and the packed workbook twice.
    """
    if len(rows) > MOST_ROWS:
        raise Unmarkable(f"it has more than {MOST_ROWS:,} rows")
    try:
        content, sheet = path.read_bytes(), str(layout.sheet)
        if sha256(content).hexdigest() != facts.source.sha256:
            raise Unmarkable("it has changed since it was read")
        is_copy = not _is_xlsx(path)
        if is_copy:
            sheet = _NOT_IN_NAMES.sub("_", sheet)[:_NAME_CHARACTERS]
            content = _copy(rows, layout, sheet)
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if sum(info.file_size for info in archive.infolist()) > _MOST_BYTES:
                raise Unmarkable(f"it unpacks to more than {_MOST_BYTES >> 20} MB")
            book = _Workbook(archive, len(content), sheet)
            found = problems.find(rows, layout.columns, book.header(layout.header_row))
            head = problems.head(rows, layout, facts, found, is_copy=is_copy)
            return book.marked(found, head)
    except _DAMAGE as problem:
        raise Unmarkable(f"it is built in an unusual way ({problem})") from problem


def _is_xlsx(path: Path) -> bool:
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return _TYPES in archive.namelist()


def _copy(rows: pd.DataFrame, layout: Layout, sheet: str) -> bytes:
    """Return an .xlsx with the list of another workbook, each row in its place."""
    names, header_row = table.own_columns(rows), layout.header_row
    if header_row is None or not input_sheet.fits(rows, names):
        raise Unmarkable("its cells do not fit into an .xlsx")
    numbers = rows[columns.ROW].tolist()
    return bytes(input_sheet.workbook(rows, names, sheet, numbers=numbers, header_row=header_row))


def _folders() -> Iterator[str]:
    """Yield folders for new parts; openpyxl finds styles in the first one only."""
    yield ""
    yield from (f"bulk-sync/{number}/" for number in count(1))


class _Workbook:
    """The parts of a workbook, and those that change."""

    def __init__(self, archive: zipfile.ZipFile, size: int, sheet: str) -> None:
        self._archive, self._sheet = archive, sheet
        self._package = Package(archive, "the workbook", size)
        self._changed: dict[str, bytes] = {}
        self._types: list[tuple[str, str]] = []
        top = relations(self._package, "")
        self._main = next(part for kind, part in top.values() if kind == "officeDocument")
        self._related = relations(self._package, self._main)
        self._book = XmlPart(self._package.read(self._main))
        self._elements = self._book.elements()
        if self._elements[0].attributes.get("xmlns") != _MAIN:  # Strict, or of the far past
            raise ValueError("its XML has other names than usual")
        self._sheets = [each for each in self._elements if each.name == "sheet"]

    def header(self, number: int | None) -> dict[str, int]:
        """Return the texts of a row of the sheet, and where they are."""
        sheet = next(each for each in xlsx.sheets(self._package) if each.name == self._sheet)
        header = next(row for row in sheet.rows() if row.number == number)
        return {name: column for column, name in header.cells.items()}

    def marked(self, found: Sequence[Problem], head: Sequence[str]) -> bytes:
        """Return the workbook with marks, and a first sheet that begins with some sentences."""
        styles_part = next((part for kind, part in self._related.values() if kind == "styles"), "")
        styles = Styles(self._package.read(styles_part) if styles_part else MINIMAL)
        sheet = next(each for each in self._sheets if each.attributes.get("name") == self._sheet)
        self._mark_cells(self._part_of(sheet), found, styles)
        self._add_first_sheet(first_sheet.write(head, found, self._sheet, styles))
        self._set(styles_part, "styles", styles.changed(), self._main)
        self._changed[self._main] = self._book.changed()
        return self._packed()

    def _mark_cells(self, part: str, bad: Sequence[Problem], styles: Styles) -> None:
        """Fill bad cells and add their notes; take off those of an earlier check."""
        marks = {place: problem for problem in bad for place in problem.places}
        wanted: dict[int, set[int]] = {}
        for place in marks:
            wanted.setdefault(place.row, set()).add(place.column)
        found = cells.find(self._package.read(part), wanted, styles.ours)
        related = relations(self._package, part) if self._rels(part) in self._package else {}
        comments = next((to for kind, to in related.values() if kind == "comments"), "")
        drawing = related[found.drawing][1] if found.drawing else ""
        notes = Notes(
            self._package.read(comments) if comments else COMMENTS,
            self._package.read(drawing) if drawing else DRAWING,
        )
        colours: dict[Place, str] = {}
        for place, tag in (found.there | found.missing).items():
            is_ours = tag.style in styles.ours
            own = notes.colours.get(place, "") if is_ours else styles.own_colour(tag.style)
            colours[place] = own
            fill = own
            if place in marks:
                fill = f"rgb {BAD if marks[place].is_bad else DOUBTFUL}"
            found.style(place, styles.filled(tag.style, fill))
        texts = {at: (problem.note, colours[at]) for at, problem in marks.items()}
        if texts or comments:
            new_comments, new_drawing = notes.changed(texts)
            self._set(comments, "comments", new_comments, part)
            identity = self._set(drawing, "vmlDrawing", new_drawing, part)
            if identity:
                xml = f'<legacyDrawing xmlns:r="{_OFFICE}" r:id="{identity}"/>'
                found.part.insert(found.after, xml.encode())
        self._changed[part] = found.part.changed()

    def _add_first_sheet(self, xml: bytes) -> None:
        """Put our sheet before all others, and open the workbook on it."""
        ours = next(
            (each for each in self._sheets if each.attributes.get("name") == first_sheet.NAME), None
        )
        others = [each for each in self._sheets if each is not ours]
        for each in others:
            self._unselect(self._part_of(each))
        if ours is None:
            numbers = [int(each.attributes["sheetId"]) for each in self._sheets]
            identity = self._add("worksheet", xml, self._main)
            element = (
                f'<sheet xmlns:r="{_OFFICE}" name="{first_sheet.NAME}" '
                f'sheetId="{max(numbers) + 1}" r:id="{identity}"/>'
            ).encode()
        else:
            part = self._part_of(ours)
            self._changed[part] = xml
            self._changed[self._rels(part)] = _RELATIONS
            element = with_attributes(self._book.whole(ours), {"state": None})
            self._book.remove(ours)
        self._book.insert(self._sheets[0].start, element)
        self._renumber([ours, *others])

    def _renumber(self, order: Sequence[Element | None]) -> None:
        """Let what refers to sheets by their order refer to the same ones."""
        now = {each.start: at for at, each in enumerate(order) if each is not None}
        numbers = {str(at): str(now[each.start]) for at, each in enumerate(self._sheets)}
        for each in self._elements:
            if each.name == "definedName" and "localSheetId" in each.attributes:
                number = numbers[each.attributes["localSheetId"]]
                self._book.change(each.start, localSheetId=number)
            elif each.name == "workbookView":
                self._book.change(each.start, activeTab="0", firstSheet="0", visibility=None)

    def _unselect(self, part: str) -> None:
        """Let a sheet no longer be selected: what is typed would go into all selected ones."""
        xml = self._changed.get(part) or self._package.read(part)
        head, data, rest = xml.partition(b"sheetData")
        self._changed[part] = _SELECTED.sub(b"", head) + data + rest

    def _part_of(self, sheet: Element) -> str:
        identity = next(value for key, value in sheet.attributes.items() if key.endswith(":id"))
        return self._related[identity][1]

    def _set(self, part: str, kind: str, xml: bytes, owner: str) -> str:
        """Change a part, or add it and return its identity."""
        if part:
            self._changed[part] = xml
            return ""
        return self._add(kind, xml, owner)

    def _add(self, kind: str, xml: bytes, owner: str) -> str:
        """Add a part to which another one refers, and return its identity there."""
        names = (f"{folder}{kind}.{_SUFFIXES.get(kind, 'xml')}" for folder in _folders())
        parts = (posixpath.join(posixpath.dirname(self._main), name) for name in names)
        part = next(each for each in parts if each not in self._package)
        self._changed[part] = xml
        self._types.append((part, _CONTENT_TYPES[kind]))
        rels = self._rels(owner)
        known = self._changed.get(rels)
        if known is None:
            known = self._package.read(rels) if rels in self._package else _RELATIONS
        identities = (f"rIdBulkSync{number}" for number in count(1))
        identity = next(each for each in identities if f'"{each}"'.encode() not in known)
        relations = XmlPart(known)
        xml = f'<Relationship Id="{identity}" Type="{_OFFICE}/{kind}" Target="/{part}"/>'.encode()
        relations.append(relations.elements()[0], xml)
        self._changed[rels] = relations.changed()
        return identity

    @staticmethod
    def _rels(part: str) -> str:
        folder, name = posixpath.split(part)
        return posixpath.join(folder, "_rels", f"{name}.rels")

    def _packed(self) -> bytes:
        """Return the workbook: its parts in their order, then the new ones."""
        types = XmlPart(self._package.read(_TYPES))
        overrides = "".join(
            f'<Override PartName="/{name}" ContentType="{kind}"/>' for name, kind in self._types
        )
        types.append(types.elements()[0], overrides.encode())
        left = {_TYPES: types.changed(), **self._changed}
        whole = io.BytesIO()
        with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as new:
            for name, info in self._package.parts.items():
                changed = next((each for each in left if each.casefold() == name), None)
                copy = zipfile.ZipInfo(info.filename, info.date_time)
                copy.compress_type = zipfile.ZIP_DEFLATED
                new.writestr(
                    copy, self._archive.read(info) if changed is None else left.pop(changed)
                )
            for name, xml in left.items():
                new.writestr(name, xml)
        return whole.getvalue()
