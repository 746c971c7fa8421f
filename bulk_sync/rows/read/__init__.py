"""Reads the input, whatever its format, into raw rows: every cell as text, to the letter.

    source --sources--> paths --by suffix--> text, or rows/parse --> Cells --> frame

Keys and states are checked later, by ``check/``. An input that cannot be read as a whole is refused
here, in one sentence.
"""

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.layout import Place
from bulk_sync.rows.parse import formats
from bulk_sync.rows.parse.formats import SUFFIXES
from bulk_sync.rows.read import confined, text
from bulk_sync.rows.read.advice import refusal
from bulk_sync.rows.read.cells import Cells
from bulk_sync.rows.read.content import explained, unpacked
from bulk_sync.rows.read.first_rows import Wanted
from bulk_sync.rows.read.location import choose_sheet
from bulk_sync.rows.read.origin import default_job, of_workbook, origin
from bulk_sync.rows.read.sources import (
    STDIN,
    digest,
    files,
    is_data,
    is_one,
    is_todo,
    warn_of_others,
    warn_of_skipped,
)

__all__ = [
    "STDIN",
    "SUFFIXES",
    "Wanted",
    "default_job",
    "digest",
    "files",
    "is_data",
    "is_todo",
    "of_workbook",
    "origin",
    "rows",
    "stdin",
    "table",
    "warn_of_skipped",
]


def stdin() -> bytes:
    """Read all of the process's standard input.

    Raises:
        InputProblem: it cannot be read.
    """
    with explained("Standard input"):
        return sys.stdin.buffer.read()


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
    paths: list[Path] = []
    if source == STDIN:
        _refuse_sheet(wanted.sheet, "Standard input")
        tables = [_table(text.cells(stdin, "Standard input", wanted), "Standard input", wanted)]
    elif source.strip() and is_one(source):
        tables = [_file(Path(source), wanted)]
    else:
        paths = list(copies) or files(source)
        if not copies:
            warn_of_others(source, paths)
        tables = list(_each(paths, wanted))
    frames, places = [frame for frame, _ in tables], [place for _, place in tables]
    frame = _joined(paths, frames) if paths else frames[0]
    if frame.empty:
        place = "Standard input" if source == STDIN else source
        raise InputProblem(f"{place} has a header but no data rows. See that its export finished.")
    pa.default_memory_pool().release_unused()  # 330 MB of 10,000,000 rows
    return Raw(frame, places)


def table(path: Path) -> Cells:
    """Read the table of one file.

    Raises:
        InputProblem: it cannot be read.
    """
    return _cells(path, _ANY)


def _file(path: Path, wanted: Wanted) -> tuple[pd.DataFrame, Place]:
    return _table(_cells(path, wanted), str(path), wanted)


def _each(paths: Sequence[Path], wanted: Wanted) -> Iterator[tuple[pd.DataFrame, Place]]:
    """Yield the tables of several files.

    Raises:
        InputProblem: one cannot be read; its remedies are for all files, or name the one.
    """
    for path in paths:
        try:
            yield _file(path, wanted)
        except InputProblem as problem:
            others = [each for each in paths if each != path]
            misfit = next(
                (each for each in others if not _has_columns(each, wanted, problem)), None
            )
            if misfit is None:
                raise
            raise InputProblem(
                f"{problem} What follows is for {path} alone: {misfit} has other columns. All "
                "files of an input need the same ones: give them the same names, or take each "
                "file by itself.",
                problem.overview,
                [each._replace(file=str(path)) for each in problem.remedies],
            ) from problem


def _has_columns(path: Path, wanted: Wanted, problem: InputProblem) -> bool:
    """Return whether another file has the columns that the first remedy names, if it names any."""
    words = problem.remedies[0].words if problem.remedies else []
    options = dict(zip(words[::2], words[1::2], strict=True))
    named = [options[option] for option in ("--key-column", "--state-column") if option in options]
    if not named:
        return True
    rules = Rules(key_column=named[0], state_column=named[-1], needs_state=len(named) > 1)
    try:
        _file(path, replace(wanted, header_row=None, rules=rules))
    except InputProblem:
        return False
    return True


def _table(cells: Cells, place: str, wanted: Wanted) -> tuple[pd.DataFrame, Place]:
    if not wanted.is_header(cells.names):
        raise refusal(
            [cells.first_rows()], replace(wanted, header_row=cells.header_row or 1), place
        )
    positions = cells.positions(place)
    where = Place(_legible(place), cells.sheet, cells.header_row, positions)
    return cells.frame(positions), where


def _legible(place: str | Path) -> str:
    """Return the name of a file as text; it may be none in any encoding."""
    return os.fsencode(place).decode("utf-8", "replace")


def _cells(path: Path, wanted: Wanted) -> Cells:
    kind = formats.find(path)
    if kind is None:
        raise InputProblem(
            f"{path} has an unsupported suffix: {path.suffix or 'none'}. Supported are "
            f"{formats.list_suffixes()}; - reads CSV from standard input."
        )
    if not kind.has_sheets:
        _refuse_sheet(wanted.sheet, str(path))
    if kind.has_sheets:
        choose = partial(choose_sheet, wanted=wanted, place=str(path))
        return confined.cells(path, kind.parser, wanted.sheet, choose)
    if not kind.parser:
        return text.cells(unpacked(path), str(path), wanted, prefer_tab=".tsv" in path.suffixes)
    if wanted.header_row is not None:
        raise InputProblem(
            f"--header-row {wanted.header_row}: {path} holds the names of its columns apart from "
            "its rows. Leave out --header-row."
        )
    return confined.cells(path, kind.parser, None, None)


def _refuse_sheet(sheet: str | None, place: str) -> None:
    if sheet is not None:
        raise InputProblem(
            f"--sheet {sheet!r}: {place} is not a workbook and has no sheets. Leave out --sheet."
        )


def _joined(paths: Sequence[Path], frames: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join the rows of several files, in the first one's order of columns.

    Raises:
        InputProblem: the files do not have the same columns.
    """
    names = list(frames[0].columns)
    for path, frame in zip(paths, frames, strict=True):
        lacks = [name for name in names if name not in frame]
        adds = [name for name in frame if name not in names]
        if lacks or adds:
            differences = [
                f"{verb} {', '.join(map(repr, changed))}"
                for verb, changed in (("lacks", lacks), ("also has", adds))
                if changed
            ]
            raise InputProblem(
                f"The columns of {path} are not those of {paths[0]}: it "
                f"{' and '.join(differences)}. Make them alike, or run the files one by one."
            )
    joined = pd.concat([frame[names] for frame in frames], ignore_index=True)
    origins = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    joined[columns.FILE] = pd.Categorical.from_codes(origins, pd.Index(map(_legible, paths)))
    return joined
