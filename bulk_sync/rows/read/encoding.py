"""Bytes as people save text, turned into UTF-8 without a byte order mark.

With a mark it is what the mark says; without one UTF-8, or else Windows-1252, in which Excel
saves CSV. Decoding is strict: a character that cannot be read is an error, never a question mark.
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
_LINE_END: Final = re.compile(rb"\r\n|\r|\n")


def utf8(content: bytes, place: str) -> bytes:
    """Turn the content of a text file into UTF-8.

    Args:
        content: the whole file.
        place: how messages call it.

    Returns:
        The same text; the very object if it is UTF-8 already.

    Raises:
        InputProblem: there is a byte that is no character, or a NUL; the message says where.
    """
    mark = next((mark for mark in _MARKS if content.startswith(mark)), b"")
    if mark:
        text = _marked(content[len(mark) :], _MARKS[mark], place)
    else:
        text = content if content.isascii() or _is_utf8(content) else _western(content, place)
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
    """Number the line, as an editor shows it, that an offset lies in."""
    return len(_LINE_END.findall(text, 0, offset)) + 1


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


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


def _western(content: bytes, place: str) -> bytes:
    try:
        return content.decode("cp1252").encode()
    except UnicodeDecodeError as problem:
        raise InputProblem(
            f"{place} is neither UTF-8 nor Windows-1252: the byte 0x{content[problem.start]:02X} "
            f"at offset {problem.start}, in line {line_at(content, problem.start)}, is no "
            "character. Save it as UTF-8."
        ) from problem
