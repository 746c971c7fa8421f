"""Finds the profiles with a key that is no PKey: an e-mail address, a business key.

    key --byEmail, byText, a custom key in the URL, a filter--> profiles --compared here--> matches

Campaign's answer alone is no proof. ``byText`` finds texts with the same beginning, a filter with a
misspelled parameter may find every profile, and it is not documented how exact ``byEmail`` is
(manual/campaign-api.md, section 2.2). So a profile counts only if it shows the key itself.
"""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final

from bulk_sync.campaign import profiles
from bulk_sync.campaign.client import Client
from bulk_sync.campaign.list_pages import ListPage
from bulk_sync.campaign.profiles import Profile
from bulk_sync.campaign.responses import Mismatch
from bulk_sync.engines.email_search import EmailSearch, not_found
from bulk_sync.engines.filter_search import FilterSearch, add_match, is_refusal
from bulk_sync.engines.journal import Recorder
from bulk_sync.engines.list_choice import ProfileList
from bulk_sync.engines.producer import Producer
from bulk_sync.engines.resolve_from_list import Gathering, ListedKeys, text_of
from bulk_sync.errors import RowFailed, UsageProblem, clause
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import emails
from bulk_sync.rows.results import UNREAD, Match, Steps
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import EXTENDED, EmailCase, KeyKind, Keys

log = logging.getLogger(__name__)

_PREFIX: Final = "cus"
"""Campaign's prefix for the names of added fields (manual/campaign-api.md, section 1.1)."""


class Resolver(Producer):
    """Finds the profiles of keys that are no PKeys. Belongs to one event loop.

    Args:
        keys: what the keys are.
        attribute: the attribute with the state.
        reads_states: whether a state missing in a list is read by itself.
        is_wary: whether other spellings of an address are searched before it counts as unknown.
        other_spellings: of addresses in the input, by the one looked up.
        created_with: fields of the profiles to be created, which Campaign must have.
    """

    needs_whole_list = True

    def __init__(
        self,
        keys: Keys,
        attribute: str,
        *,
        reads_states: bool = True,
        is_wary: bool = False,
        other_spellings: Mapping[str, Collection[str]] | None = None,
        created_with: Sequence[str] = (),
    ) -> None:
        self._keys = keys
        self._attribute = attribute
        self._ignores_case = keys.email_case is EmailCase.IGNORE
        self.reads_states = reads_states
        self._created_with = created_with
        self.can_scan = keys.kind is not KeyKind.FILTER
        self._emails = EmailSearch(
            self.match,
            ignores_case=self._ignores_case,
            is_wary=is_wary,
            other_spellings=other_spellings or {},
        )
        self._shows_keys = False

    async def check(self, client: Client) -> None:
        """Raise StopRun if Campaign lacks a field of the profiles to be created."""
        if self._created_with:
            await client.check_fields(self._created_with, "--create-column")

    def lookups(self, keys: Sequence[str], positions: Sequence[int]) -> int:
        """Forecast the calls of looking up keys; an address may have several spellings."""
        if self._keys.kind is not KeyKind.EMAIL:
            return len(positions)
        return self._emails.lookups([keys[at] for at in positions])

    async def pages(
        self,
        client: Client,
        listing: ProfileList,
        keys: Sequence[str],
        steps: Steps,
        recorder: Recorder,
    ) -> Gathering | None:
        """Return what takes in the pages of the list; None if keys must be looked up.

        A field is the custom key for certain only if a profile can be read by it.
        """
        page = listing.first
        if page is None or not page.profiles:
            return None
        if listing.total is None:
            log.info("Campaign's list has no count, so it may be incomplete: keys are looked up")
            return None
        shown = field_of(self._keys, page.profiles[0])
        if shown is None:
            log.warning(
                "No field of Campaign's list is called like the column %r, so keys are looked up: "
                "name it with --key-field",
                self._keys.field,
            )
            return None
        if self._keys.kind is KeyKind.CUSTOM and not await _is_custom_key(client, shown, page):
            log.warning("%s is not the custom key, so keys are looked up", shown)
            return None
        shows = ListedKeys(shown, profiles.fields_of_state(self._attribute), self.match)
        if self._keys.kind is KeyKind.EMAIL:
            identity = partial(emails.identity, ignore_case=self._ignores_case)
            shows = replace(shows, identity=identity, alike=self._emails.alike)
        gathering = Gathering(keys, steps, recorder, shows)
        self._emails.is_listed = lambda: gathering.is_used
        return gathering

    async def find(self, client: Client, key: str) -> tuple[tuple[Match, ...], int]:
        """Return the profiles with a key; see ``Producer.find``."""
        match self._keys.kind:
            case KeyKind.EMAIL:
                found, tries = await self._emails.find(client, key)
            case KeyKind.FILTER:
                found, tries = await self._by_filter(client, key)
            case _:
                found, tries = await self._by_key(client, key)
        if self.reads_states:
            found = [await self._with_state(client, each) for each in found]
        return tuple(found), tries

    def match(self, profile: Profile) -> Match:
        """Return PKey, state and time of the last change of a profile.

        Raises:
            RowFailed: it has no PKey.
        """
        pkey = profile.get("PKey")
        if not isinstance(pkey, str) or not pkey:
            raise RowFailed(Reason.BAD_ANSWER, "Campaign answered with a profile without a PKey.")
        state = profiles.state(profile, self._attribute)
        changed_ms = profiles.changed_ms(profile, self._attribute)
        return Match(pkey, UNREAD if state is None else int(state), changed_ms)

    async def _with_state(self, client: Client, match: Match) -> Match:
        if match.state != UNREAD:
            return match
        profile, _ = await client.profile(match.pkey)
        return self.match(profile)

    async def _by_key(self, client: Client, key: str) -> tuple[Sequence[Match], int]:
        def check(profile: Profile) -> None:
            shown, named = field_of(self._keys, profile), self._keys.key_field
            if shown is None and named and not self._shows_keys:
                raise UsageProblem(f"--key-field {named}: profiles have no such field.")
            if shown is not None and text_of(profile[shown]) != key:
                raise Mismatch(
                    f"Campaign's answer was about a profile whose {shown} is another. If the "
                    "custom key is another field, name it with --key-field"
                )
            if shown is None and (named or key not in map(text_of, profile.values())):
                raise Mismatch("Campaign's answer was about a profile that does not show the key")
            self._shows_keys = self._shows_keys or shown is not None

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
        search = FilterSearch(client, form, key, partial(self._shows, key))
        found: dict[str, Match] = {}
        try:
            async for profile in search.profiles():
                if self._shows(key, profile):
                    add_match(found, self.match(profile))
        except RowFailed as failed:
            # A known filter that finds nothing answers with an empty list.
            if is_refusal(failed) and not self._shows_keys:
                raise UsageProblem(
                    f"--key filter:{keys.filter}:{keys.param}: {client.api} knows no such filter "
                    f"({clause(failed.detail)}). Custom filters are on {EXTENDED} alone; "
                    "Campaign v8 knows them without 'by': --dialect v8."
                ) from failed
            if failed.outcome is Outcome.NOT_FOUND:
                failed.reason, failed.outcome = Reason.HTTP_404, Outcome.FAILED
            raise
        if found:
            return list(found.values()), search.tries
        if not search.seen:
            raise not_found("No profile is found by this filter.", search.tries)
        raise RowFailed(
            Reason.BAD_ANSWER,
            f"The filter {keys.filter} found profiles that do not show this key, so none was "
            "taken. Check the name of its parameter.",
            attempts=search.tries,
        )

    def _shows(self, key: str, profile: Profile) -> bool:
        """Return whether a profile shows the key; raise UsageProblem if it has no field for it."""
        shown = field_of(self._keys, profile)
        if shown is None and self._shows_keys:
            return False
        if shown is None:
            raise UsageProblem(
                f"--key {self._keys}: no field of the profiles is called like the column "
                f"{self._keys.field!r}, the filter or its parameter, so it cannot be checked that "
                "the right ones are found. Name the field with --key-field."
            )
        self._shows_keys = True
        return text_of(profile[shown]) == key


def field_of(keys: Keys, profile: Profile) -> str | None:
    """Return the field of a profile with such keys; None if it is not certain.

    It is the one named by the user, or the one called like the column. For a filter, it may also be
    called like the filter or its parameter. Added fields may have their prefix.
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
        fits = [each for each in profile if plain(each) in wanted]
        if len(fits) == 1:
            return fits[0]
    return None


async def _is_custom_key(client: Client, shown: str, page: ListPage) -> bool:
    """Return whether a field is the custom key: whether a profile can be read by it."""
    for profile in page.profiles:
        value = text_of(profile.get(shown))
        if not value:
            continue
        try:
            found, _ = await client.profile(value, lambda _: None)
        except RowFailed:
            return False
        return found.get("PKey") == profile.get("PKey")
    return False
