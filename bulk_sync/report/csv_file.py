"""CSV: UTF-8 without a mark, commas, LF, quotes only where a value needs them.

The input's own columns are written to the letter. The report's columns may hold foreign text, and a
spreadsheet must not take it for a formula: an apostrophe precedes ``= + - @``, a tab or a carriage
return at its beginning.

Keys survive the round trip. A plain PKey, ``@`` and then only letters, digits, ``_`` and ``-``, is
no formula and stays as it is. Other keys are guarded, also one with an apostrophe at its beginning;
reading takes one apostrophe off.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.report import table as tables
from bulk_sync.report.table import Results
from bulk_sync.rows import columns

_STARTS_FORMULA: Final = r"^[=+\-@\t\r]"
_RISKY: Final = {
    columns.FILE: _STARTS_FORMULA,
    columns.KEY: r"(?s)^(?:[=+\-\t\r']|@.*[^A-Za-z0-9_-])",
    columns.DETAIL: _STARTS_FORMULA,
}
"""RE2 patterns of the texts that need an apostrophe, by column with foreign text."""

_STRUCTURE: Final = b'",\r\n'
_NEEDS_QUOTES: Final = r'[",\r\n]'


def write(results: Results, file: BinaryIO) -> None:
    """Write results."""
    names = pa.array(results.names, tables.TEXT)
    file.write((",".join(_quoted(names).to_pylist()) + "\n").encode())
    append(results, file)


def append(results: Results, file: BinaryIO) -> None:
    """Write further results with the same columns."""
    for batch in results.texts():
        cells = [_quoted(_harmless(name, column)) for name, column in batch.items()]
        lines = tables.join([tables.join(cells, ","), "\n"])
        file.write(tables.text_bytes(lines))


def names(_: Path, head: bytes) -> Sequence[str]:
    """Return the columns of a file by its first bytes."""
    lines = head.decode(errors="replace").splitlines(keepends=True)
    return next(csv.reader(lines, strict=True), [])


def _harmless(name: str, column: pa.Array) -> pa.Array:
    if name not in _RISKY:
        return column
    risky = pc.match_substring_regex(column, _RISKY[name])
    if not pc.any(risky).as_py():
        return column
    return pc.if_else(risky, tables.join(["'", column]), column)


def _quoted(column: pa.Array) -> pa.Array:
    """Quote values where needed. Arrow's own writer quotes all texts or none."""
    text = bytes(tables.text_bytes(column))
    if not any(char in text for char in _STRUCTURE):
        return column
    needy = pc.match_substring_regex(column, _NEEDS_QUOTES)
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needy, tables.join(['"', doubled, '"']), column)
