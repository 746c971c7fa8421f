"""Proves that an answer is about what was asked for. Pure.

Connections, proxies and caches mix answers up, so every answer is checked:

request            proof                             disproof                     neither
-----------------  --------------------------------  ---------------------------  ------------
GET by PKey        its ``PKey`` is the one asked     another one, or a list of    ``bad_answer``
                   for; without any, its ``href``    several profiles
                   ends with it
GET by custom key  the field of the key shows it;    it does not                  -
                   if that is not known, any does
PATCH              its ``PKey`` is the one changed   another one                  read back
POST               its ``email`` is the one sent     another one                  looked for
page of the list   its profiles name themselves      its ``next`` is itself, or   -
                                                     it repeats an earlier page
filter             a profile on it fits, or a link   its ``next`` is itself       asked again
                   in it repeats the parameters
404, 500, ...      its text names the key            its text names another key   asked again

What is disproved is never used: its connection is closed, and the request repeated on one of its
own. "Asked again" is once, also there, and that answer counts. An error, or an empty page, that is
not the same as the answer before it on its connection counts at once, and so does an error to a GET
that says nothing of a profile. What is read back after a write is asked again if it is the same: it
may be a copy from before. 429, 503 and whatever else is tried again anyway needs no proof, nor do
401 and 403 of the gateway, which are about the credentials.
"""

import re
from collections.abc import Iterable
from enum import Enum, auto
from typing import Final
from urllib.parse import parse_qsl, unquote

from bulk_sync.campaign.profiles import Profile, one, state
from bulk_sync.campaign.responses import Answer, Mismatch, text
from bulk_sync.errors import RetryLater, RowFailed
from bulk_sync.outcomes import Outcome, Reason

_LIST_ITSELF: Final = frozenset({"_lineCount", "_lineStart", "_forcePagination", "_order"})
"""Parameters that say which part of a list is meant, and not what it is a list of."""

_LONGEST_BODY: Final = 8192

_ERRORS: Final = ("error_code", "error", "error_message")

_KEYS: Final = re.compile(
    r"\bkey '[^']*'|\bID '[^']*'|\bPKey=[^)\s]|'[^']+' attribute unknown"
    r"|'[^']+' is not a valid constant|@id = @?[\w-]|(?<![\w@])@[\w-]{16}"
)
"""How error texts name a key (campaign-api.md, section 3.2), and PKeys wherever they stand."""


class Named(Enum):
    """Kinds of mention in a text of the profile that was asked for."""

    THIS = auto()
    ANOTHER = auto()
    NOTHING = auto()


def check_profile(profile: Profile, key: str) -> None:
    """Check that a profile is the one with this PKey.

    Raises:
        Mismatch: it is another one.
        RetryLater: it does not say which it is.
        RowFailed: the key looks like a step in a path, and somebody on the way took it for one.
    """
    pkey = profile.get("PKey")
    if pkey == key:
        return
    if not key.strip("."):
        detail = f"No profile can be asked for by {key!r}."
        raise RowFailed(Reason.INVALID_KEY, detail, outcome=Outcome.NOT_FOUND)
    if pkey in (None, ""):
        href = profile.get("href")
        if not isinstance(href, str) or not href:
            detail = "Campaign answered with a profile that does not say which it is"
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
    """Check that the answer to a PATCH confirms the state that was sent, for this profile.

    The documentation shows a reference in one place and the whole profile in another; neither
    proves what is stored, but anything else than the state that was sent disproves it.

    Raises:
        RetryLater: it is no confirmation.
    """
    found = one(parsed, attribute)
    _check_errors(found)
    if not found.get("PKey"):
        detail = "Campaign answered the change without saying whose it was"
        raise RetryLater(Reason.BAD_ANSWER, detail)
    check_profile(found, key)
    _check_state(found, attribute, desired=desired)


def check_creation(parsed: object, attribute: str, *, desired: bool, email: str) -> str:
    """Return the PKey in the answer to a POST, if it confirms the profile that was sent.

    Raises:
        RetryLater: it is no confirmation.
    """
    found = one(parsed, attribute)
    _check_errors(found)
    shown, pkey = found.get("email"), found.get("PKey")
    if isinstance(shown, str) and shown.casefold() != email.casefold():
        raise Mismatch
    if not isinstance(shown, str) or not isinstance(pkey, str) or not pkey:
        detail = "Campaign answered the creation without saying whose it was"
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


def named(answer: Answer, keys: Iterable[str]) -> Named:
    """Read from an error whether it is about one of these keys, or about another one."""
    told = unquote(f"{text(answer)} {answer.body[:_LONGEST_BODY].decode('utf-8', 'replace')}")
    for key in keys:
        bare = re.escape(key.removeprefix("@"))
        if bare and re.search(rf"(?<![\w-]){bare}(?![\w-])", told):
            return Named.THIS
    return Named.ANOTHER if _KEYS.search(told) else Named.NOTHING


def repeats(link: str | None, path: str) -> bool:
    """Return whether a link in a list repeats the parameters that were asked for."""
    asked, said = _parameters(path), _parameters(link or "")
    return bool(asked) and all(said.get(name) == value for name, value in asked.items())


def _parameters(path: str) -> dict[str, str]:
    found = parse_qsl(path.partition("?")[2], keep_blank_values=True)
    return {name: value for name, value in found if name not in _LIST_ITSELF}
