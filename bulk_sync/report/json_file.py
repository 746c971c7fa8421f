"""JSON: one array of objects, each on a line of its own for tools that read lines."""

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Final

import orjson

from bulk_sync.report.table import Results

_BEGIN: Final = b"[\n"


def write(results: Results, file: BinaryIO) -> None:
    """Write results."""
    separator = _BEGIN
    for batch in results.values():
        values = (column.to_pylist() for column in batch.values())
        for row in zip(*values, strict=True):
            file.write(separator)
            file.write(orjson.dumps(dict(zip(batch, row, strict=True))))
            separator = b",\n"
    file.write(b"\n]\n" if results.count else b"[]\n")


def names(_: Path, head: bytes) -> Sequence[str]:
    """Return the columns of a file by its first bytes; none if it is not written like this."""
    if not head.startswith(_BEGIN):
        return ()
    row = orjson.loads(head.removeprefix(_BEGIN).partition(b"\n")[0].rstrip(b","))
    return list(row) if isinstance(row, dict) else ()
