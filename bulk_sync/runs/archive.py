"""The rows of finished runs, kept for questions about one person and for reports to be made again.

    STATE_DIR/rows/RUN_ID.20290131.parquet     every row of the input with what became of it, and
                                               the day until which it is kept

A file says in its metadata in which format it is and in which columns people can be recognized.
Searching reads those columns alone; the rest is read only of parts that hold a hit.
"""

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bulk_sync.outcomes import Outcome
from bulk_sync.rows import columns, emails, expand, request_order
from bulk_sync.rows.request_order import Confirmed
from bulk_sync.rows.same_name import plain
from bulk_sync.storage import atomic

log = logging.getLogger(__name__)

FOLDER: Final = "rows"

_FORMAT: Final = 1
_FACTS: Final = b"bulk-sync.rows"
_NAME: Final = re.compile(r"(?P<run>.+)\.(?P<day>\d{8})\.parquet")
_GROUP_ROWS: Final = 1 << 17

_EMAIL_NAMES: Final = frozenset({"email", "emailaddress"})
_PKEY_NAMES: Final = frozenset({"pkey"})
"""Names of own columns that identify a person, beside the column of keys."""


@dataclass(frozen=True, slots=True)
class Sought:
    """By what a person is recognized.

    Attributes:
        exactly: PKeys, and other keys, to the letter.
        addresses: e-mail addresses as ``folded`` has them.
    """

    exactly: frozenset[str] = frozenset()
    addresses: frozenset[str] = frozenset()

    def isdisjoint(self, other: "Sought") -> bool:
        """Return whether no key is in both."""
        is_same = self.exactly.isdisjoint(other.exactly)
        return is_same and self.addresses.isdisjoint(other.addresses)


@dataclass(frozen=True, slots=True)
class Recognized:
    """In which columns of some rows people can be recognized.

    Attributes:
        are_pkeys: whether the keys are PKeys.
        emails: own columns of addresses.
        pkeys: own columns of PKeys.
    """

    are_pkeys: bool
    emails: Sequence[str] = field(default_factory=tuple)
    pkeys: Sequence[str] = field(default_factory=tuple)

    @classmethod
    def of(cls, names: Iterable[object], *, are_pkeys: bool) -> "Recognized":
        """Find the columns by their names."""
        own = [str(name) for name in names if name not in columns.OURS]
        return cls(
            are_pkeys,
            [name for name in own if plain(name) in _EMAIL_NAMES],
            [name for name in own if plain(name) in _PKEY_NAMES],
        )

    @property
    def tells_addresses(self) -> bool:
        """Return whether somebody can be found by an address."""
        return not self.are_pkeys or bool(self.emails)


@dataclass(frozen=True, slots=True)
class Kept:
    """The kept rows of one run.

    Attributes:
        path: where they are.
        run_id: whose they are.
        until: the last day on which they are kept.
    """

    path: Path
    run_id: str
    until: date

    def recognized(self) -> Recognized:
        """Read in which columns people can be recognized.

        Raises:
            ValueError: the file has a format that this program does not know.
            OSError, pa.ArrowException: it cannot be read.
        """
        facts = self._facts()
        return Recognized(facts["are_pkeys"], facts["emails"], facts["pkeys"])

    def confirmed(
        self, pkeys: frozenset[str], since_ms: int
    ) -> Iterator[tuple[str, bool, Confirmed]]:
        """Yield, by PKey and state, the requests that found a state as they asked for it.

        Args:
            pkeys: the profiles that are wanted.
            since_ms: older requests are left out.

        Raises:
            ValueError, OSError, pa.ArrowException: as ``recognized``.
        """
        newest_ms = self._facts()["newest_ms"]
        if newest_ms is None or newest_ms < since_ms:
            return
        with pq.ParquetFile(self.path) as file:
            shown = (columns.KEY, columns.PKEYS, columns.OUTCOME, columns.DESIRED, columns.AT)
            wanted = (*shown, *columns.DATED)
            names = [name for name in wanted if name in file.schema_arrow.names]
            for group in range(file.num_row_groups):
                part = file.read_row_group(group, columns=names)
                hits = matches(part, Recognized(are_pkeys=True), Sought(pkeys))
                is_unchanged = pc.equal(part[columns.OUTCOME].cast(pa.string()), Outcome.UNCHANGED)
                rows = part.filter(pc.and_(hits, is_unchanged)).to_pandas()
                requests = request_order.requests(rows, np.arange(len(rows)))
                others = rows[columns.PKEYS] if columns.PKEYS in rows else [[]] * len(rows)
                for key, more, state, request, at_ms in zip(
                    rows[columns.KEY].tolist(),
                    others,
                    rows[columns.DESIRED].tolist(),
                    requests,
                    columns.times_ms(rows[columns.AT]).tolist(),
                    strict=True,
                ):
                    if request is not None:
                        found = Confirmed(request, self.run_id, at_ms)
                        yield from ((pkey, state, found) for pkey in {key, *more} & pkeys)

    def search(self, sought: Sought) -> Iterator[dict[str, Any]]:
        """Yield the rows about a person, as dicts of the columns' values.

        Memory: one part of the rows.

        Raises:
            ValueError, OSError, pa.ArrowException: as ``recognized``.
        """
        where = self.recognized()
        with pq.ParquetFile(self.path) as file:
            names = [name for name in _key_columns(where) if name in file.schema_arrow.names]
            for group in range(file.num_row_groups):
                hits = matches(file.read_row_group(group, columns=names), where, sought)
                if pc.any(hits).as_py():
                    yield from file.read_row_group(group).filter(hits).to_pylist()

    def _facts(self) -> dict[str, Any]:
        notes = pq.read_schema(self.path).metadata or {}
        facts: dict[str, Any] = orjson.loads(notes.get(_FACTS, b"{}"))
        if facts.get("format") != _FORMAT:
            raise ValueError(f"it has the format {facts.get('format')}, made by a newer bulk-sync")
        return facts

    def rows(self) -> pd.DataFrame:
        """Read all rows.

        Raises:
            OSError, pa.ArrowException: they cannot be read.
        """
        rows: pd.DataFrame = pq.read_table(self.path).to_pandas()
        return rows


def keep(
    state_dir: Path, run_id: str, rows: pd.DataFrame, recognized: Recognized, until: date
) -> None:
    """Write down the rows of a run; those of an earlier end of it are replaced.

    Args:
        state_dir: the state folder.
        run_id: whose they are.
        rows: results, a row per profile if keys are no PKeys.
        recognized: in which columns people can be recognized.
        until: the last day on which they are to be kept.

    Raises:
        OSError: they cannot be written.
    """
    folder = state_dir / FOLDER
    atomic.make_folder(folder)
    whole = table(rows)
    facts = {
        "format": _FORMAT,
        "are_pkeys": recognized.are_pkeys,
        "emails": recognized.emails,
        "pkeys": recognized.pkeys,
        "newest_ms": _newest_ms(rows),
    }
    notes = {**(whole.schema.metadata or {}), _FACTS: orjson.dumps(facts)}
    whole = whole.replace_schema_metadata(notes)
    earlier = [each.path for each in all_of(state_dir).values() if each.run_id == run_id]
    path = folder / f"{run_id}.{until:%Y%m%d}.parquet"
    with atomic.replacing(path) as file:
        pq.write_table(whole, file, compression="zstd", row_group_size=_GROUP_ROWS)
    for old in earlier:
        if old != path:
            old.unlink(missing_ok=True)


def table(rows: pd.DataFrame) -> pa.Table:
    """Turn results into a table with a row per row of the input, and the PKeys that are known."""
    whole = pa.Table.from_pandas(expand.joined(rows), preserve_index=False)
    return whole if columns.OWNER not in rows else whole.append_column(columns.PKEYS, _pkeys(rows))


def all_of(state_dir: Path) -> Mapping[str, Kept]:
    """Find the kept rows of all runs, by the runs' ids."""
    folder = state_dir / FOLDER
    if not folder.is_dir():
        return {}
    found = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.name)
        if match is not None:
            day = match["day"]
            until = date(int(day[:4]), int(day[4:6]), int(day[6:]))
            found[match["run"]] = Kept(path, match["run"], until)
    return found


def remove_expired(state_dir: Path, today: date) -> None:
    """Delete the rows that have been kept for long enough."""
    for kept in all_of(state_dir).values():
        if kept.until < today:
            log.info("The rows of run %s were kept until %s", kept.run_id, kept.until)
            kept.path.unlink(missing_ok=True)


def folded(text: str) -> str:
    """Return what all spellings of an address have in common, capitals aside."""
    return emails.identity(text, ignore_case=True)


def matches(part: pa.Table, where: Recognized, sought: Sought) -> pa.Array:
    """Return which rows are about a person.

    Args:
        part: with the columns in which people can be recognized.
        where: which those are.
        sought: who it is.
    """
    hits = _is_in(part[columns.KEY], sought.exactly)
    for name in where.pkeys:
        hits = pc.or_(hits, _is_in(part[name], sought.exactly))
    if columns.PKEYS in part.column_names and sought.exactly:
        hits = pc.or_(hits, _any_is_in(part[columns.PKEYS], sought.exactly))
    if sought.addresses:
        for name in (columns.KEY, *where.emails):
            hits = pc.or_(hits, _is_in(_folded(part[name]), sought.addresses))
    return pc.fill_null(hits, False)  # noqa: FBT003 - Arrow's


def _pkeys(rows: pd.DataFrame) -> pa.Array:
    """Return the PKeys of each row of the input."""
    owner, keys = rows[columns.OWNER].to_numpy(), rows[columns.KEY].tolist()
    profiles = rows[columns.PROFILE].tolist()
    found: list[list[str]] = [[] for _ in range(columns.input_rows(rows))]
    for at, key, profile in zip(owner.tolist(), keys, profiles, strict=True):
        if profile != key:
            found[at].append(profile)
    return pa.array(found, pa.list_(pa.string()))


def _newest_ms(rows: pd.DataFrame) -> int | None:
    """Return when the newest request was made that found the state as it asked for it."""
    names = [name for name in (columns.LATEST, columns.UNJUDGED) if name in rows]
    if not names:
        return None
    latest = rows[names[0]].to_numpy()[columns.have_outcome(rows, [Outcome.UNCHANGED])]
    dated = latest[latest != request_order.UNDATED]
    return int(dated.max()) if len(dated) else None


def _key_columns(where: Recognized) -> list[str]:
    return list(dict.fromkeys([columns.KEY, columns.PKEYS, *where.emails, *where.pkeys]))


def _is_in(column: pa.ChunkedArray, among: frozenset[str]) -> pa.ChunkedArray:
    return pc.is_in(column, pa.array(sorted(among), column.type))


def _any_is_in(column: pa.ChunkedArray, among: frozenset[str]) -> pa.Array:
    whole = column.combine_chunks()
    hits = pc.is_in(whole.flatten(), pa.array(sorted(among), pa.string()))
    parents = pc.list_parent_indices(whole).filter(hits).to_numpy()
    found = np.zeros(len(whole), np.bool_)
    found[parents] = True
    return pa.array(found)


def _folded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return addresses as ``folded`` has them, for whole columns."""
    lowered = pc.utf8_lower(pc.utf8_trim_whitespace(column))
    is_ascii = pc.all(pc.string_is_ascii(lowered), min_count=0).as_py()
    if is_ascii:
        return lowered
    texts = [
        None if text is None else unicodedata.normalize("NFC", text) for text in lowered.to_pylist()
    ]
    return pa.chunked_array([pa.array(texts, column.type)])
