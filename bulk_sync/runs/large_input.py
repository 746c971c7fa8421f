"""An input larger than memory, or a reviewed plan of one, in the checkpoint of its run.

    STATE_DIR/runs/RUN_ID/
      input-000001.parquet    the judged rows in the input's order, in parts
      whole.parquet           no row, but the columns, and numbers of rows and parts
      listed-000001.parquet   Campaign's list so far, and where it goes on

and once these were compared, in their place:

      rest-000001.parquet     results of the rows with their desired state in Campaign already
      positions.parquet       positions of the other rows
      rows.parquet            these rows, and counts of the rest: now the run is as any other
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa

from bulk_sync.campaign.list_pages import Place
from bulk_sync.errors import StoppedEarly
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, parquet_rows, reduction
from bulk_sync.rows.on_disk import FOUND, Cursor, Store
from bulk_sync.rows.protected_keys import ProtectedKeys
from bulk_sync.rows.reduction import Work
from bulk_sync.rows.slices import Slices, Tell
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.checkpoint import PLANNED, ROWS, WHOLE, Checkpoint
from bulk_sync.runs.rest import NOTHING, Rest
from bulk_sync.runs.tally import Tally
from bulk_sync.storage import scratch

_BYTES_EACH: Final = 500
"""Memory of a row with work to do, with its keys, states and results."""

_POSITIONS: Final = "positions.parquet"
_OWN: Final = "own "
"""Begins the names of the input's own columns in ``input`` parts."""

_PLACE: Final = b"bulk-sync.place"
_COUNTS: Final = b"bulk-sync.counts"
"""Names in the metadata: of the ``Place``; of counts, in ``WHOLE``, and in ``ROWS`` if divided."""


@dataclass(frozen=True, slots=True)
class LargeInput:
    """The files of such an input before it is divided.

    Attributes:
        checkpoint: of the run.
    """

    checkpoint: Checkpoint

    @property
    def slices(self) -> Slices:
        """Return the judged rows."""
        counts = self._counts

        def read() -> Iterator[pd.DataFrame]:
            for frame in _frames(self.checkpoint, "input", counts["parts"]):
                yield frame.drop(columns=columns.POSITION).rename(columns=_without_prefix)

        return Slices(counts["rows"], read)

    @property
    def wanted(self) -> int:
        """Return how many keys are looked for."""
        return self._counts["wanted"]

    @property
    def is_planned(self) -> bool:
        """Return whether the rows are those of a reviewed plan: they need no list."""
        with self.checkpoint.opened(self.checkpoint.folder / WHOLE) as file:
            return columns.BEFORE in file.schema_arrow.names

    def save(self, listed: pa.Table, place: Place) -> None:
        """Keep what pages of the list showed, and where it goes on.

        Raises:
            StoppedEarly: it cannot be kept.
        """
        number = len(_parts(self.checkpoint, "listed")) + 1
        noted = listed.replace_schema_metadata({_PLACE: orjson.dumps(place)})
        self.checkpoint.keep_part(_name("listed", number), noted)

    def place(self) -> Place | None:
        """Return where the list was left; None if no page was read."""
        parts = _parts(self.checkpoint, "listed")
        if not parts:
            return None
        with self.checkpoint.opened(parts[-1]) as file:
            return Place(**orjson.loads((file.schema_arrow.metadata or {})[_PLACE]))

    def divide(self, state_dir: Path, memory: int, protected: ProtectedKeys, tell: Tell) -> Work:
        """Compare the rows with what the list showed; keep the rest, and return the others.

        Those of a plan are compared already.

        Args:
            state_dir: the state folder.
            memory: bytes that it may take.
            protected: people that no run may change.
            tell: is called with how far it is.

        Raises:
            StoppedEarly: the disk is full, or the memory too small.
        """
        checkpoint = self.checkpoint
        self._forget_rest()
        if self.is_planned:
            return self._split(lambda: Cursor(iter(()), FOUND), memory, protected, tell)
        listed = _parts(checkpoint, "listed")  # none if no key is looked for
        for path in (*_parts(checkpoint, "input"), *listed):
            with checkpoint.opened(path):
                pass  # it is whole: DuckDB does not check
        with scratch.folder(state_dir, scratch.CHECKS) as folder:
            store = Store(folder, memory, tell)
            with store.writer("found", FOUND) as file:
                for batch in store.found(checkpoint.folder) if listed else ():
                    file.write_batch(batch.cast(FOUND))

            def find_states() -> Cursor:
                return Cursor(store.batches("found"), FOUND)

            return self._split(find_states, memory, protected, tell)

    def _split(
        self,
        find_states: reduction.FindStates,
        memory: int,
        protected: ProtectedKeys,
        tell: Tell,
    ) -> Work:
        """Keep the rest, then the rows with work to do; return these. Arguments are as above."""
        slices, checkpoint = self.slices.watched("Comparing the rows", tell), self.checkpoint
        division = reduction.divide(slices, find_states, protected.counting(slices))
        _refuse_much_work(int(np.count_nonzero(~division.is_rest)), memory)
        totals, tally = NOTHING.totals, NOTHING.tally
        left: list[pd.DataFrame] = []
        for number, (rest, rows) in enumerate(reduction.split(slices, find_states, division), 1):
            totals += Totals.count(rest)
            tally += Tally.count(rest, None)
            checkpoint.keep_part(_name("rest", number), parquet_rows.table(rest))
            left.append(rows)
        work = reduction.work(left, find_states(), division)
        checkpoint.keep_part(_POSITIONS, pa.table({"position": work.positions}))
        counts = {"totals": totals.dumps(), "tally": tally.dumps(), "parts": len(left)}
        table = _with_counts(work.rows, counts)
        if self.is_planned:
            table = table.replace_schema_metadata({**table.schema.metadata, PLANNED: b""})
        checkpoint.keep_part(ROWS, table)
        self._remove()
        return work

    def pending(self, reason: Reason) -> Slices:
        """Return all rows as results, none of them read or written, for LIMIT or STOPPED."""

        def held_back(frame: pd.DataFrame) -> pd.DataFrame:
            if columns.BEFORE not in frame:  # as in a plan
                frame = comparison.without_states(frame, Outcome.PENDING)
            return comparison.hold_back(frame, reason)

        return self.slices.map(held_back)

    def unread(self, reason: Reason) -> Rest:
        """Return the same rows with their counts, for a run that is not divided."""
        rows = self.pending(reason)
        totals, tally = NOTHING.totals, NOTHING.tally
        for frame in rows.read():
            totals += Totals.count(frame)
            tally += Tally.count(frame, None)
        return Rest(totals, tally, lambda _: rows)

    @property
    def _counts(self) -> dict[str, int]:
        with self.checkpoint.opened(self.checkpoint.folder / WHOLE) as file:
            counts: dict[str, int] = orjson.loads((file.schema_arrow.metadata or {})[_COUNTS])
        return counts

    def _forget_rest(self) -> None:
        """Remove what an earlier process kept of the rest before it ended."""
        for name in (_POSITIONS, *(path.name for path in _parts(self.checkpoint, "rest"))):
            self.checkpoint.drop(name)

    def _remove(self) -> None:
        """Remove the files without further use."""
        self.checkpoint.drop(WHOLE)
        for kind in ("input", "listed"):
            for path in _parts(self.checkpoint, kind):
                self.checkpoint.drop(path.name)


def create(state_dir: Path, run_id: str, slices: Slices) -> Checkpoint:
    """Make the checkpoint of a run, and write the judged rows of its large input.

    Raises:
        UsageProblem: it cannot be written.
        DiskFull: there is no room.
    """
    with Checkpoint.making(state_dir, run_id) as checkpoint:
        start = wanted = parts = 0
        for parts, frame in enumerate(slices.read(), 1):
            end = start + len(frame)
            placed = frame.rename(columns=_with_prefix)
            placed[columns.POSITION] = np.arange(start, end)
            checkpoint.keep_part(_name("input", parts), parquet_rows.table(placed))
            wanted += int(frame[columns.OUTCOME].isna().sum())
            start = end
        counts = {"rows": start, "wanted": wanted, "parts": parts}
        checkpoint.keep_part(WHOLE, _with_counts(slices.first.iloc[:0], counts))
    return checkpoint


def _with_prefix(name: str) -> str:
    """Return the name of a column for DuckDB, to which SYNC_KEY would be the same as KEY."""
    return name if name in columns.OURS else f"{_OWN}{name}"


def _without_prefix(name: str) -> str:
    return name.removeprefix(_OWN)


def fits(rows: int, memory: int) -> bool:
    """Return whether so many rows of a plan, or with work to do, fit into memory."""
    return rows * _BYTES_EACH <= memory


def find(checkpoint: Checkpoint) -> LargeInput | None:
    """Return the large input of a run; None if it has none, or is divided already."""
    is_there = (checkpoint.folder / WHOLE).is_file() and not _is_divided(checkpoint)
    return LargeInput(checkpoint) if is_there else None


def rest_of(checkpoint: Checkpoint) -> Rest:
    """Return the rest of a divided input; NOTHING if the run has no such input.

    Raises:
        CheckpointProblem: a file is damaged or missing; of the parts, when they are read.
    """
    if not _is_divided(checkpoint):
        return NOTHING
    with checkpoint.opened(checkpoint.folder / ROWS) as file:
        noted = (file.schema_arrow.metadata or {}).get(_COUNTS)
    if noted is None:
        return NOTHING
    counts = orjson.loads(noted)
    with checkpoint.opened(checkpoint.folder / _POSITIONS) as file:
        positions = file.read()["position"].to_numpy()
    totals = Totals.loads(counts["totals"])

    def with_results(results: pd.DataFrame) -> Slices:
        def read() -> Iterator[pd.DataFrame]:
            parts = _frames(checkpoint, "rest", counts["parts"])
            return reduction.all_rows(parts, results, positions)

        return Slices(totals.rows + len(results), read)

    return Rest(totals, Tally.loads(counts["tally"]), with_results)


def _is_divided(checkpoint: Checkpoint) -> bool:
    return (checkpoint.folder / ROWS).is_file()


def _refuse_much_work(rows: int, memory: int) -> None:
    """Raise StoppedEarly if the rows with work to do do not fit into memory."""
    if not fits(rows, memory):
        raise StoppedEarly(
            f"{rows:,} rows have another state than in Campaign, or need a person: that is more "
            f"work than fits into memory at once. Go on with --memory "
            f"{-(-rows * _BYTES_EACH // 10**9)}GB."
        )


def _name(kind: str, number: int) -> str:
    return f"{kind}-{number:06}.parquet"


def _parts(checkpoint: Checkpoint, kind: str) -> list[Path]:
    return sorted(checkpoint.folder.glob(f"{kind}-[0-9][0-9][0-9][0-9][0-9][0-9].parquet"))


def _frames(checkpoint: Checkpoint, kind: str, parts: int) -> Iterator[pd.DataFrame]:
    """Yield the frames of all parts of a kind; raise CheckpointProblem if one is missing.

    Another process may be at work on the run, and remove them.
    """
    for number in range(1, parts + 1):
        with checkpoint.opened(checkpoint.folder / _name(kind, number)) as file:
            yield parquet_rows.frame(file)


def _with_counts(rows: pd.DataFrame, counts: Mapping[str, object]) -> pa.Table:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    noted = {**(table.schema.metadata or {}), _COUNTS: orjson.dumps(counts)}
    return table.replace_schema_metadata(noted)
