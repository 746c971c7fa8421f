"""A note outside the ledger of where its chain ended: a missing end does not go unnoticed.

    {"ledger": "sqlite:////...", "position": 1204, "hash": "9f86..."}

The note only moves forward along the chain, and a chain without the noted line is not continued:
``ledger verify`` shows what is wrong, and a person decides.
"""

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

        Raises:
            LedgerProblem: the note cannot be read.
        """
        try:
            noted = orjson.loads(self.path.read_bytes())
            return Head(int(noted["position"]), str(noted["hash"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise LedgerProblem(
                f"{self.path}, the note of where the ledger ended, cannot be read ({error}). "
                "Without it `bulk-sync ledger verify` cannot prove that the end of the ledger is "
                "complete. Find out what happened to it; move it away to go on."
            ) from error

    def move(self, head: Head) -> None:
        """Write a new end; raise OSError if it cannot be written."""
        note = {"ledger": self.ledger, "position": head.position, "hash": head.hash}
        with atomic.replacing(self.path) as file:
            file.write(orjson.dumps(note))
