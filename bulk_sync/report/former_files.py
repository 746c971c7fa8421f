"""Which files may be replaced: those that this program wrote, and empty ones.

A file is recognized by its structure: the columns of a report or of ``map``, the first line of a
page, the beginning of an outline, the seal of a workbook. A workbook that a person has changed
since is not replaced. A todo file is none of them: rows in it may have been corrected.
"""

import csv
import zipfile
import zlib
from pathlib import Path
from typing import Final

import orjson
import pyarrow as pa

from bulk_sync.report.formats import FORMATS, ReportFormat
from bulk_sync.rows import columns
from bulk_sync.storage import workbook_seal

_OF_A_REPORT: Final = {columns.ROW, columns.KEY, columns.OUTCOME, columns.REASON}
_OF_A_MAPPED_FILE: Final = {"PKey", "oldPKey"}
_OF_A_PAGE: Final = b'<p class="by">bulk-sync report</p>'
_OF_AN_OUTLINE: Final = b'{"format":"bulk-sync outline '

_HEAD_BYTES: Final = 1 << 20
_GZIP: Final = 31
_NO_ROWS: Final = b"[]"


def objection(path: Path) -> tuple[str, str]:
    """Return why a file may not be replaced, and what to do, as sentences; "" if it may."""
    try:
        is_ours = _is_ours(path)
    except FileNotFoundError:
        return "", ""
    except OSError:  # this user may not read it
        is_ours = False
    if not is_ours:
        why = "is there already, and bulk-sync has not written it, as far as can be seen, so it is"
        return f"{why} not replaced.", "Name another path, or move that file away."
    if zipfile.is_zipfile(path) and not workbook_seal.is_sealed(path):
        return (
            "was changed since bulk-sync wrote it, so it is not replaced: that work would be lost.",
            "Name another path, or delete that file first.",
        )
    return "", ""


def _is_ours(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if head.startswith(b"PK\x03\x04"):
        return workbook_seal.SEAL in workbook_seal.properties(path)
    try:
        if head.startswith(b"\x1f\x8b"):
            head = zlib.decompressobj(_GZIP).decompress(head, _HEAD_BYTES)
        is_outline = head.startswith(_OF_AN_OUTLINE)
        if is_outline or head.strip() in {b"", _NO_ROWS} or _OF_A_PAGE in head.splitlines():
            return True
    except zlib.error:
        return False  # damaged
    names = [_names(each, path, head) for each in FORMATS.values()]
    return any(each >= _OF_A_REPORT or each >= _OF_A_MAPPED_FILE for each in names)


def _names(kind: ReportFormat, path: Path, head: bytes) -> set[str]:
    try:
        return set() if kind.names is None else set(kind.names(path, head))
    except (pa.ArrowException, csv.Error, orjson.JSONDecodeError):
        return set()  # damaged, or of another kind
