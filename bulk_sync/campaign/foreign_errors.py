"""Maps the errors of aiohttp, and of what lies below it, to those of this program. Pure.

no server, or a lost connection      RetryLater, ``unreachable``
broken TLS or HTTP                   RetryLater
an unverified certificate            UsageProblem
an unknown host name                 UsageProblem, unless it existed a while ago
a proxy without credentials          UsageProblem
"""

import errno
import socket
from typing import Final

import aiohttp
from yarl import URL

from bulk_sync.campaign.connections import Proxy
from bulk_sync.errors import RetryLater, UsageProblem
from bulk_sync.outcomes import Reason

_NO_SUCH_HOST: Final = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
_WANTS_CREDENTIALS: Final = 407

_WORDS: Final = {
    errno.ECONNREFUSED: "nothing accepts connections there",
    errno.ECONNRESET: "the other side ended it",
    errno.EHOSTUNREACH: "there is no way to that machine from here",
    errno.ENETUNREACH: "there is no way to that network from here",
    errno.ETIMEDOUT: "no answer to the attempt to connect",
    socket.EAI_AGAIN: "the name of that machine cannot be looked up now",
}
"""Words for a person; aiohttp has those of programmers."""


def failure(
    error: aiohttp.ClientError | OSError, url: URL, proxy: Proxy, text: str, *, was_reached: bool
) -> RetryLater | UsageProblem:
    """Return the error for a request without a response.

    ``text`` is the error's text without secrets. After a response the host's name is right.
    """
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        why = getattr(error.certificate_error, "verify_message", text)
        return UsageProblem(
            f"The certificate of {error.host} could not be verified ({why}). For a private CA, "
            "name its certificates with --ca-file."
        )
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return _refused_by_proxy(error, url, proxy)
    if isinstance(error, aiohttp.ClientConnectorDNSError) and not was_reached:
        cause = error.os_error
        if isinstance(cause, socket.gaierror) and cause.errno in _NO_SUCH_HOST:
            return UsageProblem(_no_such_host(error.host, url, proxy))
    if isinstance(error, aiohttp.ClientResponseError):
        return RetryLater(Reason.BAD_ANSWER, f"The answer was not HTTP ({text})")
    if isinstance(error, aiohttp.ClientPayloadError):
        return RetryLater(Reason.BAD_ANSWER, "The answer was cut off")
    return _unconnected(error, url, text)


def _unconnected(error: aiohttp.ClientError | OSError, url: URL, text: str) -> RetryLater:
    is_silent = isinstance(error, aiohttp.ConnectionTimeoutError)
    is_refused = isinstance(error, aiohttp.ClientConnectorError) or is_silent
    if is_silent:
        text = _WORDS[errno.ETIMEDOUT]
    elif isinstance(error, OSError) and error.errno is not None:
        text = _WORDS.get(error.errno) or error.strerror or text
    what = "The connection was lost"
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        what = f"No connection to the proxy {error.host}:{error.port}"
    elif is_refused:
        kind = "secure connection" if isinstance(error, aiohttp.ClientSSLError) else "connection"
        what = f"No {kind} to {url.host}:{url.port}"
    is_lost = isinstance(error, aiohttp.ClientConnectionError | OSError)
    return RetryLater(
        Reason.CONNECTION, f"{what} ({text})", refused=is_refused, unreachable=is_lost
    )


def _refused_by_proxy(
    error: aiohttp.ClientHttpProxyError, url: URL, proxy: Proxy
) -> RetryLater | UsageProblem:
    where = "The proxy" if proxy.url is None else f"The proxy {proxy.url.host}:{proxy.url.port}"
    if error.status == _WANTS_CREDENTIALS:
        return UsageProblem(
            f"{where} asks for a user and password, or refuses the given ones (407). "
            f"Write them into {url.scheme}_proxy=http://USER:PASSWORD@HOST:PORT, percent-encoded, "
            f"or name {url.host} in no_proxy if it can be reached without the proxy."
        )
    detail = f"{where} did not connect to {url.host}:{url.port} (it answered {error.status})"
    is_gone = error.status >= 500
    return RetryLater(Reason.CONNECTION, detail, refused=True, unreachable=is_gone)


def _no_such_host(host: str, url: URL, proxy: Proxy) -> str:
    if proxy.url is not None and host == proxy.url.host:
        return f"There is no host {host}, which {url.scheme}_proxy names as the proxy. Correct it."
    return (
        f"There is no host {host}, so {url.origin()} cannot be reached: check --endpoint, or "
        "--ims-endpoint, and whether this machine resolves names of that network."
    )
