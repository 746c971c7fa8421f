"""Where the program keeps what it must remember."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class State:
    """Where the program keeps what it must remember.

    Attributes:
        folder: runs, locks and, by default, the ledger.
        ledger: an SQLAlchemy URL, which may hold a password; None is a file in ``folder``.
        lock_wait_s: how long to wait for another run to end.
    """

    folder: Path
    ledger: str | None = field(default=None, repr=False)
    lock_wait_s: float = 0.0
