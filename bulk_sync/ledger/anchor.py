"""A note outside the ledger of where its chain ended: a missing end does not go unnoticed.

    {"ledger": "sqlite:////...", "position": 1204, "hash": "9f86..."}

The note only moves forward along the chain, and a chain without the noted line is not continued:
``ledger verify`` shows what is wrong, and a person decides.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from bulk_sync.errors import LedgerProblem
from bulk_sync.ledger.chain import Head
from bulk_sync.storage import atomic


@dataclass(frozen=True, slots=True)
class Anchor:
    """The note about one ledger; ``ledger`` is its URL without the password."""

    path: Path
    ledger: str

    def head(self) -> Head | None:
        """Return the noted end; None if there is no note yet.

        Raise LedgerProblem if it cannot be read.
        """
        try:
            noted = orjson.loads(self.path.read_bytes())
            return Head(int(noted["position"]), str(noted["hash"]))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise LedgerProblem(
                f"{self.path}, the note of where the ledger ended, cannot be read: "
                f"{error.strerror}. See that you may read it, as the ledger beside it."
            ) from error
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerProblem(
                f"{self.path}, the note of where the ledger ended, cannot be read ({error}). "
                "Without it `bulk-sync ledger verify` cannot prove that the end of the ledger is "
                "complete. Find out what happened to it; move it away to go on."
            ) from error

    def check(self, hash_at: Callable[[int], str | None]) -> None:
        """Raise LedgerProblem if a ledger lacks the noted end: nothing may be added then.

        ``hash_at`` returns the hash of its line at a position; None if there is no such line.
        """
        noted = self.head()
        if noted is not None and hash_at(noted.position) != noted.hash:
            raise LedgerProblem(
                f"The ledger {self.ledger} no longer holds what it held before "
                f"({noted.position:,} lines), so nothing is added to it and nothing was sent. "
                "`bulk-sync ledger verify` shows where. Bring the ledger back; or, to go on with "
                f"it as it is, move {self.path} away, and keep it with your records."
            )

    def move(self, head: Head) -> None:
        """Write a new end; raise OSError if it cannot be written."""
        note = {"ledger": self.ledger, "position": head.position, "hash": head.hash}
        with atomic.replacing(self.path) as file:
            file.write(orjson.dumps(note))
