"""The hash chain: each line has the SHA-256 over itself and the line before. Pure.

    hash(n) = SHA-256( hash(n - 1)  newline  every column of line n as a JSON array )

Columns of newer schemas are hashed up to the last one with a value, so older lines keep their hash.
An array of another length is another text: a value put in or taken out changes the hash.

If a line is edited, removed, inserted or moved, a later hash is wrong. The chain alone cannot show
a missing end. For this, the last position and hash are also kept outside it (``anchor.py``), and
every run prints them.
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
    """The end of a chain: the position of its last line (0 if it is empty), and its hash."""

    position: int = 0
    hash: str = NOTHING

    def __str__(self) -> str:
        return f"{self.position}:{self.hash}"

    @classmethod
    def parse(cls, text: str) -> "Head":
        """Read the text of a head; raise ValueError if it is something else."""
        position, _, digest = text.strip().partition(":")
        if len(digest) != len(NOTHING) or not set(digest) <= set("0123456789abcdef"):
            raise ValueError(f"{text!r} is not a line number, a colon and 64 hexadecimal digits")
        return cls(int(position), digest)


@dataclass(frozen=True, slots=True)
class Misfit:
    """The first line with a problem, in words for a person."""

    position: int
    problem: str


def link(previous: str, line: Sequence[object]) -> str:
    """Hash a line, position first and without its own hash, together with the hash before it."""
    end = len(line)
    while end > FIRST_COLUMNS and line[end - 1] is None:
        end -= 1
    body = orjson.dumps(line[:end], default=repr)
    return sha256(previous.encode() + b"\n" + body).hexdigest()


def walk(
    lines: Iterable[Sequence[object]], heads: Iterable[Head] = (), start: Head | None = None
) -> tuple[Head, Misfit | None]:
    """Walk along a chain from its beginning; return how far it fits, and the first misfit.

    Args:
        lines: every column of each line, position first and hash last, in order of position.
        heads: earlier ends of this chain, noted elsewhere; each must be on the way.
        start: the end of the lines that fit already; ``lines`` are those after it.
    """
    noted: dict[int, set[str]] = {}
    for head in heads:
        if head.position:
            noted.setdefault(head.position, set()).add(head.hash)
    end = start or Head()
    for *body, digest in lines:
        expected = end.position + 1
        if body[0] != expected:
            return end, Misfit(expected, f"is missing; line {body[0]} comes next")
        # JSON has no infinity, and would write null: a forged number must change the hash.
        cells = [repr(cell) if isinstance(cell, float) else cell for cell in body]
        if digest != link(end.hash, cells):
            return end, Misfit(expected, "was changed, or does not belong where it stands")
        end = Head(expected, str(digest))
        if not noted.pop(expected, set()) <= {digest}:
            return end, Misfit(expected, "was written anew: it once had another hash")
    if noted:
        lost = f"is missing: the end was cut off, {max(noted)} lines were there"
        return end, Misfit(end.position + 1, lost)
    return end, None
