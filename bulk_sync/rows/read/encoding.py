"""Decodes text into UTF-8 without a byte order mark.

A mark decides. Without one the text is UTF-8, or else Windows-1252, the encoding of Excel's CSV.
Decoding is strict: an unreadable character is an error, never a question mark. Damaged UTF-8 is
refused too, not read as Windows-1252.
"""

import codecs
import re
from typing import Final

from bulk_sync.errors import InputProblem

_MARKS: Final = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_MULTIBYTE: Final = re.compile(
    rb"[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}"
    rb"|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}"
    rb"|\xf4[\x80-\x8f][\x80-\xbf]{2}"
)
"""A character of UTF-8 beyond ASCII: no name has its bytes in Windows-1252."""

_CUT: Final = re.compile(rb"[\xc2\xc3]|[\xe0-\xf4][\x80-\xbf]{1,2}")
"""Half a character at the end of a file, unless it may be the end of a Western word."""

_PIECE_BYTES: Final = 1 << 20
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


def utf8(content: bytes, place: str) -> bytes:
    """Return the content of a text file as UTF-8.

    Args:
        content: the whole file.
        place: its name in messages.

    Returns:
        The same text; the very object if it is UTF-8 already.

    Raises:
        InputProblem: a byte is no character, or NUL; the message has its line.
    """
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    if mark:
        text = _marked(content[len(mark) :], _MARKS[mark], place)
    else:
        bad = None if content.isascii() else _not_utf8(content)
        text = content if bad is None else _western(content, bad, place)
    nul = text.find(b"\0")
    if nul >= 0:
        hint = (
            "It may be UTF-16 without a byte order mark"
            if text.count(b"\0", 0, 1024) > min(len(text), 1024) // 4
            else "It may be damaged, or no text at all"
        )
        raise InputProblem(
            f"{place} has a NUL byte in line {line_at(text, nul)}. {hint}; save it as UTF-8."
        )
    return text


def line_at(text: bytes, offset: int) -> int:
    """Return the number of the line at an offset, as in an editor."""
    return len(_LINE_END.findall(text, 0, offset)) + 1


def _not_utf8(content: bytes) -> int | None:
    """Return the offset of the first byte that is not UTF-8; None if all are."""
    start = 0
    while start < len(content):
        end = start + _PIECE_BYTES
        try:
            _, read = codecs.utf_8_decode(content[start:end], "strict", end >= len(content))
        except UnicodeDecodeError as problem:
            return start + problem.start
        start += read
    return None


def _marked(content: bytes, encoding: str, place: str) -> bytes:
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as problem:
        before = content[: problem.start].decode(encoding, "ignore").encode()
        raise InputProblem(
            f"{place} begins with the mark of {encoding.upper()}, but the byte at offset "
            f"{problem.start} after it, in line {line_at(before, len(before))}, is no such "
            "character. It is damaged or cut off; export it again."
        ) from problem
    return content if encoding == "utf-8" else text.encode()


def _western(content: bytes, bad: int, place: str) -> bytes:
    """Decode Windows-1252, but refuse UTF-8 with a damaged byte: its letters would be wrong."""
    where = f"the byte 0x{content[bad]:02X} at offset {bad}, in line {line_at(content, bad)}"
    if _MULTIBYTE.search(content) or _CUT.fullmatch(content, bad):
        raise InputProblem(
            f"{place} is UTF-8, but {where}, is not. The file is cut off or damaged, or "
            "was put together from files of two encodings. Export it again, or mend that line."
        )
    try:
        return content.decode("cp1252").encode()
    except UnicodeDecodeError as problem:
        start = problem.start
        raise InputProblem(
            f"{place} is neither UTF-8 nor Windows-1252: the byte 0x{content[start]:02X} at offset "
            f"{start}, in line {line_at(content, start)}, is no character. Save it as UTF-8."
        ) from problem
