"""The sheets of a workbook, whatever its format, and the choice of one."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from bulk_sync.errors import InputProblem

_ABOUT: Final = ("About", {"Run", "Plan", "Input"})
"""A sheet of reports of older versions, and the texts of its first cell."""


class Protected(Exception):
    """The workbook is protected by a password."""


class Row(NamedTuple):
    """One row of a sheet.

    Attributes:
        number: as the spreadsheet shows it.
        cells: by column, from 0, the texts of its cells with content; at least one.
        is_hidden: a filter or a person hid it.
    """

    number: int
    cells: Mapping[int, str]
    is_hidden: bool


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet of a workbook.

    Attributes:
        name: the sheet's name.
        is_hidden: a person or a program hid it.
        rows: yields its rows with content, each time from the first one.
    """

    name: str
    is_hidden: bool
    rows: Callable[[], Iterator[Row]]


def choose(sheets: Sequence[Sheet], name: str | None, place: str) -> tuple[Sheet, list[str]]:
    """Return the sheet to read, and a note if others have data too.

    Args:
        sheets: all of a workbook.
        name: the sheet's name; None takes the first visible one with data.
        place: the workbook's name in messages.

    Raises:
        InputProblem: there is no such sheet, or none with data.
    """
    if not sheets:
        raise InputProblem(f"{place} has no sheets with cells.")
    if name is not None:
        chosen = next((sheet for sheet in sheets if sheet.name == name), None)
        if chosen is None:
            there = ", ".join(repr(sheet.name) for sheet in sheets)
            raise InputProblem(
                f"{place} has no sheet {name!r}. Name one of these with --sheet: {there}."
            )
        return chosen, []
    filled = [sheet for sheet in sheets if next(sheet.rows(), None)]
    filled = [sheet for sheet in filled if not _is_ours(sheet)] or filled
    visible = [sheet for sheet in filled if not sheet.is_hidden]
    if visible:
        chosen, *_ = visible
        others = [_described(sheet) for sheet in filled if sheet is not chosen]
        note = (
            f"{place}: only the sheet {chosen.name!r} was read. There is data on others too: "
            f"{', '.join(others)}. To read another one, name it with --sheet."
        )
        return chosen, [note] if others else []
    if filled:
        hidden = ", ".join(repr(sheet.name) for sheet in filled)
        raise InputProblem(
            f"The visible sheets of {place} are empty; there is data on hidden ones: {hidden}. "
            "Name the one to read with --sheet."
        )
    raise InputProblem(
        f"The sheet {sheets[0].name!r} of {place} is empty, and so are all others. See that its "
        "export finished."
    )


def _is_ours(sheet: Sheet) -> bool:
    name, first_cells = _ABOUT
    first = next(iter(next(sheet.rows()).cells.values()))
    return first.startswith("bulk-sync") or (sheet.name == name and first in first_cells)


def _described(sheet: Sheet) -> str:
    return f"{sheet.name!r}" + " (hidden)" * sheet.is_hidden
