"""Reads a text larger than memory in parts, each as ``text`` reads a whole one.

    records, as far as memory goes --even--> at once
                                   |--uneven, such as with an empty line--> record by record
                                   '--quotes within cells--> record by record from here on

Where records end is known as long as quotes enclose cells: behind a line end with an even number of
quotes above it. Memory: one part, which has at least one record.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from bulk_sync.errors import InputProblem
from bulk_sync.rows.parse import formats
from bulk_sync.rows.read import text
from bulk_sync.rows.read.cells import Cells, Parts, from_records, grouped
from bulk_sync.rows.read.content import Content, Spool, explained
from bulk_sync.rows.read.encoding import utf8
from bulk_sync.rows.read.first_rows import Wanted
from bulk_sync.rows.read.text_header import Header, find_header

_PIECE_BYTES: Final = 1 << 22
"""What is read at once: less than a part, because reading takes a few times as much memory."""

_RECORD_BYTES: Final = 1 << 26
"""In a larger record a quote is not closed, or it is read like one with quotes within cells."""


def parts(
    content: Content,
    place: str,
    wanted: Wanted,
    spool: Spool,
    most_bytes: int,
) -> Parts:
    """Return the table of one text; it is one part if the text is small.

    Args:
        content: the whole input, unpacked.
        place: its name in messages.
        wanted: what is known of its header.
        spool: makes the file for a text that is decoded.
        most_bytes: how many bytes a part may have.

    Raises:
        InputProblem: as for ``text.cells``; about its lines when they are read.
    """
    if len(content) <= most_bytes:
        return Parts.of(text.cells(content.in_memory(), place, wanted))
    formats.refuse_binary(place, content.read(0, 1024))
    decoded = utf8(content, place, spool)
    header = find_header(decoded, place, wanted)
    size = min(most_bytes, _PIECE_BYTES)

    def read() -> Generator[Cells, None, None]:
        yield from grouped(_read(header, place, size), most_bytes)

    return Parts(header.names, None, header.row, read)


def _read(header: Header, place: str, most_bytes: int) -> Generator[Cells, None, None]:
    """Yield the rows below a header."""
    with explained(place):
        while header.start < header.end:
            found = _next(header, place, most_bytes)
            if found is None:
                yield from _by_records(_from_here(header), place, most_bytes)
                return
            cells, header = found
            if len(cells.numbers):
                yield cells


def _next(header: Header, place: str, most_bytes: int) -> tuple[Cells, Header] | None:
    """Return the next rows below a header, and the header moved behind them.

    It is None if quotes do not show where the rows end.
    """
    piece = _piece(header, most_bytes)
    if piece is not None and (texts := text.even(piece)) is not None:
        cells = text.numbered(header.names, texts, header.row)
        last = header.row + len(cells.numbers)
    elif piece is not None and text.quotes_enclose(piece):
        cells, last = _exact(piece, header, place)
    else:
        return None
    return cells, replace(header, start=header.start + piece.end, row=last)


def _piece(header: Header, most_bytes: int) -> Header | None:
    """Return the next whole records below a header; None if it is not seen where they end."""
    size, start = most_bytes, header.start
    while size <= max(most_bytes, _RECORD_BYTES):
        block = header.text.read(start, min(start + size, header.end))
        is_last = len(block) < size or start + size >= header.end
        if block.endswith(b"\r") and header.text.read(start + size, start + size + 1) == b"\n":
            block += b"\n"
        if end := len(block) if is_last else _records_end(block):
            return replace(header, text=Content.of(block[:end]), start=0, end=end)
        size *= 2
    return None


def _records_end(block: bytes) -> int:
    """Return the offset behind the last line end outside of quotes; 0 if there is none."""
    end = block.rfind(b'"') if block.count(b'"') % 2 else len(block)
    while end >= 0:
        closing = block.rfind(b'"', 0, end)
        feed, carriage = (block.rfind(each, closing + 1, end) for each in (b"\n", b"\r"))
        if (found := max(feed, carriage)) >= 0:
            return found + 1
        end = block.rfind(b'"', 0, max(closing, 0))
    return 0


def _exact(piece: Header, header: Header, place: str) -> tuple[Cells, int]:
    """Return the rows of an uneven piece, and the number of its last record."""
    try:
        return text.exact(piece, place)
    except InputProblem:
        for _ in text.records(_from_here(header), place):
            pass  # until it names every such line, by its number in the file
        raise


def _from_here(header: Header) -> Header:
    """Return a header with the number of the line above its rows; for errors."""
    return replace(header, line=header.text.line_at(header.start) - 1)


def _by_records(header: Header, place: str, most_bytes: int) -> Iterator[Cells]:
    """Yield rows read record by record, up to the end of the text."""
    filled = ((at, record) for at, record in text.records(header, place) if record)
    while len((cells := from_records(header.names, _first(filled, most_bytes))).numbers):
        yield cells


def _first(
    records: Iterable[tuple[int, Sequence[str]]], most_bytes: int
) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield the next records, about so many bytes of them."""
    size = 0
    for number, record in records:
        yield number, record
        size += sum(map(len, record)) + len(record)
        if size >= most_bytes:
            return
