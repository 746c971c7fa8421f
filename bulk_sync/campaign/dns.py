"""Looks host names up beside the event loop.

The system's resolver cannot be interrupted, and takes half a minute if no name server answers. The
loop's own thread for it is waited for when the loop closes; a daemon thread holds nobody up.
"""

import asyncio
import socket
import threading
from contextlib import suppress
from typing import Any, Final

from aiohttp.abc import AbstractResolver, ResolveResult

_FLAGS: Final = socket.AI_ADDRCONFIG & getattr(socket, "AI_MASK", ~0)
_NUMERIC: Final = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV

Addresses = list[tuple[Any, Any, int, str, Any]]


class Resolver(AbstractResolver):
    """Asks the system. Belongs to one event loop."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses of a host.

        Raises:
            OSError: there are none.
        """
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Addresses] = loop.create_future()

        def settle(answer: Addresses | OSError) -> None:
            if found.done():  # cancelled
                return
            if isinstance(answer, OSError):
                found.set_exception(answer)
            else:
                found.set_result(answer)

        def look_up() -> None:
            answer: Addresses | OSError
            try:
                answer = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM, flags=_FLAGS)
            except OSError as error:
                answer = error
            with suppress(RuntimeError):  # the loop may be closed by now
                loop.call_soon_threadsafe(settle, answer)

        threading.Thread(target=look_up, name="resolver", daemon=True).start()
        return [
            ResolveResult(
                hostname=host,
                host=_with_scope(address),
                port=address[1],
                family=kind,
                proto=protocol,
                flags=_NUMERIC,
            )
            for kind, _, protocol, _, address in await found
        ]

    async def close(self) -> None:
        """Do nothing: threads that still wait are daemons."""


def _with_scope(address: tuple[Any, ...]) -> str:
    """Return an address as text; a link-local one of IPv6 is of one interface."""
    host = str(address[0])
    scope = address[3] if len(address) > 3 else 0
    return f"{host}%{scope}" if scope and "%" not in host else host
