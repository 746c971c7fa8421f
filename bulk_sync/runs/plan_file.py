"""A plan as one file: what a person reviews, and ``apply`` carries out.

Parquet, so that pandas opens it: every row of the input with its outcome. The file's own metadata
hold its facts and two hashes: one over all bytes (``sealed.py``), missing in plans of earlier
versions, and one over the rows, independent of the version of Parquet.
"""

from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Final

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.errors import InputProblem, UsageProblem
from bulk_sync.ledger import Begun
from bulk_sync.report import csv_file, table
from bulk_sync.report.table import Results
from bulk_sync.rows import columns
from bulk_sync.rows.totals import Totals
from bulk_sync.storage import atomic, sealed

SUFFIX: Final = ".parquet"

OUT: Final = "out"
"""Among the settings of a run that is a plan: where the plan goes."""

LIMITS: Final = ("max_changes", "max_opt_ins", "max_creates")
"""Limits that hold for a plan; they are saved with it."""

HOLD: Final = "hold_opt_ins"
"""Among the limits of a plan: its opt-ins alone are held back."""

_FACTS: Final = b"bulk-sync.plan"
_SEAL: Final = b"bulk-sync.sha256"

_DAMAGED: Final = (pa.ArrowException, LookupError, TypeError, ValueError)
"""Errors of libraries for a file that is no plan, or a damaged one of an earlier version."""


@dataclass(frozen=True, slots=True)
class Facts:
    """The run that made a plan, its place, its input and its counts.

    Attributes:
        settings: the options for keys, new profiles and input rows.
        limits: those of ``LIMITS``, and ``HOLD``, as they were given.
    """

    run_id: str
    job: str
    endpoint: str
    organization: str
    attribute: str
    input: str
    input_sha256: str
    rows: int
    outcomes: Mapping[str, int]
    opt_ins: int
    opt_outs: int
    version: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PlanFile:
    """A plan as it was read, with the SHA-256 of the file."""

    rows: pd.DataFrame
    facts: Facts
    sha256: str


def facts_of(run_id: str, begun: Begun, of_input: Collection[str], totals: Totals) -> Facts:
    """Return what a plan is of.

    Args:
        run_id: of its run.
        begun: the beginning of that run.
        of_input: the names of the settings needed by the plan.
        totals: what the plan holds.
    """
    return Facts(
        run_id=run_id,
        job=begun.job,
        endpoint=begun.endpoint,
        organization=begun.organization,
        attribute=begun.attribute,
        input=begun.input,
        input_sha256=begun.input_sha256,
        rows=totals.rows,
        outcomes=totals.outcomes,
        opt_ins=totals.opt_ins,
        opt_outs=totals.opt_outs,
        version=begun.version,
        settings={name: begun.settings.get(name) for name in sorted(of_input)},
        limits={
            name: given
            for name in (*LIMITS, HOLD)
            if (given := begun.settings.get(name)) is not None
        },
    )


def check_path(path: Path) -> None:
    """Check, before anything is read, if a plan can be written to a path.

    Raises:
        UsageProblem: the suffix promises another format, or the folder is missing or takes no
            files.
    """
    if path.suffix.lower() != SUFFIX:
        raise UsageProblem(
            f"--out {path}: a plan is a Parquet file; name it {path.stem}{SUFFIX}. For a workbook "
            "to read, add --report plan.xlsx."
        )
    try:
        with TemporaryFile(dir=path.absolute().parent):
            pass
    except OSError as error:
        raise UsageProblem(
            f"--out {path} cannot be written: {error.strerror}. Name a path in a folder that is "
            "there and that you may write to."
        ) from error


def write(path: Path, planned: pd.DataFrame, facts: Facts) -> str:
    """Write a plan, and return the SHA-256 of the file.

    Raises:
        UsageProblem: it cannot be written.
    """
    whole = pa.Table.from_pandas(planned, preserve_index=False)
    told = orjson.dumps(asdict(facts))
    content = sealed.parquet(whole, {_FACTS: told, _SEAL: _seal(planned, told).encode()})
    try:
        with atomic.replacing(path) as file:
            file.write(content)
    except OSError as error:
        raise UsageProblem(
            f"--out {path} could not be written: {error.strerror}. Make room, or plan again with "
            "another path."
        ) from error
    return sha256(content).hexdigest()


def read(path: Path) -> PlanFile:
    """Read a plan, and check that it is as it was written.

    Raises:
        InputProblem: it cannot be read, is no plan, or was edited.
    """
    edited = InputProblem(
        f"{path} was edited after it was made, or is damaged, so it is not carried out. Correct "
        "the input and plan again."
    )
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputProblem(f"{path}: {error.strerror or error}.") from error
    is_whole = sealed.is_whole(content)
    if is_whole is False:
        raise edited
    try:
        whole = pq.read_table(BytesIO(content))
    except _DAMAGED as error:
        raise InputProblem(
            f"{path} is no plan, or damaged. `bulk-sync plan INPUT --out plan.parquet` makes one; "
            "`bulk-sync run` takes a list."
        ) from error
    notes = whole.schema.metadata or {}
    if _FACTS not in notes or _SEAL not in notes:
        raise InputProblem(
            f"{path} is no plan of this program, or was saved again by another one. `bulk-sync "
            "plan INPUT --out plan.parquet` makes one; `bulk-sync run` takes a list."
        )
    if not is_whole and sealed.KEY in notes:
        raise edited
    try:
        rows = whole.to_pandas()
        is_as_made = notes[_SEAL].decode() == _seal(rows, notes[_FACTS])
    except _DAMAGED as error:
        raise edited from error
    if not is_as_made:
        raise edited
    told = orjson.loads(notes[_FACTS])
    known = {each.name for each in fields(Facts)}
    facts = Facts(**{name: value for name, value in told.items() if name in known})
    return PlanFile(rows, facts, sha256(content).hexdigest())


def _seal(planned: pd.DataFrame, facts: bytes) -> str:
    """Hash the facts, and the rows as CSV: that does not depend on the version of Parquet."""
    sink = _Hashing()
    sink.write(facts)
    hidden = (columns.COUNTS_AS, *columns.DATED, *columns.MATCHED)
    ours = [name for name in hidden if name in planned]
    names = [*table.report_columns(planned), *ours]
    csv_file.write(Results.of(planned, names), sink)
    return sink.hexdigest()


class _Hashing(BytesIO):
    """A file without content: only its hash is kept."""

    def __init__(self) -> None:
        super().__init__()
        self._hash = sha256()

    def write(self, content: object) -> int:
        taken = memoryview(content)  # type: ignore[arg-type] # whatever has a buffer
        self._hash.update(taken)
        return taken.nbytes

    def hexdigest(self) -> str:
        """Return the hash of everything written."""
        return self._hash.hexdigest()
