"""The formats of reports, by their suffixes.

A new format takes one line in ``FORMATS`` and its module, beside this one.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path, PurePath
from typing import BinaryIO, Final, NamedTuple

from bulk_sync.report import csv_file, json_file, parquet_file
from bulk_sync.report.facts import Facts
from bulk_sync.report.table import Results

_Write = Callable[[Results, BinaryIO, Facts], None]


class ReportFormat(NamedTuple):
    """One format of reports.

    Attributes:
        write: writes a report.
        names: returns the columns of a file by its path and its first bytes, none if it is of
            another format; None if ``former_files`` recognizes reports by something else.
        is_text: a report may be packed.
        shows_facts: a report says above its rows what it is, and why a run was refused.
    """

    write: _Write
    names: Callable[[Path, bytes], Sequence[str]] | None = None
    is_text: bool = False
    shows_facts: bool = False


def _plain(write: Callable[[Results, BinaryIO], None]) -> _Write:
    return lambda results, file, _: write(results, file)


def _write_xlsx(results: Results, file: BinaryIO, facts: Facts) -> None:
    # Late: its library takes as long to import as a small run has calls to make.
    from bulk_sync.report import xlsx_file  # noqa: PLC0415

    xlsx_file.write(results, file, facts)


def _write_html(results: Results, file: BinaryIO, facts: Facts) -> None:
    # Late, as well: the library of templates.
    from bulk_sync.report import html_file  # noqa: PLC0415

    html_file.write(results, file, facts)


WORKBOOK: Final = ".xlsx"

FORMATS: Final[Mapping[str, ReportFormat]] = {
    ".csv": ReportFormat(_plain(csv_file.write), csv_file.names, is_text=True),
    ".parquet": ReportFormat(_plain(parquet_file.write), parquet_file.names),
    ".json": ReportFormat(_plain(json_file.write), json_file.names, is_text=True),
    WORKBOOK: ReportFormat(_write_xlsx, shows_facts=True),
    ".html": ReportFormat(_write_html, is_text=True, shows_facts=True),
}

PACKED: Final = ".gz"
"""The suffix of a packed report, after that of its format."""

SUFFIXES: Final = (
    *FORMATS,
    *(f"{suffix}{PACKED}" for suffix in FORMATS if FORMATS[suffix].is_text),
)
"""The possible suffixes of a report, in small letters."""


def find(name: str) -> str | None:
    """Return the suffix of a report's format, without that of packing; None if it has none."""
    name = name.lower()
    suffix = PurePath(name.removesuffix(PACKED)).suffix
    return suffix if name.endswith(SUFFIXES) and suffix in FORMATS else None
