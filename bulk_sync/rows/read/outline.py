"""The first rows of a file, whether a table is found in it or not."""

from collections.abc import Sequence
from contextlib import closing, suppress
from io import BytesIO
from itertools import islice
from pathlib import Path

from bulk_sync.errors import InputProblem
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.parse import formats
from bulk_sync.rows.read import confined, text_header
from bulk_sync.rows.read.advice import most_like_a_header
from bulk_sync.rows.read.cells import Table, joined
from bulk_sync.rows.read.content import unpacked
from bulk_sync.rows.read.encoding import utf8
from bulk_sync.rows.read.first_rows import FirstRows, HeaderPlace, Wanted


class _Seen(Exception):
    """Ends the reading of a workbook when its first rows are known."""


def first_rows(path: Path, wanted: Wanted) -> list[FirstRows]:
    """Return the first rows of each sheet, or of the whole file; none if it is unreadable."""
    kind = formats.find(path)
    try:
        if kind is None:
            return []
        if kind.has_sheets:
            return _of_sheets(path, kind.parser)
        if kind.parser:
            with closing(confined.parts(path, kind.parser, None, None)) as parts:
                return [Table.of(joined([*islice(parts, 2)])).first_rows()]
        with unpacked(path, BytesIO) as content:
            text = utf8(content, str(path), BytesIO)
            return [text_header.first_rows(text, str(path), wanted)]
    except InputProblem:
        return []


def likely(sheets: Sequence[FirstRows], wanted: Wanted) -> HeaderPlace | None:
    """Return the row that looks most like a header; None if there is no row to look at."""
    named = [each for each in sheets if wanted.sheet in {None, each.sheet} and each.rows]
    others = [each for each in named if not (each.is_hidden or each.is_ours)]
    if not named:
        return None
    return most_like_a_header(others or named, wanted, wanted.rules or Rules())


def _of_sheets(path: Path, parser: str) -> list[FirstRows]:
    found: list[FirstRows] = []

    def choose(sheets: Sequence[FirstRows]) -> tuple[int, int]:
        found.extend(sheets)
        raise _Seen

    with suppress(_Seen):
        confined.cells(path, parser, None, choose)
    return found
