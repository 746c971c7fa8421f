"""The field of a profile with the keys of an input, by the name of their column."""

import asyncio
from typing import Any

import orjson
import pytest
from test_scan import Lying, serving

from bulk_sync.campaign.client import connected
from bulk_sync.campaign.profiles import Profile
from bulk_sync.engines.filter_search import EndlessError, FilterSearch, add_match
from bulk_sync.engines.resolve import field_of
from bulk_sync.rows.results import UNREAD, Match
from bulk_sync.settings import Connection, Credentials, KeyKind, Keys, Pace, Secret
from bulk_sync.stopping import Stop

CUSTOM, FILTER = KeyKind.CUSTOM, KeyKind.FILTER


@pytest.mark.parametrize(
    ("keys", "profile", "field"),
    [
        (Keys(KeyKind.EMAIL, field="E-mail address"), {}, "email"),
        (Keys(CUSTOM, field="number", key_field="code"), {"number": 1, "code": 2}, "code"),
        (Keys(CUSTOM, field="number", key_field="code"), {"number": 1}, None),
        (Keys(CUSTOM, field="Customer ID"), {"customerId": 1, "id": 2}, "customerId"),
        (Keys(CUSTOM, field="Customer ID"), {"cusCustomerId": 1}, "cusCustomerId"),
        (Keys(CUSTOM, field="code"), {"code": 1, "cusCode": 2}, None),
        (Keys(CUSTOM, field="code"), {"id": 1}, None),
        (Keys(CUSTOM, "byCode", "id_parameter", "who"), {"code": 1, "id": 2}, None),
        (Keys(FILTER, "byCode", "id_parameter", "who"), {"who": 0, "code": 1, "id": 2}, "who"),
        (Keys(FILTER, "byCode", "id_parameter", "who"), {"code": 1, "id": 2}, "code"),
        (Keys(FILTER, "byText", "id_parameter", "who"), {"code": 1, "id": 2}, "id"),
        (Keys(FILTER, "byText", "text", "who"), {"code": 1, "id": 2}, None),
    ],
    ids=[
        "an address", "named", "named and not there", "called like the column", "an added field",
        "two fields", "no field", "no filter", "a filter, and its column", "called like the filter",
        "called like the parameter", "no field of a filter",
    ],
)  # fmt: skip
def test_the_field_of_the_keys(keys: Keys, profile: dict[str, Any], field: str | None) -> None:
    assert field_of(keys, profile) == field


class Circling(Lying):
    """Two pages of a filter that lead to each other."""

    requests = 0

    def answer(self, key: str, query: dict[str, str]) -> tuple[int, bytes]:
        type(self).requests += 1
        following = 1 - int(query.get("_lineStart", 0))
        link = f"{key}?email=a%40x.com&_lineStart={following}"
        page = {
            "content": [{"PKey": f"@{following}", "email": "a@x.com", "ccpaOptOut": False}],
            "next": {"href": f"http://{self.headers['Host']}{self.path.rpartition('/')[0]}/{link}"},
        }
        return 200, orjson.dumps(page)


def test_pages_of_a_filter_that_lead_back_are_read_once() -> None:
    Circling.requests = 0

    async def search(endpoint: str) -> list[Profile]:
        credentials = Credentials("demo-key", Secret("demo-token"))
        place = Connection(endpoint, "acme", credentials, api="profileAndServices")
        async with connected(place, Pace(), Stop()) as client:
            found = FilterSearch(client, "byEmail?email={}", "a@x.com", lambda _profile: True)
            return [each async for each in found.profiles()]

    with serving(Circling) as endpoint, pytest.raises(EndlessError, match="without end"):
        asyncio.run(search(endpoint))
    assert Circling.requests == 3  # the first one finds the name of the API


@pytest.mark.parametrize(
    ("states", "state"),
    [([0], 0), ([1, 1], 1), ([0, 1], UNREAD), ([1, 0], UNREAD), ([0, 1, 1], UNREAD)],
    ids=["once", "twice alike", "false, then true", "true, then false", "three times"],
)
def test_a_profile_shown_with_two_states_has_none_until_it_is_read_by_itself(
    states: list[int], state: int
) -> None:
    found: dict[str, Match] = {}
    for each in states:
        add_match(found, Match("@a", each, 5))
    assert found == {"@a": Match("@a", state, 5)}
