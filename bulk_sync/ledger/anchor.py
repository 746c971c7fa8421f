"""Where a ledger's chain ended, noted outside of it: cutting the end off does not go unnoticed.

    {"ledger": "sqlite:////...", "position": 1204, "hash": "9f86..."}

The note only ever moves forward along the chain. One that the chain does not pass through is left
as it is, for ``ledger verify`` to tell and a person to judge.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from bulk_sync import atomic
from bulk_sync.errors import UsageProblem
from bulk_sync.ledger.chain import Head


@dataclass
class Anchor:
    """The note about one ledger.

    Args:
        path: where it lies.
        ledger: the ledger's URL without its password, for whoever looks.
    """

    path: Path
    ledger: str
    holds: bool = True

    def head(self) -> Head | None:
        """Read it; None if there is none yet.

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

    def check(self, hash_at: Callable[[int], str | None]) -> bool:
        """Tell whether the chain passes through the note; if not, it will not be moved."""
        noted = self.head()
        self.holds = noted is None or hash_at(noted.position) == noted.hash
        return self.holds

    def move(self, head: Head) -> None:
        """Note a new end."""
        if self.holds:
            note = {"ledger": self.ledger, "position": head.position, "hash": head.hash}
            with atomic.replacing(self.path) as file:
                file.write(orjson.dumps(note))
