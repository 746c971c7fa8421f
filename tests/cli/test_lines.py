"""What a run says of itself at its end."""

from pathlib import Path

import pytest
from conftest import Run, populate, wishes

from bulk_sync.cli import summary
from bulk_sync.simulator import Fault, Options, running


def test_the_summary_has_the_latency_and_the_waits(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.05, retry_after_s=1)) as sim:
        populate(sim, 20)
        sim.queue_fault(Fault.THROTTLED_429, "GET", matching="profile/")
        sim.queue_fault(Fault.UNAVAILABLE_503, "PATCH")
        words = ("--fetch", "lookup", "--concurrency", 2, "--summary", "json")
        ran = run(sim, "run", wishes(tmp_path / "in.csv", 20), *words)
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
