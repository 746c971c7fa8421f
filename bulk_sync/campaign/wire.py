"""Watches each connection to Campaign: every byte must belong to the due response.

    a request is sent --> a response is due --> it is complete --> nothing is due
             |                                                         |
    an early response,                                   any byte closes the connection
    or a second one, closes it too

A server, or a proxy before it, may send a response twice, too late, or with more bytes than
announced. aiohttp keeps such bytes for the next request on the connection (aio-libs/aiohttp, issue
13656), and they would pass for another profile's response. A response in place of a due one is
found out by its content: see ``proof.py``.

The only private name of aiohttp here is ``_factory``, the maker of a connector's connections.
If aiohttp stops calling it, every request fails in ``WatchedResponse.start``.
"""

import logging
from collections.abc import Coroutine
from functools import partial
from typing import Any, Final, cast

import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection

from bulk_sync.campaign.responses import TooLarge

log = logging.getLogger(__name__)

_MOST_KEPT: Final = 1 << 16
"""Bytes of a response that are kept for comparison; a page of many profiles has more."""


class Wire(ResponseHandler):
    """One connection. A new one may get the response of a proxy first."""

    due: object = True
    """The response that must come next, if any."""
    repeats: bool = False
    """Whether the last response was the same as the one before it."""
    _last: bytes | None = None
    _is_paused: bool = False

    def pause_reading(self) -> None:
        """Stop receiving while too much is unread."""
        self._is_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002
        """Receive again after a pause.

        aiohttp calls this twice for each response, paused or not, and wakes the parser and the
        transport in vain: 3 % of the time of a request.
        """
        if self._is_paused:
            self._is_paused = not resume_parser
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Fail the request in flight.

        aiohttp sends a GET again after a lost connection (aio-libs/aiohttp, issue 10790), out of
        turn and uncounted, unless the error is of another class than the two here.
        """
        if isinstance(exc, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError):
            exc, exc_cause = aiohttp.ClientConnectionError(str(exc)), exc
        # To aiohttp, an error that is its own cause has none.
        super().set_exception(exc, exc_cause or exc)

    def data_received(self, data: bytes) -> None:
        """Receive data; close the connection if no response is due."""
        if self.due is not None:
            super().data_received(data)
        elif data:
            log.debug(
                "Closing a connection: %d bytes came for which no request was sent", len(data)
            )
            self.taint()

    def complete(self, response: object, body: bytes) -> None:
        """Record a complete response; another request may be in flight by now."""
        if self.due is response:
            self.due = None
        if len(self):
            self.taint()  # a second response came together with the first
        self.repeats = body == self._last
        self._last = body if len(body) <= _MOST_KEPT else None

    def taint(self) -> None:
        """Close the connection; a request in flight on it fails."""
        self.force_close()
        if self.transport is not None:
            self.transport.close()


class WatchedResponse(aiohttp.ClientResponse):
    """A response with its connection."""

    wire: Wire

    def start(self, connection: Connection) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Wait for the head of the response; raise if one is there already, or unwatched."""
        wire = connection.protocol
        if not isinstance(wire, Wire):
            raise TypeError(f"aiohttp {aiohttp.__version__} makes connections in another way.")
        if len(wire):
            wire.taint()
            raise aiohttp.ClientConnectionError("An answer came before its request")
        self.wire = wire
        wire.due = self
        return super().start(connection)

    async def whole_body(self, most: int) -> bytes:
        """Read the whole body, decompressed; raise ``TooLarge`` beyond so many bytes."""
        blocks, left, content = [], most, self.content
        try:
            while left >= 0 and not content.at_eof():
                block = content.read_nowait() if content.is_eof() else await content.readany()
                blocks.append(block)
                left -= len(block)
        except BaseException:
            self.close()
            raise
        if left < 0:
            self.close()
            raise TooLarge(most)
        return blocks[0] if len(blocks) == 1 else b"".join(blocks)


class Connector(aiohttp.TCPConnector):
    """Makes watched connections."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._factory = cast("partial[ResponseHandler]", partial(Wire, loop=self._loop))
