"""A file appears whole or not at all, and only its owner can read it."""

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from stat import S_IMODE

import pytest

from bulk_sync.storage import atomic


def test_a_file_is_private_from_the_moment_it_is_made(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with atomic.replacing(tmp_path / "report.csv") as file:
            assert S_IMODE(os.fstat(file.fileno()).st_mode) == 0o600
    finally:
        os.umask(before)
    assert S_IMODE((tmp_path / "report.csv").stat().st_mode) == 0o600


def test_there_is_no_file_until_the_block_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "report.csv"
    with atomic.replacing(path) as file:
        file.write(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]


def fill_and_fail(path: Path, failure: type[BaseException]) -> None:
    with atomic.replacing(path) as file:
        file.write(b"new")
        raise failure


@pytest.mark.parametrize("failure", [OSError, ValueError, KeyboardInterrupt])
def test_a_failure_leaves_the_older_file_and_no_other(
    tmp_path: Path, failure: type[BaseException]
) -> None:
    path = tmp_path / "report.csv"
    path.write_bytes(b"old")
    with pytest.raises(failure):
        fill_and_fail(path, failure)
    assert path.read_bytes() == b"old"
    assert [path.name for path in tmp_path.iterdir()] == ["report.csv"]


@pytest.mark.parametrize("is_link", [False, True])
def test_what_is_no_file_is_not_replaced(is_link: bool, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with (
        pytest.raises(FileExistsError, match="what has this name is no file"),
        atomic.replacing(tmp_path / ("link" if is_link else "pipe")),
    ):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "pipe"]
    assert (tmp_path / "link").is_symlink()


def test_a_link_is_replaced_and_its_target_is_not(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"target")
    (tmp_path / "report.csv").symlink_to(tmp_path / "target")
    with atomic.replacing(tmp_path / "report.csv") as file:
        file.write(b"new")
    assert (tmp_path / "target").read_bytes() == b"target"
    assert (tmp_path / "report.csv").read_bytes() == b"new"


def test_a_name_of_the_greatest_length_is_no_problem(tmp_path: Path) -> None:
    path = tmp_path / ("x" * 251 + ".csv")
    with atomic.replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"


def test_an_existing_file_keeps_its_content_and_the_locks_of_this_process(
    tmp_path: Path,
) -> None:
    path = tmp_path / "ledger.sqlite3"
    atomic.make_private(path)
    assert S_IMODE(path.stat().st_mode) == 0o600
    with path.open("w") as file:
        print("lines", file=file, flush=True)
        fcntl.lockf(file, fcntl.LOCK_EX)
        atomic.make_private(path)
        code = (
            "import fcntl, sys; fcntl.lockf(open(sys.argv[1], 'a'), fcntl.LOCK_EX | fcntl.LOCK_NB)"
        )
        other = subprocess.run(
            [sys.executable, "-c", code, str(path)], check=False, capture_output=True, text=True
        )
    assert "BlockingIOError" in other.stderr
    assert path.read_text() == "lines\n"
