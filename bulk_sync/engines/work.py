"""The work of a pass: data, and the coroutine that does one row.

The result of a row goes into ``Steps``; a row costs no task and no object of its own.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.pacing import Pulse
from bulk_sync.engines.resolve import Finder
from bulk_sync.rows.results import Steps
from bulk_sync.stopping import Stop

Progress = Callable[[str, int, int, Pulse], None]
"""Shows the pass (``read``, ``scan``, ``write``), how many rows are done, how many there are, and
the present pace."""


class Work(Protocol):
    """Something to do for n rows."""

    @property
    def name(self) -> str:
        """The pass, as ``Progress`` shows it."""

    @property
    def steps(self) -> Steps:
        """The results; filled in place."""

    @property
    def calls_each(self) -> int:
        """Return how many calls one row takes, if nothing fails."""

    async def one(self, client: Client, stop: Stop, at: int) -> None:
        """Do one row, and record its result in ``steps``.

        Raises:
            RowFailed: it cannot be done.
            StopRun: the run cannot go on; Campaign has refused everything that was sent.
        """


@dataclass(frozen=True, slots=True)
class Reads:
    """n states to be read, one GET each; see ``Work``."""

    keys: Sequence[str]
    steps: Steps
    name: str = "read"
    calls_each: int = 1

    async def one(self, client: Client, stop: Stop, at: int) -> None:  # noqa: ARG002
        """Read one profile's state."""
        steps = self.steps
        if steps.changed_ms is None:
            state, tries = await client.state(self.keys[at])
        else:
            stamped, tries = await client.stamped_state(self.keys[at])
            state, steps.changed_ms[at] = stamped
        steps.done(at, tries, now_ms(), state=state)


@dataclass(frozen=True, slots=True)
class Finds:
    """The profiles of n keys that are no PKeys are to be found; see ``Work``."""

    keys: Sequence[str]
    steps: Steps
    finder: Finder
    name: str = "read"
    calls_each: int = 1

    async def one(self, client: Client, stop: Stop, at: int) -> None:  # noqa: ARG002
        """Find the profiles that one key stands for."""
        found, tries = await self.finder.find(client, self.keys[at])
        self.steps.found_at(at, tries, now_ms(), found)


def now_ms() -> int:
    """Progress the UTC time in ms since the epoch."""
    return time.time_ns() // 1_000_000
