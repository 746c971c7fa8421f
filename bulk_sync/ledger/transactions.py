"""One connection to the ledger's database, for one transaction at a time, from any thread.

If the server goes away the ledger is gone with it, locks included.
"""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from sqlite3 import (
    SQLITE_AUTH,
    SQLITE_BUSY,
    SQLITE_CANTOPEN,
    SQLITE_FULL,
    SQLITE_IOERR,
    SQLITE_LOCKED,
    SQLITE_NOMEM,
    SQLITE_PERM,
    SQLITE_READONLY,
)
from tempfile import TemporaryFile
from typing import Any, Final

from sqlalchemy import Connection, Select
from sqlalchemy.exc import SQLAlchemyError

from bulk_sync.errors import (
    DiskFull,
    LedgerAway,
    StoppedEarly,
    StopRun,
    UsageProblem,
    clause,
    interruption,
    is_disk_full,
)
from bulk_sync.ledger import availability

_DISK_FULL: Final = "53100"
_LOCK_TIMEOUT: Final = "55P03"
"""PostgreSQL's error codes."""

_PRIMARY: Final = 0xFF
"""The part of SQLite's error codes that is the same for all errors of one kind."""

_OF_ACCESS: Final = frozenset({
    SQLITE_AUTH, SQLITE_BUSY, SQLITE_CANTOPEN, SQLITE_IOERR, SQLITE_LOCKED, SQLITE_NOMEM,
    SQLITE_PERM, SQLITE_READONLY,
})  # fmt: skip
"""Errors that say nothing of what a ledger holds."""

_SHARED_BYTES: Final = 32_768
"""How much SQLite wants for that file."""

BATCH_ROWS: Final = 10_000


class Transactions:
    """The connection of an open ledger; ``name`` is for messages, without a password."""

    def __init__(self, connection: Connection, name: str) -> None:
        self.name = name
        self._connection = connection
        self._turn = threading.RLock()
        self._is_open = True

    def close(self) -> None:
        """Wait for the transaction of another thread, and allow no further one.

        A driver may crash the process if its connection is closed under a statement.
        """
        with self._turn:
            self._is_open = False

    def batches(self, query: Select[Any]) -> Generator[Sequence[Any], None, None]:
        """Yield the rows of a query in batches, in one transaction; memory: one batch."""
        streamed = query.execution_options(yield_per=BATCH_ROWS)
        with self.transaction() as connection, connection.execute(streamed) as rows:
            yield from rows.partitions()

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self.transaction() as connection:
            return connection.execute(query).all()

    @contextmanager
    def transaction(
        self, stop: type[StoppedEarly | UsageProblem] = UsageProblem
    ) -> Iterator[Connection]:
        """Run the block in a transaction; raise ``stop`` if the database refuses."""
        with self.exclusive(stop) as connection, connection.begin():
            yield connection

    @contextmanager
    def exclusive(
        self, stop: type[StoppedEarly | UsageProblem] = UsageProblem
    ) -> Iterator[Connection]:
        """Lend the connection to one thread; raise ``stop`` if the database refuses."""
        with self._turn:
            if not self._is_open:
                raise StoppedEarly(f"The ledger {self.name} is closed: the run is ending.")
            try:
                yield self._connection
            except SQLAlchemyError as error:
                raise failure(error, self.name, "used", stop) from error


def failure(error: Exception, name: str, what: str, otherwise: type[StopRun]) -> StopRun:
    """Return what an error of a ledger's file or server means; it cannot be ``what``, such as used.

    Raise the signal behind it, if one came in the middle of a statement.
    """
    if (signal := interruption(error)) is not None:
        raise signal from None
    message = error.strerror if isinstance(error, OSError) else database_message(error)
    if isinstance(error, SQLAlchemyError) and availability.was_lost(error):
        return LedgerAway(name, database_message(error))
    kind = DiskFull if _is_full(error, name) or is_disk_full(error) else otherwise
    return kind(f"The ledger {name} cannot be {what}: {message}. {_next_step(kind, error)}")


def _next_step(kind: type[StopRun], error: Exception) -> str:
    if kind is DiskFull:
        return "Make room there."
    state = getattr(getattr(error, "orig", None), "sqlstate", None)
    if _code(error) == SQLITE_BUSY or state == _LOCK_TIMEOUT:
        return "Another program is using it; try again when that has ended."
    if _code(error) in {SQLITE_CANTOPEN, SQLITE_PERM}:
        return (
            "See that you may read it, and its -wal and -shm beside it, if they are there; or copy "
            "all three to where you may write. Look at --state-dir and --ledger."
        )
    return "Look at --state-dir and --ledger."


def _code(error: BaseException | None) -> int | None:
    """Return the kind of an error of SQLite, also in one of SQLAlchemy; None for all others."""
    code = getattr(getattr(error, "orig", None) or error, "sqlite_errorcode", None)
    return None if code is None else int(code) & _PRIMARY


def is_of_access(error: BaseException | None) -> bool:
    """Return whether a ledger's file cannot be read now, or by this user: that is no damage."""
    return isinstance(error, OSError) or _code(error) in _OF_ACCESS


def _is_full(error: Exception, ledger: str) -> bool:
    """Return whether a database has no room, or the disk below it; SQLite is named by its path."""
    found = getattr(error, "orig", None) or error
    if _code(error) == SQLITE_IOERR:
        return _has_no_room(Path(ledger).parent)
    return _code(error) == SQLITE_FULL or getattr(found, "sqlstate", None) == _DISK_FULL


def _has_no_room(folder: Path) -> bool:
    """Return whether a folder has no room for a page: SQLite does not say why a file is too short.

    That is so for the file beside the ledger through which its readers and writers share memory.
    """
    try:
        with TemporaryFile(dir=folder, buffering=0) as file:
            file.write(bytes(_SHARED_BYTES))
    except OSError as error:
        return is_disk_full(error)
    return False


def database_message(error: Exception) -> str:
    """Return the message of a database in one line, without the statement and its values."""
    text = str(getattr(error, "orig", None) or error)
    return clause(" ".join(text.split()))
