"""The one middleware: it denies everything that is not allowed, before a screen sees it.

    host of the request known?                   no: 403   a foreign name (DNS rebinding)
    signed in, or path allowed without?          no: 303 to the sign-in, or 401
    safe method, or sent by this page?           no: 403   Sec-Fetch-Site, else Origin (CSRF)
    right for the path?                          no: 403; no such path: 404
    answered in time?                            no: 503   it goes on (``Route.lasts`` has no limit)

Headers are added to every response, those of errors too.
"""

import errno
import logging
import re
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from socket import getfqdn, gethostname
from typing import Any, Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler

from bulk_sync.errors import LedgerAway, StopRun
from bulk_sync.web.choices import KEEPER
from bulk_sync.web.forms import Form
from bulk_sync.web.identity import Person, Right
from bulk_sync.web.page import PAGE, PERSON, SAFE, sign_in_path
from bulk_sync.web.routes import ROUTES, Route
from bulk_sync.web.settings import PageSettings

log = logging.getLogger(__name__)

_AWAY: Final = (
    "The database server of the ledger does not answer. Runs that are at work finish what is in "
    "flight and stop. Try again in a minute: this page goes on by itself when the server is back. "
    "What you have just pressed may not be recorded, so look how it stands first. If this lasts, "
    "tell the person who looks after this page."
)

_NO_FILE: Final = (
    "A file of the page could not be used: {}. What you have just pressed may not be recorded, so "
    "look how it stands first. Tell the person who looks after this page: there must be room, and "
    "the right to write in the state folder."
)

_LOGGED: Final = (
    " If you cannot do that, tell the person who looks after this page: its log names the place."
)

_REST: Final = r"""[^\s:;,'"`)]"""
_PLACE: Final = rf"""(['"`])/[^'"`]+\1|[\w+]+://[^\s;,'"`)]+|(?<![\w/:.])/(?=\w){_REST}+"""
"""Paths and URLs in a text; those in quotes may have blanks."""

_ANSWER_S: Final = 240.0
"""Browsers give up after 300 s."""

_SLOW: Final = (
    "This takes longer than 4 minutes, so it goes on without you. Come back in a few minutes, and "
    "look how it stands before you press anything again. If this lasts, tell the person who looks "
    "after this page."
)

_UNUSABLE: Final = frozenset({
    errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO,
    errno.EMFILE, errno.ENFILE, errno.ENOMEM,
})  # fmt: skip
"""What the machine lacks if a file cannot be used: no bug of the page."""

_LOCAL_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})

HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Server": "bulk-sync",
}


_BY_HANDLER: Final[Mapping[Any, Route]] = {route.handler: route for route in ROUTES}


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request if it may be answered; show every error as a page."""
    page = request.app[PAGE]
    try:
        return await _in_time(request, handler)
    except web.HTTPException as problem:
        if problem.status < 400 or problem.empty_body:
            raise
        is_plain = problem.text == f"{problem.status}: {problem.reason}"
        text = "" if is_plain else problem.text or ""
        typed = await _typed(request) if problem.status == web.HTTPUnauthorized.status_code else ""
        return page.problem(request, problem.status, text, problem.headers, typed)
    except LedgerAway as away:
        log.warning("%s %s: %s", request.method, _pattern(request), away)
        return page.problem(request, 503, _AWAY, {"Retry-After": "60"})
    except StopRun as stop:
        return page.problem(request, 503, _without_places(request, str(stop)))
    except (ConnectionError, TimeoutError):
        raise
    except Exception as error:  # the outermost edge of the page
        if isinstance(error, OSError) and error.errno in _UNUSABLE:
            log.warning("%s %s: %s", request.method, _pattern(request), error)
            return page.problem(request, 503, _NO_FILE.format(error.strerror))
        log.exception("%s %s failed: a bug", request.method, _pattern(request))
        return page.problem(request, 500, "")


def hide_places(text: str, folder: Path) -> tuple[str, int]:
    """Return a text without the paths and URLs of the server, and how many it had.

    ``folder`` is the state folder; its path may have blanks, or be relative.
    """
    own = rf"(?:{re.escape(str(folder.absolute()))}|{re.escape(str(folder))}(?=/))"
    return re.subn(rf"{own}{_REST}*|{_PLACE}", "a place on the server", text)


def _without_places(request: web.Request, text: str) -> str:
    """Return a text for people, without the places of the server; the log has them."""
    shown, hidden = hide_places(text, request.app[PAGE].settings.state.folder)
    if not hidden:
        return text
    log.warning("%s %s: %s", request.method, _pattern(request), text)
    more = "" if KEEPER in shown else _LOGGED
    return shown[0].upper() + shown[1:] + more


async def _in_time(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer a request; raise 503 if that takes too long, and let it go on."""
    answer = _answer(request, handler)
    route = _route(request)
    if route is not None and route.lasts:
        return await answer
    response = await request.app[PAGE].finish(answer, _ANSWER_S)
    if response is None:
        log.warning("%s %s takes longer than %.0f s", request.method, _pattern(request), _ANSWER_S)
        raise web.HTTPServiceUnavailable(text=_SLOW, headers={"Retry-After": "60"})
    return response


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    await _check_host(request)
    await _check_person(request)
    _check_source(request)
    _check_right(request)
    return await handler(request)


async def _typed(request: web.Request) -> str:
    """Return what a person wrote into a form before the session ended; "" if nothing."""
    if not _is_own(request) or request.content_type != "application/x-www-form-urlencoded":
        return ""
    with suppress(web.HTTPException):
        form = await Form.read(request)
        return form.text("comment") or form.text("reason")
    return ""


async def add_headers(_request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add the headers that every response has; one of its own stays."""
    for name, value in HEADERS.items():
        if name == "Server" or name not in response.headers:
            response.headers[name] = value


async def _check_host(request: web.Request) -> None:
    """Raise 403 if a request was made for another server."""
    hosts, page = request.headers.getall(hdrs.HOST, []), request.app[PAGE]
    if not page.settings.is_local and not own_names.cache_info().currsize:
        await page.blocking(own_names)
    if len(hosts) != 1 or not is_known_host(hosts[0], page.settings):
        raise web.HTTPForbidden(
            text="This page does not answer to that address. Open it with the address that "
            "`bulk-sync serve` printed; further names are given with --public-host."
        )


def _check_source(request: web.Request) -> None:
    """Raise 403 if a request that may change something was made by another site."""
    if request.method not in SAFE and not _is_own(request):
        raise web.HTTPForbidden(
            text="This request was made by another page than this one, so nothing was done. Open "
            "the page again and use its own buttons."
        )


def _is_own(request: web.Request) -> bool:
    """Return whether a request comes from this page, by what browsers say."""
    site = request.headers.getall("Sec-Fetch-Site", [])
    if site:
        return site in (["same-origin"], ["none"])
    origins = request.headers.getall(hdrs.ORIGIN, [])
    return len(origins) == 1 and _is_origin(origins[0], request.headers[hdrs.HOST])


def is_known_host(host: str, settings: PageSettings) -> bool:
    """Return whether the page answers to a name, with or without a port.

    A name that leads here but is not known may be that of an attacker, who made it lead here. An
    address is no name, so it is only refused where it cannot be one of ours.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".").lower()
        _ = urlsplit(f"//{host}").port
    except ValueError:
        return False
    if not name or any(char in host for char in "/?#@\\ \t"):
        return False
    known = _LOCAL_NAMES | {settings.host.lower(), *(each.lower() for each in settings.proxy.hosts)}
    if name in known:
        return True
    if settings.is_local:
        return False
    try:
        ip_address(name)
    except ValueError:
        return name in own_names()
    return True


@cache
def own_names() -> frozenset[str]:
    """Return the names of this machine; the first time blocks: a name server may take its time."""
    return frozenset({gethostname().lower(), getfqdn().lower()})


def _is_origin(origin: str, host: str) -> bool:
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and parts.netloc.lower() == host.lower()


async def _check_person(request: web.Request) -> None:
    """Find out who asks; raise 401, or the way to the sign-in, if the path needs to know."""
    route = _route(request)
    if route is not None and route.right is Right.NONE:
        return
    page = request.app[PAGE]
    person: Person | None = await page.blocking(page.person_of, request)
    if person is not None:
        request[PERSON] = person
    elif request.method in SAFE:
        raise web.HTTPSeeOther(sign_in_path(request))
    else:
        raise web.HTTPUnauthorized(
            text="You are not signed in, or your session has ended, so nothing was done."
        )


def _check_right(request: web.Request) -> None:
    """Raise 403 if the person may not have the path."""
    route = _route(request)
    if route is None or route.right is Right.NONE or request[PERSON].may(route.right):
        return
    raise web.HTTPForbidden(
        text=f"Your role does not allow this: {route.right}. Ask a colleague with another role, or "
        "the person who looks after the accounts (`bulk-sync users`)."
    )


def _route(request: web.Request) -> Route | None:
    """Return the line of the table for a request; None if there is no such path."""
    return _BY_HANDLER.get(request.match_info.route.handler)


def _pattern(request: web.Request) -> str:
    """Return the path without what stands for its variables: a log holds no key."""
    resource = request.match_info.route.resource
    return "a path" if resource is None else resource.canonical
