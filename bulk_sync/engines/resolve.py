"""Finds the profiles that a key stands for which is no PKey: an e-mail address, a business key.

    key --byEmail, byText, a custom key in the URL, a filter--> profiles --compared here--> matches

What Campaign answers is never taken at its word: ``byText`` finds what begins with the text, a
filter whose parameter is misspelled may find everybody, and nothing says how exact ``byEmail`` is
(campaign-api.md, section 2.2). A profile counts if it shows the key itself.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final
from urllib.parse import quote

from bulk_sync.campaign import profiles
from bulk_sync.campaign.client import Client
from bulk_sync.campaign.profiles import Profile
from bulk_sync.campaign.responses import Mismatch
from bulk_sync.errors import RowFailed, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import emails
from bulk_sync.rows.results import UNREAD, Match
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import EXTENDED, EmailCase, KeyKind, Keys

log = logging.getLogger(__name__)

_LINES: Final = 100
"""Profiles asked for on a page of those that a filter finds."""

_MOST_SEEN: Final = 1_000
_MOST_PAGES: Final = 100
"""A key that stands for more profiles, or for those on more pages, is no key."""

_WIDEST: Final = 2**63

_PREFIX: Final = "cus"
"""What Campaign puts before the names of fields that somebody added (campaign-api.md, 1.1)."""

_MOST_STRANGERS: Final = 20
"""Profiles with other addresses that ``byEmail`` may find before it is not asked any more."""

_BY_EMAIL: Final = "byEmail?email={}"
_BY_TEXT: Final = "byText?text={}&filterType=email"


class Finder:
    """Finds profiles by keys of one kind. Belongs to one event loop.

    Args:
        keys: what the keys are.
        attribute: the attribute whose state is read on the way.
        reads_states: whether a state that a list does not show is asked for by itself.
        is_wary: whether an address that nobody has is looked for in other spellings too.

    Attributes:
        reads_states: as given.
        fields: what is taken from a profile.
        known: an address that some profile has, by which ``byEmail`` can be tried; "" if none is.
        alike: addresses that the list shows, by how they look in small letters.
    """

    def __init__(
        self, keys: Keys, attribute: str, *, reads_states: bool = True, is_wary: bool = False
    ) -> None:
        self._keys = keys
        self._attribute = attribute
        self.fields = profiles.fields_of_state(attribute)
        self.reads_states = reads_states
        self._is_wary = is_wary
        self.known = ""
        self.alike: dict[str, str] = {}
        self._is_refused = False
        self._is_proven = False
        self._shows_keys = False
        self._proving = asyncio.Lock()

    async def find(self, client: Client, key: str) -> tuple[tuple[Match, ...], int]:
        """Find the profiles that a key stands for, at least one, and tell how many tries it took.

        Raises:
            RowFailed: there is none, or Campaign did not say.
            StopRun: the run cannot go on.
        """
        match self._keys.kind:
            case KeyKind.EMAIL:
                found, tries = await self._by_email(client, key)
            case KeyKind.FILTER:
                found, tries = await self._by_filter(client, key)
            case _:
                found, tries = await self._by_key(client, key)
        if self.reads_states and any(each.state == UNREAD for each in found):
            found = [await self._with_state(client, each) for each in found]
        return tuple(found), tries

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

    async def is_custom_key(self, client: Client, field: str, listed: Sequence[Profile]) -> bool:
        """Tell whether a field is the custom key: whether a profile can be asked for by it."""
        for profile in listed:
            value = text_of(profile.get(field))
            if not value:
                continue
            try:
                found, _ = await client.profile(value, lambda _: None)
            except RowFailed:
                return False
            return found.get("PKey") == profile.get("PKey")
        return False

    async def _with_state(self, client: Client, match: Match) -> Match:
        """Ask for a state that the answer to a filter did not show."""
        if match.state != UNREAD:
            return match
        profile, _ = await client.profile(match.pkey)
        return self.match(profile)

    async def _by_key(self, client: Client, key: str) -> tuple[Sequence[Match], int]:
        def check(profile: Profile) -> None:
            field, named = field_of(self._keys, profile), self._keys.key_field
            if field is None and named and not self._shows_keys:
                raise UsageProblem(f"--key-field {named}: profiles have no such field.")
            if field is not None and text_of(profile[field]) != key:
                raise Mismatch(
                    f"Campaign's answer was about a profile whose {field} is another. If the "
                    "custom key is another field, name it with --key-field"
                )
            if field is None and (named or key not in map(text_of, profile.values())):
                raise Mismatch("Campaign's answer was about a profile that does not show the key")
            self._shows_keys = self._shows_keys or field is not None

        try:
            profile, tries = await client.profile(key, check)
        except RowFailed as failed:
            if failed.outcome is Outcome.NOT_FOUND:
                failed.detail = "No profile has this custom key."
            raise
        return [self.match(profile)], tries

    async def _by_filter(self, client: Client, key: str) -> tuple[Sequence[Match], int]:
        keys = self._keys
        form = f"{keys.filter}?{keys.param}={{}}"
        search = _Search(client, form, key, lambda profile: self._shows(profile, key))
        found: dict[str, Match] = {}
        try:
            async for profile in search.profiles():
                if self._shows(profile, key):
                    hit = self.match(profile)
                    found[hit.pkey] = hit
        except RowFailed as failed:
            # One that finds nobody answers with an empty list.
            if _is_refusal(failed) and not self._shows_keys:
                raise UsageProblem(
                    f"--key filter:{keys.filter}:{keys.param}: {client.api} knows no such filter "
                    f"({failed.detail.rstrip('.')}). Custom filters are on {EXTENDED} alone; "
                    "Campaign v8 knows them without 'by': --dialect v8."
                ) from failed
            raise
        if found:
            return list(found.values()), search.tries
        if not search.seen:
            raise _not_found("No profile is found by this filter.", search.tries)
        raise _bad_answer(
            f"The filter {keys.filter} found profiles that do not show this key, so none was "
            "taken: is its parameter called otherwise?",
            search.tries,
        )

    def _shows(self, profile: Profile, key: str) -> bool:
        """Tell whether a profile that a filter found shows the key.

        Raises:
            UsageProblem: nobody can tell.
        """
        field = field_of(self._keys, profile)
        if field is None and self._shows_keys:
            return False
        if field is None:
            raise UsageProblem(
                f"--key {self._keys}: no field of the profiles is called like the column "
                f"{self._keys.field!r}, the filter or its parameter, so nobody can tell whether "
                "the right ones are found. Name the field with --key-field."
            )
        self._shows_keys = True
        return text_of(profile[field]) == key

    async def _by_email(self, client: Client, key: str) -> tuple[Sequence[Match], int]:
        """Ask ``byEmail``; and ``byText``, unless ``byEmail`` is known to find what there is."""
        hits = _Hits()
        ignores = self._keys.email_case is EmailCase.IGNORE
        spellings = emails.spellings(key, ignore_case=ignores)
        if not self._is_refused:
            try:
                await self._ask(client, _BY_EMAIL, spellings, key, hits)
            except RowFailed as failed:
                if not _is_refusal(failed):
                    raise
                self._refuse(failed)
                hits = _Hits(tries=hits.tries)
        if hits.matches:
            self._is_proven = True
        else:
            is_sure = self._is_wary and await self._asked_widely(client, key, hits)
            if not is_sure and not await self._proved(client):
                await self._ask(client, _BY_TEXT, spellings, key, hits)
        if not hits.matches:
            hits.alike = hits.alike or self.alike.get(key.lower(), "")
            raise _no_such_address(hits)
        return list(hits.matches.values()), hits.tries

    async def _asked_widely(self, client: Client, key: str, hits: "_Hits") -> bool:
        """Ask for every spelling of the domain; False if too many begin alike, such as info@."""
        try:
            await self._ask(client, _BY_TEXT, emails.beginnings(key), key, hits)
        except _EndlessError:
            return bool(hits.matches)
        return True

    async def _ask(
        self, client: Client, form: str, texts: Sequence[str], key: str, hits: "_Hits"
    ) -> None:
        """Ask a filter for an address, and compare what it finds."""
        ignores = self._keys.email_case is EmailCase.IGNORE
        for text in texts:
            search = _Search(client, form, text, partial(_may_be_found, form, text))
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
                            raise _NoFilterError("It finds whatever address.")
            finally:
                hits.tries = max(hits.tries, search.tries)

    async def _proved(self, client: Client) -> bool:
        """Tell whether ``byEmail`` finds profiles; there were builds where it never did.

        Tried once, with an address that some profile has.
        """
        async with self._proving:
            known, self.known = self.known, ""
            if known and not self._is_proven and not self._is_refused:
                fits = partial(_may_be_found, _BY_EMAIL, known)
                search = _Search(client, _BY_EMAIL, known, fits)
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


def _may_be_found(form: str, text: str, profile: Profile) -> bool:
    """Return whether a filter for addresses may find a profile, capitals aside."""
    address = str(profile.get("email") or "").casefold()
    wanted = text.casefold()
    return address.startswith(wanted) if form is _BY_TEXT else address == wanted


class _Search:
    """What a filter finds.

    Args:
        client: the open client.
        form: the filter, and where the value stands in it.
        value: what is asked for.
        fits: whether a profile may be found by it.

    Attributes:
        seen: how many profiles it has found so far.
        tries: most HTTP tries that one of its pages took.
    """

    def __init__(
        self, client: Client, form: str, value: str, fits: Callable[[Profile], bool]
    ) -> None:
        self._client = client
        path = form.format(quote(value, safe=""))
        self._path = f"{client.api}/profile/{path}&_lineCount={_LINES}&_forcePagination=true"
        self._value = value
        self._fits = fits
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
            listing = self._client.listing
            page, tries = await listing.filtered(path, self._fits, self._value)
            self.tries = max(self.tries, tries)
            if page.others:
                raise _NoFilterError("What it finds are no profiles.")
            self.seen += len(page.profiles)
            for profile in page.profiles:
                yield profile
            asked.add(path)
            path = page.next_path
            is_endless = self.seen > _MOST_SEEN or len(asked) >= _MOST_PAGES or path in asked
            if page.cut_short or (path is not None and is_endless):
                raise _EndlessError(self.seen, self.tries)


class _EndlessError(RowFailed):
    """There is no end to what a filter finds, so nobody can say which profiles are meant."""

    def __init__(self, seen: int, tries: int) -> None:
        super().__init__(
            Reason.BAD_ANSWER,
            f"The filter finds profiles without end ({seen} so far), so that nobody can say which "
            "are meant.",
        )
        self.attempts = tries


class _NoFilterError(RowFailed):
    """What finds so many others, or no profiles at all, is no filter."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.BAD_ANSWER, detail)


def _is_refusal(failed: RowFailed) -> bool:
    """Tell whether it is the filter that Campaign does not know."""
    return isinstance(failed, _NoFilterError) or failed.reason in {
        Reason.INVALID_KEY,
        Reason.NOT_FOUND,
        Reason.HTTP_400,
    }


def field_of(keys: Keys, profile: Profile) -> str | None:
    """Tell which field of a profile shows such keys; None if that cannot be told.

    It is the one that the user names; or the one called like the column, or, for a filter, like the
    filter or its parameter, be it with the prefix of fields that somebody added.
    """
    if keys.kind is KeyKind.EMAIL:
        return "email"
    if keys.key_field:
        return keys.key_field if keys.key_field in profile else None
    names = [keys.field]
    if keys.kind is KeyKind.FILTER:
        names += [keys.filter.removeprefix("by"), keys.param.removesuffix("_parameter")]
    for name in names:
        wanted = {plain(name), _PREFIX + plain(name)}
        fits = [field for field in profile if plain(field) in wanted]
        if len(fits) == 1:
            return fits[0]
    return None


def text_of(value: object) -> str | None:
    """Write a field as a file would hold it; None if it is neither text nor a number.

    Nor if it is a number of more than 64 bits, whose last digits not every parser of JSON keeps.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value) if -_WIDEST <= value < _WIDEST else None


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
