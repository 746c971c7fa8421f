"""Reads CSV and its kin in parts, every cell to the letter.

    bytes --encoding--> UTF-8 --header--> separator, names --> records, as far as memory goes

    records --even--> at once, by pyarrow
            '--uneven, such as with an empty line, or quotes within cells--> record by record, by
               csv, from here on

Where records end is known as long as quotes enclose cells: behind a line end with an even number of
quotes above it. The csv module finds the line of every error. Ragged lines and stray quotes are
refused, because they are how rows get lost.

A record is one row, however many lines its cells hold. A line with nothing but separators is no
row, but keeps its number, as in a spreadsheet.
"""

import csv
import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from bulk_sync.errors import InputProblem
from bulk_sync.rows.parse import formats
from bulk_sync.rows.read.cells import Cells, Table, from_records, grouped
from bulk_sync.rows.read.content import Content, Spool
from bulk_sync.rows.read.encoding import utf8
from bulk_sync.rows.read.first_rows import Wanted
from bulk_sync.rows.read.text_header import TextHeader, find_header

_PIECE_BYTES: Final = 1 << 22
"""What is read at once of a large text: less than a part, because reading takes a few times as much
memory."""

_RECORD_BYTES: Final = 1 << 26
"""In a larger record a quote is not closed, or it is read like one with quotes within cells."""

_NAMED_LINES: Final = 3
_QUOTE: Final = ord('"')

_BLOCKS: Final = 32
_LEAST_BLOCK: Final = 1 << 20
"""A large input is read in so many blocks. Each becomes a chunk of its columns, and a search for
rows in any order pays for each chunk. With 64, memory is left in pieces: ``make bench`` with the
room ``huge`` peaks at 3,890 MB instead of 2,840 MB."""

_LONGEST_CELL: Final = 1 << 24
csv.field_size_limit(_LONGEST_CELL)  # its default refuses a cell of 131,073 characters


def table(content: Content, place: str, wanted: Wanted, spool: Spool, most_bytes: int) -> Table:
    """Return the table of one text; it is one part if the text is small.

    A part has ``most_bytes`` at most, but at least one record.

    Raises:
        InputProblem: it is no text, empty or without a header; or later, while its rows are read,
            it is ragged, or a quote is not closed: the message has the line.

    Memory: a text as large as a part, and its columns.
    """
    formats.refuse_binary(place, content.read(0, 1024))
    is_small = len(content) <= most_bytes
    decoded = utf8(content, place, spool)
    header = find_header(decoded, place, wanted)
    size = len(decoded) if is_small else min(most_bytes, _PIECE_BYTES)

    def read() -> Generator[Cells, None, None]:
        yield from grouped(_read(header, place, size), most_bytes)

    return Table(header.names, None, header.row, read)


def _read(header: TextHeader, place: str, most_bytes: int) -> Generator[Cells, None, None]:
    while header.start < header.end:
        found = _next(header, most_bytes)
        if found is None:
            yield from _by_records(header, place, most_bytes)
            return
        cells, header = found
        yield cells


def _next(header: TextHeader, most_bytes: int) -> tuple[Cells, TextHeader] | None:
    """Return the next rows, and the header moved behind them; None if they are not even."""
    piece = _piece(header, most_bytes)
    if piece is None:
        return None
    is_quoted = piece.text.find(b'"') >= 0
    if is_quoted and not _quotes_enclose(piece):
        return None
    end, texts = piece.end, _even(piece, is_quoted=is_quoted)
    if texts is None:
        return None
    del piece  # before the numbers are made
    last = header.row + len(texts[0])
    cells = Cells(header.names, texts, np.arange(header.row + 1, last + 1))
    return cells, replace(header, start=header.start + end, row=last)


def _piece(header: TextHeader, most_bytes: int) -> TextHeader | None:
    """Return the next whole records below a header; None if it is not seen where they end.

    It is None too if the file was cut meanwhile: nothing is there to move on.
    """
    size, start = most_bytes, header.start
    while size <= max(most_bytes, _RECORD_BYTES):
        if start + size >= header.end:
            rest = header.text.part(start, header.end)
            return replace(header, text=rest, start=0, end=len(rest)) if len(rest) else None
        block = header.text.read(start, start + size)
        if block.endswith(b"\r") and header.text.read(start + size, start + size + 1) == b"\n":
            block += b"\n"
        if end := _records_end(block):
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


def _by_records(header: TextHeader, place: str, most_bytes: int) -> Iterator[Cells]:
    header = replace(header, line=header.text.line_at(header.start) - 1)  # for errors
    filled = ((at, record) for at, record in _records(header, place) if record)
    while len((cells := from_records(header.names, _first(filled, most_bytes))).numbers):
        yield cells


def _first(
    records: Iterable[tuple[int, Sequence[str]]], most_bytes: int
) -> Iterator[tuple[int, Sequence[str]]]:
    size = 0
    for number, record in records:
        yield number, record
        size += sum(map(len, record)) + len(record)
        if size >= most_bytes:
            return


def _even(piece: TextHeader, *, is_quoted: bool) -> Sequence[pa.ChunkedArray] | None:
    """Read the columns of an even text at once; return None if it is not even."""
    keys = [str(at) for at in range(len(piece.names))]
    try:
        # Not read_csv, which has more blocks under way: 85 MB more of 10,000,000 rows.
        table = pa_csv.open_csv(
            pa.py_buffer(piece.text.view()),
            read_options=pa_csv.ReadOptions(
                column_names=keys, block_size=max(_LEAST_BLOCK, piece.end // _BLOCKS)
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=piece.separator,
                quote_char='"' if is_quoted else False,
                newlines_in_values=is_quoted,
                ignore_empty_lines=False,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(keys, pa.string()),  # pandas widens them
                strings_can_be_null=False,
                check_utf8=False,
            ),
        ).read_all()
    except pa.ArrowInvalid:
        return None
    return None if _has_empty_rows(table) else table.columns


def _has_empty_rows(table: pa.Table) -> bool:
    empty: pa.ChunkedArray | None = None
    for column in table.columns:
        here = pc.equal(column, "")
        empty = here if empty is None else pc.and_(empty, here)
        if not pc.any(empty).as_py():
            return False
    return True


def _quotes_enclose(piece: TextHeader) -> bool:
    """Check whether quotes only open before a cell, close behind it, or are doubled inside.

    Then every other quote opens, and stands behind a separator, a line end, or the other half of a
    double quote; the ones between close likewise. One stray quote breaks this somewhere.
    """
    text = np.frombuffer(piece.text.view(), np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    edge = np.zeros(256, np.bool_)
    edge[[ord(piece.separator), ord("\r"), ord("\n"), _QUOTE]] = True
    opening = quotes[::2]
    before = text[opening[opening > 0] - 1]  # before the first byte is the end of a line
    behind = text.take(quotes[1::2] + 1, mode="clip")  # behind the last byte: that byte, a quote
    return len(quotes) % 2 == 0 and bool(edge[before].all() and edge[behind].all())


def _records(header: TextHeader, place: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield each record with its row number, an empty one as []; refuse uneven ones at the end."""
    width = len(header.names)
    ragged: list[tuple[int, int]] = []
    count = 0
    reader = csv.reader(header.lines(), delimiter=header.separator, strict=True)
    line = latest = header.line + 1
    try:
        for number, record in enumerate(reader, header.row + 1):
            if not any(record):
                yield number, []
            else:
                latest = line
                if len(record) == width:
                    yield number, record
                elif (count := count + 1) <= _NAMED_LINES:
                    ragged.append((line, len(record)))
            line = header.line + reader.line_num + 1
    except csv.Error as problem:
        last = header.line + reader.line_num
        if last == line and '"' not in "".join(_lines(header, line, last)):
            raise InputProblem(
                f"In {place}, a cell in line {line} has more than {_LONGEST_CELL:,} characters. "
                "That is no list of keys; see that its export finished, and its line ends are kept."
            ) from problem
        opening = _opening(header, line, last)
        raise InputProblem(
            f"In {place}, the quote that opens in line {opening} is not closed before its cell "
            "ends. Close it, or double a quote that is part of the text."
        ) from problem
    if ragged:
        named = ", ".join(f"line {line} ({found})" for line, found in ragged)
        more = f" and {count - len(ragged)} more" if count > len(ragged) else ""
        lines = "1 line does" if count == 1 else f"{count:,} lines do"
        remedy = f"Quote cells that hold {header.separator!r}, and mend the rest."
        if ragged[0][0] == latest and ragged[0][1] < width:
            remedy = (
                "It is the last line, so the file may be cut off: see that its export finished."
            )
        raise InputProblem(
            f"In {place}, {lines} not have {width} cells as the header has: {named}{more}. {remedy}"
        )


def _lines(header: TextHeader, first: int, last: int) -> Iterator[str]:
    return islice(header.lines(), first - header.line - 1, last - header.line)


def _opening(header: TextHeader, line: int, end: int) -> int:
    """Find the line of the first unclosed quote in the record on some lines."""
    record = "".join(_lines(header, line, end))
    separator = re.escape(header.separator)
    bare = rf"[^\"{separator}\r\n][^{separator}\r\n]*+"
    closed = re.match(rf'(?:(?:"(?:[^"]++|"")*+"|{bare}|){separator})*+', record)
    before = record[: closed.end() if closed else 0].encode()
    return line + Content.of(before).line_at(len(before)) - 1
