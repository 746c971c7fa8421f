"""Parquet files with a SHA-256 of all their bytes, to be checked before anything is parsed.

The hash is in the file's own metadata, so other programs can read the file. It is computed with 64
zeros in its place. A file is written and checked piece by piece, and never held whole.

Parse the open file that was checked: another one may be at its path by then.
"""

import os
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.parquet as pq

_KEY: Final = b"bulk-sync.sealed"
"""The name in the metadata of a sealed file."""

GROUP_ROWS: Final = 1 << 17
"""Rows that are read or written at once, at most."""

_MARK: Final = b"sealed:sha256:"
_BLANK: Final = b"0" * 64
_PIECE: Final = 1 << 20


def write(
    file: BinaryIO,
    schema: pa.Schema,
    parts: Iterable[pa.Table | pa.RecordBatch],
    notes: Mapping[bytes, bytes],
    compression: str = "zstd",
) -> None:
    """Write a sealed Parquet file into a new file, which can be read too.

    The notes are added to the metadata of the schema. Memory: a part, and a column of
    ``GROUP_ROWS`` rows.

    Raises:
        OSError: the file cannot be written.
    """
    metadata = {**(schema.metadata or {}), **notes, _KEY: _MARK + _BLANK}
    with pq.ParquetWriter(
        file, schema.with_metadata(metadata), compression=compression, write_statistics=False
    ) as writer:
        for part in parts:
            writer.write(part, row_group_size=GROUP_ROWS)
    at, seal = _seal(file)
    file.seek(at)
    file.write(seal)
    file.seek(0, os.SEEK_END)


def is_whole(file: BinaryIO) -> bool | None:
    """Return whether an open file is unchanged since it was sealed; None if it has no seal."""
    try:
        at, seal = _seal(file)
    except _NoSeal:
        return None
    file.seek(at)
    return file.read(len(_BLANK)) == seal


class _NoSeal(ValueError):
    """A file has no place for a seal."""


def _seal(file: BinaryIO) -> tuple[int, bytes]:
    """Return where the seal of a file is, and what it is to be.

    Raises:
        _NoSeal: it has no place for one.
    """
    end = file.seek(0, os.SEEK_END) - 8  # the length of the metadata and b"PAR1" come last
    file.seek(max(end, 0))
    begin = end - int.from_bytes(file.read(4), "little")
    if begin < 0:
        raise _NoSeal
    file.seek(begin)
    metadata = file.read()
    found = metadata.rfind(_MARK)
    if found < 0:
        raise _NoSeal
    after = found + len(_MARK)
    at = begin + after
    file.seek(0)
    hashed = sha256()
    for piece in iter(lambda: file.read(min(_PIECE, at - file.tell())), b""):
        hashed.update(piece)
    hashed.update(_BLANK)
    hashed.update(metadata[after + len(_BLANK) :])
    return at, hashed.hexdigest().encode()
