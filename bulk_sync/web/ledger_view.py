"""Runs and people's acts as the ledger has them, read once and then followed.

The ledger only grows, so what was read stays true; a page reads what is new alone. Reading all of
it for each page would take seconds after a run of a million rows.
"""

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager

from bulk_sync import ledger
from bulk_sync.ledger import Act, Head, Ledger, Run
from bulk_sync.runs import at_work
from bulk_sync.settings import State
from bulk_sync.storage.lock import RunProcess


class LedgerView:
    """What is known of the ledger; every method blocks, and any thread may call it."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._turn = threading.Lock()
        self._runs: dict[str, Run] = {}
        self._acts: list[Act] = []
        self._followed = 0

    def runs(self) -> list[Run]:
        """Return all begun runs, the newest first."""
        return [run for run in self.requested() if run.has_begun]

    def requested(self) -> list[Run]:
        """Return all runs, also those that could not start, the newest first."""
        self._follow()
        return list(self._runs.values())[::-1]

    def run(self, run_id: str) -> Run | None:
        """Return a run; None if there is none, or it could not start."""
        self._follow()
        run = self._runs.get(run_id)
        return run if run is not None and run.has_begun else None

    def acts(self, about: str | None = None) -> Sequence[Act]:
        """Return what people did in the page, or about one thing, the oldest first."""
        self._follow()
        return [act for act in tuple(self._acts) if about is None or act.about == about]

    def head(self) -> Head | None:
        """Return where the ledger ends; None if there is none."""
        with self._open() as book:
            return None if book is None else book.chain_end()

    def at_work(self) -> dict[str, RunProcess]:
        """Return the runs that are at work now, on whatever machine, each with its process."""
        with self._open() as book:
            return at_work(self._state, book)

    def requested_and_at_work(self) -> tuple[list[Run], dict[str, RunProcess]]:
        """Return ``requested``, and the runs that are at work, each with its process.

        Locks are looked at before and after: a run that ends or begins meanwhile is at work, and
        has not broken off.
        """
        with self._turn, self._open() as book:
            before = at_work(self._state, book)
            self._read(book)
            runs = list(self._runs.values())[::-1]
            return runs, before | at_work(self._state, book)

    def record(self, act: Act) -> int:
        """Record an act, and return the position of its line.

        Raises:
            StopRun: it could not be recorded, so that nothing may follow from it.
        """
        with ledger.open_ledger(self._state) as book:
            return book.record(act)

    def _follow(self) -> None:
        with self._turn, self._open() as book:
            self._read(book)

    def _open(self) -> AbstractContextManager[Ledger | None]:
        return ledger.open_existing(self._state)

    def _read(self, book: Ledger | None) -> None:
        if book is None:
            self._forget()
            return
        last = book.last()
        if last < self._followed:  # another ledger is there now
            self._forget()
        if last > self._followed:
            self._followed = book.follow(self._runs, self._acts, self._followed)

    def _forget(self) -> None:
        # New objects: another thread may be reading the old ones.
        self._runs, self._acts, self._followed = {}, [], 0
