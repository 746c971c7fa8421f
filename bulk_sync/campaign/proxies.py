"""The environment's proxy for a URL.

The ``trust_env`` of aiohttp would take credentials from ~/.netrc too, against the Authorization
header, and look there again for every request.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from bulk_sync.errors import UsageProblem
from bulk_sync.settings import check_host

_HTTPS_PORT: Final = 443


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
