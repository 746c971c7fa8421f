"""Finds the header of a text, and its separator.

text --> the first row with content --.--> header
                                      '--no header--> the first rows, by each separator
"""

import csv
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final

from bulk_sync.errors import InputProblem
from bulk_sync.rows.read.content import BLOCK_BYTES, Content
from bulk_sync.rows.read.first_rows import FirstRows, Wanted
from bulk_sync.rows.read.location import locate

_SEPARATORS: Final = ",;\t|"
_SAMPLE_BYTES: Final = 1 << 16
_SAMPLE_RECORDS: Final = 20
_FIRST_RECORDS: Final = 50

_EXCEL_HINT: Final = re.compile(rb"sep=([^\w\s\"\x80-\xff]|\t)(?:\r\n|\r|\n|\Z)", re.IGNORECASE)
"""A first line with the separator, for Excel."""

_FILLED: Final = re.compile(rb"[^,;\t|\r\n]")
"""Lines above the header have no such byte."""


@dataclass(frozen=True, slots=True)
class TextHeader:
    """The header of a text, and the place of the rows below it.

    Attributes:
        text: the whole input, UTF-8.
        separator: one ASCII character.
        names: the header's cells.
        start: offset of the first byte below the header.
        end: offset behind the last byte before the final line ends.
        row: number of the header's row.
        line: number of the header's last line.
    """

    text: Content
    separator: str
    names: Sequence[str]
    start: int
    end: int
    row: int
    line: int

    def lines(self) -> Iterator[str]:
        """Return the lines below the header, with their ends."""
        return self.text.lines(self.start)


def find_header(content: Content, place: str, wanted: Wanted) -> TextHeader:
    """Find the header: the first row with content, or the one header among the first rows.

    In a ``.tsv`` the tab comes first among the possible separators.

    Raises:
        InputProblem: there is none, or more than one.
    """
    text = _Text(content, place)
    first = _first_line(content, text.begin)
    if first >= text.end:
        raise _empty(place)
    if wanted.header_row is not None:
        return text.searched(wanted)
    try:
        header = text.header(first, content.line_at(first))
    except InputProblem:  # a title may have quotes like no cell
        with suppress(InputProblem):
            return text.searched(wanted)
        raise
    return header if wanted.is_header(header.names) else text.searched(wanted)


def first_rows(content: Content, place: str, wanted: Wanted) -> FirstRows:
    """Return the first rows of a text, whether one of them is a header or not."""
    return _Text(content, place).first_rows(wanted)[1]


class _Text:
    """A text, before its header is found."""

    def __init__(self, text: Content, place: str) -> None:
        hint = _EXCEL_HINT.match(text.read(0, 16))
        self.text, self.place = text, place
        self.begin = hint.end() if hint else 0
        self.end = _end(text)
        self.separators = hint[1].decode() if hint else _SEPARATORS

    def header(self, start: int, row: int, separator: str = "") -> TextHeader:
        """Return the header at an offset; without a separator its cells decide on it."""
        reach = _line_end(self.text, start) + _SAMPLE_BYTES
        sample = self.text.read(start, reach).decode(errors="ignore")
        if not separator:
            separator = self._separator(sample) or _absent(self.text)
        record = io.StringIO(sample, newline="")
        reader = csv.reader(record, delimiter=separator, strict=True)
        above = self.text.line_at(start) - 1
        try:
            names = next(reader)
        except csv.Error as problem:
            raise InputProblem(
                f"In {self.place}, the header (line {above + 1}) has a quote that is not closed "
                "before its cell ends. Close it, or take the quotes out."
            ) from problem
        return TextHeader(
            text=self.text,
            separator=separator,
            names=names,
            start=start + len(sample[: record.tell()].encode()),
            end=self.end,
            row=row,
            line=above + reader.line_num,
        )

    def _separator(self, sample: str) -> str:
        """Find the separator; "" if the header has one cell.

        Of several separators in the header those win that give the next records as many cells, and
        of these the one with the most cells.
        """
        if len(self.separators) == 1:
            return self.separators
        widths = {}
        for separator in self.separators:
            records = filter(None, csv.reader(io.StringIO(sample, newline=""), delimiter=separator))
            found = [len(record) for record in islice(records, _SAMPLE_RECORDS)]
            if found[0] > 1:
                widths[separator] = found
        is_tsv = ".tsv" in Path(self.place).suffixes
        even = [separator for separator, found in widths.items() if len(set(found)) == 1]
        return max(
            even or widths,
            key=lambda separator: (is_tsv and separator == "\t", widths[separator][0]),
            default="",
        )

    def searched(self, wanted: Wanted) -> TextHeader:
        """Find the header among the first records; raise InputProblem unless there is one."""
        separator, rows, starts = self.first_rows(wanted)
        if not rows.rows:  # such as a quote alone
            raise _empty(self.place)
        row = locate([rows], wanted, self.place).header_row
        if row not in starts:
            raise InputProblem(
                f"Row {row} of {self.place} is empty. Name the row with the names of the columns "
                "with --header-row."
            )
        return self.header(starts[row], row, separator if len(rows.rows[row]) > 1 else "")

    def first_rows(self, wanted: Wanted) -> tuple[str, FirstRows, dict[int, int]]:
        """Return the separator by which a header is found, or most cells, the rows, and offsets."""
        first = {each: self._first_rows(each, wanted.header_row or 0) for each in self.separators}
        able = [each for each in first if first[each][0].rows and wanted.headers(first[each][0])]
        best = max(able or first, key=lambda each: first[each][0].count_cells())
        return best, *first[best]

    def _first_rows(self, separator: str, least: int) -> tuple[FirstRows, dict[int, int]]:
        """Return the first rows, up to a certain one at least, and their offsets."""
        rows: dict[int, list[str]] = {}
        starts: dict[int, int] = {}
        for row, start, cells in self._records(separator):
            if len(rows) >= _FIRST_RECORDS and row > least:
                break
            if any(cells):
                rows[row], starts[row] = cells, start
        return FirstRows(rows), starts

    def _records(self, separator: str) -> Iterator[tuple[int, int, list[str]]]:
        """Yield the number, the offset and the cells of each record, without strictness."""
        offset = self.begin

        def lines() -> Iterator[str]:
            nonlocal offset
            for line in self.text.lines(self.begin):
                offset += len(line.encode())
                yield line

        start = offset
        with suppress(csv.Error):
            reader = csv.reader(lines(), delimiter=separator)
            for row, cells in enumerate(reader, self.text.line_at(self.begin)):
                yield row, start, cells
                start = offset


def _empty(place: str) -> InputProblem:
    return InputProblem(f"{place} is empty. See that its export finished.")


def _first_line(text: Content, begin: int) -> int:
    """Return the offset of the first line with more on it than separators."""
    first = begin
    for at, block in text.blocks(begin):
        filled = _FILLED.search(block)
        above = block[: filled.start()] if filled else block
        end = max(above.rfind(b"\n"), above.rfind(b"\r")) + 1
        first = at + end if end else first
        if filled:
            break
    return first


def _line_end(text: Content, start: int) -> int:
    feed = text.find(b"\n", start)
    found = text.find(b"\r", start, feed if feed >= 0 else None)
    return max(start, feed if found < 0 else found)


def _end(text: Content) -> int:
    end = len(text)
    while block := text.read(max(0, end - BLOCK_BYTES), end):
        end -= len(block)
        if kept := len(block.rstrip(b"\r\n")):
            return end + kept
    return end


def _absent(text: Content) -> str:
    """Find a separator for a file of one column: a character without a place in it."""
    codes = (code for code in range(1, 32) if code not in b"\t\r\n")
    return next(chr(code) for code in codes if text.find(bytes([code])) < 0)
