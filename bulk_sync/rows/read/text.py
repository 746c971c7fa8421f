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
from dataclasses import dataclass, replace
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

_SEPARATORS: Final = ",;\t|"
_SAMPLE_BYTES: Final = 1 << 16
_SAMPLE_RECORDS: Final = 20
_NAMED_LINES: Final = 3
_QUOTE: Final = ord('"')

_BLOCKS: Final = 32
_LEAST_BLOCK: Final = 1 << 20
"""A large input is read in so many blocks. Each becomes a chunk of its columns, and a search for
rows in any order pays for each chunk."""

csv.field_size_limit(1 << 30)  # its default refuses a cell of 131,073 characters

_EXCEL_HINT: Final = re.compile(rb"sep=([^\w\s\"\x80-\xff]|\t)(?:\r\n|\r|\n|\Z)", re.IGNORECASE)
"""A first line with the separator, for Excel."""

_LEADING: Final = re.compile(rb"(?:[,;\t|]*+[\r\n])*")
"""Lines above the header with nothing on them."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """The places of header and data rows in a text.

    Attributes:
        text: the whole input, UTF-8.
        separator: one ASCII character.
        names: the header's cells.
        start: offset of the first byte below the header.
        end: offset behind the last byte before the final line ends.
        row: number of the header's row.
        line: number of the header's last line.
    """

    text: bytes
    separator: str
    names: Sequence[str]
    start: int
    end: int
    row: int
    line: int

    def lines(self) -> Iterator[str]:
        """Return the lines below the header, with their ends."""
        content = io.BytesIO(self.text)
        content.seek(self.start)
        return io.TextIOWrapper(content, encoding="utf-8", newline="")


def cells(content: bytes, place: str, *, prefer_tab: bool = False) -> Cells:
    """Read one text.

    Args:
        content: the whole input, unpacked.
        place: its name in messages.
        prefer_tab: take the tab if it is one of the possible separators.

    Raises:
        InputProblem: it is no text, empty, ragged, or a quote is not closed; the message has the
            line.

    Memory: the content, its text as UTF-8 (the same object if it was that), and the columns.
    """
    formats.refuse_binary(place, content[:1024])
    layout = _layout(utf8(content, place), place, prefer_tab=prefer_tab)
    even = _even(layout)
    cells = even or from_records(layout.names, _records(layout, place))
    return replace(cells, header_row=layout.row)


def _layout(text: bytes, place: str, *, prefer_tab: bool) -> _Layout:
    end = len(text)
    while end and text[end - 1] in b"\r\n":
        end -= 1
    hint = _EXCEL_HINT.match(text)
    leading = _LEADING.match(text, hint.end() if hint else 0)
    first = leading.end() if leading else 0
    if first >= end:
        raise InputProblem(f"{place} is empty. See that its export finished.")
    header_end = text.find(b"\n", first)
    reach = max(first, header_end) + _SAMPLE_BYTES
    sample = text[first:reach].decode(errors="ignore")
    separator = hint[1].decode() if hint else _separator(sample, prefer_tab=prefer_tab)
    header = io.StringIO(sample, newline="")
    reader = csv.reader(header, delimiter=separator or _absent(text), strict=True)
    above = line_at(text, first) - 1
    try:
        names = next(reader)
    except csv.Error as problem:
        raise InputProblem(
            f"In {place}, the header (line {above + 1}) has a quote that is not closed before its "
            "cell ends. Close it, or take the quotes out."
        ) from problem
    return _Layout(
        text=text,
        separator=reader.dialect.delimiter,
        names=names,
        start=first + len(sample[: header.tell()].encode()),
        end=end,
        row=above + 1,
        line=above + reader.line_num,
    )


def _separator(sample: str, *, prefer_tab: bool) -> str:
    """Find the separator; "" if the header has one cell.

    The header decides. Of several separators in it those win that give the next records as many
    cells, and of these the one with the most cells.
    """
    widths = {}
    for separator in _SEPARATORS:
        records = filter(None, csv.reader(io.StringIO(sample, newline=""), delimiter=separator))
        found = [len(record) for record in islice(records, _SAMPLE_RECORDS)]
        if found[0] > 1:
            widths[separator] = found
    even = [separator for separator, found in widths.items() if len(set(found)) == 1]
    return max(
        even or widths,
        key=lambda separator: (prefer_tab and separator == "\t", widths[separator][0]),
        default="",
    )


def _absent(text: bytes) -> str:
    """Find a separator for a file of one column: a character that it does not hold."""
    return next(chr(code) for code in range(1, 32) if code not in b"\t\r\n" and code not in text)


def _even(layout: _Layout) -> Cells | None:
    """Read an even file at once; return None if it is not even."""
    text, start, end = layout.text, layout.start, layout.end
    if start >= end or text[start] in b"\r\n":
        return None
    quoted = text.find(b'"', start, end) >= 0
    if quoted and not _quotes_enclose(layout):
        return None
    keys = [str(at) for at in range(len(layout.names))]
    try:
        table = pa_csv.read_csv(
            pa.py_buffer(text).slice(start, end - start),
            read_options=pa_csv.ReadOptions(
                column_names=keys, block_size=max(_LEAST_BLOCK, (end - start) // _BLOCKS)
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=layout.separator,
                quote_char='"' if quoted else False,
                newlines_in_values=quoted,
                ignore_empty_lines=False,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(keys, pa.large_string()),
                strings_can_be_null=False,
                check_utf8=False,
            ),
        )
    except pa.ArrowInvalid:
        return None
    if _has_empty_rows(table):
        return None
    first = layout.row + 1
    return Cells(layout.names, table.columns, np.arange(first, first + table.num_rows))


def _has_empty_rows(table: pa.Table) -> bool:
    """Check for lines with nothing but separators."""
    empty: pa.ChunkedArray | None = None
    for column in table.columns:
        here = pc.equal(column, "")
        empty = here if empty is None else pc.and_(empty, here)
        if not pc.any(empty).as_py():
            return False
    return True


def _quotes_enclose(layout: _Layout) -> bool:
    """Check whether quotes only open before a cell, close behind it, or are doubled inside.

    Then every other quote opens, and stands behind a separator, a line end, or the other half of a
    double quote; the ones between close likewise. One stray quote breaks this somewhere.
    """
    text = np.frombuffer(layout.text, np.uint8, count=layout.end)
    quotes = np.flatnonzero(text[layout.start :] == _QUOTE) + layout.start
    edge = np.zeros(256, np.bool_)
    edge[[ord(layout.separator), ord("\r"), ord("\n"), _QUOTE]] = True
    before = text[quotes[::2] - 1]
    behind = text.take(quotes[1::2] + 1, mode="clip")  # behind the last byte: that byte, a quote
    return len(quotes) % 2 == 0 and bool(edge[before].all() and edge[behind].all())


def _records(layout: _Layout, place: str) -> Iterator[tuple[int, Sequence[str]]]:
    """Yield each record with its row number; refuse uneven ones."""
    width = len(layout.names)
    ragged: list[tuple[int, int]] = []
    reader = csv.reader(layout.lines(), delimiter=layout.separator, strict=True)
    line = layout.line + 1
    try:
        for number, record in enumerate(reader, layout.row + 1):
            if len(record) == width and any(record):
                yield number, record
            elif any(record):
                ragged.append((line, len(record)))
            line = layout.line + reader.line_num + 1
    except csv.Error as problem:
        raise InputProblem(
            f"In {place}, the quote that opens in line {_opening(layout, line)} is not closed "
            "before its cell ends. Close it, or double a quote that is part of the text."
        ) from problem
    if ragged:
        named = ", ".join(f"line {line} ({found})" for line, found in ragged[:_NAMED_LINES])
        more = f" and {len(ragged) - _NAMED_LINES} more" if len(ragged) > _NAMED_LINES else ""
        raise InputProblem(
            f"In {place}, {len(ragged)} of the lines do not have {width} cells as the header has: "
            f"{named}{more}. Quote cells that hold {layout.separator!r}, and mend the rest."
        )


def _opening(layout: _Layout, line: int) -> int:
    """Find the line of the first unclosed quote in the record that begins on a line."""
    record = "".join(islice(layout.lines(), line - layout.line - 1, None))
    separator = re.escape(layout.separator)
    bare = rf"[^\"{separator}\r\n][^{separator}\r\n]*+"
    closed = re.match(rf'(?:(?:"(?:[^"]++|"")*+"|{bare}|){separator})*+', record)
    before = record[: closed.end() if closed else 0].encode()
    return line + line_at(before, len(before)) - 1
