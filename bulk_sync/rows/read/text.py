"""Reads CSV and its kin, every cell to the letter.

    bytes --encoding--> UTF-8 --header--> separator, names --+--> pyarrow: even files, at once
                                                             '--> csv: the others, record by record

pyarrow reads even files: quotes only around whole cells, no empty lines. The csv module reads the
others, and finds the line of every error. Ragged lines and stray quotes are refused, because they
are how rows get lost.

A record is one row, however many lines its cells hold. A line with nothing but separators is no
row, but keeps its number, as in a spreadsheet.
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from bulk_sync.errors import InputProblem
from bulk_sync.rows.parse import formats
from bulk_sync.rows.read.cells import Cells, from_records
from bulk_sync.rows.read.content import Content
from bulk_sync.rows.read.encoding import utf8
from bulk_sync.rows.read.first_rows import Wanted
from bulk_sync.rows.read.text_header import Header, find_header

_NAMED_LINES: Final = 3
_QUOTE: Final = ord('"')

_BLOCKS: Final = 32
_LEAST_BLOCK: Final = 1 << 20
"""A large input is read in so many blocks. Each becomes a chunk of its columns, and a search for
rows in any order pays for each chunk. With 64, memory is left in pieces: ``make bench`` with the
room ``huge`` peaks at 3,890 MB instead of 2,840 MB."""

_LONGEST_CELL: Final = 1 << 24
csv.field_size_limit(_LONGEST_CELL)  # its default refuses a cell of 131,073 characters


def cells(content: Content, place: str, wanted: Wanted) -> Cells:
    """Read one text.

    Args:
        content: the whole input, unpacked, in memory.
        place: its name in messages.
        wanted: what is known of its header.

    Raises:
        InputProblem: it is no text, empty, without a header, ragged, or a quote is not closed; the
            message has the line.

    Memory: the content, its text as UTF-8 (the same object if it was that), and the columns.
    """
    formats.refuse_binary(place, content.read(0, 1024))
    text = utf8(content, place, io.BytesIO)
    header = find_header(text, place, wanted)
    texts, names, row = even(header), header.names, header.row
    if texts is None:
        return replace(exact(header, place)[0], header_row=row)
    del content, text, header  # so that the text is gone before the numbers are made
    return numbered(names, texts, row)


def numbered(names: Sequence[str], texts: Sequence[pa.ChunkedArray], row: int) -> Cells:
    """Return the rows below a row, all of them with content."""
    return Cells(names, texts, np.arange(row + 1, row + 1 + len(texts[0])), header_row=row)


def even(header: Header) -> Sequence[pa.ChunkedArray] | None:
    """Read the columns of an even text at once; return None if it is not even."""
    text, start, end = header.text, header.start, header.end
    if start >= end or text.read(start, start + 1) in b"\r\n":
        return None
    quoted = text.find(b'"', start, end) >= 0
    if quoted and not quotes_enclose(header):
        return None
    keys = [str(at) for at in range(len(header.names))]
    try:
        # Not read_csv, which has more blocks under way: 85 MB more of 10,000,000 rows.
        table = pa_csv.open_csv(
            pa.py_buffer(text.view(start, end)),
            read_options=pa_csv.ReadOptions(
                column_names=keys, block_size=max(_LEAST_BLOCK, (end - start) // _BLOCKS)
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=header.separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
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
    """Check for lines with nothing but separators."""
    empty: pa.ChunkedArray | None = None
    for column in table.columns:
        here = pc.equal(column, "")
        empty = here if empty is None else pc.and_(empty, here)
        if not pc.any(empty).as_py():
            return False
    return True


def quotes_enclose(header: Header) -> bool:
    """Check whether quotes only open before a cell, close behind it, or are doubled inside.

    Then every other quote opens, and stands behind a separator, a line end, or the other half of a
    double quote; the ones between close likewise. One stray quote breaks this somewhere.
    """
    text = np.frombuffer(header.text.view(header.start, header.end), np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    edge = np.zeros(256, np.bool_)
    edge[[ord(header.separator), ord("\r"), ord("\n"), _QUOTE]] = True
    opening = quotes[::2]
    before = text[opening[opening > 0] - 1]  # before the first byte is the end of a line
    behind = text.take(quotes[1::2] + 1, mode="clip")  # behind the last byte: that byte, a quote
    return len(quotes) % 2 == 0 and bool(edge[before].all() and edge[behind].all())


def exact(header: Header, place: str) -> tuple[Cells, int]:
    """Read any text record by record; return its rows, and the number of the last record."""
    last = header.row

    def filled() -> Iterator[tuple[int, Sequence[str]]]:
        nonlocal last
        for last, record in records(header, place):
            if record:
                yield last, record

    return from_records(header.names, filled()), last


def records(header: Header, place: str) -> Iterator[tuple[int, Sequence[str]]]:
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


def _lines(header: Header, first: int, last: int) -> Iterator[str]:
    return islice(header.lines(), first - header.line - 1, last - header.line)


def _opening(header: Header, line: int, end: int) -> int:
    """Find the line of the first unclosed quote in the record on some lines."""
    record = "".join(_lines(header, line, end))
    separator = re.escape(header.separator)
    bare = rf"[^\"{separator}\r\n][^{separator}\r\n]*+"
    closed = re.match(rf'(?:(?:"(?:[^"]++|"")*+"|{bare}|){separator})*+', record)
    before = record[: closed.end() if closed else 0].encode()
    return line + Content.of(before).line_at(len(before)) - 1
