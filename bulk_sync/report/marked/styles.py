"""The styles of a workbook: a cell's own style with another fill, and back.

A fill is ours if it has one of our colours, which no palette has. It stays recognizable after any
spreadsheet program, which numbers the styles anew, has saved the workbook.
"""

import re
from typing import Final

from bulk_sync.report.marked.xml_part import XmlPart, with_attributes

BAD: Final = "FFFFC6CD"
"""Light red: the cell must be corrected."""

DOUBTFUL: Final = "FFFFEA9D"
"""Light yellow: the row is used, but the cell is worth a look."""

_OURS: Final = {f"rgb {BAD}", f"rgb {DOUBTFUL}"}
_SOLID: Final = re.compile(rb"""patternType\s*=\s*["']solid["']""")
_FOREGROUND: Final = re.compile(rb"<fgColor\b([^>]*)>")
_VALUE: Final = re.compile(r"""(rgb|theme|tint|indexed)\s*=\s*["']([\w.+-]+)["']""")
_SPOKEN: Final = re.compile(r"(rgb|theme|tint|indexed) ([\w.+-]+)")


class Styles:
    """The styles of a workbook, and those to be added.

    Attributes:
        ours: the numbers of the cell styles with one of our fills.
    """

    def __init__(self, xml: bytes) -> None:
        self._part = XmlPart(xml)
        elements = self._part.elements()
        self._lists = {
            each.name: each for each in elements if each.name in {"fonts", "fills", "cellXfs"}
        }
        self._items = {
            name: [self._part.whole(each) for each in elements if each.parent == name]
            for name in self._lists
        }
        self._numbers = {
            name: {xml: number for number, xml in enumerate(items)}
            for name, items in self._items.items()
        }
        self._filled: dict[tuple[int, str], int] = {}
        self._counts = {name: len(items) for name, items in self._items.items()}
        styles = range(self._counts["cellXfs"])
        self.ours = frozenset(style for style in styles if self._colour(style) in _OURS)

    def own_colour(self, style: int) -> str:
        """Return the colour of a style's fill in words, such as ``rgb FFFFFF00``; "" if none."""
        colour = self._colour(style)
        return "" if colour in _OURS else colour

    def filled(self, style: int, colour: str) -> int:
        """Return the number of a style with a fill of another colour in words; "" is no fill."""
        if (style, colour) not in self._filled:
            self._filled[style, colour] = self._with_fill(style, colour)
        return self._filled[style, colour]

    def _with_fill(self, style: int, colour: str) -> int:
        values = _SPOKEN.findall(colour)
        fill = b"0"
        if values:
            spoken = " ".join(f'{name}="{value}"' for name, value in values)
            xml = (
                f'<fill><patternFill patternType="solid"><fgColor {spoken}/>'
                '<bgColor indexed="64"/></patternFill></fill>'
            )
            fill = str(self._add("fills", xml.encode())).encode()
        xf = self._items["cellXfs"][style]
        tag = xf[: xf.index(b">") + 1]
        changed = {"fillId": fill.decode(), "applyFill": "1" if values else None}
        return self._add("cellXfs", with_attributes(tag, changed) + xf[len(tag) :])

    def written(self, font: str, alignment: str) -> int:
        """Return the number of a style for a text.

        Args:
            font: what is in the ``font`` element.
            alignment: the attributes of the alignment.
        """
        number = self._add("fonts", f"<font>{font}</font>".encode())
        xml = (
            f'<xf numFmtId="0" fontId="{number}" fillId="0" borderId="0" xfId="0" applyFont="1" '
            f'applyAlignment="1"><alignment {alignment}/></xf>'
        )
        return self._add("cellXfs", xml.encode())

    def changed(self) -> bytes:
        """Return the XML with the added styles."""
        for name, items in self._items.items():
            added = b"".join(items[self._counts[name] :])
            if added:
                self._part.append(self._lists[name], added, count=str(len(items)))
        return self._part.changed()

    def _colour(self, style: int) -> str:
        xf = self._items["cellXfs"][style]
        number = re.search(rb"""\sfillId\s*=\s*["'](\d+)""", xf)
        fill = b"" if number is None else self._items["fills"][int(number[1])]
        colour = _FOREGROUND.search(fill)
        if colour is None or not _SOLID.search(fill):
            return ""
        found = _VALUE.findall(colour[1].decode())
        return " ".join(f"{name} {value}" for name, value in found)

    def _add(self, name: str, xml: bytes) -> int:
        """Return the number of an item, added if it is not there."""
        numbers = self._numbers[name]
        if xml not in numbers:
            numbers[xml] = len(self._items[name])
            self._items[name].append(xml)
        return numbers[xml]


MINIMAL: Final = (
    b'<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    b'<styleSheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
    b'<fonts count="1"><font><sz val="11"/><name val="Calibri"/></font></fonts>'
    b'<fills count="2"><fill><patternFill patternType="none"/></fill>'
    b'<fill><patternFill patternType="gray125"/></fill></fills>'
    b'<borders count="1"><border><left/><right/><top/><bottom/><diagonal/></border></borders>'
    b'<cellStyleXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0"/></cellStyleXfs>'
    b'<cellXfs count="1"><xf numFmtId="0" fontId="0" fillId="0" borderId="0" xfId="0"/></cellXfs>'
    b'<cellStyles count="1"><cellStyle name="Normal" xfId="0" builtinId="0"/></cellStyles>'
    b"</styleSheet>"
)
"""The styles of a workbook that has none."""
