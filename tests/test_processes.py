"""``--processes``: the work is shared, and everything else is as it was."""

import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

import pytest
from conftest import Ran, Run, key, populate, process, read_csv, wishes

from bulk_sync import ledger
from bulk_sync.engines.processes import engine, gauge, handle
from bulk_sync.errors import AccessDenied, RowFailed, StoppedEarly, StopRun
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Pace, State
from bulk_sync.simulator import Fault, Options, Simulator, running

ROWS = 600
SHARED = ("--fetch", "lookup", "--processes", 2)


def mixed(sim: Simulator, path: Path) -> Path:
    """Fill a simulator, and write a file with every kind of row, most of which change."""
    lines = []
    for number in range(ROWS):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=number % 3 == 0)
        lines.append(f"{key(number)},{str(number % 2 == 0).lower()}")
    sim.forbidden.add(key(1))
    sim.profiles[key(2)].pop("ccpaOptOut")
    lines[7] = f"{key(9_999)},true"
    path.write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
    return path


def told(ran: Ran) -> list[tuple[str, ...]]:
    """A report without what may differ between two runs."""
    names = ("PKey", "sync_outcome", "sync_reason", "sync_before", "sync_after", "sync_detail")
    return [tuple(row[name] for name in names) for row in ran.report]


def writes(folder: Path) -> Counter[str]:
    """Count the lines of the one run in a test's ledger, by outcome."""
    with ledger.opened(State(folder / "state")) as book:
        (run,) = book.runs()
        lines = list(book.writes(run.run_id))
    return Counter("none" if each.settled is None else each.settled.outcome for each in lines)


def children(pid: int) -> list[int]:
    """Tell the processes that a process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(each) for each in found.split()]


def eventually(holds: Callable[[], object]) -> None:
    """Wait until something holds, which takes a moment."""
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline, "it never did"
        threading.Event().wait(0.01)


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_rows_fare_as_in_one_process_and_every_call_is_counted(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = mixed(sim, tmp_path / "in.csv")
    words = ("--max-opt-ins", "100%", "--report", "{run}.results.csv")
    with running(Options()) as other:
        other_path = mixed(other, tmp_path / "other.csv")
        alone = run(other, "run", other_path, "--fetch", "lookup", *words[:2])
        expected = told(alone)
        next(tmp_path.glob("other*.results.csv")).unlink()
        held = other.states
    ran = run(sim, "run", path, *SHARED, *words[:2], "--summary", "json")
    assert ran.status == alone.status == 3
    assert told(ran) == expected
    assert sim.states == held
    assert sum(ran.summary["calls"].values()) == len(sim.requests)
    assert len(sim.requests) == 1 + ROWS + len(sim.patched)
    assert Counter(pkey for pkey, _ in sim.patched).most_common(1)[0][1] == 1


def test_the_pace_is_shared() -> None:
    whole = Pace(rate=900, concurrency=9, processes=4)
    assert whole.parts == 4
    assert whole.part() == Pace(rate=225, concurrency=2, most_in_flight=16)


@pytest.mark.parametrize(
    ("pace", "parts"),
    [
        (Pace(), 1),
        (Pace(processes=None), 2),
        (Pace(processes=None, concurrency=64), 1),
        (Pace(processes=None, max_calls_per_day=1_000_000), 1),
        (Pace(processes=3), 3),
        (Pace(processes=3, rate=50), 1),
        (Pace(processes=3, rate=299), 2),
        (Pace(processes=8, concurrency=2), 2),
    ],
    ids=[
        "alone",
        "what is needed",
        "so many in flight",
        "a budget",
        "as told",
        "a rate for one",
        "a rate for two",
        "two requests in flight",
    ],
)
def test_no_process_has_next_to_nothing_to_do(pace: Pace, parts: int) -> None:
    assert pace.parts == parts


def test_a_rate_is_kept_by_all_together(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, ROWS, state=True)
    path = wishes(tmp_path / "in.csv", ROWS)
    assert run(sim, "run", path, *SHARED, "--rate", 400).status == 0
    sent = [request.at for request in sim.requests]
    # In a second and a half; with 400 a second for each process it would take half of that.
    assert max(sent) - min(sent) > 1.2


def test_a_limit_of_calls_is_never_passed(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, ROWS)
    path = wishes(tmp_path / "in.csv", ROWS)
    ran = run(sim, "run", path, *SHARED, "--max-calls", 750)
    assert ran.status == 6
    assert "--max-calls" in ran.err
    assert len(sim.requests) == 750
    ran = run(sim, "resume", "--max-calls", 1200)
    assert ran.status == 0
    assert set(sim.states.values()) == {True}
    assert len(sim.patched) == ROWS


def test_the_calls_of_the_day_are_those_of_all_and_are_used_up(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    path = wishes(tmp_path / "in.csv", ROWS)
    words = ("--fetch", "lookup", "--processes", 4, "--max-calls-per-day")
    ran = run(sim, "run", path, *words, 900)
    assert ran.status == 6
    assert "are spent" in ran.err
    assert len(sim.requests) == 900
    assert run(sim, "resume", "--max-calls-per-day", 100_000).status == 0
    with ledger.opened(State(tmp_path / "state")) as book:
        spent = book._connection.exec_driver_sql("SELECT sum(spent) FROM calls").scalar()
    assert spent == len(sim.requests)
    assert len(sim.patched) == ROWS


def test_what_one_is_asked_to_wait_all_wait(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, ROWS, state=True)
    path = wishes(tmp_path / "in.csv", ROWS)
    sim.queue_fault(Fault.THROTTLED_429, times=1, matching=key(300)[1:])
    assert run(sim, "run", path, *SHARED).status == 0
    at = sorted(request.at for request in sim.requests)
    refused_at = next(each.at for each in sim.requests if each.status == 429)
    waited = [after - before for before, after in pairwise(at)]
    longest = max(range(len(waited)), key=waited.__getitem__)
    assert waited[longest] > 0.5
    assert at[longest] < refused_at + 0.5


def test_nothing_in_the_working_folder_is_taken_for_a_module(
    sim: Simulator, tmp_path: Path
) -> None:
    populate(sim, ROWS, state=True)
    (tmp_path / "queue.py").write_text("open('executed', 'w')")
    words = [str(word) for word in SHARED]
    path = wishes(tmp_path / "in.csv", ROWS)
    program = [sys.executable, "-P", "-c", "from bulk_sync.cli import main; main()"]
    with process(sim, tmp_path, "run", str(path), *words, program=program) as working:
        working.communicate()
    assert working.returncode == 0
    assert not (tmp_path / "executed").exists()


def test_one_goes_on_alone_where_no_other_can_be_started(sim: Simulator, tmp_path: Path) -> None:
    populate(sim, ROWS)
    path = wishes(tmp_path / "in.csv", ROWS)
    words = [str(word) for word in ("--fetch", "lookup", "--processes", 16, "--concurrency", 16)]
    few = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (48, 48))
    with process(sim, tmp_path, "run", str(path), *words, preexec_fn=few) as working:
        _, err = working.communicate()
    assert working.returncode == 0, err
    assert "could not be started (Too many open files): one goes on alone" in err
    assert set(sim.states.values()) == {True}
    assert len(sim.requests) == 1 + 2 * ROWS


@pytest.mark.parametrize(
    "program",
    ["", "import time; time.sleep(0.6)", "import signal; signal.pause()"],
    ids=["at once", "after the first pass", "never"],
)
def test_one_goes_on_alone_where_others_end_or_hang_before_they_begin(
    program: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "_PROGRAM", program)
    monkeypatch.setattr(engine, "_COMING_UP_S", 1.0)
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, ROWS)
        ran = run(sim, "run", wishes(tmp_path / "in.csv", ROWS), *SHARED)
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {True}
        assert len(sim.requests) == 1 + 2 * ROWS
    if not program:
        assert "(one ended before it began): one goes on alone" in ran.err
    assert writes(tmp_path) == {Outcome.UPDATED: ROWS}


def test_nothing_waits_for_others_that_do_not_come_up(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handle, "_PROGRAM", "import signal; signal.pause()")
    with running(Options()) as sim:
        populate(sim, ROWS)
        path = wishes(tmp_path / "in.csv", ROWS)
        began = time.monotonic()
        assert run(sim, "run", path, *SHARED).status == 0
        assert time.monotonic() - began < 25  # and not half a minute for each
        assert set(sim.states.values()) == {True}


def test_one_goes_on_alone_where_no_more_threads_can_be_started(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Thread(threading.Thread):
        def start(self) -> None:
            if self.name == "worker":
                raise RuntimeError("can't start new thread")
            super().start()

    monkeypatch.setattr(threading, "Thread", Thread)
    populate(sim, ROWS)
    ran = run(sim, "run", wishes(tmp_path / "in.csv", ROWS), *SHARED)
    assert ran.status == 0, ran.err
    assert "(can't start new thread): one goes on alone" in ran.err
    assert set(sim.states.values()) == {True}


def test_a_row_that_hangs_does_not_hold_up_the_others(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.03)) as sim:
        populate(sim, ROWS)
        sim.queue_fault(Fault.HANG, method="GET", times=1, matching=key(90)[1:])
        path = wishes(tmp_path / "in.csv", ROWS)
        ran = run(sim, "run", path, "-n", *SHARED, "--timeout", 8)
        assert ran.status == 0, ran.err
        hung = [each.at for each in sim.requests if key(90)[1:] in each.raw_path]
        others = [each.at for each in sim.requests if key(90)[1:] not in each.raw_path]
    assert len(hung) == 2
    assert max(others) < hung[1]


def test_a_signal_while_workers_are_closed_is_heeded_afterwards(
    sim: Simulator, tmp_path: Path
) -> None:
    populate(sim, ROWS)
    path = wishes(tmp_path / "in.csv", ROWS)
    signalled = (
        "import asyncio, os, signal\n"
        "from bulk_sync.engines.processes.engine import Processes\n"
        "closed = Processes.close\n"
        "async def close(self):\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    await closed(self)\n"
        "Processes.close = close\n"
        "from bulk_sync.cli import main; main()"
    )
    words = [str(word) for word in ("-n", *SHARED)]
    program = (sys.executable, "-c", signalled)
    with process(sim, tmp_path, "run", str(path), *words, program=program) as working:
        _, err = working.communicate()
    assert working.returncode == 143
    assert "Stopped by SIGTERM" in err
    assert "Traceback" not in err
    assert "callback" not in err


@pytest.fixture
def is_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one process taken for the limit at the first look, however little it does."""
    for name in ("_BUSY", "_IDLE", "_WORTH_S", "_ALLOWED"):
        monkeypatch.setattr(gauge, name, 0.0)


@pytest.mark.usefixtures("is_the_limit")
@pytest.mark.parametrize(
    ("words", "is_shared"),
    [
        ((), True),
        (("--processes", 1), False),
        (("--rate", 1000), False),
        (("--max-calls", 10_000), False),
    ],
    ids=["by default", "one", "a rate is given", "a budget is given"],
)
def test_a_second_process_is_taken_where_one_is_the_limit_and_nothing_else(
    words: tuple[object, ...],
    is_shared: bool,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", "hush")
    options = Options(latency_s=0.05, access_token=None, client_secret="hush")
    with running(options) as sim:
        populate(sim, ROWS)
        path = wishes(tmp_path / "in.csv", ROWS)
        ran = run(sim, "run", path, "--fetch", "lookup", *words)
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {True}
        assert Counter(pkey for pkey, _ in sim.patched) == dict.fromkeys(sim.states, 1)
        assert sum(request.method == "GET" for request in sim.requests) == 1 + ROWS
        assert len(last_asked(sim)) == (3 if is_shared else 1)
    assert ("another one is started" in ran.err) is is_shared
    assert writes(tmp_path) == {Outcome.UPDATED: ROWS}


@pytest.mark.usefixtures("is_the_limit")
def test_no_second_process_is_taken_where_requests_are_refused(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.02)) as sim:
        populate(sim, ROWS)
        sim.queue_fault(Fault.THROTTLED_429, times=1, matching=key(5)[1:])
        ran = run(sim, "run", wishes(tmp_path / "in.csv", ROWS), "--fetch", "lookup")
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {True}
    assert "goes on alone" not in ran.err  # nobody has asked for others


def test_a_worker_needs_no_frames() -> None:
    """pandas and Arrow would take it twice the time to come up, and twice the memory."""
    program = "import sys, bulk_sync.engines.processes.worker; print(*sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert {"aiohttp", "numpy"} <= set(told.stdout.split())
    assert not {"pandas", "pyarrow", "sqlalchemy"}.intersection(told.stdout.split())


def test_too_many_failures_end_it_for_all(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, ROWS, state=True)
    for number in range(ROWS):
        sim.profiles[key(number)].pop("ccpaOptOut")
    path = wishes(tmp_path / "in.csv", ROWS)
    ran = run(sim, "run", path, *SHARED)
    assert ran.status == 2
    assert "--attribute" in ran.err
    assert len(sim.requests) < ROWS


def test_faults_cost_tries_and_no_row(tmp_path: Path, run: Run) -> None:
    faults = {
        Fault.RESET_AFTER_WRITE: 0.01,
        Fault.UNAVAILABLE_503: 0.004,
        Fault.TRUNCATED_JSON: 0.01,
    }
    with running(Options(faults=faults)) as sim:
        populate(sim, ROWS)
        path = wishes(tmp_path / "in.csv", ROWS)
        ran = run(sim, "run", path, *SHARED)
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {True}
        assert Counter(pkey for pkey, _ in sim.patched).most_common(1)[0][1] == 1
    assert writes(tmp_path) == {Outcome.UPDATED: ROWS}


def test_a_worker_that_dies_ends_the_run_and_resume_goes_on(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    path = wishes(tmp_path / "in.csv", ROWS)
    words = [str(word) for word in (*SHARED, "--rate", 600, "--retries", 0)]
    with process(sim, tmp_path, "run", str(path), *words) as working:
        eventually(lambda: len(sim.patched) > 100)
        os.kill(children(working.pid)[0], signal.SIGKILL)
        _, err = working.communicate()
    assert working.returncode == 6
    assert "worker process" in err
    patched = len(sim.patched)
    assert patched < ROWS
    in_doubt = writes(tmp_path)["none"]
    assert in_doubt > 0
    (report,) = tmp_path.glob("*.results.csv")
    told = [row for row in read_csv(report) if "was in flight" in row["sync_detail"]]
    assert len(told) == in_doubt
    known = {(row["sync_outcome"], row["sync_before"], row["sync_after"]) for row in told}
    assert known == {("pending", "false", "")}
    sim.clear()
    assert run(sim, "resume").status == 0
    assert set(sim.states.values()) == {True}
    gets = sum(each.method == "GET" for each in sim.requests)
    assert gets <= 1 + in_doubt
    assert patched + len(sim.patched) == ROWS


def test_a_worker_that_hangs_ends_the_run_and_resume_goes_on(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    path = wishes(tmp_path / "in.csv", ROWS)
    words = [str(word) for word in (*SHARED, "--rate", 600)]
    impatient = (
        "from bulk_sync.engines.processes import handle; handle._LONG_SILENCE_S = 2.0; "
        "from bulk_sync.cli import main; main()"
    )
    program = (sys.executable, "-c", impatient)
    with process(sim, tmp_path, "run", str(path), *words, program=program) as working:
        eventually(lambda: len(sim.patched) > 100)
        os.kill(children(working.pid)[0], signal.SIGSTOP)
        _, err = working.communicate(timeout=60)
    assert working.returncode == 6
    assert "has hung, and is ended" in err
    patched = len(sim.patched)
    assert patched < ROWS
    assert run(sim, "resume").status == 0
    assert set(sim.states.values()) == {True}
    assert Counter(pkey for pkey, _ in sim.patched) == dict.fromkeys(sim.states, 1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "SIGTERM"])
def test_no_worker_outlives_its_run(
    number: signal.Signals, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    path = wishes(tmp_path / "in.csv", ROWS)
    words = [str(word) for word in (*SHARED, "--rate", 600)]
    with process(sim, tmp_path, "run", str(path), *words) as working:
        eventually(lambda: len(sim.patched) > 100)
        workers = children(working.pid)
        assert len(workers) == 2
        for each in workers:
            os.kill(each, signal.SIGINT)  # which is the run's affair
        working.send_signal(number)
        working.communicate()
    assert working.returncode == (143 if number is signal.SIGTERM else -number)
    eventually(lambda: not any(is_alive(each) for each in workers))
    if number is signal.SIGTERM:
        assert writes(tmp_path)["none"] == 0
    patched = len(sim.patched)
    assert run(sim, "resume").status == 0
    assert set(sim.states.values()) == {True}
    assert patched < ROWS == len(sim.patched)


@pytest.mark.parametrize(
    "error",
    [
        RowFailed(Reason.TIMEOUT, "No answer.", outcome=Outcome.PENDING, passing=True),
        StoppedEarly("The budget is spent."),
        AccessDenied("No."),
    ],
    ids=["a row", "a stop", "a refusal"],
)
def test_what_goes_wrong_can_be_told(error: RowFailed | StopRun) -> None:
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own
    assert type(again) is type(error)
    assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_second_signal_ends_workers_in_the_middle_of_a_request(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    path = wishes(tmp_path / "in.csv", ROWS)
    sim.queue_fault(Fault.HANG_AFTER_WRITE, method="PATCH", times=3, matching=key(50)[1:])
    words = [str(word) for word in (*SHARED, "--rate", 600)]
    with process(sim, tmp_path, "run", str(path), *words) as working:
        eventually(lambda: len(sim.patched) > 100)
        workers = children(working.pid)
        working.send_signal(signal.SIGINT)
        assert working.stderr is not None
        eventually(lambda: "Stopping" in str(working.stderr and working.stderr.readline()))
        working.send_signal(signal.SIGINT)
        working.communicate(timeout=30)
    assert working.returncode == 130
    eventually(lambda: not any(is_alive(each) for each in workers))
    sim.clear()
    assert run(sim, "resume").status == 0
    assert set(sim.states.values()) == {True}


def last_asked(sim: Simulator) -> list[float]:
    """Tell, in order, when each process asked last; each has a token of its own."""
    asked = [each for each in sim.requests if "Authorization" in each.headers]
    return sorted({each.headers["Authorization"]: each.at for each in asked}.values())


def test_one_event_loop_goes_on_alone_under_a_limit_that_nobody_told(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", "hush")
    with running(Options(rate=300, access_token=None, client_secret="hush")) as sim:
        populate(sim, ROWS)
        path = wishes(tmp_path / "in.csv", ROWS)
        ran = run(sim, "run", path, *SHARED, "-v")
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {True}
        assert Counter(pkey for pkey, _ in sim.patched) == dict.fromkeys(sim.states, 1)
        refused = [request.at for request in sim.requests if request.status == 429]
        *others, last = last_asked(sim)
    assert ran.err.count("one goes on alone for the rest of the run") == 1
    assert writes(tmp_path) == {Outcome.UPDATED: ROWS}
    assert len(refused) < 0.08 * 2 * ROWS
    # All are asked to wait for a second; what is left to read and write takes three more.
    assert all(each < refused[0] + 0.5 for each in others)
    assert refused[0] + 2 < last


def test_no_other_process_is_started_when_the_first_rows_are_refused(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", "hush")
    with running(Options(access_token=None, client_secret="hush")) as sim:
        populate(sim, ROWS)
        path = wishes(tmp_path / "in.csv", ROWS)
        sim.queue_fault(Fault.THROTTLED_429, times=1, matching=key(50)[1:])
        assert run(sim, "run", path, *SHARED).status == 0
        assert set(sim.states.values()) == {True}
        assert len(last_asked(sim)) == 1


@pytest.mark.parametrize("is_stopped", [False, True], ids=["to the end", "until SIGTERM"])
def test_what_the_others_give_back_is_written_once(
    is_stopped: bool, tmp_path: Path, run: Run
) -> None:
    with running(Options(latency_s=0.02)) as sim:
        populate(sim, ROWS)
        path = wishes(tmp_path / "in.csv", ROWS)
        sim.queue_fault(Fault.THROTTLED_429, method="PATCH", times=1, matching=key(300)[1:])
        with process(sim, tmp_path, "run", str(path), *(str(word) for word in SHARED)) as working:
            if is_stopped:
                eventually(lambda: any(request.status == 429 for request in sim.requests))
                working.send_signal(signal.SIGTERM)
            working.communicate()
        assert working.returncode == (143 if is_stopped else 0)
        in_doubt = writes(tmp_path)["none"]
        assert in_doubt <= 1  # the one that was refused
        patched = len(sim.patched)
        if is_stopped:
            assert patched < ROWS
            assert run(sim, "resume").status == 0
        assert set(sim.states.values()) == {True}
        assert Counter(pkey for pkey, _ in sim.patched) == dict.fromkeys(sim.states, 1)
        assert sum(request.method == "GET" for request in sim.requests) <= 1 + ROWS + 2
    assert writes(tmp_path)["none"] == 0
