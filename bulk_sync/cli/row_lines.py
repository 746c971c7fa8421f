"""Outcomes and rows as lines: how many, why, and which ones."""

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from textwrap import shorten
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns
from bulk_sync.rows.check.duplicates import Places
from bulk_sync.rows.totals import Totals

_NAMED_ROWS: Final = 10
_COMPARED_ROWS: Final = 1_000
"""How many rows are searched for those with the same reason."""

_DETAIL_CHARACTERS: Final = 200
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@,;]+")
"""What differs from row to row in details that are the same otherwise."""


def needing_a_person(
    rows: pd.DataFrame, among: Iterable[Outcome], most: int = _NAMED_ROWS
) -> list[str]:
    """Return the first rows with these outcomes as lines, those with the same reason in one."""
    is_left = columns.have_outcome(rows, among)
    if not is_left.any():
        return []
    names = (columns.ROW, columns.FILE, columns.OUTCOME, columns.REASON, columns.DETAIL)
    needed = rows[[name for name in (*names, *columns.ORIGINAL) if name in rows]]
    first = columns.rows_of(needed, is_left & (np.cumsum(is_left) <= _COMPARED_ROWS))
    places = Places.from_rows(first)
    files = first[columns.FILE] if columns.FILE in first else [""] * len(first)
    reasons = first[columns.REASON].astype(object).fillna("")
    facts = (files, first[columns.OUTCOME], reasons, first[columns.DETAIL])
    alike: dict[tuple[str, ...], list[str]] = {}
    details: dict[tuple[str, ...], str] = {}
    for at, (number, each) in enumerate(
        zip(first[columns.ROW], zip(*facts, strict=True), strict=True)
    ):
        *others, detail = each
        key = (*others, _ADDRESS.sub("...", detail))
        alike.setdefault(key, []).append(f"{number}{places.original(at)}")
        details.setdefault(key, detail)
    shown = {
        (*key[:-1], details[key] if len(numbers) == 1 else key[-1]): numbers
        for key, numbers in islice(alike.items(), most)
    }
    lines = [
        f"  {file}{' ' if file else ''}{_named(numbers)}  {outcome}"
        f"{'' if reason in ('', outcome) else f' {reason}'}: "
        f"{shorten(detail, _DETAIL_CHARACTERS, placeholder=' ...')}"
        for (file, outcome, reason, detail), numbers in shown.items()
    ]
    more = int(is_left.sum()) - sum(map(len, shown.values()))
    if more:
        lines.append(f"  ... and {count(more, 'more row')}; the report (--report) has them all.")
    return ["Rows that need a person:", *lines, ""]


def outcome_lines(
    rows: pd.DataFrame,
    totals: Totals,
    outcomes: Iterable[str],
    notes: Mapping[str, str] = MappingProxyType({}),
    names: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Return a line for each outcome, with its reasons, and their sum.

    Args:
        rows: results.
        totals: their counts.
        outcomes: those to list; the sum includes all.
        notes: texts in place of the reasons.
        names: texts in place of the outcomes.
    """
    lines = [
        count_line(
            names.get(outcome, outcome),
            totals.outcomes[outcome],
            notes.get(outcome) or _reasons(rows, outcome),
        )
        for outcome in outcomes
    ]
    counted = sum(totals.outcomes.values())
    verdict = "all" if counted == totals.rows else "NOT the"
    return [*lines, count_line("sum", counted, f"= {verdict} {count(totals.rows, 'row')}")]


def count_line(name: str, number: int, note: str) -> str:
    """Return a number of rows as a line, with a note."""
    return f"  {name:<13}{number:>11,}  {note}".rstrip()


def _reasons(rows: pd.DataFrame, outcome: str) -> str:
    found = rows.loc[rows[columns.OUTCOME] == outcome, columns.REASON].value_counts()
    named = [(reason, n) for reason, n in found.items() if n and reason != outcome]
    return ", ".join(f"{reason} {n:,}" for reason, n in named)


def row_numbers(rows: pd.DataFrame, positions: npt.NDArray[np.intp]) -> str:
    """Name some rows by their numbers."""
    return _named(rows[columns.ROW].to_numpy()[positions].tolist())


def _named(numbers: Sequence[object]) -> str:
    """Name rows by their numbers, the first ones if there are many."""
    named = ", ".join(map(str, numbers[:_NAMED_ROWS]))
    more = len(numbers) - _NAMED_ROWS
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{'row' if len(numbers) == 1 else 'rows'} {named}{rest}"
