"""The rows of past runs, finished or not, searched for people."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from bulk_sync.ledger import Ledger, Run
from bulk_sync.rows import columns
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.history import progress
from bulk_sync.runs.kept import kept_rows
from bulk_sync.runs.kept.identity import Identity, IdentityColumns
from bulk_sync.runs.kept.kept_rows import KeptRows
from bulk_sync.settings import State


@dataclass(frozen=True, slots=True)
class PastRows:
    """Where the rows of one run are: kept, if it is finished, or else in its checkpoint.

    Attributes:
        where: their columns with keys of people.
    """

    run: Run
    where: IdentityColumns
    rows: KeptRows | Slices

    def search(self, person: Identity) -> Iterator["PastRow"]:
        """Yield the rows about a person."""
        if isinstance(self.rows, KeptRows):
            found = self.rows.search(person)
        else:
            parts = map(kept_rows.table, self.rows.read())
            hits = (part.filter(self.where.matches(part, person)) for part in parts)
            found = (cells for part in hits for cells in part.to_pylist())
        return (PastRow(self.run, self.where, cells) for cells in found)


@dataclass(frozen=True, slots=True)
class PastRow:
    """A row with a key of a person."""

    run: Run
    where: IdentityColumns
    cells: Mapping[str, Any]

    @property
    def place(self) -> tuple[str, str, int]:
        """Return the run, the file and the number of the row."""
        return self.run.run_id, self.cells.get(columns.FILE) or "", self.cells[columns.ROW]

    @property
    def pkeys(self) -> set[str]:
        """Return its PKeys."""
        where, cells = self.where, self.cells
        found = {cells[columns.KEY]} if where.are_pkeys else set(cells.get(columns.PKEYS) or ())
        return {*found, *(cells[name] for name in where.pkeys)} - {"", None}

    @property
    def other_keys(self) -> set[str]:
        """Return its other keys."""
        found = set() if self.where.are_pkeys else {self.cells[columns.KEY]}
        return {*found, *(self.cells[name] for name in self.where.emails)} - {"", None}


def find(book: Ledger, state: State, runs: Iterable[Run]) -> Iterator[PastRows]:
    """Find the rows of some runs, as far as they are here; log a warning for damaged ones."""
    finished = kept_rows.all_of(state.folder)
    for run in runs:
        if run.run_id in finished:
            kept = finished[run.run_id]
            with kept_rows.warning_of(run.run_id):
                yield PastRows(run, kept.identity_columns(), kept)
        elif (rows := progress.so_far(book, state, run)) is not None:
            with kept_rows.warning_of(run.run_id):
                where = IdentityColumns.find(run.begun, rows.first.columns)
                yield PastRows(run, where, rows)
