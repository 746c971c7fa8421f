"""The verdict on a ledger: whether it is as it was written, as far as that can be proved."""

from collections.abc import Sequence
from dataclasses import dataclass

from bulk_sync.errors import Exit, UsageProblem, clause
from bulk_sync.ledger.chain import Head, Misfit
from bulk_sync.ledger.connect import UnknownSchema, anchor_of, folder_of, open_existing
from bulk_sync.ledger.transactions import is_of_access
from bulk_sync.settings import State


@dataclass(frozen=True, slots=True)
class LedgerVerdict:
    """The result of a verification.

    Attributes:
        head: how far the chain fits.
        misfit: the first line that does not; None if all do.
        end_is_proven: an earlier end was noted elsewhere, so a missing end would show.
    """

    ledger: str
    head: Head
    misfit: Misfit | None
    end_is_proven: bool

    @property
    def exit(self) -> Exit:
        """The exit status by the contract."""
        return Exit.DONE if self.misfit is None else Exit.ROWS_LEFT


def verify(state: State, noted: Sequence[Head] = ()) -> LedgerVerdict:
    """Verify a ledger without changing it; memory: one batch of lines.

    ``noted`` are earlier ends of it, noted elsewhere.

    Raises:
        UsageProblem: there never was one, it cannot be reached, or it has another schema.
    """
    anchor = anchor_of(state)
    anchored = anchor.head()
    heads = [*noted, *([] if anchored is None else [anchored])]
    last = max((head.position for head in heads), default=0)
    try:
        with open_existing(state) as book:
            if book is not None:
                head, misfit = book.verify(*noted)
                return LedgerVerdict(anchor.ledger, head, misfit, bool(heads))
    except UnknownSchema:
        raise
    except UsageProblem as problem:
        if not last or folder_of(state) is None or is_of_access(problem.__cause__):
            raise
        unread = Misfit(1, f"cannot be read: {clause(str(problem))}")
        return LedgerVerdict(anchor.ledger, Head(), unread, bool(heads))
    if not last:
        raise UsageProblem(
            f"There is no ledger at {anchor.ledger}. Look at --state-dir and --ledger; the first "
            "`bulk-sync run` makes it."
        )
    gone = Misfit(1, f"is missing: the ledger is gone, and {last:,} lines were there")
    return LedgerVerdict(anchor.ledger, Head(), gone, bool(heads))
