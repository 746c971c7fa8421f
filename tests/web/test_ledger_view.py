"""The page's copy of the ledger."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from bulk_sync.ledger import Ledger
from bulk_sync.settings import State
from bulk_sync.storage import lock
from bulk_sync.web.ledger_view import LedgerView


@pytest.mark.parametrize("ends", [True, False], ids=["ends", "begins"])
def test_a_run_is_at_work_if_it_begins_or_ends_while_the_ledger_is_read(
    tmp_path: Path, ends: bool
) -> None:
    held = ExitStack()

    def hold() -> None:
        held.enter_context(lock.hold(tmp_path, "acme", lock.holder("run R-1")))

    class Read(LedgerView):
        def _read(self, book: Ledger | None) -> None:
            super()._read(book)
            held.close() if ends else hold()

    with held:
        if ends:
            hold()
        assert set(Read(State(tmp_path)).requested_and_at_work()[1]) == {"R-1"}
    assert LedgerView(State(tmp_path)).requested_and_at_work() == ([], {})
