"""Downloads a file of a web server by one GET, and sees by a HEAD that it did not change.

Not every server knows HEAD, and a signed URL may not permit it: then another GET shows its version.
"""

import base64
import time
from collections.abc import Callable
from http.client import HTTPException
from string import punctuation
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote, unquote, urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from bulk_sync.campaign.connections import proxy_for
from bulk_sync.remote.store import RemoteProblem, Unreachable, changed
from bulk_sync.remote.url import Url
from bulk_sync.settings import is_loopback

_QUIET_S: Final = 60.0
_CHUNK: Final = 1 << 20
_WAITS_S: Final = (0.2, 0.5, 1.0, 2.0, 4.0)
_PASSING: Final = frozenset({408, 425, 429, 500, 502, 503, 504})

_COMPLETE: Final = frozenset({200, 203})
"""Statuses of a whole file: 202 is a promise of one, and 206 a part."""

_WHY: Final = {
    202: "is not ready: the server answers 202. Run again later.",
    401: "cannot be read: the server wants other credentials, or a link that has not expired.",
    403: "cannot be read: the server does not permit it. The link may have expired; get a new one.",
    404: "is not there. Check the URL.",
    410: "is not there any more. Check the URL.",
}


def fetch(url: Url, whole: str, begin: Callable[[], Callable[[bytes], object]]) -> str:
    """Read a file, and return its ETag, or what else tells its version; "" if nothing does.

    ``whole`` is its URL with user and query. ``begin`` is called before each try, and returns what
    takes the content, chunk by chunk.

    Raises:
        RemoteProblem: it is not there, may not be read, or changed meanwhile.
        Unreachable: the server does not answer, or not now.
    """
    version = _tried(url, whole, begin)
    if version and _shown(url, whole) != version and _tried(url, whole, None) != version:
        raise changed(url)
    return version


def _shown(url: Url, whole: str) -> str:
    try:
        with _open(url, whole, "HEAD") as answer:
            return _version(answer.headers)
    except (OSError, HTTPException) as error:
        if isinstance(error, HTTPError):
            error.close()
        return ""


def _open(url: Url, whole: str, method: str) -> Any:
    return build_opener(_Safe(url), _Proxies()).open(_request(whole, method), timeout=_QUIET_S)


def _tried(url: Url, whole: str, begin: Callable[[], Callable[[bytes], object]] | None) -> str:
    """Send a request, again after a passing failure; without ``begin`` its content is not read."""
    for wait_s in (*_WAITS_S, None):
        try:
            with _open(url, whole, "GET") as answer:
                if answer.status not in _COMPLETE:
                    raise _refused(url, answer.status)
                if begin is not None:
                    _read(answer, begin())
                return _version(answer.headers)
        except HTTPError as error:
            error.close()
            if error.code not in _PASSING:
                raise _refused(url, error.code) from None
        except _Cut:
            pass
        except (OSError, HTTPException) as error:
            if isinstance(getattr(error, "reason", error), ValueError):  # of certificates
                raise RemoteProblem(
                    f"{url} cannot be read: its certificate is not trusted. For a private CA, name "
                    "its file in SSL_CERT_FILE."
                ) from None
        if wait_s is not None:
            time.sleep(wait_s)
    raise Unreachable(
        f"{url} cannot be reached: the server does not answer, or not now. Nothing was sent to "
        "Campaign. Run again later."
    )


def _refused(url: Url, status: int) -> RemoteProblem:
    why = _WHY.get(status, f"cannot be read: the server answers {status}.")
    return RemoteProblem(f"{url} {why}")


class _Cut(Exception):
    """A content ended before its length."""


class _Safe(HTTPRedirectHandler):
    """Follows redirects, but neither from https to http, nor by http to another machine."""

    def __init__(self, url: Url) -> None:
        self._url = url

    def redirect_request(self, *args: Any) -> Request | None:
        """Return the next request."""
        target = urlsplit(args[-1])
        is_here = target.scheme == self._url.scheme == "http" and is_loopback(target.hostname or "")
        if target.scheme != "https" and not is_here:
            raise RemoteProblem(f"{self._url} leads to a URL without encryption. It was not read.")
        return super().redirect_request(*args)


class _Proxies(ProxyHandler):
    """Takes the proxies of the environment by the rules of requests to Campaign."""

    def __init__(self) -> None:
        super().__init__({})

    def https_open(self, request: Request) -> None:
        """Let a request go through its proxy; plain http stays on this machine and has none."""
        proxy = proxy_for(request.full_url)
        if proxy.url is not None:
            request.set_proxy(f"{proxy.url.host_subcomponent}:{proxy.url.port}", "https")
            for name, value in (proxy.headers or {}).items():
                request.add_unredirected_header(name, value)


def _request(whole: str, method: str) -> Request:
    """Return the request; a user and password in the URL go into a header."""
    parts = urlsplit(whole)
    user, at, host = parts.netloc.rpartition("@")
    path, query = (
        quote(part, punctuation, errors="surrogateescape") for part in (parts.path, parts.query)
    )
    name = parts.hostname or ""
    host = host.lower().replace(name, name.encode("idna").decode())
    address = parts._replace(netloc=host, path=path, query=query, fragment="").geturl()
    request = Request(address, method=method)  # noqa: S310 - checked
    request.add_header("Accept-Encoding", "identity")
    if at:
        token = base64.b64encode(unquote(user).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {token}")
    return request


def _read(answer: Any, take: Callable[[bytes], object]) -> None:
    left = answer.length
    while chunk := answer.read(_CHUNK):
        take(chunk)
        left = None if left is None else left - len(chunk)
    if left:
        raise _Cut


def _version(headers: Any) -> str:
    return str(headers.get("ETag") or headers.get("Last-Modified") or "")
