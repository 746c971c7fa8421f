"""The ledger as the page follows it."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from bulk_sync.ledger import Run
from bulk_sync.settings import State
from bulk_sync.storage import lock
from bulk_sync.web.ledger_view import LedgerView


@pytest.mark.parametrize("ends", [True, False], ids=["ends", "begins"])
def test_a_run_that_ends_or_begins_while_the_ledger_is_read_is_at_work(
    tmp_path: Path, ends: bool
) -> None:
    held = ExitStack()

    def hold() -> None:
        held.enter_context(lock.hold(tmp_path, "acme", lock.holder("run R-1")))

    class Read(LedgerView):
        def requested(self) -> list[Run]:
            found = super().requested()
            held.close() if ends else hold()
            return found

    with held:
        if ends:
            hold()
        assert Read(State(tmp_path)).requested_and_at_work() == ([], {"R-1"})
    assert LedgerView(State(tmp_path)).requested_and_at_work() == ([], set())
