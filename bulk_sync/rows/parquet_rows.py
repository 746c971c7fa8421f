"""Rows as Parquet: written a slice at a time, read into one frame a row group at a time."""

from collections.abc import Iterable, Iterator
from itertools import chain

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.rows import columns


def with_schema(parts: Iterable[pa.Table]) -> tuple[pa.Schema, Iterator[pa.Table]]:
    """Return the schema of tables, at least one, and the same tables; one is held at a time."""
    others = iter(parts)
    first = next(others)
    return first.schema, chain([first], others)


def frame(file: pq.ParquetFile) -> pd.DataFrame:
    """Read all rows, with their keys as ``check.rows`` has them: in the memory of the input's own.

    Memory: the frame, and one row group.
    """
    groups = (file.read_row_group(number) for number in range(file.num_row_groups))
    rows: pd.DataFrame = pa.concat_tables(map(_with_keys_once, groups)).to_pandas()
    return rows


def _with_keys_once(group: pa.Table) -> pa.Table:
    """Return rows without the memory of a column that is equal to KEY."""
    keys = group[columns.KEY] if columns.KEY in group.column_names else None
    for at, column in enumerate(group.columns):
        if keys is not None and column.equals(keys):
            group = group.set_column(at, group.field(at), keys)
    return group
