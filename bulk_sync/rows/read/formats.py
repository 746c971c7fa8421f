"""Which file is read how: by its suffix, and what its first bytes say instead.

Nothing is guessed from content: a file whose content contradicts its suffix is refused, with the
suffix that would fit.
"""

from enum import Enum
from pathlib import Path
from typing import Final

from bulk_sync.errors import InputProblem


class Format(Enum):
    """The kinds of files that can be read."""

    TEXT = (".csv", ".tsv", ".txt")
    PARQUET = (".parquet",)
    WORKBOOK = (".xlsx", ".xls", ".ods")


PACKED: Final = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes that a text file may bear after its own."""

SUFFIXES: Final = (*(suffix for kind in Format for suffix in kind.value), *PACKED)
"""Every accepted suffix; those of ``PACKED`` only after one of text."""

_MAGIC: Final = {
    b"PK\x03\x04": "a ZIP archive, such as .xlsx and .ods files are",
    b"PAR1\x15": "a .parquet file",
    b"PARE": "an encrypted Parquet file, which cannot be read",
    b"\xd0\xcf\x11\xe0": "an old or password-protected Office file, such as .xls files are",
    b"\x1f\x8b": "packed by gzip, as .gz files are",
    b"BZh91AY&SY": "packed by bzip2, as .bz2 files are",
    b"\xfd7zXZ": "packed by xz, as .xz files are",
    b"\x28\xb5\x2f\xfd": "packed by zstd, as .zst files are",
    b"%PDF-": "a PDF document, which holds no table",
}


def of(path: Path) -> Format | None:
    """Tell by its name how a file is to be read; None if it is not."""
    suffix = path.suffix.lower()
    if suffix in PACKED:
        suffix = Path(path.stem).suffix.lower()
        return Format.TEXT if suffix in Format.TEXT.value else None
    return next((kind for kind in Format if suffix in kind.value), None)


def named() -> str:
    """Name the accepted suffixes for a person."""
    kinds = " ".join(suffix for kind in Format for suffix in kind.value)
    return f"{kinds}, the text ones also with {' '.join(PACKED)}"


def look(head: bytes) -> str:
    """Say for a person what a file's first bytes look like."""
    known = (what for magic, what in _MAGIC.items() if head.startswith(magic))
    return next(known, "text" if _is_text(head) else "binary data of an unknown kind")


def refuse_binary(place: str, head: bytes) -> None:
    """Refuse what is known not to be text.

    Raises:
        InputProblem: the first bytes are those of another format.
    """
    if head.startswith(tuple(_MAGIC)):
        raise InputProblem(
            f"{place} is not text: it looks like {look(head)}. Give it the suffix that fits, or "
            "export it as CSV."
        )


def _is_text(head: bytes) -> bool:
    return bool(head) and (b"\0" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff")))
