"""Tokens: from IMS or from the caller, renewed before they expire, never shown.

However many requests need a new token at once, one of them fetches it and the others wait.
"""

import asyncio
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from bulk_sync.campaign.responses import Response, problem, summary
from bulk_sync.errors import AccessDenied, RetryLater, UsageProblem, clause
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Credentials, is_sendable

log = logging.getLogger(__name__)

_MARGIN_S: Final = 300.0
_LONGEST_MARGIN: Final = 0.2
"""A token is renewed five minutes, but at most a fifth of its life, before it expires."""

_DEFAULT_LIFE_S: Final = 3600.0

_REFUSALS_AT_FIRST: Final = 3
_REFUSALS: Final = 10
"""So many refusals in a row, before and after a token was accepted, are no slip of a gateway: some
gateways refuse a fifth of the requests with a good token."""

_RENEWALS: Final = 3
_RENEWALS_S: Final = 180.0
"""Refused tokens are renewed at most so often in so many seconds. A gateway that refuses good
tokens now and then would have IMS give out thousands."""

Exchange = Callable[[str, dict[str, str]], Awaitable[Response]]
"""POSTs a form to a URL; raises ``RetryLater`` without a response."""

_TOKEN: Final = re.compile(rb"""access_token["']?\s*[=:]""")


class Tokens:
    """The token of the requests. Belongs to one event loop."""

    def __init__(self, credentials: Credentials, exchange: Exchange) -> None:
        self._credentials = credentials
        self._exchange = exchange
        self._lock = asyncio.Lock()
        self._token = credentials.access_token.value if credentials.access_token else None
        self._renew_at = float("inf")
        self._accepted = False
        self._was_accepted = False
        self._refusals = 0
        self._fetched_at: deque[float] = deque(maxlen=_RENEWALS)

    def ready(self) -> str | None:
        """Return the token if it can be used as it is."""
        return self._token if time.monotonic() < self._renew_at else None

    @property
    def fresh(self) -> bool:
        """Whether the token came from IMS and Campaign has not accepted it yet."""
        return self._renew_at != float("inf") and not self._accepted

    @property
    def may_be_renewed(self) -> bool:
        """Whether a refused token may be replaced by one from IMS now."""
        if self._credentials.client_secret is None:
            return False
        is_seldom = len(self._fetched_at) < _RENEWALS
        return is_seldom or time.monotonic() - self._fetched_at[0] > _RENEWALS_S

    def accepted(self, token: str) -> None:
        """Record a token as accepted by Campaign."""
        if token is self._token:
            self._accepted = self._was_accepted = True
            self._refusals = 0

    async def take(self) -> str:
        """Return a valid token, from IMS if need be.

        Raises:
            AccessDenied: IMS refuses the credentials.
            RetryLater: IMS does not answer as it should.
        """
        async with self._lock:
            return self.ready() or await self._fetch()

    async def replace(self, refused: str, answer: str) -> None:
        """Fetch another token after Campaign refused one, unless there is one by now.

        Raises:
            AccessDenied: there is no other token, or too many refusals came in a row.
            RetryLater: the token may be accepted at the next try, or IMS does not answer.
        """
        async with self._lock:
            if self._token != refused:
                return
            self._refusals += 1
            denied = self._denied(answer)
            if self._refusals >= (_REFUSALS if self._was_accepted else _REFUSALS_AT_FIRST):
                raise denied
            if self.may_be_renewed:
                await self._fetch()
                return
            last_word = None if self._was_accepted else denied
            raise RetryLater(Reason.HTTP_4XX, answer, refused=True, last_word=last_word)

    def _denied(self, answer: str) -> AccessDenied:
        if self._credentials.client_secret is None:
            return AccessDenied(
                f"{answer}. The access token is not valid, or has expired. Put a new one into "
                "BULK_SYNC_ACCESS_TOKEN, or set BULK_SYNC_CLIENT_SECRET so that tokens are "
                "renewed by themselves."
            )
        return AccessDenied(
            f"{answer}. Campaign refuses tokens that IMS has just given. Check that "
            "--api-key belongs to the same project as the client secret, and --scope."
        )

    async def _fetch(self) -> str:
        credentials = self._credentials
        if credentials.client_secret is None:
            raise AccessDenied("There is no client secret to fetch a token with.")
        form = {
            "grant_type": "client_credentials",
            "client_id": credentials.api_key,
            "client_secret": credentials.client_secret.value,
            "scope": credentials.scope,
        }
        response = await self._exchange(f"{credentials.ims_endpoint}/ims/token/v3", form)
        if response.status >= 300:
            raise _refusal(response)
        given = _parsed(response)
        token = given.get("access_token")
        if not isinstance(token, str) or not is_sendable(token):
            raise RetryLater(Reason.BAD_ANSWER, "IMS answered without a usable token", refused=True)
        life_s, now = _life_s(given.get("expires_in")), time.monotonic()
        self._token = token
        self._fetched_at.append(now)
        self._renew_at = now + life_s - min(_MARGIN_S, _LONGEST_MARGIN * life_s)
        self._accepted = False
        log.info("Took a token from IMS, valid for %.0f s", life_s)
        return token


def _refusal(response: Response) -> AccessDenied | RetryLater | UsageProblem:
    if _TOKEN.search(response.body):  # it is not quoted
        response = response._replace(body=b"")
    error, answer = problem(response), f"{response.status}: {clause(summary(response))}"
    denied = AccessDenied(
        f"IMS refused the credentials with {answer}. Check --api-key (the client id), "
        "BULK_SYNC_CLIENT_SECRET, --scope and --ims-endpoint."
    )
    if isinstance(error, RetryLater):
        error.detail = f"IMS answered {answer}"
        if error.last_word is not None:
            error.last_word = denied
    return error if isinstance(error, RetryLater | UsageProblem) else denied


def _parsed(response: Response) -> dict[str, object]:
    """Parse a response of IMS. It is never quoted: it may hold a token even if it is no JSON."""
    try:
        given = orjson.loads(response.body)
    except orjson.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


def _life_s(expires_in: object) -> float:
    """Return ``expires_in``, in seconds (manual/campaign-api.md, section 5)."""
    if isinstance(expires_in, int | float) and not isinstance(expires_in, bool) and expires_in > 0:
        return float(expires_in)
    return _DEFAULT_LIFE_S
