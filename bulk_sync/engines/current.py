"""Reads the current states of keys, by the cheaper way.

    begin: preflight, the first page --> scan: Campaign's list --> look up: the missing keys

A ``Producer`` knows what the keys are. Whatever they are, it fills the same table, one row per
profile: see ``rows.results.Steps``.
"""

import asyncio
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Final, Protocol

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.list_pages import ScanPosition
from bulk_sync.engines import list_choice, scan
from bulk_sync.engines.breaker import no_attribute
from bulk_sync.engines.journal import ReadyQueue, Recorder, now_ms
from bulk_sync.engines.list_choice import Costs, ProfileList
from bulk_sync.engines.producer import Producer
from bulk_sync.engines.workers import Workers
from bulk_sync.errors import Refused, RowFailed, StopRun, clause
from bulk_sync.outcomes import Reason
from bulk_sync.rows.plan_limits import FEWEST, MIGRATED
from bulk_sync.rows.results import Steps
from bulk_sync.settings import Connection, Fetch, Oddity, Reading
from bulk_sync.stopping import Stop

TRIED: Final = 7
_FIRST: Final = 3
"""Keys tried before all others, and how many of them are the first ones. If every other key of a
file were good, none of these would be in one run of a hundred."""

_UNKNOWN: Final = frozenset({Reason.INVALID_KEY, Reason.NOT_FOUND})


class Checkpoint(Protocol):
    """Makes durable what is read. Called in a thread of its own; raises StopRun if it cannot."""

    def keep_states(self, positions: Sequence[int], steps: Steps) -> None:
        """Write the states of some keys."""

    def keep_place(self, place: ScanPosition | None) -> None:
        """Write where the list is left; None while it is read."""

    def place(self) -> ScanPosition | None:
        """Return where the list was left; None if it was not."""


@dataclass(frozen=True, slots=True)
class Lookups:
    """n keys to be looked up, one by one; see ``Work``."""

    keys: Sequence[str]
    steps: Steps
    producer: Producer
    name: ClassVar[str] = "read"
    calls_each: int = 1

    async def do_row(self, client: Client, stop: Stop, at: int) -> None:  # noqa: ARG002
        """Look up one key."""
        key = self.keys[at]
        found, tries = await self.producer.find(client, key)
        self.steps.found_at(at, tries, now_ms(), found, key=key)


@dataclass(frozen=True, slots=True)
class Read:
    """Cost of a reading pass.

    Attributes:
        costs: calls forecast for either way of reading; None if nothing was read.
        paged: whether Campaign's list was read.
        looked_up: keys looked up by themselves.
    """

    costs: Costs | None
    paged: bool
    looked_up: int
    seconds: float


class StateReader:
    """Fills the table of current states of n keys, stage by stage: begin, scan, look up.

    Args:
        keys: n keys, each once.
        steps: their states so far; filled in place.
        producer: for the kind of the keys.
        checkpoint: makes states durable; None: no other run continues this one.

    Attributes:
        pages: pages of the list with valid states.
    """

    def __init__(
        self,
        run: Workers,
        connection: Connection,
        keys: Sequence[str],
        steps: Steps,
        how: Reading,
        producer: Producer,
        checkpoint: Checkpoint | None = None,
    ) -> None:
        self._run = run
        self._connection = connection
        self._keys = keys
        self._steps = steps
        self._how = how if producer.can_scan else replace(how, fetch=Fetch.LOOKUP)
        self._producer = producer
        self._checkpoint = checkpoint
        self._began = time.monotonic()
        self._missing = len(steps.open())
        self._listing: ProfileList | None = None
        self._pages_left: int | None = None
        self._paged = False
        self._looked_up = 0
        self.pages = 0

    @property
    def calls_left(self) -> int:
        """Calls that reading still takes, as far as is known."""
        if self._pages_left is None:
            return self._lookups()
        if self._producer.needs_whole_list:
            return self._pages_left
        return min(self._lookups(), self._pages_left)

    @property
    def is_all_or_nothing(self) -> bool:
        """Whether the list is being read, and a part of it is no use."""
        return self._pages_left is not None and self._producer.needs_whole_list

    async def begin(self) -> None:
        """Make the first calls, and find out the calls of either way."""
        if not self._missing:
            return
        run, needs_whole_list = self._run, self._producer.needs_whole_list
        try:
            left_at = None if self._checkpoint is None else self._checkpoint.place()
            if needs_whole_list and left_at is not None:  # the list was read before
                self._how, left_at = replace(self._how, fetch=Fetch.LOOKUP), None
            self._listing = await list_choice.choose(
                run.client,
                self._connection,
                self._how,
                (self._missing, self._lookups()),
                needs_whole_list=needs_whole_list,
                left_at=left_at,
            )
            await self._producer.check(run.client)
        except StopRun as cause:
            run.stop.ask(cause)
        else:
            self._pages_left = self._listing.pages_left
            if self.is_all_or_nothing:
                run.client.calls.need(self.calls_left)

    async def scan(self) -> None:
        """Read Campaign's list, if it costs fewer calls."""
        run, listing = self._run, self._listing
        if listing is None or run.stop.is_requested:
            return
        self._pages_left = None
        recorder = self._new_recorder()
        try:
            pages = await self._producer.pages(
                run.client, listing, self._keys, self._steps, recorder
            )
        except StopRun as cause:
            run.stop.ask(cause)
            return
        if pages is None or listing.first is None:
            await self._try_keys()
            return
        # After a crash from here on, the list is read anew, and shows contradictions once more.
        await self._keep_place(None)
        while_cheaper = self._how.fetch is Fetch.AUTO
        keys, calls_each = len(self._keys), listing.costs.lookups / self._missing
        how = scan.Scanning(listing.total, keys, calls_each, while_cheaper, self._try_keys)
        pages_before = pages.pages
        path = await scan.scan(run, pages, listing.first, how)
        pages.settle(listing.total)
        await recorder.close()
        place = pages.place(run.client.api, path)
        if recorder.is_durable:
            await self._keep_place(place)
        self._paged = pages.is_used
        self.pages = pages.pages - pages_before if pages.is_used else 0
        left = max(0, (listing.costs.scan or 0) - self.pages)
        continues = path is not None and not self._producer.needs_whole_list
        self._pages_left = left if continues and run.stop.is_requested else None

    async def look_up(self) -> None:
        """Look up every key without a state."""
        if self._listing is None or self._run.stop.is_requested:
            return
        self._looked_up = len(self._steps.open()) if self._listing.first else self._missing
        await self._look_up(self._steps.open())
        steps, run = self._steps, self._run
        unknown = sum(each.reason is Reason.STATE_UNKNOWN for each in steps.problems.values())
        unknown += sum(len(group) for group in steps.found.values())
        is_absent = self._producer.reads_states and run.client.has_attribute is False
        if is_absent and unknown and (steps.state < 0).all():
            run.stop.ask(no_attribute(run.attribute, unknown))

    async def read_all(self) -> None:
        """Carry out all stages; the run's ``Stop`` holds the cause of an early end."""
        await self.begin()
        await self.scan()
        await self.look_up()

    def read(self) -> Read:
        """Return the cost so far."""
        seconds = time.monotonic() - self._began
        if self._listing is None:
            return Read(None, paged=False, looked_up=0, seconds=seconds)
        return Read(self._listing.costs, self._paged, self._looked_up, seconds)

    async def _look_up(self, positions: Sequence[int]) -> None:
        """Look some keys up, and once more after failures for a passing reason."""
        run, steps = self._run, self._steps
        recorder = self._new_recorder()
        each = -(-self._producer.lookups(self._keys, positions) // max(1, len(positions)))
        lookups = Lookups(self._keys, steps, self._producer, calls_each=max(1, each))
        suspects = [at for at in positions if at in steps.suspects]
        left = [at for at in positions if at not in steps.suspects] if suspects else positions
        alone = 1 if self._producer.needs_whole_list else 0
        for some in (left[:alone], left[alone:]):
            done = self._missing - len(steps.open())
            source = ReadyQueue(some)
            await run.carry_out(lookups, source, len(some), recorder.add, done, self._missing)
        if retried := run.rows_to_retry(steps, suspects):
            await run.carry_out(lookups, ReadyQueue(retried), len(retried), recorder.add)
        await recorder.close()

    async def try_keys(self, among: int) -> None:
        """Look a few keys up before all others, and stop if this instance knows none of them.

        The first ones, whose turn it is anyway; and only if these are unknown, some at random. If
        few keys are ``among`` all to be looked up, these prove something only if Campaign cannot
        even read them.
        """
        steps, count = self._steps, len(self._steps.state)
        if not self._producer.tries_keys or count < TRIED or len(steps.open()) < count:
            return
        strange = _UNKNOWN if among >= FEWEST else {Reason.INVALID_KEY}
        first, others = positions_to_try(count)
        for tried in (first, others):
            await self._look_up(tried)
            problems = [steps.problems.get(at) for at in tried]
            if any(each is None or each.reason not in strange for each in problems):
                return
        self._run.stop.ask(_unknown_keys(among, steps.problems[0]))

    async def _try_keys(self) -> int:
        left = len(self._steps.open())
        await self.try_keys(len(self._steps.state))
        return left - len(self._steps.open())

    def _new_recorder(self) -> Recorder:
        def record(positions: Sequence[int]) -> None:
            if self._checkpoint is not None:
                self._checkpoint.keep_states(positions, self._steps)

        return Recorder(record, self._run.thread, self._run.stop)

    async def _keep_place(self, place: ScanPosition | None) -> None:
        if self._checkpoint is None:
            return
        run = self._run
        try:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(run.thread, self._checkpoint.keep_place, place)
        except StopRun as cause:
            run.stop.ask(cause)

    def _lookups(self) -> int:
        return self._producer.lookups(self._keys, self._steps.open())


def positions_to_try(count: int) -> tuple[Sequence[int], Sequence[int]]:
    """Return the first of so many positions, ``TRIED`` at least, and some others."""
    others = random.Random(count).sample(range(_FIRST, count), TRIED - _FIRST)  # noqa: S311 - any will do
    return range(_FIRST), sorted(others)


def _unknown_keys(count: int, problem: RowFailed) -> Refused:
    return Refused(
        f"Nothing was written: none of {TRIED} keys, out of the {count:,} to be "
        f"looked up, is known to this instance. {clause(problem.detail)}. PKeys of stage are not "
        f"those of production, and {MIGRATED} If the keys are right, let them pass with --allow "
        f"{Oddity.UNKNOWN_KEYS}.",
        f"--allow {Oddity.UNKNOWN_KEYS}",
    )
