"""The answers of the gateway, of IMS and of Campaign: bodies as they were seen, in each dialect.

Two parties answer with errors. The gateway (adobe.io) sends JSON with ``error_code``; Campaign
sends texts with codes such as ``XTK-170036``, and 500 even for a caller's mistake.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final

import orjson

from bulk_sync.simulator.behavior import Dialect, ErrorStyle, Options, RetryAfter
from bulk_sync.simulator.faults import Fault

_CONTACT: Final = "An error has occurred - please contact your administrator."
_OOPS: Final = "Oops. Something went wrong. Check your URI and try again."


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response."""

    status: int
    body: bytes = b""
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """Ends the work on a request with an error answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json(value: object, status: int = HTTPStatus.OK) -> Answer:
    """Return an answer with a JSON body."""
    return Answer(status, orjson.dumps(value))


def _gateway(status: int, code: str, message: str) -> Answer:
    return json({"error_code": code, "message": message}, status)


BAD_TOKEN: Final = _gateway(HTTPStatus.UNAUTHORIZED, "401013", "Oauth token is not valid")
BAD_API_KEY: Final = _gateway(HTTPStatus.FORBIDDEN, "403000", "Api Key is invalid")
NO_INSTANCE: Final = json({"code": 500, "message": _OOPS}, HTTPStatus.INTERNAL_SERVER_ERROR)
"""The gateway reaches no instance behind the URL."""


def throttled(options: Options) -> Answer:
    """Return the answer to one request too many."""
    body = {"error_code": "429050", "message": "Too many requests"}
    headers = _retry_after(options)
    return Answer(HTTPStatus.TOO_MANY_REQUESTS, orjson.dumps(body), headers=headers)


def _retry_after(options: Options) -> dict[str, str]:
    match options.retry_after:
        case RetryAfter.SECONDS:
            return {"Retry-After": str(options.retry_after_s)}
        case RetryAfter.DATE:
            when = datetime.now(UTC) + timedelta(seconds=options.retry_after_s)
            return {"Retry-After": format_datetime(when, usegmt=True)}
        case RetryAfter.ABSENT:
            return {}


@dataclass(frozen=True)
class CampaignErrors:
    """Campaign's own error answers, in one dialect and style."""

    dialect: Dialect
    style: ErrorStyle

    def unparsable_key(self, key: str, path: str) -> Answer:
        """Return the answer to a key in the URL that cannot be a PKey."""
        if self.dialect is Dialect.V8:
            text = f"Unable to decrypt PKey. (PKey={key}) Unsupported endpoint. (endpoint={path})"
            return self._text(HTTPStatus.NOT_FOUND, text)
        name = key.removeprefix("@")
        return self.permanent(
            f"'{name}' attribute unknown (see definition of 'Profiles (nms:recipient)' schema). "
            f"XTK-170036 Unable to parse expression '@id = @{name}'."
        )

    def unknown_key(self, key: str) -> Answer:
        """Return the answer to a key without a profile."""
        suffix = ":0" if self.dialect is Dialect.STANDARD else ""
        text = (
            f"Unable to find document with path 'Profile' from key '{key}{suffix}' "
            f"(document with schema 'profile' and name '{key}')"
        )
        return self._text(HTTPStatus.NOT_FOUND, self._prefix + text)

    def no_such_filter(self, name: str) -> Answer:
        """Return the answer to a custom filter on the API without ``Ext``: a raw key to it."""
        return self.permanent(
            f"BAS-010040 Cannot convert '{name}' (text type) to 32-bit integer type."
        )

    def forbidden(self, key: str) -> Answer:
        """Return the answer to a write beyond the account's role or organizational unit."""
        text = f"You do not have the rights needed to modify the 'profile' resource of ID '{key}'."
        return self._text(HTTPStatus.FORBIDDEN, text)

    def permanent(self, text: str) -> Answer:
        """Return the 500 with which Campaign answers a caller's mistake."""
        return self._text(HTTPStatus.INTERNAL_SERVER_ERROR, self._prefix + text)

    def passing(self) -> Answer:
        """Return a 500 without a word about the cause."""
        return self._text(HTTPStatus.INTERNAL_SERVER_ERROR, (self._prefix or _CONTACT).strip())

    @property
    def _prefix(self) -> str:
        return f"RST-360011 {_CONTACT} " if self.dialect is Dialect.STANDARD else ""

    def _text(self, status: HTTPStatus, text: str) -> Answer:
        if self.style is ErrorStyle.JSON:
            return json({"code": int(status), "message": text}, status)
        return Answer(status, text.encode(), "text/plain")


_OF_FAULT: Final[Mapping[Fault, Answer]] = {
    Fault.OOPS_500: NO_INSTANCE,
    Fault.OOPS_502: json({"code": 502, "message": _OOPS}, HTTPStatus.BAD_GATEWAY),
    Fault.UNAUTHORIZED_401: BAD_TOKEN,
    Fault.GATEWAY_TIMEOUT_504: Answer(HTTPStatus.GATEWAY_TIMEOUT, b"stream timeout", "text/plain"),
    Fault.BAD_GATEWAY_HTML: Answer(
        HTTPStatus.BAD_GATEWAY,
        b"<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>",
        "text/html",
    ),
    Fault.NOT_JSON: Answer(
        HTTPStatus.OK,
        b"<!DOCTYPE html><html><body><h1>Sign in to the network</h1></body></html>",
        "text/html",
    ),
}


def replacement(fault: Fault, method: str, options: Options) -> Answer | None:
    """Return the answer of a fault in place of Campaign's.

    Returns:
        None for faults that drop, delay or damage an answer instead of replacing it.
    """
    match fault:
        case Fault.TRANSIENT_500:
            return CampaignErrors(options.dialect, options.error_style).passing()
        case Fault.UNAVAILABLE_503:
            return Answer(
                HTTPStatus.SERVICE_UNAVAILABLE,
                b"Service Unavailable",
                "text/plain",
                _retry_after(options),
            )
        case Fault.THROTTLED_429:
            return throttled(options)
        case Fault.WRONG_JSON:
            return json([] if method == "GET" else {})
        case _:
            return _OF_FAULT.get(fault)
