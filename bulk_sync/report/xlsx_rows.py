"""Rows of results as rows of a sheet: dates, numbers and states as such, all else as text.

batches --cells--> values by column --write--> a header, and a row of the sheet for each
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from bulk_sync.report.table import TEXT
from bulk_sync.report.xlsx_cells import LINE_PX, MOST_LINES, Styles, write_text
from bulk_sync.rows import columns

SAMPLE_ROWS: Final = 1_000
"""How many rows decide about the widths of the columns."""

DIRECTION: Final = "direction"
"""The column of a listing that says which way a state is changed; OPT_IN is the dangerous one."""

OPT_IN: Final = "opt-in: lifts an opt-out"

_NARROWEST: Final = 9
_LOOKS: Final = {
    columns.ROW: ("number", 9),
    columns.DESIRED: ("state", 9),
    columns.BEFORE: ("state", 9),
    columns.AFTER: ("state", 9),
    columns.ATTEMPTS: ("number", 9),
    columns.AT: ("time", 24),
    columns.DUE: ("date", 12),
    columns.PROFILES: ("number", 9),
}
"""The style and the width of our own columns, except those that go by their content."""

_DAY_MS: Final = 86_400_000
_DAYS_TO_1970: Final = 25_569
_FIRST_DAY: Final = 61
"""1 March 1900: until then spreadsheets count a day that never was."""


@dataclass(frozen=True, slots=True)
class Look:
    """How a column looks.

    Attributes:
        style: of its cells.
        width: in characters; what is longer goes on in the next line, if the style wraps.
        words: formats in place of the style, by the text of a cell.
    """

    style: Format
    width: int
    words: Mapping[str, Format] = field(default_factory=dict)


def cells(batch: pa.RecordBatch) -> dict[str, list[Any]]:
    """Return the values of each column, with days and times as spreadsheets count them."""
    return {name: _values(name, batch[name]) for name in batch.schema.names}


def write(
    sheet: Worksheet,
    head: Mapping[str, Look],
    rows: Iterable[Sequence[Any]],
    styles: Styles,
    first: int = 0,
) -> None:
    """Write a header, frozen, filtered and printed on every page, and rows below it."""
    _write_head(sheet, head, styles, first)
    formats = [look.style for look in head.values()]
    worded = [(at, look.words) for at, look in enumerate(head.values()) if look.words]
    wrapping = [
        (at, look.width - 1) for at, look in enumerate(head.values()) if look.style.text_wrap
    ]
    row = first
    for row, values in enumerate(rows, first + 1):
        for at, words in worded:
            formats[at] = words.get(values[at], styles.plain)
        if wrapping:
            lines = max(_lines(values[at], width) for at, width in wrapping)
            if lines > 1:  # not every program finds the height by itself
                sheet.set_row_pixels(row, min(lines, MOST_LINES) * LINE_PX)
        for column, value in enumerate(values):
            match value:
                case str():
                    if value:
                        write_text(sheet, row, column, value, formats[column])
                case bool():
                    sheet.write_boolean(row, column, value, formats[column])
                case int() | float():
                    sheet.write_number(row, column, value, formats[column])
    sheet.freeze_panes(first + 1, 0)
    sheet.repeat_rows(first)
    sheet.autofilter(first, 0, row, len(head) - 1)
    sheet.ignore_errors({"number_stored_as_text": f"A1:XFD{row + 1}"})


def _values(name: str, column: pa.Array) -> list[Any]:
    if pa.types.is_dictionary(column.type):
        column = column.cast(TEXT)
    elif pa.types.is_timestamp(column.type):
        column = pc.add(pc.divide(column.cast(pa.int64()), float(_DAY_MS)), float(_DAYS_TO_1970))
    values: list[Any] = column.to_pylist()
    if name != columns.DUE:
        return values
    known = pc.if_else(pc.equal(column, ""), None, column).cast(pa.date32()).cast(pa.int32())
    days = pc.add(known, _DAYS_TO_1970).to_pylist()
    return [
        text if day is None or day < _FIRST_DAY else day
        for text, day in zip(values, days, strict=True)
    ]


def _write_head(sheet: Worksheet, head: Mapping[str, Look], styles: Styles, row: int) -> None:
    for column, (name, look) in enumerate(head.items()):
        sheet.set_column(column, column, look.width)
        is_number = look.style is styles.number
        write_text(sheet, row, column, name, styles.head_number if is_number else styles.head)


def look(name: str, values: Sequence[Any], styles: Styles, widest: int, *, wraps: bool) -> Look:
    """Return how a column looks; a line of a key or own text has at most ``widest`` characters."""
    longest = max(len(value) if isinstance(value, str) else 0 for value in values) + 2
    if name in _LOOKS:
        style, width = _LOOKS[name]
        return Look(getattr(styles, style), max(width, longest))
    if name == columns.OUTCOME:
        return Look(styles.plain, 15, styles.outcomes)
    if name == DIRECTION:
        return Look(styles.plain, longest, {OPT_IN: styles.opt_in})
    if name == columns.DETAIL:
        return Look(styles.wrapped if wraps else styles.plain, 60)
    is_wrapped = wraps and longest > widest
    width = min(max(longest, _NARROWEST), widest)
    return Look(styles.wrapped_key if is_wrapped else styles.key, width)


def _lines(value: Any, width: int) -> int:
    if not isinstance(value, str) or (len(value) <= width and "\n" not in value):
        return 1
    return sum(-(-len(line) // width) or 1 for line in value.splitlines())
