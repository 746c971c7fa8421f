"""The working set of a run: what it must find again after a crash, in a folder of its own.

    STATE_DIR/runs/RUN_ID/
      rows.parquet            the judged rows, the input's own columns among them
      states-000001.parquet   states read so far, in parts; a later part overrules an earlier one
      list.json               where the list of profiles was left, if its pages were being read
      plan.parquet            what the comparison added, once everything was read; whole rows if
                              they are no longer those of the input, for keys are no PKeys
      results.parquet         what became of it, once the run is finished and rows failed

Every part appears whole or not at all. What was written to Campaign is not here but in the ledger.
"""

import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync import atomic
from bulk_sync.campaign.pages import Place
from bulk_sync.errors import RowFailed, StoppedEarly, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.steps import Match, Steps

_ROWS: Final = "rows.parquet"
_PLAN: Final = "plan.parquet"
_RESULTS: Final = "results.parquet"
_LIST: Final = "list.json"
_PART: Final = "states-{number:06}.parquet"

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


class WorkingSet:
    """One run's folder.

    Args:
        folder: which it is; it exists.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = max(map(_number, folder.glob("states-*.parquet")), default=0)

    @classmethod
    def create(cls, state_dir: Path, run_id: str, rows: pd.DataFrame) -> Self:
        """Make the folder and put the judged rows there.

        Raises:
            UsageProblem: it cannot be written.
        """
        folder = folder_of(state_dir, run_id)
        try:
            atomic.make_folder(folder)
            _write(rows, folder / _ROWS)
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

    def rows(self) -> pd.DataFrame:
        """Read the judged rows, as ``check.rows`` returned them."""
        return self._read(_ROWS)

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
        with _told(path), atomic.replacing(path) as file:
            # In memory first: Arrow would write some forty pieces, and for each of them get the
            # interpreter back from an event loop at full speed.
            sink = pa.BufferOutputStream()
            pq.write_table(part, sink, compression="zstd")
            file.write(sink.getvalue())

    def states(self, count: int, *, stamped: bool = False) -> Steps:
        """Read back what is known of a reading of so many rows, as ``Steps.of`` makes room for it.

        What failed for what may have passed by now, and what the run stopped before, is unknown.
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
                with atomic.replacing(path) as file:
                    file.write(orjson.dumps(place))

    def place(self) -> Place | None:
        """Tell where the list was left; None if it was not, or that cannot be read any more."""
        try:
            return Place(**orjson.loads((self.folder / _LIST).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None  # then the list is read from its beginning, which costs calls alone

    def _filled(self, reading: Steps) -> Steps:
        """Fill in what the parts hold.

        What failed for what may have passed by now, and what the run stopped before, is unknown.
        """
        for path in sorted(self.folder.glob("states-*.parquet")):
            part = pq.read_table(path)
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
        return reading

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
            _write(planned, path)

    def plan(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Read the plan back, on top of the judged rows; None if it was not complete."""
        path = self.folder / _PLAN
        if path.is_file() and columns.OWNER in pq.read_schema(path).names:
            return self._read(_PLAN)
        return self._on_top(rows, _PLAN)

    def keep_results(self, results: pd.DataFrame) -> None:
        """Write down what became of every row.

        Raises:
            StoppedEarly: it cannot be written.
        """
        self._keep(results, _RESULTS)

    def results(self, rows: pd.DataFrame) -> pd.DataFrame | None:
        """Read the results back, on top of the judged rows; None if the run did not end so far."""
        return self._on_top(rows, _RESULTS)

    def remove(self) -> None:
        """Take the folder away: nothing can be asked of it any more."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _keep(self, frame: pd.DataFrame, name: str) -> None:
        path = self.folder / name
        with _told(path):
            _write(frame[list(_ADDED)], path)

    def _on_top(self, rows: pd.DataFrame, name: str) -> pd.DataFrame | None:
        if not (self.folder / name).is_file():
            return None
        added = self._read(name)
        whole = rows.copy()
        for column in _ADDED:
            whole[column] = added[column]
        return whole

    def _read(self, name: str) -> pd.DataFrame:
        path = self.folder / name
        try:
            return pd.read_parquet(path)
        except (OSError, pa.ArrowException) as error:
            raise UsageProblem(
                f"{path}, which holds a part of the run, cannot be read: {error}. Run the input "
                "again with --fresh."
            ) from error


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


def _write(frame: pd.DataFrame, path: Path) -> None:
    with atomic.replacing(path) as file:
        frame.to_parquet(file, compression="zstd", index=False)


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
