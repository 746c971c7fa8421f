"""The todo file: the rows for a person to correct, in the input's format, ready to be read again.

It has the input's own columns, the number that each row had in the original file, and why the row
is left. A column with that number, in an input that was a todo file itself, stays as it is. Request
dates are written so that they need no other row: ``rows/certain_dates.py``.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, count, islice
from pathlib import Path
from typing import Final

import pandas as pd

from bulk_sync.errors import UsageProblem
from bulk_sync.outcomes import NEEDS_A_PERSON
from bulk_sync.report import csv_file, former_files, table
from bulk_sync.report.destination import Destination, LocalFile
from bulk_sync.report.facts import Source
from bulk_sync.report.table import Results
from bulk_sync.rows import certain_dates, columns
from bulk_sync.rows.certain_dates import Dates
from bulk_sync.rows.parse import formats
from bulk_sync.rows.slices import Slices

log = logging.getLogger(__name__)

CSV: Final = ".todo.csv"
WORKBOOK: Final = ".todo.xlsx"
SUFFIXES: Final = (CSV, WORKBOOK)

_SHEET: Final = "To correct"


def check(stem: Destination) -> None:
    """Check, before anything is done, that no todo file is replaced that a person has worked on.

    A workbook shows that. A CSV file does not, so it is always refused.

    Raises:
        UsageProblem: one would be.
    """
    for suffix in SUFFIXES:
        destination = stem.beside(f"{stem.name}{suffix}")
        if not isinstance(destination, LocalFile):
            continue
        path = destination.path
        if suffix == CSV and path.is_file() and path.stat().st_size:
            raise UsageProblem(
                f"{path} is there already, and rows in it may have been corrected, so it is not "
                "replaced. Delete that file first, or write to another place."
            )
        why, remedy = former_files.objection(path)
        if why:
            raise UsageProblem(f"{path} {why} {remedy}")


def spare(stem: Destination, sha256: str) -> Destination:
    """Return where a run writes its todo file again: beside one whose SHA-256 is another by now."""
    stems = chain([stem], (stem.beside(f"{stem.name}-{number}") for number in count(2)))
    for each in stems:
        changed = _other_than(each, sha256)
        if changed is None:
            return each
        log.warning(
            "%s was changed since this run wrote it, so it stays as it is. Its rows may have other "
            "outcomes by now.",
            changed,
        )
    raise AssertionError


def _other_than(stem: Destination, sha256: str) -> Destination | None:
    """Return a todo file of this machine with another SHA-256; None if there is none."""
    files = (stem.beside(f"{stem.name}{suffix}") for suffix in SUFFIXES)
    here = (file for file in files if isinstance(file, LocalFile) and file.path.is_file())
    return next((file for file in here if file.sha256() != sha256), None)


def write(results: Slices, source: Source, stem: Destination) -> Destination | None:
    """Write the rows that need a person: as a workbook if they were in one, else as CSV.

    Return None without such rows, and leave no file, not even an older one. Memory: a slice of a
    CSV file, the rows of a workbook.

    Raises:
        StoppedEarly: it cannot be written.
    """
    needy = _needy(results, source.dates)
    held = list(islice(needy, 1))
    if not held:
        for suffix in SUFFIXES:
            stem.beside(f"{stem.name}{suffix}").remove()
        return None
    names = [str(name) for name in held[0] if name != columns.KEY]
    if _are_workbooks(results.first, source.input):
        # Late: its library takes as long to import as a small run has calls to make.
        from bulk_sync.report import input_sheet  # noqa: PLC0415

        for more in needy:
            held.append(more)
            if sum(map(len, held)) > table.SHEET_ROWS:
                break
        rows = pd.concat(held, ignore_index=True) if len(held) > 1 else held[0]
        if input_sheet.fits(rows, names):
            destination = stem.beside(f"{stem.name}{WORKBOOK}")
            with destination.writing() as file:
                file.write(input_sheet.workbook(rows, names, _SHEET, job=source.job))
            return destination.publish()
    destination = stem.beside(f"{stem.name}{CSV}")
    with destination.writing() as file:
        csv_file.write(Results.from_frame(held[0], names), file)
        for rows in chain(held[1:], needy):
            csv_file.append(Results.from_frame(rows, names), file)
    return destination.publish()


def _needy(results: Slices, dates: Dates | None) -> Iterator[pd.DataFrame]:
    """Yield the rows that need a person, those of a slice together; no frame is empty."""
    today = datetime.now(UTC).date()
    for rows in results.read():
        is_needy = columns.have_outcome(rows, NEEDS_A_PERSON)
        if is_needy.any():
            needy = columns.rows_of(rows, is_needy)
            yield _rows(certain_dates.with_repeats(needy, dates, today))


def _rows(needy: pd.DataFrame) -> pd.DataFrame:
    own = table.own_columns(needy.columns)
    for name, source in columns.ORIGINAL.items():
        if source in needy and name not in own:
            needy[name] = needy[source]
            own.append(name)
    return needy[[*own, columns.REASON, columns.DETAIL, columns.KEY]]


def _are_workbooks(results: pd.DataFrame, source: str) -> bool:
    files = results[columns.FILE].cat.categories if columns.FILE in results else [source]
    kinds = [formats.find(Path(str(file))) for file in files]
    return all(kind is not None and kind.has_sheets for kind in kinds)
