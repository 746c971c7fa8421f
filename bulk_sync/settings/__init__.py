"""What a run was asked to do: frozen, built once at the edge, validated on the way in.

    connection.py  where Campaign is, and who asks
    pace.py        how hard it may be asked, and in which ways
    keys.py        what the keys of an input are, and how profiles are created
    limits.py      what stops a run that looks like a mistake
    state.py       where the program keeps what it must remember

Each part goes to the one room that uses it. Nothing here reads the environment or a file.
"""

from bulk_sync.settings.connection import (
    ATTRIBUTE,
    AUTO,
    EXTENDED,
    PLURAL,
    SCOPE,
    SINGULAR,
    Connection,
    Secret,
    check_host,
    is_loopback,
    is_sendable,
)
from bulk_sync.settings.key_kinds import (
    BUILT_IN_FILTERS,
    Creating,
    Dialect,
    EmailCase,
    KeyKind,
    Keys,
    OnAmbiguous,
    reached,
)
from bulk_sync.settings.pace import Fetch, Pace, Reading, Writing
from bulk_sync.settings.safety import Bound, Failures, Limits, Oddity
from bulk_sync.settings.state_dir import State

__all__ = [
    "ATTRIBUTE",
    "AUTO",
    "BUILT_IN_FILTERS",
    "EXTENDED",
    "PLURAL",
    "SCOPE",
    "SINGULAR",
    "Bound",
    "Connection",
    "Creating",
    "Dialect",
    "EmailCase",
    "Failures",
    "Fetch",
    "KeyKind",
    "Keys",
    "Limits",
    "Oddity",
    "OnAmbiguous",
    "Pace",
    "Reading",
    "Secret",
    "State",
    "Writing",
    "check_host",
    "is_loopback",
    "is_sendable",
    "reached",
]
