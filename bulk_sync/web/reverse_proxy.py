"""What a reverse proxy in front of the page vouches for: the person, and the browser's address."""

import re
from ipaddress import IPv4Address, IPv6Address, ip_address

from aiohttp import web

from bulk_sync.web.accounts import Accounts
from bulk_sync.web.identity import Person, Role, roles_of
from bulk_sync.web.settings import TrustedProxy

_UNKNOWN = "unknown"
_WITH_PORT = re.compile(r"\[(.+)\](?::[0-9]+)?|([0-9.]+):[0-9]+")
"""As some proxies write it: ``203.0.113.7:51234``, ``[2001:db8::1]:443``."""


def person_of(request: web.BaseRequest, proxy: TrustedProxy, accounts: Accounts) -> Person | None:
    """Return the person whom the proxy has signed in; None if it names no one, or may not.

    Without a header of roles, the role is that of the account of this name, else viewer.
    """
    if not proxy.user_header or not _is_trusted(_peer(request), proxy):
        return None
    names = request.headers.getall(proxy.user_header, [])
    name = " ".join(names[0].split()) if len(names) == 1 else ""
    if not name or not name.isprintable():
        return None
    if proxy.role_header:
        given = request.headers.getall(proxy.role_header, [])
        roles = roles_of(word for each in given for word in each.replace(";", ",").split(","))
        return Person(name, roles or frozenset({Role.VIEWER}))
    known = accounts.find(name)
    return known or Person(name, frozenset({Role.VIEWER}))


def address_of(request: web.BaseRequest, proxy: TrustedProxy) -> str:
    """Return the address of the browser, as far as it can be trusted.

    Proxies add to ``X-Forwarded-For`` at its end; what stands before the last address that is no
    proxy of ours may be made up.
    """
    address = _peer(request)
    if not proxy.is_there and not proxy.trusted:
        return str(address or _UNKNOWN)
    header = ",".join(request.headers.getall("X-Forwarded-For", []))
    for hop in reversed([each.strip() for each in header.split(",") if each.strip()]):
        if not _forwards(address, proxy):
            break
        try:
            address = _parsed(hop)
        except ValueError:
            break
    return str(address or _UNKNOWN)


def _parsed(hop: str) -> IPv4Address | IPv6Address:
    """Return the address of a hop, with or without a port; raise ValueError if it has none."""
    found = _WITH_PORT.fullmatch(hop)
    address = ip_address(hop if found is None else found[1] or found[2])
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _forwards(address: IPv4Address | IPv6Address | None, proxy: TrustedProxy) -> bool:
    """Return whether an address is that of a proxy: a trusted one, else of this machine."""
    if proxy.trusted:
        return _is_trusted(address, proxy)
    return address is not None and address.is_loopback


def _is_trusted(address: IPv4Address | IPv6Address | None, proxy: TrustedProxy) -> bool:
    return address is not None and any(address in network for network in proxy.trusted)


def _peer(request: web.BaseRequest) -> IPv4Address | IPv6Address | None:
    try:
        return _parsed(str(request.remote).partition("%")[0])
    except ValueError:
        return None
