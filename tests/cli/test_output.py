"""A run without readers, or with a late stop, still leaves its report."""

import os
import signal
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import copies
import pytest
from conftest import Run, populate, read_csv, write_states

from bulk_sync import report
from bulk_sync.simulator import Simulator

Ended = subprocess.CompletedProcess[str]
GONE = "a reader that has gone"


@pytest.fixture
def environment(sim: Simulator, tmp_path: Path) -> dict[str, str]:
    """Return the variables of a command in a folder with a file."""
    populate(sim, 3)
    write_states(tmp_path / "in.csv", 3)
    return os.environ | {
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_ACCESS_TOKEN": "demo-token",
        "BULK_SYNC_STATE_DIR": str(tmp_path / "state"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }


def type_line(environment: dict[str, str], line: str, **streams: str) -> Ended:
    """Type a line; some of its streams are files, or a pipe without a reader."""
    with ExitStack() as held:
        given: dict[str, Any] = {}
        for name, path in streams.items():
            if path == GONE:
                read, file = os.pipe()
                os.close(read)
            else:
                file = os.open(path, os.O_WRONLY)
            held.callback(os.close, file)
            given[name] = file
        return copies.run_copy(line.split()[1:], env=environment, text=True, **given)


def shell(environment: dict[str, str], line: str) -> Ended:
    words = ["/bin/sh", "-c", line]
    return subprocess.run(words, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("words", "streams"),
    [
        ("", {"stdout": "/dev/full"}),
        ("", {"stdout": GONE}),
        (" -v", {"stderr": "/dev/full"}),
        (" --summary json", {"stdout": "/dev/full"}),
    ],
)
def test_a_run_goes_on_without_readers(
    environment: dict[str, str], tmp_path: Path, words: str, streams: dict[str, str]
) -> None:
    ended = type_line(environment, f"bulk-sync run in.csv --report r.csv{words}", **streams)
    assert ended.returncode == 0, ended.stderr
    assert [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")] == ["updated"] * 3


def test_a_run_goes_on_without_streams(environment: dict[str, str], tmp_path: Path) -> None:
    ended = shell(environment, "bulk-sync run in.csv --report r.csv >&- 2>&- <&-")
    assert ended.returncode == 0
    assert [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")] == ["updated"] * 3


@pytest.mark.parametrize("line", ["validate in.csv --summary json", "plan in.csv"])
def test_lost_output_is_a_warning(environment: dict[str, str], line: str) -> None:
    lost = type_line(environment, f"bulk-sync {line}", stdout="/dev/full")
    assert "The output could not be written: No space left on device." in lost.stderr


@pytest.mark.parametrize(("stdout", "status"), [("/dev/full", 6), (GONE, 0)])
@pytest.mark.parametrize(
    "words",
    ["help", "help nightly", "runs", "runs --json", "history @a", "holidays 2026", "check",
     "ledger verify", "users list", "recipe", "validate in.csv --summary json"],
)  # fmt: skip
def test_an_answer_that_is_lost_is_not_done(
    environment: dict[str, str], words: str, stdout: str, status: int
) -> None:
    type_line(environment, "bulk-sync run in.csv")
    assert type_line(environment, f"bulk-sync {words}", stdout=stdout).returncode == status


@pytest.mark.parametrize(("stdout", "status"), [("/dev/full", 6), (GONE, 0)])
def test_a_recipe_that_is_lost_is_not_done(
    environment: dict[str, str], stdout: str, status: int
) -> None:
    ended = type_line(environment, "bulk-sync recipe cron in.csv", stdout=stdout)
    assert ended.returncode == status
    assert ("crontab -e" in ended.stderr) == (status == 0)


def test_output_after_its_reader_has_closed_is_no_warning(environment: dict[str, str]) -> None:
    ended = type_line(environment, "bulk-sync validate in.csv", stdout=GONE)
    assert "The output could not be written" not in ended.stderr


def test_a_closed_standard_input_is_an_empty_one(environment: dict[str, str]) -> None:
    ended = shell(environment, "bulk-sync validate - <&-")
    assert ended.returncode == 2
    assert "Standard input is empty" in ended.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_writes_waits_for_the_report(
    sim: Simulator,
    tmp_path: Path,
    run: Run,
    number: signal.Signals,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    populate(sim, 3)
    write = report.write

    def signalled(*words: Any, **named: Any) -> object:
        os.kill(os.getpid(), number)
        return write(*words, **named)

    monkeypatch.setattr(report, "write", signalled)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3), "--report", "r.csv")
    assert ran.status == 0, ran.err
    assert "second signal" in ran.err
    assert len(read_csv(tmp_path / "r.csv")) == 3
