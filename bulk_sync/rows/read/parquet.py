"""Reads Parquet: any type of column as the text that a person would have written.

Rows are numbered as if a header stood above them, as in a spreadsheet of the same table.
"""

import json
import re
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from bulk_sync.errors import InputProblem
from bulk_sync.rows.read import formats
from bulk_sync.rows.read.cells import Cells
from bulk_sync.rows.read.content import explained

_EXACT: Final = 2**53
"""From here on a float no longer tells neighbouring integers apart."""

_UNNAMED_INDEX: Final = re.compile(r"__index_level_\d+__")


def cells(path: Path) -> Cells:
    """Read one file.

    Raises:
        InputProblem: it is not Parquet, damaged, or holds bytes that are no text.
    """
    table = _table(path)
    unnamed = _unnamed_indexes(table.schema)
    kept = [at for at, name in enumerate(table.column_names) if name not in unnamed]
    names = [table.column_names[at] for at in kept]
    texts = [_text(table.column(at), f"Column {table.column_names[at]!r} of {path}") for at in kept]
    return Cells(names, texts, np.arange(2, table.num_rows + 2))


def _table(path: Path) -> pa.Table:
    with explained(str(path)), path.open("rb") as file:
        head = file.read(1024)
    if not head.startswith(b"PAR1"):
        what = formats.look(head) if head else "empty"
        raise InputProblem(
            f"{path} is not a Parquet file: it is {what}. Give it the suffix that fits, or "
            "export it again."
        )
    try:
        # Not read_table, which would add columns for folders called like name=value.
        with pq.ParquetFile(path) as parquet:
            return parquet.read()
    except (pa.ArrowException, OSError) as problem:
        raise InputProblem(
            f"{path} is a Parquet file, but cut off or damaged ({_first_line(problem)}). Fetch or "
            "export it again."
        ) from problem


def _unnamed_indexes(schema: pa.Schema) -> set[str]:
    """Name the columns that pandas stored only because a frame must have an index."""
    try:
        notes = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    except ValueError:
        return set()
    indexes = notes.get("index_columns") if isinstance(notes, dict) else None
    names = indexes if isinstance(indexes, list) else []
    return {name for name in names if isinstance(name, str) and _UNNAMED_INDEX.fullmatch(name)}


def _text(column: pa.ChunkedArray, place: str) -> pa.ChunkedArray:
    try:
        return pc.fill_null(_as_text(column), "")
    except pa.ArrowInvalid as problem:
        raise InputProblem(
            f"{place} is of type {column.type} and cannot be read as text "
            f"({_first_line(problem)}). Export it as text."
        ) from problem


def _as_text(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pt.is_dictionary(kind):
        return _as_text(column.cast(kind.value_type))
    if pt.is_floating(kind):
        return _floats(column if kind.bit_width > 16 else column.cast(pa.float32()))
    if pt.is_decimal(kind):
        return _decimals(column)
    text = pa.large_string()
    if pt.is_timestamp(kind) or pt.is_time(kind):
        return pc.replace_substring_regex(column.cast(text), r"\.0+([+-]\d+|Z)?$", r"\1")
    if pt.is_nested(kind) or pt.is_duration(kind) or isinstance(kind, pa.BaseExtensionType):
        return pa.chunked_array([[_json(value) for value in column.to_pylist()]], text)
    return column.cast(text)


def _floats(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write integral floats as plain digits, and those that lost digits as a spreadsheet would."""
    text = pa.large_string()
    wide = column.cast(pa.float64())
    exact = pc.and_(pc.equal(wide, pc.floor(wide)), pc.less(pc.abs(wide), _EXACT))
    plain = pc.if_else(exact, wide, 0).cast(pa.int64()).cast(text)
    written = pc.if_else(exact, plain, column.cast(text))
    lossy = pc.and_(pc.greater_equal(pc.abs(wide), _EXACT), pc.is_finite(wide))
    if pc.any(lossy).as_py():
        scientific = [None if x is None else f"{x:.5E}" for x in wide.to_pylist()]
        written = pc.if_else(lossy, pa.chunked_array([scientific], text), written)
    return pc.if_else(pc.is_nan(wide), "", written)


def _decimals(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Write decimals without an exponent, and integral ones without a fraction."""
    text = pa.large_string()
    written = column.cast(text)
    if pc.any(pc.match_substring(written, "E")).as_py():
        plain = [None if x is None else f"{x:f}" for x in column.to_pylist()]
        written = pa.chunked_array([plain], text)
    return pc.replace_substring_regex(written, r"\.0+$", "")


def _json(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict | list):
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    return str(value)


def _first_line(problem: Exception) -> str:
    return str(problem).partition("\n")[0].rstrip(".")
