"""The log of a run without a terminal, while it goes on."""

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Run, populate, write_states

from bulk_sync.simulator import Fault, Options, Simulator, running


@pytest.fixture(autouse=True)
def every_status_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Log each status at once, and not every half minute."""
    monkeypatch.setenv("BULK_SYNC_PROGRESS_EVERY", "0")


def progress_lines(err: str) -> list[dict[str, Any]]:
    """Return the lines of a JSON log about the progress of a pass."""
    return [line for line in map(orjson.loads, err.splitlines()) if "pass" in line]


def test_progress_in_a_json_log_is_numbers(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.02, retry_after_s=1)) as sim:
        populate(sim, 12)
        sim.queue_fault(Fault.THROTTLED_429, "PATCH")
        words = ("--fetch", "lookup", "--rate", 200, "--concurrency", 3, "--log-format", "json")
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 12), *words)
    lines = progress_lines(ran.err)
    assert {line["total"] for line in lines} == {12}
    reading = [line for line in lines if line["pass"] == "read"]
    writing = [line for line in lines if line["pass"] == "write"]
    for done in ([line["done"] for line in each] for each in (reading, writing)):
        assert done == sorted(done)
        assert done[-1] == 12
    assert {line["most_in_flight"] for line in lines} == {3}
    assert 0 < max(line["in_flight"] for line in lines) <= 3
    assert {line["rate"] for line in reading} == {200}
    assert {line["throttled_seconds"] for line in reading} == {0}
    assert writing[-1]["throttled_seconds"] == pytest.approx(1.0, abs=0.1)
    assert all(0 <= line["held_seconds"] <= 1 for line in lines)
    assert len({line["held_seconds"] for line in writing}) > 3  # the log repeats the wait
    assert all("in flight, at most" in line["message"] for line in lines)
    assert writing[-1]["throttled_by"] == {"http_429": pytest.approx(1.0, abs=0.1)}
    answered = [line for line in lines if line["latency_seconds"]]
    assert all("answers in" in line["message"] for line in answered)
    assert all(line["latency_seconds"]["p50"] >= 0.02 for line in answered)
    assert writing[-1] in answered


def test_the_log_names_the_cause_of_fewer_requests_in_flight(tmp_path: Path, run: Run) -> None:
    rows = 600
    with running(Options(latency_s=0.002, faults={Fault.GATEWAY_TIMEOUT_504: 0.3})) as sim:
        populate(sim, rows)
        words = ("--fetch", "lookup", "--log-format", "json")
        ran = run(sim, "run", write_states(tmp_path / "in.csv", rows), *words, "--retries", 0)
    messages = [orjson.loads(line)["message"] for line in ran.err.splitlines()]
    assert any(re.match(r"http_504: at most \d+ requests are in flight", each) for each in messages)
    causes = [line["slowed_by"] for line in progress_lines(ran.err)]
    assert causes[0] == {}
    assert causes[-1].keys() == {"http_504"}


def test_without_a_bound_the_log_names_no_rate(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, 3)
        words = ("--fetch", "lookup", "--log-format", "json")
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 3), *words)
    lines = progress_lines(ran.err)
    assert {line["rate"] for line in lines} == {None}
    assert not any("at most" in line["message"] for line in lines)


def test_the_log_counts_the_pages_of_a_scan(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, 40)
        words = ("--fetch", "scan", "--page-size", 10, "--log-format", "json")
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 40), *words)
    lines = [line for line in progress_lines(ran.err) if line["pass"] == "scan"]
    assert [(line["done"], line["total"]) for line in lines][-1] == (40, 40)
    assert all(line["in_flight"] == 0 for line in lines)


@pytest.mark.parametrize(
    ("words", "status"),
    [(("--max-calls", 5), 6), (("--key-column", "nowhere"), 2)],
    ids=["a run that stops early", "a run that cannot begin"],
)
def test_the_last_word_of_a_json_log_is_json_too(
    words: tuple[str | int, ...], status: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 12)
    path = write_states(tmp_path / "in.csv", 12)
    ran = run(sim, "run", path, "-q", "--log-format", "json", "--fetch", "lookup", *words)
    assert ran.status == status
    last = orjson.loads(ran.err.splitlines()[-1])
    assert last["level"] == "ERROR"
    assert last["message"]
