"""The work of a pass: data, and the coroutine that does one row.

The result of a row goes into ``Steps``; a row costs no task and no object of its own.
"""

from collections.abc import Callable
from typing import Protocol

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.pacing import Pulse
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
