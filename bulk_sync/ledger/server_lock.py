"""The lock of a database server: for runs on different machines that share a ledger.

Only PostgreSQL has a lock that dies with its connection. It is taken on the ledger's own
connection: a run without the lock has no ledger either, and can write nothing any more.
"""

import time
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, delete, insert, select, text

from bulk_sync.errors import AnotherRun
from bulk_sync.ledger.schema import holders

_POLL_S: Final = 0.5


def take(connection: Connection, lock: str, holder: str, wait_s: float) -> None:
    """Take a lock for as long as the connection lasts; other databases have none.

    Args:
        connection: the ledger's.
        lock: its name.
        holder: the run and its machine, for other people to read.
        wait_s: how long to wait for it.

    Raises:
        AnotherRun: another run holds it.
    """
    if connection.dialect.name != "postgresql":
        return
    number = int.from_bytes(sha256(lock.encode()).digest()[:8], signed=True)
    give_up = time.monotonic() + wait_s
    while not _try(connection, number):
        if time.monotonic() >= give_up:
            raise AnotherRun(_who(connection, lock))
        time.sleep(_POLL_S)
    with connection.begin():
        connection.execute(delete(holders).where(holders.c.lock == lock))
        connection.execute(insert(holders).values(lock=lock, holder=holder))


def free(connection: Connection) -> None:
    """Give all locks back at once: a server notices only later that a connection is gone."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_unlock_all()"))


def _try(connection: Connection, number: int) -> bool:
    with connection.begin():
        locked = text("SELECT pg_try_advisory_lock(:number)")
        return bool(connection.execute(locked, {"number": number}).scalar())


def _who(connection: Connection, lock: str) -> str:
    with connection.begin():
        found = connection.execute(select(holders.c.holder).where(holders.c.lock == lock)).scalar()
    return str(found or "")
