"""Reads what a filter of Campaign finds, page by page, and stops if it is no filter."""

from collections.abc import AsyncIterator, Callable
from typing import Final
from urllib.parse import quote

from bulk_sync.campaign.client import Client
from bulk_sync.campaign.profiles import Profile
from bulk_sync.errors import RowFailed
from bulk_sync.outcomes import Reason
from bulk_sync.rows.results import UNREAD, Match

_PAGE_ROWS: Final = 100
_MAX_SEEN: Final = 1_000
_MAX_PAGES: Final = 100
"""More profiles, or more pages of them, mean that the value is no key."""


class EndlessError(RowFailed):
    """A filter finds profiles without end, so the right ones are unknown."""


class NoFilterError(RowFailed):
    """A filter finds too many others, or things that are no profiles."""

    def __init__(self, detail: str) -> None:
        super().__init__(Reason.BAD_ANSWER, detail)


def add_match(found: dict[str, Match], match: Match) -> None:
    """Add a profile by its PKey, without a state if it is shown twice with two states."""
    other = found.get(match.pkey, match)
    found[match.pkey] = match if other.state == match.state else match._replace(state=UNREAD)


def is_refusal(failed: RowFailed) -> bool:
    """Return whether Campaign does not know the filter."""
    return isinstance(failed, NoFilterError) or failed.reason in {
        Reason.INVALID_KEY,
        Reason.NOT_FOUND,
        Reason.HTTP_400,
    }


class FilterSearch:
    """One search with a filter.

    Args:
        form: the filter, with ``{}`` for the value.
        fits: whether the filter may find a profile.

    Attributes:
        seen: profiles found so far.
        tries: most HTTP tries of one of its pages.
    """

    def __init__(
        self, client: Client, form: str, value: str, fits: Callable[[Profile], bool]
    ) -> None:
        self._client = client
        path = form.format(quote(value, safe=""))
        self._path = f"{client.api}/profile/{path}&_lineCount={_PAGE_ROWS}&_forcePagination=true"
        self._value = value
        self._fits = fits
        self.seen = 0
        self.tries = 1

    async def profiles(self) -> AsyncIterator[Profile]:
        """Yield the profiles found, page by page.

        Raises:
            RowFailed: Campaign gave no answer, or there is no end to it.
        """
        path: str | None = self._path
        paths: set[str] = set()
        while path is not None:
            page, tries = await self._client.listing.filtered(path, self._fits, self._value)
            self.tries = max(self.tries, tries)
            if page.others:
                raise NoFilterError("The filter finds things that are no profiles.")
            self.seen += len(page.profiles)
            for profile in page.profiles:
                yield profile
            paths.add(path)
            path = page.next_path
            is_endless = self.seen > _MAX_SEEN or len(paths) >= _MAX_PAGES or path in paths
            if page.cut_short or (path is not None and is_endless):
                detail = (
                    f"The filter finds profiles without end ({self.seen} so far), so it is not "
                    "known which are meant."
                )
                raise EndlessError(Reason.BAD_ANSWER, detail, attempts=self.tries)
