"""Finds what stands above and below the rows of an .xlsx: hidden columns, and merged cells."""

import re
from typing import Final, NamedTuple

from bulk_sync.rows.parse.package import Package
from bulk_sync.rows.parse.sheets import Merged, column_of

_MERGED: Final = re.compile(
    rb"<(?:\w+:)?mergeCell\s[^>]*?ref\s*=\s*[\"']([A-Z]+)(\d+):([A-Z]+)(\d+)[\"']"
)
_COLUMN: Final = re.compile(rb"<(?:\w+:)?col\s([^>]*)>")
_ATTRIBUTE: Final = re.compile(rb"(\w+)\s*=\s*[\"']([^\"']*)[\"']")


class Layout(NamedTuple):
    """The merged cells of a sheet, and the first and last of each range of hidden columns."""

    merged: list[Merged]
    hidden: list[tuple[int, int]]


def read_layout(package: Package, part: str) -> Layout:
    """Return the layout, for which the part is read once: merged cells are listed below the rows.

    To look for its bytes takes a twentieth of the time that parsing takes.
    """
    layout, rest = Layout([], []), b""
    for piece in package.pieces(part):
        text = rest + piece
        if b"\0" in text:
            raise ValueError(f"{part} is in UTF-16")
        if b"mergeCell" in text:
            layout.merged.extend(
                Merged(int(top), column_of(left.decode()), int(bottom), column_of(right.decode()))
                for left, top, right, bottom in _MERGED.findall(text)
            )
        if b"cols>" in text:
            columns = (dict(_ATTRIBUTE.findall(each)) for each in _COLUMN.findall(text))
            layout.hidden.extend(
                (int(each[b"min"]) - 1, int(each[b"max"]) - 1)
                for each in columns
                if each.get(b"hidden") in {b"1", b"true"}
            )
        rest = text[text.rfind(b"<") :]
    return layout
