"""One event loop with one open client: lets plain code carry out passes one after the other.

Between the passes no loop runs, so a person may think as long as they like over the plan, and
Ctrl-C at the question is an ordinary KeyboardInterrupt. During a pass SIGINT and SIGTERM ask it to
stop: what is in flight is finished, and a second signal ends at once.
"""

import asyncio
import logging
import signal
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from bulk_sync.campaign import profiles
from bulk_sync.campaign.calls import Budget
from bulk_sync.campaign.client import Client, Instance, connected
from bulk_sync.engines import gathering, passes, scan
from bulk_sync.engines.breaker import Breaker
from bulk_sync.engines.finding import Finder
from bulk_sync.engines.journal import Kept, Record
from bulk_sync.engines.local import Local, loop_factory
from bulk_sync.engines.passes import Journal, Pass
from bulk_sync.engines.processes import Processes
from bulk_sync.engines.scan import Costs
from bulk_sync.engines.work import Engine, Tell, Writes
from bulk_sync.errors import Refused, StopRun
from bulk_sync.interrupts import CAUSES
from bulk_sync.outcomes import Reason
from bulk_sync.rows.limits import MIGRATED
from bulk_sync.rows.steps import Steps
from bulk_sync.settings import (
    ATTRIBUTE,
    AUTO,
    Connection,
    Failures,
    Fetch,
    KeyKind,
    Keys,
    Oddity,
    Pace,
    Reading,
)
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

_TRIED: Final = 4
"""How many keys are tried before all others."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Read:
    """What a reading pass cost.

    Attributes:
        costs: calls that either way of reading was forecast to take; None if nothing was read.
        scanned: whether the list was paged through.
        seconds: how long it took.
    """

    costs: Costs | None
    scanned: bool
    seconds: float


class Session:
    """Use as a context manager; the connections close with the block.

    Args:
        connection: where Campaign is and who asks.
        pace: how hard it may be asked.
        tell: is told how far a pass is.
        failures: when to give up.
        budget: what all runs may spend in a day; None has no limit.

    Attributes:
        client: the open client.
        working_s: seconds that the passes have taken so far.
    """

    def __init__(
        self,
        connection: Connection,
        pace: Pace,
        tell: Tell,
        failures: Failures | None = None,
        budget: Budget | None = None,
    ) -> None:
        self._connection = connection
        self._pace = pace
        self._tell = tell
        self._failures = failures or Failures()
        self._budget = budget
        self.working_s = 0.0
        self._stop = Stop()
        self._runner = asyncio.Runner(loop_factory=loop_factory())
        self._stack = AsyncExitStack()
        self._thread = ThreadPoolExecutor(1, "records")

    def __enter__(self) -> Self:
        self._runner.__enter__()
        opening = connected(self._connection, self._pace, self._stop, self._budget)
        try:
            self.client: Client = self.run(self._stack.enter_async_context(opening))
        except BaseException:
            self._runner.close()
            raise
        attribute = self._connection.attribute
        breaker = Breaker(self._stop, self._failures, attribute)
        near = Local(self.client, self._stop, self._tell, breaker)
        engine: Engine = near
        if self._pace.parts > 1:
            engine = processes = Processes(near, self._connection, self._pace)
            self._stack.push_async_callback(processes.close)
        self._pass = Pass(
            self.client, engine, self._stop, self._tell, attribute, thread=self._thread
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._thread.shutdown()
            self._runner.run(self._stack.aclose())
        finally:
            self._runner.__exit__(kind, error, trace)

    @property
    def cause(self) -> StopRun | None:
        """Why a pass ended early; None if none did."""
        return self._stop.cause

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Carry out one coroutine, with signals asking it to stop."""

        async def with_signals() -> T:
            loop = asyncio.get_running_loop()
            before = {number: signal.getsignal(number) for number in CAUSES}
            for number in CAUSES:
                loop.add_signal_handler(number, self._interrupt, loop, number)
            try:
                return await work
            finally:
                for number, handler in before.items():
                    loop.remove_signal_handler(number)
                    signal.signal(number, handler)

        began = time.monotonic()
        try:
            return self._runner.run(with_signals())
        finally:
            self.working_s += time.monotonic() - began

    def read(self, keys: Sequence[str], steps: Steps, how: Reading, keep: Record) -> Read:
        """Read the current states of n keys, each given once, by the cheaper way.

        Args:
            keys: the keys.
            steps: what is known of them so far; filled in place.
            how: the strategy.
            keep: makes states durable as they come; called in a thread of its own.

        Returns:
            What it cost. What ended the pass early, be it the preflight, is in ``cause``.
        """
        return self.run(self._read(keys, steps, how, keep))

    def find(
        self, keys: Sequence[str], steps: Steps, how: Reading, keep: Record, what: Keys
    ) -> Read:
        """Find the profiles of n keys that are no PKeys, each given once; otherwise as ``read``.

        Args:
            keys: the keys.
            steps: what is known of them so far, of a finding; filled in place.
            how: the strategy.
            keep: makes what was found durable as it comes; called in a thread of its own.
            what: what the keys are.
        """
        return self.run(self._find(keys, steps, how, keep, what))

    def write(self, writes: Writes, journal: Journal) -> None:
        """Set states. What ended the pass early, be it the preflight, is in ``cause``."""
        self.run(self._write(writes, journal))

    async def _write(self, writes: Writes, journal: Journal) -> None:
        try:
            if writes.steps.open() and not self.client.is_ready:
                await self.client.preflight()
        except StopRun as cause:
            self._stop.ask(cause)
        await passes.write(self._pass, writes, journal)

    async def _read(self, keys: Sequence[str], steps: Steps, how: Reading, keep: Record) -> Read:
        began = time.monotonic()
        missing = len(steps.open())
        if not missing:
            return Read(None, scanned=False, seconds=0.0)
        try:
            listed = await self._listed(missing, how)
        except StopRun as cause:
            self._stop.ask(cause)
            return Read(None, scanned=False, seconds=time.monotonic() - began)
        scanned = False
        reads = _Reads(keys, steps, how, keep)
        if listed.first is not None:
            kept = Kept(keep, self._thread, self._stop)
            listing = scan.Listing(keys, steps, self._connection.attribute, kept)
            scanned = await self._scan(listing, kept, listed, how, partial(self._try_keys, reads))
            scanned = scanned or not steps.open()
        else:
            await self._try_keys(reads)
        await passes.look_up(self._pass, keys, steps, keep)
        return Read(listed.costs, scanned, time.monotonic() - began)

    async def _find(
        self, keys: Sequence[str], steps: Steps, how: Reading, keep: Record, what: Keys
    ) -> Read:
        began = time.monotonic()
        missing = len(steps.open())
        if not missing:
            return Read(None, scanned=False, seconds=0.0)
        finder = Finder(what, self._connection.attribute)
        if what.kind is KeyKind.FILTER:
            how = replace(how, fetch=Fetch.LOOKUP)
        try:
            listed = await self._listed(missing, how)
        except StopRun as cause:
            self._stop.ask(cause)
            return Read(None, scanned=False, seconds=time.monotonic() - began)
        scanned = False
        if listed.first is not None:
            field = gathering.field_of(what, listed.first)
            if field is None:
                log.warning(
                    "The list does not show which field %r is, so keys are looked up", what.field
                )
            else:
                listing = gathering.Gathering(keys, steps, finder, what, field)
                kept = Kept(keep, self._thread, self._stop)
                scanned = await self._scan(listing, kept, listed, how)
                kept.note_all(listing.settle(listed.total))
                await kept.close()
        finder.known = listed.known_email
        await passes.find(self._pass, keys, steps, keep, finder)
        return Read(listed.costs, scanned, time.monotonic() - began)

    async def _try_keys(self, reads: "_Reads") -> None:
        """Look a few keys up before all others, spread over them, and stop if none can be one."""
        count = len(reads.steps.state)
        if not reads.how.tries_keys or count <= _TRIED or len(reads.steps.open()) < count:
            return
        tried = [count * number // _TRIED for number in range(_TRIED)]
        await passes.look_up(self._pass, reads.keys, reads.steps, reads.keep, tried)
        problems = [reads.steps.problems.get(at) for at in tried]
        told = [each.detail for each in problems if each and each.reason is Reason.INVALID_KEY]
        if len(told) == _TRIED:
            self._stop.ask(
                Refused(
                    f"Nothing was written: none of {_TRIED} keys, spread over the {count:,} to be "
                    f"looked up, is one that this instance can read. {told[0]} PKeys of stage are "
                    f"not those of production, and {MIGRATED} If the keys are right, let them pass "
                    f"with --allow {Oddity.UNKNOWN_KEYS}.",
                    f"--allow {Oddity.UNKNOWN_KEYS}",
                )
            )

    async def _scan(
        self,
        listing: scan.Pages,
        kept: Kept,
        listed: "_Listed",
        how: Reading,
        unseen: Callable[[], Awaitable[None]] | None = None,
    ) -> bool:
        if listed.first is None:
            return False
        return await scan.scan(
            self._pass,
            listing,
            kept,
            first=listed.first,
            total=listed.total,
            while_cheaper=how.fetch is Fetch.AUTO,
            unseen=unseen,
        )

    async def _listed(self, missing: int, how: Reading) -> "_Listed":
        """Find out what a scan for so many keys costs, and begin it if it may be worth it."""
        size = how.page_size or scan.page_size(missing)
        looks_up = how.fetch is Fetch.LOOKUP or (
            how.fetch is Fetch.AUTO and missing < scan.FEW_KEYS
        )
        instance = await self._preflight(1 if looks_up else size)
        page: profiles.Page | None = instance.first
        is_whole = instance.first.next_path is None and not instance.first.cut_short
        total = len(instance.first.profiles) if is_whole and not looks_up else None
        if total is None and how.fetch is not Fetch.LOOKUP:
            total = await self.client.count(instance)
        costs = scan.Costs.of(missing, total, size)
        if looks_up:
            is_cheaper = costs.scan is not None and costs.scan < missing
            page = await self.client.first_page(size) if is_cheaper else None
        if page is not None:
            costs = scan.Costs.of(missing, total, _on_a_page(page, size))
        log.info(
            "Reading %d states: %d look-ups, or %s pages of a scan",
            missing,
            costs.lookups,
            "?" if costs.scan is None else costs.scan,
        )
        return _Listed(page, total, costs, instance.first)

    async def _preflight(self, page_size: int = 1) -> Instance:
        """Make the first calls; a custom attribute is looked for before anything else."""
        connection = self._connection
        if connection.attribute != ATTRIBUTE and connection.api != AUTO:
            await self.client.check_attribute()
        instance = await self.client.preflight(page_size)
        if connection.attribute != ATTRIBUTE and connection.api == AUTO:
            await self.client.check_attribute()
        return instance

    def _interrupt(self, loop: asyncio.AbstractEventLoop, number: signal.Signals) -> None:
        self._stop.ask(CAUSES[number](f"Stopped by {number.name}. What is done stays done."))
        log.warning("Stopping: requests in flight are finished. A second signal ends at once.")
        for each in CAUSES:
            loop.remove_signal_handler(each)


@dataclass(frozen=True, slots=True)
class _Reads:
    """What a reading works on; see ``Session.read``."""

    keys: Sequence[str]
    steps: Steps
    how: Reading
    keep: Record


@dataclass(frozen=True, slots=True)
class _Listed:
    """The first page of the list, if a scan may be worth it, and what all of it costs."""

    first: profiles.Page | None
    total: int | None
    costs: scan.Costs
    seen: profiles.Page

    @property
    def known_email(self) -> str:
        """An address that some profile has; "" if none was seen."""
        addresses = (profile.get("email") for profile in self.seen.profiles)
        return next((each for each in addresses if isinstance(each, str) and each), "")


def _on_a_page(page: profiles.Page, asked: int) -> int:
    """Tell how many profiles Campaign puts on a page when it is asked for so many."""
    return asked if page.next_path is None else len(page.profiles)
