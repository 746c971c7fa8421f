"""SQL: every run, and every write that this program ever attempted; provably as it was written.

    opening.py     SQLite beside the runs, or whatever a URL names
      ledger.py      adds lines, and reads them again
        chain.py       why none can be changed unnoticed
        anchor.py      ... nor the last ones be cut off
      schema.py      the tables; migrations/ brings older ones forward
      records.py     what goes in and comes out

Knows nothing of frames, HTTP and terminals.
"""

from bulk_sync.ledger.chain import Head, Misfit
from bulk_sync.ledger.ledger import Ledger
from bulk_sync.ledger.opening import anchor_of, existing, held, opened, place
from bulk_sync.ledger.records import Begun, Ended, Intent, Kind, Run, Settled, Write, utc

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
    "Write",
    "anchor_of",
    "existing",
    "held",
    "opened",
    "place",
    "utc",
]
