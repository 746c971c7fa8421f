"""A run on disk and in the ledger: all that the pipeline needs to take it further."""

from dataclasses import dataclass, field

import pandas as pd

from bulk_sync.ledger import Begun, Ledger
from bulk_sync.runs.history.lineage import Lineage
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.kept.rest import NOTHING, Rest


@dataclass(frozen=True, slots=True)
class RunContext:
    """A run at any stage.

    Attributes:
        rows: the checked rows, but those of the rest; none of a large input yet to be divided.
        planned: the plan, if it is known already.
        lineage: where it stands among other runs.
        rest: the rows of its input that need no work, if not all are held in memory.
    """

    run_id: str
    begun: Begun
    rows: pd.DataFrame
    planned: pd.DataFrame | None
    checkpoint: Checkpoint
    ledger: Ledger
    lineage: Lineage = field(default_factory=Lineage)
    rest: Rest = NOTHING

    @property
    def is_read_now(self) -> bool:
        """Return whether this process reads all states itself."""
        return self.planned is None and self.lineage.since is None

    @property
    def stem(self) -> str:
        """Return the beginning of its todo file's name."""
        return str(self.begun.settings.get("stem", "input"))
