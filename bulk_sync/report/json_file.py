"""JSON: one array of objects, one row on each line for line-based tools."""

from typing import BinaryIO

import orjson
import pyarrow as pa

from bulk_sync.report import table as tables


def write(table: pa.Table, file: BinaryIO) -> None:
    """Write a table of results: states as booleans, missing as null, times as ISO 8601."""
    separator = b"[\n"
    for batch in tables.values(table):
        columns = (column.to_pylist() for column in batch.values())
        for row in zip(*columns, strict=True):
            file.write(separator)
            file.write(orjson.dumps(dict(zip(batch, row, strict=True))))
            separator = b",\n"
    file.write(b"\n]\n" if table.num_rows else b"[]\n")
