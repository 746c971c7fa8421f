"""Finds the table of a file by its first rows, and says what it passes over."""

import logging
from collections.abc import Sequence

from bulk_sync.errors import InputProblem, Remedy
from bulk_sync.rows.read.advice import refusal
from bulk_sync.rows.read.first_rows import FirstRows, HeaderPlace, Wanted, choose, data_above

log = logging.getLogger(__name__)


def choose_sheet(sheets: Sequence[FirstRows], wanted: Wanted, place: str) -> tuple[int, int]:
    """Return the position of the sheet to be read, and the number of its header's row.

    Raises:
        InputProblem: there is no such sheet, or no table.
    """
    choice = locate(_readable(sheets, wanted, place), wanted, place, sheets)
    others = [each for each in sheets if each.rows and each is not choice.first]
    others = [each for each in others if not each.is_ours] if wanted.sheet is None else []
    if others:
        alike = [str(each) for each in others if wanted.rules and wanted.headers(each)]
        lists = f" Lists of requests seem to be on {', '.join(alike)} too." if alike else ""
        log.warning(
            "%s: only the sheet %s was read. There is data on others too: %s.%s To read another "
            "one, name it with --sheet; each sheet takes a run of its own.",
            place,
            choice.first,
            ", ".join(map(str, others)),
            lists,
        )
    at = next(at for at, each in enumerate(sheets) if each is choice.first)
    return at, choice.header_row


def locate(
    sheets: Sequence[FirstRows], wanted: Wanted, place: str, listed: Sequence[FirstRows] = ()
) -> HeaderPlace:
    """Return where the table is, on one of some sheets or in a file without sheets.

    A given row beyond the first ones is not looked at.

    Raises:
        InputProblem: there is no table, or more than one; or there are rows above the header.
    """
    choice = choose(sheets, wanted)
    row, last = wanted.header_row, max(sheets[0].rows)
    if choice is None and row is not None and row > last:
        return HeaderPlace(sheets[0], row)
    if choice is None:
        raise refusal(sheets, wanted, place, listed)
    if row is None and choice.header_row != min(choice.first.rows):
        _check_above(choice, wanted, place)
    return choice


def _check_above(choice: HeaderPlace, wanted: Wanted, place: str) -> None:
    """Refuse a header with data above it; else log what is there."""
    number, header = choice.header_row, f"the header in {choice}"
    above = data_above(choice, wanted)
    if above:
        raise InputProblem(
            f"{place}: {'row' if len(above) == 1 else 'rows'} {', '.join(map(str, above))} above "
            f"{header} look like data, as if the header had been sorted with the rows. Move the "
            f"header above them; to leave them out, add --header-row {number}.",
            remedies=[Remedy(["--header-row", str(number)], "If they are not to be read, type")],
        )
    log.info("%s: what is above %s was not read", place, header)


def _readable(sheets: Sequence[FirstRows], wanted: Wanted, place: str) -> list[FirstRows]:
    """Return the sheets that may be read; raise InputProblem if there is none."""
    if wanted.sheet is not None:
        named = [each for each in sheets if each.sheet == wanted.sheet]
        if not named:
            there = ", ".join(repr(each.sheet) for each in sheets)
            raise InputProblem(
                f"{place} has no sheet {wanted.sheet!r}. Name one of these with --sheet: {there}."
            )
        if not named[0].rows:
            raise InputProblem(
                f"The sheet {wanted.sheet!r} of {place} is empty. Name another one with --sheet, "
                "or see that the export finished."
            )
        return named[:1]
    filled = [each for each in sheets if each.rows]
    filled = [each for each in filled if not each.is_ours] or filled
    visible = [each for each in filled if not each.is_hidden]
    if visible:
        return visible
    if filled:
        hidden = ", ".join(repr(each.sheet) for each in filled)
        raise InputProblem(
            f"The visible sheets of {place} are empty; there is data on hidden ones: {hidden}. "
            "Name the one to read with --sheet."
        )
    raise InputProblem(
        f"The sheet {sheets[0].sheet!r} of {place} is empty, and so are all others. See that its "
        "export finished."
    )
