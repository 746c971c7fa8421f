"""CSV: UTF-8 without a mark, commas, LF, quotes only where a value needs them.

The input's own columns are written to the letter. Columns of ours may hold text from elsewhere,
which in a spreadsheet must not start a formula: where such a text begins with ``= + - @``, a tab
or a carriage return, an apostrophe goes before it, which spreadsheets take for "this is text".

A key is an exception and has a way back. A plain PKey, ``@`` and then only letters, digits,
``_`` and ``-``, stays as it is, because it can call nothing and because scripts compare it. Any
other key is guarded like the rest, and one that begins with an apostrophe gets one more. Reading
takes one apostrophe off again, so every key survives the round trip.
"""

from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.report import table as tables
from bulk_sync.rows import columns

_STARTS_FORMULA: Final = r"^[=+\-@\t\r]"
_RISKY: Final = {
    columns.FILE: _STARTS_FORMULA,
    columns.KEY: r"(?s)^(?:[=+\-\t\r']|@.*[^A-Za-z0-9_-])",
    columns.DETAIL: _STARTS_FORMULA,
}
"""RE2 patterns of what an apostrophe goes before, in the columns of ours with foreign text."""

_STRUCTURE: Final = b'",\r\n'
_NEEDS_QUOTES: Final = r'[",\r\n]'


def write(table: pa.Table, file: BinaryIO) -> None:
    """Write a table of results.

    Args:
        table: what ``table.of`` made of the results.
        file: where to.
    """
    names = pa.array(table.column_names, tables.TEXT)
    file.write((",".join(_quoted(names).to_pylist()) + "\n").encode())
    for batch in tables.texts(table):
        cells = [_quoted(_harmless(name, column)) for name, column in batch.items()]
        lines = tables.joined([tables.joined(cells, ","), "\n"])
        file.write(tables.text_bytes(lines))


def _harmless(name: str, column: pa.Array) -> pa.Array:
    """Put an apostrophe before what would start a formula, in columns of ours."""
    if name not in _RISKY:
        return column
    risky = pc.match_substring_regex(column, _RISKY[name])
    if not pc.any(risky).as_py():
        return column
    return pc.if_else(risky, tables.joined(["'", column]), column)


def _quoted(column: pa.Array) -> pa.Array:
    """Put quotes round the values that need them. Arrow's own writer quotes all texts or none."""
    text = bytes(tables.text_bytes(column))
    if not any(char in text for char in _STRUCTURE):
        return column
    needy = pc.match_substring_regex(column, _NEEDS_QUOTES)
    doubled = pc.replace_substring(column, '"', '""')
    return pc.if_else(needy, tables.joined(['"', doubled, '"']), column)
