"""A plan as one file: what a person reviews, and ``apply`` carries out.

Parquet, so that pandas opens it: every row of the input with its outcome. The file's own metadata
hold its facts, and a hash over all bytes (``sealed.py``).
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from errno import EINVAL
from functools import partial
from hashlib import file_digest
from io import BufferedIOBase, BufferedReader
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.engines.journal import now_ms
from bulk_sync.errors import InputProblem, UsageProblem, unwritable
from bulk_sync.ledger import Begun, Run, utc
from bulk_sync.memory import fits, sliced_bytes
from bulk_sync.report.destination import Destination, LocalFile
from bulk_sync.report.formats import SUFFIXES as REPORTS
from bulk_sync.rows import columns, parquet_rows
from bulk_sync.rows.read import SUFFIXES as LISTS
from bulk_sync.rows.slices import Slices
from bulk_sync.rows.totals import Totals
from bulk_sync.storage import atomic, sealed

SUFFIX: Final = ".parquet"
"""The usual suffix. Any other name will do, unless it is one of ``_OPENED_BY_OTHERS``."""

_OPENED_BY_OTHERS: Final = frozenset({*LISTS, *REPORTS}) - {SUFFIX, ".json"}
"""Suffixes of lists and reports: who clicks on such a file wants to read it."""

OUT: Final = "out"
"""Among the settings of a run that is a plan: where the plan goes."""

LIMITS: Final = ("max_changes", "max_opt_ins", "max_creates")
"""Limits that hold for a plan; they are saved with it."""

HOLD: Final = "hold_opt_ins"
"""Among the settings of a plan: its opt-ins alone are held back."""

PROTECT: Final = "protect"
"""Among the settings of a plan: the lists of people that no run may change."""

_FACTS: Final = b"bulk-sync.plan.2"

_DAMAGED: Final = (OSError, pa.ArrowException, LookupError, TypeError, ValueError)
"""Errors of libraries for a file that is no plan, or a damaged one."""


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan as it was read.

    Attributes:
        rows: every row of the input, with its planned outcome.
        run_id: the run that made it.
        begun: the beginning of that run; its parent is to be undone, if there is one.
        made: when it was complete.
        sha256: of the file.
    """

    rows: Slices
    run_id: str
    begun: Begun
    made: datetime
    sha256: str


def check_path(path: Path, inputs: Iterable[Path], reports: Iterable[Destination]) -> None:
    """Check, before anything is read, if a plan can be written to a path.

    It may not replace one of ``inputs``, nor be one of ``reports``.

    Raises:
        UsageProblem: the suffix promises another format, the folder is missing or takes no files,
            or another file has this path.
        DiskFull: there is no room.
    """
    is_stdout = path.name == "-"
    if is_stdout or path.suffix.lower() in _OPENED_BY_OTHERS:
        stem = "plan" if is_stdout else path.stem
        raise UsageProblem(
            f"--out {path}: a plan is a Parquet file; name it {stem}{SUFFIX}. For a workbook "
            "to read, add --report plan.xlsx."
        )
    if any(map(LocalFile(path).is_file, inputs)):
        raise UsageProblem(
            f"--out {path} would replace the input, or a list of --protect. Name another file."
        )
    check_place(path, reports)


def check_place(path: Path, reports: Iterable[Destination]) -> None:
    """Check the same for a path that the plan's run has had from its beginning."""
    if any(each.is_file(path) for each in reports):
        raise UsageProblem(f"--out and --report both name {path}. Name two files.")
    LocalFile(path).check("--out")
    if path.is_file() and path.stat().st_size and job_of(path) is None:
        raise UsageProblem(
            f"--out {path} would replace a file that is no plan. Name another path, or move that "
            "file away."
        )


def check_older(path: Path, run: Run) -> None:
    """Raise UsageProblem if the plan of a run would replace one that was made since it began.

    A person may be about to apply that one; an older file in its place may lift a newer opt-out.
    """
    other, made = (_facts_of(path) or {}).get("run_id"), made_at(path)
    if made is None or other == run.run_id or made.timestamp() * 1000 < run.begun_ms:
        return
    raise UsageProblem(
        f"{path} is the plan of run {other}, made since this run began, and is not replaced. Move "
        f"it away, or give this run up: bulk-sync resume {run.run_id} --give-up"
    )


def write(path: Path, planned: Slices, run_id: str, begun: Begun, totals: Totals) -> str:
    """Write a plan, and return the SHA-256 of the file.

    Memory: a slice of ``planned``, every row of the input.

    Raises:
        UsageProblem: it cannot be written.
        DiskFull: there is no room.
    """
    facts = {
        "run_id": run_id,
        "made_at": utc(now_ms()),
        **asdict(begun),
        "outcomes": dict(totals.outcomes),
        "opt_ins": totals.opt_ins,
        "opt_outs": totals.opt_outs,
    }
    told = json.dumps(facts).encode()  # in ASCII: the name of a file may be no text
    try:
        with atomic.replacing(path) as file:
            tables = (pa.Table.from_pandas(each, preserve_index=False) for each in planned.read())
            sealed.write(file, *parquet_rows.with_schema(tables), {_FACTS: told})
            return _digest(file)
    except OSError as error:
        raise unwritable(
            error,
            f"--out {path} could not be written: {error.strerror}. Make room; what was read is "
            "kept, and `bulk-sync resume` goes on with it. Or plan again with another path.",
        ) from error


def read(path: Path, memory: int | None = None) -> PlanFile:
    """Read a plan, and check that it is as it was written.

    Rows that need more than ``memory.sliced_bytes``, and have PKeys, are slices, and read from the
    file whenever they are needed.

    Raises:
        InputProblem: it cannot be read, is no plan, or was edited; or it is by the end of a later
            pass over its rows.
    """
    try:
        with _open(path) as file:
            return _read(path, file, sliced_bytes(memory))
    except FileNotFoundError as error:
        raise InputProblem(
            f"{path}: there is no such file. `bulk-sync plan INPUT --out {path}` makes it."
        ) from error
    except OSError as error:
        raise InputProblem(f"{path}: {error.strerror or error}.") from error


def _read(path: Path, file: BufferedReader, memory: int) -> PlanFile:
    is_whole = sealed.is_whole(file)
    if is_whole is False:
        raise _edited(path)
    parquet = pq.ParquetFile(file) if is_whole else None
    notes = {} if parquet is None else parquet.schema_arrow.metadata
    if parquet is None or _FACTS not in notes:
        raise InputProblem(
            f"{path} is no plan of this program, or was saved by another one, or by an earlier "
            "version. `bulk-sync plan INPUT --out plan.parquet` makes one; `bulk-sync run` takes a "
            "list."
        )
    digest = _digest(file)
    if fits(parquet.metadata.num_rows, memory) or columns.OWNER in parquet.schema_arrow.names:
        rows = Slices.of(parquet_rows.frame(parquet))
    else:
        rows = parquet_rows.slices(partial(_opened, path, digest))
    told = json.loads(notes[_FACTS])
    begun = Begun(**{each.name: told[each.name] for each in fields(Begun)})
    return PlanFile(rows, told["run_id"], begun, _made(told), digest)


@contextmanager
def _opened(path: Path, digest: str) -> Iterator[pq.ParquetFile]:
    """Open a plan; raise InputProblem in the end if it is not the one with this SHA-256."""
    try:
        with _open(path) as file:
            yield pq.ParquetFile(file)
            is_same = _digest(file) == digest
    except _DAMAGED as error:
        raise _edited(path) from error
    if not is_same:
        raise _edited(path)


def _open(path: Path) -> BufferedReader:
    """Open a file; raise OSError if it is a pipe or a device, whose end may never come."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise OSError(EINVAL, "it is a pipe or a device, and a plan is read more than once")
    return path.open("rb")


def _digest(file: BufferedIOBase) -> str:
    file.seek(0)
    return file_digest(file, "sha256").hexdigest()


def _edited(path: Path) -> InputProblem:
    return InputProblem(
        f"{path} was edited after it was made, or is damaged, so it is not carried out. Correct "
        "the input and plan again."
    )


def job_of(path: Path) -> str | None:
    """Return the job of a plan; None if the file is no plan."""
    facts = _facts_of(path)
    return None if facts is None or "job" not in facts else str(facts["job"])


def made_at(path: Path) -> datetime | None:
    """Return when a plan was made, by its own word; None if the file is no plan."""
    facts = _facts_of(path)
    try:
        return None if facts is None else _made(facts)
    except _DAMAGED:
        return None


def _facts_of(path: Path) -> dict[str, Any] | None:
    """Return the facts of a plan, without a check; None if the file is none."""
    try:
        with _open(path) as file:  # Arrow opens no file whose name is no text
            notes = pq.read_schema(file).metadata or {}
        facts = json.loads(notes[_FACTS])
    except _DAMAGED:
        return None
    return facts if isinstance(facts, dict) else None


def _made(told: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(told["made_at"])
