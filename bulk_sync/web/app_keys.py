"""Where the application keeps what all screens share."""

from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bulk_sync.web.identity import Person, Right

if TYPE_CHECKING:
    from bulk_sync.web.page import Page

PAGE: "Final[web.AppKey[Page]]" = web.AppKey("page")
RIGHT: Final[web.AppKey[dict[Any, Right]]] = web.AppKey("right")
LASTING: Final[web.AppKey[frozenset[Any]]] = web.AppKey("lasting")
PERSON: Final[web.RequestKey[Person]] = web.RequestKey("person")
