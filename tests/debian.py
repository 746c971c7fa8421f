"""Programs of Debian for tests: unpacked into the cache folder, and not installed."""

import fcntl
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest

_CACHE = Path(__file__).parents[1] / ".cache" / "debian"


def program(name: str, *packages: str) -> Path:
    """Return a program of the system, or of a package downloaded by apt without root.

    Releases of Debian have it in different packages, so each is tried in turn.
    """
    if (system := shutil.which(name)) is not None:
        return Path(system)
    path = _CACHE / name
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
        if not path.exists():
            if not all(map(shutil.which, ("apt-get", "dpkg-deb"))):
                pytest.skip(f"{name} is not installed, and there is no apt to download it")
            _unpack(path, packages)
    return path


def _unpack(path: Path, packages: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(dir=_CACHE) as aside:
        folder = Path(aside)
        (folder / "lists" / "partial").mkdir(parents=True)
        own = ["-o", f"Dir::State::Lists={folder / 'lists'}"]
        for lists in ([], own):
            if lists and not _works(["apt-get", "-q", "update", *own], folder):
                break
            for package in packages:
                if _works(["apt-get", "-q", "download", package, *lists], folder):
                    (file,) = folder.glob("*.deb")
                    assert _works(["dpkg-deb", "-x", file.name, "all"], folder)
                    file.unlink()
                    found = folder / "all" / "usr" / "bin" / path.name
                    if found.exists():
                        found.rename(path)
                        return
    pytest.skip(f"{path.name} is not installed, and cannot be downloaded")


def _works(words: list[str], folder: Path) -> bool:
    return not subprocess.run(words, cwd=folder, check=False, capture_output=True).returncode
