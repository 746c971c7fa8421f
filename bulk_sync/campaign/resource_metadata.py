"""The fields of profiles, as ``resourceType/profile`` describes them. Pure.

Fields stand under ``content`` with ``apiName`` and ``type`` (manual/campaign-api.md, section 1.1).
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
    """Return the type of each field; "" without one.

    Raises:
        RetryLater: the response describes no fields.
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
    """Return the API with custom fields for one without, and the other way round."""
    return SINGULAR if api.endswith("Ext") else EXTENDED


def similar_booleans(attribute: str, known: Mapping[str, str]) -> str:
    """Return a sentence with the boolean fields similar to an attribute, or about opting out."""
    booleans = {name.casefold(): name for name, kind in known.items() if kind == "boolean"}
    close = get_close_matches(attribute.casefold(), booleans, _MOST, _CLOSE)
    opting = (name for name in booleans if "opt" in name or "ccpa" in name)
    names = [booleans[name] for name in dict.fromkeys((*close, *opting))]
    return _sentence("Boolean fields", names[:_MOST])


def similar(field: str, known: Iterable[str]) -> str:
    """Return a sentence with the fields of a similar name; "" if there are none."""
    names = {name.casefold(): name for name in known}
    close = get_close_matches(field.casefold(), names, _MOST, _CLOSE)
    return _sentence("Fields", [names[each] for each in close])


def _sentence(what: str, names: list[str]) -> str:
    return f" {what} that come close: {', '.join(names)}." if names else ""
