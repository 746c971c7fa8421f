"""Results as files: every input row once, in input order, in the format that the suffix names.

What a report says is decided elsewhere; here it is only written down. Reports appear whole or
not at all, and only their owner may read them, because keys are personal data.
"""

import gzip
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from pathlib import Path
from stat import S_ISREG
from tempfile import TemporaryFile
from typing import BinaryIO, Final, cast

import pandas as pd

from bulk_sync.errors import StoppedEarly, UsageProblem
from bulk_sync.outcomes import NEEDS_A_PERSON
from bulk_sync.report import (
    csv_file,
    html_file,
    json_file,
    parquet_file,
    table,
)
from bulk_sync.rows import columns
from bulk_sync.storage import atomic


class _Format(StrEnum):
    CSV = ".csv"
    PARQUET = ".parquet"
    JSON = ".json"
    XLSX = ".xlsx"
    HTML = ".html"


SHEET_COLUMNS: Final = 16_384
"""How many columns a sheet of a workbook can hold."""

_PACKED: Final = ".gz"
_TEXTS: Final = (_Format.CSV, _Format.JSON, _Format.HTML)

SUFFIXES: Final = (*map(str, _Format), *(f"{text}{_PACKED}" for text in _TEXTS))
"""The suffixes that a report may have, in small letters."""


def check_path(path: Path) -> None:
    """Make sure, before a run, that a report can be written afterwards.

    Raises:
        UsageProblem: the suffix is unknown, a folder or device stands there, or the folder is
            missing or takes no files.
    """
    _format(path)
    try:
        with suppress(FileNotFoundError):
            if not S_ISREG(path.stat().st_mode):
                raise UsageProblem(
                    f"The report {path} cannot be written: what stands there is no file. Name "
                    "another path."
                )
        with TemporaryFile(dir=path.parent):
            pass
    except OSError as reason:
        raise UsageProblem(
            f"The report {path} cannot be written: {_said(reason)}. Name a path in a folder that "
            "is there and that you may write to."
        ) from reason


def check_fits(results: pd.DataFrame, paths: Sequence[Path]) -> None:
    """Check, before a run, that a report of these rows can hold all of their columns.

    Raises:
        UsageProblem: a sheet of a workbook cannot.
    """
    count = len(table.own_columns(results)) + len(columns.REPORT)
    for path in paths:
        if _format(path) is _Format.XLSX and count > SHEET_COLUMNS:
            raise UsageProblem(
                f"The report {path} cannot be written: a sheet holds {SHEET_COLUMNS} columns, and "
                f"with those of the report there are {count}. Give it another suffix, such as .csv."
            )


def write(results: pd.DataFrame, path: Path, *, title: Mapping[str, str]) -> None:
    """Write a report.

    Args:
        results: the input's own columns and those of ``columns.REPORT``.
        path: where to; the suffix decides the format.
        title: what the report is of, by name, for formats that have room for it (HTML, XLSX).

    Raises:
        UsageProblem: the suffix is unknown.
        StoppedEarly: it cannot be written.
    """
    form = _format(path)
    # The name of a file may be no text in any encoding; what cannot be read is shown as such.
    title = {name: value.encode("utf-8", "replace").decode() for name, value in title.items()}
    rows = table.of(results, table.report_columns(results))
    with _told(path), atomic.replacing(path) as whole, _packing(whole, path) as file:
        match form:
            case _Format.CSV:
                csv_file.write(rows, file)
            case _Format.PARQUET:
                parquet_file.write(rows, file)
            case _Format.JSON:
                json_file.write(rows, file)
            case _Format.XLSX:
                # Late, for its library takes as long to import as a small run has calls to make.
                from bulk_sync.report import xlsx_file  # noqa: PLC0415

                xlsx_file.write(rows, file, title)
            case _Format.HTML:
                html_file.write(rows, file, title)


def write_todo(results: pd.DataFrame, path: Path) -> bool:
    """Write the rows that need a person as CSV, such that it can be the next run's input.

    Args:
        results: as for ``write``.
        path: where to. If no row needs a person no file is left there, not even an older one.

    Returns:
        Whether there are such rows.

    Raises:
        StoppedEarly: it cannot be written.
    """
    names = [*table.own_columns(results), columns.REASON, columns.DETAIL]
    needy = columns.have_outcome(results, NEEDS_A_PERSON)
    rows = table.of(columns.rows_of(results, needy), names)
    if not rows.num_rows:
        with _told(path):
            path.unlink(missing_ok=True)
        return False
    with _told(path), atomic.replacing(path) as file:
        csv_file.write(rows, file)
    return True


def _format(path: Path) -> _Format:
    name = path.name.lower()
    form = Path(name.removesuffix(_PACKED)).suffix
    if not name.endswith(SUFFIXES) or form not in SUFFIXES:
        raise UsageProblem(
            f"The report {path} has no suffix that names a format. Give it one of "
            f"{', '.join(SUFFIXES)}."
        )
    return _Format(form)


@contextmanager
def _packing(file: BinaryIO, path: Path) -> Iterator[BinaryIO]:
    """Open what packs a report into a file, if its suffix asks for that."""
    if path.suffix.lower() != _PACKED:
        yield file
        return
    # Neither name nor time stand inside, so that equal reports are equal files.
    with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
        yield cast("BinaryIO", packed)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses into a sentence for a person."""
    try:
        yield
    except OSError as reason:
        raise StoppedEarly(
            f"{path} could not be written: {_said(reason)}. What was changed in Campaign stays so; "
            "mend this or name another path with --report, and run again."
        ) from reason


def _said(reason: OSError) -> str:
    return reason.strerror or str(reason)
