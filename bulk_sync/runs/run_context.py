"""A run that is on disk and in the ledger: all that is needed to tell its story from there."""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from bulk_sync.ledger import Begun, Ledger
from bulk_sync.rows.plan_limits import Past
from bulk_sync.runs.checkpoint import WorkingSet


@dataclass(frozen=True, slots=True)
class Opened:
    """A run that is on disk, and may have got as far as any stage.

    Attributes:
        run_id: its name.
        begun: what it was asked to do.
        stem: what its todo file is called by.
        rows: the judged rows.
        planned: the plan, if it is known already.
        working_set: where it is kept.
        ledger: where its writes are recorded.
        past: finished runs of the same job, for comparison.
        since: position in the ledger after which the word of another run is the later one; None if
            there can be none.
        ancestors: runs whose word it has, which are no others.
        undone: the run whose writes it puts back; None if it does not.
    """

    run_id: str
    begun: Begun
    stem: str
    rows: pd.DataFrame
    planned: pd.DataFrame | None
    working_set: WorkingSet
    ledger: Ledger
    past: Sequence[Past] = ()
    since: int | None = None
    ancestors: frozenset[str] = frozenset()
    undone: str | None = None
