"""Chooses how current states are read, by what costs fewer calls, and does it.

    preflight --> the first page, if a scan may be worth it --> scan --> look-ups of what is missing

Keys that are no PKeys stand for profiles that must be found first, which tells the states too.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from bulk_sync.campaign.client import Instance
from bulk_sync.campaign.list_pages import Page, Place
from bulk_sync.engines import passes, scan
from bulk_sync.engines.journal import Bookmark, Kept, Record
from bulk_sync.engines.passes import Pass
from bulk_sync.engines.resolve import Finder, field_of
from bulk_sync.engines.resolve_from_list import Gathering
from bulk_sync.engines.scan import Costs
from bulk_sync.errors import Refused, RowFailed, StopRun
from bulk_sync.outcomes import Reason
from bulk_sync.rows import emails
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.plan_limits import FEWEST, MIGRATED
from bulk_sync.rows.results import Steps
from bulk_sync.settings import (
    ATTRIBUTE,
    AUTO,
    Connection,
    EmailCase,
    Fetch,
    KeyKind,
    Keys,
    Oddity,
    Reading,
)

log = logging.getLogger(__name__)

_FIRST: Final = 3
_RANDOM: Final = 4
"""How many keys are tried before all others. Were every other key of a file a good one, none of
these would be in one run of a hundred."""

_UNKNOWN: Final = frozenset({Reason.INVALID_KEY, Reason.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class Read:
    """What a reading pass cost.

    Attributes:
        costs: calls that either way of reading was forecast to take; None if nothing was read.
        paged: whether the list was paged through.
        looked_up: how many keys were looked up by themselves.
        seconds: how long it took.
    """

    costs: Costs | None
    paged: bool
    looked_up: int
    seconds: float


def _nothing(began: float) -> Read:
    return Read(None, paged=False, looked_up=0, seconds=time.monotonic() - began)


@dataclass(frozen=True, slots=True)
class Sought:
    """By what profiles are found, and what for.

    Attributes:
        keys: what the keys are.
        reads_states: whether their states are wanted.
        created_with: fields that profiles are created with which are not found; None if none are.
    """

    keys: Keys
    reads_states: bool = True
    created_with: tuple[str, ...] | None = None


class PKeyReading:
    """Reads the current states of n PKeys, stage by stage: begin, scan, look up.

    Args:
        run: what the passes share.
        connection: where Campaign is.
        keys: n keys, each once.
        steps: what is known of them so far; filled in place.
        how: the strategy.
        keep: makes states durable.
        bookmark: keeps where a list was left.

    Attributes:
        pages: how many pages of the list have shown something that is kept.
    """

    def __init__(
        self,
        run: Pass,
        connection: Connection,
        keys: Sequence[str],
        steps: Steps,
        how: Reading,
        keep: Record,
        bookmark: Bookmark,
    ) -> None:
        self._run = run
        self._connection = connection
        self._keys = keys
        self._steps = steps
        self._how = how
        self._keep = keep
        self._bookmark = bookmark
        self._began = time.monotonic()
        self._missing = len(steps.open())
        self._listed: _Listed | None = None
        self._pages_left: int | None = None
        self._looked_up = 0
        self.pages = 0

    @property
    def calls_left(self) -> int:
        """Return how many calls reading still takes, as far as is known."""
        lookups = len(self._steps.open())
        return lookups if self._pages_left is None else min(lookups, self._pages_left)

    async def begin(self) -> None:
        """Find out whether Campaign answers, and what either way of reading costs."""
        if not self._missing:
            return
        try:
            self._listed = await _listed(
                self._run,
                self._connection,
                self._missing,
                self._how,
                left_at=self._bookmark.place(),
            )
        except StopRun as cause:
            self._run.stop.ask(cause)
        else:
            self._pages_left = _pages_left(self._listed)

    async def scan(self) -> None:
        """Page through the list, if that costs fewer calls."""
        run, listed = self._run, self._listed
        if listed is None or run.stop.asked:
            return
        tried = partial(_try_keys, run, self._keys, self._steps, self._how, self._keep)
        if listed.first is None:
            await tried()
            return
        # A crash from here on begins the list anew, and finds again what it shows in two ways.
        await _keep_place(run, self._bookmark, None)
        kept = Kept(self._keep, run.thread, run.stop)
        keys, left_at = Texts.of(self._keys), listed.left_at
        listing = scan.Listing(keys, self._steps, run.attribute, kept, left_at)
        before = listing.pages
        path = await _scan(
            run, listing, listed.first, listed.total, len(self._keys), self._how, tried
        )
        await kept.close()
        if listing.missing and kept.is_durable:
            await _keep_place(run, self._bookmark, listing.place(run.client.api, path))
        self.pages = listing.pages - before
        pages = max(0, (listed.costs.scan or 0) - self.pages)
        self._pages_left = pages if path is not None and run.stop.asked else None

    async def look_up(self) -> None:
        """Look up every key that has no state yet."""
        if self._listed is None or self._run.stop.asked:
            return
        self._looked_up = len(self._steps.open()) if self._listed.first else self._missing
        await passes.look_up(self._run, self._keys, self._steps, self._keep, total=self._missing)

    def read(self) -> Read:
        """Return what it has cost so far."""
        if self._listed is None:
            return _nothing(self._began)
        costs, paged = self._listed.costs, self._listed.first is not None
        return Read(costs, paged, self._looked_up, time.monotonic() - self._began)


class KeyReading:
    """Finds the profiles of n keys that are no PKeys; otherwise as ``PKeyReading``.

    Args:
        run: what the passes share.
        connection: where Campaign is.
        keys: n keys, each once.
        steps: what is known of them so far, of a finding; filled in place.
        how: the strategy.
        keep: makes what was found durable.
        sought: what the keys are, and what the profiles are wanted for.

    Attributes:
        pages: as there.
    """

    def __init__(
        self,
        run: Pass,
        connection: Connection,
        keys: Sequence[str],
        steps: Steps,
        how: Reading,
        keep: Record,
        sought: Sought,
    ) -> None:
        self._run = run
        self._connection = connection
        self._keys = keys
        self._steps = steps
        is_filter = sought.keys.kind is KeyKind.FILTER
        self._how = replace(how, fetch=Fetch.LOOKUP) if is_filter else how
        self._keep = keep
        self._sought = sought
        self._creates = sought.created_with is not None
        self._finder = Finder(
            sought.keys, run.attribute, reads_states=sought.reads_states, is_wary=self._creates
        )
        self._began = time.monotonic()
        self._missing = len(steps.open())
        self._listed: _Listed | None = None
        self._pages_left: int | None = None
        self._paged = False
        self._looked_up = 0
        self.pages = 0

    @property
    def calls_left(self) -> int:
        """Return how many calls reading still takes, as far as is known."""
        return self._lookups() if self._pages_left is None else self._pages_left

    async def begin(self) -> None:
        """Find out whether Campaign answers, and what either way of reading costs."""
        if not self._missing:
            return
        run, created_with = self._run, self._sought.created_with
        try:
            self._listed = await _listed(
                run, self._connection, self._missing, self._how, self._lookups(), is_last_word=True
            )
            if created_with:
                await run.client.check_fields(created_with, "--create-column")
        except StopRun as cause:
            run.stop.ask(cause)
        else:
            self._pages_left = _pages_left(self._listed)

    async def scan(self) -> None:
        """Page through the list, if that costs fewer calls."""
        run, listed = self._run, self._listed
        if listed is None or run.stop.asked:
            return
        self._finder.known = listed.known_email
        self._pages_left = None
        field = await _listed_field(run, self._sought.keys, self._finder, listed)
        if listed.first is None or field is None:
            return
        gathering = Gathering(self._keys, self._steps, self._finder, self._sought.keys, field)
        kept = Kept(self._keep, run.thread, run.stop)
        await _scan(run, gathering, listed.first, listed.total, self._lookups(), self._how)
        kept.note_all(gathering.settle(listed.total))
        self._paged = gathering.is_whole
        self.pages = gathering.pages if self._paged else 0
        await kept.close()

    async def look_up(self) -> None:
        """Look up every key of which nothing is known yet."""
        if self._listed is None or self._run.stop.asked:
            return
        self._looked_up = len(self._steps.open())
        await passes.find(self._run, self._keys, self._steps, self._keep, self._finder)

    def read(self) -> Read:
        """Return what it has cost so far."""
        if self._listed is None:
            return _nothing(self._began)
        costs, took_s = self._listed.costs, time.monotonic() - self._began
        return Read(costs, self._paged, self._looked_up, took_s)

    def _lookups(self) -> int:
        return _lookups(self._keys, self._steps, self._sought.keys, creates=self._creates)


AnyReading = PKeyReading | KeyReading


async def read(stages: AnyReading) -> Read:
    """Read all that is not known yet; what ended it early is in the run's ``Stop``."""
    await stages.begin()
    await stages.scan()
    await stages.look_up()
    return stages.read()


async def preflight(run: Pass, connection: Connection, page_size: int = 1) -> Instance:
    """Make the first calls; a custom attribute is looked for before anything else."""
    if connection.attribute != ATTRIBUTE and connection.api != AUTO:
        await run.client.check_attribute()
    instance = await run.client.preflight(page_size)
    if connection.attribute != ATTRIBUTE and connection.api == AUTO:
        await run.client.check_attribute()
    return instance


@dataclass(frozen=True, slots=True)
class _Listed:
    """The list, if a scan may be worth it, and what all that is left of it costs.

    Attributes:
        first: its first page, or where it goes on; None if keys are looked up.
        total: how many profiles there are, if known.
        costs: what either way of reading takes.
        seen: the first page that Campaign showed.
        left_at: where it goes on; None at its beginning.
    """

    first: Page | None
    total: int | None
    costs: Costs
    seen: Page
    left_at: Place | None = None

    @property
    def known_email(self) -> str:
        """An address that some profile has; "" if none was seen."""
        addresses = (profile.get("email") for profile in self.seen.profiles)
        return next((each for each in addresses if isinstance(each, str) and each), "")


async def _listed(
    run: Pass,
    connection: Connection,
    missing: int,
    how: Reading,
    lookups: int | None = None,
    *,
    is_last_word: bool = False,
    left_at: Place | None = None,
) -> _Listed:
    """Find out what a scan for so many keys costs, and begin it, or go on, if it may be worth it.

    Args:
        run: what the passes share.
        connection: where Campaign is.
        missing: how many keys are looked for.
        how: the strategy.
        lookups: calls that looking them up takes; one for each key if None.
        is_last_word: what the list does not show is not there, so that Campaign's own word on how
            many profiles there are is wanted.
        left_at: where another run left the list.
    """
    lookups = missing if lookups is None else lookups
    size = how.page_size or scan.page_size(missing)
    few = how.fetch is Fetch.AUTO and missing < scan.FEW_KEYS
    peeks = how.fetch is Fetch.LOOKUP or few or left_at is not None
    instance = await preflight(run, connection, 1 if peeks else size)
    first = instance.first
    is_whole = first.next_path is None and not first.cut_short
    total = first.total
    if total is None and is_whole and not peeks and not is_last_word:
        total = len(first.profiles)
    if total is None and how.fetch is not Fetch.LOOKUP:
        total = await run.client.count(instance)
    listed = _Listed(None if peeks else first, total, Costs.of(lookups, total, size), first)
    gone_on = None
    if left_at is not None and left_at.api == instance.api:
        gone_on = await _gone_on(run, how, left_at, listed)
    if gone_on is None:
        # A list counts only at its end, or Campaign gave it only for a while: all of it, or none.
        is_at_once = is_last_word or left_at is not None
        listed = await _begun(run, how, listed, size, is_at_once=is_at_once)
    else:
        listed = gone_on
    log.info(
        "Current states to read: %d; look-ups cost %d calls, a scan %s",
        missing,
        listed.costs.lookups,
        "an unknown number" if listed.costs.scan is None else listed.costs.scan,
    )
    return listed


async def _begun(
    run: Pass, how: Reading, listed: _Listed, size: int, *, is_at_once: bool
) -> _Listed:
    """Begin with the list, if a scan may be worth it, and tell what one costs."""
    page = listed.first
    if page is None and _may_scan(how, listed.costs):
        page = await _first_page(run, size)
    if page is None:
        return listed
    costs = Costs.of(listed.costs.lookups, listed.total, _on_a_page(page, size))
    if is_at_once and how.fetch is Fetch.AUTO and await _is_too_long(run, costs):
        page = None
    return replace(listed, first=page, costs=costs)


async def _gone_on(run: Pass, how: Reading, left_at: Place, listed: _Listed) -> _Listed | None:
    """Go on with the list where it was left; None if it does not go on there any more."""
    left = None if listed.total is None else max(0, listed.total - left_at.shown)
    costs = Costs.of(listed.costs.lookups, left, left_at.shown // left_at.pages)
    page = None
    if left_at.path is not None and _may_scan(how, costs):
        try:
            page = await run.client.listing.page(left_at.path)
        except RowFailed as failed:
            log.warning("The list does not go on where it was left: %s", failed.detail)
            return None
    return replace(listed, first=page, costs=costs, left_at=left_at)


async def _first_page(run: Pass, size: int) -> Page | None:
    """Read the first page of a list of which one profile was seen; None if that cannot be."""
    try:
        return await run.client.listing.first(run.client.api, size)
    except RowFailed as failed:
        log.warning("The list cannot be read, so keys are looked up: %s", failed.detail)
        return None


def _may_scan(how: Reading, costs: Costs) -> bool:
    """Tell whether pages are to be asked for, by what is known of their costs."""
    if how.fetch is not Fetch.AUTO:
        return how.fetch is Fetch.SCAN
    return costs.scan is not None and costs.scan < costs.lookups


async def _is_too_long(run: Pass, costs: Costs) -> bool:
    """Tell whether the budgets end before the pages of a scan, of which the first is there."""
    left = await run.client.calls.left()
    if left is None or costs.scan is None or left >= costs.scan - 1:
        return False
    log.info(
        "The pages of a scan take %d more calls, and the budget leaves %d: keys are looked up, for "
        "what is looked up needs not be read again",
        costs.scan - 1,
        left,
    )
    return True


async def _keep_place(run: Pass, bookmark: Bookmark, place: Place | None) -> None:
    try:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(run.thread, bookmark.keep_place, place)
    except StopRun as cause:
        run.stop.ask(cause)


async def _scan(
    run: Pass,
    listing: scan.Pages,
    first: Page,
    total: int | None,
    lookups: int,
    how: Reading,
    unseen: Callable[[], Awaitable[None]] | None = None,
) -> str | None:
    return await scan.scan(
        run,
        listing,
        first=first,
        total=total,
        lookups=lookups,
        while_cheaper=how.fetch is Fetch.AUTO,
        unseen=unseen,
    )


async def _try_keys(
    run: Pass, keys: Sequence[str], steps: Steps, how: Reading, keep: Record
) -> None:
    """Look a few keys up before all others, and stop if none of them can be one of this instance.

    The first ones, whose turn it is anyway; and only if these are unknown, some at random. Of a few
    rows nothing is said unless Campaign cannot even read the keys.
    """
    count = len(steps.state)
    if not how.tries_keys or count < _FIRST + _RANDOM or len(steps.open()) < count:
        return
    strange = _UNKNOWN if count >= FEWEST else {Reason.INVALID_KEY}
    others = random.Random(count).sample(range(_FIRST, count), _RANDOM)  # noqa: S311 - any will do
    for tried in (range(_FIRST), sorted(others)):
        await passes.look_up(run, keys, steps, keep, tried, count)
        problems = [steps.problems.get(at) for at in tried]
        if any(each is None or each.reason not in strange for each in problems):
            return
    detail = steps.problems[0].detail
    run.stop.ask(
        Refused(
            f"Nothing was written: none of {_FIRST + _RANDOM} keys, out of the {count:,} to be "
            f"looked up, is known to this instance. {detail} PKeys of stage are not those of "
            f"production, and {MIGRATED} If the keys are right, let them pass with --allow "
            f"{Oddity.UNKNOWN_KEYS}.",
            f"--allow {Oddity.UNKNOWN_KEYS}",
        )
    )


async def _listed_field(run: Pass, what: Keys, finder: Finder, listed: _Listed) -> str | None:
    """Tell in which field of listed profiles such keys stand; None if that is not certain.

    A custom key is one for sure only if a profile can be asked for by it.
    """
    page = listed.first
    if page is None or not page.profiles:
        return None
    if listed.total is None:
        log.info(
            "It is not known how many profiles there are, so no list is known to be whole, and "
            "keys are looked up"
        )
        return None
    field = field_of(what, page.profiles[0])
    if field is None:
        log.warning(
            "The list shows no field that is called like the column %r, so keys are looked up: "
            "name it with --key-field",
            what.field,
        )
    elif what.kind is KeyKind.CUSTOM:
        try:
            if not await finder.is_custom_key(run.client, field, page.profiles):
                log.warning("%s is not the custom key, so keys are looked up", field)
                return None
        except StopRun as cause:
            run.stop.ask(cause)
            return None
    return field


def _lookups(keys: Sequence[str], steps: Steps, what: Keys, *, creates: bool) -> int:
    """Forecast the calls that looking keys up takes; an address may have several spellings."""
    unread = steps.open()
    if what.kind is not KeyKind.EMAIL:
        return len(unread)
    ignores = what.email_case is EmailCase.IGNORE
    spelled = sum(len(emails.spellings(keys[at], ignore_case=ignores)) for at in unread)
    return spelled + (len(unread) if creates else 0)


def _pages_left(listed: _Listed) -> int | None:
    """Return how many more pages a scan takes, of which the first is there; None without a scan."""
    return None if listed.first is None else max(0, (listed.costs.scan or 0) - 1)


def _on_a_page(page: Page, asked: int) -> int:
    """Tell how many profiles Campaign puts on a page when it is asked for so many."""
    return asked if page.next_path is None else len(page.profiles)
