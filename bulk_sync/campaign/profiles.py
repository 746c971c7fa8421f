"""The shapes of one profile: flat, or as a list of one. Pure.

See manual/campaign-api.md, section 1.2.
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
"""A profile in Campaign's response."""

Check = Callable[[Profile], None]
"""Raises ``Mismatch`` if a profile is not the requested one."""


def segment(key: str) -> str:
    """Encode a key as one segment of a path; no key reaches another path.

    The dots of ``.`` and ``..`` are encoded too: normalizing a URL would resolve them.
    """
    if _PLAIN.fullmatch(key):  # as nearly all are; quote() takes ten times as long
        return key.replace("@", "%40")
    encoded = quote(key, safe="")
    return encoded if key.strip(".") else encoded.replace(".", "%2E")


def single(parsed: object, attribute: str) -> Profile:
    """Return the profile in the response to a GET of one, or to a PATCH.

    Raises:
        RetryLater: there is none, or more than one.
    """
    found = parsed
    if isinstance(parsed, dict) and isinstance(parsed.get("content"), list):
        content = parsed["content"]
        if len(content) != 1:
            detail = f"Campaign answered with {len(content)} profiles where one was requested"
            raise Mismatch(detail) if content else RetryLater(Reason.BAD_ANSWER, detail)
        found = content[0]
    if isinstance(found, dict) and ("PKey" in found or "href" in found or attribute in found):
        return found
    raise RetryLater(Reason.BAD_ANSWER, "Campaign answered with JSON that holds no profile")


def state(profile: Profile, attribute: str) -> bool | None:
    """Return the state if it is a JSON boolean; anything else is unknown, None."""
    value = profile.get(attribute)
    return value if isinstance(value, bool) else None


def fields_of_state(attribute: str) -> tuple[str, ...]:
    """Return the fields for a profile's key, its state, and the time of its last change."""
    return "PKey", attribute, f"{attribute}LastModified"


def changed_ms(profile: Profile, attribute: str) -> int:
    """Return when the attribute was last changed, in ms since the epoch.

    ``ccpaOptOutLastModified`` stands beside ``ccpaOptOut`` in real responses, as
    ``2019-09-26 11:49:48.817Z`` or blank (manual/campaign-api.md, sections 1.1 and 1.3).

    Returns:
        0 without a time; -1 for a time in an unclear form.
    """
    stamp = profile.get(f"{attribute}LastModified")
    if stamp is None or (isinstance(stamp, str) and not stamp.strip()):
        return 0
    try:
        when = datetime.fromisoformat(str(stamp).strip())
    except ValueError:
        return -1
    return -1 if when.tzinfo is None else max(1, math.ceil(when.timestamp() * 1000))


def hint(key: str) -> str:
    """Return a sentence about an unknown key (manual/campaign-api.md, section 6)."""
    if _CRYPTED_ID.fullmatch(key):
        return " It looks like a cryptedId, which is another attribute: export the PKey instead."
    return "" if key.startswith("@") else " Automatic PKeys begin with @."


class AttributeMissing(RowFailed):
    """The profile does not have the attribute at all, not even a blank one."""


def unknown(profile: Profile, attribute: str) -> RowFailed:
    """Return the error for a profile without a clear state."""
    value = profile.get(attribute)
    kind_of_error: type[RowFailed] = RowFailed
    if attribute not in profile:
        kind_of_error = AttributeMissing
        what = f"has no attribute {attribute}"
    elif value is None or (isinstance(value, str) and not value.strip()):
        what = f"has a blank {attribute}"
    else:
        kind = "text" if isinstance(value, str) else "a number or a list"
        what = f"has {kind} for {attribute}, which is neither true nor false"
    return kind_of_error(
        Reason.STATE_UNKNOWN,
        f"The profile {what}; its state is unknown, so nothing was written. Set it once in "
        "Campaign.",
    )
