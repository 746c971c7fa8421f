"""Tokens: taken from IMS or from the caller, renewed before they expire, never shown.

However many requests need a new token at once, one of them fetches it and the others wait.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

import orjson

from bulk_sync.campaign.responses import Answer, problem, said
from bulk_sync.errors import AccessDenied, RetryLater, UsageProblem
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, is_sendable

log = logging.getLogger(__name__)

_MARGIN_S: Final = 300.0
_LONGEST_MARGIN: Final = 0.2
"""A token is renewed five minutes, but at most a fifth of its life, before it expires."""

_NO_LIFE_GIVEN_S: Final = 3600.0

_REFUSALS_AT_FIRST: Final = 3
_REFUSALS: Final = 10
"""So many refusals in a row, while no token was accepted yet, or after one was, are no slip of a
gateway: of the requests that carry a good token, some gateways refuse a fifth."""

_RENEWALS: Final = 3
_RENEWALS_S: Final = 180.0
"""Refused tokens are renewed at most so often in so many seconds, or a gateway that refuses good
tokens now and then would have IMS give out thousands."""

Exchange = Callable[[str, dict[str, str]], Awaitable[Answer]]
"""POSTs a form to a URL and returns the answer; raises RetryLater if there is none."""


class Tokens:
    """The token that requests carry. Belongs to one event loop.

    Args:
        connection: the ready token or the client secret, and where IMS is.
        exchange: how a form is posted, tries and waits included.
    """

    def __init__(self, connection: Connection, exchange: Exchange) -> None:
        self._connection = connection
        self._exchange = exchange
        self._lock = asyncio.Lock()
        self._token = connection.access_token.value if connection.access_token else None
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
        """Whether the present token came from IMS and Campaign has not taken it yet."""
        return self._renew_at != float("inf") and not self._accepted

    @property
    def may_be_renewed(self) -> bool:
        """Return whether a refused token may be replaced by one from IMS now."""
        if self._connection.client_secret is None:
            return False
        fetched_at = self._fetched_at
        is_seldom = len(fetched_at) < _RENEWALS
        return is_seldom or time.monotonic() - fetched_at[0] > _RENEWALS_S

    def accepted(self, token: str) -> None:
        """Record that Campaign accepted a token."""
        if token is self._token:
            self._accepted = self._was_accepted = True
            self._refusals = 0

    async def take(self) -> str:
        """Return a valid token, fetching one if need be.

        Raises:
            AccessDenied: IMS refuses the credentials.
            RetryLater: IMS does not answer as it should.
        """
        async with self._lock:
            token = self.ready()
            if token is None:
                token = await self._fetch()
            return token

    async def replace(self, refused: str, answer: str) -> None:
        """Fetch another token, unless there is another one by now.

        Args:
            refused: the token that Campaign refused.
            answer: what Campaign said, for the message if nothing helps.

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
            later = RetryLater(Reason.HTTP_4XX, answer, refused=True)
            if not self._was_accepted:
                later.last_word = denied
            raise later

    def _denied(self, answer: str) -> AccessDenied:
        if self._connection.client_secret is None:
            return AccessDenied(
                f"{answer}. The access token is not valid, or not any more. Put a new one into "
                "BULK_SYNC_ACCESS_TOKEN, or set BULK_SYNC_CLIENT_SECRET so that tokens are "
                "renewed by themselves."
            )
        return AccessDenied(
            f"{answer}. Campaign refuses tokens that IMS has just given. Check that "
            "--api-key belongs to the same project as the client secret, and --scope."
        )

    async def _fetch(self) -> str:
        connection = self._connection
        if connection.client_secret is None:
            raise AccessDenied("There is no client secret to fetch a token with.")
        url = f"{connection.ims_endpoint}/ims/token/v3"
        form = {
            "grant_type": "client_credentials",
            "client_id": connection.api_key,
            "client_secret": connection.client_secret.value,
            "scope": connection.scope,
        }
        answer = await self._exchange(url, form)
        if answer.status != 200:
            self._refuse(answer)
        given = _parsed(answer)
        token = given.get("access_token")
        if not isinstance(token, str) or not is_sendable(token):
            raise RetryLater(Reason.BAD_ANSWER, "IMS answered without a usable token", refused=True)
        life_s = _life_s(given.get("expires_in"))
        self._token = token
        self._fetched_at.append(time.monotonic())
        self._renew_at = time.monotonic() + life_s - min(_MARGIN_S, _LONGEST_MARGIN * life_s)
        self._accepted = False
        log.info("Took a token from IMS, valid for %.0f s", life_s)
        return token

    def _refuse(self, answer: Answer) -> None:
        refusal = problem(answer)
        denied = AccessDenied(
            f"IMS refused the credentials with {answer.status}: {said(answer)}. Check --api-key "
            "(the client id), BULK_SYNC_CLIENT_SECRET, --scope and --ims-endpoint."
        )
        if isinstance(refusal, UsageProblem):
            raise refusal
        if isinstance(refusal, RetryLater):
            if refusal.last_word is not None:
                refusal.last_word = denied
            raise refusal
        raise denied


def _parsed(answer: Answer) -> dict[str, object]:
    """Parse what IMS gave; never quoted, for it may hold a token even if it is no JSON."""
    try:
        given = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        return {}
    return given if isinstance(given, dict) else {}


def _life_s(expires_in: object) -> float:
    """Read ``expires_in``, in seconds (campaign-api.md, section 5)."""
    is_number = isinstance(expires_in, int | float) and not isinstance(expires_in, bool)
    if is_number and isinstance(expires_in, int | float) and expires_in > 0:
        return float(expires_in)
    return _NO_LIFE_GIVEN_S
