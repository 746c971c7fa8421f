"""The connections to Campaign and IMS: pools, certificates, names of hosts."""

import asyncio
import resource
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from bulk_sync import __version__
from bulk_sync.campaign.proxies import Proxy
from bulk_sync.campaign.wire import Connector, WatchedResponse
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import Connection

_LONG_HEADERS: Final[dict[str, Any]] = {
    "max_line_size": 1 << 16,
    "max_field_size": 1 << 16,
    "max_headers": 1 << 10,
}
"""Gateways add cookies and policies of many kilobytes, more than aiohttp accepts by default."""

_OTHER_FILES: Final = 128
"""Open files of a run besides its connections, and some to spare."""

_LONGEST_CONNECT_S: Final = 20.0


@dataclass(frozen=True, slots=True)
class Way:
    """The sessions for requests with the same headers.

    Reads and writes share no connection, so a fault on the connection of a write cannot spoil what
    is read back. ``alone`` gives each request a connection, so its response cannot be another's.
    """

    reads: aiohttp.ClientSession
    writes: aiohttp.ClientSession
    alone: aiohttp.ClientSession
    options: Mapping[str, Any]
    proxy: Proxy


class Pool:
    """Connections, shared by requests with any headers. Belongs to one event loop."""

    def __init__(self, context: ssl.SSLContext | bool, connect_s: float) -> None:  # noqa: FBT001
        options: dict[str, Any] = {
            "limit": 0,
            "ssl": context,
            "ttl_dns_cache": 300,
            "resolver": Resolver(),
        }
        self._reads, self._writes = Connector(**options), Connector(**options)
        self._alone = Connector(**options, force_close=True)
        self._connect_s = connect_s
        self._sessions: list[aiohttp.ClientSession] = []

    def way(self, headers: Mapping[str, str], proxy: Proxy) -> Way:
        """Make the sessions for requests with these headers.

        The headers are built once, into the sessions. But a session shows its headers to a proxy
        too, so with a proxy they go with each request.
        """
        options: dict[str, Any] = {"allow_redirects": False}
        headers = {"User-Agent": f"bulk-sync/{__version__}", **headers}
        sessions = [
            aiohttp.ClientSession(
                connector=connector,
                connector_owner=False,
                timeout=aiohttp.ClientTimeout(sock_connect=self._connect_s),  # see timeouts.py
                cookie_jar=aiohttp.DummyCookieJar(),
                headers=headers if proxy.url is None else None,
                response_class=WatchedResponse,
                **_LONG_HEADERS,
            )
            for connector in (self._reads, self._writes, self._alone)
        ]
        self._sessions += sessions
        reads, writes, alone = sessions
        if proxy.url is not None:
            options |= {"headers": headers, "proxy": proxy.url, "proxy_headers": proxy.headers}
        return Way(reads, writes, alone, options, proxy)

    async def close(self) -> None:
        """Close all sessions, then the connections."""
        for session in self._sessions:
            await session.close()
        for connector in (self._reads, self._writes, self._alone):
            await connector.close()


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


@asynccontextmanager
async def pool_of(connection: Connection, timeout_s: float) -> AsyncIterator[Pool]:
    """Open a connection pool; it closes with the block.

    A server without a connection after half the timeout of a request, or twenty seconds, cannot be
    reached: its silence means nothing for the request.

    Raises:
        UsageProblem: the CA file holds no certificates.
    """
    context: ssl.SSLContext | bool = True  # aiohttp makes the same one itself
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


class Resolver(AbstractResolver):
    """Looks up host names in daemon threads. Belongs to one event loop.

    The system's resolver cannot be interrupted, and takes half a minute without a name server. A
    loop waits for its own threads when it closes; daemon threads hold nothing up.
    """

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host; raise ``OSError`` if there are none."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[list[Any]] = loop.create_future()

        def settle(addresses: list[Any], error: OSError | None) -> None:
            if found.done():  # cancelled
                return
            if error is None:
                found.set_result(addresses)
            else:
                found.set_exception(error)

        def look_up() -> None:
            addresses: list[Any] = []
            error: OSError | None = None
            flags = socket.AI_ADDRCONFIG
            try:
                addresses = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=flags)
            except OSError as caught:
                error = caught
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(settle, addresses, error)

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
            for family, _, protocol, _, address in await found
        ]

    async def close(self) -> None:
        """Do nothing: waiting threads are daemons."""


def _with_scope(address: tuple[Any, ...]) -> str:
    """Return an address as text; a link-local one of IPv6 names its interface."""
    host = str(address[0])
    scope = address[3] if len(address) > 3 else 0
    return f"{host}%{scope}" if scope and "%" not in host else host
