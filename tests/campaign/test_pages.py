"""Lists and counts of profiles in every shape that the documentation shows."""

import pytest

from bulk_sync.campaign import pages
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
    assert pages.path(href, forced=True) == path


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
    page = pages.read({"content": [], "count": count})
    assert (page.total, page.count_path) == (total, path)


def test_a_list_that_cannot_go_on_is_noticed() -> None:
    rows = [{"PKey": "@a"}]
    assert pages.read({"content": rows, "serverSidePagination": False}).cut_short
    assert pages.read({"content": rows, "next": {"href": "/elsewhere"}}).cut_short
    assert not pages.read({"content": rows}).cut_short
    assert not pages.read({"content": rows, "next": {"href": f"/{NEXT}"}}).cut_short


@pytest.mark.parametrize("parsed", [[], {}, {"content": {}}, None])
def test_anything_else_is_no_list(parsed: object) -> None:
    with pytest.raises(RetryLater):
        pages.read(parsed)
