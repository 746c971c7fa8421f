"""Finds the profiles that a key stands for which is no PKey: an e-mail address, a business key.

    key --byEmail, byText, a custom key in the URL, a filter--> profiles --compared here--> matches

What Campaign answers is never taken at its word: ``byText`` finds what begins with the text, a
filter whose parameter is misspelled may find everybody, and nothing says how exact ``byEmail`` is
(campaign-api.md, section 2.2). A profile counts if it shows the key itself.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

from bulk_sync.campaign import profiles
from bulk_sync.campaign.client import Client
from bulk_sync.campaign.profiles import Profile
from bulk_sync.errors import RowFailed, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import emails
from bulk_sync.rows.steps import UNREAD, Match
from bulk_sync.settings import EXTENDED, EmailCase, KeyKind, Keys

log = logging.getLogger(__name__)

_LINES: Final = 100
"""Profiles asked for on a page of those that a filter finds."""

_MOST_PAGES: Final = 10
"""A key that stands for more profiles than are on so many pages is no key."""

_MOST_STRANGERS: Final = 20
"""Profiles with other addresses that ``byEmail`` may find before it is not asked any more."""

_BY_EMAIL: Final = "byEmail?email={}"
_BY_TEXT: Final = "byText?text={}&filterType=email"


class Finder:
    """Finds profiles by keys of one kind. Belongs to one event loop.

    Args:
        keys: what the keys are.
        attribute: the attribute whose state is read on the way.

    Attributes:
        known: an address that some profile has, by which ``byEmail`` can be tried; "" if none is.
    """

    def __init__(self, keys: Keys, attribute: str) -> None:
        self._keys = keys
        self._attribute = attribute
        self.known = ""
        self._is_refused = False
        self._is_proven = False
        self._proving = asyncio.Lock()

    async def find(self, client: Client, key: str) -> tuple[tuple[Match, ...], int]:
        """Find the profiles that a key stands for, at least one, and tell how many tries it took.

        Raises:
            RowFailed: there is none, or Campaign did not say.
            StopRun: the run cannot go on.
        """
        match self._keys.kind:
            case KeyKind.EMAIL:
                return await self._by_email(client, key)
            case KeyKind.FILTER:
                return await self._by_filter(client, key)
            case _:
                return await self._by_key(client, key)

    def match(self, profile: Profile) -> Match:
        """Take from a profile what is asked of it.

        Raises:
            RowFailed: it has no PKey.
        """
        pkey = profile.get("PKey")
        if not isinstance(pkey, str) or not pkey:
            raise RowFailed(Reason.BAD_ANSWER, "Campaign answered with a profile without a PKey.")
        state = profiles.state(profile, self._attribute)
        changed_ms = profiles.changed_ms(profile, self._attribute)
        return Match(pkey, UNREAD if state is None else int(state), changed_ms)

    async def _by_key(self, client: Client, key: str) -> tuple[tuple[Match, ...], int]:
        try:
            profile, tries = await client.profile(key, is_pkey=False)
        except RowFailed as failed:
            if failed.outcome is Outcome.NOT_FOUND:
                failed.detail = "No profile has this custom key."
            raise
        if not _shows(profile, key, self._keys.field):
            raise _not_found("Campaign answered with a profile that does not show this key.", tries)
        return (self.match(profile),), tries

    async def _by_filter(self, client: Client, key: str) -> tuple[tuple[Match, ...], int]:
        keys = self._keys
        path = f"{keys.filter}?{keys.param}={quote(key, safe='')}"
        search = _Search(client, path)
        found: dict[str, Match] = {}
        try:
            async for profile in search.profiles():
                if _shows(profile, key, keys.field):
                    hit = self.match(profile)
                    found[hit.pkey] = hit
        except RowFailed as failed:
            if _is_refusal(failed):  # for one that finds nobody answers with an empty list
                raise UsageProblem(
                    f"--key filter:{keys.filter}:{keys.param}: {client.api} knows no such filter "
                    f"({failed.detail.rstrip('.')}). Custom filters are on {EXTENDED} alone; "
                    "Campaign v8 knows them without 'by': --dialect v8."
                ) from failed
            raise
        if found:
            return tuple(found.values()), search.tries
        if not search.seen:
            raise _not_found("No profile is found by this filter.", search.tries)
        raise _bad_answer(
            f"The filter {keys.filter} found profiles that do not show this key, so none was "
            "taken: is its parameter called otherwise?",
            search.tries,
        )

    async def _by_email(self, client: Client, key: str) -> tuple[tuple[Match, ...], int]:
        """Ask ``byEmail``; and ``byText``, unless ``byEmail`` is known to find what there is."""
        hits = _Hits()
        if not self._is_refused:
            try:
                await self._ask(client, _BY_EMAIL, key, hits)
            except RowFailed as failed:
                if not _is_refusal(failed):
                    raise
                self._refuse(failed)
                hits = _Hits(tries=hits.tries)
        if hits.matches:
            self._is_proven = True
        elif not await self._proved(client):
            await self._ask(client, _BY_TEXT, key, hits)
        if not hits.matches:
            raise _no_such_address(hits)
        return tuple(hits.matches.values()), hits.tries

    async def _ask(self, client: Client, form: str, key: str, hits: "_Hits") -> None:
        """Ask a filter for every spelling of an address, and compare what it finds."""
        ignores = self._keys.email_case is EmailCase.IGNORE
        for spelling in emails.spellings(key, ignore_case=ignores):
            search = _Search(client, form.format(quote(spelling, safe="")))
            try:
                async for profile in search.profiles():
                    address = profile.get("email")
                    if emails.same(address, key, ignore_case=ignores):
                        match = self.match(profile)
                        hits.matches[match.pkey] = match
                    elif emails.same(address, key, ignore_case=True):
                        hits.alike = str(address)
                    else:
                        hits.strangers += 1
                        if form is _BY_EMAIL and hits.strangers > _MOST_STRANGERS:
                            raise _NoFilterError
            finally:
                hits.tries = max(hits.tries, search.tries)

    async def _proved(self, client: Client) -> bool:
        """Tell whether ``byEmail`` finds profiles; there were builds where it never did.

        Tried once, with an address that some profile has.
        """
        async with self._proving:
            known, self.known = self.known, ""
            if known and not self._is_proven and not self._is_refused:
                search = _Search(client, _BY_EMAIL.format(quote(known, safe="")))
                try:
                    async for profile in search.profiles():
                        if profile.get("email") == known:
                            self._is_proven = True
                except RowFailed as failed:
                    if _is_refusal(failed):
                        self._refuse(failed)
        return self._is_proven

    def _refuse(self, failed: RowFailed) -> None:
        if not self._is_refused:
            log.info("byEmail is not to be had, so byText is asked instead: %s", failed.detail)
        self._is_refused, self._is_proven = True, False


@dataclass(slots=True)
class _Hits:
    """What has been found for one address.

    Attributes:
        matches: the profiles that have it, by PKey.
        alike: an address that differs from it in capitals alone.
        strangers: how many profiles with other addresses were found.
        tries: most HTTP tries that one request took.
    """

    matches: dict[str, Match] = field(default_factory=dict)
    alike: str = ""
    strangers: int = 0
    tries: int = 1


class _Search:
    """What a filter finds.

    Attributes:
        seen: how many profiles it has found so far.
        tries: most HTTP tries that one of its pages took.
    """

    def __init__(self, client: Client, path: str) -> None:
        self._client = client
        self._path = f"{client.api}/profile/{path}&_lineCount={_LINES}&_forcePagination=true"
        self.seen = 0
        self.tries = 1

    async def profiles(self) -> AsyncIterator[Profile]:
        """Yield them, page by page.

        Raises:
            RowFailed: Campaign did not say, or there is no end to it.
        """
        path: str | None = self._path
        asked: set[str] = set()
        while path is not None:
            page, tries = await self._client.listed(path)
            self.tries = max(self.tries, tries)
            self.seen += len(page.profiles)
            for profile in page.profiles:
                yield profile
            asked.add(path)
            path = page.next_path
            if page.cut_short or len(asked) >= _MOST_PAGES or path in asked:
                raise _bad_answer(
                    f"The filter finds profiles without end ({self.seen} so far), so that nobody "
                    "can say which are meant.",
                    self.tries,
                )


class _NoFilterError(RowFailed):
    """What finds so many others is no filter."""

    def __init__(self) -> None:
        super().__init__(Reason.BAD_ANSWER, "It finds whatever address.")


def _is_refusal(failed: RowFailed) -> bool:
    """Tell whether it is the filter that Campaign does not know."""
    return isinstance(failed, _NoFilterError) or failed.reason in {
        Reason.INVALID_KEY,
        Reason.NOT_FOUND,
        Reason.HTTP_400,
    }


def _shows(profile: Profile, key: str, column: str) -> bool:
    """Tell whether a profile shows a key: in the field that the column is called by, if it has one.

    Elsewhere it may stand in any field, or in one of a group such as ``location``.
    """
    if column in profile:
        return _text(profile[column]) == key
    for value in profile.values():
        inner: Sequence[object] = list(value.values()) if isinstance(value, dict) else [value]
        if any(_text(each) == key for each in inner):
            return True
    return False


def _text(value: object) -> str | None:
    if isinstance(value, str):
        return value
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return str(value) if is_number else None


def _no_such_address(hits: _Hits) -> RowFailed:
    if not hits.alike:
        return _not_found("No profile has this address.", hits.tries)
    failed = _not_found(
        f"No profile has this address, but one has {hits.alike}, which differs in capitals: let "
        "them count as one with --email-case ignore.",
        hits.tries,
    )
    failed.reason = Reason.AMBIGUOUS
    return failed


def _not_found(detail: str, tries: int) -> RowFailed:
    failed = RowFailed(Reason.NOT_FOUND, detail, outcome=Outcome.NOT_FOUND)
    failed.attempts = tries
    return failed


def _bad_answer(detail: str, tries: int) -> RowFailed:
    failed = RowFailed(Reason.BAD_ANSWER, detail)
    failed.attempts = tries
    return failed
