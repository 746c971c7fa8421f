"""The table of current states as Arrow holds it: one row per profile.

====================  ========  =================================================================
column                type      content
====================  ========  =================================================================
key                   int64     position of the key among those to be read
pkey                  string    PKey of the profile; missing if it is the key, or none was found
state                 int8      1, 0, or -1 if unknown
changed_ms            int64     time of the last change by Campaign's clock; 0 if unknown
attempts, at_ms       int32/64  HTTP tries, and the time of the answer
outcome ... passing   string    the problem; missing if there is none
====================  ========  =================================================================
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.results import Match, Steps

_PROBLEM: Final = dict.fromkeys(("outcome", "reason", "detail"), pa.string()) | {
    "passing": pa.bool_()
}
"""What the table has of a ``RowFailed``."""


def part(positions: Sequence[int], steps: Steps) -> pa.Table:
    """Return the rows of some keys."""
    keys = np.asarray(positions, np.int64)
    found = [at for at in positions if at in steps.found] if steps.found else []
    if not found:
        return _own(keys, steps)
    rest = keys[~np.isin(keys, found)]
    matches = [(at, match) for at in found for match in steps.found[at]]
    others = _own(np.array([at for at, _ in matches], np.int64), steps)
    for name in Match._fields:
        index = others.schema.get_field_index(name)
        values = [getattr(match, name) for _, match in matches]
        others = others.set_column(index, name, pa.array(values, others.schema.types[index]))
    return pa.concat_tables([_own(rest, steps), others])


def fill(steps: Steps, table: pa.Table) -> None:
    """Fill in the rows of a table, which replace what is known of their keys.

    Rows that failed for a passing reason, or were stopped before, become unknown.
    """
    keys = table["key"].to_numpy()
    steps.state[keys] = table["state"].to_numpy()
    steps.attempts[keys] = table["attempts"].to_numpy()
    steps.at_ms[keys] = table["at_ms"].to_numpy()
    if steps.changed_ms is not None:
        steps.changed_ms[keys] = table["changed_ms"].to_numpy()
    if steps.problems or steps.found or steps.suspects:
        for at in keys.tolist():
            steps.problems.pop(at, None)
            steps.found.pop(at, None)
            steps.suspects.discard(at)
    matched = table.filter(pc.is_valid(table["pkey"])).select(["key", *Match._fields])
    for at, rows in groupby(matched.to_pylist(), itemgetter("key")):  # which stand together
        steps.found[at] = tuple(map(Match._make, map(itemgetter(*Match._fields), rows)))
        steps.state[at] = max(match.state for match in steps.found[at])
    for row in table.filter(pc.is_valid(table["outcome"])).to_pylist():
        _fill_problem(steps, row)


def _own(keys: npt.NDArray[np.int64], steps: Steps) -> pa.Table:
    changed_ms = np.zeros(len(keys), np.int64)
    if steps.changed_ms is not None:
        changed_ms = steps.changed_ms[keys]
    problems: list[RowFailed | None] = [None] * len(keys)
    if steps.problems:
        problems = [steps.problems.get(at) for at in keys.tolist()]
    return pa.table(
        {
            "key": keys,
            "pkey": pa.nulls(len(keys), pa.string()),
            "state": steps.state[keys],
            "changed_ms": changed_ms,
            "attempts": steps.attempts[keys],
            "at_ms": steps.at_ms[keys],
            **{
                name: pa.array([each and getattr(each, name) for each in problems], kind)
                for name, kind in _PROBLEM.items()
            },
        }
    )


def _fill_problem(steps: Steps, row: dict[str, Any]) -> None:
    at = row["key"]
    outcome = Outcome(row["outcome"])
    if row["passing"] or outcome is Outcome.PENDING:
        steps.undo(at)
        if row["passing"]:
            steps.suspects.add(at)
        return
    attempts = int(steps.attempts[at])
    steps.problems[at] = RowFailed(
        Reason(row["reason"]), row["detail"], outcome=outcome, attempts=attempts
    )
