"""Finds the error cells of an .xlsx sheet, such as ``#NAME?``, which calamine reads as empty.

An error is not an empty cell: a key that Excel has broken must be told as such, and a broken state
must not pass for a blank one.
"""

import re
import zipfile
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

_ERROR: Final = re.compile(rb'<(?:\w+:)?c\b[^>]*\bt="e"[^>]*>.*?</(?:\w+:)?c>', re.DOTALL)
_PLACE: Final = re.compile(rb'\br="([A-Z]+)([0-9]+)"')
_VALUE: Final = re.compile(rb"<(?:\w+:)?v>([^<]*)<")
_RELATION: Final = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"


def error_cells(path: Path, sheet: str) -> dict[tuple[int, int], str]:
    """Find the error cells of one sheet.

    Args:
        path: a workbook that can be read; of another format than .xlsx it has no such cells here.
        sheet: the sheet's name.

    Returns:
        The error's text by row number, from 1, and column, from 0.
    """
    if not zipfile.is_zipfile(path):
        return {}
    with zipfile.ZipFile(path) as book:
        part = _part(book, sheet)
        content = book.read(part) if part is not None else b""
    found = {}
    for cell in _ERROR.findall(content):
        place, value = _PLACE.search(cell), _VALUE.search(cell)
        if place is not None and value is not None:
            found[int(place[2]), _column(place[1])] = value[1].decode("utf-8", "replace")
    return found


def _part(book: zipfile.ZipFile, sheet: str) -> str | None:
    """Tell which file of the package holds a sheet."""
    names = set(book.namelist())
    relations = "xl/_rels/workbook.xml.rels"
    if not {"xl/workbook.xml", relations} <= names:
        return None
    targets = {
        each.get("Id"): each.get("Target", "")
        for each in ET.fromstring(book.read(relations))  # noqa: S314 - expat bounds entities
    }
    for each in ET.fromstring(book.read("xl/workbook.xml")).iter():  # noqa: S314 - expat bounds entities
        if each.tag.endswith("}sheet") and each.get("name") == sheet:
            target = targets.get(each.get(_RELATION), "")
            part = target.removeprefix("/") if target.startswith("/") else f"xl/{target}"
            return part if part in names else None
    return None


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - ord("A") + 1
    return number - 1
