"""People, their roles, and the rights of each role.

right     viewer  uploader  approver  admin
READ        x        x         x        x     read, download, search people, verify
PREPARE              x                  x     upload, compare, ask, stop, retry, ask for undo
RESUME               x         x        x
APPROVE                        x        x     approve, send back
RAISE                                   x     raise limits with a reason
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from bulk_sync.settings import folded


class Role(StrEnum):
    """What a person is to the page."""

    VIEWER = "viewer"
    UPLOADER = "uploader"
    APPROVER = "approver"
    ADMIN = "admin"


class Right(StrEnum):
    """What a path needs."""

    NONE = "no sign-in"
    READ = "read"
    PREPARE = "upload, compare and ask for approval"
    RESUME = "resume a run"
    APPROVE = "approve a plan or send it back"
    RAISE = "raise a limit"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.VIEWER: frozenset({Right.READ}),
    Role.UPLOADER: frozenset({Right.READ, Right.PREPARE, Right.RESUME}),
    Role.APPROVER: frozenset({Right.READ, Right.RESUME, Right.APPROVE}),
    Role.ADMIN: frozenset(Right) - {Right.NONE},
}


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who is signed in.

    Attributes:
        name: as it stands in the ledger and in reports.
        roles: at least one.
    """

    name: str
    roles: frozenset[Role]

    def may(self, right: Right) -> bool:
        """Return whether one of the roles has a right."""
        return right is Right.NONE or any(right in RIGHTS[role] for role in self.roles)

    def is_same(self, name: str) -> bool:
        """Return whether a name is this person's, capitals and blanks aside."""
        return folded(self.name) == folded(name)


def roles_of(words: Iterable[str]) -> frozenset[Role]:
    """Return the roles among some words, such as the groups that a proxy names."""
    known = {str(role): role for role in Role}
    return frozenset(known[word] for each in words if (word := each.strip().lower()) in known)
