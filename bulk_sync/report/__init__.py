"""Results as files: every input row once, in input order, in the format of the suffix.

    results --table--> batches --csv_file, xlsx_file, ...--> bytes --destination--> a file

Each format has a function in ``_WRITERS``.
"""

import gzip
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain, count
from pathlib import Path, PurePath
from typing import BinaryIO, Final, cast

import orjson
import pyarrow.parquet as pq

from bulk_sync.errors import UsageProblem
from bulk_sync.report import csv_file, former_files, table
from bulk_sync.report.destination import Destination, LocalFile
from bulk_sync.report.facts import Facts
from bulk_sync.report.table import Results
from bulk_sync.rows import columns
from bulk_sync.rows.slices import Tell

log = logging.getLogger(__name__)


def _write_json(rows: Results, file: BinaryIO, _: Facts) -> None:
    """Write one array of objects, each on a line of its own for tools that read lines."""
    separator = b"[\n"
    for batch in rows.values():
        values = (column.to_pylist() for column in batch.values())
        for row in zip(*values, strict=True):
            file.write(separator)
            file.write(orjson.dumps(dict(zip(batch, row, strict=True))))
            separator = b",\n"
    file.write(b"\n]\n" if rows.count else b"[]\n")


def _write_parquet(rows: Results, file: BinaryIO, _: Facts) -> None:
    """Write a row group for each batch, compressed by zstd."""
    # Without Arrow's schema beside Parquet's, every reader sees text as plain strings.
    with pq.ParquetWriter(file, rows.schema, compression="zstd", store_schema=False) as writer:
        for batch in rows.read():
            writer.write_batch(batch)


def _write_xlsx(rows: Results, file: BinaryIO, facts: Facts) -> None:
    # Late: its library takes as long to import as a small run has calls to make.
    from bulk_sync.report import xlsx_file  # noqa: PLC0415

    xlsx_file.write(rows, file, facts)


def _write_html(rows: Results, file: BinaryIO, facts: Facts) -> None:
    # Late, as well: the library of templates.
    from bulk_sync.report import html_file  # noqa: PLC0415

    html_file.write(rows, file, facts)


_WRITERS: Final[Mapping[str, Callable[[Results, BinaryIO, Facts], None]]] = {
    ".csv": lambda rows, file, _: csv_file.write(rows, file),
    ".parquet": _write_parquet,
    ".json": _write_json,
    ".xlsx": _write_xlsx,
    ".html": _write_html,
}

_PACKED: Final = ".gz"

SUFFIXES: Final = (*_WRITERS, *(f"{text}{_PACKED}" for text in (".csv", ".json", ".html")))
"""The possible suffixes of a report, in small letters."""


def check(destinations: Sequence[Destination], inputs: set[Path], option: str = "--report") -> None:
    """Check, before a run, that reports can be written and replace no input.

    Raises:
        UsageProblem: the suffix is unknown, the place takes no report, or it is an input.
    """
    for destination in destinations:
        _format(destination)
        if any(destination.is_file(path) for path in inputs):
            raise UsageProblem(
                f"{option} {destination} would replace the input. Name another file."
            )
        destination.check()


def check_reports(destinations: Sequence[Destination], inputs: set[Path]) -> None:
    """Check the same, and that reports replace nothing that another program or a person wrote.

    Raises:
        UsageProblem: one cannot be written, or may not replace a file.
    """
    check(destinations, inputs)
    for destination in destinations:
        if isinstance(destination, LocalFile) and (why := former_files.objection(destination.path)):
            raise UsageProblem(f"{destination} {why}")


def spare(destinations: Sequence[Destination], run_id: str) -> tuple[Destination, ...]:
    """Return where reports of a run go: beside a file that may not be replaced, with a warning.

    No opt-out waits because a person has worked in the report of the night before.
    """
    return tuple(_spared(each, run_id) for each in destinations)


def _spared(destination: Destination, run_id: str) -> Destination:
    if not isinstance(destination, LocalFile):
        return destination
    why = former_files.reason(destination.path)
    if not why:
        return destination
    name = destination.name
    ending = max((each for each in SUFFIXES if name.lower().endswith(each)), key=len)
    suffix = name[-len(ending) :]
    stem = name.removesuffix(suffix).removesuffix(f".{run_id}.results")
    tries = (
        f"{stem}.{run_id}{more}.results{suffix}"
        for more in chain([""], map("-{}".format, count(2)))
    )
    beside = map(destination.beside, tries)
    free = next(each for each in beside if not former_files.reason(each.path))
    log.warning("%s %s The report of this run is %s", destination, why, free)
    return free


def check_fits(names: Iterable[str], destinations: Sequence[Destination]) -> None:
    """Check, before a run, that a report of rows with these columns can hold them all.

    Raises:
        UsageProblem: a sheet of a workbook cannot.
    """
    width = len(table.own_columns(names)) + len(columns.REPORT)
    for destination in destinations:
        if _format(destination) == ".xlsx" and width > table.SHEET_COLUMNS:
            raise UsageProblem(
                f"The report {destination} cannot be written: a sheet holds {table.SHEET_COLUMNS} "
                f"columns, and with those of the report there are {width}. Give it another suffix, "
                "such as .csv."
            )


def write(
    results: Results, destination: Destination, facts: Facts, tell: Tell = lambda *_: None
) -> Destination:
    """Write a report, and return where it is.

    Args:
        results: the input's own columns and those of ``columns.REPORT``.
        destination: where to; the suffix decides the format.
        facts: what formats for people (HTML, XLSX) show beside the rows.
        tell: is told how far it got.

    Raises:
        UsageProblem: the suffix is unknown.
        StoppedEarly: it cannot be written.
    """
    write_rows = _WRITERS[_format(destination)]
    if _format(destination) not in {".xlsx", ".html"}:  # those show the facts
        results = results.explained(facts.result.refusal)
    name, total = destination.name, results.count
    watched = results.watched(lambda done: tell(f"Writing {name}", done, total))
    with destination.writing() as file:
        if name.lower().endswith(_PACKED):
            # No name and no time inside: equal reports are equal files.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                write_rows(watched, cast("BinaryIO", packed), facts)
        else:
            write_rows(watched, file, facts)
    return destination.publish()


def _format(destination: Destination) -> str:
    """Return the suffix of the format, without that of packing."""
    name = destination.name.lower()
    suffix = PurePath(name.removesuffix(_PACKED)).suffix
    if not name.endswith(SUFFIXES) or suffix not in _WRITERS:
        raise UsageProblem(
            f"The report {destination} has no suffix that names a format. Give it one of "
            f"{', '.join(SUFFIXES)}."
        )
    return suffix
