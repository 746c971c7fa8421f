"""Parquet: a row group for each batch, compressed by zstd."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import pyarrow.parquet as pq

from bulk_sync.report.table import Results


def write(results: Results, file: BinaryIO) -> None:
    """Write results."""
    # Without Arrow's schema beside Parquet's, every reader sees text as plain strings.
    with pq.ParquetWriter(file, results.schema, compression="zstd", store_schema=False) as writer:
        for batch in results.read():
            writer.write_batch(batch)


def names(path: Path, head: bytes) -> Sequence[str]:
    """Return the columns of a file; none if its first bytes are not those of Parquet."""
    if not head.startswith(b"PAR1"):
        return ()
    with path.open("rb") as file:  # Arrow opens no file whose name is no text
        names: list[str] = pq.read_schema(file).names
    return names
