"""Where runs and the ledger are kept, and what runs are called."""

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

RUN_ID_PATTERN: Final = r"\d{8}T\d{6}Z-[0-9a-f]{6}"
"""What every id of a run matches, and hardly anything else."""

_DAYS: Final = 800
_DAYS_OF_MANY: Final = 30
_MANY_ROWS: Final = 100_000


@dataclass(frozen=True, slots=True)
class State:
    """Where runs and the ledger are kept.

    Attributes:
        folder: runs, locks and, by default, the ledger.
        ledger: an SQLAlchemy URL, perhaps with a password. None: a file in ``folder``.
        lock_wait_s: how long to wait for another run to end.
        url: where checkpoints are kept as well, a folder of a bucket; None: only in ``folder``.
        keep_rows: days to keep a finished run's rows. None takes the default.
    """

    folder: Path
    ledger: str | None = field(default=None, repr=False)
    lock_wait_s: float = 0.0
    keep_rows: int | None = None
    url: str | None = None

    def days_kept(self, rows: int) -> int:
        """Return for how many days so many rows are kept: large runs go sooner."""
        if self.keep_rows is not None:
            return self.keep_rows
        return _DAYS if rows <= _MANY_ROWS else _DAYS_OF_MANY


def new_run_id() -> str:
    """Return a new id, sorted by time and fit for a file name: ``20261123T020000Z-7f3a9c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
