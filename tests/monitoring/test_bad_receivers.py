"""Services that hang, refuse, redirect or lie cost a run a known time, and change nothing."""

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
from conftest import Run, populate, write_states
from prometheus_client.parser import text_string_to_metric_families
from receiver import receiving
from torture import environment_of

from bulk_sync.cli import hooks
from bulk_sync.monitoring import notification, ping
from bulk_sync.simulator import Simulator

# On Python 3.11 a plugin of apprise imports what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ANSWERS = ("hang", "trickle", "lie", "302", "307", "404", "500")
WAYS = (*ANSWERS, "refused", "no handshake", "no resolver")
GIVEN_UP = {"trickle", "no resolver"}
"""Only the time limit of the hook ends these: no timeout of a socket does."""


@contextmanager
def bad_service(way: str, patch: pytest.MonkeyPatch) -> Iterator[str]:
    """Run a service with one fault; yield its URL."""
    if way in ANSWERS:
        with receiving() as receiver:
            receiver.answers = [way]
            yield receiver.url
            assert not any("/elsewhere" in path for path in receiver.paths)
        return
    released, found = threading.Event(), socket.getaddrinfo

    def resolve(host: str, *words: object, **named: object) -> object:
        if host == "service.example":
            released.wait()
        return found(host, *words, **named)  # type: ignore[arg-type]

    with socket.create_server(("127.0.0.1", 0)) as silent:
        place = f"127.0.0.1:{silent.getsockname()[1]}"
        patch.setattr(socket, "getaddrinfo", resolve)
        if way == "refused":
            silent.close()
        if way == "no resolver":
            place = "service.example"
        yield f"{'https' if way == 'no handshake' else 'http'}://{place}/s3cret-uuid"
    released.set()


@pytest.mark.parametrize("way", WAYS)
def test_a_bad_service_costs_a_known_time_and_changes_nothing(
    way: str, sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ping, "EACH_S", 0.2)
    monkeypatch.setattr(notification, "TOGETHER_S", 0.3)
    populate(sim, 5)
    metrics = tmp_path / "job.prom"
    with bad_service(way, monkeypatch) as url:
        monkeypatch.setenv("BULK_SYNC_PING", url)
        monkeypatch.setenv("BULK_SYNC_NOTIFY", url.replace("http", "json", 1))
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 6), "--metrics-file", metrics)
    assert ran.status == 3
    assert ran.outcomes == ["updated"] * 5 + ["not_found"]
    assert set(sim.states.values()) == {True}
    assert ran.err.count("WARNING --ping: ") == 2
    assert ran.err.count("WARNING --notify: ") == 1
    assert way not in GIVEN_UP or ran.err.count("--ping: given up after 0.2 s.") == 2
    assert "last_run_exit_status" in metrics.read_text()
    assert run(None, "ledger", "verify").status == 0
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cret" not in written + ran.out.encode() + ran.err.encode()


@pytest.mark.parametrize(
    ("words", "status"),
    [("run in.csv", 3), ("run missing.csv", 2), ("resume --all", 3)],
    ids=["finished", "not begun", "lost"],
)
def test_the_summary_is_the_last_line_of_a_log_which_cron_mails(
    words: str,
    status: int,
    sim: Simulator,
    tmp_path: Path,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    populate(sim, 1)
    write_states(tmp_path / "in.csv", 2)
    if words == "resume --all":
        assert run(sim, "run", "in.csv", "--fetch", "lookup", "--max-calls", 2).status == 6
        shutil.rmtree(tmp_path / "state" / "runs")
    with bad_service("refused", monkeypatch) as url:
        ran = subprocess.run(
            [sys.executable, "-m", "bulk_sync", *words.split(), "-q", "--summary", "json"],
            cwd=tmp_path,
            env={**environment_of(sim, tmp_path / "state"), "BULK_SYNC_PING": url},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
    *before, last = ran.stdout.splitlines()
    assert any(b"WARNING --ping: " in line for line in before)
    assert {"exit", "message"} <= orjson.loads(last).keys()
    assert ran.returncode == status


def test_a_hanging_write_of_the_metrics_file_is_given_up(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "_METRICS_S", 0.1)
    populate(sim, 5)
    os.mkfifo(tmp_path / "job.prom")
    source = write_states(tmp_path / "in.csv", 5)
    ran = run(sim, "run", source, "--metrics-file", tmp_path / "job.prom")
    assert ran.status == 0
    assert "--metrics-file: given up after 0.1 s. The run is not affected." in ran.err
    (tmp_path / "job.prom").open("wb").close()  # readers of the ledger go on


def test_a_ledger_that_hangs_does_not_keep_the_metrics_from_being_written(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "_STANDING_S", 0.1)
    write_states(tmp_path / "in.csv", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/none?connect_timeout=2"
        monkeypatch.setenv("BULK_SYNC_LEDGER", url)
        ran = run(sim, "run", "in.csv", "--rate", "fast", "--metrics-file", tmp_path / "job.prom")
    assert ran.status == 2
    assert "--metrics-file: the ledger: given up after 0.1 s." in ran.err
    values = [
        sample.value
        for metric in text_string_to_metric_families((tmp_path / "job.prom").read_text())
        for sample in metric.samples
        if sample.name == "bulk_sync_last_run_exit_status"
    ]
    assert values == [2]
