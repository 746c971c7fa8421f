"""Pages through the list of profiles, with as many on a page as Campaign bears."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from bulk_sync.campaign import list_pages, proof
from bulk_sync.campaign.list_pages import Page
from bulk_sync.campaign.profiles import Profile
from bulk_sync.campaign.responses import (
    AddressRefused,
    Answer,
    Mismatch,
    Parse,
    TooLarge,
    Unproven,
    document,
)
from bulk_sync.campaign.transport import Transport
from bulk_sync.errors import RetryLater, RowFailed
from bulk_sync.outcomes import Reason

log = logging.getLogger(__name__)

_LIST: Final = "{api}/profile?_lineCount={size}&_forcePagination=true"

_SMALLEST_PAGE: Final = 25
"""Campaign's own default (campaign-api.md, section 2.1)."""

_MOST_ON_A_PAGE: Final = 10_000

_TOO_SLOW: Final = frozenset({Reason.TIMEOUT, Reason.HTTP_504})
"""What a page fails with that takes Campaign too long."""

_REFUSED_SIZE: Final = frozenset({Reason.HTTP_400, Reason.HTTP_413})
_BROKEN: Final = frozenset({Reason.HTTP_500, Reason.HTTP_502, Reason.CONNECTION, Reason.BAD_ANSWER})
"""What a page that is too large may fail with, if it does so twice."""


_SHOWN_BEFORE: Final = "Campaign's answer was a page that it had shown before"


class _TooLarge(RowFailed):
    """A page that Campaign may give if it is asked for fewer profiles."""


class Listing:
    """The list of profiles. Belongs to one event loop.

    Every call may raise ``StopRun`` where going on makes no sense, and ``RowFailed`` for the page
    that it was asked for.
    """

    def __init__(self, way: Transport) -> None:
        self._way = way
        self._largest: int | None = None
        self._shown: set[_Ends] = set()

    async def first(self, api: str, page_size: int) -> Page:
        """Read the first page of the list, with as many profiles as Campaign bears.

        Args:
            api: the API's name.
            page_size: profiles asked for; fewer are where Campaign fails over so many. How it
                refuses them is documented nowhere, so all may be that but a wait that it asks for,
                or a refusal of the credentials or the address.
        """
        self._largest = None
        self._shown.clear()
        path = _LIST.format(api=api, size=page_size)
        return await self._that_fits(path, document, _may_be_too_large)

    async def page(self, path: str, parse: Parse = document) -> Page:
        """Read one page of the list of profiles, or a smaller one where that takes too long.

        Args:
            path: where it is, below ``campaign/``.
            parse: makes of the answer what it says.
        """
        return await self._that_fits(path, parse, _is_too_slow)

    async def filtered(
        self, path: str, fits: Callable[[Profile], bool], about: str
    ) -> tuple[Page, int]:
        """Read one page of what a filter finds, and tell how many tries it took.

        Args:
            path: where it is, below ``campaign/``.
            fits: whether a profile is what was asked for.
            about: the value that was asked for.
        """

        def parse(answer: Answer) -> Page:
            page = list_pages.read(document(answer))
            if page.next_path == path:
                raise Mismatch(_SHOWN_BEFORE, Reason.BAD_ANSWER)
            is_proven = proof.repeats(page.count_path or page.next_path, path)
            if not is_proven and not any(map(fits, page.profiles)):
                raise Unproven(page, if_repeated=not page.profiles)
            return page

        return await self._way.ask(
            partial(
                self._way.request,
                "GET",
                path,
                parse,
                about=(about, _filter(path)),
                profiles=_room(path),
            )
        )

    async def _that_fits(self, path: str, parse: Parse, is_too_large: "_Judge") -> Page:
        """Read a page, with a quarter of the profiles whenever it is too large.

        A size that was found holds for the pages after it.
        """
        while True:
            size = list_pages.line_count(path) or 0
            if self._largest is not None and size > self._largest:
                size = self._largest
                path = list_pages.with_line_count(path, size)
            try:
                if size <= _SMALLEST_PAGE:
                    page, _ = await self._way.ask(partial(self._once, path, parse))
                else:
                    page = await self._unless(path, parse, is_too_large)
            except _TooLarge as failed:
                if self._way.stop.asked:
                    raise
                self._largest = max(_SMALLEST_PAGE, size // 4)
                log.info(
                    "A page of %d profiles is too large, so %d are asked for: %s",
                    size,
                    self._largest,
                    failed.detail,
                )
            else:
                self._shown.add(_ends(page))
                return page

    async def _unless(self, path: str, parse: Parse, is_too_large: "_Judge") -> Page:
        """Read a page; one that is too large is not asked for again.

        Raises:
            _TooLarge: it is.
            RowFailed: whatever else went wrong, again and again.
        """
        tries = 0

        async def once() -> Page:
            nonlocal tries
            tries += 1
            try:
                return await self._once(path, parse)
            except (RetryLater, RowFailed) as error:
                if is_too_large(error, tries):
                    raise _TooLarge(error.reason, error.detail, passing=True) from error
                raise

        return (await self._way.ask(once))[0]

    async def _once(self, path: str, parse: Parse = document) -> Page:
        def check(answer: Answer) -> Page:
            page = list_pages.read(parse(answer))
            if page.profiles and (page.next_path == path or _ends(page) in self._shown):
                raise Mismatch(_SHOWN_BEFORE, Reason.BAD_ANSWER)
            return page

        return await self._way.request("GET", path, check, profiles=_room(path))


_Ends = tuple[object, object, int]
"""The first and the last PKey on a page, and how many profiles are on it."""


def _ends(page: Page) -> _Ends:
    listed = page.profiles
    if not listed:
        return None, None, 0
    return str(listed[0].get("PKey")), str(listed[-1].get("PKey")), len(listed)


def _room(path: str) -> int:
    """Return how many profiles an answer may hold, which a link may name as it likes."""
    return min(list_pages.line_count(path) or 1, _MOST_ON_A_PAGE)


def _filter(path: str) -> str:
    """Return the name of the filter in a path."""
    return path.partition("?")[0].rstrip("/").rpartition("/")[2]


_Judge = Callable[[RetryLater | RowFailed, int], bool]
"""Tells whether a page is too large, by what it failed with and how many tries that was."""


def _is_too_slow(error: RetryLater | RowFailed, tries: int) -> bool:
    """Tell whether a page takes too long; whatever else goes wrong is tried again."""
    del tries
    return error.reason in _TOO_SLOW or isinstance(error, TooLarge)


def _may_be_too_large(error: RetryLater | RowFailed, tries: int) -> bool:
    """Tell whether a page may be refused for its size; what may have passed is tried once more.

    A server that was not reached has said nothing of it.
    """
    if isinstance(error, RowFailed):
        return error.reason in _REFUSED_SIZE and not isinstance(error, AddressRefused)
    if isinstance(error, TooLarge):
        return True
    is_broken = error.reason in _BROKEN and not error.refused and tries > 1
    return is_broken or error.reason in _TOO_SLOW
