"""The checkpoint of a run: a folder with all it needs after a crash.

    STATE_DIR/runs/RUN_ID/
      rows.parquet            the judged rows, with the input's own columns
      states-000001.parquet   the table of current states so far, in parts, one row per profile;
                              a later part replaces the rows of a key in earlier ones
      list.json               where Campaign's list was left, if its pages were being read
      early.json              profiles opted out before everything was read
      plan.parquet            the columns added by comparing, once everything was read
      results.parquet         the results, once the run is finished and rows failed

An input larger than memory has its own files before: see ``large_input.py``. Every file
appears whole or not at all. The writes to Campaign are in the ledger, not here.

All files but the first name rows by their positions alone. So each holds its format and the SHA-256
of its ``rows.parquet``, and is refused if either is another one. Those of a larger input hold their
own name and the run instead.
"""

import hashlib
import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from typing import Final, Self

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.campaign.list_pages import ScanPosition
from bulk_sync.errors import StoppedEarly, StopRun, UsageProblem, unwritable
from bulk_sync.remote.mirror import Mirror
from bulk_sync.rows import columns, current_table, expand, parquet_rows
from bulk_sync.rows.results import Steps
from bulk_sync.storage import atomic, reading, sealed

log = logging.getLogger(__name__)

ROWS: Final = "rows.parquet"
WHOLE: Final = "whole.parquet"
"""Of an input larger than memory, from its beginning until it is divided."""

PLANNED: Final = b"bulk-sync.planned"
"""Name in the metadata of the rows that are a plan: those of a large plan, once it is divided."""

_PLAN: Final = "plan.parquet"
_RESULTS: Final = "results.parquet"
_LIST: Final = "list.json"
_EARLY: Final = "early.json"
_PART: Final = "states-{number:06}.parquet"

_OF_INPUT: Final = r"(whole|positions|(input|listed|rest)-\d{6})\.parquet"
_OURS: Final = re.compile(
    rf"(rows|states-\d{{6}}|plan|results)\.parquet|{_OF_INPUT}|(list|early)\.json|plan\.lock|"
    rf"{atomic.TEMPORARY}"
)

_FORMAT: Final = "format 3;"
"""Changes whenever a file means something else than before, or its rows stand in another order,
such as that of ``comparison.open_rows``."""

_TIED: Final = b"bulk-sync.checkpoint"
"""Name in a file's own metadata of its format, and of the rows that it belongs to."""

_UNREADABLE: Final = (OSError, pa.ArrowException, LookupError, TypeError, ValueError)
"""Errors of libraries for a file that is missing, not ours, or of an earlier version."""


class CheckpointProblem(UsageProblem):
    """A file of the run is damaged, or of another version of this program."""


class Checkpoint:
    """The folder of one run, which exists.

    Methods that write raise StoppedEarly if they cannot. Those that read raise CheckpointProblem if
    a file is damaged, in another format, or of other rows, or Unreadable if the folder hides it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.mirror: Mirror | None = None

    @classmethod
    def create(cls, state_dir: Path, run_id: str, rows: pd.DataFrame) -> Self:
        """Make the folder and write the judged rows, or raise UsageProblem or DiskFull."""
        with cls.making(state_dir, run_id) as checkpoint:
            _write(
                pa.Table.from_pandas(rows, preserve_index=False), checkpoint.folder / ROWS, _FORMAT
            )
        return checkpoint

    @classmethod
    @contextmanager
    def making(cls, state_dir: Path, run_id: str) -> Iterator[Self]:
        """Make the folder; remove it again if the block cannot write the judged rows."""
        checkpoint = cls(checkpoint_folder(state_dir, run_id))
        try:
            atomic.make_folder(checkpoint.folder)
            yield checkpoint
        except OSError as error:
            checkpoint.remove()
            raise unwritable(
                error,
                f"--state-dir {state_dir}: the run cannot be kept there ({error.strerror}), so it "
                "was not begun. Make room, or name another folder.",
            ) from error
        except StopRun:
            checkpoint.remove()
            raise

    @classmethod
    def find(cls, state_dir: Path, run_id: str) -> Self | None:
        """Return the folder of a run; None if there is no complete one."""
        found = cls(checkpoint_folder(state_dir, run_id))
        return found if found.is_complete else None

    @property
    def run_id(self) -> str:
        """Id of the run."""
        return self.folder.name

    @property
    def is_complete(self) -> bool:
        """Return whether the judged rows are here, without which nothing else counts."""
        return any(path.name in {ROWS, WHOLE} for path in reading.listed(self.folder))

    @property
    def plan_path(self) -> Path:
        """Path of the plan, once it is complete."""
        return self.folder / _PLAN

    def rows(self) -> pd.DataFrame:
        """Read the judged rows, as of ``check.rows``; none while a large input is not divided."""
        path = self.folder / ROWS
        with self.opened(path if path.is_file() else self.folder / WHOLE) as file:
            return parquet_rows.frame(file)

    def keep_part(self, name: str, table: pa.Table) -> None:
        """Write a file of rows, or of their states."""
        path = self.folder / name
        with self._keeping(path):
            _write(table, path, self._tie_of(name))

    def drop(self, name: str) -> None:
        """Remove a file, if it is there."""
        with self._keeping(self.folder / name):
            (self.folder / name).unlink(missing_ok=True)

    def keep_states(self, positions: Sequence[int], steps: Steps) -> None:
        """Write the states of some keys."""
        self._parts += 1
        name = _PART.format(number=self._parts)
        self.keep_part(name, current_table.part(positions, steps))

    def states(self, steps: Steps) -> Steps:
        """Fill in the states of the keys, and return them.

        Rows with a passing failure, or stopped before, are unknown.
        """
        for path in self._paths():
            with self.opened(path) as file:
                current_table.fill(steps, file.read())
        return steps

    def keep_place(self, place: ScanPosition | None) -> None:
        """Write where Campaign's list was left; None while it is being read."""
        if place is None:
            self.drop(_LIST)
        else:
            self._keep_json(orjson.dumps(place), self.folder / _LIST)

    def place(self) -> ScanPosition | None:
        """Return where the list was left; None if it was not, or the file is damaged.

        Then the list is read from its beginning, which costs only calls.
        """
        path = self.folder / _LIST
        try:
            content = self._json(path)
        except OSError:
            return None
        if content is not None:
            return ScanPosition(**orjson.loads(content))
        log.warning(
            "Campaign's list does not go on where it was left, because %s is damaged or of "
            "another version: it is read from its beginning",
            path,
        )
        return None

    def keep_plan(self, planned: pd.DataFrame) -> None:
        """Write the whole plan."""
        expanded = columns.EXPANDED if expand.may_share_profiles(planned) else ()
        names = [*columns.COMPARED, *(name for name in expanded if name in planned)]
        self._keep(planned, names, _PLAN)

    def plan(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Read the plan, beside the judged rows; None if it was not complete."""
        path = self.folder / ROWS
        is_plan = path.is_file() and PLANNED in (pq.read_schema(path).metadata or {})
        return rows if is_plan else self._beside(rows, _PLAN)

    def keep_results(self, results: pd.DataFrame) -> None:
        """Write the results of every row."""
        self._keep(results, columns.COMPARED, _RESULTS)

    def results(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Read the results, beside the judged rows; None if the run did not end."""
        return self._beside(rows, _RESULTS)

    def keep_early(self, keys: Sequence[str]) -> None:
        """Add profiles to be opted out before the plan is complete."""
        self._keep_json(orjson.dumps(sorted({*keys, *self.early()})), self.folder / _EARLY)

    def early(self) -> frozenset[str]:
        """Return the profiles opted out before the plan was complete."""
        path = self.folder / _EARLY
        if not path.is_file():
            return frozenset()
        content = self._json(path)
        if content is None:
            raise self.problem(path, "is damaged or of another version")
        return frozenset(orjson.loads(content))

    def files(self) -> list[Path]:
        """Return its files, as far as this program wrote them."""
        found = [*self.folder.glob("*"), *self.folder.glob("locks/*")]
        return [path for path in found if _OURS.fullmatch(path.name)]

    def remove(self) -> None:
        """Remove its files, then the folder, unless it holds a file of another program.

        What cannot be removed stays, and is no checkpoint if its rows are gone: they go first.
        """
        with suppress(OSError):
            for path in sorted(self.files(), key=lambda path: path.name not in {ROWS, WHOLE}):
                path.unlink(missing_ok=True)
            for folder in (self.folder / "locks", self.folder):
                if folder.is_dir():
                    folder.rmdir()
        if self.mirror is not None:
            self.mirror.remove()

    def problem(self, path: Path, what: str) -> CheckpointProblem:
        """Return the error about a file, with the next step."""
        return CheckpointProblem(
            f"Run {self.run_id} cannot go on: {path} {what}. What the run wrote is in the ledger: "
            f"`bulk-sync runs {self.run_id}`. To start anew, run the input again with --fresh; to "
            f"give the run up: `bulk-sync resume {self.run_id} --give-up`."
        )

    @cached_property
    def _parts(self) -> int:
        """Number of the last part with states."""
        return max((int(part.stem.rpartition("-")[2]) for part in self._paths()), default=0)

    @cached_property
    def _tie(self) -> str:
        """The format, and the rows whose positions the other files mean."""
        with (self.folder / ROWS).open("rb") as file:
            return f"{_FORMAT} rows {hashlib.file_digest(file, 'sha256').hexdigest()}"

    def _tie_of(self, name: str) -> str:
        """Return the tie of a file; of a large input, its own place."""
        if name == ROWS:
            return _FORMAT
        is_part = re.fullmatch(_OF_INPUT, name) is not None
        return f"{_FORMAT} {name} of run {self.run_id}" if is_part else self._tie

    def _keep(self, frame: pd.DataFrame, names: Sequence[str], name: str) -> None:
        # Not of frame[names], which is a copy of all numbers.
        table = pa.Table.from_pandas(frame, columns=list(names), preserve_index=False)
        self.keep_part(name, table)

    def _beside(self, rows: pd.DataFrame, name: str) -> pd.DataFrame | None:
        path = self.folder / name
        if not path.is_file():
            return None
        with self.opened(path) as file:
            added = parquet_rows.frame(file)
            if expand.may_share_profiles(added):
                rows = rows.iloc[added[columns.OWNER].to_numpy()].reset_index(drop=True)
            return rows.assign(**{str(name): added[name] for name in added})

    @contextmanager
    def opened(self, path: Path, *, is_checked: bool = False) -> Iterator[pq.ParquetFile]:
        """Open a file, checked before or now; raise CheckpointProblem if it cannot be used."""
        try:
            with path.open("rb") as file:
                is_whole = is_checked or sealed.is_whole(file)
                if is_whole is False:
                    raise self.problem(path, "is damaged")
                found = pq.ParquetFile(file)
                tie = (found.schema_arrow.metadata or {}).get(_TIED, b"").decode()
                if not is_whole or not tie.startswith(_FORMAT):
                    raise self.problem(path, "was written by another version of this program")
                if tie != self._tie_of(path.name):
                    raise self.problem(path, "belongs to other rows")
                yield found
        except _UNREADABLE as error:
            raise self.problem(path, "cannot be read") from error

    def _keep_json(self, content: bytes, path: Path) -> None:
        with self._keeping(path), atomic.replacing(path) as file:
            file.write(self._seal(content) + content)

    def _json(self, path: Path) -> bytes | None:
        """Read JSON; None if it is damaged, in another format, or of other rows."""
        seal, line_end, content = path.read_bytes().partition(b"\n")
        return content if seal + line_end == self._seal(content) else None

    def _seal(self, content: bytes) -> bytes:
        """Return the line before JSON."""
        return hashlib.sha256(self._tie.encode() + content).hexdigest().encode() + b"\n"

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("states-[0-9][0-9][0-9][0-9][0-9][0-9].parquet"))

    @contextmanager
    def _keeping(self, path: Path) -> Iterator[None]:
        """Raise StoppedEarly if a file cannot be written; else upload it, or that it is gone."""
        try:
            yield
        except OSError as error:
            raise unwritable(
                error,
                f"{path} could not be written: {error.strerror or error}. Nothing is sent to "
                "Campaign that could not be found again; make room.",
                StoppedEarly,
            ) from error
        if self.mirror is not None and path.is_file():
            self.mirror.keep(path)
        elif self.mirror is not None:
            self.mirror.drop(path.name)


def checkpoint_folder(state_dir: Path, run_id: str) -> Path:
    """Return the folder for the checkpoint of a run."""
    return state_dir / "runs" / run_id


def _write(table: pa.Table, path: Path, tie: str) -> None:
    with atomic.replacing(path) as file:
        sealed.write(file, table.schema, [table], {_TIED: tie.encode()}, compression="lz4")
