"""Sessions: who is signed in, by a cookie with 256 random bits; stored is only their SHA-256."""

import secrets
from hashlib import sha256
from typing import Final

from sqlalchemy import delete, insert, select, update

from bulk_sync.settings import folded
from bulk_sync.web.accounts import Accounts
from bulk_sync.web.database import Database, now_ms, sessions
from bulk_sync.web.identity import Person, Role

IDLE_S: Final = 2 * 3600
"""A session that is not used for so long has ended."""
LONGEST_S: Final = 12 * 3600
"""A session ends after so long: a working day."""
_SEEN_EVERY_S: Final = 60
"""Use is noted so often: not each page has to be written down."""

_PASSWORD: Final = "password"  # noqa: S105 - an origin
_TOKEN: Final = "token"  # noqa: S105 - an origin


class Sessions:
    """The sessions in the database of the page; if there is no account, a token signs in."""

    def __init__(self, database: Database, accounts: Accounts, *, allows_token: bool) -> None:
        self._database, self._accounts = database, accounts
        token = secrets.token_urlsafe(32) if allows_token else None
        self.token = token
        """For the URL that signs in once; None without one."""
        self._token_sha256 = None if token is None else _hashed(token)

    def begin(self, person: Person) -> str:
        """Begin a session after a sign-in by password, and return its id for the cookie."""
        return self._begin(person.name, _PASSWORD)

    def redeem(self, token: str, name: str) -> str | None:
        """Begin the session of the token; return None if it is not that token, or was used."""
        expected = self._token_sha256
        if expected is None or not secrets.compare_digest(_hashed(token), expected):
            return None
        self._token_sha256 = None
        return None if self._accounts.are_there() else self._begin(name, _TOKEN)

    def find(self, session_id: str) -> Person | None:
        """Return who is signed in with a session; None if it has ended, or never began."""
        now, hashed = now_ms(), _hashed(session_id)
        found = self._database.rows(select(sessions).where(sessions.c.id_sha256 == hashed))
        if not found:
            return None
        session = found[0]
        is_idle = now - session.seen_ms > IDLE_S * 1000
        if is_idle or now - session.began_ms > LONGEST_S * 1000:
            self.end(session_id)
            return None
        if now - session.seen_ms > _SEEN_EVERY_S * 1000:
            use = update(sessions).where(sessions.c.id_sha256 == hashed)
            self._database.change(use.values(seen_ms=now))
        if session.origin != _TOKEN:
            return self._accounts.find(session.name)
        if self.token is None or self._accounts.are_there():
            return None
        return Person(session.name, frozenset(Role))

    def end(self, session_id: str) -> None:
        """End a session."""
        gone = delete(sessions).where(sessions.c.id_sha256 == _hashed(session_id))
        self._database.change(gone)

    def _begin(self, name: str, origin: str) -> str:
        session_id, now = secrets.token_urlsafe(32), now_ms()
        row = {"folded": folded(name), "name": name, "origin": origin}
        with self._database.transaction() as connection:
            old = now - LONGEST_S * 1000
            connection.execute(delete(sessions).where(sessions.c.began_ms < old))
            new = insert(sessions).values(id_sha256=_hashed(session_id), **row)
            connection.execute(new.values(began_ms=now, seen_ms=now))
        return session_id


def _hashed(secret: str) -> str:
    return sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()
