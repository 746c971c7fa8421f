"""The profiles of the simulated instance: made up from a seed, or read from a CSV file.

A stored profile holds only its own fields, so a million of them fit into memory. The API shows
``STANDARD_FIELDS`` besides, with the blank values of real answers.
"""

import base64
import csv
import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

Profile = dict[str, Any]

_CHANNELS: Final = ("Email", "Fax", "Mobile", "Phone", "PostalMail")

STANDARD_FIELDS: Final[Profile] = {
    "PKey": "", "age": 0, "birthDate": "",
    "blackList": False, "blackListLastModified": "", "blackListAllLastModified": "",
    **{f"blackList{channel}": False for channel in (*_CHANNELS, "Pushnotification")},
    **{f"blackList{channel}LastModified": "" for channel in _CHANNELS},
    "created": "", "cryptedId": "", "domain": "", "email": "", "emailFormat": "unknown",
    "externalId": "", "fax": "", "firstName": "", "gender": "unknown", "href": "",
    "isExternal": False, "lastModified": "", "lastName": "",
    "location": {"address1": "", "city": "", "countryCode": "", "stateCode": "", "zipCode": ""},
    "middleName": "", "mobilePhone": "", "phone": "", "preferredLanguage": "none",
    "salutation": "", "timeZone": "none", "title": "",
}  # fmt: skip

_FIRST_NAMES = ("Ada", "Ben", "Cleo", "Dana", "Eli", "Fay", "Gus", "Hana", "Ivo", "June", "Kai")
_LAST_NAMES = ("Ash", "Birch", "Cedar", "Dale", "Elm", "Fern", "Grove", "Heath", "Iris", "Lake")
_EPOCH: Final = datetime(2019, 12, 2, 8, tzinfo=UTC)
_PKEY_BYTES: Final = 68
"""68 bytes make the 91 base64url characters of most PKeys."""


def make_up(count: int, seed: int, attribute: str) -> Iterator[Profile]:
    """Yield made-up profiles, the same for the same seed; a third of them has opted out."""
    draw = random.Random(seed)  # noqa: S311 - repeatable on purpose
    for number in range(count):
        first, last = draw.choice(_FIRST_NAMES), draw.choice(_LAST_NAMES)
        created = timestamp(_EPOCH + timedelta(seconds=61 * number))
        yield {
            "PKey": pkey(seed, number),
            "email": f"{first}.{last}.{number}@example.com".lower(),
            "firstName": first,
            "lastName": last,
            attribute: draw.random() < 1 / 3,
            f"{attribute}LastModified": "",
            "created": created,
            "lastModified": created,
        }


def read(path: Path, seed: int, attribute: str) -> Iterator[Profile]:
    """Yield the profiles of a CSV file with a header; ``PKey`` may be absent or blank.

    The attribute's cell is ``true``, ``false``, or empty for a blank value.

    Raises:
        ValueError: that cell holds something else, or a row has more cells than the header.
    """
    states = {"true": True, "false": False, "": ""}
    with path.open(encoding="utf-8-sig", newline="") as file:
        for number, row in enumerate(csv.DictReader(file, restkey="", restval="")):
            if "" in row:
                raise ValueError(f"{path}, row {number + 2}: more cells than the header has names.")
            profile: Profile = {**row, "PKey": row.get("PKey") or pkey(seed, number)}
            if attribute in row:
                cell = row[attribute].strip().lower()
                if cell not in states:
                    raise ValueError(
                        f"{path}, row {number + 2}: {attribute} is {row[attribute]!r}; "
                        "write true, false or nothing"
                    )
                profile[attribute] = states[cell]
                profile.setdefault(f"{attribute}LastModified", "")
            yield profile


def pkey(seed: int, number: int) -> str:
    """Return a PKey like Campaign's: ``@`` and 91 base64url characters."""
    digest = hashlib.shake_256(f"{seed}/{number}".encode()).digest(_PKEY_BYTES)
    return "@" + base64.urlsafe_b64encode(digest).decode().rstrip("=")


def timestamp(moment: datetime) -> str:
    """Format a time like Campaign: ``2019-09-26 11:49:48.817Z``."""
    return moment.replace(tzinfo=None).isoformat(" ", "milliseconds") + "Z"
