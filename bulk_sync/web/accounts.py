"""Accounts: names, passwords hashed by argon2, and roles.

A wrong password and an unknown name get the same answer in the same time.
"""

from functools import cache
from secrets import token_urlsafe
from typing import TYPE_CHECKING, Final, NamedTuple

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from bulk_sync.errors import UsageProblem
from bulk_sync.settings import folded
from bulk_sync.web.database import Database, now_ms, sessions, users
from bulk_sync.web.identity import Person, Role

if TYPE_CHECKING:
    from argon2 import PasswordHasher

SHORTEST_PASSWORD: Final = 8
"""Characters, as OWASP ASVS 5.0, 6.2.1 has it: few guesses of a name are answered at all."""
LONGEST_PASSWORD: Final = 1024
"""Characters; argon2 takes its time with more."""
_LONGEST_NAME: Final = 100


class Account(NamedTuple):
    """An account, without its password."""

    name: str
    role: Role
    added_ms: int


class Accounts:
    """The accounts in the database of the page."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str, role: Role, password: str) -> None:
        """Add an account; raise UsageProblem if the name is taken, or the password too short."""
        _check(name, password)
        row = {"folded": folded(name), "name": name, "role": str(role), "added_ms": now_ms()}
        try:
            self._database.change(insert(users).values(**row, password=_hasher().hash(password)))
        except UsageProblem as problem:
            if not isinstance(problem.__cause__, IntegrityError):
                raise
            raise UsageProblem(
                f"There is an account {name!r} already. `bulk-sync users password {name!r}` "
                "changes its password; to change its role, remove it first."
            ) from problem

    def list(self) -> list[Account]:
        """Return all accounts by name."""
        query = select(users.c.name, users.c.role, users.c.added_ms).order_by(users.c.folded)
        return [Account(name, Role(role), at) for name, role, at in self._database.rows(query)]

    def are_there(self) -> bool:
        """Return whether there is any account."""
        return bool(self._database.rows(select(func.count()).select_from(users))[0][0])

    def remove(self, name: str) -> None:
        """Remove an account, and end its sessions; raise UsageProblem if there is none."""
        self._known(
            self._database.change(delete(users).where(users.c.folded == folded(name))), name
        )
        self.end_sessions(name)

    def set_password(self, name: str, password: str) -> None:
        """Change a password, and end all sessions; raise UsageProblem if there is no account."""
        _check(name, password)
        changed = update(users).where(users.c.folded == folded(name))
        self._known(self._database.change(changed.values(password=_hasher().hash(password))), name)
        self.end_sessions(name)

    def end_sessions(self, name: str) -> int:
        """End all sessions of a person, and return how many there were."""
        return self._database.change(delete(sessions).where(sessions.c.folded == folded(name)))

    def sign_out(self, name: str) -> int:
        """End all sessions of a person; raise UsageProblem if the name is unknown."""
        ended = self.end_sessions(name)
        self._known(ended or self.find(name) is not None, name)
        return ended

    def find(self, name: str) -> Person | None:
        """Return the person with an account, with the role of now; None if there is none."""
        query = select(users.c.name, users.c.role).where(users.c.folded == folded(name))
        for known, role in self._database.rows(query):
            return Person(known, frozenset({Role(role)}))
        return None

    def check(self, name: str, password: str) -> Person | None:
        """Return the person if the password is right; None if it, or the name, is wrong."""
        from argon2.exceptions import VerificationError  # noqa: PLC0415 - an extra

        query = select(users.c.name, users.c.role, users.c.password)
        nobody = "", Role.VIEWER, _of_nobody()
        found = self._database.rows(query.where(users.c.folded == folded(name)))
        known, role, hashed = found[0] if found else nobody
        try:
            _hasher().verify(hashed, password[:LONGEST_PASSWORD])
        except VerificationError:
            return None
        return Person(known, frozenset({Role(role)})) if found else None

    def _known(self, changed: int, name: str) -> None:
        if not changed:
            names = ", ".join(account.name for account in self.list()) or "none"
            raise UsageProblem(f"There is no account {name!r}. There are: {names}.")


def require_argon2() -> None:
    """Raise UsageProblem if the package for passwords is missing."""
    try:
        _hasher()
    except ModuleNotFoundError as error:
        raise UsageProblem(
            f"The page needs the package {error.name}: pip install 'bulk-sync[web]'."
        ) from error


@cache
def _hasher() -> "PasswordHasher":
    from argon2 import PasswordHasher  # noqa: PLC0415 - an extra

    return PasswordHasher()


@cache
def _of_nobody() -> str:
    """Return the hash of a made-up password, which takes as long to verify as any other."""
    return _hasher().hash(token_urlsafe())


def _check(name: str, password: str) -> None:
    if not name.strip() or len(name) > _LONGEST_NAME or not name.isprintable():
        raise UsageProblem(
            f"{name!r} cannot be the name of an account: write a name of up to {_LONGEST_NAME} "
            "printable characters."
        )
    if not SHORTEST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise UsageProblem(
            f"A password has {SHORTEST_PASSWORD} to {LONGEST_PASSWORD:,} characters; this one has "
            f"{len(password):,}. A few words in a row are easy to keep in mind."
        )
