"""Reads current states by paging through the list of profiles.

Never the last word: a key that the list did not show, or showed in two ways, keeps no state here
and is looked up by itself afterwards. So a list that ends early, loops or hides profiles costs
calls, but no row; it is noticed and told in the log.
"""

import logging
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from bulk_sync.campaign import profiles
from bulk_sync.campaign.list_pages import Page, Place, parser_of
from bulk_sync.campaign.responses import Parse
from bulk_sync.engines.journal import Kept
from bulk_sync.engines.passes import Pass
from bulk_sync.engines.work import now_ms
from bulk_sync.errors import RowFailed, StopRun
from bulk_sync.rows.lazy_texts import Texts
from bulk_sync.rows.results import UNREAD, Steps

log = logging.getLogger(__name__)

_LARGEST_PAGE: Final = 10_000
"""Profiles asked for on a page, at most; no maximum is documented, and Campaign gives what it
gives (campaign-api.md, section 2.1)."""

FEW_KEYS: Final = 25
"""For fewer keys than this the list is not asked for before it is known to be short."""

_PER_KEY: Final = 25
"""Profiles asked for on a page for each key that is looked for, at most: nobody's profile is to be
fetched for a handful of others."""

_BATCH: Final = 1 << 16

_FALSE, _TRUE, _UNKNOWN = range(3)


def page_size(keys: int) -> int:
    """Tell how many profiles to ask for on a page, for so many keys that are looked for."""
    return min(_LARGEST_PAGE, _PER_KEY * keys)


@dataclass(frozen=True, slots=True)
class Costs:
    """What reading n keys costs in calls; ``scan`` is None if the number of profiles is unknown."""

    lookups: int
    scan: int | None

    @classmethod
    def of(cls, keys: int, total: int | None, page_size: int) -> "Costs":
        """Forecast both ways for so many keys out of so many profiles."""
        return cls(keys, None if total is None else max(1, -(-total // max(1, page_size))))


class Pages(Protocol):
    """Who takes in what the pages of the list show."""

    @property
    def pages(self) -> int:
        """How many pages there were so far."""

    @property
    def shown(self) -> int:
        """How many profiles they have shown so far."""

    @property
    def missing(self) -> int:
        """How many keys more pages are needed for."""

    @property
    def fields(self) -> Collection[str]:
        """What is looked at of each profile."""

    def take(self, page: Page) -> str | None:
        """Take a page in, and tell where the next one is, if the list goes on."""


async def scan(
    run: Pass,
    listing: Pages,
    *,
    first: Page,
    total: int | None,
    lookups: int,
    while_cheaper: bool,
    unseen: Callable[[], Awaitable[None]] | None = None,
) -> str | None:
    """Page through the list and note what it shows.

    Args:
        run: what the passes share.
        listing: takes the pages in.
        first: the first page, or where the list goes on, which is there already.
        total: how many profiles there are, if known.
        lookups: calls that looking up all keys would take; no list of unknown length takes more.
        while_cheaper: leave off as soon as looking up the missing keys costs fewer calls than the
            pages that are left.
        unseen: called if the first page shows none of the keys; may ask the run to stop.

    Returns:
        Where the next page is, if it is still wanted: the run is to end, or Campaign did not give
        it for what may pass.
    """
    page, all_keys = first, listing.missing
    parse: Parse | None = None
    while True:
        path = listing.take(page)
        if listing.pages == 1 and listing.missing == all_keys and unseen is not None:
            await unseen()
        run.tell("scan", listing.shown, max(total or 0, listing.shown), run.client.pacer)
        if path is None or not listing.missing or run.stop.asked:
            is_over = path is None and listing.missing
            if is_over and total is not None and listing.shown < total:
                log.warning("The list showed %d of %d profiles", listing.shown, total)
            return path
        if total is None:
            is_enough = _is_enough(listing, lookups, while_cheaper=while_cheaper)
        else:
            is_enough = _is_enough_of(listing, page, total, while_cheaper=while_cheaper)
        if is_enough:
            return None
        try:
            parse = parse or parser_of(listing.fields)  # which only a second page needs
            page = await run.client.listing.page(path, parse)
        except RowFailed as failed:
            log.warning("The list ended early: %s", failed.detail)
            return path if failed.passing or run.stop.asked else None
        except StopRun as cause:
            run.stop.ask(cause)
            return path


def _is_enough(listing: Pages, lookups: int, *, while_cheaper: bool) -> bool:
    """Tell whether a list of unknown length is to be left, and say why."""
    if while_cheaper:
        log.info(
            "It is not known how many profiles there are, so %d keys are looked up; --fetch scan "
            "pages through the list all the same",
            listing.missing,
        )
        return True
    if listing.pages >= lookups:
        log.warning(
            "The list goes on after %d pages, nobody knows how far, and looking up all keys takes "
            "%d calls; looking up the %d keys that are left",
            listing.pages,
            lookups,
            listing.missing,
        )
        return True
    return False


def _is_enough_of(listing: Pages, page: Page, total: int, *, while_cheaper: bool) -> bool:
    """Tell whether a list of so many profiles is to be left, and say why."""
    if listing.shown > 2 * total + len(page.profiles):
        log.warning("The list goes on after %d of %d profiles", listing.shown, total)
        return True
    left = -(-max(0, total - listing.shown) // max(1, len(page.profiles)))
    if while_cheaper and left > listing.missing:
        log.info("Looking up %d keys costs less than more pages", listing.missing)
        return True
    return False


class Index:
    """Where each of n keys stands, without an object and its place in a dict.

    Memory: 24 bytes a key at most, and 8 more while it is made.

    Args:
        keys: the keys, each once.
        positions: those of them that are looked for.
        hashed: tells the hash of a key, of 64 bits that are spread evenly.
    """

    def __init__(
        self,
        keys: Texts,
        positions: npt.NDArray[np.intp],
        hashed: Callable[[str], int] = hash,
    ) -> None:
        self._keys = keys
        self._hashed = hashed
        hashes = self._hashes_of(keys)[positions]
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        self._positions = positions[order]
        bits = max(1, len(positions).bit_length())
        self._shift = np.uint64(64 - bits)
        del hashes, order
        self._first = np.empty(1 << bits, np.int32)
        for start in range(0, 1 << bits, _BATCH):
            some = np.arange(start, min(1 << bits, start + _BATCH), dtype=np.uint64)
            self._first[start : start + _BATCH] = np.searchsorted(self._hashes, some << self._shift)

    def __len__(self) -> int:
        return len(self._positions)

    def places(self, listed: Sequence[str]) -> npt.NDArray[np.intp]:
        """Tell the position of each key that was listed; -1 where it is not looked for.

        The hash says which it may be, and its text whether it is. Keys that share a hash, should
        there ever be any, are all compared.
        """
        hashes = self._hashes_of(listed)
        entry = self._entries(hashes)
        places = np.full(len(listed), -1)
        of = np.arange(len(listed))
        while True:
            of = of[entry[of] < len(self._hashes)]
            of = of[self._hashes[entry[of]] == hashes[of]]
            if not len(of):
                return places
            at = self._positions[entry[of]]
            texts = listed if len(of) == len(listed) else [listed[each] for each in of.tolist()]
            same = self._keys.equal(at, texts)
            places[of[same]] = at[same]
            entry[of] += 1

    def _hashes_of(self, keys: Sequence[str]) -> npt.NDArray[np.uint64]:
        return np.fromiter(map(self._hashed, keys), np.int64, len(keys)).view(np.uint64)

    def _entries(self, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.intp]:
        """Find the first entry that is not below each hash.

        The leading bits of a hash say nearly where that is, since hashes are spread evenly: a
        binary search takes three times as long, most of it waiting for memory.
        """
        entry = self._first[(hashes >> self._shift).astype(np.intp)].astype(np.intp)
        below = np.arange(len(hashes))
        while True:
            below = below[entry[below] < len(self._hashes)]
            below = below[self._hashes[entry[below]] < hashes[below]]
            if not len(below):
                return entry
            entry[below] += 1


class Listing:
    """What the pages have shown so far.

    Args:
        keys: n keys, each once.
        steps: n rows; filled in place. States that are known already are held against the pages.
        attribute: the attribute's name.
        kept: makes what they show durable.
        left_at: where another run left the list, if this one goes on there.
    """

    def __init__(
        self,
        keys: Texts,
        steps: Steps,
        attribute: str,
        kept: Kept,
        left_at: Place | None = None,
    ) -> None:
        self.pages = 0 if left_at is None else left_at.pages
        self.shown = 0 if left_at is None else left_at.shown
        is_open = steps.attempts == 0
        self._index = Index(keys, np.flatnonzero(is_open | (steps.state != UNREAD)))
        self.missing = int(np.count_nonzero(is_open))
        self._kept = kept
        self._steps = steps
        self._attribute = attribute
        self._first_keys: set[str] = set()
        self._contradictions = set() if left_at is None else set(left_at.doubtful)
        self.fields = profiles.fields_of_state(attribute)

    def take(self, page: Page) -> str | None:
        """Note the states on a page, and tell where the next one is, if the list goes on."""
        listed, attribute = page.profiles, self._attribute
        states = _states(listed, attribute)
        pkeys = [each.get("PKey") for each in listed]
        keys = [pkey if isinstance(pkey, str) else "" for pkey in pkeys]
        places = self._index.places(keys)
        places[[pkey != key for pkey, key in zip(pkeys, keys, strict=True)]] = -1  # are no text
        if (changed_ms := self._steps.changed_ms) is not None:
            for at, profile in zip(places.tolist(), listed, strict=True):
                if at >= 0:
                    changed_ms[at] = profiles.changed_ms(profile, attribute)
        is_known = states != _UNKNOWN
        is_wanted = is_known & (places >= 0)
        self._note(places[is_wanted], states[is_wanted] == _TRUE)
        self.pages += 1
        self.shown += len(listed)
        if not is_known.any() and page.next_path is not None:
            log.warning(
                "A page of the list shows no profile with the attribute; looking up instead"
            )
            return None
        if page.cut_short:
            log.warning("The list ends before its end: Campaign gives no link to go on with")
        first_key = str(pkeys[0]) if pkeys else ""
        if page.next_path is not None and first_key in self._first_keys:
            log.warning("The list began anew after %d profiles; looking up the rest", self.shown)
            return None
        self._first_keys.add(first_key)
        return page.next_path

    def place(self, api: str, path: str | None) -> Place:
        """Tell where the list is left, for whoever goes on with it."""
        return Place(api, path, self.pages, self.shown, sorted(self._contradictions))

    def _note(self, where: npt.NDArray[np.intp], values: npt.NDArray[np.bool_]) -> None:
        """Note states that were shown: at once those that were not shown before."""
        steps, now, ats = self._steps, now_ms(), where.tolist()
        is_new = len(set(ats)) == len(ats) and not steps.attempts[where].any()
        if is_new and self._contradictions.isdisjoint(ats):
            steps.state[where] = values
            steps.attempts[where] = 1
            steps.at_ms[where] = now
            self.missing -= len(ats)
            self._kept.note_all(ats)
            return
        for at, state in zip(ats, values.tolist(), strict=True):
            if at in self._contradictions:
                continue
            if not steps.attempts[at]:
                self.missing -= 1
                steps.done(at, 1, now, state=state)
            elif steps.state[at] != state:
                self._contradictions.add(at)
                self.missing += 1
                steps.undo(at)  # left to be looked up
            self._kept.note(at)


def _states(listed: Sequence[profiles.Profile], attribute: str) -> npt.NDArray[np.uint8]:
    """Read the states on a page; whatever is neither true nor false is unknown."""
    found = [profile.get(attribute) for profile in listed]
    codes = [_TRUE if each is True else _FALSE if each is False else _UNKNOWN for each in found]
    return np.frombuffer(bytes(codes), np.uint8)
