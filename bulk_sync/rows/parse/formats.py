"""The formats of input files, by their suffixes, and the first bytes of other formats.

A new format takes one line in ``FORMATS`` and its parser, a module beside this one.
A file whose content contradicts its suffix is refused, with a hint at what it is.
"""

from pathlib import Path
from typing import Final, NamedTuple

from bulk_sync.errors import InputProblem


class InputFormat(NamedTuple):
    """One format of files.

    Attributes:
        suffixes: the suffixes of its files.
        parser: the module of ``rows/parse`` with ``parse(path, choose)``; "" for text. Its files
            count as packed where the memory for their rows is estimated.
        has_sheets: its files have sheets to choose from.
    """

    suffixes: tuple[str, ...]
    parser: str
    has_sheets: bool = False


TEXT: Final = InputFormat((".csv", ".tsv", ".txt"), parser="")
FORMATS: Final = (
    TEXT,
    InputFormat((".parquet",), parser="parquet"),
    InputFormat((".xlsx", ".xls", ".ods"), parser="workbook", has_sheets=True),
)
PACKED: Final = (".gz", ".bz2", ".xz", ".zst")
"""Suffixes that a text file may have after its own."""

SUFFIXES: Final = (*(suffix for kind in FORMATS for suffix in kind.suffixes), *PACKED)
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


def find(path: Path) -> InputFormat | None:
    """Return the format of a file by its name; None if it has none of the suffixes."""
    suffix = path.suffix.lower()
    if suffix in PACKED:
        suffix = Path(path.stem).suffix.lower()
        return TEXT if suffix in TEXT.suffixes else None
    return next((kind for kind in FORMATS if suffix in kind.suffixes), None)


def list_suffixes() -> str:
    """Return the accepted suffixes for a message."""
    suffixes = " ".join(suffix for kind in FORMATS for suffix in kind.suffixes)
    return f"{suffixes}, the text ones also with {' '.join(PACKED)}"


def describe(head: bytes) -> str:
    """Return a description of the first bytes of a file, for a message."""
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return what
    if not head:
        return "empty"
    is_text = b"\0" not in head or head.startswith((b"\xff\xfe", b"\xfe\xff"))
    return "text" if is_text else "binary data of an unknown kind"


def refuse_binary(place: str, head: bytes) -> None:
    """Refuse other formats than text.

    Raises:
        InputProblem: the first bytes are those of another format.
    """
    if head.startswith(tuple(_MAGIC)):
        raise InputProblem(
            f"{place} is not text: it looks like {describe(head)}. Correct the ending of "
            "its name, or export it as CSV."
        )
