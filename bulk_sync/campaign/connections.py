"""How Campaign and IMS are reached: the connection pool, its certificates, and proxies."""

import ipaddress
import re
import ssl
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from bulk_sync import __version__
from bulk_sync.campaign.dns import Resolver
from bulk_sync.campaign.wire import Connector, Response
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import Connection, check_host

if sys.platform != "win32":
    import resource

_LONG_HEADERS: Final[dict[str, Any]] = {
    "max_line_size": 1 << 16,
    "max_field_size": 1 << 16,
    "max_headers": 1 << 10,
}
"""Gateways add cookies and policies of many kilobytes, which aiohttp refuses by itself."""

_OTHER_FILES: Final = 128
"""Files that a run has open besides its connections, and some to spare."""


_LONGEST_CONNECT_S: Final = 20.0

_HTTPS_PORT: Final = 443


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where requests go first, and the headers that it alone is shown; None for nowhere."""

    url: URL | None = None
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Way:
    """The way that requests of one kind take to Campaign.

    Attributes:
        reads: for what changes nothing. No write shares a connection with it, so whatever goes
            wrong with the connection of a write cannot spoil what is read back.
        writes: for the rest.
        alone: for what gets a connection of its own, whose only answer cannot be another's.
        headers: what requests carry besides their session's own headers.
        proxy: where they go first.
    """

    reads: aiohttp.ClientSession
    writes: aiohttp.ClientSession
    alone: aiohttp.ClientSession
    headers: Mapping[str, str] | None
    proxy: Proxy


class Pool:
    """Connections that requests share, whatever headers they carry. Belongs to one event loop.

    Args:
        context: by what certificates are verified.
        connect_s: seconds in which a connection must be open, TLS included.
    """

    def __init__(self, context: ssl.SSLContext | bool, connect_s: float) -> None:  # noqa: FBT001
        how: dict[str, Any] = {
            "limit": 0,
            "ssl": context,
            "ttl_dns_cache": 300,
            "resolver": Resolver(),
        }
        self._reads, self._writes = Connector(**how), Connector(**how)
        self._alone = Connector(**how, force_close=True)
        self._connect_s = connect_s
        self._sessions: list[aiohttp.ClientSession] = []

    def way(self, headers: Mapping[str, str], proxy: Proxy) -> Way:
        """Make a way for requests that carry these headers.

        They are built once, into the session, and not for each request; but a session shows its
        headers to a proxy as well, so where there is one they go with the requests.
        """
        headers = {"User-Agent": f"bulk-sync/{__version__}", **headers}
        sessions = [
            aiohttp.ClientSession(
                connector=connector,
                connector_owner=False,
                timeout=aiohttp.ClientTimeout(sock_connect=self._connect_s),  # see deadlines.py
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=headers if proxy.url is None else None,
                response_class=Response,
                **_LONG_HEADERS,
            )
            for connector in (self._reads, self._writes, self._alone)
        ]
        self._sessions += sessions
        reads, writes, alone = sessions
        return Way(reads, writes, alone, None if proxy.url is None else headers, proxy)

    async def close(self) -> None:
        """Close all sessions, then the connections."""
        for session in self._sessions:
            await session.close()
        for connector in (self._reads, self._writes, self._alone):
            await connector.close()


def room_for(connections: int) -> int:
    """Tell how many of so many connections the system lets be open, which is asked for more.

    Many systems let a process have 1,024 files open unless it asks.
    """
    if sys.platform == "win32":
        return connections  # it has no such limit
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + _OTHER_FILES
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    with suppress(OSError, ValueError):  # some systems say more than they give
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        soft = wanted
    return max(1, min(connections, soft - _OTHER_FILES))


@asynccontextmanager
async def pool_of(connection: Connection, timeout_s: float) -> AsyncIterator[Pool]:
    """Open a connection pool; it closes with the block.

    A server that does not even take a connection within half the time of a request, or twenty
    seconds, cannot be reached: its silence says nothing of the request.

    Raises:
        UsageProblem: the CA file holds no certificates.
    """
    context: ssl.SSLContext | bool = True  # aiohttp's own, which is made like the next one
    if connection.ca_file is not None:
        context = ssl.create_default_context()
        try:
            context.load_verify_locations(connection.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise UsageProblem(f"--ca-file {connection.ca_file}: {error}.") from error
    pool = Pool(context, min(_LONGEST_CONNECT_S, timeout_s / 2))
    try:
        yield pool
    finally:
        await pool.close()


def proxy_for(url: str) -> Proxy:
    """Return the environment's proxy for a URL; for plain http there is none.

    Plain http is accepted for this machine alone, and no proxy must see its token in clear. Not
    left to aiohttp's ``trust_env``: that also takes credentials from ~/.netrc, which clash with
    the Authorization header, and looks there again for every request.

    Raises:
        UsageProblem: the proxy cannot be used.
    """
    parts = urlsplit(url)
    host, proxies = parts.hostname or "", getproxies()
    proxy = proxies.get("https") if parts.scheme == "https" else None
    if not proxy or proxy_bypass(host):
        return Proxy()
    if is_exempt(host, parts.port or _HTTPS_PORT, proxies.get("no", "")):
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


def is_exempt(host: str, port: int | None, no_proxy: str) -> bool:
    """Check whether ``no_proxy`` names a host.

    Its entries stand between commas or blanks: a name (with or without a leading dot or ``*.``),
    which stands for its subdomains too, an address, a network such as ``10.0.0.0/8``, any of them
    with a port, or ``*`` for every host.
    """
    return any(_matches(entry, host, port) for entry in re.split(r"[,\s]+", no_proxy) if entry)


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    if match := re.fullmatch(r"(?:\[(?P<ip6>[^\]]*)\]|(?P<name>[^:]*))(?::(?P<port>\d+))?", entry):
        if match["port"] and int(match["port"]) != port:
            return False
        entry = match["ip6"] or match["name"] or ""
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        name = entry.lower().removeprefix("*").strip(".")
        return bool(name) and f".{host.lower().removesuffix('.')}".endswith(f".{name}")
