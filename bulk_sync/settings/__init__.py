"""How a run is asked to work: frozen settings, validated once at the edge.

    connection.py  where Campaign is, and the credentials
    pace.py        how many requests it may be sent, and of which kinds
    key_kinds.py   what the keys and dates of an input are, and how profiles are created
    safety.py      what stops a run that looks like a mistake
    state_dir.py   where runs and the ledger are kept, and what runs are called

Each part goes to one room. Nothing here reads the environment or a file.
"""

from bulk_sync.settings.connection import (
    ATTRIBUTE,
    AUTO,
    EXTENDED,
    PLURAL,
    SCOPE,
    SINGULAR,
    Connection,
    Credentials,
    Place,
    Secret,
    check_host,
    is_loopback,
    is_sendable,
)
from bulk_sync.settings.key_kinds import (
    BUILT_IN_FILTERS,
    Creating,
    DateOrder,
    Dialect,
    EmailCase,
    KeyKind,
    Keys,
    OnAmbiguous,
    reached,
)
from bulk_sync.settings.pace import Fetch, Pace, Reading, Writing
from bulk_sync.settings.safety import Approval, Bound, Failures, Limits, Oddity, folded
from bulk_sync.settings.state_dir import RUN_ID_PATTERN, State, new_run_id

__all__ = [
    "ATTRIBUTE", "AUTO", "BUILT_IN_FILTERS", "EXTENDED", "PLURAL", "RUN_ID_PATTERN", "SCOPE",
    "SINGULAR", "Approval", "Bound", "Connection", "Creating", "Credentials", "DateOrder",
    "Dialect", "EmailCase", "Failures", "Fetch", "KeyKind", "Keys", "Limits", "Oddity",
    "OnAmbiguous", "Pace", "Place", "Reading", "Secret", "State", "Writing", "check_host",
    "folded", "is_loopback", "is_sendable", "new_run_id", "reached",
]  # fmt: skip
