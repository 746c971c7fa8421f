"""DuckDB at work: in a thread of its own, so that a signal stops it and a bar can move.

It reads the Parquet files that are its tables, puts aside what does not fit into memory, and reads
nothing else: no other file, no extension. Its errors of disk and memory become those of Python.
"""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa

from bulk_sync.errors import FULL

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_T = TypeVar("_T")

_LOOK_EVERY_S: Final = 0.2
_BATCH_ROWS: Final = 1 << 16
_THREAD_BYTES: Final = 200_000_000
"""With less for each thread, statements may find no room for their buffers: of 10,000,000 rows with
1 % repeated keys, two threads in 250 MB could not count the keys, and one in 125 MB could."""

Tables = Mapping[str, Sequence[Path]]
"""Parquet files by the name of their table."""

Progress = Callable[[float], object]
"""Is called with the share of the work that is done."""


def rows_of(
    tables: Tables,
    aside: Path,
    memory: int,
    progress: Progress,
    query: str,
    statements: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Execute statements, and yield the rows of a query; signals are raised meanwhile.

    What does not fit into so many bytes of memory goes to the folder ``aside``.

    Raises:
        OSError: the folder has no room, or a file cannot be read.
        MemoryError: the memory is too small for a statement.
    """
    done, steps = 0, len(statements) + 1
    with _connected(tables, aside, memory) as database, ThreadPoolExecutor(1) as thread:

        def do(step: Callable[..., _T], *given: Any) -> _T:
            doing = thread.submit(step, *given)
            while not wait([doing], _LOOK_EVERY_S).done:
                percent = max(0.0, database.query_progress())
                progress((done + percent / 100) / steps)
            return doing.result()

        try:
            for statement in statements:
                do(_execute, database, statement)
                done += 1
            reader = do(lambda: database.sql(query).to_arrow_reader(_BATCH_ROWS))
            while (batch := do(next, reader, None)) is not None:
                yield batch
        finally:
            database.interrupt()


def _execute(database: "DuckDBPyConnection", statement: str) -> None:
    database.execute(statement)


@contextmanager
def _connected(tables: Tables, aside: Path, memory: int) -> "Iterator[DuckDBPyConnection]":
    """Open a connection, and turn its errors into those of ``rows_of``."""
    import duckdb  # noqa: PLC0415 - few inputs are so large

    settings: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{memory}B",
        "threads": max(1, min(os.cpu_count() or 1, memory // _THREAD_BYTES)),
        "temp_directory": str(aside),
        "max_temp_directory_size": "1000TB",  # by default, a full disk is an error of memory
        "preserve_insertion_order": False,
        "python_enable_replacements": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    try:
        with duckdb.connect(config=settings) as database:
            database.execute("SET enable_progress_bar = true")  # or there is none to ask for
            database.execute("SET enable_progress_bar_print = false")
            files = [str(path) for paths in tables.values() for path in paths]
            database.execute("SET allowed_paths = $files", {"files": files})
            database.execute("SET enable_external_access = false")
            database.execute("SET lock_configuration = true")
            for name, paths in tables.items():
                database.read_parquet([*map(str, paths)]).create_view(name)
            yield database
    except duckdb.OutOfMemoryException as error:
        raise MemoryError(str(error)) from error
    except duckdb.Error as error:
        if type(error) not in {duckdb.IOException, duckdb.InvalidInputException, duckdb.Error}:
            raise
        raise _os_error(str(error)) from error  # the last two: a file is no Parquet


def _os_error(text: str) -> OSError:
    """Return an error of the file system; DuckDB gives the words of the C library alone."""
    for number in FULL:
        if os.strerror(number) in text:
            return OSError(number, os.strerror(number))
    return OSError(text.partition("\n")[0])
