"""What Campaign says of the fields that profiles have: ``resourceType/profile``. Pure.

Fields stand under ``content`` with ``apiName`` and ``type`` (campaign-api.md, section 1.1).
"""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from bulk_sync.errors import RetryLater
from bulk_sync.outcomes import Reason
from bulk_sync.settings import EXTENDED, SINGULAR

_CLOSE: Final = 0.6
_MOST: Final = 5


def fields(parsed: object) -> Mapping[str, str]:
    """Read the type of each field; "" where none is given.

    Raises:
        RetryLater: the answer describes no fields.
    """
    content = parsed.get("content") if isinstance(parsed, dict) else None
    described = list(content.items()) if isinstance(content, dict) else []
    if isinstance(content, list):
        described = [("", each) for each in content]
    found = {
        str(each.get("apiName") or each.get("name") or name): str(each.get("type") or "")
        for name, each in described
        if isinstance(each, dict)
    }
    if not found:
        raise RetryLater(Reason.BAD_ANSWER, "Campaign answered without a description of profiles")
    return found


def other(api: str) -> str:
    """Tell the API that shows what this one does not: custom fields, or none of them."""
    return SINGULAR if api.endswith("Ext") else EXTENDED


def close(attribute: str, known: Mapping[str, str]) -> list[str]:
    """Tell which boolean fields an attribute may have been meant to be, the likeliest first."""
    booleans = {name.casefold(): name for name, kind in known.items() if kind == "boolean"}
    alike = get_close_matches(attribute.casefold(), booleans, _MOST, _CLOSE)
    opting = (name for name in booleans if "opt" in name or "ccpa" in name)
    return [booleans[name] for name in dict.fromkeys((*alike, *opting))][:_MOST]


def alike(field: str, known: Iterable[str]) -> list[str]:
    """Tell which fields a field may have been meant to be, the likeliest first."""
    names = {name.casefold(): name for name in known}
    return [names[each] for each in get_close_matches(field.casefold(), names, _MOST, _CLOSE)]


def listed(names: Iterable[str], what: str = "Boolean fields") -> str:
    """Put names into a sentence of their own; "" if there are none."""
    said = ", ".join(names)
    return f" {what} that come close: {said}." if said else ""
