"""What the gateway, IMS and Campaign answer: bodies as they were seen, in the dialect asked for.

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

_JSON = "application/json"
_CONTACT = "An error has occurred - please contact your administrator."
_OOPS = "Oops. Something went wrong. Check your URI and try again."


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete response."""

    status: int
    body: bytes = b""
    content_type: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """Ends the work on a request with an error answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def json(value: object, status: int = HTTPStatus.OK) -> Answer:
    """Answer with JSON."""
    return Answer(status, orjson.dumps(value))


def gateway(status: int, code: str, message: str) -> Answer:
    """Answer as the gateway does when it knows what is wrong."""
    return json({"error_code": code, "message": message}, status)


def bad_token() -> Answer:
    """Answer to an invalid or expired token."""
    return gateway(HTTPStatus.UNAUTHORIZED, "401013", "Oauth token is not valid")


def bad_api_key() -> Answer:
    """Answer to an unknown API key."""
    return gateway(HTTPStatus.FORBIDDEN, "403000", "Api Key is invalid")


def oops(status: int = HTTPStatus.INTERNAL_SERVER_ERROR) -> Answer:
    """Answer as the gateway does when it cannot reach an instance behind the URL."""
    return json({"code": int(status), "message": _OOPS}, status)


def throttled(options: Options) -> Answer:
    """Answer to one request too many."""
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
class Campaign:
    """Campaign's own error answers, in one dialect and style."""

    dialect: Dialect
    style: ErrorStyle

    def unparsable_key(self, key: str, path: str) -> Answer:
        """Answer to a key in the URL that cannot be a PKey."""
        if self.dialect is Dialect.V8:
            text = f"Unable to decrypt PKey. (PKey={key}) Unsupported endpoint. (endpoint={path})"
            return self._text(HTTPStatus.NOT_FOUND, text)
        name = key.removeprefix("@")
        return self.permanent(
            f"'{name}' attribute unknown (see definition of 'Profiles (nms:recipient)' schema). "
            f"XTK-170036 Unable to parse expression '@id = @{name}'."
        )

    def unknown_key(self, key: str) -> Answer:
        """Answer to a key that no profile has."""
        standard = self.dialect is Dialect.STANDARD
        prefix, suffix = (f"RST-360011 {_CONTACT} ", ":0") if standard else ("", "")
        text = (
            f"{prefix}Unable to find document with path 'Profile' from key '{key}{suffix}' "
            f"(document with schema 'profile' and name '{key}')"
        )
        return self._text(HTTPStatus.NOT_FOUND, text)

    def no_such_filter(self, name: str) -> Answer:
        """Answer to a custom filter on the API without ``Ext``, which takes it for a raw key."""
        return self.permanent(
            f"BAS-010040 Cannot convert '{name}' (text type) to 32-bit integer type."
        )

    def forbidden(self, key: str) -> Answer:
        """Answer to a write that the account's role or organizational unit does not allow."""
        text = f"You do not have the rights needed to modify the 'profile' resource of ID '{key}'."
        return self._text(HTTPStatus.FORBIDDEN, text)

    def permanent(self, text: str) -> Answer:
        """Answer 500 to a caller's mistake, as Campaign does."""
        prefix = f"RST-360011 {_CONTACT} " if self.dialect is Dialect.STANDARD else ""
        return self._text(HTTPStatus.INTERNAL_SERVER_ERROR, prefix + text)

    def passing(self) -> Answer:
        """Answer 500 without a word about the cause."""
        return self._text(
            HTTPStatus.INTERNAL_SERVER_ERROR,
            f"RST-360011 {_CONTACT}" if self.dialect is Dialect.STANDARD else _CONTACT,
        )

    def _text(self, status: HTTPStatus, text: str) -> Answer:
        if self.style is ErrorStyle.JSON:
            return json({"code": int(status), "message": text}, status)
        return Answer(status, text.encode(), "text/plain")


_FIXED: Final[Mapping[Fault, Answer]] = {
    Fault.OOPS_500: oops(),
    Fault.OOPS_502: oops(HTTPStatus.BAD_GATEWAY),
    Fault.UNAUTHORIZED_401: bad_token(),
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


def of_fault(fault: Fault, method: str, options: Options) -> Answer | None:
    """Find the answer that a fault gives in place of Campaign's.

    Returns:
        None for faults that drop, delay or damage an answer instead of replacing it.
    """
    match fault:
        case Fault.TRANSIENT_500:
            return Campaign(options.dialect, options.error_style).passing()
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
            return _FIXED.get(fault)
