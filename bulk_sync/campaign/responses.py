"""What an answer of Campaign, or of the gateway before it, means. Pure: bytes in, meaning out.

Campaign Standard answers 500 to permanent errors of one row (a bad PKey, a bad field), and the
gateway answers 500 and 502 to a wrong address, so an answer is judged by its text before its
status (campaign-api.md, section 3).
"""

import html
import re
from collections.abc import Callable
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
)
from bulk_sync.outcomes import Outcome, Reason


class TokenRefused(BulkSyncError):
    """401: the token is not, or no longer, valid. A new one may be."""


class AddressRefused(RowFailed):
    """The gateway knows no such path: the organization, the API's name, or the key in it."""


class FieldRefused(RowFailed):
    """Campaign does not let the attribute be written: of this profile, or of every one."""


class Forbidden(RowFailed):
    """403.

    Attributes:
        by_gateway: the gateway refused the request, not Campaign the profile.
    """

    def __init__(self, detail: str, *, by_gateway: bool) -> None:
        super().__init__(Reason.HTTP_403, detail, passing=by_gateway)
        self.by_gateway = by_gateway


class Mismatch(RetryLater):
    """The answer is about something else than what was asked for."""

    def __init__(
        self,
        detail: str = "Campaign's answer was about another profile",
        reason: Reason = Reason.WRONG_PROFILE,
    ) -> None:
        super().__init__(reason, detail)


class Unproven(RetryLater):
    """Nothing shows whether the answer is about what was asked for.

    Attributes:
        meaning: what it means if it is: what it says, or the error that it stands for.
        if_repeated: it is only doubted if the answer before it on its connection was the same.
    """

    def __init__(self, meaning: object, *, if_repeated: bool = True) -> None:
        detail = "Nothing in Campaign's answer showed whom it was about"
        super().__init__(Reason.BAD_ANSWER, detail)
        self.meaning = meaning
        self.if_repeated = if_repeated


class TooLarge(RetryLater):
    """The answer is larger than any to such a request can be."""

    def __init__(self, most: int) -> None:
        super().__init__(
            Reason.BAD_ANSWER,
            f"The answer is larger than {most / 1_000_000:,.1f} MB, so it was not read",
        )


class Answer(NamedTuple):
    """One HTTP answer, read whole; its request was sent at ``sent_at``, as a pacer tells it."""

    status: int
    body: bytes
    retry_after: str | None = None
    date: str | None = None
    location: str | None = None
    sent_at: float = 0.0


Parse = Callable[[Answer], object]
"""Makes of a successful answer what it says; raises ``RetryLater`` if it says nothing."""

_PASSING: Final = {408: Reason.TIMEOUT, 425: Reason.TIMEOUT, 429: Reason.HTTP_429}
_LONGEST_TEXT: Final = 300
_LONGEST_BODY: Final = 8192
"""So much of an answer is looked at for what it says; the rest would only cost time."""
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_CONTROL: Final = re.compile(r"[\x00-\x1f]")
_ESCAPE: Final = re.compile(
    r"(?P<fine>\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}"
    r"|\\(?!u[dD][89a-fA-F]).)|\\u[dD][89a-fA-F][0-9a-fA-F]{2}",
    re.DOTALL,
)
_NO_SUCH_KEY: Final = re.compile(
    r"XTK-170036|is not a valid constant|Unable to decrypt PKey|BAS-010040", re.IGNORECASE
)
_NO_SUCH_FIELD: Final = re.compile(r"property is not valid|is read-only", re.IGNORECASE)
_NEVER: Final = re.compile(
    r"enumeration|PGS-220000|RST-360012|XTK-170049|You do not have the rights", re.IGNORECASE
)
_CAMPAIGNS_OWN: Final = re.compile(r"\b[A-Z]{3}-\d{6}\b|\brights\b", re.IGNORECASE)
"""Texts in Campaign's own refusals, not in those of a gateway (campaign-api.md, 3.2)."""


def document(answer: Answer) -> object:
    """Parse the JSON of a successful answer.

    Raises:
        RetryLater: it is cut off, or no JSON at all: a proxy's page, say.
    """
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        try:
            return orjson.loads(_mended(answer.body))
        except orjson.JSONDecodeError:
            pass
    what = "no JSON"
    if not answer.body.strip():
        what = "an empty body"
    elif _is_markup(answer):  # anything else may show somebody's profile
        what = f"no JSON: {said(answer)}"
    raise RetryLater(Reason.BAD_ANSWER, f"Campaign answered {answer.status} with {what}")


def _mended(body: bytes) -> str:
    """Write JSON whose texts hold what JSON forbids in a form that is JSON.

    Names of people hold half an emoji, a byte of Latin-1, or a tab as it is. What cannot be read
    becomes U+FFFD; nothing outside of texts is changed.
    """
    return _STRING.sub(_mended_string, body.decode("utf-8", "replace"))


def _mended_string(found: re.Match[str]) -> str:
    whole = _ESCAPE.sub(lambda each: each[0] if each["fine"] else r"\ufffd", found[0])
    return _CONTROL.sub(lambda each: f"\\u{ord(each[0]):04x}", whole)


def problem(answer: Answer) -> BulkSyncError:
    """Say what an answer other than 2xx asks for.

    Returns:
        ``RetryLater``, ``RowFailed`` (also as ``AddressRefused``, ``FieldRefused`` or
        ``Forbidden``), ``TokenRefused``, or ``UsageProblem`` where a proxy wants credentials.
        A redirect, and a 403 that is not Campaign's own, may come from a gateway that restarts.
    """
    told = said(answer)
    detail = f"Campaign answered {answer.status}: {told}"
    status = answer.status
    if status == 401:
        return TokenRefused(detail)
    if status in _PASSING:
        is_throttled = status == 429
        return RetryLater(
            _PASSING[status],
            detail,
            wait_s=wait_s(answer) if is_throttled else None,
            refused=is_throttled,
            sent_at=answer.sent_at if is_throttled else None,
        )
    return (
        _by_gateway(answer, told, detail)
        or _by_text(answer, told, detail)
        or _by_status(answer, detail)
    )


def said(answer: Answer) -> str:
    """Put what an answer says into one clean line, never with control characters or markup."""
    return clean(text(answer)) or "no text"


def text(answer: Answer) -> str:
    """Read what an answer says, without markup."""
    body = answer.body[:_LONGEST_BODY]
    told = body.decode("utf-8", "replace")
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        parsed = None
    if isinstance(parsed, dict):
        parts = [parsed.get(name) for name in ("error_code", "code", "error", "message")]
        parts += [parsed.get("error_description"), parsed.get("error_message")]
        words = [str(part) for part in parts if part not in (None, "", answer.status)]
        told = " ".join(words) or told
    elif "<" in told:
        told = re.sub(r"(?s)<(script|style)\b.*?</\1>|<[^>]*>", " ", told)
        told = html.unescape(told)
    return told


def clean(text: str) -> str:
    """Make one line of text from elsewhere, without control characters, and not too long."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return line if len(line) <= _LONGEST_TEXT else f"{line[: _LONGEST_TEXT - 1]}…"


def wait_s(answer: Answer) -> float | None:
    """Tell how many seconds the server asks to wait, by its own clock; None if it does not ask."""
    asked = (answer.retry_after or "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", asked):
        return float(asked)
    until = _time(asked)
    if until is None:
        return None
    now = _time(answer.date or "") or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _time(text: str) -> datetime | None:
    try:
        stamp = parsedate_to_datetime(text)
    except (ValueError, OverflowError):  # a zone, or a year, of twenty digits
        return None
    return stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)


def _by_gateway(answer: Answer, text: str, detail: str) -> BulkSyncError | None:
    """Judge by the status what comes from before Campaign, and a 403 that may be its own."""
    if answer.status == 403:
        if _CAMPAIGNS_OWN.search(text):
            return Forbidden(detail, by_gateway=False)
        return _unless_it_stays(Forbidden(detail, by_gateway=True))
    if answer.status == 407:
        return UsageProblem(
            f"A proxy between this machine and Campaign asks for credentials (407: {text}). "
            "Write them into https_proxy=http://USER:PASSWORD@HOST:PORT."
        )
    if 300 <= answer.status < 400:
        where = clean(answer.location or "nowhere")
        detail = f"Campaign answered {answer.status}, a redirect to {where}, which is not followed."
        return _unless_it_stays(RowFailed(Reason.REDIRECT, detail, passing=True))
    return None


def _by_text(answer: Answer, text: str, detail: str) -> BulkSyncError | None:
    """Judge by the text, where it says more than the status."""
    if "Oops" in text:
        return AddressRefused(_reason(answer.status), detail)
    if _NO_SUCH_KEY.search(text):
        return RowFailed(Reason.INVALID_KEY, detail, outcome=Outcome.NOT_FOUND)
    if _NO_SUCH_FIELD.search(text):
        return FieldRefused(_reason(answer.status), f"{detail}.")
    if _NEVER.search(text):
        return RowFailed(_reason(answer.status), detail)
    return None


def _by_status(answer: Answer, detail: str) -> BulkSyncError:
    status = answer.status
    if status == 404:
        if _is_markup(answer):
            return AddressRefused(Reason.HTTP_404, detail)
        return RowFailed(Reason.NOT_FOUND, detail, outcome=Outcome.NOT_FOUND)
    if status >= 500:
        return RetryLater(_reason(status), detail, wait_s=wait_s(answer))
    return RowFailed(_reason(status), detail)


def _reason(status: int) -> Reason:
    try:
        return Reason(f"http_{status}")
    except ValueError:
        return Reason.HTTP_5XX if status >= 500 else Reason.HTTP_4XX


def _unless_it_stays(failed: RowFailed) -> RetryLater:
    """Raised when a request is to be retried, and fails for good only if the answer stays."""
    later = RetryLater(failed.reason, failed.detail, refused=True)
    later.last_word = failed
    return later


def _is_markup(answer: Answer) -> bool:
    return answer.body.lstrip()[:1] == b"<"


def access_denied(error: BulkSyncError) -> AccessDenied:
    """Return what refused credentials or a refused address usually mean (campaign-api.md, 3.1)."""
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
    return AccessDenied(f"{str(error).rstrip('.')}. {hint}")


def field_refused(failed: RowFailed) -> UsageProblem:
    """Return what it usually means that no profile's attribute can be written."""
    return UsageProblem(
        f"{failed.detail} The profile resource of this API does not let the attribute be written: "
        "look at --attribute and --api (custom fields need --api profileAndServicesExt)."
    )
