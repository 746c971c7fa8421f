"""Carries out a pass over many rows in one event loop.

A fixed set of workers pulls positions from one iterator, so that a slow answer holds up one worker
and no batch. What comes back goes into arrays; a row costs no task and no object of its own.

``RowFailed`` ends here, in ``Steps``. ``StopRun`` ends here too: it becomes the cause of the run's
``Stop``, workers finish what is in flight, and whoever called finds both what was done and why it
ended early.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from bulk_sync.campaign.client import Client
from bulk_sync.errors import RowFailed, StoppedEarly, StopRun, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.steps import Steps
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

Tell = Callable[[str, int, int], None]
"""Progress: the pass (``read``, ``scan``, ``write``), how many are done, and how many there are."""

_DEAD_AFTER: Final = 25
"""So many rows given up in a row, with no answer between, mean that Campaign is not there."""


@dataclass(slots=True)
class Tally:
    """How many rows of a run have failed, over all its passes."""

    failed: int = 0


@dataclass(frozen=True, slots=True)
class Pass:
    """What the passes of one run share.

    Attributes:
        client: the open client.
        stop: ends a pass early.
        tell: is told how far it is.
        most_failures: give up when more rows than this failed; None never does.
        attribute: the attribute's name, for the message if no profile has it.
        tally: how many rows have failed so far.
    """

    client: Client
    stop: Stop
    tell: Tell
    most_failures: int | None
    attribute: str
    tally: "Tally"


async def look_up(run: Pass, keys: Sequence[str], steps: Steps) -> None:
    """Read the current state of every key that has none yet, one GET each.

    Args:
        run: what the passes share.
        keys: n keys, each once.
        steps: n rows; filled in place. A row that the run stopped before stays as it was.
    """
    unread = [at for at in range(len(keys)) if not steps.attempts[at]]

    async def one(at: int) -> None:
        state, tries = await run.client.state(keys[at])
        steps.done(at, tries, now_ms(), state=state)

    await _carry_out(run, "read", steps, unread, one)
    unknown = sum(found.reason is Reason.STATE_UNKNOWN for found in steps.problems.values())
    if unknown and (steps.state < 0).all():
        run.stop.ask(_no_attribute(run.attribute, unknown))


async def write(run: Pass, keys: Sequence[str], desired: Sequence[bool], *, verify: bool) -> Steps:
    """Set the states of n keys, each confirmed by Campaign.

    Args:
        run: what the passes share.
        keys: the keys, each once.
        desired: the state of each.
        verify: read every profile back, and count only what is stored.

    Returns:
        What became of each; a row that the run stopped before is neither done nor a problem.
    """
    steps = Steps.of(len(keys))

    async def set_state(at: int) -> None:
        again = at in steps.problems
        if again and (await run.client.state(keys[at]))[0] is desired[at]:
            tries = steps.problems[at].attempts  # an earlier try did arrive
        else:
            tries = await run.client.write(keys[at], desired=desired[at])
        if verify:
            await _check_stored(run, keys[at], desired=desired[at])
        steps.done(at, tries, now_ms(), state=desired[at])

    await _carry_out(run, "write", steps, range(len(keys)), set_state)
    return steps


async def _check_stored(run: Pass, key: str, *, desired: bool) -> None:
    """Read a profile back after its change was confirmed.

    Raises:
        RowFailed: it does not hold the state, or there was no time or call left to find out.
    """
    unseen = RowFailed(
        Reason.STOPPED, "Campaign confirmed the change; the run stopped before it was read back."
    )
    try:
        state, _ = await run.client.state(key)
    except StopRun as cause:
        run.stop.ask(cause)
        raise unseen from cause
    except RowFailed as failed:
        if failed.outcome is Outcome.PENDING:
            raise unseen from failed
        raise
    if state is not desired:
        raise RowFailed(
            Reason.NOT_STORED, "Campaign confirmed the change, but read back it has the old state."
        )


async def _carry_out(
    run: Pass,
    what: str,
    steps: Steps,
    positions: Sequence[int],
    work: Callable[[int], Awaitable[None]],
) -> None:
    """Do the work for every position, and once more where it failed for what may have passed."""
    breaker = _Breaker(run)
    await _round(run, what, steps, positions, work, breaker)
    if again := steps.passing():
        log.info("%d rows failed for what may have passed by now; trying them again", len(again))
        await _round(run, what, steps, again, work, breaker)


async def _round(
    run: Pass,
    what: str,
    steps: Steps,
    positions: Sequence[int],
    work: Callable[[int], Awaitable[None]],
    breaker: "_Breaker",
) -> None:
    todo = iter(positions)
    done = 0

    async def worker() -> None:
        nonlocal done
        for at in todo:
            if run.stop.asked:
                return
            failed_before = at in steps.problems
            try:
                await work(at)
            except RowFailed as failed:
                steps.failed(at, now_ms(), failed)
                breaker.failed(failed, again=failed_before)
            except StopRun as cause:
                run.stop.ask(cause)
            else:
                breaker.succeeded(again=failed_before)
            done += 1
            run.tell(what, done, len(positions))

    size = min(run.client.pacer.most_in_flight, len(positions))
    async with asyncio.TaskGroup() as workers:
        for _ in range(size):
            workers.create_task(worker())


class _Breaker:
    """Ends a pass in which too much fails, instead of burning through the file."""

    def __init__(self, run: Pass) -> None:
        self._run = run
        self._unknown = 0
        self._succeeded = False
        self._lost_in_a_row = 0

    def succeeded(self, *, again: bool) -> None:
        """Count a row that went well, perhaps after it had failed."""
        self._run.tally.failed -= again
        self._succeeded = True
        self._lost_in_a_row = 0

    def failed(self, failed: RowFailed, *, again: bool) -> None:
        """Count a row that failed, and stop the run when it is one too many."""
        if failed.outcome is not Outcome.FAILED:
            self._lost_in_a_row = 0
            return
        self._run.tally.failed += not again
        self._unknown += failed.reason is Reason.STATE_UNKNOWN
        self._lost_in_a_row = self._lost_in_a_row + 1 if failed.passing else 0
        most = self._run.most_failures
        if self._lost_in_a_row >= _DEAD_AFTER:
            self._run.stop.ask(
                StoppedEarly(
                    f"Campaign does not answer: {self._lost_in_a_row} rows in a row were given up "
                    f"({failed.detail}). Run the same input again later: what is done stays done."
                )
            )
        elif most is not None and self._run.tally.failed > most:
            if self._unknown == self._run.tally.failed and not self._succeeded:
                self._run.stop.ask(_no_attribute(self._run.attribute, self._unknown))
            self._run.stop.ask(
                StoppedEarly(
                    f"{self._run.tally.failed} rows failed, more than the limit of {most}; the "
                    f"last one: {failed.detail} See the report, or let more pass with "
                    "--max-failures."
                )
            )


def _no_attribute(attribute: str, profiles: int) -> UsageProblem:
    return UsageProblem(
        f"None of the {profiles} profiles read has a value for the attribute {attribute!r}, so "
        "nothing was written. Look at --attribute (custom fields begin with cus) and --api "
        "(custom fields need profileAndServicesExt); `bulk-sync check` shows what is there."
    )


def now_ms() -> int:
    """Tell the UTC time in ms since the epoch."""
    return time.time_ns() // 1_000_000
