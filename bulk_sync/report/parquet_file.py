"""Parquet: typed columns, zstd; missing is null."""

from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq


def write(table: pa.Table, file: BinaryIO) -> None:
    """Write a table of results."""
    # Without Arrow's schema beside Parquet's, every reader sees text as plain strings.
    pq.write_table(table, file, compression="zstd", store_schema=False)
