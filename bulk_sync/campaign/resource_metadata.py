"""The fields of profiles, as ``resourceType/profile`` describes them.

Fields stand under ``content`` with ``apiName`` and ``type`` (manual/campaign-api.md, section 1.1).
"""

import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from bulk_sync.errors import RetryLater, UsageProblem
from bulk_sync.outcomes import Reason
from bulk_sync.settings import EXTENDED, SINGULAR

log = logging.getLogger(__name__)

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


async def check_attribute(
    read_fields: Callable[[str], Awaitable[Mapping[str, str] | None]], attribute: str, api: str
) -> None:
    """Check that an attribute is a boolean field of profiles; see ``Client.check_attribute``."""
    known = await read_fields(api)
    if known is None:
        log.warning("Campaign did not show whether profiles have the field %s", attribute)
        return
    kind = known.get(attribute)
    if kind in {"boolean", ""}:
        return
    if kind is not None:
        raise UsageProblem(
            f"--attribute {attribute}: the field is not a boolean, but {kind}."
            + _similar_booleans(attribute, known)
        )
    elsewhere = SINGULAR if api.endswith("Ext") else EXTENDED
    there = await read_fields(elsewhere) or {}
    if attribute in there:
        raise UsageProblem(
            f"--attribute {attribute}: {api} does not show this field, {elsewhere} does. Give "
            f"--api {elsewhere}."
        )
    raise UsageProblem(
        f"--attribute {attribute}: profiles have no such field, neither on {api} nor on "
        f"{elsewhere}." + _similar_booleans(attribute, {**there, **known})
    )


def check_fields(known: Mapping[str, str], names: Iterable[str], option: str, api: str) -> None:
    """Check that profiles have some fields, if any are known; see ``Client.check_fields``."""
    spelled = {name.casefold(): name for name in known}
    for field in names:
        if known and field not in known:
            close = get_close_matches(field.casefold(), spelled, _MOST, _CLOSE)
            raise UsageProblem(
                f"{option} {field}: profiles have no such field on {api}."
                + _sentence("Fields", [spelled[each] for each in close])
            )


def _similar_booleans(attribute: str, known: Mapping[str, str]) -> str:
    """Return a sentence with the boolean fields similar to an attribute, or about opting out."""
    booleans = {name.casefold(): name for name, kind in known.items() if kind == "boolean"}
    close = get_close_matches(attribute.casefold(), booleans, _MOST, _CLOSE)
    opting = (name for name in booleans if "opt" in name or "ccpa" in name)
    names = [booleans[name] for name in dict.fromkeys((*close, *opting))]
    return _sentence("Boolean fields", names[:_MOST])


def _sentence(what: str, names: list[str]) -> str:
    return f" {what} that come close: {', '.join(names)}." if names else ""
