"""SQL: every run, and every write that this program ever attempted; provably as it was written.

    opening.py     SQLite beside the runs, or whatever a URL names; server_lock.py
      ledger.py      adds lines, and reads them again
        chain.py       why none can be changed unnoticed
        anchor.py      ... nor the last ones be cut off
      verifying.py   the verdict on a whole ledger
      schema.py      the tables; migrations/ brings older ones forward
      records.py     what goes in and comes out

Knows nothing of frames, HTTP and terminals.
"""

from bulk_sync.ledger.chain import Head, Misfit
from bulk_sync.ledger.connect import anchor_of, existing, folder_of, has_lock, opened
from bulk_sync.ledger.database import Ledger
from bulk_sync.ledger.records import Begun, Ended, Intent, Kind, Run, Settled, Write, utc
from bulk_sync.ledger.verification import Verdict, verify

__all__ = [
    "Begun",
    "Ended",
    "Head",
    "Intent",
    "Kind",
    "Ledger",
    "Misfit",
    "Run",
    "Settled",
    "Verdict",
    "Write",
    "anchor_of",
    "existing",
    "folder_of",
    "has_lock",
    "opened",
    "utc",
    "verify",
]
