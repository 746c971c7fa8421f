"""Requests, responses, and the meaning of every response. Pure: bytes in, meaning out.

Campaign Standard answers 500 to permanent errors of one row (a bad PKey, a bad field), and the
gateway answers 500 and 502 to a wrong address. So a response is judged by its text before its
status (manual/campaign-api.md, section 3).
"""

import html
import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final, NamedTuple

import orjson

from bulk_sync.errors import (
    AccessDenied,
    BulkSyncError,
    RetryLater,
    RowFailed,
    UsageProblem,
    clause,
)
from bulk_sync.outcomes import Outcome, Reason


class TokenRefused(BulkSyncError):
    """401: the token is not valid, or not any more. A new one may be."""


class AddressRefused(RowFailed):
    """The gateway knows no such path: the organization, the API's name, or the key in it."""


class FieldRefused(RowFailed):
    """Campaign does not let the attribute be written, of this profile or of any."""


class Forbidden(RowFailed):
    """403, by the gateway or by Campaign itself."""

    def __init__(self, detail: str, *, by_gateway: bool) -> None:
        super().__init__(Reason.HTTP_403, detail, passing=by_gateway)
        self.by_gateway = by_gateway


class Mismatch(RetryLater):
    """The response is about another request."""

    def __init__(
        self,
        detail: str = "Campaign's answer was about another profile",
        reason: Reason = Reason.WRONG_PROFILE,
    ) -> None:
        super().__init__(reason, detail)


class Unproven(RetryLater):
    """Nothing shows whether the response is about its request.

    Attributes:
        meaning: its content, or its error, if it is.
        if_repeated: it is in doubt only if it repeats the response before it on its connection.
    """

    def __init__(self, meaning: object, *, if_repeated: bool = True) -> None:
        detail = "Campaign's answer did not show which profile it was about"
        super().__init__(Reason.BAD_ANSWER, detail)
        self.meaning = meaning
        self.if_repeated = if_repeated


class Accepted(RetryLater):
    """202: Campaign has accepted a write, and may act on it later."""

    def __init__(self) -> None:
        detail = "Campaign answered 202: it has accepted the change, and perhaps not made it"
        super().__init__(Reason.NOT_STORED, detail)


class TooLarge(RetryLater):
    """The response is larger than any to such a request can be."""

    def __init__(self, most: int) -> None:
        super().__init__(
            Reason.BAD_ANSWER,
            f"The answer is larger than {most / 1_000_000:,.1f} MB, so it was not read",
        )


class Request(NamedTuple):
    """One request to Campaign.

    Attributes:
        path: path and query below ``campaign/``, percent-encoded.
        about: one of these words is in an error about this request; empty for any error.
        profiles: the most profiles in the response.
    """

    method: str
    path: str
    body: bytes | None = None
    about: Sequence[str] = ()
    profiles: int = 1


class Response(NamedTuple):
    """One HTTP response; ``sent_at`` is the time of its request, by the clock of the pacer."""

    status: int
    body: bytes
    retry_after: str | None = None
    date: str | None = None
    location: str | None = None
    sent_at: float = 0.0


Parse = Callable[[Response], object]
"""Reads a good response; raises ``RetryLater`` if it is of no use."""

_PASSING: Final = {408: Reason.TIMEOUT, 425: Reason.TIMEOUT, 429: Reason.HTTP_429}
_LONGEST_TEXT: Final = 300
_LONGEST_BODY: Final = 8192
"""Bytes of a response that are searched; the rest would only cost time."""
_NO_SUCH_KEY: Final = re.compile(
    r"XTK-170036|is not a valid constant|Unable to decrypt PKey|BAS-010040", re.IGNORECASE
)
_NO_SUCH_FIELD: Final = re.compile(r"property is not valid|is read-only", re.IGNORECASE)
_NEVER: Final = re.compile(
    r"enumeration|PGS-220000|RST-360012|XTK-170049|You do not have the rights", re.IGNORECASE
)
_CAMPAIGNS_OWN: Final = re.compile(r"\b[A-Z]{3}-\d{6}\b|\brights\b", re.IGNORECASE)
"""Texts of Campaign's own refusals, not of a gateway's (manual/campaign-api.md, section 3.2)."""


def document(response: Response) -> object:
    """Parse the JSON of a good response.

    Raises:
        RetryLater: it is cut off, or no JSON at all, such as a proxy's page.
    """
    try:
        return orjson.loads(response.body)
    except orjson.JSONDecodeError:
        with suppress(ValueError, RecursionError):
            return orjson.loads(_mended(response.body))
    what = "no JSON"
    if not response.body.strip():
        what = "an empty body"
    elif _is_markup(response):  # anything else may show a person's profile
        what = f"no JSON: {summary(response)}"
    raise RetryLater(Reason.BAD_ANSWER, f"Campaign answered {response.status} with {what}")


def confirmation(response: Response) -> object:
    """Parse the JSON of a good response to a write.

    Raises:
        Accepted: the write was only accepted, whatever the body.
        RetryLater: it is no JSON.
    """
    if response.status == 202:
        raise Accepted
    return document(response)


def _mended(body: bytes) -> str:
    """Return valid JSON, with U+FFFD for half an emoji, a byte of Latin-1, or a tab in a name."""
    parsed = json.loads(body.decode("utf-8", "replace"), strict=False)
    written = json.dumps(parsed, ensure_ascii=False)
    return written.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def problem(response: Response) -> BulkSyncError:
    """Return the error for a response other than 2xx.

    Returns:
        ``RetryLater``, ``RowFailed`` or one of its kinds above, ``TokenRefused``, or
        ``UsageProblem`` where a proxy wants credentials. A redirect, and a 403 of the gateway, are
        retried first: the gateway may be starting.
    """
    found = summary(response)
    detail = f"Campaign answered {response.status}: {found}"
    status = response.status
    if status == 401:
        return TokenRefused(detail)
    if status == 429:
        return RetryLater(
            _PASSING[status],
            detail,
            wait_s=wait_s(response),
            refused=True,
            sent_at=response.sent_at,
        )
    if status in _PASSING:
        return RetryLater(_PASSING[status], detail)
    return (
        _by_gateway(response, found, detail)
        or _by_text(response, found, detail)
        or _by_status(response, detail)
    )


def summary(response: Response) -> str:
    """Return the text of a response as one clean line, without markup."""
    return clean(text(response)) or "no text"


def text(response: Response) -> str:
    """Return the text of a response, without markup."""
    body = response.body[:_LONGEST_BODY]
    found = body.decode("utf-8", "replace")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        parts = [parsed.get(name) for name in ("error_code", "code", "error", "message")]
        parts += [parsed.get("error_description"), parsed.get("error_message")]
        words = [str(part) for part in parts if part not in (None, "", response.status)]
        return " ".join(words) or found
    if "<" in found:
        found = re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]*>", " ", found)
        return html.unescape(found)
    return found


def clean(text: str) -> str:
    """Return a text from elsewhere as one short line without control characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 1]}…"


def wait_s(response: Response) -> float | None:
    """Return the wait in ``Retry-After``, by the server's own clock; None without one."""
    requested = (response.retry_after or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", requested):
        return float(requested)
    until = _time(requested)
    if until is None:
        return None
    now = _time(response.date or "") or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _time(text: str) -> datetime | None:
    try:
        stamp = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a zone, or a year, of twenty digits
        return None
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def _by_gateway(response: Response, text: str, detail: str) -> BulkSyncError | None:
    """Judge by the status what a gateway or a proxy answers, and a 403 of Campaign's own."""
    status = response.status
    if status == 403:
        if _CAMPAIGNS_OWN.search(text):
            return Forbidden(detail, by_gateway=False)
        failed: RowFailed = Forbidden(detail, by_gateway=True)
        return RetryLater(failed.reason, detail, refused=True, last_word=failed)
    if status == 407:
        return UsageProblem(
            f"A proxy between this machine and Campaign asks for credentials (407: {text}). "
            "Write them into https_proxy=http://USER:PASSWORD@HOST:PORT."
        )
    if 300 <= status < 400:
        where = clean(response.location or "nowhere")
        detail = f"Campaign answered {status}, a redirect to {where}, which is not followed."
        failed = RowFailed(Reason.REDIRECT, detail, passing=True)
        return RetryLater(failed.reason, detail, last_word=failed)  # perhaps it was acted on
    return None


def _by_text(response: Response, text: str, detail: str) -> BulkSyncError | None:
    reason = _reason(response.status)
    if "Oops" in text:
        return AddressRefused(reason, detail)
    if _NO_SUCH_KEY.search(text):
        return RowFailed(Reason.INVALID_KEY, detail, outcome=Outcome.NOT_FOUND)
    if _NO_SUCH_FIELD.search(text):
        return FieldRefused(reason, f"{clause(detail)}.")
    return RowFailed(reason, detail) if _NEVER.search(text) else None


def _by_status(response: Response, detail: str) -> BulkSyncError:
    status = response.status
    if status == 404 and _is_markup(response):
        return AddressRefused(Reason.HTTP_404, detail)
    if status == 404:
        return RowFailed(Reason.NOT_FOUND, detail, outcome=Outcome.NOT_FOUND)
    if status >= 500:
        return RetryLater(_reason(status), detail, wait_s=wait_s(response))
    return RowFailed(_reason(status), detail)


def _reason(status: int) -> Reason:
    try:
        return Reason(f"http_{status}")
    except ValueError:
        return Reason.HTTP_5XX if status >= 500 else Reason.HTTP_4XX


def _is_markup(response: Response) -> bool:
    return response.body.lstrip()[:1] == b"<"


def access_denied(error: BulkSyncError) -> AccessDenied:
    """Return the error for refused credentials or a refused address, with the usual causes."""
    if isinstance(error, Forbidden):
        hint = (
            "Check --api-key, that the project in the Developer Console has the Campaign API, and "
            "that its product profile belongs to this organization (403023 means it does not)."
        )
    else:
        hint = (
            "Campaign's gateway does not know this address: check --organization (a stage "
            "instance ends in -mkt-stage), --endpoint and --api. A 502 of this kind means that "
            "the instance's CNAME is missing."
        )
    return AccessDenied(f"{clause(str(error))}. {hint}")


def field_refused(failed: RowFailed) -> UsageProblem:
    """Return the error for an unwritable attribute."""
    return UsageProblem(
        f"{failed.detail} The profile resource of this API does not let the attribute be written: "
        "look at --attribute and --api (custom fields need --api profileAndServicesExt)."
    )
