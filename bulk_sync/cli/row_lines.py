"""Outcomes and rows as lines: how many, why, and which ones."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from textwrap import shorten
from types import MappingProxyType
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from bulk_sync.amounts import count
from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.duplicates import Places
from bulk_sync.rows.left_rows import LeftRows
from bulk_sync.rows.totals import Totals

_NAMED_ROWS: Final = 10
_DETAIL_CHARACTERS: Final = 200
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@,;]+")
"""What differs from row to row in details that are the same otherwise."""


def needing_a_person(left: LeftRows, most: int = _NAMED_ROWS) -> list[str]:
    """Return the first rows for a person as lines, those with the same reason in one."""
    if not left.count:
        return []
    first = left.first
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
    more = left.count - sum(map(len, shown.values()))
    if more:
        lines.append(f"  ... and {count(more, 'more row')}; the report (--report) has them all.")
    return ["Rows that need a person:", *lines, ""]


def outcome_lines(
    reasons: Counter[tuple[str, str]],
    totals: Totals,
    outcomes: Iterable[str],
    notes: Mapping[str, str] = MappingProxyType({}),
    names: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Return a line for each outcome, with its reasons, and their sum.

    Args:
        reasons: rows by outcome and reason.
        totals: rows by outcome.
        outcomes: those to list; the sum includes all.
        notes: texts in place of the reasons.
        names: texts in place of the outcomes.
    """
    lines = [
        count_line(
            names.get(outcome, outcome),
            totals.outcomes[outcome],
            notes.get(outcome) or _reasons(reasons, outcome),
        )
        for outcome in outcomes
    ]
    counted = sum(totals.outcomes.values())
    verdict = "all" if counted == totals.rows else "NOT the"
    return [*lines, count_line("sum", counted, f"= {verdict} {count(totals.rows, 'row')}")]


def count_line(name: str, number: int, note: str) -> str:
    """Return a number of rows as a line, with a note."""
    return f"  {name:<13}{number:>11,}  {note}".rstrip()


def _reasons(counts: Counter[tuple[str, str]], outcome: str) -> str:
    """Return the reasons of an outcome, the most frequent first."""
    ordered = sorted(Reason, key=lambda reason: -counts[outcome, reason])
    named = ((reason, counts[outcome, reason]) for reason in ordered if reason != outcome)
    return ", ".join(f"{reason} {number:,}" for reason, number in named if number)


def row_numbers(rows: pd.DataFrame, positions: npt.NDArray[np.intp]) -> str:
    """Name some rows by their numbers."""
    return _named(rows[columns.ROW].to_numpy()[positions].tolist())


def _named(numbers: Sequence[object]) -> str:
    """Name rows by their numbers, the first ones if there are many."""
    named = ", ".join(map(str, numbers[:_NAMED_ROWS]))
    more = len(numbers) - _NAMED_ROWS
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{'row' if len(numbers) == 1 else 'rows'} {named}{rest}"
