"""The field of a profile with the keys of an input, by the name of their column."""

from typing import Any

import pytest

from bulk_sync.engines.filter_search import add_match
from bulk_sync.engines.resolve import field_of
from bulk_sync.rows.results import UNREAD, Match
from bulk_sync.settings import KeyKind, Keys

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
