"""Sends requests to Campaign and to IMS.

    retry                  retries and waits: see ``retries.py``
      request              adds a valid token, learns from the response, checks what it is about
        _send              waits for its turn, then HTTP; errors of aiohttp are mapped here

Credentials go to the configured endpoint and to IMS alone. Redirects are not followed.
"""

import asyncio
import codecs
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar, cast
from urllib.parse import quote, urlencode

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from bulk_sync import __version__
from bulk_sync.campaign.auth import Tokens
from bulk_sync.campaign.call_budget import Budget, Calls
from bulk_sync.campaign.connections import Pool, Proxy, proxy_for
from bulk_sync.campaign.foreign_errors import failure
from bulk_sync.campaign.mismatches import Mismatches
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.campaign.redaction import Redaction
from bulk_sync.campaign.responses import (
    AddressRefused,
    Forbidden,
    Mismatch,
    Request,
    Response,
    TokenRefused,
    Unproven,
    problem,
)
from bulk_sync.campaign.retries import Retries
from bulk_sync.campaign.timeouts import Timeouts
from bulk_sync.campaign.wire import WatchedResponse, Wire
from bulk_sync.errors import BulkSyncError, Interrupted, RetryLater, RowFailed
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Connection, Pace
from bulk_sync.stopping import Stop

T = TypeVar("T")

_AGENT: Final = {"User-Agent": f"bulk-sync/{__version__}"}

_MOST_BYTES: Final = 1_000_000
_MOST_OF_ONE: Final = 8_000
"""Most bytes of a response, and more for each profile in it: five times what Campaign's own fields
take. A page of larger profiles is requested again with fewer of them, which leaves more for each.
"""

_GRACE_S: Final = 2.0
_GRACE_OF_WRITES_S: Final = 8.0
"""Seconds for reads, and for writes, after a signal. A write without a response is read back, and
the report must be on the disk within twenty seconds."""

_LOST: Final = frozenset({504, Reason.TIMEOUT, Reason.CONNECTION})
"""Failures that may be a matter of load, as 503 is."""


@dataclass(slots=True)
class _Side:
    """Campaign, or IMS, and whether it has responded."""

    proxy: Proxy
    calls: Calls
    was_reached: bool = False


class Transport:
    """The requests of one run. Belongs to one event loop.

    Attributes:
        retry: retries a request; see ``Retries.run``.
    """

    def __init__(
        self,
        pool: Pool,
        connection: Connection,
        pace: Pace,
        stop: Stop,
        budget: Budget | None = None,
    ) -> None:
        self.calls = Calls(pace.max_calls, budget)
        self.pacer = Pacer(pace, stop)
        self.stop = stop
        self.timeout_s = pace.timeout_s
        self._try_s = pace.try_s
        self._timeouts = Timeouts(pace.try_s)
        self._timeouts_of_reads = Timeouts(pace.try_s)
        self._pool = pool
        self._connection = connection
        self._tokens = Tokens(connection.credentials, self._exchange)
        self._base = URL(f"{connection.endpoint}/{connection.organization}/campaign/")
        self._base_path = self._base.raw_path
        self._campaign = _Side(proxy_for(connection.endpoint), self.calls)
        # Requests to IMS have no budget, and are in no count.
        self._ims = _Side(proxy_for(connection.credentials.ims_endpoint), Calls())
        self._headers_token, self._headers = "", CIMultiDict[str]()
        self._redaction = Redaction(connection)
        self._retries = Retries(pace, self.pacer, stop, self._redaction, self._is_reachable)
        self.retry = self._retries.run
        self._is_address_right = False
        self._mismatches = Mismatches(stop)
        stop.on_request(self._shorten_timeouts)

    async def request(self, request: Request, parse: Callable[[Response], T]) -> T:
        """Send one request and return what ``parse`` reads in its response.

        ``parse`` raises ``Mismatch`` or ``Unproven`` if that may be another request's.

        Raises:
            RetryLater: no response, or perhaps a different one next time.
            RowFailed: Campaign's last word on this request.
            StopRun: the credentials are refused, or the budget of calls is spent.
        """
        pool, tokens, doubted = self._pool, self._tokens, self._mismatches.doubted
        accept = self._mismatches.accept
        while True:
            token = tokens.ready() or await tokens.take()
            session = pool.reads if request.method == "GET" else pool.writes
            if doubted and request in doubted:
                session = pool.alone
            try:
                response, wire = await self._send(
                    self._campaign,
                    session,
                    request,
                    self._url(request.path),
                    self._headers_of(token),
                )
            except RetryLater as later:
                self.calls.answers[request.method, str(later.reason)] += 1
                if later.reason in _LOST:
                    self.pacer.was_lost(str(later.reason))
                raise
            self._learn(request.method, response)
            try:
                if response.status < 300:
                    tokens.accepted(token)
                    self._is_address_right = True
                    return accept(request, response, parse, repeats=wire.repeats)
                error = self._error(request, response, wire)
            except Unproven:
                raise
            except RetryLater as later:
                wire.taint()
                if response.status < 300 and not isinstance(later, Mismatch):
                    parse(self._redaction.response(response))  # fails too, and is quoted
                raise
            if not await self._is_token_new(token, error):
                raise error

    async def _is_token_new(self, token: str, error: BulkSyncError) -> bool:
        """Return whether there is another token, if the token explains the refusal."""
        if isinstance(error, TokenRefused):
            await self._tokens.replace(token, str(error))
            return True
        tokens = self._tokens
        is_forbidden = isinstance(error, RetryLater) and isinstance(error.last_word, Forbidden)
        if is_forbidden and not tokens.fresh and tokens.may_be_renewed:
            await tokens.replace(token, str(error))
            return True
        return False

    def _error(self, request: Request, response: Response, wire: Wire) -> BulkSyncError:
        """Return the error for a response other than 2xx; raise if it may be another's."""
        error = problem(self._redaction.response(response))
        if isinstance(error, AddressRefused) and self._is_address_right:
            # A write may have arrived all the same, so it is read back before it is sent again.
            is_read = request.method == "GET"
            return RetryLater(error.reason, error.detail, refused=is_read, last_word=error)
        if isinstance(error, RowFailed):
            if error.outcome is Outcome.NOT_FOUND:
                self.pacer.went_well(response.sent_at)  # Campaign has done its work
            if request.about:
                self._mismatches.check_error(request, response, error, repeats=wire.repeats)
        return error

    def _shorten_timeouts(self) -> None:
        """Cut requests short after a signal; at the end of a budget they were paid for."""
        if isinstance(self.stop.cause, Interrupted):
            self._timeouts_of_reads.shorten(_GRACE_S)
            self._timeouts.shorten(_GRACE_OF_WRITES_S)

    def _headers_of(self, token: str) -> CIMultiDict[str]:
        """Return the four headers that every sample of the CCPA page has, on GET too, and ours."""
        if token is not self._headers_token:
            self._redaction.add(token)
            self._headers_token = token
            self._headers = CIMultiDict(
                {
                    **_AGENT,
                    "Authorization": f"Bearer {token}",
                    "Cache-Control": "no-cache",
                    "X-Api-Key": self._connection.credentials.api_key,
                    "Content-Type": "application/json;charset=utf-8",
                }
            )
        return self._headers

    def _url(self, path: str) -> URL:
        """Return the URL of a path below ``campaign/``; without a query, as often, at less cost."""
        if "?" in path:
            return URL(str(self._base) + path, encoded=True)
        return self._base.with_path(self._base_path + path, encoded=True)

    async def _exchange(self, url: str, form: Mapping[str, str]) -> Response:
        """POST a form to IMS; it counts for the rate, not as a call to Campaign."""
        if self.stop.cause is not None:
            raise self.stop.cause
        request = Request("POST", url, urlencode(form, quote_via=quote).encode())
        headers = CIMultiDict({**_AGENT, "Content-Type": "application/x-www-form-urlencoded"})
        try:
            response, _ = await self._send(
                self._ims, self._pool.alone, request, URL(url, encoded=True), headers
            )
        except RetryLater as later:
            later.refused = True  # the request for which the token was needed was not sent
            raise
        return response if response.status < 300 else self._redaction.response(response)

    async def _send(
        self,
        side: _Side,
        session: aiohttp.ClientSession,
        request: Request,
        url: URL,
        headers: CIMultiDict[str],
    ) -> tuple[Response, Wire]:
        """Send one request in its turn; return its response and its connection."""
        pacer, calls, proxy = self.pacer, side.calls, side.proxy
        is_read = request.method == "GET" or side is self._ims
        timeouts = self._timeouts_of_reads if is_read else self._timeouts
        if calls.has_budget:
            await calls.allow()
        try:
            if (sent_at := pacer.try_acquire()) is None:
                sent_at = await pacer.acquire()
        except BaseException:
            calls.put_back()
            raise
        task = timeouts.begin()
        try:
            calls.spend(request.method)
            sent = await session.request(
                request.method,
                url,
                data=request.body,
                headers=headers,
                allow_redirects=False,
                proxy=proxy.url,
                proxy_headers=proxy.headers,
            )
            received = cast("WatchedResponse", sent)
            body = await received.whole_body(_MOST_BYTES + request.profiles * _MOST_OF_ONE)
        except asyncio.CancelledError as error:
            if not timeouts.has_passed(task):
                raise
            raise self._timed_out() from error
        except (aiohttp.ClientError, OSError) as error:
            text = self._redaction.text_of(error)
            raise failure(error, url, proxy, text, was_reached=side.was_reached) from error
        finally:
            timeouts.end(task)
            pacer.release()
        self._retries.responses += 1
        side.was_reached = True
        wire = received.wire
        wire.complete(received, body)
        return _response(received, body.removeprefix(codecs.BOM_UTF8), sent_at), wire

    def _timed_out(self) -> RetryLater:
        in_time = f"within {self._try_s:g} s"
        when = "by the end of the run" if self.stop.is_requested else in_time
        return RetryLater(Reason.TIMEOUT, f"No answer {when}")

    def _learn(self, method: str, response: Response) -> None:
        """Count a response of Campaign, and adapt the pace to it, whether it is retried or not."""
        status = response.status
        self.calls.answers[method, str(status)] += 1
        if status < 300:
            self.pacer.went_well(response.sent_at)
        elif status in _LOST:
            self.pacer.was_lost(f"http_{status}", response.sent_at)
        elif status == 503:
            self.pacer.was_too_much(f"http_{status}", response.sent_at)

    async def _is_reachable(self) -> bool:
        """Check with one call whether a server responds, whatever the response."""
        token = self._tokens.ready()
        if token is None:
            return False
        request, headers = Request("GET", ""), self._headers_of(token)
        try:
            response, _ = await self._send(
                self._campaign, self._pool.alone, request, self._base, headers
            )
        except RetryLater:
            return False
        self._learn("GET", response)
        return True


def _response(received: aiohttp.ClientResponse, body: bytes, sent_at: float) -> Response:
    """Return what is kept of a response; its headers count only if it is not good."""
    if received.status < 300:
        return Response(received.status, body, sent_at=sent_at)
    read = received.headers.get
    waits = read("Retry-After"), read("Date")
    return Response(received.status, body, *waits, read("Location"), sent_at)
