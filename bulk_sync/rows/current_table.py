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

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.results import Match, Steps


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
    for at, group in _groups(table.filter(pc.is_valid(table["pkey"]))):
        steps.state[at] = max(match.state for match in group)
        steps.found[at] = group
    for row in table.filter(pc.is_valid(table["outcome"])).to_pylist():
        _fill_problem(steps, row)


def _own(keys: npt.NDArray[np.int64], steps: Steps) -> pa.Table:
    changed_ms = np.zeros(len(keys), np.int64)
    if steps.changed_ms is not None:
        changed_ms = steps.changed_ms[keys]
    return pa.table(
        {
            "key": keys,
            "pkey": pa.nulls(len(keys), pa.string()),
            "state": steps.state[keys],
            "changed_ms": changed_ms,
            "attempts": steps.attempts[keys],
            "at_ms": steps.at_ms[keys],
            **_problems(keys, steps),
        }
    )


def _problems(keys: npt.NDArray[np.int64], steps: Steps) -> dict[str, pa.Array]:
    if not steps.problems:
        blank = dict.fromkeys(("outcome", "reason", "detail"), pa.nulls(len(keys), pa.string()))
        return {**blank, "passing": pa.nulls(len(keys), pa.bool_())}
    problems = [steps.problems.get(at) for at in keys.tolist()]
    return {
        "outcome": pa.array([p and str(p.outcome) for p in problems], pa.string()),
        "reason": pa.array([p and str(p.reason) for p in problems], pa.string()),
        "detail": pa.array([p and p.detail for p in problems], pa.string()),
        "passing": pa.array([p and p.passing for p in problems], pa.bool_()),
    }


def _groups(table: pa.Table) -> Iterator[tuple[int, tuple[Match, ...]]]:
    """Yield each key with its profiles; the rows of one key stand together."""
    group: list[Match] = []
    at = None
    for row in table.select(["key", *Match._fields]).to_pylist():
        if row["key"] != at and at is not None:
            yield at, tuple(group)
            group = []
        at = row["key"]
        group.append(Match(row["pkey"], row["state"], row["changed_ms"]))
    if at is not None:
        yield at, tuple(group)


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
