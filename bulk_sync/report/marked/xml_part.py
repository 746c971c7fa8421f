"""One XML part of a workbook, changed in places: every other byte stays as it is.

Parsing and writing it anew would lose what the library does not know, such as charts, pictures,
lists to choose from and the values of formulas.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

_START_TAG: Final = re.compile(rb"""<(?:[^"'>]++|"[^"]*+"|'[^']*+')*+>""")
_HEAD_BYTES: Final = 4096
_PREFIX: Final = re.compile(rb"(?:[^<]|<[?!][^>]*>)*<([A-Za-z_][\w.-]*):")
_NOT_XML: Final = re.compile("[^\t\n\r -\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_LIKE_AN_ESCAPE: Final = re.compile("_(?=x[0-9A-Fa-f]{4}_)")


@dataclass(slots=True)
class Element:
    """An element and its place.

    Attributes:
        name: without its prefix.
        attributes: by their names, prefixes included.
        parent: the name of the element around it; "" for the root.
        start: where its start tag begins.
        close: where its end tag begins; ``start`` if it has none.
    """

    name: str
    attributes: Mapping[str, str]
    parent: str
    start: int
    close: int = -1


@dataclass(slots=True)
class XmlPart:
    """The XML of a part, and the changes to it.

    Attributes:
        xml: as it was; if its root has a prefix, as some programs write it, without that prefix.
    """

    xml: bytes
    _inserted: dict[int, bytes] = field(default_factory=dict)
    _replaced: dict[int, tuple[int, bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        match = _PREFIX.match(self.xml[:_HEAD_BYTES])
        if match is not None:  # no text holds a bare <
            self.xml = re.sub(rb"(</?)%s:" % match[1], rb"\1", self.xml)
            self.xml = self.xml.replace(b"xmlns:%s=" % match[1], b"xmlns=", 1)

    def elements(self) -> list[Element]:
        """Return all elements in their order.

        Raises:
            ValueError: it is not UTF-8.
            expat.ExpatError: it is damaged.
        """
        found: list[Element] = []
        open_: list[Element] = []
        parser: Any = parser_of(self.xml)

        def start(tag: str, attributes: dict[str, str]) -> None:
            parent = open_[-1].name if open_ else ""
            name = tag.rpartition(":")[2]
            open_.append(Element(name, attributes, parent, parser.CurrentByteIndex))
            found.append(open_[-1])

        def end(_: str) -> None:
            element = open_.pop()
            is_empty = self.tag(element.start).endswith(b"/>")
            element.close = element.start if is_empty else parser.CurrentByteIndex

        parser.StartElementHandler, parser.EndElementHandler = start, end
        parser.Parse(self.xml, True)  # noqa: FBT003 - it takes no keyword
        return found

    def tag(self, start: int) -> bytes:
        """Return the start tag at a place."""
        match = _START_TAG.match(self.xml, start)
        if match is None:
            raise ValueError("no tag")
        return match[0]

    def end(self, element: Element) -> int:
        """Return where an element ends."""
        return element.close + len(self.tag(element.close))

    def whole(self, element: Element) -> bytes:
        """Return an element with its tags."""
        return self.xml[element.start : self.end(element)]

    def inside(self, element: Element) -> bytes:
        """Return the content of an element."""
        return self.xml[element.start + len(self.tag(element.start)) : element.close]

    def insert(self, at: int, new: bytes) -> None:
        """Insert something at a place, after what was inserted there before."""
        self._inserted[at] = self._inserted.get(at, b"") + new

    def replace(self, start: int, end: int, new: bytes) -> None:
        """Replace what is between two places."""
        self._replaced[start] = end, new

    def remove(self, element: Element) -> None:
        """Remove an element."""
        self.replace(element.start, self.end(element), b"")

    def change(self, start: int, **attributes: str | None) -> None:
        """Change attributes of the start tag at a place; None removes one."""
        tag = self.tag(start)
        self.replace(start, start + len(tag), with_attributes(tag, attributes))

    def append(self, element: Element, new: bytes, **attributes: str | None) -> None:
        """Add content at the end of an element, and change its attributes."""
        tag = self.tag(element.start)
        opened = with_attributes(tag, attributes)
        if element.close > element.start:
            self.replace(element.start, element.start + len(tag), opened)
            self.insert(element.close, new)
            return
        name = re.split(rb"[\s/>]", tag[1:], maxsplit=1)[0]
        opened = re.sub(rb"\s*/>$", b">", opened)
        self.replace(element.start, element.start + len(tag), opened + new + b"</" + name + b">")

    def changed(self) -> bytes:
        """Return the XML with all changes."""
        pieces, at = [], 0
        for start in sorted({*self._inserted, *self._replaced}):
            end, new = self._replaced.get(start, (start, b""))
            pieces += [self.xml[at:start], self._inserted.get(start, b""), new]
            at = end
        return b"".join([*pieces, self.xml[at:]])


def parser_of(xml: bytes) -> Any:
    """Return a parser whose places are those in the bytes.

    Raises:
        ValueError: it is not UTF-8.
    """
    parser: Any = expat.ParserCreate()
    encodings: list[str | None] = []
    parser.XmlDeclHandler = lambda _, encoding, __: encodings.append(encoding)
    parser.Parse(xml[:_HEAD_BYTES])
    if b"\0" in xml[:4] or any((each or "utf-8").lower() != "utf-8" for each in encodings):
        raise ValueError("it is not written in UTF-8")
    return expat.ParserCreate()


def with_attributes(tag: bytes, attributes: Mapping[str, str | None]) -> bytes:
    """Return a start tag with other values of attributes; None removes one."""
    for name, value in attributes.items():
        tag = re.sub(rb"""\s%s\s*=\s*(?:"[^"]*"|'[^']*')""" % name.encode(), b"", tag, count=1)
        if value is not None:
            end = b"/>" if tag.endswith(b"/>") else b">"
            tag = tag.removesuffix(end).rstrip() + f" {name}={quoteattr(value)}".encode() + end
    return tag


def literal(content: str) -> str:
    """Return a text that a workbook shows as it is, to be escaped as XML."""
    return _LIKE_AN_ESCAPE.sub("_x005F_", _NOT_XML.sub("\ufffd", content))


def text(content: str) -> str:
    """Return a text as a workbook's XML holds it."""
    return escape(literal(content))
