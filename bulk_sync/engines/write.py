"""The writing pass: sets states, row by row, each confirmed by Campaign.

    intent in the ledger --> decide --> look, send, read back --> outcome in the ledger

``decide.py`` decides, and the coroutine here carries the decision out. A row without ``Care`` costs
one request and no object.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, Final, Protocol

import numpy as np

from bulk_sync.amounts import count
from bulk_sync.campaign.client import Client
from bulk_sync.campaign.create import Creation
from bulk_sync.engines.decide import (
    NO_CARE,
    Asked,
    Care,
    Decision,
    Done,
    LookFirst,
    Seen,
    decide,
    learned,
)
from bulk_sync.engines.journal import IntentQueue, ReadyQueue, Recorder, now_ms
from bulk_sync.engines.resolve import Resolver
from bulk_sync.engines.workers import Workers
from bulk_sync.errors import BudgetSpent, RowFailed, StopRun
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows.results import Match, Steps
from bulk_sync.stopping import Stop

_RECORD_EVERY_S: Final = 0.5
"""Seconds after which the outcome of a write is in the ledger at the latest."""


class Journal(Protocol):
    """Makes the writes of a run durable. Called in a thread of its own."""

    def intend(self, positions: Sequence[int]) -> None:
        """Record writes before they are attempted; if StopRun is raised, they must not be."""

    def settle(self, positions: Sequence[int]) -> None:
        """Record the outcomes of writes, as their ``Steps`` have them, or raise StopRun."""


@dataclass(frozen=True, slots=True)
class Writes:
    """n states to set; see ``Work``.

    Attributes:
        keys: PKeys, and addresses of profiles to create; each once.
        desired: the state of each.
        steps: the results; filled in place.
        resolver: looks up addresses.
        verify: whether a confirmed change is read back.
        cares: the care of the rows with any of their own, by position; filled in place.
        usual: the care of all other rows.
        began: when the writing began, by the clock of the event loop (``time.monotonic``).
    """

    keys: Sequence[str]
    desired: Sequence[bool]
    steps: Steps
    resolver: Resolver
    verify: bool = False
    cares: dict[int, Care] = field(default_factory=dict)
    usual: Care | None = None
    began: float = field(default_factory=time.monotonic)
    name: ClassVar[str] = "write"

    @property
    def calls_each(self) -> int:
        """How many calls one row takes, if nothing fails."""
        looks = max((self._looks(at) for at in self.cares), default=0)
        return 1 + max(looks, self.usual is not None) + self.verify

    @property
    def has_sent(self) -> bool:
        """Whether any write was sent: it is done, or it failed."""
        done = np.count_nonzero(self.steps.attempts) - len(self.steps.problems)
        return bool(done > 0) or any(care.flight.sent for care in self.cares.values())

    def may_have_arrived(self, at: int) -> bool:
        """Return whether Campaign may have acted on a request for a row."""
        care = self.cares.get(at)
        return care is not None and care.flight.may_have_arrived

    async def do_row(self, client: Client, stop: Stop, at: int) -> None:
        """Set one profile's state, unless it holds it already or must be left alone."""
        desired = self.desired[at]
        decision = decide(self.cares.get(at, self.usual), None, desired=desired)
        while isinstance(decision, LookFirst):
            decision = await self._look(client, stop, at, decision.wait_s)
        if isinstance(decision, Done):
            if decision.pkey:
                self.steps.found[at] = (Match(decision.pkey, int(desired), 0),)
            decision.check()
            pkey, failed = decision.pkey, self.steps.problems.get(at)
            tries = 1 if failed is None else failed.attempts
            if self.verify and not decision.is_read_back:
                await _check_stored(client, stop, pkey or self.keys[at], desired=desired)
        else:
            pkey, tries = await self._send(client, stop, at)
        if pkey:
            match = Match(pkey, int(desired), 0)
            self.steps.found_at(at, tries, now_ms(), (match,))
        else:
            self.steps.done(at, tries, now_ms(), state=desired)

    def _looks(self, at: int) -> int:
        care = self.cares[at]
        if care.body is None:
            return int(care.reads_first or care.asked.is_dated)
        return self.resolver.lookups(self.keys, [at]) if care.reads_first else 0

    async def _look(self, client: Client, stop: Stop, at: int, wait_s: float) -> Decision:
        care, desired = self.cares.get(at, self.usual) or NO_CARE, self.desired[at]
        if wait_s:
            await stop.sleep(wait_s)
            if stop.is_requested:
                detail = "The run stopped before it was certain whether the profile was created."
                raise RowFailed(Reason.STOPPED, detail, outcome=Outcome.PENDING)
        if care.body is None:
            seen = Seen((await self._profile(client, at, care),))
        else:
            usual_at = self.began + client.settling.usual_s
            quiet_at = usual_at if care.flight.quiet_at is None else care.flight.quiet_at
            found = await self._find(client, at)
            seen = Seen(found, 0.0 if wait_s else quiet_at - _now())
        if (now_known := learned(care, seen, desired=desired)) is not care:
            self.cares[at] = now_known
        return decide(care, seen, desired=desired)

    async def _profile(self, client: Client, at: int, care: Care) -> Match:
        """Read the profile to change; after a failure its last known state counts."""
        try:
            (state, changed_ms), _ = await client.stamped_state(self.keys[at])
        except RowFailed as failed:
            has_no_state = failed.reason is Reason.STATE_UNKNOWN
            if not has_no_state and failed.outcome is not Outcome.NOT_FOUND:
                before = self.steps.problems.get(at)
                read_back = None if before is None else before.holds
                failed.holds = read_back if care.flight.may_have_arrived else not self.desired[at]
            raise
        return Match(self.keys[at], int(state), changed_ms)

    async def _find(self, client: Client, at: int) -> tuple[Match, ...]:
        try:
            return (await self.resolver.find(client, self.keys[at]))[0]
        except RowFailed as failed:
            if failed.reason is Reason.NOT_FOUND:
                return ()
            raise

    async def _send(self, client: Client, stop: Stop, at: int) -> tuple[str | None, int]:
        """Send one write; return the PKey of a created profile, and the tries."""
        care = self.cares.get(at) or self.usual or NO_CARE
        key, desired = self.keys[at], self.desired[at]
        pkey: str | None = None
        sent_ms = now_ms()
        try:
            if care.body is None:
                tries = await client.write(key, desired=desired)
            else:
                made = partial(self._made, client, at, care)
                creation = Creation(care.body, desired, made, care.flight.may_have_arrived)
                pkey, tries = await client.create(creation)
            if self.verify:
                await _check_stored(client, stop, pkey or key, desired=desired)
        except RowFailed as failed:
            quiet_at = _now() + client.settling.after_s(failed.reason)
            flight = replace(care.flight, sent=True, quiet_at=quiet_at, created=pkey)
            asked = care.asked if desired or care.asked.is_dated else Asked(known_ms=sent_ms)
            self.cares[at] = replace(care, flight=flight, asked=asked)
            raise
        return pkey, tries

    async def _made(self, client: Client, at: int, care: Care) -> str | None:
        """Return the PKey of a profile created by an unanswered POST; None if it is not there."""
        seen = Seen(await self._find(client, at))
        sent = replace(care, flight=replace(care.flight, sent=True))
        decision = decide(sent, seen, desired=self.desired[at])
        if not isinstance(decision, Done):
            return None
        decision.check()
        return decision.pkey


async def write(workers: Workers, writes: Writes, journal: Journal) -> None:
    """Set states, each confirmed by Campaign.

    The intent of every write is durable before its first request is sent, and its outcome is
    recorded afterwards. When the run stops, the outcome of a write in doubt is not recorded: the
    next process reads the profile first. Rows after the stop are neither done nor a problem.
    """
    steps, cares = writes.steps, writes.cares
    settled = Recorder(journal.settle, workers.thread, workers.stop, most_s=_RECORD_EVERY_S)

    def note(at: int) -> None:
        if _is_known(writes, at):
            settled.add(at)

    todo = steps.open()
    ready = {at for at, care in cares.items() if care.has_intent}
    to_read = [at for at in todo if at in ready]
    to_write = [at for at in todo if at not in ready]
    steps.suspects.update(at for at, care in cares.items() if care.flight.in_doubt)
    left = await workers.client.calls.left()
    if left is not None and not to_read and 1 < writes.calls_each > left:
        workers.client.calls.need(writes.calls_each)
        cost = f"one change takes {writes.calls_each}"
        workers.stop.ask(BudgetSpent(f"The budget leaves {count(left, 'call')}, and {cost}."))
    granted = IntentQueue(to_read, to_write, journal.intend, workers.thread, workers.stop)
    await workers.carry_out(writes, granted, len(todo), note)
    for at in await granted.withdraw():
        note(at)
    if again := workers.rows_to_retry(steps):
        await workers.carry_out(writes, ReadyQueue(again), len(again), note)
    for at in steps.passing():
        if not workers.stop.is_requested:
            settled.add(at)  # tried and given up
        elif not writes.may_have_arrived(at):
            steps.problems[at].outcome = Outcome.PENDING  # of an unread row, to be written later
            settled.add(at)
    await settled.close()


def _now() -> float:
    return asyncio.get_running_loop().time()


def _is_known(writes: Writes, at: int) -> bool:
    """Return whether the outcome of a write is certain, or it is certain that none was sent."""
    problem = writes.steps.problems.get(at)
    if problem is None:
        return bool(writes.steps.attempts[at]) or not writes.may_have_arrived(at)
    if problem.outcome is Outcome.PENDING:
        return not writes.may_have_arrived(at)
    return not problem.passing


async def _check_stored(client: Client, stop: Stop, key: str, *, desired: bool) -> None:
    """Read a confirmed change back; raise RowFailed unless it is stored."""
    detail = "Campaign confirmed the change; the run stopped before it was read back."
    unseen = RowFailed(Reason.STOPPED, detail, passing=True)  # so resume reads it back
    try:
        state, _ = await client.read_back(key)
    except StopRun as cause:
        stop.ask(cause)
        raise unseen from cause
    except RowFailed as failed:
        if failed.outcome is Outcome.PENDING:
            raise unseen from failed
        raise
    if state is not desired:
        detail = "Campaign confirmed the change, but the profile still has the old state."
        raise RowFailed(Reason.NOT_STORED, detail, holds=state)
