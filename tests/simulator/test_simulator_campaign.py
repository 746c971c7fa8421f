import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from simulator_wire import API, EXT, PROFILE, Wire, wired

from bulk_sync.simulator import Dialect, ErrorStyle, GetStyle, Options, PatchStyle

UNKNOWN = "@" + "x" * 91


@pytest.fixture(scope="module")
def shared() -> Iterator[Wire]:
    with wired(Options(profiles=3, log_requests=False)) as wire:
        yield wire


def first(wire: Wire) -> str:
    return next(iter(wire.simulator.profiles))


def test_made_up_profiles_look_real_and_repeat_from_the_seed() -> None:
    with wired(Options(profiles=200, seed=7)) as one, wired(Options(profiles=200, seed=7)) as two:
        assert one.simulator.profiles == two.simulator.profiles
        assert all(re.fullmatch(r"@[\w-]{91}", key) for key in one.simulator.profiles)
        assert 40 < sum(map(bool, one.simulator.states.values())) < 100
    with wired(Options(profiles=200, seed=8)) as other:
        assert not other.simulator.profiles.keys() & one.simulator.profiles.keys()


def test_profiles_come_from_a_csv_file(tmp_path: Path) -> None:
    path = tmp_path / "profiles.csv"
    path.write_text(
        "PKey,email,ccpaOptOut,cusHobby\n"
        "a/b,a@example.com,TRUE,chess\n"
        "007,b@example.com,false,\n"
        ",c@example.com,,\n",
        "utf-8",
    )
    with wired(Options(profiles_csv=path)) as wire:
        assert list(wire.simulator.states.values()) == [True, False, ""]
        assert list(wire.simulator.profiles)[:2] == ["a/b", "007"]
        assert wire.get(f"{EXT}/profile/a%2Fb").json["cusHobby"] == "chess"
        assert "cusHobby" not in wire.get(f"{PROFILE}/a%2Fb").json


@pytest.mark.parametrize(
    ("row", "output"),
    [
        pytest.param("b,perhaps", "row 3: ccpaOptOut is 'perhaps'", id="state"),
        pytest.param("b,true,more", "row 3: more cells than the header", id="ragged"),
    ],
)
def test_the_simulator_does_not_start_with_an_unreadable_csv_file(
    tmp_path: Path, row: str, output: str
) -> None:
    path = tmp_path / "profiles.csv"
    path.write_text(f"PKey,ccpaOptOut\na,true\n{row}\n", "utf-8")
    with pytest.raises(ValueError, match=output), wired(Options(profiles_csv=path)):
        pass


def test_it_can_be_taken_for_a_proxy(shared: Wire) -> None:
    key = first(shared)
    assert shared.get(f"http://elsewhere.example{PROFILE}/{key}?x=1").json["PKey"] == key


@pytest.mark.parametrize("encoded", ["%40", "@"], ids=["percent-encoded", "raw"])
def test_a_profile_is_read_however_its_at_sign_is_written(shared: Wire, encoded: str) -> None:
    key = first(shared)
    profile = shared.get(f"{PROFILE}/{encoded}{key[1:]}").json
    assert profile["PKey"] == key
    assert profile["href"] == f"{shared.simulator.url}{PROFILE}/{key}"
    assert profile["ccpaOptOut"] is shared.simulator.profiles[key]["ccpaOptOut"]
    assert {"email", "lastModified", "ccpaOptOutLastModified", "blackListEmail"} <= profile.keys()


def test_a_profile_may_come_as_a_list_of_one() -> None:
    with wired(Options(profiles=1, get_style=GetStyle.CONTENT)) as wire:
        (profile,) = wire.get(f"{PROFILE}/{first(wire)}").json["content"]
        assert profile["PKey"] == first(wire)


@examples(80)
@given(key=st.text(st.characters(codec="utf-8"), min_size=1, max_size=40))
def test_any_key_is_one_segment_of_the_path(shared: Wire, key: str) -> None:
    shared.simulator.add(pkey=key, ccpaOptOut=False)
    segment = quote(key, safe="").replace(".", "%2E")
    reply = shared.get(f"{PROFILE}/{segment}")
    assert (reply.status, reply.json["PKey"]) == (200, key)


@pytest.mark.parametrize(
    ("path", "key"),
    [
        pytest.param("%2E%2E", "..", id="encoded dots are a key"),
        pytest.param("x/../plain", "plain", id="plain dots are steps"),
        pytest.param("/plain", "plain", id="empty segments are passed over"),
        pytest.param("a+b", "a+b", id="plus is plus"),
        pytest.param("50%", "50%", id="a lone percent sign is text"),
        pytest.param("a%252Fb", "a%2Fb", id="decoded once"),
        pytest.param("email", "email", id="a known key wins over a field"),
        pytest.param("byEmail", "byEmail", id="a known key wins over a filter"),
        pytest.param("_count", "_count", id="a known key wins over the count"),
    ],
)
def test_the_path_is_split_before_it_is_decoded(path: str, key: str) -> None:
    with wired(Options()) as wire:
        wire.simulator.add(pkey=key, ccpaOptOut=True)
        assert wire.get(f"{PROFILE}/{path}").json["PKey"] == key


@pytest.mark.parametrize("unknown", [None, "", "absent"])
def test_an_unknown_state_is_shown_as_it_is(unknown: str | None) -> None:
    with wired(Options()) as wire:
        state = {} if unknown == "absent" else {"ccpaOptOut": unknown}
        key = wire.simulator.add(email="a@example.com", **state)
        profile = wire.get(f"{PROFILE}/{key}").json
    assert profile.get("ccpaOptOut", "absent") == unknown


STANDARD = "RST-360011 An error has occurred - please contact your administrator."


@pytest.mark.parametrize("method", ["GET", "PATCH"])
@pytest.mark.parametrize(
    ("dialect", "key", "status", "text"),
    [
        pytest.param(
            Dialect.STANDARD,
            "@O5iRp40EGA",
            500,
            f"{STANDARD} 'O5iRp40EGA' attribute unknown (see definition of 'Profiles "
            "(nms:recipient)' schema). XTK-170036 Unable to parse expression "
            "'@id = @O5iRp40EGA'.",
            id="standard unparsable",
        ),
        pytest.param(
            Dialect.V8,
            "@jksad",
            404,
            "Unable to decrypt PKey. (PKey=@jksad) Unsupported endpoint. "
            "(endpoint=rest/profileAndServices/profile/@jksad)",
            id="v8 unparsable",
        ),
        pytest.param(
            Dialect.STANDARD,
            UNKNOWN,
            404,
            f"{STANDARD} Unable to find document with path 'Profile' from key '{UNKNOWN}:0' "
            f"(document with schema 'profile' and name '{UNKNOWN}')",
            id="standard unknown",
        ),
        pytest.param(
            Dialect.V8,
            UNKNOWN,
            404,
            f"Unable to find document with path 'Profile' from key '{UNKNOWN}' "
            f"(document with schema 'profile' and name '{UNKNOWN}')",
            id="v8 unknown",
        ),
        pytest.param(
            Dialect.STANDARD,
            "byUuid",
            500,
            f"{STANDARD} BAS-010040 Cannot convert 'byUuid' (text type) to 32-bit integer type.",
            id="standard filter taken for a key",
        ),
    ],
)
def test_an_unknown_key_is_not_found(
    method: str, dialect: Dialect, key: str, status: int, text: str
) -> None:
    body = {"ccpaOptOut": True} if method == "PATCH" else None
    with wired(Options(dialect=dialect)) as wire:
        reply = wire.send(method, f"{PROFILE}/{key}", body)
    assert (reply.status, reply.text) == (status, text)


def test_campaigns_errors_can_be_wrapped_in_json() -> None:
    with wired(Options(error_style=ErrorStyle.JSON)) as wire:
        reply = wire.get(f"{PROFILE}/{UNKNOWN}")
    assert reply.json["code"] == reply.status == 404
    assert "Unable to find document" in reply.json["message"]


def test_a_patch_changes_the_named_field_and_moves_the_stamps() -> None:
    with wired(Options(profiles=1)) as wire:
        key = first(wire)
        before = wire.get(f"{PROFILE}/{key}").json
        reply = wire.patch(key, {"ccpaOptOut": True})
        after = wire.get(f"{PROFILE}/{key}").json
        assert wire.simulator.patched == [(key, True)]
    assert (reply.status, reply.json) == (200, {"PKey": key, "href": before["href"]})
    moved = {name for name in after if after[name] != before[name]}
    assert moved - {"ccpaOptOut"} == {"lastModified", "ccpaOptOutLastModified"}
    assert after["ccpaOptOut"] is True
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}Z", after["lastModified"])


def test_a_patch_may_be_answered_with_the_profile() -> None:
    with wired(Options(profiles=1, patch_style=PatchStyle.PROFILE)) as wire:
        key = first(wire)
        answered = wire.patch(key, {"ccpaOptOut": True}).json
        assert answered == wire.get(f"{PROFILE}/{key}").json


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param({"nonsense": True}, "'nonsense' property is not valid", id="unknown field"),
        pytest.param({"age": 3}, "'age' property that is read-only", id="read-only"),
        pytest.param({"lastModified": ""}, "read-only", id="stamp"),
        pytest.param({"ccpaOptOut": "true"}, "Cannot convert 'true'", id="text"),
        pytest.param({"ccpaOptOut": 1}, "Cannot convert '1'", id="number"),
        pytest.param({"ccpaOptOut": None}, "Cannot convert 'None'", id="null"),
        pytest.param([True], STANDARD, id="not an object"),
        pytest.param(b"{", STANDARD, id="not JSON"),
        pytest.param(b"", STANDARD, id="empty"),
    ],
)
def test_an_impossible_patch_is_a_500_and_changes_nothing(body: object, text: str) -> None:
    with wired(Options(profiles=1)) as wire:
        key = first(wire)
        before = dict(wire.simulator.profiles[key])
        reply = wire.patch(key, body)
        assert reply.status == 500
        assert text in reply.text
        assert wire.simulator.profiles[key] == before
        assert wire.simulator.patched == []


@pytest.mark.parametrize(("dialect", "status"), [(Dialect.STANDARD, 200), (Dialect.V8, 204)])
def test_an_empty_patch(dialect: Dialect, status: int) -> None:
    with wired(Options(profiles=1, dialect=dialect)) as wire:
        assert wire.patch(first(wire), {}).status == status


def test_a_forbidden_profile_can_be_read_but_not_modified() -> None:
    with wired(Options(profiles=1)) as wire:
        key = first(wire)
        wire.simulator.forbidden.add(key)
        assert wire.get(f"{PROFILE}/{key}").status == 200
        reply = wire.patch(key, {"ccpaOptOut": True})
        assert reply.status == 403
        assert "You do not have the rights needed to modify" in reply.text
        assert wire.simulator.patched == []


def test_a_post_creates_a_profile_with_a_key_of_its_own() -> None:
    with wired(Options(profiles=1)) as wire:
        reply = wire.send("POST", f"{PROFILE}/", {"email": "new@example.com"})
        created = reply.json
        assert reply.status == 201
        assert created["ccpaOptOut"] is False
        assert wire.get(f"{PROFILE}/{created['PKey']}").json == created
        assert len(wire.simulator.profiles) == 2


def test_a_custom_field_is_on_the_extended_api_only() -> None:
    options = Options(
        profiles=1, attribute="cusOptOutCcpa", attribute_apis=("profileAndServicesExt",)
    )
    with wired(options) as wire:
        key = first(wire)
        assert "cusOptOutCcpa" not in wire.get(f"{PROFILE}/{key}").json
        assert wire.patch(key, {"cusOptOutCcpa": True}).status == 500
        assert "cusOptOutCcpa" not in wire.get(f"{API}/resourceType/profile").json["content"]
        assert wire.send("PATCH", f"{EXT}/profile/{key}", {"cusOptOutCcpa": True}).status == 200
        assert wire.get(f"{EXT}/profile/{key}").json["cusOptOutCcpa"] is True


def test_a_custom_key_finds_its_profile_on_the_extended_api_only() -> None:
    with wired(Options(custom_key="cusId")) as wire:
        key = wire.simulator.add(cusId="A/1", ccpaOptOut=False)
        assert wire.get(f"{EXT}/profile/A%2F1").json["PKey"] == key
        assert wire.get(f"{EXT}/profile/A%2F2").status == 404
        assert wire.get(f"{PROFILE}/A%2F1").status == 500
        reply = wire.send("PATCH", f"{EXT}/profile/A%2F1", {"cusId": "A/2"})
        assert "RST-360012 Inconsistent operation" in reply.text
        assert wire.send("PATCH", f"{EXT}/profile/A%2F1", {"ccpaOptOut": True}).status == 200
        assert wire.simulator.patched == [(key, True)]


def test_metadata_describes_fields_and_links_to_filters() -> None:
    with wired(Options(profiles=1)) as wire:
        metadata = wire.get(f"{API}/resourceType/profile").json
        href = metadata["filters"]["href"].removeprefix(wire.simulator.url)
        assert wire.get(href).json.keys() == {"byEmail", "byText"}
    field = metadata["content"]["ccpaOptOut"]
    assert (field["apiName"], field["type"]) == ("ccpaOptOut", "boolean")
    assert metadata["content"]["email"]["dataPolicy"] == "email"
    assert metadata["content"]["lastModified"]["sortable"] is True


@pytest.mark.parametrize(
    ("method", "path"),
    [
        pytest.param("DELETE", "profile/x", id="method"),
        pytest.param("GET", "service", id="resource"),
        pytest.param("GET", "profile/x/y/z", id="too deep"),
    ],
)
def test_other_paths_are_a_bare_500(method: str, path: str) -> None:
    with wired(Options(profiles=1)) as wire:
        reply = wire.send(method, f"{API}/{path}")
    assert (reply.status, reply.text) == (500, STANDARD)
