"""The hash chain: each line carries the SHA-256 over itself and the line before. Pure.

    hash(n) = SHA-256( hash(n - 1)  newline  every column of line n as a JSON array )

Columns of newer schemas are hashed up to the last one with a value, so older lines keep their hash.
An array of another length is another text, so a value put in or taken out is noticed.

A line cannot be edited, removed, inserted or moved without every later hash being wrong. A chain
alone cannot show that its end was cut off: its last position and hash are kept outside as well
(``anchor.py``), and every run prints them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import orjson

from bulk_sync.ledger.schema import FIRST_COLUMNS

NOTHING: Final = "0" * 64
"""The hash before the first line."""


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a chain: the position of its last line (0 if there is none), and its hash."""

    position: int = 0
    hash: str = NOTHING

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Parse the text of a head.

        Raises:
            ValueError: it is no such text.
        """
        position, _, digest = text.strip().partition(":")
        if len(digest) != len(NOTHING) or not set(digest) <= set("0123456789abcdef"):
            raise ValueError(f"{text!r} is not a line number, a colon and 64 hexadecimal digits")
        return cls(int(position), digest)


@dataclass(frozen=True, slots=True)
class Misfit:
    """The first line that does not fit.

    Attributes:
        position: in the chain.
        problem: a sentence for a person.
    """

    position: int
    problem: str


def link(previous: str, line: Sequence[object]) -> str:
    """Hash a line, position first and without its own hash, together with the hash before it."""
    end = len(line)
    while end > FIRST_COLUMNS and line[end - 1] is None:
        end -= 1
    body = orjson.dumps(line[:end], default=repr)
    return sha256(previous.encode() + b"\n" + body).hexdigest()


class Walk:
    """Follows a chain from its beginning, a line at a time, and stops at the first misfit."""

    def __init__(self) -> None:
        self.head = Head()

    def follow(self, lines: Iterable[Sequence[object]], heads: Iterable[Head]) -> Misfit | None:
        """Walk to the end.

        Args:
            lines: every column of each line, position first and hash last, in order of position.
            heads: ends of this chain noted elsewhere at some time.

        Returns:
            The first line that does not fit; None if all do, and every head is on the way.
        """
        noted: dict[int, set[str]] = {}
        for head in heads:
            if head.position:
                noted.setdefault(head.position, set()).add(head.hash)
        for *body, digest in lines:
            expected = self.head.position + 1
            if body[0] != expected:
                return Misfit(expected, f"is missing; line {body[0]} comes next")
            # No honest line holds a float. JSON writes infinity as null, so it is spelled out.
            cells = [repr(cell) if isinstance(cell, float) else cell for cell in body]
            if digest != link(self.head.hash, cells):
                return Misfit(expected, "was changed, or does not belong where it stands")
            self.head = Head(expected, str(digest))
            if not noted.pop(expected, set()) <= {digest}:
                return Misfit(expected, "was written anew: it once had another hash")
        if noted:
            first = self.head.position + 1
            return Misfit(first, f"is missing: the end was cut off, {max(noted)} lines were there")
        return None
