"""The working set of a run: what it must find again after a crash, in a folder of its own.

    STATE_DIR/runs/RUN_ID/
      rows.parquet            the judged rows, the input's own columns among them
      states-000001.parquet   states read so far, in parts; a later part overrules an earlier one
      list.json               where the list of profiles was left, if its pages were being read
      early.json              profiles that were opted out before everything was read
      plan.parquet            what the comparison added, once everything was read; whole rows if
                              they are no longer those of the input, for keys are no PKeys
      results.parquet         what became of it, once the run is finished and rows failed

Every part appears whole or not at all. What was written to Campaign is not here but in the ledger.

Plan, states and results name rows by their positions alone. So each of these files bears the format
that it is in and the SHA-256 of the ``rows.parquet`` whose positions it means, and is refused if
either is another one.
"""

import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.campaign.list_pages import Place
from bulk_sync.errors import RowFailed, StoppedEarly, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.results import Match, Steps
from bulk_sync.storage import atomic, sealed

log = logging.getLogger(__name__)

_ROWS: Final = "rows.parquet"
_PLAN: Final = "plan.parquet"
_RESULTS: Final = "results.parquet"
_LIST: Final = "list.json"
_EARLY: Final = "early.json"
_PART: Final = "states-{number:06}.parquet"

_FORMAT: Final = "format 1;"
"""Changes whenever a file means something else than before, or its rows stand in another order."""

_TIED: Final = b"bulk-sync.checkpoint"
"""Under what name a file's own metadata hold its format, and what ties it to the rows."""

_UNREADABLE: Final = (OSError, pa.ArrowException, LookupError, TypeError, ValueError)
"""Errors of libraries for a file that is missing, not ours, or of an earlier version."""

_MATCHES: Final = pa.list_(
    pa.struct([("pkey", pa.string()), ("state", pa.int8()), ("changed_ms", pa.int64())])
)

_ADDED: Final = (
    columns.BEFORE,
    columns.AFTER,
    columns.OUTCOME,
    columns.REASON,
    columns.DETAIL,
    columns.ATTEMPTS,
    columns.AT,
)
"""What comparing and writing add to the judged rows, or change of them."""


class CheckpointProblem(UsageProblem):
    """What a run needs to go on is damaged, or of another version of this program."""


class WorkingSet:
    """One run's folder.

    Args:
        folder: which it is; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = max(map(_number, self._paths()), default=0)

    @classmethod
    def create(cls, state_dir: Path, run_id: str, rows: pd.DataFrame) -> Self:
        """Make the folder and put the judged rows there.

        Raises:
            UsageProblem: it cannot be written.
        """
        folder = folder_of(state_dir, run_id)
        try:
            atomic.make_folder(folder)
            _write(rows, folder / _ROWS, _FORMAT)
        except OSError as error:
            shutil.rmtree(folder, ignore_errors=True)
            raise UsageProblem(
                f"--state-dir {state_dir}: the run cannot be kept there ({error.strerror}), so it "
                "was not begun. Make room, or name another folder."
            ) from error
        return cls(folder)

    @classmethod
    def find(cls, state_dir: Path, run_id: str) -> Self | None:
        """Find the folder of a run; None if there is none, or none that is complete."""
        folder = folder_of(state_dir, run_id)
        return cls(folder) if (folder / _ROWS).is_file() else None

    @property
    def run_id(self) -> str:
        """Whose folder it is."""
        return self.folder.name

    @property
    def plan_path(self) -> Path:
        """Where the plan is, once it is complete."""
        return self.folder / _PLAN

    def rows(self) -> pd.DataFrame:
        """Read the judged rows, as ``check.rows`` returned them.

        Raises:
            CheckpointProblem: they are damaged, or in another format.
        """
        return self._frame(_ROWS)

    def keep_states(self, positions: Sequence[int], reading: Steps) -> None:
        """Write down what is known of some positions of a reading.

        Raises:
            StoppedEarly: it cannot be written.
        """
        at = np.asarray(positions, np.int64)
        problems: list[RowFailed | None] = [None] * len(at)
        if reading.problems:
            problems = [reading.problems.get(position) for position in positions]
        stamps = {} if reading.changed_ms is None else {"changed_ms": reading.changed_ms[at]}
        if reading.found is not None:
            found = [reading.found.get(position, ()) for position in positions]
            stamps |= {
                "found": pa.array([[each._asdict() for each in group] for group in found], _MATCHES)
            }
        part = pa.table(
            {
                "position": at,
                "state": reading.state[at],
                "attempts": reading.attempts[at],
                "at_ms": reading.at_ms[at],
                "outcome": pa.array([_text(p and p.outcome) for p in problems], pa.string()),
                "reason": pa.array([_text(p and p.reason) for p in problems], pa.string()),
                "detail": pa.array([_text(p and p.detail) for p in problems], pa.string()),
                "passing": pa.array([bool(p and p.passing) for p in problems], pa.bool_()),
                **stamps,
            }
        )
        self._parts += 1
        path = self.folder / _PART.format(number=self._parts)
        with _told(path):
            _write(part, path, self._tie)

    def states(self, count: int, *, stamped: bool = False) -> Steps:
        """Read back what is known of a reading of so many rows, as ``Steps.of`` makes room for it.

        What failed for what may have passed by now, and what the run stopped before, is unknown.

        Raises:
            CheckpointProblem: a part is damaged, in another format, or of other rows.
        """
        return self._filled(Steps.of(count, stamped=stamped))

    def finding(self, count: int) -> Steps:
        """Read back what is known of a finding of so many rows; otherwise as ``states``."""
        return self._filled(Steps.of_finding(count))

    def keep_place(self, place: Place | None) -> None:
        """Write down where the list was left; None while it is being read.

        Raises:
            StoppedEarly: it cannot be written.
        """
        path = self.folder / _LIST
        with _told(path):
            if place is None:
                path.unlink(missing_ok=True)
            else:
                told = orjson.dumps(place)
                with atomic.replacing(path) as file:
                    file.write(self._seal(told) + told)

    def place(self) -> Place | None:
        """Return where the list was left; None if it was not, or the file is not as it was written.

        Then the list is read from its beginning, which costs calls alone.
        """
        try:
            content = (self.folder / _LIST).read_bytes()
        except OSError:
            return None
        told = content[content.find(b"\n") + 1 :]
        if content == self._seal(told) + told:
            return Place(**orjson.loads(told))
        log.warning(
            "The list of profiles does not go on where it was left, because %s is damaged or of "
            "another version: it is read from its beginning",
            self.folder / _LIST,
        )
        return None

    @cached_property
    def _tie(self) -> str:
        """The format, and the rows whose positions the other files mean."""
        with (self.folder / _ROWS).open("rb") as file:
            return f"{_FORMAT} rows {hashlib.file_digest(file, 'sha256').hexdigest()}"

    def _seal(self, told: bytes) -> bytes:
        """Return the line that stands before such a content."""
        return hashlib.sha256(self._tie.encode() + told).hexdigest().encode() + b"\n"

    def _filled(self, reading: Steps) -> Steps:
        """Fill in what the parts hold.

        What failed for what may have passed by now, and what the run stopped before, is unknown.
        """
        for path in self._paths():
            with self._whole(path):
                self._fill(reading, self._table(path.name))
        return reading

    def _fill(self, reading: Steps, part: pa.Table) -> None:
        """Fill in what one part holds."""
        at = part["position"].to_numpy()
        reading.state[at] = part["state"].to_numpy()
        reading.attempts[at] = part["attempts"].to_numpy()
        reading.at_ms[at] = part["at_ms"].to_numpy()
        if reading.changed_ms is not None and "changed_ms" in part.column_names:
            reading.changed_ms[at] = part["changed_ms"].to_numpy()
        for position in at.tolist():
            reading.problems.pop(position, None)
            reading.suspects.discard(position)
        if reading.found is not None and "found" in part.column_names:
            for position, group in zip(at.tolist(), part["found"].to_pylist(), strict=True):
                if group:
                    reading.found[position] = tuple(Match(**each) for each in group)
        troubled = part.filter(part["outcome"].is_valid())
        for problem in troubled.to_pylist():
            _note(reading, problem)

    def keep_plan(self, planned: pd.DataFrame) -> None:
        """Write down the whole plan.

        Raises:
            StoppedEarly: it cannot be written.
        """
        if columns.OWNER not in planned:
            self._keep(planned, _PLAN)
            return
        path = self.folder / _PLAN
        with _told(path):
            _write(planned, path, self._tie)

    def plan(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Read the plan back, on top of the judged rows; None if it was not complete.

        Raises:
            CheckpointProblem: it is damaged, in another format, or of other rows.
        """
        return self._on_top(rows, _PLAN)

    def keep_results(self, results: pd.DataFrame) -> None:
        """Write down what became of every row.

        Raises:
            StoppedEarly: it cannot be written.
        """
        self._keep(results, _RESULTS)

    def results(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Read the results back, on top of the judged rows; None if the run did not end so far.

        Raises:
            CheckpointProblem: they are damaged, in another format, or of other rows.
        """
        return self._on_top(rows, _RESULTS)

    def keep_early(self, keys: Sequence[str]) -> None:
        """Write down which profiles are opted out before the plan is complete.

        Raises:
            StoppedEarly: it cannot be written.
        """
        path, told = self.folder / _EARLY, orjson.dumps(sorted({*keys, *self.early()}))
        with _told(path), atomic.replacing(path) as file:
            file.write(self._seal(told) + told)

    def early(self) -> frozenset[str]:
        """Return the profiles that were opted out before the plan was complete.

        Raises:
            CheckpointProblem: the file is damaged, in another format, or of other rows.
        """
        path = self.folder / _EARLY
        if not path.is_file():
            return frozenset()
        content = path.read_bytes()
        told = content[content.find(b"\n") + 1 :]
        if content != self._seal(told) + told:
            raise self.problem(path, "is damaged or of another version")
        return frozenset(orjson.loads(told))

    def remove(self) -> None:
        """Take the folder away: nothing can be asked of it any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _keep(self, frame: pd.DataFrame, name: str) -> None:
        path = self.folder / name
        with _told(path):
            _write(frame[list(_ADDED)], path, self._tie)

    def _on_top(self, rows: pd.DataFrame, name: str) -> pd.DataFrame | None:
        if not (self.folder / name).is_file():
            return None
        added = self._frame(name)
        if columns.OWNER in added:
            return added
        with self._whole(self.folder / name):
            return rows.assign(**{column: added[column] for column in _ADDED})

    def _frame(self, name: str) -> pd.DataFrame:
        with self._whole(self.folder / name):
            frame: pd.DataFrame = self._table(name).to_pandas()
        return frame

    def _table(self, name: str) -> pa.Table:
        """Read a file, and check its format and to which rows it belongs."""
        path = self.folder / name
        content = path.read_bytes()
        is_whole = sealed.is_whole(content)
        if is_whole is False:
            raise self.problem(path, "is damaged")
        table = pq.read_table(pa.BufferReader(content))
        tie = (table.schema.metadata or {}).get(_TIED, b"").decode()
        if not is_whole or not tie.startswith(_FORMAT):
            raise self.problem(path, "was written by another version of this program")
        if tie != (_FORMAT if name == _ROWS else self._tie):
            raise self.problem(path, "belongs to other rows")
        return table

    def _paths(self) -> list[Path]:
        return sorted(self.folder.glob("states-[0-9][0-9][0-9][0-9][0-9][0-9].parquet"))

    @contextmanager
    def _whole(self, path: Path) -> Iterator[None]:
        """Raise CheckpointProblem if a file cannot be used."""
        try:
            yield
        except _UNREADABLE as error:
            raise self.problem(path, "cannot be read") from error

    def problem(self, path: Path, what: str) -> CheckpointProblem:
        """Return the error that says what is wrong with a file, and what to do."""
        return CheckpointProblem(
            f"Run {self.run_id} cannot go on: {path} {what}. What the run wrote is in the ledger: "
            f"`bulk-sync runs {self.run_id}`. To start anew, run the input again with --fresh; to "
            f"give the run up: `bulk-sync resume {self.run_id} --give-up`."
        )


def folder_of(state_dir: Path, run_id: str) -> Path:
    """Tell where the working set of a run lies, whether it is there or not."""
    return state_dir / "runs" / run_id


def all_of(state_dir: Path) -> Iterable[WorkingSet]:
    """Find every working set, the oldest first."""
    folder = state_dir / "runs"
    if not folder.is_dir():
        return []
    return [WorkingSet(each) for each in sorted(folder.iterdir()) if each.is_dir()]


def _number(part: Path) -> int:
    return int(part.stem.rpartition("-")[2])


def _note(reading: Steps, told: dict[str, Any]) -> None:
    at = told["position"]
    if told["passing"] or told["outcome"] == Outcome.PENDING:
        reading.undo(at)
        if told["passing"]:
            reading.suspects.add(at)
        return
    outcome = Outcome(told["outcome"])
    problem = RowFailed(Reason(told["reason"]), told["detail"], outcome=outcome)
    problem.attempts = int(reading.attempts[at])
    reading.problems[at] = problem


def _write(table: pa.Table | pd.DataFrame, path: Path, tie: str) -> None:
    if isinstance(table, pd.DataFrame):
        table = pa.Table.from_pandas(table, preserve_index=False)
    content = sealed.parquet(table, {_TIED: tie.encode()})
    with atomic.replacing(path) as file:
        file.write(content)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoppedEarly(
            f"{path} could not be written: {error.strerror or error}. Nothing is sent to Campaign "
            "that could not be found again; make room."
        ) from error
