"""Reads the input, whatever its format, into raw rows: every cell as text, to the letter.

    source --sources--> paths --tables--> text, or rows/parse --> Table --> frames, in slices

Keys and states are checked later, by ``check/``. An input that cannot be read as a whole is refused
here, in one sentence.
"""

import sys
from hashlib import sha256
from io import BufferedReader, BytesIO
from pathlib import Path
from sys import maxsize
from typing import BinaryIO, cast

from bulk_sync.rows.parse.formats import SUFFIXES
from bulk_sync.rows.read import tables
from bulk_sync.rows.read.cells import Cells
from bulk_sync.rows.read.content import BLOCK_BYTES, Spool, explained, spooling
from bulk_sync.rows.read.first_rows import Wanted
from bulk_sync.rows.read.raw_slices import RawSlices, cell_bytes, slices
from bulk_sync.rows.read.sources import (
    STDIN,
    STDIN_NAME,
    default_job,
    digest,
    files,
    is_data,
    is_todo,
    of_workbook,
    origin,
    text_bytes,
    warn_of_skipped,
)
from bulk_sync.rows.read.tables import legible

__all__ = [
    "STDIN", "SUFFIXES", "RawSlices", "Wanted", "cell_bytes", "default_job", "digest", "files",
    "is_data", "is_todo", "legible", "of_workbook", "origin", "slices", "spooling", "stdin",
    "table", "text_bytes", "warn_of_skipped",
]  # fmt: skip


def stdin(spool: Spool) -> tuple[BinaryIO, str]:
    """Copy the process's standard input into a file; return it with its SHA-256.

    Raises:
        InputProblem: it cannot be read.
    """
    file, found = spool(), sha256()
    source = cast("BufferedReader", sys.stdin.buffer)
    with explained(STDIN_NAME):
        while block := source.read1(BLOCK_BYTES):  # a terminal gives its end once
            found.update(block)
            file.write(block)
    return file, found.hexdigest()


def table(path: Path) -> Cells:
    """Read the table of one file.

    Raises:
        InputProblem: it cannot be read.
    """
    with tables.opened(path, Wanted(), BytesIO, maxsize) as found:
        return found.whole()
