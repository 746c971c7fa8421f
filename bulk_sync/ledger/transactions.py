"""One connection to the ledger's database, for one transaction at a time, from any thread.

If the server goes away the ledger is gone with it, locks included.
"""

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from sqlite3 import SQLITE_FULL
from typing import Any, Final

from sqlalchemy import Connection, Select
from sqlalchemy.exc import SQLAlchemyError

from bulk_sync.errors import DiskFull, LedgerAway, StoppedEarly, UsageProblem
from bulk_sync.ledger import availability

_DISK_FULL: Final = "53100"
"""PostgreSQL's error code."""

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
        with self._transaction(UsageProblem) as connection, connection.execute(streamed) as rows:
            yield from rows.partitions()

    def lend(self) -> AbstractContextManager[Connection]:
        """Lend the connection for one transaction; raise UsageProblem if the database refuses."""
        return self._transaction(UsageProblem)

    def _rows(self, query: Select[Any]) -> Sequence[Any]:
        with self._transaction(UsageProblem) as connection:
            return connection.execute(query).all()

    @contextmanager
    def _transaction(self, stop: type[StoppedEarly | UsageProblem]) -> Iterator[Connection]:
        """Run the block in a transaction; raise ``stop`` if the database refuses."""
        with self._exclusive(stop) as connection, connection.begin():
            yield connection

    @contextmanager
    def _exclusive(self, stop: type[StoppedEarly | UsageProblem]) -> Iterator[Connection]:
        """Lend the connection to one thread; raise ``stop`` if the database refuses."""
        with self._turn:
            if not self._is_open:
                raise StoppedEarly(f"The ledger {self.name} is closed: the run is ending.")
            try:
                yield self._connection
            except SQLAlchemyError as error:
                message = database_message(error)
                if availability.was_lost(error):
                    raise LedgerAway(self.name, message) from error
                kind = DiskFull if is_full(error) else stop
                raise kind(f"The ledger {self.name} cannot be used: {message}.") from error


def is_full(error: Exception) -> bool:
    """Return whether a database, or the disk below it, has no room."""
    found = getattr(error, "orig", None) or error
    code = getattr(found, "sqlite_errorcode", None)
    return code == SQLITE_FULL or getattr(found, "sqlstate", None) == _DISK_FULL


def database_message(error: Exception) -> str:
    """Return the message of a database in one line, without the statement and its values."""
    text = str(getattr(error, "orig", None) or error)
    return " ".join(text.split()).rstrip(".")
