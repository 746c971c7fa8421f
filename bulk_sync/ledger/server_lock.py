"""The lock of a database server, for runs on different machines with one ledger.

Only PostgreSQL has a lock that ends with its connection. It is taken on the ledger's own
connection: a run that loses the lock loses the ledger too, and can write nothing more.
"""

import time
from hashlib import sha256
from typing import Final

from sqlalchemy import Connection, delete, insert, select, text

from bulk_sync.errors import AnotherRun
from bulk_sync.ledger.schema import holders

_POLL_S: Final = 0.5

_HELD: Final = text(
    "SELECT classid::bigint << 32 | objid::bigint FROM pg_locks WHERE locktype = 'advisory' AND"
    " objsubid = 1 AND granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)
"""The numbers of the locks that are held in this database, by whatever program."""


def take(connection: Connection, lock: str, holder: str, wait_s: float) -> None:
    """Take a lock until it is released; do nothing on databases without locks.

    ``holder`` is for others to read. Raise AnotherRun if another run holds it for all of
    ``wait_s``.
    """
    if connection.dialect.name != "postgresql":
        return
    give_up = time.monotonic() + wait_s
    while not _try_acquire(connection, _number(lock)):
        if time.monotonic() >= give_up:
            with connection.begin():
                found = select(holders.c.holder).where(holders.c.lock == lock)
                raise AnotherRun(str(connection.execute(found).scalar() or ""))
        time.sleep(_POLL_S)
    with connection.begin():
        connection.execute(delete(holders).where(holders.c.lock == lock))
        connection.execute(insert(holders).values(lock=lock, holder=holder))


def release(connection: Connection, lock: str) -> None:
    """Release a lock, and forget its holder."""
    if connection.dialect.name == "postgresql":
        connection.execute(delete(holders).where(holders.c.lock == lock))
        connection.execute(text("SELECT pg_advisory_unlock(:number)"), {"number": _number(lock)})


def find_holders(connection: Connection) -> list[str]:
    """Return who holds a lock now, on any machine; empty on databases without locks."""
    if connection.dialect.name != "postgresql":
        return []
    held = set(connection.execute(_HELD).scalars())
    found = connection.execute(select(holders.c.lock, holders.c.holder))
    return [holder for lock, holder in found if _number(lock) in held]


def free(connection: Connection) -> None:
    """Release all locks at once: a server notices a closed connection only later."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_unlock_all()"))


def _number(lock: str) -> int:
    return int.from_bytes(sha256(lock.encode()).digest()[:8], signed=True)


def _try_acquire(connection: Connection, number: int) -> bool:
    with connection.begin():
        query = text("SELECT pg_try_advisory_lock(:number)")
        return bool(connection.execute(query, {"number": number}).scalar())
