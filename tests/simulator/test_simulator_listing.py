from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from simulator_wire import API, EXT, PROFILE, Wire, wired

from bulk_sync.simulator import CountStyle, Dialect, NextStyle, Options, ScanFault


@pytest.fixture(scope="module")
def sixty() -> Iterator[Wire]:
    with wired(Options(profiles=60)) as wire:
        yield wire


def keys(pages: Sequence[Any]) -> list[str]:
    return [profile["PKey"] for page in pages for profile in page["content"]]


@pytest.mark.parametrize(
    ("path", "sizes"),
    [
        pytest.param("profile", [25, 25, 10], id="default"),
        pytest.param("profile/", [25, 25, 10], id="trailing slash"),
        pytest.param("profile.json", [25, 25, 10], id="suffix"),
        pytest.param("profile?_lineCount=40", [40, 20], id="line count"),
        pytest.param("profile?_lineCount=30", [30, 30], id="even"),
        pytest.param("profile?_lineCount=60", [60], id="all"),
    ],
)
def test_pages_show_every_profile_once(sixty: Wire, path: str, sizes: list[int]) -> None:
    pages = list(sixty.follow(f"{API}/{path}"))
    assert [len(page["content"]) for page in pages] == sizes
    assert keys(pages) == list(sixty.simulator.profiles)
    assert all(page["serverSidePagination"] is True for page in pages)


def test_the_server_caps_the_page_size() -> None:
    with wired(Options(profiles=25, max_line_count=10)) as wire:
        pages = list(wire.follow(f"{PROFILE}?_lineCount=1000"))
    assert [len(page["content"]) for page in pages] == [10, 10, 5]


@pytest.mark.parametrize("count", ["0", "-1", "many", ""])
def test_an_invalid_page_size_is_a_500(sixty: Wire, count: str) -> None:
    reply = sixty.get(f"{PROFILE}?_lineCount={count}")
    assert reply.status == 500
    assert "XTK-170006" in reply.text


def test_a_cursor_works_only_for_the_list_that_gave_it(sixty: Wire) -> None:
    (page, *_) = sixty.follow(PROFILE)
    cursor = page["next"]["href"].partition("_lineStart=")[2]
    assert len(cursor) == 49
    assert cursor[0] == "@"
    assert sixty.get(f"{PROFILE}?_lineStart={cursor}").status == 200
    for forged in (
        f"{PROFILE}?_lineStart={cursor[:-1]}B",
        f"{PROFILE}?_lineStart=25",
        f"{PROFILE}?_lineStart=",
        f"{PROFILE}?_order=email&_lineStart={cursor}",
        f"{PROFILE}/email?_lineStart={cursor}",
        f"{EXT}/profile?_lineStart={cursor}",
    ):
        assert sixty.get(forged).status == 500, forged


def test_a_profile_deleted_during_a_scan_shifts_no_other() -> None:
    with wired(Options(profiles=60)) as wire:
        everyone = list(wire.simulator.profiles)
        pages = wire.follow(PROFILE)
        seen = [next(pages)]
        del wire.simulator.profiles[everyone[0]], wire.simulator.profiles[everyone[30]]
        seen += list(pages)
    assert keys(seen) == everyone[:30] + everyone[31:]


@pytest.mark.parametrize(
    ("style", "start"),
    [
        (NextStyle.ABSOLUTE, "{url}/acme/campaign/profileAndServices/profile/?"),
        (NextStyle.RELATIVE, "/profileAndServices/profile/?"),
        (NextStyle.ROOTED, "/acme/campaign/profileAndServices/profile/?"),
        (NextStyle.DOUBLE_SLASH, "{url}/acme/campaign/profileAndServices//profile/?"),
        (NextStyle.FOREIGN_HOST, "https://campaign.example.net/acme/campaign/"),
    ],
)
def test_the_next_link_has_the_style_of_the_options(style: NextStyle, start: str) -> None:
    with wired(Options(profiles=2, next_style=style)) as wire:
        href = wire.get(f"{PROFILE}?_lineCount=1").json["next"]["href"]
        assert href.startswith(start.format(url=wire.simulator.url))
        path = href[href.index("/profileAndServices") :]
        assert wire.get(f"/acme/campaign{path}").json["content"]


def test_a_big_table_has_no_next_page_unless_it_is_forced() -> None:
    with wired(Options(profiles=30, big_table_threshold=29)) as wire:
        page = wire.get(PROFILE).json
        assert "next" not in page
        assert page["serverSidePagination"] is False
        assert len(keys(list(wire.follow(f"{PROFILE}?_forcePagination=true")))) == 30
        assert len(keys(list(wire.follow(f"{PROFILE}?_forcePagination=false")))) == 25


def test_a_next_link_may_forget_that_pagination_was_forced() -> None:
    options = Options(profiles=60, big_table_threshold=29, next_keeps_force=False)
    with wired(options) as wire:
        assert len(keys(list(wire.follow(f"{PROFILE}?_forcePagination=true")))) == 50


def test_a_table_at_the_threshold_is_not_big() -> None:
    with wired(Options(profiles=30, big_table_threshold=30)) as wire:
        assert len(keys(list(wire.follow(PROFILE)))) == 30


@pytest.mark.parametrize(
    ("fault", "seen"),
    [(ScanFault.NONE, 100), (ScanFault.ENDS_EARLY, 50), (ScanFault.LOOPS, 325)],
)
def test_each_scan_fault_has_its_effect_on_the_list(fault: ScanFault, seen: int) -> None:
    with wired(Options(profiles=100, scan_fault=fault)) as wire:
        pages = list(wire.follow(PROFILE, most=13))
        assert len(keys(pages)) == seen
        assert wire.get(f"{PROFILE}//_count").json == {"count": 100}


def test_hidden_profiles_are_missing_from_list_and_count_only() -> None:
    options = Options(profiles=100, scan_fault=ScanFault.HIDES, scan_hides_share=0.3)
    with wired(options) as wire:
        listed = keys(list(wire.follow(PROFILE)))
        hidden = wire.simulator.profiles.keys() - set(listed)
        assert 15 < len(hidden) < 45
        assert wire.get(f"{PROFILE}//_count").json == {"count": len(listed)}
        assert wire.get(f"{PROFILE}/{min(hidden)}").status == 200


def test_a_count_is_a_link_a_link_with_the_number_or_missing() -> None:
    with wired(Options(profiles=26)) as wire:
        href = wire.get(f"{PROFILE}?_lineCount=1").json["count"]["href"]
        assert "/profile//_count?_lineCount=1&_lineStart=@" in href
        assert wire.get(href.removeprefix(wire.simulator.url)).json == {"count": 26}
    with wired(Options(profiles=26, count_style=CountStyle.INLINE)) as wire:
        assert wire.get(PROFILE).json["count"]["value"] == 26
    with wired(Options(profiles=26, count_style=CountStyle.NONE)) as wire:
        assert "count" not in wire.get(PROFILE).json


@pytest.mark.parametrize("direction", ["", "%20asc", "%20desc"])
def test_a_list_is_ordered_across_pages(sixty: Wire, direction: str) -> None:
    pages = list(sixty.follow(f"{PROFILE}?_order=email{direction}"))
    emails = [profile["email"] for page in pages for profile in page["content"]]
    assert emails == sorted(emails, reverse=direction == "%20desc")
    assert len(set(emails)) == 60


@pytest.mark.parametrize("order", ["ccpaOptOut", "nonsense", "email%20sideways"])
def test_a_field_that_is_not_sortable_is_a_500(sixty: Wire, order: str) -> None:
    assert sixty.get(f"{PROFILE}?_order={order}").status == 500


@pytest.mark.parametrize("suffix", ["", ".json"])
def test_a_field_is_listed_as_bare_values(sixty: Wire, suffix: str) -> None:
    pages = list(sixty.follow(f"{PROFILE}/PKey{suffix}?_lineCount=40"))
    assert [value for page in pages for value in page["content"]] == list(sixty.simulator.profiles)
    assert "count" not in pages[0]


def test_v8_counts_a_field_listing() -> None:
    with wired(Options(profiles=3, dialect=Dialect.V8)) as wire:
        assert wire.get(f"{PROFILE}/email").json.keys() == {
            "content",
            "count",
            "serverSidePagination",
        }


PEOPLE = {
    "one": {"email": "jo@example.com", "lastName": "Doe", "externalId": "1"},
    "two": {"email": "jo@example.com", "lastName": "Roe", "externalId": "2"},
    "three": {"email": "jo@example.com.au", "lastName": "Poe", "externalId": "3"},
    "four": {"email": "Jo@example.com", "lastName": "jo@", "externalId": "4"},
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param("profile/byEmail?email=jo%40example.com", "one two", id="email"),
        pytest.param("profile/byEmail?email=no%40example.com", "", id="none"),
        pytest.param(
            "profile/byText?text=jo%40example.com&filterType=email",
            "one two three",
            id="prefix and case",
        ),
        pytest.param("profile/byText?text=jo%40", "one two three four", id="email or last name"),
        pytest.param("profile/byText?text=oe", "one two three", id="within"),
        pytest.param(
            "profile/byEmail/byText?email=jo%40example.com&text=Roe", "two", id="combined"
        ),
        pytest.param("profile.json/byEmail?email=jo%40example.com.au", "three", id="suffix"),
    ],
)
@pytest.mark.parametrize("api", [API, EXT])
def test_a_filter_finds(api: str, path: str, found: str) -> None:
    with wired(Options()) as wire:
        for key, fields in PEOPLE.items():
            wire.simulator.add(pkey=key, **fields)
        assert keys([wire.get(f"{api}/{path}").json]) == found.split()


@pytest.mark.parametrize(
    ("dialect", "name", "stranger"),
    [(Dialect.STANDARD, "byExternalId", "ExternalId"), (Dialect.V8, "ExternalId", "byExternalId")],
)
def test_a_custom_filter_works_on_the_extended_api_only(
    dialect: Dialect, name: str, stranger: str
) -> None:
    query = "externalId_parameter=2"
    with wired(Options(dialect=dialect)) as wire:
        for key, fields in PEOPLE.items():
            wire.simulator.add(pkey=key, **fields)
        assert keys([wire.get(f"{EXT}/profile/{name}?{query}").json]) == ["two"]
        refused = [f"{API}/profile/{name}", f"{EXT}/profile/{stranger}"]
        statuses = {wire.get(f"{path}?{query}").status for path in refused}
        assert statuses == {500 if dialect is Dialect.STANDARD else 404}
