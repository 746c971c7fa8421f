"""Profiles in every documented shape, and keys in the path of a URL."""

from urllib.parse import quote, unquote

import pytest
from examples import examples
from hypothesis import assume, given
from hypothesis import strategies as st
from yarl import URL

from bulk_sync.campaign import profiles
from bulk_sync.errors import RetryLater

BASE = "https://mc.adobe.io/acme/campaign/"


@given(key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
@examples(80)
def test_a_key_is_one_segment_whatever_it_holds(key: str) -> None:
    url = URL(f"{BASE}profileAndServices/profile/{profiles.segment(key)}", encoded=True)
    path = url.raw_path.split("/")
    assert path[:-1] == ["", "acme", "campaign", "profileAndServices", "profile"]
    assert unquote(path[-1]) == key
    assert path[-1] not in {".", ".."}
    assert not url.raw_query_string
    assert not url.raw_fragment


@given(
    key=st.text(st.characters(exclude_categories=["Cs"]), min_size=1)
    | st.text("@aZ09_.~-/%+= \n", min_size=1)  # characters of real keys, and similar ones
)
@examples(80)
def test_a_segment_is_encoded_as_by_quote_but_for_dots_alone(key: str) -> None:
    assume(key.strip("."))
    assert profiles.segment(key) == quote(key, safe="")


@pytest.mark.parametrize("key", [".", "..", "...", "." * 50])
def test_dots_alone_are_encoded(key: str) -> None:
    assert profiles.segment(key) == "%2E" * len(key)


@pytest.mark.parametrize(
    ("key", "segment"),
    [
        ("@aB-_9", "%40aB-_9"),
        ("..", "%2E%2E"),
        (".", "%2E"),
        ("a/../b", "a%2F..%2Fb"),
        ("é", "%C3%A9"),
    ],
)
def test_a_segment_is_percent_encoded(key: str, segment: str) -> None:
    assert profiles.segment(key) == segment


@pytest.mark.parametrize(
    "parsed",
    [{"PKey": "@a", "x": True}, {"content": [{"PKey": "@a", "x": True}]}, {"href": "h", "x": True}],
    ids=["flat", "list of one", "by href"],
)
def test_one_profile_is_found_in_every_documented_shape(parsed: object) -> None:
    assert profiles.state(profiles.single(parsed, "x"), "x") is True


@pytest.mark.parametrize(
    "parsed",
    [
        [],
        {},
        None,
        3,
        {"content": []},
        {"content": [{"PKey": "@a"}, {"PKey": "@b"}]},
        {"content": [1]},
        {"error_code": "1", "message": "no"},
    ],
)
def test_anything_else_is_no_profile(parsed: object) -> None:
    with pytest.raises(RetryLater):
        profiles.single(parsed, "x")


@pytest.mark.parametrize("value", [None, "", " ", "false", "true", 0, 1, [], {}])
def test_only_a_json_boolean_is_a_state(value: object) -> None:
    assert profiles.state({"PKey": "@a", "x": value}, "x") is None
    assert profiles.state({"PKey": "@a"}, "x") is None
    assert profiles.state({"PKey": "@a", "x": False}, "x") is False


@pytest.mark.parametrize(
    ("profile", "says"),
    [
        ({}, "no attribute x"),
        ({"x": ""}, "blank x"),
        ({"x": None}, "blank x"),
        ({"x": 1}, "a number or a list for x"),
    ],
)
def test_an_unknown_state_is_explained(profile: dict[str, object], says: str) -> None:
    assert says in profiles.unknown(profile, "x").detail


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        ({}, 0),
        ({"xLastModified": None}, 0),
        ({"xLastModified": " "}, 0),
        ({"xLastModified": "2019-09-26 11:49:48.817Z"}, 1_569_498_588_817),
        ({"xLastModified": " 2019-09-26T13:49:48.8171+02:00 "}, 1_569_498_588_818),
        ({"xLastModified": "1970-01-01 00:00:00Z"}, 1),
        ({"xLastModified": "2019-09-26 11:49:48"}, -1),
        ({"xLastModified": "26.09.2019"}, -1),
        ({"xLastModified": 1_569_498_588_817}, -1),
        ({"lastModified": "2019-09-26 11:49:48.817Z"}, 0),
    ],
)
def test_a_missing_an_unclear_and_a_known_time_of_a_change_differ(
    shown: dict[str, object], expected: int
) -> None:
    assert profiles.changed_ms(shown, "x") == expected
