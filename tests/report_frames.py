"""Results of a run, and texts that have broken reports before."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from hypothesis import strategies as st

from bulk_sync import report
from bulk_sync.report.destination import LocalFile
from bulk_sync.report.facts import Facts, Subject
from bulk_sync.report.table import Results
from bulk_sync.rows import columns
from bulk_sync.rows.results import UNREAD

AT_MS = 1795490270123
AT = "2026-11-24T03:17:50.123Z"

NASTY = (
    "",
    " ",
    "=cmd|' /C calc'!A0",
    '=HYPERLINK("http://evil.example","x")',
    "@SUM(1)",
    "+1",
    "-1",
    "\tx",
    "\rx",
    "'",
    "''quoted",
    '"',
    'say "hi", twice',
    "a\nb",
    "a\r\nb",
    ",",
    "007",
    "1e5",
    "NA",
    "null",
    "true",
    "2026-11-24",
    "http://example.com/",
    "_x0041_",
    "\x07bell",
    "<r>rich</r>",
    "<b>&amp;</b>",
    "</td></tr></table><script>alert(1)</script>",
    "\ufffe\uffff",
    "\u00a0no-break\u00a0",
    "é",
    "\u202eright to left",
    "😀",
    "名前",
)

TEXT = st.one_of(
    st.sampled_from(NASTY),
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12),
)
"""Any text of an input: no NUL, because reading refuses it."""


def results(
    count: int,
    own: Mapping[str, Sequence[str]] = MappingProxyType({}),
    ours: Mapping[str, Sequence[Any]] = MappingProxyType({}),
) -> pd.DataFrame:
    """Build rows, all of them updated unless ``ours`` says otherwise."""
    given: dict[str, Sequence[Any]] = {
        columns.KEY: [f"@key{number}" for number in range(count)],
        columns.DESIRED: [1] * count,
        columns.BEFORE: [0] * count,
        columns.AFTER: [1] * count,
        columns.OUTCOME: ["updated"] * count,
        columns.REASON: [None] * count,
        columns.DETAIL: [""] * count,
        columns.AT: [AT_MS] * count,
        **ours,
    }
    frame = pd.DataFrame({name: text(values) for name, values in own.items()})
    frame[columns.ROW] = np.arange(count, dtype=np.int64) + 2
    if columns.FILE in ours:
        frame[columns.FILE] = text(ours[columns.FILE]).astype("category")
    frame[columns.KEY] = text(given[columns.KEY])
    frame[columns.DETAIL] = text(given[columns.DETAIL])
    for name in (columns.DESIRED, columns.BEFORE, columns.AFTER):
        frame[name] = columns.states(np.array(given[name], np.int8))
    outcomes = [columns.OUTCOME_CODES[each] for each in given[columns.OUTCOME]]
    frame[columns.OUTCOME] = columns.outcomes(np.array(outcomes, np.int8))
    reasons = [columns.REASON_CODES.get(each, columns.NONE) for each in given[columns.REASON]]
    frame[columns.REASON] = columns.reasons(np.array(reasons, np.int8))
    frame[columns.ATTEMPTS] = np.ones(count, np.int64)
    frame[columns.AT] = columns.times(np.array(given[columns.AT], np.int64))
    if columns.DUE in ours:
        frame[columns.DUE] = text(ours[columns.DUE])
    frame[columns.COUNTS_AS] = np.arange(count)
    return frame


FACTS = Facts(Subject.RESULT, "20261124T031750Z-7f3a9c", datetime(2026, 11, 24, 3, 17, tzinfo=UTC))


def write(frame: pd.DataFrame, path: Path, facts: Facts = FACTS) -> None:
    """Write a report to a local file."""
    report.write(Results.from_frame(frame), LocalFile(path), facts)


def text(values: Sequence[str]) -> pd.Series:
    return pd.Series(values, dtype="str")


OUR_COLUMNS = [name for name in columns.REPORT if name in results(1)]
"""The columns that every report has."""


@st.composite
def nasty_results(draw: st.DrawFn) -> pd.DataFrame:
    """Draw rows with nasty text in every place for foreign text."""
    count = draw(st.integers(0, 5))
    names = draw(
        st.lists(TEXT.filter(lambda name: name not in columns.OURS), max_size=3, unique=True)
    )

    def column(cells: st.SearchStrategy[Any]) -> list[Any]:
        return draw(st.lists(cells, min_size=count, max_size=count))

    state = st.sampled_from([1, 0, UNREAD])
    return results(
        count,
        {name: column(TEXT) for name in names},
        {
            columns.KEY: column(TEXT),
            columns.DETAIL: column(TEXT),
            columns.DESIRED: column(state),
            columns.BEFORE: column(state),
            columns.AFTER: column(state),
            columns.OUTCOME: column(st.sampled_from(["updated", "failed", "rejected"])),
            columns.REASON: column(st.sampled_from([None, "http_403"])),
            columns.AT: column(st.sampled_from([0, AT_MS])),
        },
    )


def report_columns(frame: pd.DataFrame) -> list[str]:
    own = [name for name in frame.columns if name not in (*columns.REPORT, columns.COUNTS_AS)]
    return own + [name for name in columns.REPORT if name in frame]


def expected(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return the expected report: Python values in the report's order, None where missing."""
    names = report_columns(frame)
    cells = {name: list(map(_cell, frame[name].astype(object))) for name in names}
    return [{name: cells[name][at] for name in names} for at in range(len(frame))]


def as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)


def _cell(value: Any) -> Any:
    if pd.isna(value):
        return None
    if isinstance(value, pd.Timestamp):
        return f"{value:%Y-%m-%dT%H:%M:%S}.{value.microsecond // 1000:03}Z"
    return value
