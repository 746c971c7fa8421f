"""Parses workbooks and Parquet files in a process of its own, whose memory and time are limited.

    read/confined.py --path, sheet--> __main__ --> workbook --xlsx, ods, xls--> calamine
                     <--rows as Arrow, notes--'`-> parquet --> pyarrow

Such files come from strangers, and the libraries that parse them can abort the process, take any
amount of memory, or never end. Here that costs this process alone. It imports no pandas, because
it is started for each file.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Parsed:
    """One table, every cell as text.

    Attributes:
        names: the header's cells, untouched.
        batches: the rows in their order: int64, the number that a spreadsheet shows, then for each
            name its column, large_string without nulls.
        notes: what the user should know, a sentence each.
    """

    names: list[str]
    batches: Iterator[pa.RecordBatch]
    notes: list[str] = field(default_factory=list)


def batch(numbers: pa.Array, texts: list[pa.Array]) -> pa.RecordBatch:
    """Return one batch of ``Parsed``; its columns are called by their positions."""
    return pa.record_batch([numbers, *texts], names=[str(at) for at in range(len(texts) + 1)])
