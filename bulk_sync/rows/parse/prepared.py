"""What a workbook is made into before calamine reads it, and what cells say that have no text."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

UNCALCULATED: Final = "#UNCALCULATED"
"""The text of a formula's cell that has no value. Checking rejects it as a key or a state."""

_NAMED: Final = 5


@dataclass(frozen=True, slots=True)
class Prepared:
    """A workbook that calamine reads as a person sees it.

    Attributes:
        path: the file to read.
        sheets: the sheets to read, one below the other.
        name: how the sheet is called that they are of.
        notes: what the user should know, a sentence each.
        texts: by row and column, from 0, what cells say that calamine reads otherwise.
    """

    path: Path
    sheets: list[str]
    name: str
    notes: list[str] = field(default_factory=list)
    texts: Mapping[tuple[int, int], str] = field(default_factory=dict)


def hidden_rows(place: str, sheet: str, numbers: list[int], count: int) -> list[str]:
    """Return a note of rows that are read although a filter or a person hid them.

    Args:
        place: how messages call the file.
        sheet: the sheet's name.
        numbers: the rows' numbers, as far as they are known.
        count: how many they are.
    """
    if not count:
        return []
    named = ", ".join(map(str, numbers[:_NAMED])) + (", ..." if count > _NAMED else "")
    rows = "1 row is hidden and was" if count == 1 else f"{count} rows are hidden and were"
    which = f" (row {named})" if count == 1 else f" (rows {named})"
    note = (
        f"{place}: on the sheet {sheet!r}, {rows} read too{which if numbers else ''}. If they are "
        "not meant, copy the visible rows into a file of their own."
    )
    return [note]


def other_sheets(place: str, sheet: str, others: list[tuple[str, bool]]) -> list[str]:
    """Return a note of sheets with data that are not read.

    Args:
        place: how messages call the file.
        sheet: the sheet that is read.
        others: the names of the others, and whether each is hidden.
    """
    if not others:
        return []
    named = ", ".join(f"{name!r}" + " (hidden)" * is_hidden for name, is_hidden in others)
    note = (
        f"{place}: only the sheet {sheet!r} was read. There is data on others too: {named}. To "
        "read another one, name it with --sheet."
    )
    return [note]


def no_such_sheet(place: str, sheet: str, names: list[str]) -> str:
    """Return the message for a sheet that is not there."""
    there = ", ".join(map(repr, names))
    return f"{place} has no sheet {sheet!r}. Name one of these with --sheet: {there}."


def no_data(place: str, first: str, hidden: list[str]) -> str:
    """Return the message for a workbook whose visible sheets are all empty."""
    if not hidden:
        return (
            f"The sheet {first!r} of {place} is empty, and so are all others. See that its export "
            "finished."
        )
    named = ", ".join(map(repr, hidden))
    return (
        f"The visible sheets of {place} are empty; there is data on hidden ones: {named}. Name "
        "the one to read with --sheet."
    )
