"""Reads the styles of an .xlsx, as far as they change what is seen of a text or a number."""

from collections.abc import Mapping
from typing import Final, NamedTuple, Self
from xml.etree import ElementTree as ET

from bulk_sync.rows.parse.cell_text import UNSEEN, relevant, remark
from bulk_sync.rows.parse.package import Package

FALSE: Final = frozenset({"0", "false"})

_BUILT_IN: Final = {
    **dict.fromkeys(map(str, range(41, 45)), '0;-0;"-";@'),
    **dict.fromkeys(map(str, (*range(14, 23), *range(27, 37), 45, 47, *range(50, 59))), "yyyy"),
    "46": "[h]:mm:ss",
}
"""The formats outside a workbook's own list that display more than a number."""

BAD: Final = "FFFFC6CD"
DOUBTFUL: Final = "FFFFEA9D"
"""Light red and light yellow, as no palette has them: by these our marks are recognized."""

_WHITE, _BLACK = "FFFFFF", "000000"
_COLOURS: Final = {
    ("rgb", BAD): _WHITE,  # a text that a mark shows is still to be corrected
    ("rgb", DOUBTFUL): _WHITE,
    ("theme", "0"): _WHITE,
    ("theme", "1"): _BLACK,
    **dict.fromkeys((("indexed", each) for each in ("1", "9", "65")), _WHITE),
    **dict.fromkeys((("indexed", each) for each in ("0", "8", "64")), _BLACK),
}
"""Colours that a workbook may name in several ways."""


class Styles(NamedTuple):
    """What matters of styles, by their numbers.

    Attributes:
        formats: number formats that display more than a number.
        remarks: on texts that are struck out, or in a font of symbols.
        unseen: on texts in the colour of their cell.
    """

    formats: Mapping[str, str]
    remarks: Mapping[str, str]
    unseen: Mapping[str, str]


def read_styles(package: Package, part: str) -> Styles:
    """Return the styles of a workbook; none if it has no such part."""
    if part not in package:
        return Styles({}, {}, {})
    root = ET.fromstring(package.read(part))  # noqa: S314 - expat bounds expansion
    listed = first_element(root, "numFmts")  # those of conditional formats stand elsewhere
    codes = _BUILT_IN | {each.get("numFmtId", ""): each.get("formatCode", "") for each in listed}
    fonts = {str(at): _Font.of(each) for at, each in enumerate(first_element(root, "fonts"))}
    fills = {str(at): _fill(each) for at, each in enumerate(first_element(root, "fills"))}
    formats, remarks, unseen = {}, {}, {}
    for at, style in enumerate(first_element(root, "cellXfs")):
        font = fonts.get(style.get("fontId", ""), _Font())
        formats[str(at)] = relevant(codes.get(style.get("numFmtId", ""), ""))
        remarks[str(at)] = font.said
        is_unseen = font.colour == fills.get(style.get("fillId", ""), _WHITE)
        unseen[str(at)] = UNSEEN if is_unseen else ""
    return Styles(*map(_filled, (formats, remarks, unseen)))


def _filled(texts: Mapping[str, str]) -> dict[str, str]:
    return {at: text for at, text in texts.items() if text}


class _Font(NamedTuple):
    said: str = ""
    colour: str = _BLACK

    @classmethod
    def of(cls, font: ET.Element) -> Self:
        parts = {local_name(each.tag): each for each in font}
        values = {name: each.get("val", "1") for name, each in parts.items()}
        is_struck = values.get("strike", "0") not in FALSE
        said = remark(values.get("name", ""), is_struck=is_struck)
        return cls(said, _colour(parts.get("color"), _BLACK))


def _fill(fill: ET.Element) -> str:
    """Return the colour of a cell by its fill; "" if it has more than one."""
    if len(first_element(fill, "gradientFill")):
        return ""
    pattern = first_element(fill, "patternFill")
    foreground = next((each for each in pattern if local_name(each.tag) == "fgColor"), None)
    colours = {"none": _WHITE, "solid": _colour(foreground, "")}
    return colours.get(pattern.get("patternType", "none"), "")


def _colour(element: ET.Element | None, default: str) -> str:
    """Return a colour as red, green and blue, or as the workbook names it."""
    if element is None or element.get("auto") not in {None, *FALSE}:
        return default
    named = sorted(element.items())  # with a tint there are two
    if len(named) == 1 and named[0] in _COLOURS:
        return _COLOURS[named[0]]
    rgb = element.get("rgb", "")[-len(_WHITE) :].upper()
    return rgb or (str(named) if named else default)


def first_element(root: ET.Element, name: str) -> ET.Element:
    """Return the first element of a name; an empty one if there is none."""
    return next((each for each in root.iter() if local_name(each.tag) == name), ET.Element(name))


def local_name(name: str) -> str:
    """Return the name of an element without its namespace."""
    return name.rpartition("}")[2]
