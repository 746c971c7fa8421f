"""The tables of files, whole or in parts, how those of several go together, and first rows."""

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from functools import partial
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import Final

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.layout import TablePlace
from bulk_sync.rows.parse import formats
from bulk_sync.rows.parse.formats import InputFormat
from bulk_sync.rows.read import confined, text, text_header
from bulk_sync.rows.read.advice import most_like_a_header, refusal
from bulk_sync.rows.read.cells import Cells, Table, grouped, joined
from bulk_sync.rows.read.content import Spool, unpacked
from bulk_sync.rows.read.encoding import utf8
from bulk_sync.rows.read.first_rows import FirstRows, HeaderPlace, Wanted
from bulk_sync.rows.read.location import choose_sheet
from bulk_sync.rows.read.sources import is_named_as_report

_OF_A_REPORT: Final = {columns.KEY, columns.OUTCOME, columns.REASON}


@contextmanager
def opened(path: Path, wanted: Wanted, spool: Spool, most_bytes: int) -> Iterator[Table]:
    """Open the table of one file, whose rows can be read until the block ends; a sheet is one part.

    Raises:
        InputProblem: it cannot be read.
    """
    kind = _kind(path, wanted)
    if kind.has_sheets:
        choose = partial(choose_sheet, wanted=wanted, place=str(path))
        yield Table.of(confined.cells(path, kind.parser, wanted.sheet, choose))
    elif kind.parser:
        with closing(confined.parts(path, kind.parser, None, None)) as first:
            yield _of_stream(path, kind.parser, first, most_bytes)
    else:
        with unpacked(path, spool) as content:
            yield text.table(content, str(path), wanted, spool, most_bytes)


def _of_stream(
    path: Path, parser: str, first: Generator[Cells, None, None], most_bytes: int
) -> Table:
    """Return the table of a file by streams of its parts; the first stream has begun."""
    head = next(first)
    streams = [first]

    def read() -> Generator[Cells, None, None]:
        with closing(streams.pop() if streams else confined.parts(path, parser, None, None)) as now:
            yield from grouped(now, most_bytes)

    return Table(head.names, head.sheet, head.header_row, read)


def place(table: Table, file: str, wanted: Wanted) -> TablePlace:
    """Return where a table is, and its own columns.

    Raises:
        InputProblem: its header is none, or no column has a name.
    """
    if not wanted.is_header(table.names):
        row = table.header_row or 1
        raise refusal([table.first_rows()], replace(wanted, header_row=row), file)
    return TablePlace(legible(file), table.sheet, table.header_row, table.positions(file))


def legible(file: str | Path) -> str:
    """Return the name of a file as text; it may be none in any encoding."""
    return os.fsencode(file).decode("utf-8", "replace")


def check_alike(paths: Sequence[Path], tables: Sequence[TablePlace]) -> None:
    """Check that files have the columns of the first one, in any order.

    Raises:
        InputProblem: one has others, or is a report of this program: its rows were carried out.
    """
    names = tables[0].positions
    for path, table in zip(paths, tables, strict=True):
        if table.positions.keys() >= _OF_A_REPORT and not is_named_as_report(path):
            raise InputProblem(
                f"{path} is a report of an earlier run, and would be read as an input. Move it to "
                "another folder, and let --report name that folder. To read its rows again, give "
                "that file alone as INPUT."
            )
        lacks = [name for name in names if name not in table.positions]
        adds = [name for name in table.positions if name not in names]
        if lacks or adds:
            differences = [
                f"{verb} {', '.join(map(repr, changed))}"
                for verb, changed in (("lacks", lacks), ("also has", adds))
                if changed
            ]
            raise InputProblem(
                f"The columns of {path} are not those of {paths[0]}: it "
                f"{' and '.join(differences)}. Make them alike, or run the files one by one."
            )


def _kind(path: Path, wanted: Wanted) -> InputFormat:
    """Return the format of a file; raise InputProblem if there is none, or no sheet to be named."""
    kind = formats.find(path)
    if kind is None:
        raise InputProblem(
            f"{path} has an unsupported suffix: {path.suffix or 'none'}. Supported are "
            f"{formats.list_suffixes()}; - reads CSV from standard input. Save a workbook "
            "of another kind, such as .xlsm, as .xlsx."
        )
    if not kind.has_sheets:
        refuse_sheet(wanted.sheet, str(path))
    if kind.parser and not kind.has_sheets and wanted.header_row is not None:
        raise InputProblem(
            f"--header-row {wanted.header_row}: {path} holds the names of its columns apart from "
            "its rows. Leave out --header-row."
        )
    return kind


def refuse_sheet(sheet: str | None, file: str) -> None:
    """Refuse --sheet for a file without sheets."""
    if sheet is not None:
        raise InputProblem(
            f"--sheet {sheet!r}: {file} is not a workbook and has no sheets. Leave out --sheet."
        )


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
            decoded = utf8(content, str(path), BytesIO)
            return [text_header.first_rows(decoded, str(path), wanted)]
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
