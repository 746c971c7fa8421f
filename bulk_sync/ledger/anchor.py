"""Where a ledger's chain ended, noted outside of it: cutting the end off does not go unnoticed.

    {"ledger": "sqlite:////...", "position": 1204, "hash": "9f86..."}

The note only moves forward along the chain. Nothing is added to a chain without the noted line:
``ledger verify`` shows the fault, and a person judges.
"""

from dataclasses import dataclass
from pathlib import Path

import orjson

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger.chain import Head
from bulk_sync.storage import atomic


@dataclass(frozen=True, slots=True)
class Anchor:
    """The note about one ledger.

    Args:
        path: of the file.
        ledger: the ledger's URL without its password, for a reader.
    """

    path: Path
    ledger: str

    def head(self) -> Head | None:
        """Read the note; None if there is none yet.

        Raises:
            UsageProblem: it cannot be read.
        """
        try:
            noted = orjson.loads(self.path.read_bytes())
            return Head(int(noted["position"]), str(noted["hash"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageProblem(
                f"{self.path}, which says where the ledger ended, cannot be read ({error}). See "
                "what happened to it; without it `bulk-sync ledger verify` cannot tell whether "
                "the end of the ledger was cut off. Move it away to go on."
            ) from error

    def move(self, head: Head) -> None:
        """Write a new end.

        Raises:
            OSError: it cannot be written.
        """
        note = {"ledger": self.ledger, "position": head.position, "hash": head.hash}
        with atomic.replacing(self.path) as file:
            file.write(orjson.dumps(note))
