"""The formats of reports, by their suffixes.

A new format takes one line in ``FORMATS`` and its module, beside this one.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
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


def _late(name: str) -> _Write:
    """Import a module when it writes: its library takes as long as the calls of a small run."""

    def write(results: Results, file: BinaryIO, facts: Facts) -> None:
        import_module(f"bulk_sync.report.{name}").write(results, file, facts)

    return write


WORKBOOK: Final = ".xlsx"

FORMATS: Final[Mapping[str, ReportFormat]] = {
    ".csv": ReportFormat(_plain(csv_file.write), csv_file.names, is_text=True),
    ".parquet": ReportFormat(_plain(parquet_file.write), parquet_file.names),
    ".json": ReportFormat(_plain(json_file.write), json_file.names, is_text=True),
    WORKBOOK: ReportFormat(_late("xlsx_file"), shows_facts=True),
    ".html": ReportFormat(_late("html_file"), is_text=True, shows_facts=True),
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
