"""Parquet files with a SHA-256 of all their bytes, to be checked before anything is parsed.

The hash is in the file's own metadata, so other programs can read the file. It is computed with 64
zeros in its place.
"""

from collections.abc import Mapping
from hashlib import sha256
from io import BytesIO
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

KEY: Final = b"bulk-sync.sealed"
"""The name in the metadata of a sealed file."""

_MARK: Final = b"sealed:sha256:"
_BLANK: Final = b"0" * 64


def parquet(table: pa.Table, notes: Mapping[bytes, bytes]) -> memoryview:
    """Return a table as a sealed Parquet file with notes in its metadata. Memory: the file."""
    metadata = {**(table.schema.metadata or {}), **notes, KEY: _MARK + _BLANK}
    file = BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), file, compression="zstd")
    content = file.getbuffer()
    end = len(content) - 8  # the length of the metadata and b"PAR1" come last
    begin = end - int.from_bytes(content[end : end + 4], "little")
    at = begin + bytes(content[begin:end]).rindex(_MARK + _BLANK) + len(_MARK)
    content[at : at + len(_BLANK)] = sha256(content).hexdigest().encode()
    return content


def is_whole(content: bytes) -> bool | None:
    """Return whether a file is unchanged since it was sealed; None if it has no seal."""
    at = content.rfind(_MARK)
    if at < 0:
        return None
    at += len(_MARK)
    end = at + len(_BLANK)
    view = memoryview(content)
    hashed = sha256(view[:at])
    hashed.update(_BLANK)
    hashed.update(view[end:])
    return hashed.hexdigest().encode() == content[at:end]
