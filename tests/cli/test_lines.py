"""The lines about a run at its end."""

import re
from pathlib import Path

import orjson
import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.cli import summary
from bulk_sync.simulator import Fault, Options, Simulator, running


def test_the_summary_has_the_latency_and_the_waits(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.05, retry_after_s=1)) as sim:
        populate(sim, 20)
        sim.queue_fault(Fault.THROTTLED_429, "GET", matching="profile/")
        sim.queue_fault(Fault.UNAVAILABLE_503, "PATCH")
        words = ("--fetch", "lookup", "--concurrency", 2, "--summary", "json")
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 20), *words)
        requests = len(sim.requests)
    summary, latency = ran.summary, ran.summary["latency_seconds"]
    assert 0.97 * 0.05 <= latency["p50"] <= latency["p95"] < 1
    # A single 503 holds its own request.
    assert summary["throttled_by"] == {"http_429": pytest.approx(1.0, abs=0.1)}
    assert summary["throttled_seconds"] == pytest.approx(sum(summary["throttled_by"].values()))
    assert summary["answers"] == {"200": requests - 2, "429": 1, "503": 1}
    assert requests / summary["seconds"] <= summary["calls_per_second"] <= 2 / 0.05


@pytest.mark.parametrize(
    ("value", "figure"), [(0.1234, "0.123"), (999.4, "999"), (999.6, "1,000"), (2184.0, "2,184")]
)
def test_a_measured_number_is_written_without_an_exponent(value: float, figure: str) -> None:
    assert summary.figure(value) == figure


def test_a_run_that_made_no_calls_has_neither_a_latency_nor_a_rate(
    tmp_path: Path, run: Run
) -> None:
    (tmp_path / "in.csv").write_text("PKey,ccpaOptOut\n@a,perhaps\n")
    with running(Options()) as sim:
        summary = run(sim, "run", tmp_path / "in.csv", "--summary", "json").summary
        assert not sim.requests
    assert (summary["latency_seconds"], summary["calls_per_second"]) == (None, None)
    assert summary["throttled_by"] == {}


def test_the_end_of_a_run_is_in_plain_words(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 3)
    sim.add(pkey=key(3), ccpaOptOut=True)
    path = write_states(tmp_path / "in.csv", 15)
    with path.open("a") as file:
        file.write("@bad,perhaps\n")
    path.write_text(path.read_text().replace(f"{key(3)},true", f"{key(3)},false"))
    ran = run(sim, "plan", path)
    assert "ended with exit status 3: finished, but some rows need a person." in ran.out
    ran = run(sim, "run", path)
    assert "updated                4  1 opt-in, 3 opt-outs" in ran.out
    assert re.search(r"calls a second\.$", ran.out, re.MULTILINE)
    # A number and a status side by side would be read as one number.
    assert re.search(r"^Answers: 200 \(\d+\), 404 \(\d+\); half within", ran.out, re.MULTILINE)
    # Rows with the same reason share a line.
    named = ", ".join(map(str, range(6, 16)))
    assert f"  rows {named} and 1 more  not_found: Campaign knows no profile" in ran.out
    assert "  row 17  rejected bad_state: " in ran.out
    _, run_id = (each["run_id"] for each in orjson.loads(run(None, "runs", "--json").out))
    meaning = "3: finished, but some rows need a person"
    assert f"exit: {meaning}" in run(None, "runs", run_id).out


def test_a_plan_without_problems_says_that_nothing_was_written(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    ran = run(sim, "plan", write_states(tmp_path / "in.csv", 1), "--report", "plan.html")
    meaning = "exit status 0: everything could be planned; nothing was written"
    assert meaning in ran.out
    assert meaning[1:] in (tmp_path / "plan.html").read_text()
