"""Judges rows by themselves: what no other row can change.

The rows are those of an input, or of a slice of it.
"""

import logging
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check import footer, keys
from bulk_sync.rows.check.header import Found, find_columns
from bulk_sync.rows.check.rules import BlankState, Rules
from bulk_sync.rows.check.verdicts import NO_VALUE, Verdicts, quoted
from bulk_sync.rows.parse.cell_text import UNCALCULATED
from bulk_sync.rows.request_dates import RequestTimes
from bulk_sync.settings import EmailCase, KeyKind

log = logging.getLogger(__name__)


class JudgedRows(NamedTuple):
    """Rows, each judged by itself.

    Attributes:
        verdicts: on those that cannot be used.
        keys: large_string, as they are used.
        identities: large_string, by which keys are compared.
        desired: int8, the states: 1, 0, or -1 where there is none.
    """

    verdicts: Verdicts
    keys: pa.ChunkedArray
    identities: pa.ChunkedArray
    desired: npt.NDArray[np.int8]


def find(names: Iterable[str], rules: Rules) -> Found:
    """Find the columns of an input, and warn if those of the dates are in doubt.

    Raises:
        InputProblem: a column is missing or ambiguous.
    """
    found = find_columns(names, rules)
    if len(found.dates) > 1:
        log.warning(
            "More than one column could hold the dates of the requests: %s. Rows are worked on in "
            "the order of the input; to have the oldest requests first, name one with "
            "--date-column.",
            ", ".join(map(repr, found.dates)),
        )
    return found


def judge(raw: pd.DataFrame, found: Found, rules: Rules, above: int | None = 0) -> JudgedRows:
    """Judge rows by themselves; ``above`` are of the same file, None if others are below."""
    verdicts = Verdicts.blank(len(raw))
    if above is not None:
        footer.reject(raw, found, rules.words, verdicts, above)
    used = keys.cleaned(raw[found.key], found.keys.kind, verdicts)
    if found.state is None:
        desired = np.full(len(raw), int(bool(rules.state)), np.int8)
        desired[list(verdicts.aside)] = -1
    else:
        desired = _states(raw[found.state], rules, verdicts)
    identities = used
    if found.keys.kind is KeyKind.EMAIL:
        ignore_case = found.keys.email_case is EmailCase.IGNORE
        identities = keys.identities(used, ignore_case=ignore_case)
    return JudgedRows(verdicts, used, identities, desired)


def _states(column: pd.Series, rules: Rules, verdicts: Verdicts) -> npt.NDArray[np.int8]:
    """Read the states, each spelling once.

    Returns:
        int8: 1, 0, or -1 where the cell holds none, and in rows set aside.
    """
    cells = pc.dictionary_encode(pa.chunked_array(column)).unify_dictionaries()
    spellings = cells.chunk(0).dictionary.to_pylist() if cells.num_chunks else []
    known = [rules.words.state(spelling) for spelling in spellings]
    codes = np.concatenate(
        [np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in cells.chunks)]
    )
    values = np.array([-1 if state is None else int(state) for state in known], np.int8)
    states = values[codes] if len(values) else np.zeros(0, np.int8)
    states[list(verdicts.aside)] = -1
    unread = [at for at in np.flatnonzero(states < 0).tolist() if at not in verdicts.aside]
    judged = {
        code: _judge(spellings[code], str(column.name), rules)
        for code in np.unique(codes[unread]).tolist()
    }
    for at in unread:
        verdicts.settle(at, *judged[codes[at]])
    return states


def _judge(spelling: str, column: str, rules: Rules) -> tuple[Outcome, Reason, str]:
    """Return the verdict on another spelling than those of states."""
    words = rules.words
    write = f"Write yes ({words.effect('yes')} the sale) or no ({words.effect('no')} it)."
    if spelling == UNCALCULATED:
        return Outcome.REJECTED, Reason.BAD_STATE, f"Column {column!r} has {NO_VALUE}."
    if spelling.strip():
        sentence = f"Column {column!r} has {quoted(spelling)}, which is neither yes nor no. {write}"
        return Outcome.REJECTED, Reason.BAD_STATE, sentence
    empty = f"Column {column!r} is empty in this row"
    if rules.blank_state is BlankState.SKIP:
        sentence = f"{empty}, so the row is left out (--blank-state skip)."
        return Outcome.SKIPPED, Reason.BLANK_STATE, sentence
    return Outcome.REJECTED, Reason.BLANK_STATE, f"{empty}. {write}"


def frame(raw: pd.DataFrame, judged: JudgedRows) -> pd.DataFrame:
    """Return judged rows as ``check.rows`` does, but for COUNTS_AS and request dates."""
    ours = set(columns.OURS) - {columns.ROW, columns.FILE}
    checked = raw[[name for name in raw.columns if name not in ours]]
    checked[columns.KEY] = pd.Series(pd.array(judged.keys, dtype="str"))
    checked[columns.DESIRED] = columns.states(judged.desired)
    checked[columns.OUTCOME] = columns.outcomes(judged.verdicts.outcome)
    checked[columns.REASON] = columns.reasons(judged.verdicts.reason)
    checked[columns.DETAIL] = columns.details(len(raw), judged.verdicts.details)
    return checked


def dates(column: pd.Series, verdicts: Verdicts) -> pd.Series:
    """Return the texts of request dates, without those of rows set aside."""
    if not verdicts.aside:
        return column
    return column.mask(np.isin(np.arange(len(column)), list(verdicts.aside)), "")


def dated(checked: pd.DataFrame, times: RequestTimes, rules: Rules) -> pd.DataFrame:
    """Add the times of their requests to rows."""
    checked[columns.REQUESTED] = times.first
    checked[columns.RECEIVED] = times.day
    checked[columns.UNJUDGED if rules.ignore_dates else columns.LATEST] = times.latest
    checked[columns.PRECISION] = times.precision
    return checked
