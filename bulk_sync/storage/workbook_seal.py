"""Custom properties of workbooks that bulk-sync writes: a seal, and the job of the rows.

Other programs keep such properties when they save a workbook, and change its parts. The seal is a
hash over the other parts, so it shows whether a person has worked on the workbook since.
"""

import zipfile
import zlib
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

SEAL: Final = "bulk-sync seal"
JOB: Final = "bulk-sync job"
JOB_OF_REST: Final = "bulk-sync job of these rows"
"""The job of a whole input, and of rows that were left of one."""

BLANK: Final = "0" * 64
"""The seal of a workbook until ``seal`` is called."""

_PART: Final = "docProps/custom.xml"
_PART_OF_ODS: Final = "meta.xml"
_MOST: Final = 1 << 20
_UNREADABLE: Final = (
    OSError, KeyError, ValueError, zipfile.BadZipFile, zlib.error, ET.ParseError,
    NotImplementedError, RuntimeError, EOFError,
)  # fmt: skip
"""What zipfile raises for a damaged archive, or one with a password."""


def seal(whole: BytesIO) -> None:
    """Write its hash into a workbook that has ``BLANK`` in its place."""
    with zipfile.ZipFile(whole, "a", zipfile.ZIP_DEFLATED) as archive:
        part = archive.getinfo(_PART)
        text = archive.read(part).replace(BLANK.encode(), _hash(archive).encode())
        # The part goes to the end. Whatever followed it moves up: a gap is not for other programs.
        begin, later = (
            part.header_offset,
            [each for each in archive.filelist if each.header_offset > part.header_offset],
        )
        end = min((each.header_offset for each in later), default=archive.start_dir)
        with whole.getbuffer() as content:
            content[begin : begin + archive.start_dir - end] = content[end : archive.start_dir]
        for each in later:
            each.header_offset -= end - begin
        archive.start_dir -= end - begin
        archive.filelist.remove(part)
        del archive.NameToInfo[_PART]
        archive.writestr(_PART, text)
        whole.truncate()


def is_sealed(path: Path) -> bool:
    """Return whether a workbook is as bulk-sync wrote it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return properties(path).get(SEAL) == _hash(archive)
    except _UNREADABLE:
        return False


def properties(path: Path) -> dict[str, str]:
    """Return the custom properties of an .xlsx or .ods; none if the file is no such workbook."""
    try:
        with zipfile.ZipFile(path) as archive:
            name = _PART if _PART in archive.NameToInfo else _PART_OF_ODS
            with archive.open(name) as part:
                root = ET.fromstring(part.read(_MOST))  # noqa: S314 - expat bounds expansion
    except _UNREADABLE:
        return {}
    return {
        value: "".join(each.itertext())
        for each in root.iter()
        for attribute, value in each.items()
        if attribute.rpartition("}")[2] == "name"
    }


def _hash(archive: zipfile.ZipFile) -> str:
    """Return a hash of the names, checksums and sizes of all parts but the one with the seal."""
    parts = sorted((each.filename, each.CRC, each.file_size) for each in archive.filelist)
    return sha256(repr([each for each in parts if each[0] != _PART]).encode()).hexdigest()
