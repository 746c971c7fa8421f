"""What the passes of one run share, and which rows get a second try."""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from bulk_sync.campaign.client import Client
from bulk_sync.engines.work import Progress
from bulk_sync.engines.workers import Workers
from bulk_sync.rows.results import Steps
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Pass:
    """What the passes of one run share.

    Attributes:
        client: the open client.
        engine: carries out the work on single rows.
        stop: ends a pass early.
        tell: is told how far it is.
        attribute: the attribute's name, for the message if no profile has it.
        thread: where records are written; it has one worker.
    """

    client: Client
    engine: Workers
    stop: Stop
    tell: Progress
    attribute: str
    thread: Executor


def second_tries(run: Pass, steps: Steps, suspects: Sequence[int] = ()) -> list[int]:
    """Return the rows to try once more: they failed for what may have passed by now."""
    again = [] if run.stop.asked else sorted({*suspects, *steps.passing()})
    if again:
        log.info("%d rows failed for what may have passed by now; trying them again", len(again))
    return again
