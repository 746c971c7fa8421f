"""A ledger that is at work, or that its reader may not change or open, is not called altered."""

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import unprivileged
from conftest import Run
from ledger_lines import OTHER, RUN, fill

from bulk_sync import ledger
from bulk_sync.ledger import Ledger, connect
from bulk_sync.settings import State

LINES = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a copy of a state folder; half of its lines lie beside the ledger, in the log."""
    at_work, copied = tmp_path / "at-work", tmp_path / "state"
    with ledger.open_ledger(State(at_work)) as book:
        fill(book, 4, RUN)
    with closing(sqlite3.connect(at_work / "ledger.sqlite3")) as reader:
        reader.execute("SELECT position FROM lines").fetchone()
        with ledger.open_ledger(State(at_work)) as book:
            fill(book, 4, OTHER)
        shutil.copytree(at_work, copied)
    assert (copied / "ledger.sqlite3-wal").stat().st_size
    return copied


def type_line(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Type a command about a state folder, with no rights but those that its files give."""
    return unprivileged.run_copy(*words, "--state-dir", str(folder), cwd=folder.parent)


def test_a_reader_sees_the_lines_in_the_log_beside_the_ledger(folder: Path) -> None:
    for path in (*folder.iterdir(), folder):
        path.chmod(0o500 if path.is_dir() else 0o400)
    ran = type_line(folder, "ledger", "verify")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert f"all {LINES} lines fit" in ran.stdout
    listed = type_line(folder, "runs").stdout
    assert RUN in listed
    assert OTHER in listed


@pytest.mark.parametrize("name", ["ledger.sqlite3", "ledger.sqlite3-wal", "ledger.sqlite3-shm"])
def test_a_ledger_that_this_user_may_not_read_is_no_altered_one(name: str, folder: Path) -> None:
    (folder / name).chmod(0)
    folder.chmod(0o500)
    ran = type_line(folder, "ledger", "verify")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "cannot be opened: unable to open database file. See that you may read it" in ran.stderr


def test_a_note_of_the_end_that_this_user_may_not_read_is_not_to_be_moved_away(
    folder: Path,
) -> None:
    (folder / "ledger.anchor").chmod(0)
    ran = type_line(folder, "ledger", "verify")
    assert (ran.returncode, ran.stdout) == (2, "")
    assert "cannot be read: Permission denied. See that you may read it" in ran.stderr


@pytest.mark.parametrize("times", [1, 3])
def test_a_ledger_that_grows_meanwhile_is_no_altered_one(
    times: int, folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends, runs = Ledger.chain_end, [f"20261129T0200{number:02d}Z-7f3a9c" for number in range(times)]

    def gone_on(book: Ledger) -> object:
        if runs:
            with ledger.open_ledger(State(folder)) as other:
                fill(other, 4, runs.pop())
        return ends(book)

    monkeypatch.setattr(Ledger, "chain_end", gone_on)
    ran = run(None, "ledger", "verify")
    assert ran.status == 0, ran.out
    assert f"all {LINES + 10 * times} lines fit" in ran.out


def test_a_ledger_that_another_program_holds_is_no_altered_one(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "_BUSY_S", 0)
    with closing(sqlite3.connect(folder / "ledger.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        ran = run(None, "ledger", "verify")
    assert (ran.status, ran.out) == (2, "")
    assert "Another program is using it; try again when that has ended." in ran.err
