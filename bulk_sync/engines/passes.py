"""The two passes that ask for single rows: states are looked up, and states are set.

This is what surrounds the work: what is made durable when, which rows are tried once more, and
what is known of a write when the run ends early.
"""

import logging
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass

from bulk_sync.campaign.client import Client
from bulk_sync.engines.breaker import no_attribute
from bulk_sync.engines.journal import Kept, Listed, Record
from bulk_sync.engines.resolve import Finder
from bulk_sync.engines.work import Finds, Progress, Reads
from bulk_sync.engines.workers import Workers
from bulk_sync.outcomes import Reason
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


async def look_up(
    run: Pass,
    keys: Sequence[str],
    steps: Steps,
    keep: Record,
    among: Sequence[int] | None = None,
    total: int | None = None,
) -> None:
    """Read the current state of every key that has none yet, one GET each.

    Args:
        run: what the passes share.
        keys: n keys, each once.
        steps: n rows; filled in place. A row that the run stopped before stays as it was.
        keep: makes states durable.
        among: positions of those that are to be read; None reads all.
        total: how many the whole reading had to read, for the progress; None: those left.
    """
    kept = Kept(keep, run.thread, run.stop)
    reads = Reads(keys, steps)
    left = steps.open()
    unread, suspects = _parted(left if among is None else among, steps)
    done = 0 if total is None else total - len(left)
    await run.engine.carry_out(reads, Listed(unread), len(unread), kept.note, done, total)
    if again := second_tries(run, steps, suspects):
        await run.engine.carry_out(reads, Listed(again), len(again), kept.note)
    await kept.close()
    unknown = sum(found.reason is Reason.STATE_UNKNOWN for found in steps.problems.values())
    if among is None and unknown and (steps.state < 0).all():
        run.stop.ask(no_attribute(run.attribute, unknown))


async def find(run: Pass, keys: Sequence[str], steps: Steps, keep: Record, finder: Finder) -> None:
    """Find the profiles of every key that none is known of yet.

    Args:
        run: what the passes share.
        keys: n keys that are no PKeys, each once.
        steps: n rows of a finding; filled in place.
        keep: makes what was found durable.
        finder: finds them.
    """
    kept = Kept(keep, run.thread, run.stop)
    finds = Finds(keys, steps, finder)
    unread, suspects = _parted(steps.open(), steps)
    # The first one alone shows whether there is such a filter.
    count = len(unread)
    for done, some in ((0, unread[:1]), (1, unread[1:])):
        await run.engine.carry_out(finds, Listed(some), len(some), kept.note, done, count)
    if again := second_tries(run, steps, suspects):
        await run.engine.carry_out(finds, Listed(again), len(again), kept.note)
    await kept.close()
    states = [each.state for found in (steps.found or {}).values() for each in found]
    if finder.reads_states and states and max(states) < 0:
        run.stop.ask(no_attribute(run.attribute, len(states)))


def _parted(positions: Sequence[int], steps: Steps) -> tuple[Sequence[int], list[int]]:
    """Return the rows to begin with, and those that are left to the second tries."""
    if not steps.suspects:
        return positions, []
    begin_with = [at for at in positions if at not in steps.suspects]
    return begin_with, [at for at in positions if at in steps.suspects]


def second_tries(run: Pass, steps: Steps, suspects: Sequence[int] = ()) -> list[int]:
    """Return the rows to try once more: they failed for what may have passed by now."""
    again = [] if run.stop.asked else sorted({*suspects, *steps.passing()})
    if again:
        log.info("%d rows failed for what may have passed by now; trying them again", len(again))
    return again
