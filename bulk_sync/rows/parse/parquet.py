"""Parses Parquet: any type of column as text. Rows are numbered as in a spreadsheet."""

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from bulk_sync.errors import InputProblem, clause
from bulk_sync.rows.parse import Parsed, batch
from bulk_sync.rows.parse.formats import describe

_EXACT: Final = 2**53
"""From here on a float has no digit for every integer."""

_NO_TEXT: Final = (OverflowError, ValueError, TypeError, RecursionError)
"""Errors for values beyond Python, such as a date of the year 300,000 in a list."""

_AT_INDEX: Final = re.compile(r"Invalid UTF8 sequence at string index (\d+)")
_UNNAMED_INDEX: Final = re.compile(r"__index_level_\d+__")


_BUFFER_BYTES: Final = 1 << 20
"""Without one, a column of a row group is read at once: 180 MB of 6,000,000 keys in one group."""

_BATCH_ROWS: Final = 1 << 13
_SENT_BYTES: Final = 8 << 20
"""Rows are made into text a few at a time, and handed on when there are so many bytes of them."""


def parse(path: Path, _: object = None) -> Parsed:
    """Parse one file.

    Raises:
        InputProblem: it is another format, damaged, or holds bytes that are no text.
    """
    with ExitStack() as opened:
        file = opened.enter_context(path.open("rb"))  # Arrow opens none whose name is no text
        head = file.read(1024)
        if not head.startswith(b"PAR1"):
            raise InputProblem(
                f"{path} is not a Parquet file: it is {describe(head)}. Correct the ending of its "
                "name, or export it again."
            )
        with _explained(path):
            parquet = pq.ParquetFile(
                file,
                coerce_int96_timestamp_unit="us",
                pre_buffer=False,
                buffer_size=_BUFFER_BYTES,
            )
            schema = parquet.schema_arrow
            names = list(schema.names)
            unnamed = _unnamed_indexes(schema)
        kept = [at for at, name in enumerate(names) if name not in unnamed]
        batches = _batches(parquet, kept, names, path, opened.pop_all())
    return Parsed([names[at] for at in kept], batches)


def _batches(
    parquet: pq.ParquetFile, kept: list[int], names: list[str], path: Path, opened: ExitStack
) -> Iterator[pa.RecordBatch]:
    collected: list[pa.RecordBatch] = []
    first = 2
    with _explained(path), opened:
        for rows in parquet.iter_batches(batch_size=_BATCH_ROWS, use_threads=False):
            texts = [_text(rows.column(at), names[at], path, first) for at in kept]
            numbers = pa.array(range(first, first + rows.num_rows), pa.int64())
            first += rows.num_rows
            collected.append(batch(numbers, texts))
            if sum(each.nbytes for each in collected) >= _SENT_BYTES:
                yield pa.concat_batches(collected)
                collected = []
    if collected:
        yield pa.concat_batches(collected)


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except MemoryError:  # Arrow has one that is an ArrowException too
        raise
    except UnicodeDecodeError as problem:
        raise InputProblem(
            f"{path} has a column whose name is not UTF-8 ({problem.object!r}). Rename it, and "
            "export the file again."
        ) from problem
    except (pa.ArrowException, OSError) as problem:
        raise InputProblem(
            f"{path} is a Parquet file, but cut off or damaged ({_first_line(problem)}). Fetch or "
            "export it again."
        ) from problem


def _unnamed_indexes(schema: pa.Schema) -> set[str]:
    try:
        notes = json.loads((schema.metadata or {}).get(b"pandas", b"{}"))
    except ValueError:
        return set()
    indexes = notes.get("index_columns") if isinstance(notes, dict) else None
    names = indexes if isinstance(indexes, list) else []
    return {name for name in names if isinstance(name, str) and _UNNAMED_INDEX.fullmatch(name)}


def _text(values: pa.Array, name: str, path: Path, first: int) -> pa.Array:
    """Return rows of a column as text; raise InputProblem if a value is none, or holds a NUL."""
    try:
        values.validate(full=True)
        text = pc.fill_null(_as_text(pa.chunked_array([values])), "").combine_chunks()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, *_NO_TEXT) as problem:
        at = _AT_INDEX.search(str(problem))
        rows = f"row {first + int(at[1])}" if at else f"rows {first} to {first + len(values) - 1}"
        raise InputProblem(
            f"Column {name!r} of {path} is of type {values.type} and cannot be read as text, in "
            f"{rows} ({_first_line(problem)}). Correct it, or export it as text."
        ) from problem
    nul = pc.match_substring(text, "\0")
    if pc.any(nul).as_py():
        row = first + pc.index(nul, pa.scalar(value=True)).as_py()
        raise InputProblem(
            f"Column {name!r} of {path} has a NUL character in row {row}. It may be damaged, or no "
            "text at all; correct it, or leave the column out."
        )
    return text


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
    """Return integral floats as plain digits, and inexact ones as a spreadsheet shows them."""
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
    return clause(str(problem).partition("\n")[0])
