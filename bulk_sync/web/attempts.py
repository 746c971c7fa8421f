"""Failed sign-ins, and how long to wait after too many of them.

The first ten of a name and thirty of an address within fifteen minutes are answered as usual.
Unknown names count like others, so that the answer does not show which names exist.
"""

import secrets
from typing import Final

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from bulk_sync.settings import folded
from bulk_sync.web.database import Database, attempts, now_ms

OF_A_NAME: Final = 10
OF_AN_ADDRESS: Final = 30
WITHIN_S: Final = 15 * 60


class TooManyAttempts(Exception):
    """A name or an address failed to sign in too often, and has to wait for some seconds."""

    def __init__(self, wait_s: int) -> None:
        super().__init__(wait_s)
        self.wait_s = wait_s


class Attempts:
    """The failed sign-ins of the last fifteen minutes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, name: str, address: str) -> str:
        """Count an attempt as failed before it is judged, so that several at once all count.

        Return its id, for ``succeeded``; raise TooManyAttempts if it must not be judged.
        """
        now, attempt = now_ms(), secrets.token_hex(16)
        who = folded(name)[:200]
        with self._database.transaction() as connection:
            since = now - WITHIN_S * 1000
            connection.execute(delete(attempts).where(attempts.c.at_ms <= since))
            of_name = _times(connection, attempts.c.folded == who)
            of_address = _times(connection, attempts.c.address == address)
            waits = [
                times[-most] - since
                for times, most in ((of_name, OF_A_NAME), (of_address, OF_AN_ADDRESS))
                if len(times) >= most
            ]
            if not waits:
                row = {"id": attempt, "folded": who, "address": address, "at_ms": now}
                connection.execute(insert(attempts).values(**row))
        if waits:
            raise TooManyAttempts(max(1, -(-max(waits) // 1000)))
        return attempt

    def succeeded(self, attempt: str) -> None:
        """Count an attempt no longer: it did not fail."""
        self._database.change(delete(attempts).where(attempts.c.id == attempt))


def _times(connection: Connection, which: ColumnElement[bool]) -> list[int]:
    query = select(attempts.c.at_ms).where(which).order_by(attempts.c.at_ms)
    return list(connection.execute(query).scalars())
