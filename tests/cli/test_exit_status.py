"""Every exit status of the contract, from the command line."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from conftest import Run, key, populate, process, read_csv, signal_before_answer, write_states

from bulk_sync.settings import Connection, Credentials, Secret
from bulk_sync.simulator import Fault, Options, Simulator, running
from bulk_sync.storage import lock


def test_0_when_every_row_holds(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 3)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3))
    assert ran.status == 0
    assert ran.outcomes == ["updated"] * 3
    assert not list(tmp_path.glob("*.todo.csv"))


def test_0_when_a_dry_run_could_plan_every_row(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 3)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3), "-n")
    assert ran.status == 0
    assert ran.outcomes == ["would_update"] * 3
    assert set(sim.counters.methods) == {"GET"}
    assert f"bulk-sync run {tmp_path / 'in.csv'}\n" in ran.out


@pytest.mark.parametrize(
    "words",
    [
        ["run"],
        ["run", "missing.csv"],
        ["run", "in.csv", "--nonsense"],
        ["run", "in.csv", "--max-opt-ins", "many"],
        ["run", "in.csv", "--report", "report.docx"],
        ["run", "in.csv", "--report", "no/such/folder/report.csv"],
        ["run", "in.csv", "--report", "in.csv"],
        ["run", "in.csv", "--report", ""],
        ["plan", "in.csv", "--report", ""],
        ["audit", "--report", ""],
        ["run", ".", "--report", "in.csv"],
        ["run", "*.csv", "--report", "in.csv"],
        ["validate", ".", "--report", "in.csv"],
        ["run", ""],
        ["apply", ""],
        ["resume", ""],
        ["audit", ""],
        ["runs", ""],
        ["run", "in.csv", "--state-dir", ""],
        ["run", "in.csv", "--ledger", ""],
        ["run", "in.csv", "--metrics-file", ""],
        ["run", "in.csv", "--rate", "nan"],
        ["run", "in.csv", "--rate", "1e-9"],
        ["run", "in.csv", "--key-column", "nope"],
        ["run", "in.csv", "--date-column", "nope"],
        ["run", "in.csv", "--config", "missing.toml"],
        ["nonsense"],
        ["validate", "missing.csv"],
    ],
    ids=" ".join,
)
def test_2_for_wrong_usage_and_nothing_is_sent(
    sim: Simulator, tmp_path: Path, run: Run, words: list[str]
) -> None:
    write_states(tmp_path / "in.csv", 1)
    ran = run(sim, *words)
    assert ran.status == 2
    assert ran.err
    assert "Traceback" not in ran.err
    assert sim.requests == []


def test_2_without_organization_or_credentials(tmp_path: Path, run: Run) -> None:
    path = write_states(tmp_path / "in.csv", 1)
    assert "BULK_SYNC_ORGANIZATION" in run(None, "run", path).err
    ran = run(None, "run", path, "--organization", "acme", "--api-key", "k")
    assert ran.status == 2
    assert "BULK_SYNC_CLIENT_SECRET" in ran.err


def test_2_when_no_profile_has_the_attribute(sim: Simulator, tmp_path: Path, run: Run) -> None:
    for number in range(3):
        sim.add(pkey=key(number), email="p@example.com")
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3))
    assert ran.status == 2
    assert "--attribute" in ran.err
    assert "--api" in ran.err
    assert ran.outcomes == ["failed"] * 3
    assert set(sim.counters.methods) == {"GET"}


def test_3_when_rows_need_a_person(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 2))
    assert ran.status == 3
    assert ran.outcomes == ["updated", "not_found"]


def test_4_when_a_limit_refuses(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 11, state=True)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 11, "false"))
    assert ran.status == 4
    assert "--max-opt-ins 11" in ran.err
    assert ran.outcomes == ["pending"] * 11
    assert {row["sync_reason"] for row in ran.report} == {"limit"}
    assert sim.patched == []
    assert run(sim, "plan", tmp_path / "in.csv").status == 0
    assert (
        run(sim, "run", tmp_path / "in.csv", "--max-opt-ins", 11, "--report", "r.json").status == 0
    )
    assert len(sim.patched) == 11


@pytest.mark.parametrize(
    ("variable", "says"),
    [
        ("ACCESS_TOKEN", "ACCESS_TOKEN"),
        ("API_KEY", "--api-key"),
        ("ORGANIZATION", "--organization"),
    ],
)
def test_5_when_campaign_refuses_the_credentials(
    sim: Simulator,
    tmp_path: Path,
    run: Run,
    variable: str,
    says: str,
) -> None:
    option = f"--{variable.lower().replace('_', '-')}"
    path = write_states(tmp_path / "in.csv", 50)
    if variable == "ACCESS_TOKEN":
        sim.revoke_tokens()
        ran = run(sim, "run", path)
    else:
        ran = run(sim, "run", path, option, "wrong", "--retries", 1)
    assert ran.status == 5
    assert says in ran.err
    assert ran.outcomes == ["pending"] * 50
    assert len(sim.requests) <= 3


def test_6_when_campaign_is_unreachable(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        gone = sim
    ran = run(gone, "run", write_states(tmp_path / "in.csv", 3), "--patience", 1)
    assert ran.status == 6
    assert "--patience" in ran.err
    assert ran.outcomes == ["pending"] * 3


def test_6_when_campaign_goes_away(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 400)
    sim.queue_fault(Fault.RESET, "PATCH", times=10_000)
    ran = run(
        sim, "run", write_states(tmp_path / "in.csv", 400), "--retries", 0, "--max-failures", 400
    )
    assert ran.status == 6
    assert set(ran.outcomes) == {"failed", "pending"}
    assert sim.counters.methods["PATCH"] < 150


def test_6_when_too_many_rows_fail(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 300)
    sim.forbidden.update(key(number) for number in range(0, 300, 2))
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 300), "--max-failures", "5%")
    assert ran.status == 6
    assert "--max-failures" in ran.err
    assert "pending" in ran.outcomes


def test_6_when_the_budget_is_spent_and_the_next_run_goes_on(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    path = write_states(tmp_path / "in.csv", 20)
    ran = run(sim, "run", path, "--max-calls", 30, "--fetch", "lookup")
    assert ran.status == 6
    assert "--max-calls" in ran.err
    assert len(sim.requests) == 30
    assert ran.outcomes.count("updated") == len(sim.patched) == 9
    assert ran.outcomes.count("pending") == 11
    again = run(sim, "run", path)
    assert again.status == 4
    assert "bulk-sync resume" in again.err
    assert run(sim, "resume", "--max-calls", 30).status == 0
    assert len(sim.patched) == 20
    assert ran.outcomes == ["updated"] * 20


def test_11_while_another_run_is_at_work(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    spelled_otherwise = sim.url.replace("127.0.0.1", "LOCALHOST")
    other = lock.name(
        Connection(spelled_otherwise, "acme", Credentials("k", access_token=Secret("t")))
    )
    with lock.hold(tmp_path / "state", other, lock.holder("20261123T020000Z-7f3a9c")):
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 1))
    assert ran.status == 11
    assert "20261123T020000Z-7f3a9c" in ran.err
    assert "since" in ran.err
    assert sim.requests == []
    assert run(sim, "run", tmp_path / "in.csv").status == 0


@pytest.fixture
def with_a_terminal() -> Iterator[None]:
    """Set the default handler of SIGHUP: the tests may have been started with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("with_a_terminal")
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)]
)
def test_130_and_143_after_the_requests_in_flight_have_ended(
    tmp_path: Path, run: Run, number: signal.Signals, status: int
) -> None:
    with running(Options(latency_s=0.05)) as sim:
        populate(sim, 200)
        signal_before_answer(sim, "PATCH", 1, number)
        words = ("--concurrency", 4, "--fetch", "scan")
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 200), *words)
        assert ran.status == status
        assert ran.outcomes.count("updated") == len(sim.patched) < 200
        assert ran.outcomes.count("pending") == 200 - len(sim.patched)


SIGNALLED_AT_AN_IMPORT = """
import os, signal, sys
class Finder:
    def find_spec(self, name, *_):
        if name == "pandas":
            os.kill(os.getpid(), signal.SIGTERM)
sys.meta_path.insert(0, Finder())
from bulk_sync.cli import main
main()
"""


@pytest.mark.parametrize(
    "words",
    [
        ("validate", "in.csv"),
        ("run", "in.csv", "--endpoint", "http://127.0.0.1:9", "--organization", "acme"),
    ],
    ids=["validate", "run"],
)
def test_143_also_while_libraries_are_imported(tmp_path: Path, words: tuple[str, ...]) -> None:
    write_states(tmp_path / "in.csv", 3)
    secrets = {"BULK_SYNC_ACCESS_TOKEN": "demo-token", "BULK_SYNC_API_KEY": "demo-key"}
    ended = subprocess.run(
        [sys.executable, "-c", SIGNALLED_AT_AN_IMPORT, *words, "--summary", "json"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, **secrets},
    )
    assert ended.returncode == 143
    summary = orjson.loads(ended.stdout)
    assert (summary["exit"], summary["message"]) == (143, "Stopped by SIGTERM.")
    assert ended.stderr == "bulk-sync: Stopped by SIGTERM.\n"


@pytest.mark.parametrize("hangs", ["the list", "a profile", "the token"])
def test_143_also_while_an_answer_does_not_come(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, hangs: str
) -> None:
    with running(Options()) as sim, socket.create_server(("127.0.0.1", 0)) as silent:
        populate(sim, 3)
        write_states(tmp_path / "in.csv", 3)
        words = ["run", "in.csv", "--report", "r.csv", "--fetch", "lookup", "--timeout", "600"]
        if hangs == "the token":
            words += ["--ims-endpoint", f"http://127.0.0.1:{silent.getsockname()[1]}"]
            monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", "demo-secret")
        else:
            matching = "_lineCount" if hangs == "the list" else "profile/%40"
            sim.queue_fault(Fault.HANG, times=1, matching=matching)
        began = time.monotonic()
        with ExitStack() as held:

            def interrupt() -> None:
                if hangs == "the token":
                    held.enter_context(silent.accept()[0])
                else:
                    while not sim.counters.faults:
                        threading.Event().wait(0.005)
                os.kill(os.getpid(), signal.SIGTERM)

            thread = threading.Thread(target=interrupt)
            thread.start()
            ran = run(sim, *words)
            thread.join()
        assert ran.status == 143
        assert time.monotonic() - began < 60  # and not ten minutes
    assert len(read_csv(tmp_path / "r.csv")) == 3


@pytest.mark.usefixtures("with_a_terminal")
def test_two_signals_of_one_closed_terminal_count_once(tmp_path: Path) -> None:
    with running(Options(latency_s=0.05)) as sim:
        populate(sim, 300)
        write_states(tmp_path / "in.csv", 300)
        words = ["run", "in.csv", "--report", "r.csv", "--fetch", "scan", "--concurrency", "4"]
        with process(sim, tmp_path, *words) as closed:
            while not sim.patched:
                threading.Event().wait(0.005)
            closed.send_signal(signal.SIGHUP)
            closed.send_signal(signal.SIGHUP)
            closed.communicate(timeout=60)
        assert closed.returncode == 143
        outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")]
        assert outcomes.count("updated") == len(sim.patched) < 300
        assert outcomes.count("pending") == 300 - len(sim.patched)


def test_without_a_terminal_nohup_goes_on(tmp_path: Path) -> None:
    with running(Options(latency_s=0.02)) as sim:
        populate(sim, 60)
        write_states(tmp_path / "in.csv", 60)
        words = ["run", "in.csv", "--report", "r.csv", "--fetch", "scan"]
        program = ("nohup", sys.executable, "-m", "bulk_sync")
        with process(sim, tmp_path, *words, program=program) as going:
            while not sim.patched:
                threading.Event().wait(0.005)
            going.send_signal(signal.SIGHUP)
            going.communicate(timeout=60)
        assert (going.returncode, len(sim.patched)) == (0, 60)


def test_143_also_while_campaign_asks_for_a_wait(tmp_path: Path, run: Run) -> None:
    with running(Options(retry_after_s=600)) as sim:
        populate(sim, 50)
        sim.queue_fault(Fault.UNAVAILABLE_503, "PATCH")

        def interrupt() -> None:
            while not sim.counters.faults:
                threading.Event().wait(0.005)
            os.kill(os.getpid(), signal.SIGTERM)

        thread = threading.Thread(target=interrupt)
        thread.start()
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 50), "--concurrency", 4)
        thread.join()
        assert ran.status == 143
        assert ran.outcomes.count("updated") == len(sim.patched)
        assert ran.outcomes.count("updated") + ran.outcomes.count("pending") == 50


def test_a_module_is_the_same_command() -> None:
    words = [sys.executable, "-m", "bulk_sync", "--version"]
    result = subprocess.run(words, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("bulk-sync, version ")


def test_every_error_has_the_chosen_log_format(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_states(tmp_path / "in.csv", 1)
    as_json = ("--summary", "json", "--log-format", "json")
    for words in (("--bogus",), ("--max-opt-ins", "many"), ()):  # the last has no organization
        ran = run(None, "run", "in.csv", *words, *as_json)
        assert ran.status == 2
        assert orjson.loads(ran.err)["message"] == orjson.loads(ran.out)["message"]
    config = 'summary = "json"\nlog-format = "json"\n'
    (tmp_path / "bulk-sync.toml").write_text(config)
    ran = run(None, "run", "in.csv", "--bogus")
    assert orjson.loads(ran.err)["message"] == orjson.loads(ran.out)["message"]
    monkeypatch.setenv("BULK_SYNC_LOG_FORMAT", "json")
    for words in (("--bogus",), ()):
        ran = run(None, "run", "in.csv", *words, "--log-format", "json", "--log-format", "text")
        assert "{" not in ran.err
    monkeypatch.delenv("BULK_SYNC_LOG_FORMAT")
    for mistake in ("nonsense = 1\n", 'quiet = "perhaps"\n', 'rate = "many"\n'):
        (tmp_path / "bulk-sync.toml").write_text(config + mistake)
        ran = run(None, "run", "in.csv")
        assert ran.status == 2
        assert orjson.loads(ran.err)["message"] == orjson.loads(ran.out)["message"]


def test_the_file_can_ask_for_a_quiet_run_and_its_summary_as_json(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    populate(sim, 2)
    (tmp_path / "bulk-sync.toml").write_text('summary = "json"\nquiet = true\n')
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 2))
    assert ran.status == 0
    assert orjson.loads(ran.out)["exit"] == 0
    assert " INFO Reading" not in ran.err


def test_no_secret_is_ever_printed(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 2)
    sim.options = replace(sim.options, faults={Fault.TRANSIENT_500: 0.5})
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3), "-v")
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "demo-token" not in ran.out + ran.err
    assert b"demo-token" not in written
