"""The gateway in front of Campaign, and IMS: tokens, API keys, the rate limit."""

import time
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final

from bulk_sync.simulator import answers
from bulk_sync.simulator.answers import Answer, Refusal
from bulk_sync.simulator.behavior import Options
from bulk_sync.simulator.call import Call

IMS_PATH: Final = "/ims/token/v3"


@dataclass
class Gateway:
    """Admits requests, or refuses them before Campaign sees them."""

    _expiries: dict[str, float] = field(default_factory=dict)
    _issued: int = 0
    _revoked: set[str] = field(default_factory=set)
    _allowance: float = 0
    _refilled_at: float = 0

    def admit(self, call: Call, options: Options) -> None:
        """Raise Refusal if token or API key are not valid, or there are too many requests."""
        if not self._knows(call.headers.get("Authorization", ""), options):
            raise Refusal(answers.BAD_TOKEN)
        if call.headers.get("X-Api-Key") != options.api_key:
            raise Refusal(answers.BAD_API_KEY)
        if options.rate is not None and not self._spend(options.rate):
            raise Refusal(answers.throttled(options))

    def exchange(self, call: Call, options: Options) -> Answer:
        """Return IMS's answer to a token request, with parameters in the form or the query."""
        form = call.params | call.form()
        if form.get("grant_type") != "client_credentials":
            return answers.json({"error": "unsupported_grant_type"}, HTTPStatus.BAD_REQUEST)
        credentials = (form.get("client_id"), form.get("client_secret"))
        accepted = (options.api_key, options.client_secret)
        if options.client_secret is None or credentials != accepted:
            error = {"error": "invalid_client", "error_description": "invalid client_id parameter"}
            return answers.json(error, HTTPStatus.BAD_REQUEST)
        self._issued += 1
        token = f"ims-token-{self._issued}"
        self._expiries[token] = time.monotonic() + options.token_life_s
        return answers.json(
            {"access_token": token, "token_type": "bearer", "expires_in": options.token_life_s}
        )

    def revoke(self, options: Options) -> None:
        """Invalidate every token so far."""
        self._expiries.clear()
        if options.access_token is not None:
            self._revoked.add(options.access_token)

    def _knows(self, authorization: str, options: Options) -> bool:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or token in self._revoked:
            return False
        return token == options.access_token or self._expiries.get(token, 0) > time.monotonic()

    def _spend(self, rate: float) -> bool:
        """Take one request from a bucket that holds a second's worth."""
        now = time.monotonic()
        self._allowance = min(max(rate, 1), self._allowance + (now - self._refilled_at) * rate)
        self._refilled_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True
