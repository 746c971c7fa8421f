"""Adobe's own Node SDK, unmodified, works with the simulator."""

from pathlib import Path
from typing import Any

import npm
import orjson
import pytest

from bulk_sync.simulator import Options, running


@pytest.fixture(scope="module")
def seen() -> dict[str, Any]:
    sdk = npm.installed(Path(__file__).parent / "sdk")
    with running(Options(profiles=3, seed=2)) as simulator:
        seen: dict[str, Any] = orjson.loads(
            npm.node(sdk / "scenario.js", simulator.url, "acme", "demo-key", "demo-token")
        )
        seen["patched"] = list(simulator.patched)
        seen["keys"] = list(simulator.profiles)
    return seen


def test_it_lists_profiles(seen: dict[str, Any]) -> None:
    assert seen["listed"]["status"] == 200
    assert [one["PKey"] for one in seen["listed"]["body"]["content"]] == seen["keys"][:2]
    assert "next" in seen["listed"]["body"]


def test_it_reads_a_profile(seen: dict[str, Any]) -> None:
    assert seen["got"]["status"] == 200
    assert seen["got"]["body"]["PKey"] == seen["key"]
    assert isinstance(seen["got"]["body"]["ccpaOptOut"], bool)


def test_it_updates_a_profile(seen: dict[str, Any]) -> None:
    assert seen["updated"]["status"] == 200
    assert seen["updated"]["body"].keys() == {"PKey", "href"}
    assert seen["patched"] == [(seen["key"], True)]


def test_it_creates_a_profile(seen: dict[str, Any]) -> None:
    assert seen["created"]["status"] == 201
    assert seen["created"]["body"]["email"] == "made.up@example.com"
    assert seen["created"]["body"]["PKey"] in seen["keys"]


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ("token", "401 - Unauthorized"),
        ("key", "403 - Forbidden"),
        ("organization", "500 - Internal Server Error"),
        ("gibberish", "XTK-170036"),
    ],
)
def test_it_reports_the_error(seen: dict[str, Any], wrong: str, text: str) -> None:
    assert text in seen["failures"][wrong]
