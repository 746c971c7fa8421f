"""Sends requests to Campaign and to IMS, and maps every foreign error, in one place.

    Transport.ask          tries and waits, until an answer or the last word
      request              with a valid token; what is learnt from an answer
        _send              one request in its turn; where errors of aiohttp are mapped

Credentials go to the configured endpoint and to IMS, never elsewhere; redirects are not followed.
"""

import asyncio
import functools
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar, cast
from urllib.parse import quote

import aiohttp
from yarl import URL

from bulk_sync.campaign import proof
from bulk_sync.campaign.auth import Tokens
from bulk_sync.campaign.call_budget import Budget, Calls
from bulk_sync.campaign.connections import Pool, Way, proxy_for
from bulk_sync.campaign.foreign_errors import failure
from bulk_sync.campaign.mismatches import Asked, Mixups
from bulk_sync.campaign.pacing import Pacer
from bulk_sync.campaign.proof import Named
from bulk_sync.campaign.redaction import Redaction
from bulk_sync.campaign.responses import (
    AddressRefused,
    Answer,
    Forbidden,
    Mismatch,
    TokenRefused,
    Unproven,
    problem,
)
from bulk_sync.campaign.timeouts import Deadlines
from bulk_sync.campaign.wire import Response, Wire
from bulk_sync.errors import (
    BulkSyncError,
    Interrupted,
    RetryLater,
    RowFailed,
    StoppedEarly,
)
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Connection, Pace
from bulk_sync.stopping import Stop

log = logging.getLogger(__name__)

T = TypeVar("T")

_text = functools.cache(str)
"""The text of a status; there are few."""

CONTENT_TYPE: Final = "application/json;charset=utf-8"
"""What every sample of the CCPA page sends, on GET too."""

_FIRST_BACKOFF_S: Final = 0.5
_LONGEST_BACKOFF_S: Final = 30.0
_LONGEST_EXPONENT: Final = 16
"""Beyond which the backoff is the longest in any case."""

_SILENT_TRIES: Final = 3
_TELL_EVERY_S: Final = 30.0
"""Number of silent tries before one is logged, and how often the later ones are."""
_MOST_BYTES: Final = 1_000_000
_MOST_OF_ONE: Final = 8_000
"""Bytes of an answer, and more for each profile that it may hold: five times what Campaign's own
fields take. A page of larger ones is asked for with fewer, for which there is more room each."""

_MISMATCHES: Final = 3
"""So many answers about something else, each on another connection, and a row is given up."""

_GRACE_S: Final = 2.0
_GRACE_OF_WRITES_S: Final = 8.0
"""Seconds for what changes nothing, and for writes, once a signal has asked the run to end: a write
that is not answered by then is read back, and the report is to be on the disk within twenty."""

_LOST: Final = frozenset({504, Reason.TIMEOUT, Reason.CONNECTION})
"""What may speak for asking for less, as 503 does; other faults are no matter of load."""


class Transport:
    """One run's way to Campaign. Belongs to one event loop.

    Args:
        pool: the connections.
        connection: where Campaign is and who asks.
        pace: how hard it may be asked.
        stop: ends waits early.
        budget: what all runs may spend in a day; None has no limit.
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
        self._exchanges = Calls()  # with IMS, which have no budget and are told to nobody
        self.pacer = Pacer(pace, stop)
        self._deadlines = Deadlines(pace.timeout_s)
        self._deadlines_of_reads = Deadlines(pace.timeout_s)
        stop.on_asked(self._hurry)
        self._pool = pool
        self._connection = connection
        self._pace = pace
        self.stop = stop
        self.timeout_s = pace.timeout_s
        self._tokens = Tokens(connection, self._exchange)
        self._base = URL(f"{connection.endpoint}/{connection.organization}/campaign/")
        self._base_path = self._base.raw_path
        self._proxy = proxy_for(connection.endpoint)
        self._ims_proxy = proxy_for(connection.ims_endpoint)
        self._campaign: Way | None = None
        self._campaign_token = ""
        self._ims: Way | None = None
        self._redaction = Redaction(connection)
        self._answers = 0
        self._is_address_right = False
        self._reached: set[Calls] = set()
        self._told_at = float("-inf")
        self._mixups = Mixups(stop)
        self._doubted = self._mixups.doubted

    async def ask(
        self, once: Callable[[], Awaitable[T]], explain: Callable[[RowFailed], None] | None = None
    ) -> tuple[T, int]:
        """Call ``once`` until it succeeds, and return how many tries it took.

        A wait that Campaign asks for costs no try. While no server can be reached, it is tried
        again for as long as the patience lasts.

        Args:
            once: sends a request and makes sense of its answer.
            explain: may say more of why it failed for good.

        Raises:
            RowFailed: it failed for good, or too often.
            StoppedEarly: Campaign asks for more patience than there is.
            StopRun: whatever else makes it senseless to go on.
        """
        began, so_far = time.monotonic(), None
        while True:
            answers = self._answers
            try:
                result = await once()
            except BulkSyncError as error:
                so_far = so_far or _SoFar(began)
                self._redaction.error(error)
                if not isinstance(error, RetryLater):
                    if isinstance(error, RowFailed):
                        error.attempts = max(so_far.tries, error.attempts)
                        if explain is not None:
                            explain(error)
                    raise
                is_silent = error.unreachable and self._answers == answers
                await self._wait(error, so_far, is_silent=is_silent)
            else:
                return result, 1 if so_far is None else so_far.tries

    async def request(
        self,
        method: str,
        path: str,
        parse: Callable[[Answer], T],
        body: bytes | None = None,
        about: Sequence[str] = (),
        profiles: int = 1,
    ) -> T:
        """Send one request and return what its answer says.

        One whose last answer was not taken for its own gets a connection of its own.

        Args:
            method: GET, PATCH or POST.
            path: path and query below ``campaign/``, percent-encoded.
            parse: makes of a good answer what it says. It raises ``Mismatch`` if that is about
                something else, and ``Unproven`` if nothing shows what it is about.
            body: JSON.
            about: what an error that is about this request names; nothing if it need not.
            profiles: how many of them the answer may hold.

        Raises:
            RetryLater: no answer, or one that may be different next time.
            RowFailed: Campaign's last word on this request.
            StopRun: the credentials are refused, or the budget of calls is spent.
        """
        while True:
            token = self._tokens.ready() or await self._tokens.take()
            way = self._way(token)
            session = way.reads if method == "GET" else way.writes
            if self._doubted and (method, path, body) in self._doubted:
                session = way.alone
            url = self._url(path)
            try:
                answer, wire = await self._send(
                    way, session, self.calls, method, url, body, profiles
                )
            except RetryLater as later:
                self._unanswered(later)
                raise
            self._learn(answer)
            try:
                if answer.status < 300:
                    self._tokens.accepted(token)
                    self._is_address_right = True
                    return self._parsed(answer, wire, (method, path, body), parse)
                error = self._error((method, path, body), answer, wire, about)
            except Unproven:
                raise
            except RetryLater:
                wire.taint()
                raise
            if not await self._is_token_new(token, error):
                raise error

    async def _is_token_new(self, token: str, error: BulkSyncError) -> bool:
        """Check whether there is another token after a refusal that may be due to the token.

        Raises:
            AccessDenied: tokens are refused again and again.
            RetryLater: the same token may be accepted at the next try.
        """
        if isinstance(error, TokenRefused):
            await self._tokens.replace(token, str(error))
            return True
        tokens = self._tokens
        is_forbidden = isinstance(error, RetryLater) and isinstance(error.last_word, Forbidden)
        if is_forbidden and not tokens.fresh and tokens.may_be_renewed:
            await tokens.replace(token, str(error))
            return True
        return False

    def _error(
        self, asked: Asked, answer: Answer, wire: Wire, about: Sequence[str]
    ) -> BulkSyncError:
        """Return the error that an answer is.

        Raises:
            Mismatch: it is about another request.
            Unproven: it does not say which it is about, and was not asked for twice.
        """
        error = problem(self._redaction.answer(answer))
        if isinstance(error, AddressRefused) and self._is_address_right:
            # A write may have arrived all the same, so it is read back before it is sent again.
            later = RetryLater(error.reason, error.detail, refused=asked[0] == "GET")
            later.last_word = error
            return later
        is_unknown = isinstance(error, RowFailed) and error.outcome is Outcome.NOT_FOUND
        if is_unknown:
            self.pacer.went_well(answer.sent_at)  # Campaign has done its work
        if not (about and isinstance(error, RowFailed)):
            return error
        named = proof.named(answer, about)
        if named is Named.ANOTHER:
            mismatch = Mismatch()
            self._mixups.doubt(asked, answer, mismatch)
            raise mismatch
        if asked in self._doubted:
            self._mixups.settle(asked, answer)
        elif named is Named.NOTHING and wire.repeats and (is_unknown or asked[0] != "GET"):
            unproven = Unproven(error)
            self._mixups.doubt(asked, answer, unproven)
            raise unproven
        return error

    def _hurry(self) -> None:
        """Cut requests short after a signal, and only then.

        What is in flight when a budget is spent was paid for.
        """
        if isinstance(self.stop.cause, Interrupted):
            self._deadlines_of_reads.shorten(_GRACE_S)
            self._deadlines.shorten(_GRACE_OF_WRITES_S)

    def _way(self, token: str) -> Way:
        """Tell the way that requests with a token take; there is one for each token."""
        if self._campaign is None or token != self._campaign_token:
            self._redaction.add(token)
            self._campaign = self._pool.way(_headers(self._connection, token), self._proxy)
            self._campaign_token = token
        return self._campaign

    def _url(self, path: str) -> URL:
        """Tell the URL of a path, and query, below ``campaign/``.

        One that has no query, as every profile's, takes over what was parsed of the base.
        """
        if "?" in path:
            return URL(str(self._base) + path, encoded=True)
        return self._base.with_path(self._base_path + path, encoded=True)

    async def _exchange(self, url: str, form: Mapping[str, str]) -> Answer:
        """POST a form to IMS; it counts for the rate, not as a call to Campaign.

        Raises:
            StopRun: the run is to end: nobody needs a token any more.
        """
        if self.stop.cause is not None:
            raise self.stop.cause
        body = "&".join(f"{name}={quote(value, safe='')}" for name, value in form.items())
        if self._ims is None:
            headers = {"Content-Type": "application/x-www-form-urlencoded"}
            self._ims = self._pool.way(headers, self._ims_proxy)
        address = URL(url, encoded=True)
        try:
            answer, _ = await self._send(
                self._ims, self._ims.alone, self._exchanges, "POST", address, body.encode()
            )
        except RetryLater as later:
            later.refused = True  # whatever request wanted the token was not sent
            raise
        return answer if answer.status < 300 else self._redaction.answer(answer)

    async def _send(
        self,
        way: Way,
        session: aiohttp.ClientSession,
        calls: Calls,
        method: str,
        url: URL,
        body: bytes | None,
        profiles: int = 1,
    ) -> tuple[Answer, Wire]:
        """Send one request in its turn, and count it: HTTP, and its errors, are here alone.

        Returns:
            The answer, and the connection on which it came.
        """
        pacer = self.pacer
        is_read = method == "GET" or calls is self._exchanges
        deadlines = self._deadlines_of_reads if is_read else self._deadlines
        if calls.are_budgeted:
            await calls.allow()
        try:
            if (sent_at := pacer.at_once()) is None:
                sent_at = await pacer.turn()
        except BaseException:
            calls.put_back()
            raise
        task = deadlines.begin()
        try:
            calls.spend(method)
            sent = await session.request(
                method,
                url,
                headers=way.headers,
                data=body,
                allow_redirects=False,
                proxy=way.proxy.url,
                proxy_headers=way.proxy.headers,
            )
            response = cast("Response", sent)
            content = await response.body(_MOST_BYTES + profiles * _MOST_OF_ONE)
        except asyncio.CancelledError as error:
            if not deadlines.has_passed(task):
                raise
            when = "by the end of the run" if self.stop.asked else f"within {self.timeout_s:g} s"
            raise RetryLater(Reason.TIMEOUT, f"No answer {when}") from error
        except (aiohttp.ClientError, OSError) as error:
            said, was_reached = self._redaction.said(error), calls in self._reached
            raise failure(error, url, way.proxy, said, was_reached=was_reached) from error
        finally:
            deadlines.end(task)
            pacer.over()
        self._answers += 1
        self._reached.add(calls)
        status, wire = response.status, response.wire
        wire.complete(response, content)
        if status < 300:
            return Answer(status, content, sent_at=sent_at), wire
        told = response.headers
        waits = told.get("Retry-After"), told.get("Date")
        return Answer(status, content, *waits, told.get("Location"), sent_at), wire

    def _learn(self, answer: Answer) -> None:
        """Count an answer of Campaign, and learn from it how much may be asked."""
        status = answer.status
        self.calls.by_status[_text(status)] += 1
        if status < 300:
            self.pacer.went_well(answer.sent_at)
        elif status in _LOST:
            self.pacer.was_lost(f"http_{status}", answer.sent_at)
        elif status == 503:
            self.pacer.was_too_much(f"http_{status}", answer.sent_at)

    def _unanswered(self, later: RetryLater) -> None:
        """Count a request to Campaign without an answer, and learn from it."""
        self.calls.by_status[str(later.reason)] += 1
        if later.reason in _LOST:
            self.pacer.was_lost(str(later.reason))

    async def _wait(self, later: RetryLater, so_far: "_SoFar", *, is_silent: bool) -> None:
        """Sleep before the next try.

        Args:
            later: what the last try met.
            so_far: what the request has taken.
            is_silent: no server answered anything during the last try.

        Raises:
            RowFailed: there is no next try: too many tries, or the run is to end.
            StoppedEarly: the next try would come too late.
            StopRun: the last word of a request that was tried too often.
        """
        self._check_goes_on(later, so_far)
        if self._may_be_asked_at_once(later, so_far):
            so_far.tries += 1
            return
        asked = later.wait_s is not None or later.reason is Reason.HTTP_429
        if not asked and so_far.tries > self._pace.retries:
            is_gone = is_silent and (later.refused or not await self._is_reachable())
            self._check_goes_on(later, so_far)
            if not is_gone:
                raise self._last_word(later, so_far)
        spent_s = time.monotonic() - so_far.began
        left_s = self._pace.patience_s - spent_s
        if (later.wait_s or 0.0) > left_s or left_s <= 0:
            raise StoppedEarly(
                f"{later.detail}; Campaign was not available for {spent_s:.0f} s"
                + (f" and asks to wait {later.wait_s:.0f} s more" if later.wait_s else "")
                + f", and the patience is {self._pace.patience_s:g} s (--patience)."
            )
        if asked:
            self.pacer.hold(later)
            so_far.waits += 1
            # A server that asks again and again to wait for no time is given a growing one.
            before = so_far.waits if (later.wait_s or 0.0) < _FIRST_BACKOFF_S else 0
        else:
            before = so_far.tries
            so_far.tries += 1
            if is_silent and so_far.tries > _SILENT_TRIES:
                self._tell_of_silence(later, left_s)
        # The wait of a 429 holds all requests: the pacer keeps it.
        wait_s = 0.0 if later.reason is Reason.HTTP_429 else later.wait_s or 0.0
        if before:
            growing_s = _FIRST_BACKOFF_S * 2 ** min(before - 1, _LONGEST_EXPONENT)
            longest_s = min(_LONGEST_BACKOFF_S, growing_s)
            wait_s += random.uniform(longest_s / 2, longest_s)  # noqa: S311
        with self.pacer.backing_off():
            await self.stop.sleep(min(wait_s, left_s))
        self._check_goes_on(later, so_far)

    def _may_be_asked_at_once(self, later: RetryLater, so_far: "_SoFar") -> bool:
        """Return whether only the connection was at fault, so that nothing is to be waited for.

        Raises:
            RowFailed: several connections were.
        """
        if isinstance(later, Mismatch):
            so_far.mismatches += 1
            if so_far.mismatches >= _MISMATCHES:
                detail = f"{later.detail}, {_MISMATCHES} times, each on another connection."
                raise _given_up(RowFailed(later.reason, detail), so_far.tries)
            return so_far.tries <= self._pace.retries
        return isinstance(later, Unproven)  # which is asked once more, whatever the retries

    async def _is_reachable(self) -> bool:
        """Check with one call whether any server answers, whatever it says."""
        token = self._tokens.ready()
        if token is None:
            return False
        try:
            way = self._way(token)
            answer, _ = await self._send(way, way.alone, self.calls, "GET", self._base, None)
        except RetryLater:
            return False
        self._learn(answer)
        return True

    def _last_word(self, later: RetryLater, so_far: "_SoFar") -> BulkSyncError:
        """Return what a request fails with that was tried too often."""
        detail = f"{later.detail}. Tried {so_far.tries} times."
        failed = later.last_word or RowFailed(later.reason, detail, passing=True)
        self._redaction.error(failed)
        return _given_up(failed, so_far.tries) if isinstance(failed, RowFailed) else failed

    def _tell_of_silence(self, later: RetryLater, left_s: float) -> None:
        """Log now and then that no server can be reached, and how long it will be tried."""
        now = time.monotonic()
        if now >= self._told_at + _TELL_EVERY_S:
            self._told_at = now
            log.warning(
                "%s. It is tried again for %.0f s at most (--patience)", later.detail, left_s
            )

    def _check_goes_on(self, later: RetryLater, so_far: "_SoFar") -> None:
        if self.stop.asked:
            detail = f"{later.detail}. The run was stopped before another try."
            failed = RowFailed(Reason.STOPPED, detail, outcome=Outcome.PENDING)
            raise _given_up(failed, so_far.tries)

    def _parsed(
        self,
        answer: Answer,
        wire: Wire,
        asked: Asked,
        parse: Callable[[Answer], T],
    ) -> T:
        """Read what a good answer says.

        Raises:
            Mismatch: it is about another request.
            Unproven: it does not say, and was not asked for twice.
            RetryLater: it says nothing.
        """
        is_doubted = bool(self._doubted) and asked in self._doubted
        try:
            result, is_proven = parse(answer), True
        except Mismatch as mismatch:
            self._mixups.doubt(asked, answer, mismatch)
            raise
        except Unproven as unproven:
            result = cast("T", unproven.meaning)
            is_proven = unproven.if_repeated and not wire.repeats
        except RetryLater:
            return parse(self._redaction.answer(answer))  # which fails too, and is quoted
        if is_doubted:
            self._mixups.settle(asked, answer)
        elif not is_proven:
            doubt = Unproven(result)
            self._mixups.doubt(asked, answer, doubt)
            raise doubt
        return result


@dataclass(slots=True)
class _SoFar:
    """What one request has taken: since when, how many tries, and how many waits asked for.

    Attributes:
        mismatches: how many of the answers were about something else.
    """

    began: float
    tries: int = 1
    waits: int = 0
    mismatches: int = 0


def _headers(connection: Connection, token: str) -> Mapping[str, str]:
    """Build the four headers that every sample of the CCPA page sends."""
    return {
        "Authorization": f"Bearer {token}",
        "Cache-Control": "no-cache",
        "X-Api-Key": connection.api_key,
        "Content-Type": CONTENT_TYPE,
    }


def _given_up(failed: RowFailed, tries: int) -> RowFailed:
    failed.attempts = tries
    return failed
