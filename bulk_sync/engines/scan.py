"""Reads current states by paging through the list of profiles.

Never the last word: a key that the list did not show, or showed in two ways, keeps no state here
and is looked up by itself afterwards. So a list that ends early, loops or hides profiles costs
calls, but no row; it is noticed and told in the log.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bulk_sync.campaign import profiles
from bulk_sync.engines.journal import Kept, Record
from bulk_sync.engines.local import Pass, now_ms
from bulk_sync.errors import RowFailed, StopRun
from bulk_sync.rows.steps import Steps

log = logging.getLogger(__name__)

PAGE_SIZE: Final = 1000
"""Profiles asked for on a page, if not told otherwise; no maximum is documented."""

_SMALLEST_PAGE: Final = 25
"""Campaign's own default (campaign-api.md, section 2.1)."""


@dataclass(frozen=True, slots=True)
class Costs:
    """What reading n keys costs in calls; ``scan`` is None if the number of profiles is unknown."""

    lookups: int
    scan: int | None

    @classmethod
    def of(cls, keys: int, total: int | None, page_size: int) -> "Costs":
        """Forecast both ways for so many keys out of so many profiles."""
        return cls(keys, None if total is None else max(1, -(-total // page_size)))

    @property
    def scan_is_cheaper(self) -> bool:
        """Whether paging through the list costs fewer calls."""
        return self.scan is not None and self.scan < self.lookups


async def scan(
    run: Pass,
    keys: Sequence[str],
    steps: Steps,
    keep: Record,
    *,
    page_size: int,
    total: int | None,
    while_cheaper: bool,
) -> None:
    """Page through the list and note the states of the keys that it shows.

    Args:
        run: what the passes share.
        keys: n keys, each once.
        steps: n rows; filled in place.
        keep: makes states durable.
        page_size: profiles on a page; smaller ones are tried if Campaign does not bear it.
        total: how many profiles there are, if known.
        while_cheaper: leave off as soon as looking up the missing keys costs fewer calls than the
            pages that are left.
    """
    kept = Kept(keep, run.thread, run.stop)
    listing = _Listing(keys, steps, run.attribute, kept)
    path: str | None = run.client.first_page(page_size)
    while path is not None and listing.missing and not run.stop.asked:
        try:
            page = await run.client.page(path)
        except RowFailed as failed:
            if listing.shown or not failed.passing or page_size // 4 < _SMALLEST_PAGE:
                log.warning("The list ended early: %s", failed.detail)
                break
            log.info("A page of %d profiles failed; trying smaller ones", page_size)
            page_size //= 4
            path = run.client.first_page(page_size)
            continue
        except StopRun as cause:
            run.stop.ask(cause)
            break
        path = listing.take(page)
        run.tell("scan", listing.shown, max(total or 0, listing.shown))
        if path is None and total is not None and listing.shown < total:
            log.warning("The list showed %d of %d profiles", listing.shown, total)
        elif path is not None and total is not None and listing.shown > 2 * total + page_size:
            log.warning("The list goes on after %d of %d profiles", listing.shown, total)
            break
        elif while_cheaper and path is not None and total is not None:
            pages_left = -(-max(0, total - listing.shown) // max(1, len(page.profiles)))
            if pages_left > listing.missing:
                log.info("Looking up %d keys costs less than more pages", listing.missing)
                break
    await kept.close()


class _Listing:
    """What the pages have shown so far."""

    def __init__(self, keys: Sequence[str], steps: Steps, attribute: str, kept: Kept) -> None:
        self.shown = 0
        self._index = {keys[at]: at for at in steps.open()}
        self.missing = len(self._index)
        self._kept = kept
        self._steps = steps
        self._attribute = attribute
        self._first_keys: set[str] = set()
        self._contradictions: set[int] = set()

    def take(self, page: profiles.Page) -> str | None:
        """Note the states on a page, and tell where the next one is, if the list goes on."""
        listed, steps, now = page.profiles, self._steps, now_ms()
        known = 0
        for profile in listed:
            state = profiles.state(profile, self._attribute)
            if state is None:
                continue
            known += 1
            key = profile.get("PKey")
            at = self._index.get(key) if isinstance(key, str) else None
            if at is None:
                continue
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
        self.shown += len(listed)
        if not known and page.next_path is not None:
            log.warning(
                "A page of the list shows no profile with the attribute; looking up instead"
            )
            return None
        if page.cut_short:
            log.warning("The list ends before its end: Campaign gives no link to go on with")
        first_key = str(listed[0].get("PKey")) if listed else ""
        if page.next_path is not None and first_key in self._first_keys:
            log.warning("The list began anew after %d profiles; looking up the rest", self.shown)
            return None
        self._first_keys.add(first_key)
        return page.next_path
