"""The description of the profile resource: its fields and filters."""

from typing import Any

from bulk_sync.simulator import answers
from bulk_sync.simulator.answers import Answer
from bulk_sync.simulator.instance import Instance
from bulk_sync.simulator.profile_pages import SORTABLE
from bulk_sync.simulator.profile_pages import filters as known_filters
from bulk_sync.simulator.sample_profiles import STANDARD_FIELDS

_TYPES = {bool: ("boolean", "boolean"), int: ("number", "long"), dict: ("link", "link")}


def profile(instance: Instance, api: str) -> Answer:
    """Return the fields of this API."""
    base = instance.base(api)
    return answers.json(
        {
            "content": {name: _field(instance, name) for name in sorted(instance.fields(api))},
            "data": f"/{api}/profile/",
            "filters": {"href": f"{base}/resourceType/profile/filters/"},
            "help": "Identified profiles",
            "href": f"{base}/profile/metadata",
            "label": "Profiles",
            "mandatory": False,
            "name": "profile",
            "readOnly": False,
            "schema": "nms:recipient",
            "type": "item",
        }
    )


def filters(instance: Instance, api: str) -> Answer:
    """Return the filters of this API."""
    params = {"byEmail": "email", "byText": "text"}
    return answers.json(
        {
            name: {
                "category": "99_none",
                "data": f"/{api}/profile/{name}?{params.get(name, 'externalId_parameter')}=$value",
                "formType": "none",
                "label": name,
            }
            for name in known_filters(instance, api)
        }
    )


def _field(instance: Instance, name: str) -> dict[str, Any]:
    blank = False if name == instance.options.attribute else STANDARD_FIELDS.get(name, "")
    kind, technical = _TYPES.get(type(blank), ("string", "string"))
    if name.endswith("LastModified") or name in ("created", "lastModified"):
        kind, technical = "datetime", "datetime"
    return {
        "apiName": name,
        "dataPolicy": "email" if name == "email" else "none",
        "name": name,
        "resType": technical,
        "sortable": name in SORTABLE,
        "type": kind,
    }
