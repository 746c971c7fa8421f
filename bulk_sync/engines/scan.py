"""Reads current states by paging through Campaign's list of profiles.

The list is never the last word. A key that it did not show, or showed with two states, is looked up
afterwards. So a list that ends early, loops or hides profiles costs calls, but no row; the log
reports it.
"""

import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from bulk_sync.amounts import count
from bulk_sync.campaign import profiles
from bulk_sync.campaign.list_pages import ListPage, ScanPosition, parser_of
from bulk_sync.campaign.responses import Parse
from bulk_sync.engines.journal import Recorder, now_ms
from bulk_sync.engines.workers import Workers
from bulk_sync.errors import RowFailed, StopRun
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.positions import Positions
from bulk_sync.rows.results import UNREAD, Steps

log = logging.getLogger(__name__)

_FALSE, TRUE, UNKNOWN = range(3)


class Pages(ABC):
    """Takes in consecutive pages of the list, perhaps from where an earlier run left it.

    Attributes:
        fields: what is needed of each profile.
        pages: pages so far.
        shown: profiles so far.
        missing: keys that more pages are needed for.
        is_used: whether any page has counted.
    """

    missing: int
    is_used = True

    def __init__(self, fields: Collection[str], left_at: ScanPosition | None = None) -> None:
        self.fields = fields
        self.pages = 0 if left_at is None else left_at.pages
        self.shown = 0 if left_at is None else left_at.shown

    @abstractmethod
    def take(self, page: ListPage) -> str | None:
        """Take a page in, and return the path of the next one, if the list goes on."""

    def settle(self, total: int | None) -> None:  # noqa: B027 - what a page shows counts at once
        """Record what only the end of the list makes certain."""

    def place(self, api: str, path: str | None) -> ScanPosition | None:  # noqa: ARG002
        """Return where the list is left, if another run can continue there."""
        return None

    def _following(self, page: ListPage, *, has_states: bool) -> str | None:
        """Count a page, and return the path of the next one, if the list is of use and goes on."""
        self.pages += 1
        self.shown += len(page.profiles)
        if not has_states and page.next_path is not None:
            log.warning(
                "A page of Campaign's list shows no profile with the attribute: keys are looked up"
            )
            return None
        if page.cut_short:
            log.warning("Campaign's list ends before its end: there is no link to the next page")
        return page.next_path


@dataclass(frozen=True, slots=True)
class Scanning:
    """How far a list is read.

    Attributes:
        total: number of profiles, if known.
        keys: number of all keys.
        calls_each: calls of looking up one; no list of unknown length takes more than all of them.
        while_cheaper: stop as soon as lookups of the missing keys cost less than the pages left.
        unseen: called if the first page shows none of the keys; may stop the run, and returns how
            many keys need no more pages.
    """

    total: int | None
    keys: int
    calls_each: float
    while_cheaper: bool
    unseen: Callable[[], Awaitable[int]]


async def scan(run: Workers, listing: Pages, first: ListPage, how: Scanning) -> str | None:
    """Page through the list from a page on, and let ``listing`` take it in.

    Returns:
        The path of the next page, if it is still needed: the run ends, or Campaign did not give
        the page for a passing reason.
    """
    page, all_keys, total = first, listing.missing, how.total
    parse: Parse | None = None
    while True:
        path = listing.take(page)
        if listing.pages == 1 and listing.missing == all_keys:
            listing.missing -= await how.unseen()
        run.progress("scan", listing.shown, max(total or 0, listing.shown), run.client.pacer)
        if path is None or not listing.missing or run.stop.is_requested:
            if path is None and listing.missing and total is not None and listing.shown < total:
                log.warning("Campaign's list showed %d of %d profiles", listing.shown, total)
            return path
        if _is_enough(listing, page, how):
            return None
        try:
            parse = parse or parser_of(listing.fields)  # needed only for a second page
            page = await run.client.listing.page(path, parse)
        except RowFailed as failed:
            log.warning("Campaign's list ended early: %s", failed.detail)
            return path if failed.passing or run.stop.is_requested else None
        except StopRun as cause:
            run.stop.ask(cause)
            return path


def _is_enough(listing: Pages, page: ListPage, how: Scanning) -> bool:
    if how.total is None:
        return _is_enough_unknown(listing, how)
    if listing.shown > 2 * how.total + len(page.profiles):
        log.warning("Campaign's list goes on after %d of %d profiles", listing.shown, how.total)
        return True
    left = -(-max(0, how.total - listing.shown) // max(1, len(page.profiles)))
    if how.while_cheaper and left > listing.missing * how.calls_each:
        log.info("Looking up %s costs less than more pages", count(listing.missing, "key"))
        return True
    return False


def _is_enough_unknown(listing: Pages, how: Scanning) -> bool:
    if how.while_cheaper:
        log.info(
            "It is not known how many profiles there are, so %s looked up; --fetch scan "
            "reads Campaign's list all the same",
            count(listing.missing, "key is", "keys are"),
        )
        return True
    lookups = round(how.keys * how.calls_each)
    if listing.pages >= lookups:
        log.warning(
            "Campaign's list goes on after %s, its end is unknown, and looking up all keys "
            "takes %s; the %s looked up",
            count(listing.pages, "page"),
            count(lookups, "call"),
            count(listing.missing, "key that is left is", "keys that are left are"),
        )
        return True
    return False


class HashIndex:
    """Positions of n keys.

    Memory: 16 bytes a key, and 24 more while it is made.

    Args:
        keys: the keys, each once.
        positions: those looked for.
        hash_of: hashes a key into 64 bits.
    """

    def __init__(
        self, keys: Texts, positions: Positions, hash_of: Callable[[str], int] = hash
    ) -> None:
        self._keys = keys
        self._hash_of = hash_of
        hashes = self._hashes_of(keys)[positions]
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._positions = positions[order]

    def find(self, listed: Sequence[str]) -> Positions:
        """Return the position of each listed key; -1 for those not looked for.

        Hashes name the candidates, and their texts decide. Keys with the same hash are all
        compared.
        """
        hashes = self._hashes_of(listed)
        entry = self._entries(hashes)
        found = np.full(len(listed), -1)
        left = np.arange(len(listed))
        while True:
            left = left[entry[left] < len(self._hashes)]
            left = left[self._hashes[entry[left]] == hashes[left]]
            if not len(left):
                return found
            candidates = self._positions[entry[left]]
            is_all = len(left) == len(listed)
            texts = listed if is_all else [listed[each] for each in left.tolist()]
            is_same = self._keys.equal(candidates, texts)
            found[left[is_same]] = candidates[is_same]
            entry[left] += 1

    def _hashes_of(self, keys: Sequence[str]) -> npt.NDArray[np.uint64]:
        return np.fromiter(map(self._hash_of, keys), np.int64, len(keys)).view(np.uint64)

    def _entries(self, hashes: npt.NDArray[np.uint64]) -> Positions:
        """Return the first entry at or above each hash; in order, for a third of the time."""
        order = np.argsort(hashes)
        entry = np.empty(len(hashes), np.intp)
        entry[order] = np.searchsorted(self._hashes, hashes[order])
        return entry


class ListedStates(Pages):
    """States of PKeys that the pages have shown so far.

    Args:
        keys: n keys, each once.
        steps: n rows; filled in place. Known states are compared with the pages too.
    """

    def __init__(
        self,
        keys: Texts,
        steps: Steps,
        attribute: str,
        recorder: Recorder,
        left_at: ScanPosition | None = None,
    ) -> None:
        super().__init__(profiles.fields_of_state(attribute), left_at)
        is_open = steps.attempts == 0
        self._index = HashIndex(keys, np.flatnonzero(is_open | (steps.state != UNREAD)))
        self.missing = int(np.count_nonzero(is_open))
        self._recorder = recorder
        self._steps = steps
        self._attribute = attribute
        self._contradictions = set() if left_at is None else set(left_at.doubtful)

    def take(self, page: ListPage) -> str | None:
        """Take a page in, and return the path of the next one, if the list goes on."""
        listed, attribute = page.profiles, self._attribute
        states = states_on(page, attribute)
        pkeys = [each.get("PKey") for each in listed]
        keys = [pkey if isinstance(pkey, str) else "" for pkey in pkeys]
        places = self._index.find(keys)
        places[[pkey != key for pkey, key in zip(pkeys, keys, strict=True)]] = -1  # are no text
        if (changed_ms := self._steps.changed_ms) is not None:
            for at, profile in zip(places.tolist(), listed, strict=True):
                if at >= 0:
                    changed_ms[at] = profiles.changed_ms(profile, attribute)
        is_known = states != UNKNOWN
        is_wanted = is_known & (places >= 0)
        self._record(places[is_wanted], states[is_wanted] == TRUE)
        return self._following(page, has_states=bool(is_known.any()))

    def place(self, api: str, path: str | None) -> ScanPosition | None:
        """Return where the list is left, if keys are missing."""
        if not self.missing:
            return None
        return ScanPosition(api, path, self.pages, self.shown, sorted(self._contradictions))

    def _record(self, where: npt.NDArray[np.intp], values: npt.NDArray[np.bool_]) -> None:
        """Record states: in one go if none was shown before."""
        steps, now, places = self._steps, now_ms(), where.tolist()
        is_new = len(set(places)) == len(places) and not steps.attempts[where].any()
        if is_new and self._contradictions.isdisjoint(places):
            steps.state[where] = values
            steps.attempts[where] = 1
            steps.at_ms[where] = now
            self.missing -= len(places)
            self._recorder.add_all(places)
            return
        for at, state in zip(places, values.tolist(), strict=True):
            if at in self._contradictions:
                continue
            if not steps.attempts[at]:
                self.missing -= 1
                steps.done(at, 1, now, state=state)
            elif steps.state[at] != state:
                self._contradictions.add(at)
                self.missing += 1
                steps.undo(at)  # so it is looked up
            self._recorder.add(at)


def states_on(page: ListPage, attribute: str) -> npt.NDArray[np.uint8]:
    """Return the states on a page; all but true and false is ``UNKNOWN``."""
    found = [profile.get(attribute) for profile in page.profiles]
    codes = [TRUE if each is True else _FALSE if each is False else UNKNOWN for each in found]
    return np.frombuffer(bytes(codes), np.uint8)
