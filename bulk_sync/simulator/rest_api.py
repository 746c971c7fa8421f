"""Campaign's REST API behind the gateway.

    /ORGANIZATION/campaign/API/profile                       GET a page of them, POST one
    /ORGANIZATION/campaign/API/profile/KEY                   GET one, PATCH one
    /ORGANIZATION/campaign/API/profile/FIELD                 GET one field of each
    /ORGANIZATION/campaign/API/profile/FILTER/FILTER...      GET the matching ones
    /ORGANIZATION/campaign/API/profile//_count               GET how many there are
    /ORGANIZATION/campaign/API/resourceType/profile          GET the fields

Known keys win over names of fields and filters, so a profile may have any key.
"""

import re
from http import HTTPStatus
from typing import Any, Final

import orjson

from bulk_sync.simulator import answers, profile_metadata, profile_pages
from bulk_sync.simulator.answers import Answer, Refusal
from bulk_sync.simulator.behavior import Dialect, GetStyle, PatchStyle
from bulk_sync.simulator.call import Call
from bulk_sync.simulator.instance import Instance

_PKEY: Final = re.compile(r"@[A-Za-z0-9_-]{16,}")
_FILTER: Final = re.compile(r"by[A-Z]\w*")
_READ_ONLY: Final = frozenset({"PKey", "age", "created", "cryptedId", "href", "lastModified"})


def answer(instance: Instance, call: Call) -> Answer:
    """Act on one request and answer it; raise Refusal if Campaign refuses it."""
    match call.segments:
        case [organization, "campaign", api, resource, *rest] if (
            organization == instance.options.organization and instance.options.apis.routes(api)
        ):
            return _resource(instance, call, api, resource.removesuffix(".json"), rest)
        case _:
            raise Refusal(answers.NO_INSTANCE)


def _resource(instance: Instance, call: Call, api: str, resource: str, rest: list[str]) -> Answer:
    match (call.method, resource, rest):
        case ("GET", "profile", _):
            return _get(instance, call, api, rest)
        case ("PATCH", "profile", [key]):
            return _patch(instance, api, key, call.body)
        case ("POST", "profile", []):
            key = instance.create(_changes(instance, api, call.body))
            return answers.json(instance.show(key, api), HTTPStatus.CREATED)
        case ("GET", "resourceType", ["profile"]):
            return profile_metadata.profile(instance, api)
        case ("GET", "resourceType", ["profile", "filters"]):
            return profile_metadata.filters(instance, api)
        case _:
            raise Refusal(instance.errors.passing())


def _get(instance: Instance, call: Call, api: str, rest: list[str]) -> Answer:
    if len(rest) == 1 and (pkey := instance.find(rest[0], api)):
        profile = instance.show(pkey, api)
        is_flat = instance.options.get_style is GetStyle.FLAT
        return answers.json(profile if is_flat else {"content": [profile]})
    if query := profile_pages.parse(instance, api, rest, call.params):
        return profile_pages.answer(instance, query)
    if len(rest) == 1:
        raise Refusal(_no_profile(instance, api, rest[0]))
    raise Refusal(instance.errors.passing())


def _patch(instance: Instance, api: str, key: str, body: bytes) -> Answer:
    pkey = instance.find(key, api)
    if pkey is None:
        raise Refusal(_no_profile(instance, api, key))
    changes = _changes(instance, api, body)
    if pkey in instance.forbidden:
        raise Refusal(instance.errors.forbidden(key))
    if not changes and instance.options.dialect is Dialect.V8:
        return Answer(HTTPStatus.NO_CONTENT)
    _check_custom_key(instance, pkey, changes)
    instance.write(pkey, changes)
    if instance.options.patch_style is PatchStyle.PROFILE:
        return answers.json(instance.show(pkey, api))
    return answers.json({"PKey": pkey, "href": instance.href(pkey, api)})


def _no_profile(instance: Instance, api: str, key: str) -> Answer:
    """Return Campaign's answer to a key in a URL without a profile."""
    custom = instance.takes_custom_keys(api) and not key.startswith("@")
    if custom or _PKEY.fullmatch(key):
        return instance.errors.unknown_key(key)
    if _FILTER.fullmatch(key) and instance.options.dialect is Dialect.STANDARD:
        return instance.errors.no_such_filter(key)
    return instance.errors.unparsable_key(key, f"rest/{api}/profile/{key}")


def _changes(instance: Instance, api: str, body: bytes) -> dict[str, Any]:
    try:
        changes = orjson.loads(body)
    except orjson.JSONDecodeError:
        changes = None
    if not isinstance(changes, dict):
        raise Refusal(instance.errors.passing())
    known = instance.fields(api)
    attribute = instance.options.attribute
    for name, value in changes.items():
        problem = f"'{name}' property is not valid for the 'profile' resource."
        if name not in known:
            raise Refusal(instance.errors.permanent(problem))
        if name in _READ_ONLY or name.endswith("LastModified"):
            text = f"Cannot update the '{name}' property that is read-only. {problem}"
            raise Refusal(instance.errors.permanent(text))
        # Campaign's treatment of "true", 1 or null is unknown. Only JSON booleans are documented.
        if name == attribute and not isinstance(value, bool):
            text = f"BAS-010040 Cannot convert '{value}' (text type) to boolean type."
            raise Refusal(instance.errors.permanent(text))
    return changes


def _check_custom_key(instance: Instance, pkey: str, changes: dict[str, Any]) -> None:
    name = instance.options.custom_key or ""
    current = instance.profiles[pkey].get(name)
    if name in changes and changes[name] != current:
        raise Refusal(
            instance.errors.permanent(
                "RST-360012 Inconsistent operation on resource 'profile' - "
                f"Cannot update key '{current}' to '{changes[name]}'"
            )
        )
