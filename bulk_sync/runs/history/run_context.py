"""A run on disk and in the ledger: all that the pipeline needs to take it further."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pandas as pd

from bulk_sync.ledger import Begun, Ledger
from bulk_sync.rows.plan_limits import Past
from bulk_sync.runs.history.lineage import Lineage
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.kept.large_input import LargeInput
from bulk_sync.runs.kept.rest import NOTHING, Rest


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run at any stage.

    Attributes:
        rows: the checked rows, but those of the rest.
        planned: the plan, if it is known already.
        past: finished runs of the same job, for comparison.
        lineage: where it stands among other runs.
        rest: the rows of its input that need no work, if not all are held in memory.
        large: its input, if larger than memory and not divided yet; then there are no rows.
    """

    run_id: str
    begun: Begun
    rows: pd.DataFrame
    planned: pd.DataFrame | None
    checkpoint: Checkpoint
    ledger: Ledger
    past: Sequence[Past] = ()
    lineage: Lineage = field(default_factory=Lineage)
    rest: Rest = NOTHING
    large: LargeInput | None = None

    @property
    def row_count(self) -> int:
        """Return how many rows its input has."""
        held = len(self.rows) + self.rest.totals.rows
        return held if self.large is None else self.large.slices.count

    @property
    def is_read_now(self) -> bool:
        """Return whether this process reads all states itself."""
        return self.planned is None and self.lineage.since is None

    @property
    def stem(self) -> str:
        """Return the beginning of its todo file's name."""
        return str(self.begun.settings.get("stem", "input"))
