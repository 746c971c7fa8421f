"""Proves the link between a response and its request. Pure.

Connections, proxies and caches mix responses up, so every response is checked:

request            proof                             disproof                     neither
-----------------  --------------------------------  ---------------------------  ------------
GET by PKey        its ``PKey`` is the requested     another one, or a list of    ``bad_answer``
                   one; without any, its ``href``    several profiles
                   ends with it
GET by custom key  the field of the key shows it;    it does not                  -
                   if it is not known, any does
PATCH              its ``PKey`` is the changed one   another one                  read back
POST               its ``email`` is the sent one     another one                  looked for
PATCH, POST: 202   -                                 -                            as above
page of the list   its profiles name themselves      its ``next`` is itself, or   -
                                                     it repeats an earlier page
filter             a profile on it fits, or a link   its ``next`` is itself       sent again
                   in it repeats the parameters
404, 500, ...      its text names the key            its text names another key   sent again

A disproved response is never used: its connection is closed, and the request goes out again on one
of its own. "Sent again" means once, also there, and the response counts. An error, or an empty
page, counts at once unless it repeats the response before it on its connection; so does an error to
a GET without a profile in its text. A profile is read back again after a write if the response
repeats: it may be a copy from before. 429, 503 and all else with a retry needs no proof, nor do 401
and 403 of the gateway, about the credentials.
"""

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final
from urllib.parse import parse_qsl, unquote

from bulk_sync.campaign.profiles import Profile, single, state
from bulk_sync.campaign.responses import Mismatch, Response, text
from bulk_sync.errors import RetryLater, RowFailed
from bulk_sync.outcomes import Outcome, Reason

_LIST_ITSELF: Final = frozenset({"_lineCount", "_lineStart", "_forcePagination", "_order"})
"""Parameters for a part of a list, and not for its contents."""

_LONGEST_BODY: Final = 8192

_ERRORS: Final = ("error_code", "error", "error_message")

_KEYS: Final = re.compile(
    r"\bkey '[^']*'|\bID '[^']*'|\bPKey=[^)\s]|'[^']+' attribute unknown"
    r"|'[^']+' is not a valid constant|@id = @?[\w-]|(?<![\w@])@[\w-]{16}"
)
"""How error texts name a key (manual/campaign-api.md, section 3.2), and PKeys anywhere."""


class Mention(Enum):
    """The key in an error text."""

    THIS = auto()
    ANOTHER = auto()
    NOTHING = auto()


def check_profile(profile: Profile, key: str) -> None:
    """Check the PKey of a profile.

    Raises:
        Mismatch: it is another one.
        RetryLater: it shows neither PKey nor link.
        RowFailed: the key looks like a step in a path, and was taken for one on the way.
    """
    pkey = profile.get("PKey")
    if pkey == key:
        return
    if not key.strip("."):
        detail = f"No profile can be read by the key {key!r}."
        raise RowFailed(Reason.INVALID_KEY, detail, outcome=Outcome.NOT_FOUND)
    if pkey in (None, ""):
        href = profile.get("href")
        if not isinstance(href, str) or not href:
            detail = "Campaign answered with a profile without a PKey"
            raise RetryLater(Reason.BAD_ANSWER, detail)
        if unquote(href.partition("?")[0].rstrip("/").rpartition("/")[2]) == key:
            return
    if not key.startswith("@"):
        raise Mismatch(
            "Campaign's answer was about another PKey. Automatic PKeys begin with @: if the file "
            "holds custom keys, say so with --key custom"
        )
    raise Mismatch


def check_change(parsed: object, attribute: str, *, desired: bool, key: str) -> None:
    """Check the response to a PATCH for the desired state and this profile.

    The documentation shows a reference in one place and the whole profile in another. Neither
    proves what is stored, but any other state disproves it.

    Raises:
        RetryLater: it is no confirmation.
    """
    found = single(parsed, attribute)
    _check_errors(found)
    if not found.get("PKey"):
        detail = "Campaign answered the change without a PKey"
        raise RetryLater(Reason.BAD_ANSWER, detail)
    check_profile(found, key)
    _check_state(found, attribute, desired=desired)


def check_creation(parsed: object, attribute: str, *, desired: bool, email: str) -> str:
    """Return the PKey in the response to a POST, if it confirms the profile.

    Raises:
        RetryLater: it is no confirmation.
    """
    found = single(parsed, attribute)
    _check_errors(found)
    shown, pkey = found.get("email"), found.get("PKey")
    if isinstance(shown, str) and shown.casefold() != email.casefold():
        raise Mismatch
    if not isinstance(shown, str) or not isinstance(pkey, str) or not pkey:
        detail = "Campaign answered the creation without an email or a PKey"
        raise RetryLater(Reason.BAD_ANSWER, detail)
    _check_state(found, attribute, desired=desired)
    return pkey


def _check_errors(found: Profile) -> None:
    if any(found.get(name) for name in _ERRORS):
        raise RetryLater(Reason.BAD_ANSWER, "Campaign answered the change with an error in it")


def _check_state(found: Profile, attribute: str, *, desired: bool) -> None:
    if state(found, attribute) is (not desired):
        raise RetryLater(Reason.NOT_STORED, "Campaign answered the change with the old state")
    if attribute in found and found[attribute] is not desired:
        detail = f"Campaign answered the change with a value that is no state of {attribute}"
        raise RetryLater(Reason.NOT_STORED, detail)


def mention(response: Response, keys: Iterable[str]) -> Mention:
    """Return whether an error names one of these keys, or another one."""
    body = response.body[:_LONGEST_BODY].decode("utf-8", "replace")
    found = unquote(f"{text(response)} {body}")
    for key in keys:
        bare = re.escape(key.removeprefix("@"))
        if bare and re.search(rf"(?<![\w-]){bare}(?![\w-])", found):
            return Mention.THIS
    return Mention.ANOTHER if _KEYS.search(found) else Mention.NOTHING


def repeats(link: str | None, path: str) -> bool:
    """Return whether a link in a list repeats the parameters of the request's path."""
    sent, shown = _parameters(path), _parameters(link or "")
    return bool(sent) and all(shown.get(name) == value for name, value in sent.items())


def _parameters(path: str) -> dict[str, str]:
    found = parse_qsl(path.partition("?")[2], keep_blank_values=True)
    return {name: value for name, value in found if name not in _LIST_ITSELF}
