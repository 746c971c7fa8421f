"""XLSX: a workbook to read, to filter, to print, and to give back as input.

    Summary           facts, counts, charts; it opens here     xlsx_summary.py
    Needs a person    rows that are left to a person, in short; hidden if there are none
    Changes           rows that change a profile, opt-ins first; hidden if there are none
    All rows          every row with every column; a full sheet is followed by "All rows 2"

A title that begins with "bulk-sync" tells readers that a sheet is no input.
"""

from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from itertools import chain, islice, repeat
from typing import Any, BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter import Workbook
from xlsxwriter.worksheet import Worksheet

from bulk_sync.amounts import count
from bulk_sync.report import table as tables
from bulk_sync.report import xlsx_cells, xlsx_rows, xlsx_summary
from bulk_sync.report.facts import Facts, Subject
from bulk_sync.report.table import SHEET_ROWS, TEXT, Results
from bulk_sync.report.wording import HEADINGS, legible
from bulk_sync.report.xlsx_cells import Styles, write_text
from bulk_sync.report.xlsx_rows import DIRECTION, OPT_IN, SAMPLE_ROWS, Look
from bulk_sync.rows import columns

ALL_ROWS: Final = "All rows"

_LISTED_ROWS: Final = 20_000
"""Most rows of a listing; "All rows" has the others too. Only up to so many are lines wrapped."""

_KEY_WIDTH: Final = 96
"""Characters in a line of a key, if it is the only wide column: a PKey of 92 fits."""
_TEXT_WIDTH: Final = 48
"""The same among other columns."""

_LETTER: Final = 1
"""The paper of California, where the law is from; on A4 spreadsheet programs scale it."""

_Row = tuple[Any, ...]

_NEW: Final = pa.array(["created", "would_create"], TEXT)

_HEADINGS: Final = {**HEADINGS, DIRECTION: "Direction", columns.AT: "At"}
_NEEDY: Final = (
    columns.ROW, columns.FILE, columns.KEY, columns.DESIRED, columns.BEFORE, columns.AFTER,
    columns.OUTCOME, columns.REASON, columns.DETAIL, columns.DUE,
)  # fmt: skip
_CHANGES: Final = (
    columns.ROW, columns.FILE, columns.KEY, columns.BEFORE, columns.DESIRED, DIRECTION,
    columns.OUTCOME, columns.DUE, columns.AT,
)  # fmt: skip
"""The columns of the listings."""


def write(results: Results, file: BinaryIO, facts: Facts, *, sheet_rows: int = SHEET_ROWS) -> None:
    """Write results. Memory: the compressed workbook.

    Args:
        results: the rows.
        file: where to.
        facts: those of the run; a new input, which ``map`` makes, has nothing but its rows.
        sheet_rows: data rows after which another sheet begins.

    Raises:
        OSError: the table has too many columns for a sheet, or the disk is full.
    """
    if len(results.names) > tables.SHEET_COLUMNS:
        raise OSError(
            f"a sheet holds {tables.SHEET_COLUMNS} columns, and there are {len(results.names)}"
        )
    whole = BytesIO()
    with xlsx_cells.writing(whole) as book:
        _fill(book, results, facts, sheet_rows)
    file.write(whole.getbuffer())


def _fill(book: Workbook, results: Results, facts: Facts, sheet_rows: int) -> None:
    styles = Styles(book)
    book.set_properties({"title": f"bulk-sync: {facts.subject}", "comments": facts.run_id})

    def add(name: str) -> Worksheet:
        sheet = book.add_worksheet(name)
        sheet.set_landscape()
        sheet.set_paper(_LETTER)
        sheet.set_margins(left=0.4, right=0.4, top=0.5, bottom=0.7)
        sheet.fit_to_pages(1, 0)
        sheet.set_footer(f"&L{facts.subject}: {name}&CPage &P of &N&R{facts.run_id}")
        return sheet

    if facts.subject is not Subject.MAP:
        xlsx_summary.write(book, add(xlsx_summary.NAME), facts, styles)
        needy, changes = _groups(results, 0), _directed(_groups(results, 1, 2))
        _list(add("Needs a person"), "rows that need a person", _NEEDY, needy, styles)
        _list(add("Changes"), "changes, opt-ins first", _CHANGES, changes, styles)
    headings = dict(zip(results.names, results.names, strict=True))
    sample, rows = _sampled(_rows(results))
    head = _head(headings, sample, styles, _TEXT_WIDTH, wraps=results.count <= _LISTED_ROWS)
    for number in range(1, max(1, -(-results.count // sheet_rows)) + 1):
        sheet = add(ALL_ROWS if number == 1 else f"{ALL_ROWS} {number}")
        xlsx_rows.write(sheet, head, islice(rows, sheet_rows), styles)


def _list(
    sheet: Worksheet, what: str, names: Sequence[str], listed: Results, styles: Styles
) -> None:
    sheet.set_row_pixels(0, 30)
    write_text(sheet, 0, 0, f"bulk-sync: {what}", styles.title)
    if not listed.count:  # a page that says so is not worth its paper
        sheet.hide()
    counted = f"{count(listed.count, 'row')}."
    if listed.count > _LISTED_ROWS:
        counted = (
            f'The first {_LISTED_ROWS:,} of {listed.count:,} rows: "{ALL_ROWS}" has them all; '
            f"filter its column {columns.OUTCOME}."
        )
    write_text(sheet, 1, 0, counted, styles.plain)
    if listed.count:
        shown = {name: _HEADINGS[name] for name in names if name in listed.names}
        sample, rows = _sampled(islice(_rows(listed, list(shown)), _LISTED_ROWS))
        head = _head(shown, sample, styles, _KEY_WIDTH, wraps=listed.count <= _LISTED_ROWS)
        xlsx_rows.write(sheet, head, rows, styles, first=3)


def _sampled(rows: Iterator[_Row]) -> tuple[Sequence[_Row], Iterator[_Row]]:
    """Return the first rows, which decide about the widths of columns, and all rows."""
    sample = list(islice(rows, SAMPLE_ROWS))
    return sample, chain(sample, rows)


def _head(
    headings: Mapping[str, str], sample: Sequence[_Row], styles: Styles, widest: int, *, wraps: bool
) -> dict[str, Look]:
    values = zip(*sample, strict=True) if sample else repeat(())
    return {
        heading: xlsx_rows.look(name, [heading, *cells], styles, widest, wraps=wraps)
        for (name, heading), cells in zip(headings.items(), values, strict=False)
    }


def _rows(results: Results, names: Sequence[str] | None = None) -> Iterator[_Row]:
    for batch in results.read():
        cells = xlsx_rows.cells(batch if names is None else batch.select(names))
        if names is not None and columns.DETAIL in cells:
            cells[columns.DETAIL] = list(map(legible, cells[columns.DETAIL]))
        yield from zip(*cells.values(), strict=True)


def _groups(results: Results, *groups: int) -> Results:
    """Return the rows of some groups of ``tables.masks``, those of one after those of another."""

    def read() -> Iterator[pa.RecordBatch]:
        for group in groups:
            for batch in results.read():
                yield batch.filter(list(tables.masks(batch))[group])

    return Results(results.schema, sum(batch.num_rows for batch in read()), read)


def _directed(changes: Results) -> Results:
    """Return changes with their direction."""

    def read() -> Iterator[pa.RecordBatch]:
        for batch in changes.read():
            _, is_opt_in, *_ = tables.masks(batch)
            is_new = pc.is_in(batch[columns.OUTCOME].cast(TEXT), _NEW)
            words = pc.if_else(is_new, "new profile", pc.if_else(is_opt_in, OPT_IN, "opt-out"))
            yield batch.append_column(DIRECTION, words.cast(TEXT))

    return Results(changes.schema.append(pa.field(DIRECTION, TEXT)), changes.count, read)
