"""The parts of an input that is larger than memory, and what is asked of all its rows: by DuckDB.

The parts are Parquet files of this program. DuckDB reads nothing else, sorts and joins within the
memory that it is given, and beyond that in the folder of the parts.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.background import BackgroundTasks
from bulk_sync.errors import DiskFull, StoppedEarly, is_disk_full
from bulk_sync.rows.duckdb_session import Tables, rows_of
from bulk_sync.rows.slices import RowProgress

KEYS: Final = pa.schema(
    {
        "position": pa.int64(),
        "identity": pa.large_string(),
        "alike": pa.large_string(),
        "is_open": pa.bool_(),
        "forbids": pa.bool_(),
        "place": pa.struct(
            {
                "number": pa.int64(),
                "file": pa.int32(),
                "original_file": pa.large_string(),
                "original_row": pa.large_string(),
            }
        ),
    }
)
"""The keys of rows: what they are compared by; the same without capitals, if keys with others are
compared too; and the place of the row."""

TIMES: Final = pa.schema(
    {
        "position": pa.int64(),
        "first": pa.int64(),
        "latest": pa.int64(),
        "day": pa.int64(),
        "precision": pa.int8(),
    }
)
"""The times of requests, by the row that counts for them."""

_REPEATED: Final = (
    # By 8 bytes each; only what shares them is compared as text.
    """
    CREATE TEMP TABLE shared AS
    SELECT hash(coalesce(alike, identity)) AS hashed
    FROM keys
    WHERE is_open
    GROUP BY hashed
    HAVING count(*) > 1
    """,
    """
    CREATE TEMP TABLE repeated AS
    SELECT position, identity, coalesce(alike, identity) AS alike, forbids
    FROM keys
    WHERE is_open AND hash(coalesce(alike, identity)) IN (FROM shared)
    """,
    "DROP TABLE shared",
)
"""The rows of keys that may stand in several."""

_DOUBTFUL: Final = (
    "CREATE TEMP TABLE several AS SELECT DISTINCT alike FROM repeated WHERE identity <> alike",
    """
    CREATE TEMP TABLE spelled AS
    SELECT alike, identity, min(position) AS found
    FROM repeated SEMI JOIN several USING (alike)
    WHERE forbids
    GROUP BY ALL
    """,
    """
    CREATE TEMP TABLE pairs AS
    SELECT alike, arg_min(identity, found) AS identity, min(found, 2) AS two
    FROM spelled
    GROUP BY alike
    """,
    """
    CREATE TEMP TABLE doubtful AS
    SELECT position, if(repeated.identity = pairs.identity, two[2], two[1]) AS other
    FROM repeated JOIN pairs ON pairs.alike = repeated.alike
    WHERE NOT forbids AND other IS NOT NULL
    """,
)
"""Opt-ins, each with the first opt-out of a key in other capitals; none if keys are alike only if
they are the same."""

_NOT_IN_CONFLICT: Final = """
DELETE FROM doubtful
WHERE position IN (SELECT position FROM repeated SEMI JOIN spelled USING (identity))
"""
"""Opt-ins whose own key is opted out too are none of them."""

_GROUPS: Final = (
    """
    CREATE TEMP TABLE grouped AS
    SELECT
        identity,
        coalesce(min(position) FILTER (forbids), -1) AS first_forbids,
        coalesce(min(position) FILTER (NOT forbids), -1) AS first_allows,
        arg_max(forbids, position) AS last_forbids
    FROM repeated ANTI JOIN doubtful USING (position)
    GROUP BY identity
    HAVING count(*) > 1
    """,
    """
    CREATE TEMP TABLE groups AS
    SELECT grouped.*, forbid.place AS first_forbids_place, allow.place AS first_allows_place
    FROM grouped
    LEFT JOIN keys AS forbid ON forbid.position = grouped.first_forbids
    LEFT JOIN keys AS allow ON allow.position = grouped.first_allows
    """,
    "DROP TABLE grouped",
)
"""What ``duplicates.Repeats`` has of all rows with one key."""

_REPEATS: Final = """
SELECT position, forbids, groups.* EXCLUDE (identity), -1 AS other, NULL AS other_place
FROM repeated ANTI JOIN doubtful USING (position) JOIN groups ON groups.identity = repeated.identity
UNION ALL BY NAME
SELECT
    doubtful.position,
    false AS forbids,
    -1 AS first_forbids,
    -1 AS first_allows,
    false AS last_forbids,
    other,
    place AS other_place
FROM doubtful JOIN keys ON keys.position = other
ORDER BY position
"""

_COMBINED: Final = """
SELECT
    position,
    min(first) AS first,
    max({'latest': latest, 'precision': precision}).latest AS latest,
    min(day) AS day,
    max({'latest': latest, 'precision': precision}).precision AS precision
FROM times
GROUP BY position
ORDER BY position
"""

FOUND: Final = pa.schema(
    {"position": pa.int64(), "state": pa.bool_(), "changed_ms": pa.int64(), "at_ms": pa.int64()}
)
"""What Campaign's list showed of the key of a row, more than once if it showed the key again."""

_MATCHED: Final = """
CREATE TEMP TABLE matched AS
SELECT position, state, changed_ms, at_ms
FROM (
    SELECT bulk_sync_position AS position, md5_number(sync_key) AS digest
    FROM input
    WHERE sync_outcome IS NULL
)
JOIN (SELECT md5_number(key) AS digest, state, changed_ms, at_ms FROM listed) USING (digest)
"""
"""By the 16 bytes of MD5: of 100,000,000 keys of 53 bytes, which are put aside, this takes 50 s
instead of 78. Two of so many keys share it once in 10**22 files, and a text with the MD5 of a key
that Campaign made cannot be found on purpose either."""

_FOUND: Final = "FROM matched ORDER BY position, at_ms"
"""Apart from the join: sorted in one statement, 10,000,000 rows did not fit into 250 MB."""

_FAST: Final[Mapping[str, Any]] = {"compression": "lz4", "write_statistics": False}
"""How files are written that only this program reads, and soon."""

_BATCH_ROWS: Final = 1 << 16
_LEAST_BYTES: Final = 125_000_000


class Cursor:
    """Rows on disk in the order of ``position``, read a stretch at a time; or all in batches."""

    def __init__(self, batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> None:
        self._batches, self._schema = batches, schema
        self._left: list[pa.RecordBatch] = []

    def __iter__(self) -> Iterator[pa.Table]:
        return (pa.Table.from_batches([batch], self._schema) for batch in self._batches)

    def until(self, end: int) -> pa.Table:
        """Return the next rows, up to a position."""
        while not self._left or self._left[-1]["position"][-1].as_py() < end:
            batch = next(self._batches, None)
            if batch is None:
                break
            if batch.num_rows:
                self._left.append(batch)
        table = pa.Table.from_batches(self._left, self._schema)
        here = int(np.searchsorted(table["position"].to_numpy(), end))
        self._left = table.slice(here).to_batches()
        return table.slice(0, here)


class Store:
    """Parts of an input in a folder, numbered from 0, of several kinds.

    Args:
        folder: an empty folder; its owner removes it.
        memory: most bytes for the program; half of them are for DuckDB, but 125 MB at least.
        progress: is called now and then while rows are compared.

    Methods raise DiskFull if there is no room, and StoppedEarly if the memory is too small, or if a
    part is damaged or gone.
    """

    def __init__(self, folder: Path, memory: int, progress: RowProgress = lambda *_: None) -> None:
        self._folder, self._memory, self._progress = folder, memory, progress
        self._kept: dict[str, set[int]] = {}
        self._schemas: dict[str, pa.Schema] = {}
        self._writing = BackgroundTasks()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._writing.end()

    def keep(self, kind: str, number: int, table: pa.Table) -> None:
        """Write a part: in a thread, whose error a later method raises."""
        path = self._path(kind, number)
        with self._explained():
            self._writing.do(partial(pq.write_table, table, path, **_FAST))
        self._kept.setdefault(kind, set()).add(number)

    def save(self, kind: str, schema: pa.Schema, rows: Iterable[pa.RecordBatch | pa.Table]) -> None:
        """Write part 0, while its rows are made."""
        path = self._path(kind, 0)
        with self._explained(), pq.ParquetWriter(path, schema, **_FAST) as file:
            for some in rows:
                file.write(some.cast(schema))
        self._kept[kind], self._schemas[kind] = {0}, schema

    def saved(self, kind: str) -> Cursor:
        """Return what was saved, to be read from its beginning."""
        return Cursor(self._batches(kind), self._schemas[kind])

    def part(self, kind: str, number: int, names: Sequence[str] | None = None) -> pa.Table:
        """Read a part, or some of its columns."""
        with self._explained(pa.ArrowInvalid):
            self._writing.wait()
            return pq.read_table(self._path(kind, number), columns=names, memory_map=False)

    def repeats(self, *, conflicts_first: bool = False) -> Iterator[pa.RecordBatch]:
        """Yield the rows whose key, or one alike, stands in several usable rows, by position.

        With ``conflicts_first``, an opt-in whose own key is opted out too is not doubtful.

        Columns: position, forbids, first_forbids, first_allows, last_forbids as in ``Repeats``;
        other, the opt-out because of which an opt-in is doubtful, or -1; and the places of these
        three rows.
        """
        doubtful = (*_DOUBTFUL, _NOT_IN_CONFLICT) if conflicts_first else _DOUBTFUL
        statements = (*_REPEATED, *doubtful, *_GROUPS)
        return self._query("Comparing the keys", self._tables("keys"), _REPEATS, statements)

    def combined(self) -> Iterator[pa.RecordBatch]:
        """Yield the times of the rows that count for others, by position."""
        return self._query("Comparing the dates", self._tables("times"), _COMBINED)

    def found(self, folder: Path) -> Iterator[pa.RecordBatch]:
        """Yield what Campaign's list showed of the open rows, by position and time.

        The folder has the parts ``input``, judged rows with POSITION, and ``listed``, the profiles.
        """
        kinds = ("input", "listed")
        tables = {kind: sorted(folder.glob(f"{kind}-*.parquet")) for kind in kinds}
        return self._query("Comparing with Campaign's list", tables, _FOUND, (_MATCHED,))

    def _batches(self, kind: str) -> Iterator[pa.RecordBatch]:
        with self._explained(pa.ArrowInvalid), pq.ParquetFile(self._path(kind, 0)) as file:
            yield from file.iter_batches(_BATCH_ROWS)

    def _path(self, kind: str, number: int) -> Path:
        return self._folder / f"{kind}-{number:06}.parquet"

    def _tables(self, kind: str) -> Tables:
        return {kind: [self._path(kind, number) for number in sorted(self._kept[kind])]}

    def _query(
        self, what: str, tables: Tables, query: str, statements: Sequence[str] = ()
    ) -> Iterator[pa.RecordBatch]:
        with self._explained(pa.ArrowInvalid):
            self._writing.wait()
            counts = (pq.read_metadata(path).num_rows for path in chain(*tables.values()))
            rows = sum(counts)
        pa.default_memory_pool().release_unused()  # for DuckDB
        with self._explained():
            yield from rows_of(
                tables,
                self._folder / "sorting",
                max(_LEAST_BYTES, self._memory // 2),
                lambda share: self._progress(what, int(rows * share), rows),
                query,
                statements,
            )

    @contextmanager
    def _explained(self, damage: type[Exception] = OSError) -> Iterator[None]:
        try:
            yield
        except (OSError, damage) as error:
            reason = getattr(error, "strerror", None) or str(error)
            if is_disk_full(error):
                raise DiskFull(
                    f"{self._folder} has no room for the parts of the input ({reason}). Make room, "
                    "or name another folder with --state-dir, and start the command again."
                ) from error
            raise StoppedEarly(
                f"{self._folder}: the parts of the input cannot be used: {reason}. They must stay "
                "there until the command has ended. Start it again, or name another folder with "
                "--state-dir."
            ) from error
        except MemoryError as error:
            raise StoppedEarly(
                f"{self._memory // 1_000_000} MB of memory are too little for so many rows. Start "
                f"the command again with more, such as --memory {2 * self._memory // 1_000_000}MB."
            ) from error
