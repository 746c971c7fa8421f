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
from bulk_sync.rows.read.encoding import line_at, utf8
from bulk_sync.rows.read.first_rows import Wanted
from bulk_sync.rows.read.text_header import Header, find_header

_NAMED_LINES: Final = 3
_QUOTE: Final = ord('"')

_BLOCKS: Final = 32
_LEAST_BLOCK: Final = 1 << 20
"""A large input is read in so many blocks. Each becomes a chunk of its columns, and a search for
rows in any order pays for each chunk. With 64, memory is left in pieces: ``make bench`` with the
room ``huge`` peaks at 3,890 MB instead of 2,840 MB."""

csv.field_size_limit(1 << 30)  # its default refuses a cell of 131,073 characters


def cells(content: bytes, place: str, wanted: Wanted, *, prefer_tab: bool = False) -> Cells:
    """Read one text.

    Args:
        content: the whole input, unpacked.
        place: its name in messages.
        wanted: what is known of its header.
        prefer_tab: take the tab if it is one of the possible separators.

    Raises:
        InputProblem: it is no text, empty, without a header, ragged, or a quote is not closed; the
            message has the line.

    Memory: the content, its text as UTF-8 (the same object if it was that), and the columns.
    """
    formats.refuse_binary(place, content[:1024])
    header = find_header(utf8(content, place), place, wanted, prefer_tab=prefer_tab)
    texts, names, row = _even(header), header.names, header.row
    if texts is None:
        return replace(from_records(names, _records(header, place)), header_row=row)
    del content, header  # so that the text is gone before the numbers are made
    numbers = np.arange(row + 1, row + 1 + len(texts[0]))
    return Cells(names, texts, numbers, header_row=row)


def _even(header: Header) -> Sequence[pa.ChunkedArray] | None:
    """Read the columns of an even file at once; return None if it is not even."""
    text, start, end = header.text, header.start, header.end
    if start >= end or text[start] in b"\r\n":
        return None
    quoted = text.find(b'"', start, end) >= 0
    if quoted and not _quotes_enclose(header):
        return None
    keys = [str(at) for at in range(len(header.names))]
    try:
        # Not read_csv, which has more blocks under way: 85 MB more of 10,000,000 rows.
        table = pa_csv.open_csv(
            pa.py_buffer(text).slice(start, end - start),
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


def _quotes_enclose(header: Header) -> bool:
    """Check whether quotes only open before a cell, close behind it, or are doubled inside.

    Then every other quote opens, and stands behind a separator, a line end, or the other half of a
    double quote; the ones between close likewise. One stray quote breaks this somewhere.
    """
    text = np.frombuffer(header.text, np.uint8, count=header.end)
    quotes = np.flatnonzero(text[header.start :] == _QUOTE) + header.start
    edge = np.zeros(256, np.bool_)
    edge[[ord(header.separator), ord("\r"), ord("\n"), _QUOTE]] = True
    before = text[quotes[::2] - 1]
    behind = text.take(quotes[1::2] + 1, mode="clip")  # behind the last byte: that byte, a quote
    return len(quotes) % 2 == 0 and bool(edge[before].all() and edge[behind].all())


def _records(header: Header, place: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield each record with its row number; refuse uneven ones."""
    width = len(header.names)
    ragged: list[tuple[int, int]] = []
    reader = csv.reader(header.lines(), delimiter=header.separator, strict=True)
    line = latest = header.line + 1
    try:
        for number, record in enumerate(reader, header.row + 1):
            if len(record) == width and any(record):
                yield number, record
            elif any(record):
                ragged.append((line, len(record)))
            latest = line if any(record) else latest
            line = header.line + reader.line_num + 1
    except csv.Error as problem:
        raise InputProblem(
            f"In {place}, the quote that opens in line {_opening(header, line)} is not closed "
            "before its cell ends. Close it, or double a quote that is part of the text."
        ) from problem
    if ragged:
        named = ", ".join(f"line {line} ({found})" for line, found in ragged[:_NAMED_LINES])
        more = f" and {len(ragged) - _NAMED_LINES} more" if len(ragged) > _NAMED_LINES else ""
        lines = "1 line does" if len(ragged) == 1 else f"{len(ragged):,} lines do"
        remedy = f"Quote cells that hold {header.separator!r}, and mend the rest."
        if ragged[0][0] == latest and ragged[0][1] < width:
            remedy = (
                "It is the last line, so the file may be cut off: see that its export finished."
            )
        raise InputProblem(
            f"In {place}, {lines} not have {width} cells as the header has: {named}{more}. {remedy}"
        )


def _opening(header: Header, line: int) -> int:
    """Find the line of the first unclosed quote in the record that begins on a line."""
    record = "".join(islice(header.lines(), line - header.line - 1, None))
    separator = re.escape(header.separator)
    bare = rf"[^\"{separator}\r\n][^{separator}\r\n]*+"
    closed = re.match(rf'(?:(?:"(?:[^"]++|"")*+"|{bare}|){separator})*+', record)
    before = record[: closed.end() if closed else 0].encode()
    return line + line_at(before, len(before)) - 1
