"""The shapes of a profile that the documentation shows. Pure.

Section 1.2 of campaign-api.md lists them: one profile flat, or as a list of one.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final
from urllib.parse import quote

from bulk_sync.campaign.responses import Mismatch
from bulk_sync.errors import RetryLater, RowFailed
from bulk_sync.outcomes import Reason

_CRYPTED_ID: Final = re.compile(r"[A-Za-z0-9+/]{8,}={1,2}")
_PLAIN: Final = re.compile(r"@?[A-Za-z0-9_~-][A-Za-z0-9_.~-]*")


Profile = Mapping[str, object]
"""A profile as Campaign answers it."""

Check = Callable[[Profile], None]
"""Raises ``Mismatch`` if a profile is not the one that was asked for."""


def segment(key: str) -> str:
    """Write a key as one segment of a path: nothing it holds may reach another path.

    ``.`` and ``..`` would be resolved away by the first party that normalizes the URL, so their
    dots are encoded too.
    """
    if _PLAIN.fullmatch(key):  # as nearly all are, and quote() takes ten times as long
        return key.replace("@", "%40")
    encoded = quote(key, safe="")
    return encoded if key.strip(".") else encoded.replace(".", "%2E")


def one(parsed: object, attribute: str) -> Profile:
    """Find the profile in the answer to a GET of one, or to a PATCH.

    Raises:
        RetryLater: there is none in it, or more than one.
    """
    found = parsed
    if isinstance(parsed, dict) and isinstance(parsed.get("content"), list):
        content = parsed["content"]
        if len(content) != 1:
            detail = f"Campaign answered with {len(content)} profiles where one was asked for"
            raise Mismatch(detail) if content else RetryLater(Reason.BAD_ANSWER, detail)
        found = content[0]
    if isinstance(found, dict) and ("PKey" in found or "href" in found or attribute in found):
        return found
    raise RetryLater(Reason.BAD_ANSWER, "Campaign answered with JSON that holds no profile")


def state(profile: Profile, attribute: str) -> bool | None:
    """Read the state; None is unknown. Only a JSON boolean is a state: nothing is guessed."""
    value = profile.get(attribute)
    return value if isinstance(value, bool) else None


def fields_of_state(attribute: str) -> tuple[str, ...]:
    """Name the fields that tell of a profile which it is, its state, and since when."""
    return "PKey", attribute, f"{attribute}LastModified"


def changed_ms(profile: Profile, attribute: str) -> int:
    """Read when Campaign says that the attribute was last changed, in ms since the epoch.

    ``ccpaOptOutLastModified`` stands beside ``ccpaOptOut`` in real answers, as
    ``2019-09-26 11:49:48.817Z``, or blank (campaign-api.md, sections 1.1 and 1.3).

    Returns:
        0 if there is none; -1 if it is in no form that says which moment is meant.
    """
    stamp = profile.get(f"{attribute}LastModified")
    if stamp is None or (isinstance(stamp, str) and not stamp.strip()):
        return 0
    try:
        when = datetime.fromisoformat(str(stamp).strip())
    except ValueError:
        return -1
    return -1 if when.tzinfo is None else max(1, math.ceil(when.timestamp() * 1000))


def looks_like(key: str) -> str:
    """Say what a key that was not found looks like; "" if there is nothing to say.

    Automatic PKeys begin with ``@``. A cryptedId is another attribute, standard base64
    (campaign-api.md, section 6).
    """
    if _CRYPTED_ID.fullmatch(key):
        return " It looks like a cryptedId, which is another attribute: export the PKey instead."
    return "" if key.startswith("@") else " Automatic PKeys begin with @."


def unknown(profile: Profile, attribute: str) -> RowFailed:
    """Say in what way a profile's state is unknown."""
    value = profile.get(attribute)
    if attribute not in profile:
        what = f"has no attribute {attribute}"
    elif value is None or (isinstance(value, str) and not value.strip()):
        what = f"has a blank {attribute}"
    else:
        kind = "text" if isinstance(value, str) else "a number or a list"
        what = f"has {kind} for {attribute}, which is neither true nor false"
    return RowFailed(
        Reason.STATE_UNKNOWN,
        f"The profile {what}; its state is unknown, so nothing was written.",
    )
