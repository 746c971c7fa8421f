"""Reads the input, whatever its format, into raw rows: every cell as text, to the letter.

    source --sources--> paths --tables--> text, or rows/parse --> Cells --> frame
                                                              '-> Parts --> frames, in slices

Keys and states are checked later, by ``check/``. An input that cannot be read as a whole is refused
here, in one sentence.
"""

import sys
from collections.abc import Callable, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Final, NamedTuple

import pandas as pd
import pyarrow as pa

from bulk_sync.rows.layout import Place
from bulk_sync.rows.parse.formats import SUFFIXES
from bulk_sync.rows.read import tables, text
from bulk_sync.rows.read.cells import Cells
from bulk_sync.rows.read.content import BLOCK_BYTES, File, explained, spooling
from bulk_sync.rows.read.first_rows import Wanted
from bulk_sync.rows.read.origin import default_job, of_workbook, origin
from bulk_sync.rows.read.raw_slices import RawSlices, cell_bytes, slices
from bulk_sync.rows.read.sources import (
    STDIN,
    STDIN_NAME,
    digest,
    files,
    is_data,
    is_one,
    is_todo,
    text_bytes,
    warn_of_others,
    warn_of_skipped,
)

__all__ = [
    "STDIN",
    "SUFFIXES",
    "RawSlices",
    "Wanted",
    "cell_bytes",
    "default_job",
    "digest",
    "files",
    "is_data",
    "is_todo",
    "of_workbook",
    "origin",
    "rows",
    "slices",
    "spooling",
    "stdin",
    "table",
    "text_bytes",
    "warn_of_skipped",
]

_ANY: Final = Wanted()


class Raw(NamedTuple):
    """The rows of an input, and where they were.

    Attributes:
        frame: the input's own columns as str, with its names and in its order, "" for an empty
            cell; then ROW, and FILE if the source is a folder or a glob. Index 0..n-1.
        places: of each file, where its table is.
    """

    frame: pd.DataFrame
    places: Sequence[Place]


def stdin(spool: Callable[[], File]) -> tuple[File, str]:
    """Copy the process's standard input into a file; return it with its SHA-256.

    Raises:
        InputProblem: it cannot be read.
    """
    file, found = spool(), sha256()
    with explained(STDIN_NAME):
        while block := sys.stdin.buffer.read(BLOCK_BYTES):
            found.update(block)
            file.write(block)
    return file, found.hexdigest()


def rows(
    source: str, wanted: Wanted = _ANY, *, stdin: bytes = b"", copies: Sequence[Path] = ()
) -> Raw:
    """Read the whole input.

    Args:
        source: a file, a folder, a glob, or ``-`` for CSV on standard input.
        wanted: what is known of the table's place, and of its columns.
        stdin: the content of standard input, if that is the source.
        copies: the files of a folder or glob that is not on this machine.

    Raises:
        InputProblem: it cannot be read; the message has the place, the reason and the next step.
    """
    if source == STDIN:
        tables.refuse_sheet(wanted.sheet, STDIN_NAME)
        frame, place = _frame(text.cells(stdin, STDIN_NAME, wanted), STDIN_NAME, wanted)
        places = [place]
    elif source.strip() and is_one(source):
        path = Path(source)
        frame, place = _frame(tables.cells(path, wanted), str(path), wanted)
        places = [place]
    else:
        paths = list(copies) or files(source)
        if not copies:
            warn_of_others(source, paths)
        frame, places = _joined(paths, wanted)
    if frame.empty:
        raise tables.no_rows(source)
    pa.default_memory_pool().release_unused()  # 330 MB of 10,000,000 rows
    return Raw(frame, places)


def table(path: Path) -> Cells:
    """Read the table of one file.

    Raises:
        InputProblem: it cannot be read.
    """
    return tables.cells(path, _ANY)


def _joined(paths: Sequence[Path], wanted: Wanted) -> tuple[pd.DataFrame, list[Place]]:
    """Read the files of a folder or glob."""
    frames, places = [], []
    for path in paths:
        with tables.one_of(paths, path, wanted, BytesIO):
            frame, place = _frame(tables.cells(path, wanted), str(path), wanted)
        frames.append(frame)
        places.append(place)
    tables.check_alike(paths, places)
    return tables.joined(paths, frames), places


def _frame(cells: Cells, file: str, wanted: Wanted) -> tuple[pd.DataFrame, Place]:
    place = tables.place(cells, file, wanted)
    return cells.frame(place.positions), place
