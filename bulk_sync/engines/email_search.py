"""Finds the profiles with an e-mail address, by the filters ``byEmail`` and ``byText``."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import Final

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.profiles import Profile
from bulk_sync.engines.filter_search import (
    EndlessError,
    FilterSearch,
    NoFilterError,
    add_match,
    is_refusal,
)
from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import emails
from bulk_sync.rows.results import Match

log = logging.getLogger(__name__)

_MAX_STRANGERS: Final = 20
"""Profiles with other addresses after which ``byEmail`` is not used any more."""

_BY_EMAIL: Final = "byEmail?email={}"
_BY_TEXT: Final = "byText?text={}&filterType=email"

_NO_FILTER: Final = (
    "Campaign knows neither of the filters byEmail and byText, so nobody was looked for. Read its "
    "whole list with --fetch scan, or name another filter with --key filter:NAME:PARAM."
)
_UNCERTAIN: Final = (
    "Campaign does not know the filter byText, and byEmail has found no profile yet, so it is not "
    "certain that nobody has this address."
)


@dataclass(slots=True)
class EmailSearch:
    """Searches by addresses, and learns which filters work. Belongs to one event loop.

    Args:
        ignores_case: whether capitals before the @ make no difference.
        is_wary: whether to search other spellings of an address too before it counts as unknown.
        other_spellings: of addresses in the input, by the one looked up.

    Attributes:
        alike: addresses in Campaign's list, by their form in small letters.
        is_listed: returns whether the whole list was read, without the addresses searched for.
    """

    match: Callable[[Profile], Match]
    ignores_case: bool
    is_wary: bool
    other_spellings: Mapping[str, Collection[str]]
    alike: dict[str, str] = field(default_factory=dict)
    is_listed: Callable[[], bool] = lambda: False
    _is_refused: bool = False
    _has_found: bool = False

    def lookups(self, addresses: Sequence[str]) -> int:
        """Forecast the calls of searching addresses, each in several spellings."""
        calls = sum(len(self._spellings(each)) for each in addresses)
        return calls + (len(addresses) if self.is_wary else 0)

    def _in_the_input(self, address: str) -> Sequence[str]:
        return (address, *self.other_spellings.get(address, ()))

    def _spellings(self, address: str) -> Sequence[str]:
        found = (
            emails.spellings(each, ignore_case=self.ignores_case)
            for each in self._in_the_input(address)
        )
        return list(dict.fromkeys(chain.from_iterable(found)))

    async def find(self, client: Client, key: str) -> tuple[Sequence[Match], int]:
        """Return the profiles with an address, and the HTTP tries.

        ``byText`` follows ``byEmail``, which finds nothing in some builds, until that has found a
        profile.

        Raises:
            RowFailed: there is none, or Campaign gave no answer.
        """
        hits = _Hits()
        spellings = self._spellings(key)
        if not self._is_refused:
            try:
                await self._search(client, _BY_EMAIL, spellings, key, hits)
            except RowFailed as failed:
                if not is_refusal(failed):
                    raise
                self._refuse(failed)
                hits = _Hits(tries=hits.tries)
        if hits.matches:
            self._has_found = True
        else:
            is_sure = self.is_wary and await self._search_widely(client, key, hits)
            if not is_sure and not self._has_found:
                await self._search_by_text(client, spellings, key, hits)
        if not hits.matches:
            hits.alike = hits.alike or self.alike.get(key.lower(), "")
            raise _no_such_address(hits)
        return list(hits.matches.values()), hits.tries

    async def _search_widely(self, client: Client, key: str, hits: "_Hits") -> bool:
        """Search every spelling of the domain; False if too many begin alike, such as info@."""
        try:
            texts = chain.from_iterable(map(emails.beginnings, self._in_the_input(key)))
            await self._search(client, _BY_TEXT, list(dict.fromkeys(texts)), key, hits)
        except EndlessError:
            return bool(hits.matches)
        except RowFailed as failed:
            if failed.outcome is not Outcome.NOT_FOUND:
                raise
            return False
        return True

    async def _search_by_text(
        self, client: Client, spellings: Sequence[str], key: str, hits: "_Hits"
    ) -> None:
        """Search with ``byText``. It is not there if its answer is no list, not even an empty one.

        Raise RowFailed if ``byEmail`` is not there either, or its word alone is not enough.
        """
        try:
            await self._search(client, _BY_TEXT, spellings, key, hits)
        except RowFailed as failed:
            if failed.outcome is not Outcome.NOT_FOUND:
                raise
            if (self._is_refused or self.is_wary) and not self.is_listed():
                why = _NO_FILTER if self._is_refused else _UNCERTAIN
                raise RowFailed(Reason.HTTP_404, why, attempts=hits.tries) from failed

    async def _search(
        self, client: Client, form: str, texts: Sequence[str], key: str, hits: "_Hits"
    ) -> None:
        for text in texts:
            search = FilterSearch(client, form, text, partial(_may_be_found, form, text))
            try:
                async for profile in search.profiles():
                    address = profile.get("email")
                    if emails.same(address, key, ignore_case=self.ignores_case):
                        add_match(hits.matches, self.match(profile))
                    elif emails.same(address, key, ignore_case=True):
                        hits.alike = str(address)
                    else:
                        hits.strangers += 1
                        if form is _BY_EMAIL and hits.strangers > _MAX_STRANGERS:
                            raise NoFilterError("The filter finds any address.")
            finally:
                hits.tries = max(hits.tries, search.tries)

    def _refuse(self, failed: RowFailed) -> None:
        if not self._is_refused:
            log.info("byEmail does not work here, so byText is used instead: %s", failed.detail)
        self._is_refused, self._has_found = True, False


@dataclass(slots=True)
class _Hits:
    """Search results for one address."""

    matches: dict[str, Match] = field(default_factory=dict)
    """By PKey."""
    alike: str = ""
    """An address with other capitals only."""
    strangers: int = 0
    """Profiles found with other addresses."""
    tries: int = 1


def _may_be_found(form: str, text: str, profile: Profile) -> bool:
    """Return whether a filter for addresses may find a profile, capitals aside."""
    address = str(profile.get("email") or "").casefold()
    wanted = text.casefold()
    return address.startswith(wanted) if form is _BY_TEXT else address == wanted


def _no_such_address(hits: _Hits) -> RowFailed:
    if not hits.alike:
        return not_found("No profile has this address.", hits.tries)
    return not_found(
        f"No profile has this address, but one has {hits.alike}, which differs in capitals: let "
        "them count as one with --email-case ignore.",
        hits.tries,
        Reason.AMBIGUOUS,
    )


def not_found(detail: str, tries: int, reason: Reason = Reason.NOT_FOUND) -> RowFailed:
    """Return the problem of a key without a profile."""
    return RowFailed(reason, detail, outcome=Outcome.NOT_FOUND, attempts=tries)
