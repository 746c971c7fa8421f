"""A run that nobody listens to, or that is told to stop late, still leaves its report."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import populate, read_csv, wishes

from bulk_sync.simulator import Simulator


def shell(sim: Simulator, folder: Path, line: str) -> subprocess.CompletedProcess[str]:
    populate(sim, 3)
    wishes(folder / "in.csv", 3)
    environment = os.environ | {
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_ACCESS_TOKEN": "demo-token",
        "BULK_SYNC_STATE_DIR": str(folder / "state"),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", line],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


@pytest.mark.parametrize(
    "line",
    [
        "bulk-sync run in.csv --report r.csv >/dev/full",
        "bulk-sync run in.csv --report r.csv | true",
        "bulk-sync run in.csv --report r.csv -v 2>/dev/full",
        "bulk-sync run in.csv --report r.csv >&- 2>&- <&-",
        "bulk-sync run in.csv --report r.csv --summary json >/dev/full",
    ],
)
def test_a_run_goes_on_without_readers(sim: Simulator, tmp_path: Path, line: str) -> None:
    ended = shell(sim, tmp_path, line)
    assert ended.returncode == 0, ended.stderr
    assert [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")] == ["updated"] * 3


@pytest.mark.parametrize("line", ["validate in.csv --summary json", "plan in.csv"])
def test_a_lost_answer_is_a_warning(sim: Simulator, tmp_path: Path, line: str) -> None:
    lost = shell(sim, tmp_path, f"bulk-sync {line} >/dev/full")
    assert "The output could not be written: No space left on device." in lost.stderr


def test_an_answer_that_a_reader_leaves_is_no_warning(sim: Simulator, tmp_path: Path) -> None:
    ended = shell(sim, tmp_path, "bulk-sync validate in.csv | true")
    assert "The output could not be written" not in ended.stderr


def test_a_closed_standard_input_is_an_empty_one(sim: Simulator, tmp_path: Path) -> None:
    ended = shell(sim, tmp_path, "bulk-sync validate - <&-")
    assert ended.returncode == 2
    assert "Standard input is empty" in ended.stderr


LATE = """
import os, sys
from bulk_sync import report
from bulk_sync.cli import main
write = report.write
def signalled(*words, **named):
    os.kill(os.getpid(), {number})
    return write(*words, **named)
report.write = signalled
main(["run", "in.csv", "--report", "r.csv"])
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_after_the_writes_waits_for_the_report(
    sim: Simulator, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "late.py").write_text(LATE.format(number=int(number)))
    ended = shell(sim, tmp_path, f"{sys.executable} late.py")
    assert ended.returncode == 0, ended.stderr
    assert "second signal" in ended.stderr
    assert len(read_csv(tmp_path / "r.csv")) == 3
