"""The rows of runs, kept for questions about one person and for reports to be made again.

    STATE_DIR/rows/RUN_ID.20290131.parquet     every row of the input with what became of it, and
                                               its last day here

The metadata of a file hold its format and the columns with keys of people.
A search reads those columns alone, and whole rows only of parts with a hit. Those of a run that is
not finished: see ``history/progress.py``.
"""

import logging
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import Begun
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, expand, parquet_rows, request_order
from bulk_sync.rows.request_order import RequestDate
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.kept.identity import Identity, IdentityColumns
from bulk_sync.settings import RUN_ID_PATTERN, State
from bulk_sync.storage import atomic, reading, sealed

log = logging.getLogger(__name__)

FOLDER: Final = "rows"

_FORMAT: Final = 2
_FACTS: Final = b"bulk-sync.rows"
_BY_PKEY: Final = IdentityColumns(are_pkeys=True)
_OPEN: Final = (Outcome.PENDING, Outcome.WOULD_UPDATE)
_NAME: Final = re.compile(rf"(?P<run>{RUN_ID_PATTERN})\.(?P<day>\d{{8}})\.parquet")


@dataclass(frozen=True, slots=True)
class KeptRows:
    """The kept rows of one run.

    Reading them raises OSError, ValueError or pa.ArrowException if the file is damaged, or of an
    unknown format; see ``warning_of``.

    Attributes:
        until: their last day here.
    """

    path: Path
    until: date

    def identity_columns(self) -> IdentityColumns:
        """Return the columns with keys of people."""
        facts = self._facts()
        return IdentityColumns(facts["are_pkeys"], facts["emails"], facts["pkeys"])

    def found(self, pkeys: frozenset[str], since_ms: int) -> "Iterator[Found]":
        """Yield the requests for some profiles that found their state in Campaign.

        Nothing is read if no request has a date as late as ``since_ms``.
        """
        newest_ms = self._facts()["newest_ms"]
        if newest_ms is None or newest_ms < since_ms:
            return
        shown = (columns.OUTCOME, columns.DESIRED, columns.AFTER, columns.AT, *columns.DATED)
        with pq.ParquetFile(self.path) as file:
            for part in _parts(file, [*_BY_PKEY.names, columns.UNCHANGED_PKEYS, *shown]):
                yield from found_in(part, pkeys)

    def search(self, person: Identity) -> Iterator[dict[str, Any]]:
        """Yield the rows about a person, as dicts of the columns' values.

        Memory: one part of the rows.
        """
        where = self.identity_columns()
        with pq.ParquetFile(self.path) as file:
            for group, part in enumerate(_parts(file, where.names)):
                hits = where.matches(part, person)
                if pc.any(hits).as_py():
                    yield from file.read_row_group(group).filter(hits).to_pylist()

    def slices(self) -> Slices:
        """Return all rows, in slices of one part each. Memory: one part, whenever they are read."""
        return parquet_rows.slices(partial(pq.ParquetFile, self.path))

    def _facts(self) -> dict[str, Any]:
        notes = pq.read_schema(self.path).metadata or {}
        facts: dict[str, Any] = orjson.loads(notes.get(_FACTS, b"{}"))
        if facts.get("format") != _FORMAT:
            raise ValueError(f"it has the format {facts.get('format')}, made by another version")
        return facts


@contextmanager
def warning_of(run_id: str) -> Iterator[None]:
    """Log a warning if the rows of a run cannot be read, and go on without them."""
    try:
        yield
    except (UsageProblem, OSError, ValueError, pa.ArrowException) as problem:
        log.warning("The rows of run %s cannot be read: %s", run_id, problem)


def keep(state: State, run_id: str, begun: Begun, rows: Slices) -> str:
    """Keep the rows of a finished run, and return their last day here, an ISO date.

    Return "", with a warning in the log, if they could not be kept. ``rows`` are results, a row per
    profile if keys are no PKeys. Memory: a slice.
    """
    today = datetime.now(UTC).date()
    days = state.days_kept(begun.rows)
    if not days:
        return ""
    until = today + timedelta(min(days, (date.max - today).days))
    try:
        _write(state.folder, run_id, rows, IdentityColumns.find(begun, rows.first.columns), until)
    except OSError as error:
        log.warning(
            "The rows of run %s could not be kept (%s), so `bulk-sync history` knows only what it "
            "wrote. Its reports hold them.",
            run_id,
            error.strerror or error,
        )
        return ""
    return str(until)


def all_of(state_dir: Path) -> Mapping[str, KeptRows]:
    """Find the kept rows of all runs, by the runs' ids."""
    folder = state_dir / FOLDER
    found = filter(None, (_NAME.fullmatch(path.name) for path in reading.listed(folder)))
    return {
        match["run"]: KeptRows(folder / match[0], date.fromisoformat(match["day"]))
        for match in found
    }


def table(rows: pd.DataFrame) -> pa.Table:
    """Turn results into a table with a row per row of the input, and the known PKeys."""
    whole = pa.Table.from_pandas(expand.collapse(rows), preserve_index=False)
    if columns.OWNER not in rows:
        return whole
    is_other = (rows[columns.PROFILE] != rows[columns.KEY]).to_numpy(bool)
    whole = whole.append_column(columns.PKEYS, _pkeys(rows, is_other))
    is_unchanged = columns.have_outcome(rows, [Outcome.UNCHANGED])
    return whole.append_column(columns.UNCHANGED_PKEYS, _pkeys(rows, is_unchanged))


class Found(NamedTuple):
    """A request that found its state in Campaign: its date, if it has one, and when it was read."""

    pkey: str
    state: bool
    request: RequestDate | None
    at_ms: int


def found_in(part: pa.Table, pkeys: frozenset[str], open_ms: int | None = None) -> Iterator[Found]:
    """Yield the requests of a ``table`` for some profiles that found their state in Campaign.

    With ``open_ms``, opt-outs still to be carried out count as found at that time.
    """
    outcome, name = part[columns.OUTCOME].cast(pa.string()), columns.UNCHANGED_PKEYS
    is_found = pc.equal(outcome, Outcome.UNCHANGED)
    if name in part.column_names:
        is_found = pc.greater(pc.list_value_length(part[name]), 0)
    # Others have set it between the plan and its apply.
    is_alike = pc.equal(part[columns.AFTER], part[columns.DESIRED])
    is_found = pc.or_(is_found, pc.and_(pc.equal(outcome, Outcome.DRIFTED), is_alike))
    if open_ms is not None:
        is_open = pc.is_in(outcome, pa.array(_OPEN))
        is_found = pc.or_kleene(is_found, pc.and_(is_open, part[columns.DESIRED]))
    hits = pc.and_(_BY_PKEY.matches(part, Identity(pkeys)), is_found)
    rows = part.filter(hits).to_pandas()
    requests = request_order.requests(rows, np.arange(len(rows)))
    firsts = request_order.first_known(rows, np.arange(len(rows)))
    times_ms = columns.times_ms(rows[columns.AT]).tolist()
    for at, row in enumerate(rows.to_dict("records")):
        is_open = open_ms is not None and row[columns.OUTCOME] in _OPEN
        more = row.get(
            columns.PKEYS if is_open or row[columns.OUTCOME] == Outcome.DRIFTED else name
        )
        found = {row[columns.KEY], *(() if more is None else more)} & pkeys
        for request in (requests[at], *([firsts[at]] if at in firsts else ())):
            at_ms = open_ms if is_open and open_ms else times_ms[at]
            yield from (Found(pkey, row[columns.DESIRED], request, at_ms) for pkey in found)


def own_columns(state: State, run_id: str, numbers: Collection[int]) -> pd.DataFrame | None:
    """Return ROW, FILE and the input's own columns of a run's rows with some numbers.

    None if they are not here. Memory: what is returned, and one part of kept rows.
    """
    ours = set(columns.OURS) - {columns.ROW, columns.FILE}
    found = list[pd.DataFrame]()
    with warning_of(run_id):
        if (checkpoint := Checkpoint.find(state.folder, run_id)) is not None:
            rows = Slices.of(checkpoint.rows())
        elif (kept := all_of(state.folder).get(run_id)) is not None:
            rows = kept.slices()
        else:
            return None
        names = [name for name in rows.first.columns if name not in ours]
        found = [
            columns.rows_of(each[names], each[columns.ROW].isin(numbers).to_numpy())
            for each in rows.read()
        ]
    return pd.concat(found, ignore_index=True) if any(map(len, found)) else None


def _parts(file: pq.ParquetFile, names: Sequence[str]) -> Iterator[pa.Table]:
    found = [name for name in names if name in file.schema_arrow.names]
    return (file.read_row_group(group, columns=found) for group in range(file.num_row_groups))


def _write(state_dir: Path, run_id: str, rows: Slices, where: IdentityColumns, until: date) -> None:
    folder = state_dir / FOLDER
    atomic.make_folder(folder)
    facts = {"format": _FORMAT, **asdict(where), "newest_ms": _newest_ms(rows)}
    schema, parts = parquet_rows.with_schema(map(table, rows.read()))
    notes = {**(schema.metadata or {}), _FACTS: orjson.dumps(facts)}
    earlier = all_of(state_dir).get(run_id)
    path = folder / f"{run_id}.{until:%Y%m%d}.parquet"
    with (
        atomic.replacing(path) as file,
        pq.ParquetWriter(file, schema.with_metadata(notes), compression="zstd") as writer,
    ):
        for part in parts:
            writer.write_table(part, row_group_size=sealed.GROUP_ROWS)
    if earlier is not None and earlier.path != path:
        earlier.path.unlink(missing_ok=True)


def _pkeys(rows: pd.DataFrame, chosen: npt.NDArray[np.bool_]) -> pa.Array:
    """Return the PKeys of each row of the input, of some profiles."""
    owner, profiles = rows[columns.OWNER].to_numpy(), rows[columns.PROFILE]
    found: list[list[str]] = [[] for _ in range(columns.input_rows(rows))]
    for at, profile in zip(owner[chosen].tolist(), profiles[chosen].tolist(), strict=True):
        found[at].append(profile)
    return pa.array(found, pa.list_(pa.string()))


def _newest_ms(rows: Slices) -> int | None:
    """Return a time after which no request has found its state in Campaign."""
    first = rows.first
    names = [name for name in (columns.LATEST, columns.UNJUDGED) if name in first]
    names += [columns.REQUESTED] * bool(names)
    times = [0]
    for each in rows.read():
        is_found = columns.have_outcome(each, [Outcome.UNCHANGED, Outcome.DRIFTED])
        read_ms = columns.times_ms(each[columns.AT])[is_found]
        times.append(int(read_ms.max(initial=0)))
        for name in names:
            moments = each[name].to_numpy()[is_found]
            dated = moments[moments != request_order.UNDATED]
            times.append(int(dated.max(initial=0)))
    newest_ms = max(times)
    return newest_ms + request_order.DAY_DOUBT_MS if newest_ms else None
