"""Pages through the list of profiles, with as many on a page as Campaign can deliver."""

import logging
from collections.abc import Callable
from functools import partial
from typing import Final

from bulk_sync.campaign import list_pages, proof
from bulk_sync.campaign.list_pages import DEFAULT_ROWS, ListPage
from bulk_sync.campaign.profiles import Profile
from bulk_sync.campaign.responses import (
    AddressRefused,
    Mismatch,
    Parse,
    Request,
    Response,
    TooLarge,
    Unproven,
    document,
)
from bulk_sync.campaign.transport import Transport
from bulk_sync.errors import RetryLater, RowFailed
from bulk_sync.outcomes import Reason

log = logging.getLogger(__name__)

_LIST: Final = "{api}/profile?_lineCount={size}&_forcePagination=true"

_MOST_ON_A_PAGE: Final = 10_000

_TOO_SLOW: Final = frozenset({Reason.TIMEOUT, Reason.HTTP_504})
"""Reasons of a page that takes Campaign too long."""

_REFUSED_SIZE: Final = frozenset({Reason.HTTP_400, Reason.HTTP_413})
_BROKEN: Final = frozenset({Reason.HTTP_500, Reason.HTTP_502, Reason.CONNECTION, Reason.BAD_ANSWER})
"""Reasons of a page that may be too large, if they come twice."""

_SHOWN_BEFORE: Final = "Campaign's answer was a page that it had shown before"


class _TooManyProfiles(RowFailed):
    """A page too large; Campaign may deliver fewer profiles."""


class Listing:
    """The list of profiles. Belongs to one event loop.

    Every call may raise ``StopRun`` where going on makes no sense, and ``RowFailed`` for its page.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._largest: int | None = None
        self._shown: set[_Ends] = set()

    async def first(self, api: str, page_size: int) -> ListPage:
        """Read the first page of the list, or a smaller one if Campaign fails.

        How it refuses a large page is documented nowhere, so any failure may be a refusal but a
        requested wait, or an error of the credentials or the address.
        """
        self._largest = None
        self._shown.clear()
        path = _LIST.format(api=api, size=page_size)
        return await self._read(path, document, _may_be_too_large)

    async def page(self, path: str, parse: Parse = document) -> ListPage:
        """Read one page below ``campaign/``, or a smaller one if it takes too long."""
        return await self._read(path, parse, _is_too_slow)

    async def filtered(
        self, path: str, fits: Callable[[Profile], bool], about: str
    ) -> tuple[ListPage, int]:
        """Read a page of a filter's profiles, some of which fit ``about``; count the tries."""

        def parse(response: Response) -> ListPage:
            page = list_pages.read(document(response), path)
            if page.next_path == path:
                raise Mismatch(_SHOWN_BEFORE, Reason.BAD_ANSWER)
            is_proven = proof.repeats(page.count_path or page.next_path, path)
            if not is_proven and not any(map(fits, page.profiles)):
                raise Unproven(page, if_repeated=not page.profiles)
            return page

        filter_name = path.partition("?")[0].rstrip("/").rpartition("/")[2]
        request = Request("GET", path, about=(about, filter_name), profiles=_room(path))
        return await self._transport.retry(partial(self._transport.request, request, parse))

    async def _read(self, path: str, parse: Parse, is_too_large: "_Judge") -> ListPage:
        """Read a page; if too large, it and later ones with a quarter of the profiles."""
        while True:
            size = list_pages.line_count(path) or 0
            if self._largest is not None and size > self._largest:
                size = self._largest
                path = list_pages.with_line_count(path, size)
            try:
                page = await self._read_with_size(path, size, parse, is_too_large)
            except _TooManyProfiles as failed:
                if self._transport.stop.is_requested:
                    raise
                self._largest = max(DEFAULT_ROWS, size // 4)
                log.info(
                    "A page of %d profiles is too large; requesting %d: %s",
                    size,
                    self._largest,
                    failed.detail,
                )
            else:
                self._shown.add(_ends(page))
                return page

    async def _read_with_size(
        self, path: str, size: int, parse: Parse, is_too_large: "_Judge"
    ) -> ListPage:
        """Read a page; raise ``_TooManyProfiles`` without a retry if it is too large."""
        tries = 0

        def check(response: Response) -> ListPage:
            page = list_pages.read(parse(response), path)
            if page.profiles and (page.next_path == path or _ends(page) in self._shown):
                raise Mismatch(_SHOWN_BEFORE, Reason.BAD_ANSWER)
            return page

        async def once() -> ListPage:
            nonlocal tries
            tries += 1
            request = Request("GET", path, profiles=_room(path))
            try:
                return await self._transport.request(request, check)
            except (RetryLater, RowFailed) as error:
                if size > DEFAULT_ROWS and is_too_large(error, tries):
                    raise _TooManyProfiles(error.reason, error.detail, passing=True) from error
                raise

        return (await self._transport.retry(once))[0]


_Ends = tuple[object, object, int]
"""The first and the last PKey on a page, and the number of profiles."""


def _ends(page: ListPage) -> _Ends:
    listed = page.profiles
    if not listed:
        return None, None, 0
    return str(listed[0].get("PKey")), str(listed[-1].get("PKey")), len(listed)


def _room(path: str) -> int:
    """Return the most profiles in a response; a link may name any number."""
    return min(list_pages.line_count(path) or 1, _MOST_ON_A_PAGE)


_Judge = Callable[[RetryLater | RowFailed, int], bool]
"""Returns whether a page is too large, by its failure and the number of tries."""


def _is_too_slow(error: RetryLater | RowFailed, _tries: int) -> bool:
    return error.reason in _TOO_SLOW or isinstance(error, TooLarge)


def _may_be_too_large(error: RetryLater | RowFailed, tries: int) -> bool:
    """Return whether Campaign may refuse a page for its size.

    A passing failure is tried once more, and an unreached server refused nothing.
    """
    if isinstance(error, RowFailed):
        return error.reason in _REFUSED_SIZE and not isinstance(error, AddressRefused)
    if isinstance(error, TooLarge):
        return True
    is_broken = error.reason in _BROKEN and not error.refused and tries > 1
    return is_broken or error.reason in _TOO_SLOW
