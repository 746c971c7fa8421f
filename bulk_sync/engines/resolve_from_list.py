"""Finds the profiles of many keys that are no PKeys by paging through Campaign's list once.

A key may have several profiles, so nothing is certain before the end of the list. Without that end,
or with fewer profiles than Campaign counts, all keys are looked up.
"""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from bulk_sync.campaign.list_pages import ListPage, ScanPosition
from bulk_sync.campaign.profiles import Profile
from bulk_sync.engines.journal import Recorder, now_ms
from bulk_sync.engines.scan import Pages
from bulk_sync.errors import RowFailed
from bulk_sync.rows.results import UNREAD, Match, Steps

log = logging.getLogger(__name__)

_WIDEST: Final = 2**63


@dataclass(frozen=True, slots=True)
class ListedKeys:
    """How profiles in the list show their keys.

    Attributes:
        field: the field with the key.
        fields: the other fields needed.
        match: takes PKey and state from a profile.
        identity: what spellings of one key have in common.
        alike: filled with keys unlike a wanted one in capitals alone, by their form in small
            letters; None if capitals matter.
    """

    field: str
    fields: Collection[str]
    match: Callable[[Profile], Match]
    identity: Callable[[str], str] = str
    alike: dict[str, str] | None = None


class Gathering(Pages):
    """What the pages have shown so far: of n keys, each once, for n steps, filled in place.

    It ``is_used`` if the list was shown to its end, as far as is known.
    """

    def __init__(
        self, keys: Sequence[str], steps: Steps, recorder: Recorder, shows: ListedKeys
    ) -> None:
        super().__init__({shows.field, *shows.fields})
        self._keys = keys
        self._steps = steps
        self._recorder = recorder
        self._shows = shows
        self._positions = {shows.identity(keys[at]): at for at in steps.open()}
        self.missing = len(self._positions)  # up to the end of the list
        self._small = set() if shows.alike is None else {key.lower() for key in self._positions}
        self._found: dict[int, dict[str, Match]] = {}
        self._pkeys: set[int] = set()
        self._moved: set[int] = set()
        self.is_used = False

    def take(self, page: ListPage) -> str | None:
        """Take a page in, and return the path of the next one, if the list goes on."""
        self.pages += 1
        self.shown += len(page.profiles)
        pkeys = (profile.get("PKey") for profile in page.profiles)
        self._pkeys.update(hash(pkey) for pkey in pkeys if isinstance(pkey, str))
        for profile in page.profiles:
            self._take(profile)
        if page.next_path is None:
            self.is_used = not page.cut_short
        return page.next_path

    def settle(self, total: int | None) -> None:
        """Record the matches, if the list was shown to its end."""
        if not self.is_used or total is None or len(self._pkeys) < total:
            self.is_used = False
            log.warning("Campaign's list was not shown to its end, so every key is looked up")
            return
        unread = {
            at
            for at, matches in self._found.items()
            if any(match.state == UNREAD for match in matches.values())
        }
        now, settled = now_ms(), sorted(self._found.keys() - self._moved - unread)
        for at in settled:
            found = tuple(self._found[at].values())
            self._steps.found_at(at, 1, now, found, key=self._keys[at])
        self._recorder.add_all(settled)

    def place(self, api: str, path: str | None) -> ScanPosition | None:
        """Return that there is nothing more to read, or None: a part of the list is no use."""
        return ScanPosition(api, None, self.pages, self.shown, ()) if path is None else None

    def _take(self, profile: Profile) -> None:
        value = text_of(profile.get(self._shows.field))
        if value is None:
            return
        at = self._positions.get(self._shows.identity(value))
        if at is None:
            if self._shows.alike is not None and value.lower() in self._small:
                self._shows.alike[value.lower()] = value
            return
        try:
            match = self._shows.match(profile)
        except RowFailed:
            self._moved.add(at)
            return
        before = self._found.setdefault(at, {}).setdefault(match.pkey, match)
        if before.state != match.state:
            self._moved.add(at)  # so it is looked up


def text_of(value: object) -> str | None:
    """Return a field's value as a file would hold it; None if it is neither text nor a number.

    Nor is a number of more than 64 bits, whose last digits some parsers of JSON lose.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return str(value) if -_WIDEST <= value < _WIDEST else None
