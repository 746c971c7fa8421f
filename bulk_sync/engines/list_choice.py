"""Chooses between lookups and paging through Campaign's list, by the calls of either way.

preflight --> the first page, if a scan may cost less --> scan, or lookups alone
"""

import logging
from dataclasses import dataclass, replace
from typing import Final

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.list_pages import ListPage, ScanPosition
from bulk_sync.errors import RowFailed
from bulk_sync.settings import ATTRIBUTE, AUTO, Connection, Fetch, Reading

log = logging.getLogger(__name__)

_LARGEST_PAGE: Final = 10_000
"""Profiles requested on a page, at most; no maximum is documented, and Campaign may give fewer
(manual/campaign-api.md, section 2.1)."""

_FEW_KEYS: Final = 25
"""For fewer keys the list is not requested before it is known to be short."""

_PER_KEY: Final = 25
"""Profiles requested on a page for each key, at most: a handful of keys is no reason to read many
other people's profiles."""


@dataclass(frozen=True, slots=True)
class Costs:
    """Calls of reading n keys; ``scan`` is None if the number of profiles is unknown."""

    lookups: int
    scan: int | None


def costs_of(lookups: int, total: int | None, page_rows: int) -> Costs:
    """Forecast both ways for so many profiles."""
    return Costs(lookups, None if total is None else max(1, -(-total // max(1, page_rows))))


@dataclass(frozen=True, slots=True)
class ProfileList:
    """Campaign's list, and the calls that are left.

    Attributes:
        first: its first page, or the next one after an earlier run; None if keys are looked up.
        total: number of profiles, if known.
        costs: calls of either way.
        left_at: where an earlier run left it; None at its beginning.
    """

    first: ListPage | None
    total: int | None
    costs: Costs
    left_at: ScanPosition | None = None

    @property
    def pages_left(self) -> int | None:
        """Pages after the first; None without a scan."""
        return None if self.first is None else max(0, (self.costs.scan or 0) - 1)


async def preflight(client: Client, connection: Connection, page_rows: int = 1) -> ListPage:
    """Make the first calls, and return the first page; a custom attribute is checked before."""
    if connection.attribute != ATTRIBUTE and connection.api != AUTO:
        await client.check_attribute()
    page = await client.preflight(page_rows)
    if connection.attribute != ATTRIBUTE and connection.api == AUTO:
        await client.check_attribute()
    return page


async def choose(
    client: Client,
    connection: Connection,
    how: Reading,
    lookups: tuple[int, int],
    *,
    needs_whole_list: bool,
    left_at: ScanPosition | None,
) -> ProfileList:
    """Make the first calls, and begin or continue the list if a scan may cost less.

    ``lookups`` are the keys that are looked for, and the calls of looking them up. If a key that is
    not in the list is unknown, Campaign's own count is needed.
    """
    keys, calls = lookups
    size = how.page_size or min(_LARGEST_PAGE, _PER_KEY * keys)
    is_few = how.fetch is Fetch.AUTO and keys < _FEW_KEYS
    peeks = how.fetch is Fetch.LOOKUP or is_few or left_at is not None
    first = await preflight(client, connection, 1 if peeks else size)
    total = first.total
    is_whole = first.next_path is None and not first.cut_short
    if total is None and is_whole and not peeks and not needs_whole_list:
        total = len(first.profiles)
    if total is None and how.fetch is not Fetch.LOOKUP:
        total = await client.count(first)
    listing = ProfileList(None if peeks else first, total, costs_of(calls, total, size))
    continued = None
    if left_at is not None and left_at.api == client.api:
        continued = await _continued(client, how, left_at, listing)
    # A list that counts only at its end, or did not continue, is read to its end or not at all.
    is_at_once = needs_whole_list or left_at is not None
    listing = continued or await _begun(client, how, listing, size, is_at_once=is_at_once)
    log.info(
        "Keys to read from Campaign: %s; calls needed: %s one by one, %s from Campaign's list",
        f"{keys:,}",
        f"{listing.costs.lookups:,}",
        "an unknown number" if listing.costs.scan is None else f"{listing.costs.scan:,}",
    )
    return listing


async def _begun(
    client: Client, how: Reading, listing: ProfileList, size: int, *, is_at_once: bool
) -> ProfileList:
    """Return the list with its first page, if a scan may cost less."""
    page = listing.first
    if page is None and _may_scan(how, listing.costs):
        try:
            page = await client.listing.first(client.api, size)
        except RowFailed as failed:
            log.warning("Campaign's list cannot be read, so keys are looked up: %s", failed.detail)
    if page is None:
        return listing
    page_rows = size if page.next_path is None else len(page.profiles)
    costs = costs_of(listing.costs.lookups, listing.total, page_rows)
    if is_at_once and how.fetch is Fetch.AUTO and await _exceeds_budget(client, costs):
        page = None
    return replace(listing, first=page, costs=costs)


async def _continued(
    client: Client, how: Reading, left_at: ScanPosition, listing: ProfileList
) -> ProfileList | None:
    """Return the list from where it was left; None if it does not continue there."""
    left = None if listing.total is None else max(0, listing.total - left_at.shown)
    costs = costs_of(listing.costs.lookups, left, left_at.shown // left_at.pages)
    page = None
    if left_at.path is not None and _may_scan(how, costs):
        try:
            page = await client.listing.page(left_at.path)
        except RowFailed as failed:
            log.warning("Campaign's list does not go on where it was left: %s", failed.detail)
            return None
    return replace(listing, first=page, costs=costs, left_at=left_at)


def _may_scan(how: Reading, costs: Costs) -> bool:
    if how.fetch is not Fetch.AUTO:
        return how.fetch is Fetch.SCAN
    return costs.scan is not None and costs.scan < costs.lookups


async def _exceeds_budget(client: Client, costs: Costs) -> bool:
    """Return whether the budgets end before the pages do; the first page is there."""
    left = await client.calls.left()
    if left is None or costs.scan is None or left >= costs.scan - 1:
        return False
    log.info(
        "The pages of Campaign's list take %d more calls, and the budget leaves %d: keys are "
        "looked up instead, since what is looked up is kept for the next run",
        costs.scan - 1,
        left,
    )
    return True
