"""Rows as Parquet: written a slice at a time, read into one frame a row group at a time."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from itertools import chain
from typing import Final

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.rows import columns
from bulk_sync.rows.slices import Slices

_SAME: Final = b"bulk-sync.same"
"""Name in the metadata of the columns that are equal to KEY and not in the file, by position."""


def with_schema(parts: Iterable[pa.Table]) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Return the schema of tables, at least one, and the same tables; one is held at a time."""
    others = iter(parts)
    first = next(others)
    return first.schema, chain([first], others)


def table(frame: pd.DataFrame) -> pa.Table:
    """Return rows for a file, without columns equal to KEY; ``frame`` adds them."""
    rows = pa.Table.from_pandas(frame, preserve_index=False)
    keys = rows[columns.KEY]
    same = [
        (at, name)
        for at, (name, column) in enumerate(zip(rows.column_names, rows.columns, strict=True))
        if name != columns.KEY and column.equals(keys)
    ]
    noted = {**(rows.schema.metadata or {}), _SAME: orjson.dumps(same)}
    return rows.drop_columns([name for _, name in same]).replace_schema_metadata(noted)


def frame(file: pq.ParquetFile, names: Sequence[str] | None = None) -> pd.DataFrame:
    """Read all rows, with their keys as ``check.rows`` has them: in the memory of the input's own.

    Args:
        file: the file.
        names: the only columns to read, as far as they are there; no keys.

    Memory: the frame, and one row group.
    """
    numbers = range(file.num_row_groups)
    groups = (file.read_row_group(number, columns=names) for number in numbers)
    found = pa.concat_tables(map(_with_keys_once, groups))
    return whole(found) if names is None else found.to_pandas()


def whole(table: pa.Table) -> pd.DataFrame:
    """Return what ``table`` was made of."""
    for at, name in orjson.loads((table.schema.metadata or {}).get(_SAME, b"[]")):
        table = table.add_column(at, name, table[columns.KEY])
    rows: pd.DataFrame = table.to_pandas()
    return rows


def slices(opened: Callable[[], AbstractContextManager[pq.ParquetFile]]) -> Slices:
    """Return all rows, a row group in each slice. Memory: a row group, whenever they are read."""
    with opened() as file:
        if file.num_row_groups == 1:
            return Slices.of(frame(file))
        count, files = file.metadata.num_rows, _files(file)

    def read() -> Iterator[pd.DataFrame]:
        with opened() as file:
            for number in range(file.num_row_groups):
                rows: pd.DataFrame = file.read_row_group(number).to_pandas()
                if columns.FILE in rows:
                    rows[columns.FILE] = rows[columns.FILE].cat.set_categories(files)
                yield rows

    return Slices(count, read)


def _files(file: pq.ParquetFile) -> list[str]:
    """Return the names of the input's files, in all row groups; none if it is one file."""
    if columns.FILE not in file.schema_arrow.names:
        return []
    groups = range(file.num_row_groups)
    parts = (file.read_row_group(number, columns=[columns.FILE]) for number in groups)
    names = (chunk.dictionary.to_pylist() for part in parts for chunk in part[0].chunks)
    return list(dict.fromkeys(chain.from_iterable(names)))


def _with_keys_once(group: pa.Table) -> pa.Table:
    """Return rows without the memory of a column equal to KEY."""
    keys = group[columns.KEY] if columns.KEY in group.column_names else None
    for at, column in enumerate(group.columns):
        if keys is not None and column.equals(keys):
            group = group.set_column(at, group.field(at), keys)
    return group
