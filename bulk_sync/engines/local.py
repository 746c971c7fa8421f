"""Carries out a pass over many rows in one event loop.

A fixed set of workers pulls positions from one source, so that a slow answer holds up one worker
and no batch. What comes back goes into arrays; a row costs no task and no object of its own.

``RowFailed`` ends here, in ``Steps``. ``StopRun`` ends here too: it becomes the cause of the run's
``Stop``, workers finish what is in flight, and whoever called finds both what was done and why it
ended early.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Final, Protocol

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.pacing import Pulse
from bulk_sync.engines.breaker import Breaker, no_attribute
from bulk_sync.engines.journal import Granted, Kept, Listed, Record
from bulk_sync.errors import RowFailed, StopRun
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.steps import Steps
from bulk_sync.settings import Writing
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

Tell = Callable[[str, int, int, Pulse], None]
"""Progress: the pass (``read``, ``scan``, ``write``), how many are done, how many there are, and
how hard Campaign is asked meanwhile."""

_OUTCOMES_S: Final = 0.5
"""Seconds after which outcomes of writes are recorded at the latest."""


class Source(Protocol):
    """Where workers take their next position from."""

    async def take(self) -> int | None:
        """Tell the next position; None if there is none any more."""


@dataclass(frozen=True, slots=True)
class Pass:
    """What the passes of one run share.

    Attributes:
        client: the open client.
        stop: ends a pass early.
        tell: is told how far it is.
        attribute: the attribute's name, for the message if no profile has it.
        thread: where records are written; it has one worker.
        breaker: how many rows have failed so far, and how.
    """

    client: Client
    stop: Stop
    tell: Tell
    attribute: str
    thread: Executor
    breaker: Breaker


class Journal(Protocol):
    """Who makes the writes of a run durable; called in a thread of its own."""

    def intend(self, positions: Sequence[int]) -> None:
        """Note that these writes are about to be attempted.

        Raises:
            StopRun: they cannot be noted, so they must not be attempted.
        """

    def settle(self, positions: Sequence[int]) -> None:
        """Note what became of these writes, as their ``Steps`` tell it.

        Raises:
            StopRun: it cannot be noted.
        """


@dataclass(frozen=True, slots=True)
class Writes:
    """n states to be written, each key once.

    Attributes:
        keys: the keys.
        desired: the state of each.
        steps: what is known to have become of them; filled in place.
        journal: is told before and after.
        in_doubt: positions whose write was in flight when a process died.
        forbidden: positions that must not be written any more, and why, for a person.
        uncertain: positions of which nobody knows whether there is anything to put back.
        sent: positions for which a request that writes was begun; filled in place.
    """

    keys: Sequence[str]
    desired: Sequence[bool]
    steps: Steps
    journal: Journal
    in_doubt: frozenset[int] = frozenset()
    forbidden: Mapping[int, str] = field(default_factory=dict)
    uncertain: frozenset[int] = frozenset()
    sent: set[int] = field(default_factory=set)

    def may_have_arrived(self, at: int) -> bool:
        """Tell whether a request that writes may have left this process, or one that died."""
        return at in self.sent or at in self.in_doubt


async def look_up(run: Pass, keys: Sequence[str], steps: Steps, keep: Record) -> None:
    """Read the current state of every key that has none yet, one GET each.

    Args:
        run: what the passes share.
        keys: n keys, each once.
        steps: n rows; filled in place. A row that the run stopped before stays as it was.
        keep: makes states durable.
    """
    kept = Kept(keep, run.thread, run.stop)

    async def one(at: int) -> None:
        state, tries = await run.client.state(keys[at])
        steps.done(at, tries, now_ms(), state=state)

    unread = steps.open()
    await _round(run, "read", steps, Listed(unread), len(unread), one, kept.note)
    if again := _again(run, steps):
        await _round(run, "read", steps, Listed(again), len(again), one, kept.note)
    await kept.close()
    unknown = sum(found.reason is Reason.STATE_UNKNOWN for found in steps.problems.values())
    if unknown and (steps.state < 0).all():
        run.stop.ask(no_attribute(run.attribute, unknown))


async def write(run: Pass, writes: Writes, how: Writing) -> None:
    """Set states, each confirmed by Campaign.

    The intent of every write is durable before its first request is sent, and its outcome is
    recorded afterwards. Of a write that may have been applied or not no outcome is recorded when
    the run stops: whoever goes on reads the profile first.

    Args:
        run: what the passes share.
        writes: what to write; its steps are filled in place. A row that the run stopped before is
            neither done nor a problem.
        how: whether profiles are read before and after.
    """
    steps, journal = writes.steps, writes.journal
    settled = Kept(journal.settle, run.thread, run.stop, most_s=_OUTCOMES_S)

    def note(at: int) -> None:
        if _is_known(writes, at):
            settled.note(at)

    async def set_state(at: int) -> None:
        await _set_state(run, writes, how, at)

    todo = steps.open()
    to_read = [at for at in todo if at in writes.in_doubt or at in writes.forbidden]
    to_write = [at for at in todo if at not in writes.in_doubt and at not in writes.forbidden]
    granted = Granted(to_read, to_write, journal.intend, run.thread, run.stop)
    await _round(run, "write", steps, granted, len(todo), set_state, note)
    for at in await granted.withdraw():
        note(at)
    if again := _again(run, steps):
        await _round(run, "write", steps, Listed(again), len(again), set_state, note)
    for at in steps.passing():
        if not run.stop.asked:
            settled.note(at)  # tried and given up
        elif not writes.may_have_arrived(at):
            steps.problems[at] = _to_be_tried(steps.problems[at])
            settled.note(at)
    await settled.close()


def _is_known(writes: Writes, at: int) -> bool:
    """Tell whether it is certain what became of a write, be it that none was sent."""
    problem = writes.steps.problems.get(at)
    if problem is None:
        return bool(writes.steps.attempts[at]) or not writes.may_have_arrived(at)
    if problem.outcome is Outcome.PENDING:
        return not writes.may_have_arrived(at)
    return not problem.passing


def _to_be_tried(problem: RowFailed) -> RowFailed:
    """Say of a row that was not written, since it could not be read first, that it still may be."""
    waiting = RowFailed(problem.reason, problem.detail, outcome=Outcome.PENDING)
    waiting.attempts = problem.attempts
    return waiting


async def _set_state(run: Pass, writes: Writes, how: Writing, at: int) -> None:
    key, desired, steps = writes.keys[at], writes.desired[at], writes.steps
    doubted = steps.problems.get(at)
    in_doubt = writes.may_have_arrived(at)
    tries = doubted.attempts if doubted is not None else 1
    arrived = False
    forbidden = writes.forbidden.get(at)
    if in_doubt or how.guarded or forbidden is not None:
        state, _ = await run.client.state(key)
        arrived = in_doubt and state is desired
        if not arrived and (state is desired or forbidden is not None):
            steps.state[at] = state
            if state is desired and at in writes.uncertain:
                raise _never_arrived()
            raise _left_alone(forbidden, state, desired)
    if not arrived:
        sent_before = at in writes.sent
        writes.sent.add(at)
        try:
            tries = await run.client.write(key, desired=desired)
        except StopRun:  # which says that nothing was sent
            if not sent_before:
                writes.sent.remove(at)
            raise
    if how.verify:
        await _check_stored(run, key, desired=desired)
    steps.done(at, tries, now_ms(), state=desired)


def _never_arrived() -> RowFailed:
    return RowFailed(
        Reason.STOPPED,
        "The run was interrupted before it changed this profile, so there is nothing to put back.",
        outcome=Outcome.UNCHANGED,
    )


def _left_alone(forbidden: str | None, state: bool, desired: bool) -> RowFailed:  # noqa: FBT001 - states
    if forbidden is None:
        detail = f"The profile has moved to {str(state).lower()} since; it was left alone."
        return RowFailed(Reason.MOVED, detail, outcome=Outcome.DRIFTED)
    outcome = Outcome.UNCHANGED if state is desired else Outcome.DRIFTED
    return RowFailed(Reason.NEWER_RUN, forbidden, outcome=outcome)


async def _check_stored(run: Pass, key: str, *, desired: bool) -> None:
    """Read a profile back after its change was confirmed.

    Raises:
        RowFailed: it does not hold the state, or there was no time or call left to find out.
    """
    unseen = RowFailed(
        Reason.STOPPED,
        "Campaign confirmed the change; the run stopped before it was read back.",
        passing=True,
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


def _again(run: Pass, steps: Steps) -> list[int]:
    """Tell which rows to try once more, for they failed for what may have passed by now."""
    again = [] if run.stop.asked else steps.passing()
    if again:
        log.info("%d rows failed for what may have passed by now; trying them again", len(again))
    return again


async def _round(
    run: Pass,
    what: str,
    steps: Steps,
    source: Source,
    count: int,
    work: Callable[[int], Awaitable[None]],
    note: Callable[[int], None],
) -> None:
    """Do the work for every position that the source hands out, and note each that is done.

    There are as many workers as requests may be in flight: more are called in when that grows, and
    the last ones leave when it shrinks.
    """
    pacer = run.client.pacer
    done, at_work = 0, 0

    async def worker() -> None:
        nonlocal done, at_work
        at_work += 1
        while not run.stop.asked and at_work <= pacer.limit:
            at = await source.take()
            if at is None:
                break
            failed_before = at in steps.problems
            try:
                await work(at)
            except RowFailed as failed:
                steps.failed(at, now_ms(), failed)
                run.breaker.failed(failed, again=failed_before)
            except StopRun as cause:
                run.stop.ask(cause)
                note(at)
                break
            else:
                run.breaker.succeeded(again=failed_before)
            note(at)
            done += 1
            run.tell(what, done, count, pacer)
            if at_work < pacer.limit and done < count:
                workers.create_task(worker())
        at_work -= 1

    async with asyncio.TaskGroup() as workers:
        for _ in range(min(pacer.limit, count)):
            workers.create_task(worker())


def now_ms() -> int:
    """Tell the UTC time in ms since the epoch."""
    return time.time_ns() // 1_000_000
