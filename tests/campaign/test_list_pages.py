"""Lists and counts of profiles in every documented shape."""

from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.campaign import list_pages
from bulk_sync.campaign.profiles import Profile
from bulk_sync.campaign.responses import Response, document
from bulk_sync.errors import RetryLater

NEXT = "profileAndServices/profile/?_lineCount=1&_lineStart=@abc"
FORCED = f"{NEXT}&_forcePagination=true"


@pytest.mark.parametrize(
    ("href", "path"),
    [
        (f"https://mc.adobe.io/acme/campaign/{NEXT}", FORCED),
        (f"/{NEXT}", FORCED),
        (NEXT, FORCED),
        (f"https://mc.adobe.io/acme/{NEXT}", FORCED),
        (f"https://evil.example/acme/campaign/{NEXT}", FORCED),
        (
            "https://mc.adobe.io/acme/campaign/\n profileAndServices/profile?_lineStart=@a",
            "profileAndServices/profile?_lineStart=@a&_forcePagination=true",
        ),
        (
            "/profileAndServices/profile//?_forcePagination=true",
            "profileAndServices/profile//?_forcePagination=true",
        ),
        ("/profilesAndServices/profile", "profilesAndServices/profile?_forcePagination=true"),
        ("https://mc.adobe.io/acme/campaign/profileAndServices/../../x", None),
        ("https://mc.adobe.io/elsewhere", None),
        ("//evil.example/x", None),
        ("http://[::1/profileAndServices/profile", None),
    ],
)
def test_a_link_is_followed_only_below_the_endpoint(href: str, path: str | None) -> None:
    assert list_pages.path(href, forced=True) == path


@pytest.mark.parametrize(
    ("count", "total", "path"),
    [
        (
            {"href": "/profileAndServices/profile//_count?_lineCount=1"},
            None,
            "profileAndServices/profile//_count?_lineCount=1",
        ),
        ({"href": "/x", "value": 12}, 12, None),
        ({"value": 0}, 0, None),
        (26, 26, None),
        (True, None, None),
        (None, None, None),
        ({"value": -1}, None, None),
    ],
)
def test_the_number_of_profiles_is_inline_or_behind_a_link(
    count: object, total: int | None, path: str | None
) -> None:
    page = list_pages.read({"content": [], "count": count}, NEXT)
    assert (page.total, page.count_path) == (total, path)


def test_a_list_without_a_usable_next_link_is_an_error() -> None:
    rows = [{"PKey": "@a"}]
    assert list_pages.read({"content": rows, "serverSidePagination": False}, NEXT).cut_short
    assert list_pages.read({"content": rows, "next": {"href": "/elsewhere"}}, NEXT).cut_short
    assert not list_pages.read({"content": rows}, NEXT).cut_short
    assert not list_pages.read({"content": rows, "next": {"href": f"/{NEXT}"}}, NEXT).cut_short


@pytest.mark.parametrize(
    ("rows", "number", "requested", "cut_short"),
    [
        (0, None, "_lineCount=100", False),
        (1, None, "_lineCount=100", False),
        (24, 24, "_lineCount=100", False),
        (25, 25, "_lineCount=100", True),
        (100, None, "_lineCount=100", True),
        (9, None, "_lineCount=10", False),
        (10, None, "_lineCount=10", True),
        (1, None, "_lineStart=@a", True),
        (1, 2, "_lineCount=100", True),
        (1, 101, "_lineCount=100&_lineStart=@a", False),
    ],
)
def test_only_a_full_page_or_one_with_a_larger_count_hides_that_there_are_more(
    rows: int, number: int | None, requested: str, cut_short: bool
) -> None:
    content = [{"PKey": f"@{row}"} for row in range(rows)]
    page = {"content": content, "count": {"value": number}, "serverSidePagination": False}
    path = f"profileAndServices/profile/byEmail?email=a%40b.c&{requested}"
    assert list_pages.read(page, path).cut_short is cut_short


@pytest.mark.parametrize("parsed", [[], {}, {"content": {}}, None])
def test_anything_else_is_no_list(parsed: object) -> None:
    with pytest.raises(RetryLater):
        list_pages.read(parsed, NEXT)


FIELDS = {"PKey", "ccpaOptOut"}
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-9, 9), st.floats(allow_nan=False), st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["PKey", "x"]), inner),
    max_leaves=3,
)
PROFILES = st.dictionaries(st.sampled_from(["PKey", "ccpaOptOut", "email", "\u00e4"]), VALUES)
AROUND = st.dictionaries(st.sampled_from(["next", "count", "serverSidePagination", "x"]), VALUES)
PAGES: st.SearchStrategy[object] = st.builds(
    dict, AROUND, content=st.lists(st.one_of(PROFILES, PROFILES, VALUES))
)


def parse_or_error(parse: Callable[[Response], object], body: bytes) -> list_pages.ListPage | str:
    """Parse a page for some fields of profiles, and return it or the text of its error."""
    try:
        page = list_pages.read(parse(Response(200, body)), NEXT)
    except RetryLater as later:
        return later.detail
    of: list[Profile] = [
        {name: each[name] for name in each if name in FIELDS} for each in page.profiles
    ]
    return replace(page, profiles=of)


@given(PAGES | VALUES, st.just(0) | st.integers(0, 9), st.sampled_from([b"", b"}", b"\xff"]))
def test_a_page_read_for_some_fields_holds_the_same(
    page: object, cut_off: int, added: bytes
) -> None:
    written = orjson.dumps(page)
    body = written[: len(written) - cut_off] + added
    assert parse_or_error(list_pages.parser_of(FIELDS), body) == parse_or_error(document, body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"content": [{"PKey": "@a", "PKey": "@b", "ccpaOptOut": true, "ccpaOptOut": false}]}',
        b'{"content": [{"PKey": "@a"}], "content": [{"\\u0050Key": "@b", "ccpaOptOut": true}]}',
        b'{"content": [{"PKey": "\\ud800"}]}',
        b'{"content": [{"PKey": "@\xff"}]}',
        b'{"content": [{"PKey": 1e999}]}',
        b'{"content": [{"PKey": "@a", "x": ' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}]}",
        b'{"content": [{"PKey": "@a"}]} {"content": []}',
        b"",
    ],
)
def test_an_odd_page_is_read_in_the_same_way(body: bytes) -> None:
    assert parse_or_error(list_pages.parser_of(FIELDS), body) == parse_or_error(document, body)


@pytest.mark.parametrize("skipped", [b'"x": "\xff"', b'"\xff": 1', b'"x": 1e999'])
def test_errors_in_unused_fields_do_not_spoil_a_page(skipped: bytes) -> None:
    body = b'{"content": [{"PKey": "@a", ' + skipped + b"}]}"
    page = parse_or_error(list_pages.parser_of(FIELDS), body)
    assert isinstance(page, list_pages.ListPage)
    assert page.profiles == [{"PKey": "@a"}]


def test_unused_fields_are_not_in_the_page() -> None:
    parsed = list_pages.parser_of(FIELDS)(
        Response(200, b'{"content": [{"PKey": "@a", "email": "x"}]}')
    )
    assert parsed == {"content": [{"PKey": "@a"}]}
