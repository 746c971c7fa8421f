"""Parses workbooks and Parquet files in a process of its own, whose memory and time are limited.

    read/confined.py --path, sheet--> __main__ --> workbook --> xlsx | ods | xls
                     <--rows as Arrow, notes--'`-> parquet

Such files come from strangers. Their parsers can abort the process, take any amount of memory, or
never end. Here that costs this process alone. It imports no pandas, because it is started for each
file.
"""

import resource
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.abc import MetaPathFinder

import pyarrow as pa


@dataclass(slots=True)
class Parsed:
    """One table, every cell as text.

    Attributes:
        names: the header's cells, untouched.
        batches: the rows in their order: int64, the number in a spreadsheet, then for each name its
            column, large_string without nulls.
        sheet: the sheet of a workbook.
        header_row: the number of the header's row; None in Parquet.
        notes: warnings for the user, complete when all batches are.
    """

    names: list[str]
    batches: Iterator[pa.RecordBatch]
    sheet: str | None = None
    header_row: int | None = None
    notes: list[str] = field(default_factory=list)


def batch(numbers: pa.Array, texts: list[pa.Array]) -> pa.RecordBatch:
    """Return one batch of ``Parsed``; its columns are called by their positions."""
    return pa.record_batch([numbers, *texts], names=[str(at) for at in range(len(texts) + 1)])


def confine(bytes_: int, seconds: int) -> None:
    """Limit memory and CPU time of this process, and keep pandas out of it."""
    sys.meta_path.insert(0, _WithoutPandas())
    for what, most in {resource.RLIMIT_DATA: bytes_, resource.RLIMIT_CPU: seconds}.items():
        with suppress(ValueError):  # a lower limit is set from outside
            resource.setrlimit(what, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _WithoutPandas(MetaPathFinder):
    """Refuses the import of pandas by pyarrow: most of a second, and half of the memory."""

    def find_spec(self, fullname: str, *_: object) -> None:
        """Raise ImportError for pandas; leave every other module to the finders below."""
        if fullname == "pandas":
            raise ModuleNotFoundError(name=fullname)
