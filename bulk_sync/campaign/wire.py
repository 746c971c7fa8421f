"""Watches each connection to Campaign: what comes on it must be the one answer to the last request.

    a request was sent --> an answer is due --> it is complete --> none is due
             |                                                         |
    an answer that is there already,                     any byte closes the connection
    or a second one, closes it too

A server, or a proxy before it, may send an answer twice, too late, or with more bytes than it
announced. aiohttp keeps such bytes for the next request on the connection (aio-libs/aiohttp, issue
13656), which would take another profile's answer for its own. An answer that comes while one is due
can only be told apart by what it says: see ``proof.py``.

Nothing of aiohttp that begins with an underscore is used but ``_factory``, by which a connector
makes its connections; if that is ever called otherwise, every request fails in ``Response.start``.
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
"""Bytes of an answer that are kept for comparison: no page of many profiles is."""


class Wire(ResponseHandler):
    """One connection.

    Attributes:
        due: the response that is to come; None if nothing was asked for. A new connection expects
            the answer of a proxy, which comes first, if any.
        repeats: whether the last answer was the same as the one before it.
    """

    due: object = True
    repeats: bool = False
    _last: bytes | None = None
    _is_paused: bool = False

    def pause_reading(self) -> None:
        """Stop receiving while too much is unread."""
        self._is_paused = True
        super().pause_reading()

    def resume_reading(self, resume_parser: bool = True) -> None:  # noqa: FBT001, FBT002
        """Receive again after a pause.

        aiohttp calls this twice for each response, paused or not. Both times the parser and the
        transport are woken for nothing, which takes 3 % of the time of a request.
        """
        if self._is_paused:
            self._is_paused = not resume_parser
            super().resume_reading(resume_parser)

    def set_exception(self, exc: BaseException, exc_cause: BaseException | None = None) -> None:
        """Fail the request under way.

        aiohttp sends a GET again after a lost connection (aio-libs/aiohttp, issue 10790), out of
        turn and uncounted, unless the error is of another class than those it looks for.
        """
        if isinstance(exc, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError):
            super().set_exception(aiohttp.ClientConnectionError(str(exc)), exc)
        elif exc_cause is None:
            super().set_exception(exc)
        else:
            super().set_exception(exc, exc_cause)

    def data_received(self, data: bytes) -> None:
        """Receive data; close the connection if nothing was asked for."""
        if self.due is not None:
            super().data_received(data)
        elif data:
            log.debug("Closing a connection: %d bytes came that were not asked for", len(data))
            self.taint()

    def complete(self, response: object, body: bytes) -> None:
        """Record that an answer is complete; another request may be in flight by now."""
        if self.due is response:
            self.due = None
        if len(self):
            self.taint()  # a second answer came together with the first
        self.repeats = body == self._last
        self._last = body if len(body) <= _MOST_KEPT else None

    def taint(self) -> None:
        """Close the connection; a request that is under way on it fails."""
        self.force_close()
        if self.transport is not None:
            self.transport.close()


class Response(aiohttp.ClientResponse):
    """An answer that knows the connection on which it came."""

    wire: Wire

    def start(self, connection: Connection) -> Coroutine[Any, Any, aiohttp.ClientResponse]:
        """Wait for the head of the answer.

        Raises:
            ClientConnectionError: an answer is there already, so it cannot be that to the request;
                or the connection is lost.
            TypeError: the connection is not watched.
        """
        wire = connection.protocol
        if not isinstance(wire, Wire):
            raise TypeError(f"aiohttp {aiohttp.__version__} makes connections in another way.")
        if len(wire):
            wire.taint()
            raise aiohttp.ClientConnectionError("An answer came before its request")
        self.wire = wire
        wire.due = self
        return super().start(connection)

    async def body(self, most: int) -> bytes:
        """Read the whole body, unpacked.

        Raises:
            TooLarge: it has more bytes than this.
        """
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
    """Makes connections that are watched."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self._factory = cast("partial[ResponseHandler]", partial(Wire, loop=self._loop))
