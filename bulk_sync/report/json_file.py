"""JSON: one array of objects, one row on each line for line-based tools."""

from typing import BinaryIO

import orjson

from bulk_sync.report.table import Results


def write(results: Results, file: BinaryIO) -> None:
    """Write results: states as booleans, missing as null, times as ISO 8601."""
    separator = b"[\n"
    for batch in results.values():
        columns = (column.to_pylist() for column in batch.values())
        for row in zip(*columns, strict=True):
            file.write(separator)
            file.write(orjson.dumps(dict(zip(batch, row, strict=True))))
            separator = b",\n"
    file.write(b"\n]\n" if results.count else b"[]\n")
