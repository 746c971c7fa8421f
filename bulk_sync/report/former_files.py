"""Which files may be replaced: those that this program wrote, and empty ones.

A workbook that a person has changed since is not replaced.
"""

import re
import zipfile
import zlib
from pathlib import Path
from typing import BinaryIO, Final

from bulk_sync.storage import workbook_seal

_MARK: Final = re.compile(rb"sync_outcome|sync_reason|oldPKey|bulk-sync|All rows")
"""A report, a todo file, a file of ``map``, an HTML report or plan, a workbook."""

_HEAD_BYTES: Final = 1 << 20
_GZIP: Final = 31
_NO_ROWS: Final = b"[]"
_PARTS: Final = re.compile(r"xl/(workbook|sharedStrings|worksheets/[^/]+)\.xml")


def objection(path: Path) -> str:
    """Return why a file may not be replaced, and what to do, as sentences about it."""
    why, remedy = _objection(path)
    return f"{why} {remedy}".strip()


def reason(path: Path) -> str:
    """Return why a file may not be replaced, as a sentence about it; "" if it may."""
    return _objection(path)[0]


def _objection(path: Path) -> tuple[str, str]:
    try:
        is_ours = _is_ours(path)
    except FileNotFoundError:
        return "", ""
    except OSError:  # this user may not read it
        is_ours = False
    if not is_ours:
        return (
            (
                "is there already, and bulk-sync has not written it, as far as can be seen, so it "
                "is not replaced."
            ),
            "Name another path, or move that file away.",
        )
    if zipfile.is_zipfile(path) and not workbook_seal.is_sealed(path):
        return (
            "was changed since bulk-sync wrote it, so it is not replaced: that work would be lost.",
            "Name another path, or delete that file first.",
        )
    return "", ""


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
