"""Reads from an .xls what calamine does not tell: hidden rows, errors, formulas, number formats.

The file is a small file system (OLE, [MS-CFB]) whose stream ``Workbook`` is a list of records
([MS-XLS] 2.4), each with a kind, a length and its data.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from bulk_sync.rows.parse import ole
from bulk_sync.rows.parse.number_format import displayed
from bulk_sync.rows.parse.prepared import UNCALCULATED

_ERRORS: Final = {
    0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A",
}  # fmt: skip
_BOF, _EOF, _BOUNDSHEET, _FORMAT, _XF, _ROW = 0x809, 0x0A, 0x85, 0x41E, 0xE0, 0x208
_NUMBER, _RK, _MULRK, _BOOLERR, _FORMULA = 0x203, 0x27E, 0xBD, 0x205, 0x06
_CELLS: Final = frozenset({_NUMBER, _RK, _MULRK, _BOOLERR, _FORMULA, 0xFD, 0x204, 0xD6})
"""The last three are texts."""


@dataclass(frozen=True, slots=True)
class Details:
    """What one sheet holds beside its values.

    Attributes:
        texts: by row and column, from 0, what cells say that calamine reads otherwise.
        hidden: the numbers of hidden rows with content.
    """

    texts: dict[tuple[int, int], str] = field(default_factory=dict)
    hidden: list[int] = field(default_factory=list)


def is_encrypted(content: bytes) -> bool:
    """Check whether it is not an .xls but the container of a protected new workbook."""
    return "EncryptedPackage".encode("utf-16-le") in content


def details(content: bytes, sheet: int) -> Details:
    """Read the records of one sheet.

    Args:
        content: the whole file.
        sheet: its position among all sheets.

    Returns:
        What was found; nothing if it is no such file or damaged, which calamine will find out.
    """
    try:
        stream = ole.stream(content, frozenset({"workbook", "book"}))
        starts, codes = _globals(stream)
        return _of_sheet(stream, starts[sheet], codes)
    except (struct.error, IndexError):
        return Details()


def _records(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        yield kind, stream[at + 4 : at + 4 + length]
        at += 4 + length


def _inside(stream: bytes, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield the records from one place to the end of what begins there, without embedded charts."""
    depth = 0
    for kind, data in _records(stream, at):
        depth += (kind == _BOF) - (kind == _EOF)
        if depth <= 0:
            return
        if depth == 1:
            yield kind, data


def _globals(stream: bytes) -> tuple[list[int], list[str]]:
    """Return where each sheet begins, and by style the number format, if it is no usual one."""
    codes: dict[int, str] = {}
    formats: list[int] = []
    starts: list[int] = []
    for kind, data in _inside(stream, 0):
        if kind == _BOUNDSHEET:
            starts.append(struct.unpack_from("<I", data)[0])
        elif kind == _FORMAT and len(data) > 5:
            encoding = "utf-16-le" if data[4] & 1 else "latin-1"
            codes[struct.unpack_from("<H", data)[0]] = data[5:].decode(encoding, "replace")
        elif kind == _XF:
            formats.append(struct.unpack_from("<H", data, 2)[0])
    return starts, [codes.get(each, "") for each in formats]


def _of_sheet(stream: bytes, start: int, codes: list[str]) -> Details:
    found = Details()
    hidden: set[int] = set()
    filled: set[int] = set()
    blanks: list[tuple[int, int]] = []
    formulas = 0
    for kind, data in _inside(stream, start):
        if kind == _ROW and data[12] & 0x20:
            hidden.add(struct.unpack_from("<H", data)[0])
        if kind not in _CELLS:
            continue
        row, column = struct.unpack_from("<HH", data)
        filled.add(row)
        error = _error(kind, data)
        if error is not None:
            found.texts[row, column] = error
        if kind == _FORMULA:
            formulas += 1
            if _is_blank(data):
                blanks.append((row, column))
        for at, style, value in _numbers(kind, data):
            text = displayed(codes[style], value) if style < len(codes) else None
            if text is not None:
                found.texts[row, column + at] = text
    if len(blanks) == formulas:
        found.texts.update(dict.fromkeys(blanks, UNCALCULATED))
    found.hidden.extend(sorted(row + 1 for row in hidden & filled))
    return found


def _error(kind: int, data: bytes) -> str | None:
    """Return the error value of a cell; None if it has another value."""
    if kind == _BOOLERR and data[7] == 1:
        return _ERRORS.get(data[6], "#ERROR!")
    if kind == _FORMULA and data[12:14] == b"\xff\xff" and data[6] == 2:
        return _ERRORS.get(data[8], "#ERROR!")
    return None


def _is_blank(data: bytes) -> bool:
    """Check whether a formula's value is the empty text, or a 0 to be calculated on loading.

    It is what programs write that do not calculate. Spreadsheets write the empty text as well, as
    a result; but hardly ever for every formula of a sheet.
    """
    if data[12:14] == b"\xff\xff":
        return data[6] == 3
    return bool(data[14] & 2) and not any(data[6:14])


def _numbers(kind: int, data: bytes) -> Iterator[tuple[int, int, float]]:
    """Yield the numbers of a record: how far to the right, in which style, and the value."""
    if kind == _NUMBER:
        yield 0, struct.unpack_from("<H", data, 4)[0], struct.unpack_from("<d", data, 6)[0]
    elif kind == _RK:
        yield 0, struct.unpack_from("<H", data, 4)[0], _rk(data, 6)
    elif kind == _MULRK:
        for at in range((len(data) - 6) // 6):
            yield at, struct.unpack_from("<H", data, 4 + 6 * at)[0], _rk(data, 6 + 6 * at)


def _rk(data: bytes, at: int) -> float:
    """Return a number that was packed into 30 bits."""
    raw = struct.unpack_from("<i", data, at)[0]
    value: float = raw >> 2
    if not raw & 2:
        value = struct.unpack("<d", bytes(4) + struct.pack("<i", raw & ~3))[0]
    return value / 100 if raw & 1 else value
