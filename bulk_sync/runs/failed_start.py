"""Puts a requested run that could not start into the ledger: for people, and compared with none."""

from bulk_sync import ledger
from bulk_sync.ledger import Kind, NotBegun
from bulk_sync.settings import State

_FOLLOW_UPS = frozenset({Kind.RESUME, Kind.RETRY, Kind.UNDO, Kind.AUDIT})


def record(state: State, run_id: str, start: NotBegun) -> bool:
    """Record a run that could not start.

    Args:
        state: where the ledger is. A command that follows up a run makes none: it may look in the
            wrong place.
        run_id: its name.
        start: what it was to do, and why it could not.

    Returns:
        Whether the ledger has the run now.

    Raises:
        StopRun: the ledger cannot be opened or written.
    """
    if start.kind in _FOLLOW_UPS:
        with ledger.open_existing(state) as found:
            if found is None:
                return False
    with ledger.open_ledger(state) as book:
        if not book.has_begun(run_id):
            book.record_failed_start(run_id, start)
    return True
