"""Reads an input of any size in slices: frames of raw rows, one after the other.

    source --> files --tables--> parts --> frames

Memory: one slice, and what its reading takes.
"""

from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from sys import maxsize
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.layout import TablePlace
from bulk_sync.rows.read import tables, text
from bulk_sync.rows.read.cells import Table, with_last_rows
from bulk_sync.rows.read.content import Content, Spool, explained, spooling
from bulk_sync.rows.read.first_rows import Wanted
from bulk_sync.rows.read.sources import STDIN, STDIN_NAME, files, is_one, warn_of_others

_ANY: Final = Wanted()


class RawSlices(NamedTuple):
    """The rows of an input, slice by slice, and where they were.

    Attributes:
        frames: the slices in the input's order, to be read once: the input's own columns as str,
            with its names and in its order, "" for an empty cell; then ROW, and FILE if the source
            is a folder or a glob. Index 0..n-1. If there are several slices, none has rows of two
            files, and the last one of a file has ``LAST_ROWS``, or all rows of the file.
        places: of each file, where its table is; complete when all frames were read.
    """

    frames: Generator[pd.DataFrame, None, None]
    places: Sequence[TablePlace]


def slices(
    source: str,
    wanted: Wanted = _ANY,
    *,
    stdin: BinaryIO | None = None,
    copies: Sequence[Path] = (),
    most_bytes: int = maxsize,
    folder: Path | None = None,
) -> RawSlices:
    """Read the input in slices; by default all of it is one slice.

    Args:
        source: a file, a folder, a glob, or ``-`` for CSV on standard input.
        wanted: what is known of the table's place, and of its columns.
        stdin: the content of standard input, if it is the source.
        copies: the files of a folder or glob that is not on this machine.
        most_bytes: about how many bytes of text a slice may have; it has at least one row.
        folder: a private folder for texts that are unpacked or decoded; None keeps them in memory.

    Raises:
        InputProblem: there is no such input; or later, while its frames are read, one of them
            cannot be read. The message has the place, the reason and the next step.
    """
    reading = _Reading(wanted, most_bytes, spooling(most_bytes, folder), [])
    if source == STDIN:
        tables.refuse_sheet(wanted.sheet, STDIN_NAME)
        frames = reading.standard_input(stdin or BytesIO())
    elif source.strip() and is_one(source):
        frames = reading.file(Path(source))
    else:
        paths = list(copies) or files(source)
        if not copies:
            warn_of_others(source, paths)
        frames = _one_if_small(reading.files(paths), most_bytes)
    return RawSlices(_filled(frames, source), reading.places)


@dataclass(frozen=True, slots=True)
class _Reading:
    """How files are read, and where their tables were found."""

    wanted: Wanted
    most_bytes: int
    spool: Spool
    places: list[TablePlace]

    def standard_input(self, stdin: BinaryIO) -> Iterator[pd.DataFrame]:
        content = Content(stdin)
        with explained(STDIN_NAME):
            table = text.table(content, STDIN_NAME, self.wanted, self.spool, self.most_bytes)
            yield from self._frames(table, STDIN_NAME)

    def file(self, path: Path) -> Iterator[pd.DataFrame]:
        with tables.opened(path, self.wanted, self.spool, self.most_bytes) as table:
            yield from self._frames(table, str(path))

    def files(self, paths: Sequence[Path]) -> Iterator[pd.DataFrame]:
        """Yield the rows of several files, up to the first one with other columns."""
        alike, files = True, pd.Index(map(tables.legible, paths))
        for number, path in enumerate(paths):
            for frame in self.file(path):
                names = self.places[0].positions
                alike &= self.places[-1].positions.keys() == names.keys()
                if alike:
                    own = frame[[*names, columns.ROW]]
                    own[columns.FILE] = pd.Categorical.from_codes(np.full(len(own), number), files)
                    yield own
        tables.check_alike(paths, self.places)

    def _frames(self, table: Table, file: str) -> Iterator[pd.DataFrame]:
        try:
            place = tables.place(table, file, self.wanted)
        except InputProblem:
            for _ in table.read():
                pass  # a row that cannot be read comes first, as in a table read whole
            raise
        self.places.append(place)
        with closing(table.read()) as parts:
            for each in with_last_rows(parts):
                yield each.frame(place.positions)


def _one_if_small(frames: Iterator[pd.DataFrame], most_bytes: int) -> Iterator[pd.DataFrame]:
    """Yield frames, or all their rows as one unless it is large."""
    held: list[pd.DataFrame] = []
    size = 0
    for frame in frames:
        held.append(frame)
        size += cell_bytes(frame)
        if size > most_bytes:
            break
    else:
        held = [pd.concat(held, ignore_index=True)] if held else []
    while held:
        yield held.pop(0)
    yield from frames


def cell_bytes(frame: pd.DataFrame) -> int:
    """Return how many bytes the cells of a frame take as text, about."""
    cells = [pa.chunked_array(frame[name]) for name in frame if frame[name].dtype == "str"]
    return sum(pc.sum(pc.binary_length(each)).as_py() + len(each) for each in cells)


def _filled(frames: Iterable[pd.DataFrame], source: str) -> Generator[pd.DataFrame, None, None]:
    has_rows = False
    for frame in frames:
        has_rows = True
        yield frame
        pa.default_memory_pool().release_unused()  # 20 MB of slices of 16 MB
    if not has_rows:
        file = STDIN_NAME if source == STDIN else source
        raise InputProblem(f"{file} has a header but no data rows. See that its export finished.")
