"""The effect of SIGTERM on a hanging process, and of a second one on any process."""

import signal
import subprocess
import sys
import threading
from pathlib import Path

import orjson
import pytest
from conftest import Run, key, populate, process, read_csv, write_states

from bulk_sync import signals
from bulk_sync.campaign import transport
from bulk_sync.settings import Connection, Credentials, Secret
from bulk_sync.simulator import Fault, Simulator
from bulk_sync.storage import lock

HUNG_S = 60
"""Longer than any wait here: a hanging process would never end."""

HANGS = """
import os, signal, sys, threading
from bulk_sync import signals
from bulk_sync.errors import Terminated
signals._END_WITHIN_S = {within_s}
with signals.Interrupts() as block:
    {before}
    try:
        for number in {numbers}:
            os.kill(os.getpid(), number)
    except Terminated:
        pass
    threading.Event().wait()
"""

BEFORE = {
    "nothing was written": "pass",
    "the report is written": "block.defer()",
    "connections are closed": "closing = signals.deferred(); closing.__enter__()",
}


def status_after(before: str, numbers: list[int], within_s: float = HUNG_S) -> int:
    """Return the exit status of a process that gets signals and then hangs."""
    code = HANGS.format(within_s=within_s, before=BEFORE[before], numbers=[*map(int, numbers)])
    return subprocess.run([sys.executable, "-c", code], check=False, timeout=HUNG_S).returncode


@pytest.mark.parametrize("before", BEFORE)
def test_a_process_that_hangs_after_sigterm_is_ended_in_time(before: str) -> None:
    assert status_after(before, [signal.SIGTERM], within_s=0.2) == 143


@pytest.mark.parametrize("before", ["the report is written", "connections are closed"])
def test_a_second_sigterm_ends_at_once_with_its_own_status(before: str) -> None:
    assert status_after(before, [signal.SIGTERM, signal.SIGTERM]) == 143


def test_sigterm_after_ctrl_c_ends_a_report_at_once() -> None:
    assert status_after("the report is written", [signal.SIGINT, signal.SIGTERM]) == 143


SIGNALLED_AT_THE_END = """
import os, signal, sys
from bulk_sync import cli

class Signalling:
    def __init__(self, stream):
        self.stream = stream

    def __getattr__(self, name):
        return getattr(self.stream, name)

    def write(self, text):
        os.kill(os.getpid(), signal.SIGINT)
        return self.stream.write(text)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it
sys.stderr, sys.argv = Signalling(sys.stderr), ["bulk-sync", "nonsense"]
cli.program()
"""


def test_a_ctrl_c_while_the_last_message_is_written_ends_without_a_traceback() -> None:
    words = [sys.executable, "-c", SIGNALLED_AT_THE_END]
    ended = subprocess.run(words, check=False, timeout=HUNG_S, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (130, "")


SIGNALLED_IN_A_BLOCK = """
import os, signal
from bulk_sync import signals
signals._END_WITHIN_S = 0.1
try:
    with signals.Interrupts(), signals.deferred():
        os.kill(os.getpid(), signal.SIGTERM)
except signals.Terminated:
    print("heeded once")
signals.DEADLINE.cancel()
import time
time.sleep(0.5)
"""


def test_a_delayed_signal_counts_once_and_a_process_that_ends_in_time_is_not_killed() -> None:
    words = [sys.executable, "-c", SIGNALLED_IN_A_BLOCK]
    result = subprocess.run(words, check=False, timeout=HUNG_S, capture_output=True, text=True)
    assert (result.returncode, result.stdout) == (0, "heeded once\n")


def test_waits_after_sigterm_leave_time_for_the_report() -> None:
    graces_s = transport._GRACE_OF_WRITES_S + transport._GRACE_S
    assert graces_s <= signals._END_WITHIN_S - 6
    assert signals._END_WITHIN_S < 20


IMPATIENT = """
from bulk_sync.campaign import transport
transport._GRACE_OF_WRITES_S = 0.5
from bulk_sync.cli import program
program()
"""


def test_writes_without_an_answer_are_reported_truthfully_and_read_again(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    for number in range(10, 14):
        fault = Fault.HANG if number % 2 else Fault.HANG_AFTER_WRITE
        sim.queue_fault(fault, "PATCH", times=1, matching=key(number)[1:])
    words = ("run", str(path), "--report", "r.csv", "--timeout", "600", "--concurrency", "4")
    with process(sim, tmp_path, *words, program=(sys.executable, "-c", IMPATIENT)) as working:
        while sum(sim.counters.faults.values()) < 4:
            assert working.poll() is None
            threading.Event().wait(0.005)
        working.send_signal(signal.SIGTERM)
        working.communicate(timeout=HUNG_S)
    assert working.returncode == 143
    rows = read_csv(tmp_path / "r.csv")
    assert len(rows) == 30
    stored = {name for name, state in sim.states.items() if state}
    assert {row["PKey"] for row in rows if row["sync_outcome"] == "updated"} <= stored
    sim.clear()
    assert run(sim, "resume").status == 0
    assert set(sim.states.values()) == {True}
    for number in (11, 13):
        sent = [each.method for each in sim.requests if key(number)[1:] in each.raw_path]
        assert sent == ["GET", "PATCH"]


def test_a_second_sigterm_ends_a_run_at_once(sim: Simulator, tmp_path: Path) -> None:
    populate(sim, 3)
    path = write_states(tmp_path / "in.csv", 3)
    sim.queue_fault(Fault.HANG, "PATCH", times=9)
    with process(sim, tmp_path, "run", str(path), "--timeout", "600") as working:
        while not sim.counters.faults:
            threading.Event().wait(0.005)
        working.send_signal(signal.SIGTERM)
        assert working.stderr is not None
        while "Stopping" not in working.stderr.readline():
            assert working.poll() is None
        working.send_signal(signal.SIGTERM)
        working.communicate(timeout=HUNG_S)
    assert working.returncode == 143


def test_sigterm_at_the_first_line_of_the_log_ends_a_waiting_run_and_runs_lists_it(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", 1)
    place = Connection(sim.url, "acme", Credentials("k", access_token=Secret("t")))
    words = ("run", "in.csv", "--lock-wait", str(HUNG_S), "--metrics-file", "run.prom")
    with (
        lock.hold(tmp_path / "state", lock.name(place), "run X of another"),
        process(sim, tmp_path, *words) as waiting,
    ):
        assert waiting.stderr is not None
        assert "Waiting up to" in waiting.stderr.readline()
        waiting.terminate()
        output = waiting.stderr.read()
    assert waiting.returncode == 143
    assert "Traceback" not in output
    (row,) = orjson.loads(run(None, "runs", "--json").out)
    assert (row["exit"], row["started"], row["job"]) == (143, False, "in")
    assert "Stopped by SIGTERM" in row["message"]
    gauge = 'bulk_sync_last_run_exit_status{sync_job="in"} 143'
    assert gauge in (tmp_path / "run.prom").read_text()


SIGNALLED = """import os, signal

class Part:
    def __set_name__(self, owner, name):
        os.kill(os.getpid(), signal.{})
        for _ in range(100):
            pass

class Made:
    part = Part()
"""
"""A library during whose import a signal comes, while one of its classes is made."""


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_while_a_class_is_made_is_no_bug(
    number: signal.Signals, status: int, sim: Simulator, tmp_path: Path
) -> None:
    library = tmp_path / "libraries" / "uvloop.py"
    library.parent.mkdir()
    library.write_text(SIGNALLED.format(number.name))
    first = {"PYTHONPATH": str(library.parent)}
    program = (sys.executable, "-m", "bulk_sync")
    with process(sim, tmp_path, "check", program=program, more=first) as checking:
        assert checking.stderr is not None
        assert checking.stderr.read() == f"bulk-sync: Stopped by {number.name}.\n"
    assert checking.returncode == status
