"""Signals while an event loop runs, and rows that hang."""

import asyncio
import os
import signal
import sys
import threading
from pathlib import Path

import pytest
from conftest import Run, key, populate, process, write_states

from bulk_sync.engines.session import Session
from bulk_sync.errors import Interrupted
from bulk_sync.settings import Connection, Credentials, Pace, Secret
from bulk_sync.simulator import Fault, Options, Simulator, running


def test_a_second_ctrl_c_ends_at_once_and_in_order(sim: Simulator) -> None:
    connection = Connection(sim.url, "acme", Credentials("demo-key", Secret("demo-token")))
    ended = []

    async def work() -> None:
        async def part() -> None:
            os.kill(os.getpid(), signal.SIGINT)
            while session.cause is None:  # noqa: ASYNC110 - no other signal of it
                await asyncio.sleep(0)
            os.kill(os.getpid(), signal.SIGINT)
            try:
                await asyncio.Event().wait()
            finally:
                await asyncio.sleep(0)
                ended.append("part")

        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(part())
        finally:
            ended.append("whole")

    before = signal.getsignal(signal.SIGINT)
    with Session(connection, Pace(), lambda *_: None) as session:
        with pytest.raises(KeyboardInterrupt):
            session.run(work())
        assert ended == ["part", "whole"]
        assert isinstance(session.cause, Interrupted)
        assert signal.getsignal(signal.SIGINT) is before


SIGNALLED_WHILE_CLOSING = """
import os, signal
from bulk_sync.campaign.call_budget import Calls
closed = Calls.close
async def close(self):
    os.kill(os.getpid(), signal.SIGTERM)
    await closed(self)
Calls.close = close
from bulk_sync.cli import main
main()
"""


def test_a_signal_while_connections_are_closed_counts_afterwards(
    sim: Simulator, tmp_path: Path
) -> None:
    populate(sim, 3)
    path = write_states(tmp_path / "in.csv", 3)
    program = (sys.executable, "-c", SIGNALLED_WHILE_CLOSING)
    with process(sim, tmp_path, "run", str(path), "-n", program=program) as closing:
        _, err = closing.communicate(timeout=60)
    assert closing.returncode == 143
    assert "Stopped by SIGTERM" in err
    assert "Traceback" not in err
    assert "callback" not in err


def test_a_second_signal_ends_a_write_that_resume_reads_again(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 100)
    path = write_states(tmp_path / "in.csv", 100)
    sim.queue_fault(Fault.HANG_AFTER_WRITE, method="PATCH", times=3, matching=key(50)[1:])
    words = ("--fetch", "lookup", "--concurrency", "2", "--retries", "0")
    with process(sim, tmp_path, "run", str(path), *words) as working:
        while not sim.counters.faults:
            threading.Event().wait(0.005)
        working.send_signal(signal.SIGINT)
        assert working.stderr is not None
        while "Stopping" not in working.stderr.readline():
            assert working.poll() is None
        working.send_signal(signal.SIGINT)
        working.communicate(timeout=60)
    assert working.returncode == 130
    sim.clear()
    assert run(sim, "resume").status == 0
    assert set(sim.states.values()) == {True}
    again = [request for request in sim.requests if key(50)[1:] in request.raw_path]
    assert [request.method for request in again] == ["GET"]


def test_a_row_that_hangs_does_not_hold_up_the_others(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, 12)
        sim.queue_fault(Fault.HANG, method="GET", times=1, matching=key(3)[1:])
        words = ("-n", "--fetch", "lookup", "--concurrency", 2, "--timeout", 3)
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 12), *words)
        assert ran.status == 0, ran.err
        hung = [each.at for each in sim.requests if key(3)[1:] in each.raw_path]
        others = [each.at for each in sim.requests if key(3)[1:] not in each.raw_path]
    assert len(hung) == 2
    assert max(others) < hung[1]
