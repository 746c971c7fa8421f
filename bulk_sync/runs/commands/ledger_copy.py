"""``ledger copy``: copies the ledger into another database while no run is at work."""

from bulk_sync import ledger
from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Transfer
from bulk_sync.runs.history.exclusion import at_rest
from bulk_sync.settings import State


def copy_ledger(state: State, url: str) -> tuple[Transfer, State]:
    """Copy the ledger into the database of a URL, and verify both.

    Returns:
        What was copied, and the state with the copy as its ledger.

    Raises:
        AnotherRun: a run is at work.
        UsageProblem: there is no ledger, it was altered, or the copy cannot be made.
    """
    target = ledger.at(state, url)
    if ledger.anchor_of(target) == ledger.anchor_of(state):
        raise UsageProblem(
            f"{ledger.anchor_of(state).ledger} is the ledger itself, so there is nothing to copy. "
            "Name another database."
        )
    with at_rest(state, "`bulk-sync ledger copy`") as book, ledger.open_ledger(target) as copy:
        return ledger.transfer(book, copy), target
