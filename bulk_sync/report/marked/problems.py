"""The problems of checked rows: which cells to mark, and what to say about them."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import wording
from bulk_sync.report.facts import Facts
from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check.header import Found
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.parse.sheets import column_letters
from bulk_sync.rows.results import UNREAD

_LOOKS: Final = ("bad", "doubtful")
_OF_STATES: Final = frozenset({Reason.BAD_STATE, Reason.BLANK_STATE, Reason.CONFLICT})
_OF_KEYS: Final = frozenset({Reason.BAD_KEY, Reason.EMPTY_KEY})

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
    Reason.PROTECTED: "Delete these rows: no run may change these people (--protect).",
    Reason.CONFLICT: (
        "Find out which answer is right, and delete the other rows of this key. Or let the opt-out "
        "count: on the page with “One key with two states: The opt-out counts”, at the command "
        "line with --on-conflict opt-out."
    ),
}
_CAPITALS_TO_DO: Final = (
    "Correct one of the two. Or let them count as one address: on the page with “Capitals in "
    "addresses: Do not count”, at the command line with --email-case ignore."
)
_CAPITALS: Final = " with --email-case ignore"
_OPTIONS: Final = re.compile(f" with --on-conflict opt-out|{_CAPITALS}")
"""What stands in sentences about a row for people at the command line, and here in the first sheet,
with the words of the page."""

_DATE_TO_DO: Final = "Write the date like 2026-11-23. You may also leave it as it is."


class Problem(NamedTuple):
    """One row of the input with a problem.

    Attributes:
        places: row and column, from 1, of the cells to be marked; the one to begin with first.
        kind: what is wrong in plain words, what to do, and the reason as reports have it.
        sentences: what is wrong here.
        is_bad: the row cannot be used; False if it can, but is worth a look.
    """

    places: Sequence[tuple[int, int]]
    kind: tuple[str, str, str]
    sentences: str
    is_bad: bool = True

    @property
    def note(self) -> str:
        """Return the note for the cells, on one line."""
        *_, reason = self.kind
        return " ".join(f"bulk-sync: {self.sentences} {reason and f'({reason})'}".split())


def find(rows: pd.DataFrame, found: Found, positions: Mapping[str, int]) -> list[Problem]:
    """Return the problems of checked rows, in their order; columns are at ``positions``, from 0."""
    problems = [*_rejected(rows, found, positions), *_undated(rows, found, positions)]
    return sorted(problems, key=lambda problem: problem.places[0])


def bad_cells(reason: str, *, has_state: bool, is_unread: bool) -> tuple[bool, bool]:
    """Return whether the cells of the key and of the state of a rejected row are to be marked."""
    is_state = has_state and reason in _OF_STATES
    return not is_state, is_state or (has_state and reason in _OF_KEYS and is_unread)


def head(
    rows: pd.DataFrame, layout: Layout, facts: Facts, problems: Sequence[Problem]
) -> list[str]:
    """Return the sentences at the top of the first sheet, the title first."""
    bad = sum(problem.is_bad for problem in problems)
    total = count(len(rows), "row")
    title = f"{bad:,} of {total} cannot be used yet" if bad else f"nothing to correct in {total}"
    lines = [
        f"bulk-sync: {title}",
        f"Checked {facts.at:%Y-%m-%d %H:%M %Z}. {layout}.",
        wording.legible(facts.result.sentences[0]),
    ]
    if bad:
        lines.append(
            f"Correct the red cells of the sheet {layout.sheet!r} (click on the number of a row "
            "below to go there), save this workbook, and check it again. The colours and notes may "
            "stay: they are not read. Charts, pictures, macros and the like of your own workbook "
            "may be missing in this copy."
        )
    if len(problems) > bad:
        lines.append("Rows with a yellow cell are used as they are; the cell is worth a look.")
    return lines


def lines(
    problems: Sequence[Problem], sheet: str
) -> Iterator[tuple[Sequence[str | int], Sequence[str], str]]:
    """Yield the rows of the first sheet below its sentences: contents, looks, target of a link."""
    kinds = Counter((not each.is_bad, *each.kind) for each in problems)
    if not kinds:
        return
    yield (), (), ""
    yield ("Problem", "Rows", "What to do", "In reports"), ["header"] * 4, ""
    for (is_doubtful, why, to_do, reason), number in sorted(
        kinds.items(), key=lambda each: each[0][0]
    ):
        yield (why, number, to_do, reason), (_LOOKS[is_doubtful], "cell", "cell", "cell"), ""
    yield (), (), ""
    yield ("Problem", "Row", "What is wrong", "In reports"), ["header"] * 4, ""
    quoted = sheet.replace("'", "''")
    for each in problems:
        (row, column), (why, _, reason) = each.places[0], each.kind
        looks = (_LOOKS[not each.is_bad], "link", "cell", "cell")
        target = f"'{quoted}'!{column_letters(column - 1)}{row}"
        yield (why, row, each.sentences, reason), looks, target


def _rejected(rows: pd.DataFrame, found: Found, positions: Mapping[str, int]) -> Iterator[Problem]:
    key, state = positions[found.key] + 1, 0 if found.state is None else positions[found.state] + 1
    needed = rows[[columns.ROW, columns.REASON, columns.DETAIL, columns.DESIRED]]
    left = columns.rows_of(needed, columns.have_outcome(rows, [Outcome.REJECTED]))
    reasons = left[columns.REASON].astype(object).fillna("")
    unread = columns.desired(left) == UNREAD
    for row, reason, detail, has_no_state in zip(
        left[columns.ROW].tolist(), reasons, left[columns.DETAIL], unread.tolist(), strict=True
    ):
        bad = bad_cells(reason, has_state=bool(state), is_unread=has_no_state)
        places = [(row, at) for at, is_bad in zip((key, state), bad, strict=True) if is_bad]
        why = wording.legible(wording.REASONS[Reason(reason)])
        to_do = _TO_DO.get(reason, _READ_THE_NOTE)
        if _CAPITALS in detail:
            to_do = _CAPITALS_TO_DO
        kind = why[0].upper() + why[1:], to_do, reason
        yield Problem(places, kind, _OPTIONS.sub("", detail))


def _undated(rows: pd.DataFrame, found: Found, positions: Mapping[str, int]) -> Iterator[Problem]:
    """Yield the rows whose date is none, or one of two, and that are used all the same."""
    for doubt, has_it in request_dates.doubts(rows, found.date):
        for row in rows.loc[has_it, columns.ROW].tolist():
            place, kind = (row, positions[str(found.date)] + 1), (doubt.what, _DATE_TO_DO, "")
            yield Problem([place], kind, doubt.sentences, is_bad=False)
