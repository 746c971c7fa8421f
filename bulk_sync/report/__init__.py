"""Results as files: every input row once, in input order, in the format of the suffix.

    results --table--> batches --csv_file, xlsx_file, ...--> bytes --destination--> a file

``formats.py`` lists the formats.
"""

import gzip
import logging
from collections.abc import Iterable, Sequence
from itertools import chain, count
from pathlib import Path
from typing import BinaryIO, Final, cast

from bulk_sync.errors import UsageProblem
from bulk_sync.report import formats, former_files, table
from bulk_sync.report.destination import Destination, LocalFile
from bulk_sync.report.facts import Facts
from bulk_sync.report.formats import FORMATS, PACKED, SUFFIXES, WORKBOOK
from bulk_sync.report.table import Results
from bulk_sync.rows import columns
from bulk_sync.rows.slices import RowProgress

log = logging.getLogger(__name__)

_OPTION: Final = "--report"


def check_writable(
    destinations: Sequence[Destination], inputs: set[Path], option: str = _OPTION
) -> None:
    """Check, before a run, that reports can be written and replace no input.

    Raises:
        UsageProblem: the suffix is unknown, the place takes no report, or it is an input.
    """
    for destination in destinations:
        _format(destination, option)
        if any(destination.is_file(path) for path in inputs):
            raise UsageProblem(
                f"{option} {destination} would replace the input. Name another file."
            )
        destination.check(option)


def check_replaceable(
    destinations: Sequence[Destination], inputs: set[Path], option: str = _OPTION
) -> None:
    """Check the same, and that reports replace nothing that another program or a person wrote.

    Raises:
        UsageProblem: one cannot be written, or may not replace a file.
    """
    check_writable(destinations, inputs, option)
    for destination in destinations:
        if isinstance(destination, LocalFile):
            why, remedy = former_files.objection(destination.path)
            if why:
                raise UsageProblem(f"{option} {destination} {why} {remedy}")


def spare(destinations: Sequence[Destination], run_id: str) -> tuple[Destination, ...]:
    """Return where reports of a run go: beside a file that may not be replaced, with a warning.

    No opt-out waits because a person has worked in the report of the night before.
    """
    return tuple(_spared(each, run_id) for each in destinations)


def _spared(destination: Destination, run_id: str) -> Destination:
    if not isinstance(destination, LocalFile):
        return destination
    why, _ = former_files.objection(destination.path)
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
    free = next(each for each in beside if not any(former_files.objection(each.path)))
    log.warning("%s %s The report of this run is %s", destination, why, free)
    return free


def check_fits(names: Iterable[str], destinations: Sequence[Destination]) -> None:
    """Check, before a run, that a report of rows with these columns can hold them all.

    Raises:
        UsageProblem: a sheet of a workbook cannot.
    """
    width = len(table.own_columns(names)) + len(columns.REPORT)
    for destination in destinations:
        if _format(destination) == WORKBOOK and width > table.SHEET_COLUMNS:
            raise UsageProblem(
                f"{_OPTION} {destination} cannot be written: a sheet holds {table.SHEET_COLUMNS} "
                f"columns, and with those of the report there are {width}. Give it another suffix, "
                "such as .csv."
            )


def write(
    results: Results,
    destination: Destination,
    facts: Facts,
    progress: RowProgress = lambda *_: None,
) -> Destination:
    """Write a report, and return where it is.

    Args:
        results: the input's own columns and those of ``columns.REPORT``.
        destination: where to; the suffix decides the format.
        facts: what formats for people (HTML, XLSX) show beside the rows.
        progress: is called with how far it got.

    Raises:
        UsageProblem: the suffix is unknown.
        StoppedEarly: it cannot be written.
    """
    kind = FORMATS[_format(destination)]
    if not kind.shows_facts:
        results = results.explained(facts.result.refusal)
    name, total = destination.name, results.count
    watched = results.watched(lambda done: progress(f"Writing {name}", done, total))
    with destination.writing() as file:
        if name.lower().endswith(PACKED):
            # No name and no time inside: equal reports are equal files.
            with gzip.GzipFile("", "wb", fileobj=file, mtime=0) as packed:
                kind.write(watched, cast("BinaryIO", packed), facts)
        else:
            kind.write(watched, file, facts)
    return destination.publish()


def _format(destination: Destination, option: str = _OPTION) -> str:
    suffix = formats.find(destination.name)
    if suffix is None:
        raise UsageProblem(
            f"{option} {destination} has no suffix that names a format. Give it one of "
            f"{', '.join(SUFFIXES)}."
        )
    return suffix
