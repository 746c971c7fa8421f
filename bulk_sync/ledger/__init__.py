"""SQL: every run, and every write that this program ever attempted; provably as it was written.

    connect.py       SQLite beside the runs, or the database of a URL; server_lock.py
      database.py      adds lines
        queries.py       reads them again, on transactions.py
        chain.py         why no line can be changed unnoticed
        anchor.py        why the last lines cannot be cut off unnoticed
      verification.py  the verdict on a whole ledger
      transfer.py      copies it into another database
      schema.py        the tables
      records.py       what goes in and comes out

Knows nothing of frames, HTTP and terminals.
"""

from bulk_sync.ledger.availability import is_away
from bulk_sync.ledger.chain import Head, Misfit
from bulk_sync.ledger.connect import (
    anchor_of,
    at,
    folder_of,
    has_lock,
    open_existing,
    open_ledger,
    server_engine,
)
from bulk_sync.ledger.database import Ledger
from bulk_sync.ledger.records import (
    Act,
    Begun,
    Ended,
    Intent,
    NotBegun,
    Run,
    Settled,
    Write,
    local,
    utc,
)
from bulk_sync.ledger.transfer import Transfer, transfer
from bulk_sync.ledger.verification import LedgerVerdict, verify
from bulk_sync.outcomes import Deed, Kind

__all__ = [
    "Act", "Begun", "Deed", "Ended", "Head", "Intent", "Kind", "Ledger", "LedgerVerdict", "Misfit",
    "NotBegun", "Run", "Settled", "Transfer", "Write", "anchor_of", "at", "folder_of", "has_lock",
    "is_away", "local", "open_existing", "open_ledger", "server_engine", "transfer", "utc",
    "verify",
]  # fmt: skip
