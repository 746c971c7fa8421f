"""Decodes text into UTF-8 without a byte order mark.

A mark decides. Without one the text is UTF-8, or else Windows-1252, the encoding of Excel's CSV.
Decoding is strict: an unreadable character is an error, never a question mark. Damaged UTF-8 is
refused too, not read as Windows-1252. Memory: a block, and what is decoded into memory.
"""

import codecs
import re
from typing import BinaryIO, Final

from bulk_sync.errors import InputProblem
from bulk_sync.rows.read.content import Content, Spool

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


def utf8(content: Content, place: str, spool: Spool) -> Content:
    """Return the content of a text file as UTF-8: in the same file, or in another one.

    Raises:
        InputProblem: a byte is no character, or NUL; the message has its line.
    """
    head = content.read(0, 4)
    mark = next((mark for mark in _MARKS if head.startswith(mark)), b"")
    if mark:
        text = _marked(content.behind(len(mark)), _MARKS[mark], place, spool)
    else:
        bad = _decode(content, "utf-8")
        text = content if bad is None else _western(content, bad, place, spool)
    nul = text.find(b"\0")
    if nul >= 0:
        head = text.read(0, 1024)
        hint = (
            "It may be UTF-16 without a byte order mark"
            if head.count(b"\0") > len(head) // 4
            else "It may be damaged, or no text at all"
        )
        raise InputProblem(
            f"{place} has a NUL byte in line {text.line_at(nul)}. {hint}; save it as UTF-8."
        )
    return text


def _decode(content: Content, encoding: str, into: BinaryIO | None = None) -> int | None:
    """Return the offset of the first bad byte, if any; write the text before it as UTF-8."""
    decoder = codecs.getincrementaldecoder(encoding)()
    for start, block in content.blocks():
        end, bad = start + len(block), None
        try:
            text = decoder.decode(block, final=end == len(content))
        except UnicodeDecodeError as problem:
            text = problem.object[: problem.start].decode(encoding)
            bad = end - len(problem.object) + problem.start  # it begins with the last block's rest
        if into is not None:
            into.write(text.encode())
        if bad is not None:
            return bad
    return None


def _marked(content: Content, encoding: str, place: str, spool: Spool) -> Content:
    if encoding == "utf-8":
        bad, text = _decode(content, encoding), content
    else:
        into = spool()
        bad, text = _decode(content, encoding, into), Content(into)
    if bad is not None:
        line = text.line_at(bad if text is content else len(text))
        raise InputProblem(
            f"{place} begins with the mark of {encoding.upper()}, but the byte at offset {bad} "
            f"after it, in line {line}, is no such character. It is damaged or cut off; export it "
            "again."
        )
    return text


def _western(content: Content, bad: int, place: str, spool: Spool) -> Content:
    """Decode Windows-1252, but refuse UTF-8 with a damaged byte: its letters would be wrong."""
    if _has_multibyte(content) or _CUT.fullmatch(content.read(bad, bad + 4)):
        raise InputProblem(
            f"{place} is UTF-8, but {_where(content, bad)}, is not. The file is cut off or "
            "damaged, or was put together from files of two encodings. Export it again, or mend "
            "that line."
        )
    into = spool()
    bad_too = _decode(content, "cp1252", into)
    if bad_too is not None:
        raise InputProblem(
            f"{place} is neither UTF-8 nor Windows-1252: {_where(content, bad_too)}, is no "
            "character. Save it as UTF-8."
        )
    return Content(into)


def _where(content: Content, at: int) -> str:
    byte = content.read(at, at + 1).hex().upper()
    return f"the byte 0x{byte} at offset {at}, in line {content.line_at(at)}"


def _has_multibyte(content: Content) -> bool:
    before = b""
    for _, block in content.blocks():
        if _MULTIBYTE.search(before + block):
            return True
        before = block[-3:]  # with less than a character
    return False
