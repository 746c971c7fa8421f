"""Reads the input, whatever its format, into raw rows: every cell as text, to the letter.

    source --sources--> paths --by suffix--> text, or rows/parse --> Cells --> frame

Keys and states are checked later, by ``check/``. An input that cannot be read as a whole is refused
here, in one sentence.
"""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.parse import formats
from bulk_sync.rows.parse.formats import SUFFIXES
from bulk_sync.rows.read import confined, text
from bulk_sync.rows.read.cells import Cells
from bulk_sync.rows.read.content import explained, unpacked
from bulk_sync.rows.read.sources import STDIN, digest, files, is_one, warn_of_others

__all__ = ["STDIN", "SUFFIXES", "digest", "files", "rows", "stdin"]


def stdin() -> bytes:
    """Read all of the process's standard input.

    Raises:
        InputProblem: it cannot be read.
    """
    with explained("Standard input"):
        return sys.stdin.buffer.read()


def rows(source: str, *, sheet: str | None = None, stdin: bytes = b"") -> pd.DataFrame:
    """Read the whole input.

    Args:
        source: a file, a folder, a glob, or ``-`` for CSV on standard input.
        sheet: the sheet of a workbook; None takes the first visible one with data.
        stdin: the content of standard input, if that is the source.

    Returns:
        The input's own columns as str, with its names and in its order, "" for an empty cell; then
        ROW, and FILE if the source is a folder or a glob. Index 0..n-1.

    Raises:
        InputProblem: it cannot be read; the message has the place, the reason and the next step.
    """
    if source == STDIN:
        _refuse_sheet(sheet, "Standard input")
        frame = text.cells(stdin, "Standard input").frame("Standard input")
    elif source.strip() and is_one(source):
        frame = _file(Path(source), sheet)
    else:
        paths = files(source)
        warn_of_others(source, paths)
        frame = _joined(paths, [_file(path, sheet) for path in paths])
    if frame.empty:
        place = "Standard input" if source == STDIN else source
        raise InputProblem(f"{place} has a header but no data rows. See that its export finished.")
    pa.default_memory_pool().release_unused()  # 330 MB of 10,000,000 rows
    return frame


def _file(path: Path, sheet: str | None) -> pd.DataFrame:
    return _cells(path, sheet).frame(str(path))


def _cells(path: Path, sheet: str | None) -> Cells:
    kind = formats.find(path)
    if kind is None:
        raise InputProblem(
            f"{path} has an unsupported suffix: {path.suffix or 'none'}. Supported are "
            f"{formats.list_suffixes()}; - reads CSV from standard input."
        )
    if not kind.has_sheets:
        _refuse_sheet(sheet, str(path))
    if kind.parser:
        return confined.cells(path, sheet, kind.parser)
    return text.cells(unpacked(path), str(path), prefer_tab=".tsv" in path.suffixes)


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
            differences = [f"lacks {lacks}"] * bool(lacks) + [f"has {adds} besides"] * bool(adds)
            raise InputProblem(
                f"The columns of {path} are not those of {paths[0]}: it "
                f"{' and '.join(differences)}. Make them alike, or run the files one by one."
            )
    joined = pd.concat([frame[names] for frame in frames], ignore_index=True)
    origins = np.repeat(np.arange(len(frames)), [len(frame) for frame in frames])
    # A file's name may be no text in any encoding.
    names_of_files = pd.Index([os.fsencode(path).decode("utf-8", "replace") for path in paths])
    joined[columns.FILE] = pd.Categorical.from_codes(origins, names_of_files)
    return joined
