"""The connections to Campaign and IMS: pools, certificates, names of hosts, proxies.

The ``trust_env`` of aiohttp would take credentials for a proxy from ~/.netrc too, against the
Authorization header, and look there again for every request.
"""

import asyncio
import resource
import socket
import ssl
import threading
from collections.abc import Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from bulk_sync.campaign.wire import Connector, WatchedResponse
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import check_host

_LONG_HEADERS: Final[dict[str, Any]] = {
    "max_line_size": 1 << 16,
    "max_field_size": 1 << 16,
    "max_headers": 1 << 10,
}
"""Gateways add cookies and policies of many kilobytes, more than aiohttp accepts by default."""

_OTHER_FILES: Final = 128
"""Open files of a run besides its connections, and some to spare."""

_LONGEST_CONNECT_S: Final = 20.0
_HTTPS_PORT: Final = 443


class Pool:
    """The connections to Campaign and IMS, with sessions. Belongs to one event loop.

    Reads and writes share no connection, so a fault on the connection of a write cannot spoil what
    is read back. ``alone`` gives each request a connection, so its response cannot be another's.

    A server without a connection after half the timeout of a request, or twenty seconds, cannot be
    reached: its silence means nothing for the request.

    Raises:
        UsageProblem: the CA file holds no certificates.
    """

    def __init__(self, ca_file: Path | None, timeout_s: float) -> None:
        connect_s = min(_LONGEST_CONNECT_S, timeout_s / 2)
        options = {"limit": 0, "ssl": _context(ca_file), "ttl_dns_cache": 300}
        self.reads, self.writes = _session(connect_s, **options), _session(connect_s, **options)
        self.alone = _session(connect_s, **options, force_close=True)

    async def aclose(self) -> None:
        """Close all connections."""
        for session in (self.reads, self.writes, self.alone):
            await session.close()


def _session(connect_s: float, **options: Any) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        connector=Connector(resolver=HostResolver(), **options),
        timeout=aiohttp.ClientTimeout(sock_connect=connect_s),  # see timeouts.py
        cookie_jar=aiohttp.DummyCookieJar(),
        response_class=WatchedResponse,
        **_LONG_HEADERS,
    )


def _context(ca_file: Path | None) -> ssl.SSLContext | bool:
    if ca_file is None:
        return True  # aiohttp makes the same one itself
    context = ssl.create_default_context()
    try:
        context.load_verify_locations(ca_file)
    except OSError as error:
        is_other = isinstance(error, ssl.SSLError)
        why = "it holds no certificate in PEM" if is_other else error.strerror
        raise UsageProblem(
            f"--ca-file {ca_file}: {why}. Name the file with the certificates of your CA."
        ) from error
    return context


def room_for(connections: int) -> int:
    """Return how many of so many connections the system lets be open.

    Many systems let a process have 1,024 open files unless it requests more, so it does.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    with suppress(OSError, ValueError):  # some systems grant less than they announce
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(1, min(connections, soft - _OTHER_FILES))


class HostResolver(AbstractResolver):
    """Looks up host names in daemon threads. Belongs to one event loop.

    The system's resolver cannot be interrupted, and takes half a minute without a name server. A
    loop waits for its own threads when it closes; daemon threads hold nothing up.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raise ``OSError`` if there are none."""
        found = Future[list[Any]]()
        found.set_running_or_notify_cancel()

        def look_up() -> None:
            flags = socket.AI_ADDRCONFIG
            try:
                found.set_result(
                    socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
                )
            except OSError as error:
                found.set_exception(error)

        threading.Thread(target=look_up, name="resolver", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=_with_scope(address),
                port=address[1],
                family=family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, _, protocol, _, address in await asyncio.wrap_future(found)
        ]

    async def close(self) -> None:
        """Do nothing: waiting threads are daemons."""


def _with_scope(address: tuple[Any, ...]) -> str:
    """Return an address as text; a link-local one of IPv6 names its interface."""
    host = str(address[0])
    scope = address[3] if len(address) > 3 else 0
    return f"{host}%{scope}" if scope and "%" not in host else host


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy, and the headers for it alone; without a URL there is none."""

    url: URL | None = None
    headers: Mapping[str, str] | None = None


def proxy_for(url: str) -> Proxy:
    """Return the environment's proxy for a URL.

    For plain http there is none: it is accepted for this machine alone, and no proxy must see its
    token.

    Raises:
        UsageProblem: the proxy cannot be used.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    proxy = getproxies().get("https") if parts.scheme == "https" else None
    if not proxy or proxy_bypass(f"{host}:{parts.port or _HTTPS_PORT}"):
        return Proxy()
    try:
        address = URL(proxy if "://" in proxy else f"http://{proxy}")
        check_host(address.host or "")
    except ValueError:
        address = URL()
    if address.scheme not in {"http", "https"} or not address.port:
        raise UsageProblem(
            "The proxy that the environment names for https cannot be used. Write "
            f"https_proxy=http://host:port, or leave {parts.hostname} out with no_proxy."
        )
    if address.user is None:
        return Proxy(address)
    credentials = aiohttp.encode_basic_auth(address.user, address.password or "")
    return Proxy(address.with_user(None), {"Proxy-Authorization": credentials})
