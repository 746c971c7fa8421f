"""The problems of checked rows: which cells to mark, and what to say about them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import wording
from bulk_sync.report.facts import Facts
from bulk_sync.report.marked.cells import Place
from bulk_sync.rows import columns
from bulk_sync.rows.check.header import Found
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.request_order import UNDATED, Precision
from bulk_sync.rows.results import UNREAD

_OF_STATES: Final = frozenset({Reason.BAD_STATE, Reason.BLANK_STATE, Reason.CONFLICT})
_OF_KEYS: Final = frozenset({Reason.BAD_KEY, Reason.EMPTY_KEY})

_DATE: Final = "The request date cannot be read"
_DATE_SENTENCE: Final = (
    "This date cannot be read. The row is used all the same, but worked on last."
)

_SWAPPED: Final = "Day and month of the request date could be swapped"
_SWAPPED_SENTENCE: Final = (
    "Day and month could be swapped here. The row is used all the same: the earlier date counts "
    "for the deadline, and in doubt the opt-out."
)

_READ_THE_NOTE: Final = "Read the note in each red cell, and correct it."
_TO_DO: Final[Mapping[str, str]] = {
    Reason.NOT_DATA: "Delete these rows, or move them to another sheet: they are no requests.",
    Reason.BAD_STATE: "Write yes or no, and nothing else, into each red cell.",
    Reason.BLANK_STATE: "Write yes or no into each red cell, or delete the row.",
    Reason.EMPTY_KEY: "Write the key into each red cell; delete the row if it is no request.",
    Reason.BAD_KEY: (
        "Format the red cells as text, and copy each key again from where it comes from. The note "
        "in the cell says what is wrong with it."
    ),
    Reason.CONFLICT: "Find out which answer is right, and delete the other rows of this key.",
}
_DATE_TO_DO: Final = "Write the date like 2026-11-23. You may also leave it as it is."


class Problem(NamedTuple):
    """One row of the input with a problem.

    Attributes:
        places: the cells to be marked, the one to begin with first.
        reason: its code, as reports have it; "" without any.
        why: the kind of problem in plain words.
        to_do: what to do about problems of this kind.
        sentences: what is wrong here.
        is_bad: the row cannot be used; False if it can, but is worth a look.
    """

    places: tuple[Place, ...]
    reason: str
    why: str
    to_do: str
    sentences: str
    is_bad: bool

    @property
    def note(self) -> str:
        """Return what the note in the cell says."""
        return f"{self.sentences} ({self.reason})" if self.reason else self.sentences


def find(rows: pd.DataFrame, found: Found, positions: Mapping[str, int]) -> list[Problem]:
    """Return the problems of rows, in the order of the input.

    Args:
        rows: the results of a check.
        found: the names of the columns of keys, states and dates.
        positions: by name, where the columns are, from 0.

    Raises:
        KeyError: a column is not there.
    """
    problems = [*_rejected(rows, found, positions), *_undated(rows, found, positions)]
    return sorted(problems, key=lambda problem: problem.places[0])


def head(
    rows: pd.DataFrame,
    layout: Layout,
    facts: Facts,
    problems: Sequence[Problem],
    *,
    is_copy: bool,
) -> list[str]:
    """Return the sentences at the top of the first sheet, the title first."""
    name = PurePath(facts.source.input).name
    bad = sum(problem.is_bad for problem in problems)
    total = wording.count(len(rows), "row")
    title = f"{bad:,} of {total} cannot be used yet" if bad else f"nothing to correct in {total}"
    lines = [
        f"bulk-sync: {title}",
        f"{name}, checked {facts.at:%Y-%m-%d %H:%M %Z}. {layout}.",
        facts.result.sentences[0],
    ]
    if is_copy:
        lines.append(
            f"This workbook has the list of {name} alone, each row with its number: marks need an "
            ".xlsx. Formats, formulas and other sheets are left behind."
        )
    if bad:
        lines.append(
            f"Correct the red cells of the sheet {layout.sheet!r} (click on the number of a row "
            "below to go there), save this workbook, and check it again. The colours and notes may "
            "stay: they are not read."
        )
    if len(problems) > bad:
        lines.append("Rows with a yellow cell are used as they are; the cell is worth a look.")
    return lines


def _rejected(rows: pd.DataFrame, found: Found, positions: Mapping[str, int]) -> Iterator[Problem]:
    key, state = positions[found.key], None if found.state is None else positions[found.state]
    bad = columns.rows_of(rows, columns.have_outcome(rows, [Outcome.REJECTED]))
    reasons = bad[columns.REASON].astype(object).fillna("")
    unread = columns.state_codes(bad[columns.DESIRED]) == UNREAD
    for number, reason, detail, has_no_state in zip(
        bad[columns.ROW].tolist(), reasons, bad[columns.DETAIL], unread.tolist(), strict=True
    ):
        places = [Place(number, key)]
        if state is not None and reason in _OF_STATES:
            places = [Place(number, state)]
        elif state is not None and reason in _OF_KEYS and has_no_state:
            places.append(Place(number, state))
        why = wording.REASONS[Reason(reason)]
        why = why[0].upper() + why[1:]
        yield Problem(
            tuple(places), reason, why, _TO_DO.get(reason, _READ_THE_NOTE), detail, is_bad=True
        )


def _undated(rows: pd.DataFrame, found: Found, positions: Mapping[str, int]) -> Iterator[Problem]:
    """Yield the rows whose date is none, or one of two, and that are used all the same."""
    if found.date is None or columns.REQUESTED not in rows:
        return
    filled = (rows[found.date].str.strip() != "").to_numpy(np.bool_)
    used = filled & ~columns.have_outcome(rows, [Outcome.REJECTED])
    for has_it, why, sentence in (
        (rows[columns.REQUESTED] == UNDATED, _DATE, _DATE_SENTENCE),
        (rows[columns.PRECISION] == Precision.SWAPPED, _SWAPPED, _SWAPPED_SENTENCE),
    ):
        for number in rows[columns.ROW][has_it & used].tolist():
            place = Place(number, positions[found.date])
            yield Problem((place,), "", why, _DATE_TO_DO, sentence, is_bad=False)
