"""The parts of an input that is larger than memory, and what is asked of all its rows: by DuckDB.

The parts are Parquet files of this program. DuckDB reads nothing else, sorts and joins within the
memory that it is given, and beyond that in the folder of the parts.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.parquet as pq

from bulk_sync.errors import StoppedEarly, unwritable

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

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
"""The keys of rows: what they are compared by, what counts as the same if they are alike only but
for capitals, and the place of the row."""

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

_SHARED: Final = """
CREATE TEMP TABLE shared AS
SELECT hash(alike) AS hashed FROM keys WHERE is_open GROUP BY hashed HAVING count(*) > 1
"""
"""By 8 bytes each; only what shares them is compared as text."""

_REPEATED: Final = """
CREATE TEMP TABLE repeated AS
SELECT * FROM keys WHERE is_open AND hash(alike) IN (SELECT hashed FROM shared)
"""

_DOUBTFUL: Final = """
CREATE TEMP TABLE doubtful AS
WITH
spelled AS (
    SELECT alike, identity, min(position) AS found FROM repeated WHERE forbids GROUP BY ALL
),
first_two AS (
    SELECT * FROM spelled QUALIFY row_number() OVER (PARTITION BY alike ORDER BY found) <= 2
)
SELECT position, min(found) AS other
FROM repeated JOIN first_two
ON first_two.alike = repeated.alike AND first_two.identity <> repeated.identity
WHERE NOT forbids
GROUP BY position
"""
"""Opt-ins, each with the first opt-out of a key in other capitals; none if keys are alike only if
they are the same."""

_GROUPS: Final = """
CREATE TEMP TABLE groups AS
SELECT
    identity,
    min(position) FILTER (forbids) AS first_forbids,
    min(position) FILTER (NOT forbids) AS first_allows,
    arg_max(forbids, position) AS last_forbids
FROM repeated ANTI JOIN doubtful USING (position)
GROUP BY identity
HAVING count(*) > 1
"""

_REPEATS: Final = """
SELECT
    repeated.position,
    repeated.forbids,
    coalesce(first_forbids, -1) AS first_forbids,
    coalesce(first_allows, -1) AS first_allows,
    coalesce(last_forbids, false) AS last_forbids,
    coalesce(other, -1) AS other,
    forbid.place AS first_forbids_place,
    allow.place AS first_allows_place,
    opt_out.place AS other_place
FROM repeated
LEFT JOIN doubtful USING (position)
LEFT JOIN groups ON groups.identity = repeated.identity AND other IS NULL
LEFT JOIN repeated AS forbid ON forbid.position = first_forbids
LEFT JOIN repeated AS allow ON allow.position = first_allows
LEFT JOIN repeated AS opt_out ON opt_out.position = other
WHERE other IS NOT NULL OR groups.identity IS NOT NULL
ORDER BY repeated.position
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

_SAME_ORIGINALS: Final = """
SELECT count(*) > count(DISTINCT (place.original_file, place.original_row))
FROM keys WHERE place.original_row <> ''
"""

_BATCH_ROWS: Final = 1 << 16
_TABLES: Final = ("keys", "times")


class Store:
    """Parts of an input in a folder, numbered from 0, of several kinds.

    Args:
        folder: an empty folder; its owner removes it.
        memory: bytes that DuckDB may take.

    Methods raise DiskFull if there is no room, and StoppedEarly if the memory is too small.
    """

    def __init__(self, folder: Path, memory: int) -> None:
        self._folder, self._memory = folder, memory

    def keep(self, kind: str, number: int, table: pa.Table) -> None:
        """Write a part, or replace it."""
        with self._explained():
            pq.write_table(table, self._path(kind, number), compression="lz4")

    def writer(self, kind: str, schema: pa.Schema) -> pq.ParquetWriter:
        """Return a writer of part 0, for rows in batches."""
        return pq.ParquetWriter(self._path(kind, 0), schema, compression="lz4")

    def part(self, kind: str, number: int, names: Sequence[str] | None = None) -> pa.Table:
        """Read a part, or some of its columns."""
        return pq.read_table(self._path(kind, number), columns=names, memory_map=False)

    def batches(self, kind: str) -> Iterator[pa.RecordBatch]:
        """Read part 0 in batches."""
        with pq.ParquetFile(self._path(kind, 0)) as file:
            yield from file.iter_batches(_BATCH_ROWS)

    def repeats(self) -> Iterator[pa.RecordBatch]:
        """Yield the rows whose key, or one alike, stands in several usable rows, by position.

        Columns: position, forbids, first_forbids, first_allows and last_forbids as
        ``duplicates.Repeats`` has them; other, the opt-out because of which an opt-in is doubtful,
        or -1; and the places of these three rows.
        """
        with self._connected() as database:
            for statement in (_SHARED, _REPEATED, _DOUBTFUL, _GROUPS):
                database.execute(statement)
            yield from _batches(database, _REPEATS)

    def combined(self) -> Iterator[pa.RecordBatch]:
        """Yield the times of the rows that count for others, by position."""
        with self._connected() as database:
            yield from _batches(database, _COMBINED)

    def has_same_originals(self) -> bool:
        """Return whether two rows come from the same place of an original file."""
        with self._connected() as database:
            (found,) = database.execute(_SAME_ORIGINALS).fetchone() or (False,)
        return bool(found)

    def _path(self, kind: str, number: int) -> Path:
        return self._folder / f"{kind}-{number:06}.parquet"

    @contextmanager
    def _connected(self) -> "Iterator[DuckDBPyConnection]":
        import duckdb  # noqa: PLC0415 - few inputs are so large

        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": f"{self._memory}B",
            "temp_directory": str(self._folder / "sorting"),
            "preserve_insertion_order": False,
            "autoinstall_known_extensions": False,
            "autoload_known_extensions": False,
        }
        with self._explained(), duckdb.connect(config=settings) as database:
            database.execute("SET allowed_directories = [$folder]", {"folder": str(self._folder)})
            database.execute("SET enable_external_access = false")
            for kind in _TABLES:
                if self._path(kind, 0).is_file():
                    parts = str(self._folder / f"{kind}-*.parquet")
                    database.read_parquet(parts).create_view(kind)
            yield database

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turn errors of the disk, and of memory, into sentences."""
        try:
            yield
        except OSError as error:
            raise unwritable(
                error,
                f"{self._folder} has no room for the parts of the input ({error.strerror}). Make "
                "room, or name another folder with --state-dir.",
                StoppedEarly,
            ) from error


def _batches(database: "DuckDBPyConnection", statement: str) -> Iterator[pa.RecordBatch]:
    reader: pa.RecordBatchReader = database.sql(statement).to_arrow_reader(_BATCH_ROWS)
    yield from reader
