"""An input larger than memory, or a reviewed plan of one, in the checkpoint of its run.

    STATE_DIR/runs/RUN_ID/
      input-000001.parquet    the judged rows in the input's order, in parts
      whole.parquet           no row, but the columns, and numbers of rows and parts
      listed-000001.parquet   Campaign's list so far, and where it goes on

and once these were compared, in place of the list:

      rest-000001.parquet     when the list showed each row of the part
      positions.parquet       positions of the rows with another state than Campaign
      rows.parquet            these rows, and counts of the rest: now the run is as any other
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import count, product
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa

from bulk_sync.background import BackgroundTasks, prefetch
from bulk_sync.campaign.list_pages import ScanPosition
from bulk_sync.memory import check_fits, sliced_bytes
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, comparison, parquet_rows, reduction
from bulk_sync.rows.on_disk import FOUND, Cursor, Store
from bulk_sync.rows.protected_keys import ProtectedKeys
from bulk_sync.rows.reduction import RowsToDo
from bulk_sync.rows.slices import RowProgress, Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.runs.kept.checkpoint import PLANNED, ROWS, WHOLE, Checkpoint
from bulk_sync.runs.kept.rest import NOTHING, Rest
from bulk_sync.runs.kept.tally import Tally
from bulk_sync.storage import scratch

Settle = Callable[[pd.DataFrame], pd.DataFrame]
"""Takes results of the rest, and returns them with other verdicts."""

RestRows = Callable[[], Iterator[tuple[pd.DataFrame, npt.NDArray[np.bool_]]]]
"""Starts a pass over the rest: its rows of each slice, and which of the slice's rows these are."""

_POSITIONS: Final = "positions.parquet"
_READ_MS: Final = "read_ms"
_OWN: Final = "own "
"""Begins the names of the input's own columns in ``input`` parts."""

_PLACE: Final = b"bulk-sync.place"
_COUNTS: Final = b"bulk-sync.counts"
"""Names in the metadata: of the ``ScanPosition``; of counts, in ``WHOLE`` and divided ``ROWS``."""


@dataclass(frozen=True, slots=True)
class LargeInput:
    """The files of such an input before it is divided.

    Attributes:
        rows: how many there are.
        wanted: how many keys are looked for.
        parts: how many parts the rows are in.
        is_planned: whether the rows are those of a reviewed plan: they need no list.
        is_checked: whether this process has checked the files.
    """

    checkpoint: Checkpoint
    rows: int
    wanted: int
    parts: int
    is_planned: bool
    is_checked: bool = False

    @classmethod
    def of_run(cls, checkpoint: Checkpoint) -> Self:
        """Read the numbers of an input; raise CheckpointProblem if they are damaged."""
        with checkpoint.opened(checkpoint.folder / WHOLE) as file:
            counts = orjson.loads((file.schema_arrow.metadata or {})[_COUNTS])
            is_planned = columns.BEFORE in file.schema_arrow.names
        return cls(checkpoint, **counts, is_planned=is_planned)

    @property
    def slices(self) -> Slices:
        """Return the judged rows."""
        return self._slices(None)

    def save(self, listed: pa.Table, place: ScanPosition) -> None:
        """Keep pages of the list, and where it goes on; raise StoppedEarly if that fails."""
        number = len(_parts(self.checkpoint, "listed")) + 1
        noted = listed.replace_schema_metadata({_PLACE: orjson.dumps(place)})
        self.checkpoint.keep_part(_name("listed", number), noted)

    def place(self) -> ScanPosition | None:
        """Return where the list was left; None if no page was read."""
        parts = _parts(self.checkpoint, "listed")
        if not parts:
            return None
        with self.checkpoint.opened(parts[-1]) as file:
            return ScanPosition(**orjson.loads((file.schema_arrow.metadata or {})[_PLACE]))

    def some_keys(self) -> list[str]:
        """Return the keys that are looked for in the first part and in the last one."""
        found = list[str]()
        for number in sorted({1, self.parts}):
            with self.checkpoint.opened(self.checkpoint.folder / _name("input", number)) as file:
                part = file.read([columns.KEY, columns.OUTCOME])
            found += part.filter(part[columns.OUTCOME].is_null())[columns.KEY].to_pylist()
        return found

    def divide(
        self, state_dir: Path, memory: int | None, protected: ProtectedKeys, progress: RowProgress
    ) -> RowsToDo:
        """Compare the rows with what the list showed, and return those with work to do.

        Those of a plan are compared already. ``memory`` is bytes, if a person has given them;
        ``protected`` are people that no run may change.

        Raises:
            StoppedEarly: the disk is full, or the memory too small.
        """
        if not self.is_checked:
            check(self.checkpoint)  # DuckDB does not
            return replace(self, is_checked=True).divide(state_dir, memory, protected, progress)
        checkpoint, numbers = self.checkpoint, count(1)
        for name in (_POSITIONS, *(path.name for path in _parts(checkpoint, "rest"))):
            checkpoint.drop(name)  # of an earlier process

        def keep(read_ms: npt.NDArray[np.int64]) -> None:
            checkpoint.keep_part(_name("rest", next(numbers)), pa.table({_READ_MS: read_ms}))

        decided = self._slices(reduction.DECIDED).watched("Comparing the rows", progress)
        kept = self.slices.watched("Keeping the rows", progress)
        counting = protected.counting(self.slices)
        totals, tally = NOTHING.totals, NOTHING.tally
        left: list[pd.DataFrame] = []
        with self._shown(state_dir, memory, progress) as shown:
            is_rest = reduction.divide(decided, shown(), counting, keep)
            why = "have another state than in Campaign, or need a person"
            check_fits(int(np.count_nonzero(~is_rest)), memory, why)
            for rest, rows in reduction.split(kept, is_rest):
                totals += Totals.count(rest)
                tally += Tally.count(rest, None)
                left.append(rows)
            work = reduction.work(left, shown(), is_rest)
        checkpoint.keep_part(_POSITIONS, pa.table({"position": work.positions}))
        counts = {"totals": asdict(totals), "tally": tally.dumps()}
        table = _with_counts(work.rows, counts)
        if self.is_planned:
            table = table.replace_schema_metadata({**table.schema.metadata, PLANNED: b""})
        checkpoint.keep_part(ROWS, table)
        for path in _parts(checkpoint, "listed"):
            checkpoint.drop(path.name)
        return work

    @contextmanager
    def _shown(
        self, state_dir: Path, memory: int | None, progress: RowProgress
    ) -> Iterator[Callable[[], Cursor]]:
        """Yield what starts reading the states in the list: none of a plan, or without a page."""
        if not _parts(self.checkpoint, "listed"):
            yield lambda: Cursor(iter(()), FOUND)
            return
        with (
            scratch.folder(state_dir, scratch.CHECKS) as folder,
            Store(folder, sliced_bytes(memory), progress) as store,
        ):
            store.save("found", FOUND, store.found(self.checkpoint.folder))
            yield lambda: store.saved("found")

    def pending(self, reason: Reason) -> Slices:
        """Return all rows as results, none of them read or written, for LIMIT or STOPPED."""

        def held_back(frame: pd.DataFrame) -> pd.DataFrame:
            if columns.BEFORE not in frame:  # as in a plan
                frame = comparison.without_states(frame, Outcome.PENDING)
            return comparison.hold_back(frame, reason)

        return self.slices.map(held_back)

    def rest(self, positions: npt.NDArray[np.int64], settle: Settle) -> RestRows:
        """Return a pass over the rest, as ``reduction.rest_of`` yields it, and settled."""
        checkpoint, slices, parts = self.checkpoint, self.slices, self.parts

        def read_ms() -> Iterator[npt.NDArray[np.int64]]:
            for number in range(1, parts + 1):
                with checkpoint.opened(checkpoint.folder / _name("rest", number)) as file:
                    yield file.read()[_READ_MS].to_numpy()

        def read() -> Iterator[tuple[pd.DataFrame, npt.NDArray[np.bool_]]]:
            for rows, chosen in reduction.rest_of(slices, read_ms(), positions):
                yield settle(rows), chosen

        return read

    def _slices(self, names: Sequence[str] | None) -> Slices:
        """Return the judged rows; with some of our columns alone, if these are named."""
        checkpoint = self.checkpoint

        def frames() -> Iterator[pd.DataFrame]:
            for number in range(1, self.parts + 1):
                # Another process may be at work on the run, and remove it.
                path = checkpoint.folder / _name("input", number)
                with checkpoint.opened(path, is_checked=self.is_checked) as file:
                    rows = parquet_rows.frame(file, names)
                rows = rows.drop(columns=columns.POSITION, errors="ignore")
                yield rows.rename(columns=lambda name: name.removeprefix(_OWN))

        return Slices(self.rows, lambda: prefetch(frames()))


def create(state_dir: Path, run_id: str, slices: Slices) -> Checkpoint:
    """Do the same as ``Checkpoint.create`` for a large input."""
    with Checkpoint.making(state_dir, run_id) as checkpoint, BackgroundTasks() as writing:
        start = wanted = parts = 0
        for parts, frame in enumerate(slices.read(), 1):
            end = start + len(frame)
            placed = frame.rename(columns=_with_prefix)
            placed[columns.POSITION] = np.arange(start, end)
            table = parquet_rows.table(placed)
            writing.do(partial(checkpoint.keep_part, _name("input", parts), table))
            wanted += int(frame[columns.OUTCOME].isna().sum())
            start = end
            pa.default_memory_pool().release_unused()  # 100 MB of slices of 16 MB
        writing.wait()
        counts = {"rows": start, "wanted": wanted, "parts": parts}
        checkpoint.keep_part(WHOLE, _with_counts(frame.iloc[:0], counts))
    return checkpoint


def _with_prefix(name: str) -> str:
    """Return the name of a column for DuckDB, to which SYNC_KEY would be the same as KEY."""
    return name if name in columns.OURS else f"{_OWN}{name}"


def find(checkpoint: Checkpoint) -> LargeInput | None:
    """Return the large input of a run; None if it has none, or is divided already."""
    is_there = (checkpoint.folder / WHOLE).is_file() and not _is_divided(checkpoint)
    return LargeInput.of_run(checkpoint) if is_there else None


def check(checkpoint: Checkpoint) -> None:
    """Raise CheckpointProblem if a part of a large input is damaged or missing.

    Of the list only what is here counts: profiles on a lost page are looked up.
    """
    is_divided = _is_divided(checkpoint)
    if is_divided and rest_of(checkpoint) is NOTHING:
        return
    kinds = ("input", "rest") if is_divided else ("input",)
    numbers = range(1, LargeInput.of_run(checkpoint).parts + 1)
    names = (_name(kind, number) for kind, number in product(kinds, numbers))

    def open_part(path: Path) -> None:
        with checkpoint.opened(path):
            pass

    with BackgroundTasks() as checking:
        for path in (*map(checkpoint.folder.joinpath, names), *_parts(checkpoint, "listed")):
            checking.do(partial(open_part, path))
        checking.wait()


def rest_of(checkpoint: Checkpoint, settle: Settle | None = None) -> Rest:
    """Return the rest of a divided input; NOTHING if the run has no such input.

    With ``settle`` some of its rows need a person now, and all are counted anew.

    Raise CheckpointProblem if a file is damaged or missing; of the parts, when they are read.
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
    large = LargeInput.of_run(checkpoint)
    read = large.rest(positions, settle or (lambda rows: rows))

    def with_results(results: pd.DataFrame) -> Slices:
        return Slices(large.rows, lambda: reduction.all_rows(read(), results, positions))

    if settle is not None:
        return Rest.counted((rows for rows, _ in read() if len(rows)), with_results)
    return Rest(Totals(**counts["totals"]), Tally.loads(counts["tally"]), with_results)


def _is_divided(checkpoint: Checkpoint) -> bool:
    return (checkpoint.folder / ROWS).is_file()


def _name(kind: str, number: int) -> str:
    return f"{kind}-{number:06}.parquet"


def _parts(checkpoint: Checkpoint, kind: str) -> list[Path]:
    return sorted(checkpoint.folder.glob(f"{kind}-[0-9][0-9][0-9][0-9][0-9][0-9].parquet"))


def _with_counts(rows: pd.DataFrame, counts: Mapping[str, object]) -> pa.Table:
    table = pa.Table.from_pandas(rows, preserve_index=False)
    noted = {**(table.schema.metadata or {}), _COUNTS: orjson.dumps(counts)}
    return table.replace_schema_metadata(noted)
