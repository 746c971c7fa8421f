"""Which files may be replaced: those that this program wrote, and empty ones."""

import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Final

_MARK: Final = re.compile(rb"sync_outcome|sync_reason|oldPKey|bulk-sync|All rows")
"""A report, a todo file, a file of ``map``, an HTML report or plan, a workbook."""

_HEAD_BYTES: Final = 1 << 20
_GZIP: Final = 31
_NO_ROWS: Final = b"[]"
_PARTS: Final = re.compile(r"xl/(workbook|sharedStrings|worksheets/[^/]+)\.xml")


def may_replace(path: Path) -> bool:
    """Return whether a file may be replaced, or is not there."""
    try:
        return _is_ours(path)
    except FileNotFoundError:
        return True
    except OSError:  # this user may not read it
        return False


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
        if head.startswith(b"PAR1"):
            head = _footer(file)
        elif head.startswith(b"PK\x03\x04"):
            return _is_workbook_of_ours(file)
        elif head.startswith(b"\x1f\x8b"):
            try:
                head = zlib.decompressobj(_GZIP).decompress(head, _HEAD_BYTES)
            except zlib.error:
                return False
    return head.strip() in {b"", _NO_ROWS} or _MARK.search(head) is not None


def _footer(file: BinaryIO) -> bytes:
    """Return the end of a Parquet file, which names the columns."""
    size = file.seek(-8, 2) + 8
    length = int.from_bytes(file.read(4), "little")
    file.seek(max(0, size - 8 - length))
    return file.read(length)


def _is_workbook_of_ours(file: BinaryIO) -> bool:
    try:
        with zipfile.ZipFile(file) as archive:
            for name in filter(_PARTS.fullmatch, archive.namelist()):
                with archive.open(name) as part:
                    if _MARK.search(part.read(_HEAD_BYTES)):
                        return True
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError):
        return False  # damaged, or with a password
    return False
