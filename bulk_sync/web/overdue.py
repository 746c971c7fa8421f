"""Opt-outs past their last day, or close to it, by the last run of each job.

A day that passes makes more of them, so they are counted anew each day, from the kept rows.
"""

import threading
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import reduce
from typing import Final, NamedTuple

from bulk_sync.amounts import count
from bulk_sync.ledger import Kind, Run
from bulk_sync.rows import columns
from bulk_sync.rows.due_dates import SOON, Late, late, total
from bulk_sync.runs import kept_rows
from bulk_sync.runs.kept_rows import KeptRows
from bulk_sync.settings import State

_LOOKED_AT: Final = 200
"""Runs; a job without a run among the last ones is over."""

_READ: Final = (columns.RECEIVED, columns.DESIRED, columns.OUTCOME, columns.REASON)

_KINDS: Final = frozenset({Kind.RUN, Kind.APPLY})


class Sentence(NamedTuple):
    """What is late of a job, and the run that has the rows."""

    text: str
    run_id: str


class Overdue:
    """Counts late opt-outs; it blocks, and any thread may call it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._turn = threading.Lock()
        self._found: dict[tuple[str, date], Late | None] = {}

    def sentences(self, runs: Sequence[Run]) -> list[Sentence]:
        """Return a sentence for each job with late opt-outs; ``runs`` are the newest first."""
        newest: dict[str, Run] = {}
        for run in runs[:_LOOKED_AT]:
            if run.begun.kind in _KINDS and run.is_finished:
                newest.setdefault(run.begun.job, run)
        today = datetime.now(UTC).date()
        with self._turn:
            self._found = {
                (run.run_id, today): self._late(run.run_id, today) for run in newest.values()
            }
            found = dict(self._found)
        return [
            Sentence(f"{job}: {', '.join(parts)}", run.run_id)
            for job, run in newest.items()
            if (parts := _parts(found[run.run_id, today]))
        ]

    def _late(self, run_id: str, today: date) -> Late | None:
        if (run_id, today) in self._found:
            return self._found[run_id, today]
        kept = kept_rows.all_of(self._state.folder).get(run_id)
        found = None
        if kept is not None:
            with kept_rows.warning_of(run_id):
                found = _late(kept, today)
        return found


def _late(kept: KeptRows, today: date) -> Late | None:
    return reduce(total, (late(part, today) for part in kept.parts(*_READ)), None)


def _parts(counted: Late | None) -> list[str]:
    if counted is None:
        return []
    left = []
    if counted.left:
        left.append(f"{count(counted.left, 'opt-out')} past the last day")
    if counted.soon:
        left.append(f"{count(counted.soon, 'opt-out')} due within {SOON} business days")
    return left
