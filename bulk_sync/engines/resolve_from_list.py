"""Finds the profiles of many keys that are no PKeys by paging through the list once.

A key may stand for several profiles, so nothing is known before the end of the list: if that does
not come, or more profiles are said to be there than were shown, what was gathered is of no use, and
every key is looked up by itself.
"""

import logging
from collections.abc import Sequence

from bulk_sync.campaign.list_pages import Page
from bulk_sync.campaign.profiles import Profile
from bulk_sync.engines.resolve import Finder, text_of
from bulk_sync.engines.work import now_ms
from bulk_sync.errors import RowFailed
from bulk_sync.rows import emails
from bulk_sync.rows.results import UNREAD, Match, Steps
from bulk_sync.settings import EmailCase, KeyKind, Keys

log = logging.getLogger(__name__)


class Gathering:
    """What the pages have shown so far; see ``scan.Pages``.

    Args:
        keys: n keys, each once.
        steps: n rows of a finding.
        finder: takes from a profile what is asked of it.
        what: what the keys are.
        field: where a profile shows its key.

    Attributes:
        is_whole: whether the list was shown to its end, as far as is known.
    """

    def __init__(
        self, keys: Sequence[str], steps: Steps, finder: Finder, what: Keys, field: str
    ) -> None:
        self.pages = self.shown = 0
        self._steps = steps
        self._finder = finder
        self._field = field
        self._is_email = what.kind is KeyKind.EMAIL
        self._ignores_case = what.email_case is EmailCase.IGNORE
        self._positions = {self._identity(keys[at]): at for at in steps.open()}
        self._small = {key.lower() for key in self._positions}
        self._found: dict[int, dict[str, Match]] = {}
        self._shown: set[int] = set()
        self._moved: set[int] = set()
        self._asked: set[str] = set()
        self.fields = {field, *finder.fields}
        self.is_whole = False

    @property
    def missing(self) -> int:
        """How many keys more pages are needed for: all of them, up to the end."""
        return len(self._positions)

    def take(self, page: Page) -> str | None:
        """Take a page in, and tell where the next one is, if the list goes on."""
        self.pages += 1
        self.shown += len(page.profiles)
        pkeys = (profile.get("PKey") for profile in page.profiles)
        self._shown.update(hash(pkey) for pkey in pkeys if isinstance(pkey, str))
        for profile in page.profiles:
            self._take(profile)
        if page.next_path is None:
            self.is_whole = not page.cut_short
            return None
        if page.next_path in self._asked:
            log.warning("The list began anew after %d profiles", self.shown)
            return None
        self._asked.add(page.next_path)
        return page.next_path

    def settle(self, total: int | None) -> list[int]:
        """Note what was found, if the list was shown to its end, and tell for which keys."""
        if not self.is_whole or total is None or len(self._shown) < total:
            self.is_whole = False
            log.warning(
                "The list of profiles was not shown to its end, so every key is looked up by itself"
            )
            return []
        unread = {
            at
            for at, matches in self._found.items()
            if any(match.state == UNREAD for match in matches.values())
        }
        now, ats = now_ms(), sorted(self._found.keys() - self._moved - unread)
        for at in ats:
            self._steps.found_at(at, 1, now, tuple(self._found[at].values()))
        return ats

    def _take(self, profile: Profile) -> None:
        value = text_of(profile.get(self._field))
        if value is None:
            return
        at = self._positions.get(self._identity(value))
        if at is None:
            if self._is_email and value.lower() in self._small:
                self._finder.alike[value.lower()] = value
            return
        try:
            match = self._finder.match(profile)
        except RowFailed:
            self._moved.add(at)
            return
        before = self._found.setdefault(at, {}).setdefault(match.pkey, match)
        if before.state != match.state:
            self._moved.add(at)  # left to be looked up

    def _identity(self, text: str) -> str:
        if not self._is_email:
            return text
        return emails.identity(text, ignore_case=self._ignores_case)
