"""What a file holds, for programs that let a person choose sheet, header and columns.

It has cells, so it goes into a file of its own, never into a summary or a log.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson

from bulk_sync import report
from bulk_sync.errors import InputProblem, UsageProblem
from bulk_sync.remote.url import is_url
from bulk_sync.report.destination import LocalFile
from bulk_sync.rows import check as checking
from bulk_sync.rows import read
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.read import tables
from bulk_sync.rows.read.first_rows import FirstRows, Wanted
from bulk_sync.runs.terms.job import Input

_FORMAT: Final = "bulk-sync outline 1"
_ROWS: Final = 20
_CELLS: Final = 50
_COLUMNS: Final = 1_000
_SAMPLES: Final = 3
_CHARACTERS: Final = 80


@dataclass(frozen=True, slots=True)
class _Table:
    """A table, or what looks most like one; ``names`` has its columns with their positions."""

    first: FirstRows
    header_row: int
    names: Mapping[str, int]


def check(path: Path | None, given: Input) -> None:
    """Raise UsageProblem, before the input is read, if an outline of it cannot be written."""
    if path is None:
        return
    if given.source == read.STDIN or is_url(given.source) or not Path(given.source).is_file():
        raise UsageProblem(f"--outline is for one file of this machine, and not {given.source}.")
    report.check_replaceable([LocalFile(path.absolute())], {Path(given.source)}, "--outline")


def write(path: Path, given: Input, layout: Layout | None) -> None:
    """Write sheets, first rows, columns with samples, and what was read as what.

    ``layout`` is None if the file could not be read as it is.
    """
    wanted = Wanted(given.sheet, given.header_row, given.rules)
    sheets = tables.first_rows(Path(given.source), wanted)
    found = _table(sheets, wanted, layout)
    # With all columns in one row, only the place of the header was in doubt.
    is_in_doubt = layout is None and wanted.header_row is None
    content = {
        "format": _FORMAT,
        "sheets": [_sheet(each) for each in sheets],
        "sheet": None if found is None else found.first.sheet,
        "header_row": None if found is None else found.header_row,
        "is_place_open": is_in_doubt and found is not None and wanted.is_header(list(found.names)),
        "columns": [] if found is None else list(_columns(found, layout)),
        "key_column": None if found is None else _key(found.names, given.rules),
        "read": None if layout is None else _read(layout),
    }
    with LocalFile(path.absolute()).writing() as file:
        file.write(orjson.dumps(content))


def _table(sheets: Sequence[FirstRows], wanted: Wanted, layout: Layout | None) -> _Table | None:
    if layout is not None:
        place = layout.places[0]
        first = next((each for each in sheets if each.sheet == place.sheet), FirstRows({}))
        return _Table(first, place.header_row or 1, place.positions)
    likely = tables.likely(sheets, wanted)
    if likely is None:
        return None
    names = dict[str, int]()
    for at, name in enumerate(likely.first.rows.get(likely.header_row, ())):
        if name.strip():
            names.setdefault(name, at)
    return _Table(likely.first, likely.header_row, names)


def _sheet(first: FirstRows) -> dict[str, Any]:
    rows = list(first.rows.items())[:_ROWS]
    return {
        "name": first.sheet,
        "is_hidden": first.is_hidden,
        "is_ours": bool(first.rows) and first.is_ours,
        "rows": [
            [number, [cell[:_CHARACTERS] for cell in cells[:_CELLS]]] for number, cells in rows
        ],
    }


def _columns(found: _Table, layout: Layout | None) -> Iterator[dict[str, Any]]:
    """Yield the first columns, and those that were read wherever they are."""
    used = () if layout is None else (layout.columns.key, layout.columns.state, layout.columns.date)
    below = [cells for row, cells in found.first.rows.items() if row > found.header_row]
    for number, (name, at) in enumerate(found.names.items()):
        if number < _COLUMNS or name in used:
            texts = [cells[at].strip() for cells in below if at < len(cells)]
            samples = list(dict.fromkeys(filter(None, texts)))[:_SAMPLES]
            yield {"name": name, "samples": [text[:_CHARACTERS] for text in samples]}


def _key(names: Iterable[str], rules: checking.Rules) -> str | None:
    """Return the column of keys by its name, also if no column of states is found."""
    try:
        return checking.find_columns(names, replace(rules, needs_state=False, date_column=None)).key
    except InputProblem:
        return None


def _read(layout: Layout) -> dict[str, Any]:
    """Return what was read as what, by the names of the options that would give the same."""
    found, rules = layout.columns, layout.rules
    return {
        "sheet": layout.sheet,
        "header_row": layout.header_row,
        "key": str(found.keys),
        "key_column": found.key,
        "state_column": found.state,
        "state": None if rules.state is None else str(rules.state).lower(),
        "state_means": "opt-out" if rules.words.yes_forbids else "consent",
        "date_column": found.date,
        "date_order": rules.date_order and str(rules.date_order),
        "blank_state": str(rules.blank_state),
        "on_conflict": str(rules.on_conflict),
    }
