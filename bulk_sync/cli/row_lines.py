"""Outcomes and rows as lines: how many, why, and which ones."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
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
from bulk_sync.rows.totals import LeftRows, Totals

_NAMED_ROWS: Final = 10
_DETAIL_CHARACTERS: Final = 200
_ADDRESS: Final = re.compile(r"[^\s@]+@[^\s@,;]+")
"""What differs from row to row in details that are the same otherwise."""


def needing_a_person(left: LeftRows, most: int = _NAMED_ROWS) -> list[str]:
    """Return the first rows for a person as lines, those with the same reason in one."""
    if not left.count:
        return []
    first, places = left.first, Places(left.first)
    details = first[columns.DETAIL].astype(object)
    rows = pd.DataFrame(
        {
            "file": first.get(columns.FILE, ""),
            "outcome": first[columns.OUTCOME].astype(object),
            "reason": first[columns.REASON].astype(object).fillna(""),
            "alike": [_ADDRESS.sub("...", detail) for detail in details],
            "detail": details,
            "number": [f"{row}{places.original(at)}" for at, row in enumerate(first[columns.ROW])],
        }
    )
    lines, named = ["Rows that need a person:"], 0
    groups = rows.groupby(["file", "outcome", "reason", "alike"], sort=False)
    for key, those in islice(groups, most):
        file, outcome, reason, alike = map(str, key)
        detail = str(those["detail"].iloc[0]) if len(those) == 1 else alike
        place = f"{file} {_named(those['number'])}" if file else _named(those["number"])
        why = "" if reason in ("", outcome) else f" {reason}"
        text = shorten(detail, _DETAIL_CHARACTERS, placeholder=" ...")
        lines.append(f"  {place}  {outcome}{why}: {text}")
        named += len(those)
    if more := left.count - named:
        lines.append(f"  ... and {count(more, 'more row')}; the report (--report) has them all.")
    return [*lines, ""]


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
    ordered = sorted(Reason, key=lambda reason: -counts[outcome, reason])
    named = ((reason, counts[outcome, reason]) for reason in ordered if reason != outcome)
    return ", ".join(f"{reason} {number:,}" for reason, number in named if number)


def row_numbers(rows: pd.DataFrame, positions: npt.NDArray[np.intp]) -> str:
    """Name some rows by their numbers."""
    return _named(rows[columns.ROW].iloc[positions])


def _named(numbers: pd.Series) -> str:
    named = ", ".join(map(str, numbers[:_NAMED_ROWS]))
    more = len(numbers) - _NAMED_ROWS
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{'row' if len(numbers) == 1 else 'rows'} {named}{rest}"
