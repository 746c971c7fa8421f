"""How Campaign and IMS are reached: the connection pool, its certificates, and proxies."""

import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from bulk_sync import __version__
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import Connection, Pace


@asynccontextmanager
async def pool_of(connection: Connection, pace: Pace) -> AsyncIterator[aiohttp.ClientSession]:
    """Open a connection pool; it closes with the block.

    Raises:
        UsageProblem: the CA file holds no certificates.
    """
    context = ssl.create_default_context()
    if connection.ca_file is not None:
        try:
            context.load_verify_locations(connection.ca_file)
        except (ssl.SSLError, OSError) as error:
            raise UsageProblem(f"--ca-file {connection.ca_file}: {error}.") from error
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=context, ttl_dns_cache=300),
        timeout=aiohttp.ClientTimeout(total=pace.timeout_s),
        cookie_jar=aiohttp.DummyCookieJar(),
        headers={"User-Agent": f"bulk-sync/{__version__}"},
    ) as pool:
        yield pool


@dataclass(frozen=True, slots=True)
class Proxy:
    """Where requests go first, and the headers that it alone is shown; None for nowhere."""

    url: URL | None = None
    headers: Mapping[str, str] | None = None


def proxy_for(url: str) -> Proxy:
    """Find the environment's proxy for a URL.

    Not left to aiohttp's ``trust_env``: that also takes credentials from ~/.netrc, which clash
    with the Authorization header, and looks there again for every request.
    """
    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme)
    if not proxy or proxy_bypass(parts.hostname or ""):
        return Proxy()
    try:
        address = URL(proxy if "://" in proxy else f"http://{proxy}")
    except ValueError:
        address = URL()
    if address.scheme not in {"http", "https"} or not address.host:
        raise UsageProblem(
            f"The proxy that the environment names for {parts.scheme} cannot be used; write "
            f"{parts.scheme}_proxy=http://host:port, or leave {parts.hostname} out with no_proxy."
        )
    if address.user is None:
        return Proxy(address)
    credentials = aiohttp.encode_basic_auth(address.user, address.password or "")
    return Proxy(address.with_user(None), {"Proxy-Authorization": credentials})
