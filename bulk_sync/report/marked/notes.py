"""The notes of a sheet: the reasons are added to them, and taken off again.

A note of ours is a paragraph that begins with ``bulk-sync:``. What a person wrote into the same
note stays. A note is an entry in the part of comments, and a shape in a drawing beside it.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Final
from xml.etree import ElementTree as ET

from bulk_sync.report.marked.cells import Place
from bulk_sync.report.marked.xml_part import Element, XmlPart, text

AUTHOR: Final = "bulk-sync"
_COLOUR: Final = "(The cell had a colour of its own: "
_OURS: Final = re.compile(
    rf"\s{{0,9}}{AUTHOR}:[^\n]*(?:\n{re.escape(_COLOUR)}(?P<colour>[^\n]*)\.\))?"
)
_TEXT: Final = re.compile(rb"<t\b[^>]*(?<!/)>.*?</t>", re.DOTALL)
_SHAPE: Final = re.compile(rb"<(/?)\w+:shape\b")
_SHAPE_PLACE: Final = re.compile(
    rb"<\w+:Row>\s*(\d+)\s*</\w+:Row>\s*<\w+:Column>\s*(\d+)\s*</\w+:Column>"
)
_SHAPE_ID: Final = re.compile(rb"_x0000_s(\d+)")
_FIRST_SHAPE: Final = 1025
_COLUMNS_WIDE: Final = 3

COMMENTS: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<comments xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    b"<authors/><commentList/></comments>"
)
_NAMES: Final = (
    b' xmlns:v="urn:schemas-microsoft-com:vml" xmlns:o="urn:schemas-microsoft-com:office:office"'
    b' xmlns:x="urn:schemas-microsoft-com:office:excel"'
)
DRAWING: Final = (
    b'<xml%s><o:shapelayout v:ext="edit"><o:idmap v:ext="edit" data="1"/></o:shapelayout></xml>'
) % _NAMES
"""Both parts of a sheet without notes."""

_SHAPE_TYPE: Final = (
    b'<v:shapetype%s id="_x0000_t202" coordsize="21600,21600" o:spt="202" '
    b'path="m,l,21600r21600,l21600,xe"><v:stroke joinstyle="miter"/>'
    b'<v:path gradientshapeok="t" o:connecttype="rect"/></v:shapetype>'
) % _NAMES


class Notes:
    """The notes of a sheet; those of ours are taken off at once.

    Attributes:
        colours: by place, the colour that the cell of a former note of ours had of its own.
    """

    def __init__(self, comments: bytes, drawing: bytes) -> None:
        self._part, self._drawing = XmlPart(comments), drawing
        self._elements = self._part.elements()
        self._kept: dict[Place, tuple[Element, list[bytes]]] = {}
        self.colours: dict[Place, str] = {}
        for at, each in enumerate(self._elements):
            if each.name == "comment":
                self._read(at)

    def changed(self, notes: Mapping[Place, tuple[str, str]]) -> tuple[bytes, bytes]:
        """Return both parts with further notes.

        Args:
            notes: by place, the sentences, and the colour that the cell has of its own, if any.
        """
        added = bytearray()
        author = self._author()
        gone = set(self.colours) - self._kept.keys()
        for place, (sentences, colour) in notes.items():
            note = f"{AUTHOR}: {' '.join(sentences.split())}"
            if colour:
                note += f"\n{_COLOUR}{colour}.)"
            if place in self._kept:
                whole, runs = self._kept[place]
                self._set_runs(whole, [*runs, _run(f"\n\n{note}")])
            else:
                added += f'<comment ref="{place}" authorId="{author}" shapeId="0"><text>'.encode()
                added += _run(note) + b"</text></comment>"
        (comments,) = self._named("commentList")
        self._part.append(comments, bytes(added))
        shapes = [place for place in notes if place not in self._kept]
        return self._part.changed(), self._changed_drawing(gone, shapes)

    def _read(self, at: int) -> None:
        """Take our paragraph off a note; keep the note if something else is left of it."""
        comment = self._elements[at]
        following = map(self._elements.__getitem__, range(at + 1, len(self._elements)))
        end = self._part.end(comment)
        within = list(takewhile(lambda each: each.start < end, following))
        whole = next(each for each in within if each.name == "text")
        runs = [
            self._part.whole(each) if each.name == "r" else b"<r>%s</r>" % self._part.whole(each)
            for each in within
            if each.parent == "text" and each.name in {"t", "r"}
        ]
        content = "".join(_content(each) for run in runs for each in _TEXT.findall(run))
        place, match = Place.parse(comment.attributes["ref"]), _OURS.search(content)
        if match is None:
            self._kept[place] = whole, runs
            return
        self.colours[place] = match["colour"] or ""
        if not _OURS.sub("", content).strip():
            self._part.remove(comment)
            return
        runs = [_TEXT.sub(lambda each: _t(_OURS.sub("", _content(each[0]))), run) for run in runs]
        self._kept[place] = whole, runs
        self._set_runs(whole, runs)

    def _set_runs(self, whole: Element, runs: list[bytes]) -> None:
        xml = b"<text>%s</text>" % b"".join(runs)
        self._part.replace(whole.start, self._part.end(whole), xml)

    def _named(self, name: str) -> list[Element]:
        return [each for each in self._elements if each.name == name]

    def _author(self) -> int:
        """Return the number of our name among the authors."""
        names = [_content(self._part.whole(each)) for each in self._named("author")]
        if AUTHOR not in names:
            (authors,) = self._named("authors")
            self._part.append(authors, f"<author>{AUTHOR}</author>".encode())
            names.append(AUTHOR)
        return names.index(AUTHOR)

    def _changed_drawing(self, gone: set[Place], new: list[Place]) -> bytes:
        pieces, at = [], 0
        for start, stop in _shapes(self._drawing):
            found = _SHAPE_PLACE.search(self._drawing, start, stop)
            if found is not None and Place(int(found[1]) + 1, int(found[2])) in gone:
                pieces.append(self._drawing[at:start])
                at = stop
        drawing = b"".join([*pieces, self._drawing[at:]])
        head, end, tail = drawing.rpartition(b"</xml>")
        if not end:
            raise ValueError("the drawing of its notes is damaged")
        first = max([_FIRST_SHAPE, *(int(each) + 1 for each in _SHAPE_ID.findall(head))])
        shapes = b"".join(_shape(place, first + at) for at, place in enumerate(new))
        shape_type = b"" if b'id="_x0000_t202"' in head else _SHAPE_TYPE
        return head + shape_type + shapes + end + tail


def _shapes(drawing: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the shapes of a drawing begin and end. It need not be XML."""
    start = None
    for match in _SHAPE.finditer(drawing):
        if not match[1]:
            start = match.start()
        elif start is not None:
            yield start, drawing.index(b">", match.end()) + 1
            start = None


def _content(xml: bytes) -> str:
    """Return the text of an element."""
    return "".join(ET.fromstring(xml).itertext())  # noqa: S314 - without a head, so no entities


def _t(content: str) -> bytes:
    return f'<t xml:space="preserve">{text(content)}</t>'.encode()


def _run(content: str) -> bytes:
    font = '<sz val="9"/><color indexed="81"/><rFont val="Tahoma"/><family val="2"/>'
    return f"<r><rPr>{font}</rPr>".encode() + _t(content) + b"</r>"


def _shape(place: Place, number: int) -> bytes:
    """Return the shape of a note, to be seen while the pointer is over its cell."""
    row, column = place.row - 1, place.column
    anchor = f"{column + 1}, 15, {row}, 4, {column + 1 + _COLUMNS_WIDE}, 15, {row + 7}, 4"
    return (
        f'<v:shape{_NAMES.decode()} id="_x0000_s{number}" type="#_x0000_t202" '
        'style="position:absolute;visibility:hidden" fillcolor="#ffffe1" o:insetmode="auto">'
        '<v:fill color2="#ffffe1"/>'
        '<v:shadow on="t" color="black" obscured="t"/><v:path o:connecttype="none"/>'
        '<v:textbox style="mso-direction-alt:auto"><div style="text-align:left"/></v:textbox>'
        '<x:ClientData ObjectType="Note"><x:MoveWithCells/><x:SizeWithCells/>'
        f"<x:Anchor>{anchor}</x:Anchor><x:AutoFill>False</x:AutoFill>"
        f"<x:Row>{row}</x:Row><x:Column>{column}</x:Column></x:ClientData></v:shape>"
    ).encode()
