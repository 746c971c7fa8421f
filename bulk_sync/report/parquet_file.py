"""Parquet: typed columns, zstd; missing is null."""

from typing import BinaryIO

import pyarrow.parquet as pq

from bulk_sync.report.table import Results


def write(results: Results, file: BinaryIO) -> None:
    """Write results; a batch is a row group."""
    # Without Arrow's schema beside Parquet's, every reader sees text as plain strings.
    with pq.ParquetWriter(file, results.schema, compression="zstd", store_schema=False) as writer:
        for batch in results.read():
            writer.write_batch(batch)
