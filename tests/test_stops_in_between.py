"""Rows that fail, and runs that are stopped, between two requests of one row."""

import os
import signal
from pathlib import Path

import pytest
from conftest import Run, before_answer, key, populate, wishes

from bulk_sync.simulator import Fault, Simulator

LOOKUP = ("--fetch", "lookup", "--concurrency", 1)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_change_that_was_confirmed_and_not_read_back_is_not_failed_for_good(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    path = wishes(tmp_path / "in.csv", 3)
    before_answer(sim, "PATCH", 1, terminate)
    ran = run(sim, "run", path, *LOOKUP, "--verify")
    assert ran.status == 143
    assert "failed" not in ran.outcomes
    ran = run(sim, "resume")
    assert (ran.status, ran.outcomes) == (0, ["updated"] * 3)
    assert len(sim.patched) == 3


def test_a_write_that_failed_before_an_interruption_is_left_to_retry(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 6)
    sim.forbidden.add(key(0))
    path = wishes(tmp_path / "in.csv", 6)
    assert run(sim, "run", path, *LOOKUP, "--max-calls", 10).status == 6
    sim.forbidden.clear()
    sim.clear()
    ran = run(sim, "resume")
    assert (ran.status, ran.outcomes) == (3, ["failed"] + ["updated"] * 5)
    assert key(0) not in {pkey for pkey, _ in sim.patched}
    assert "bulk-sync retry" in ran.out


def test_an_older_run_goes_on_after_a_later_one_was_refused(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20, state=True)
    older = wishes(tmp_path / "older.csv", 8, "false")
    assert run(sim, "run", older, *LOOKUP, "--max-calls", 12).status == 6
    newer = wishes(tmp_path / "newer.csv", 20, "false")
    assert run(sim, "run", newer, "--max-opt-ins", 0).status == 4
    ran = run(sim, "resume", "--report", "resumed.json", "--summary", "json")
    assert ran.status == 0, ran.err  # what was refused has said nothing
    assert ran.summary["outcomes"] == {"updated": 8}


@pytest.mark.parametrize("by", ["PKey", "email"])
def test_a_look_up_that_failed_in_passing_is_tried_once_more_at_the_end(
    by: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    keys = [key(number) if by == "PKey" else f"p{number}@example.com" for number in range(3)]
    lines = [f"{each},true" for each in keys]
    (tmp_path / "in.csv").write_text("\n".join([f"{by},ccpaOptOut", *lines, ""]))
    part = key(1)[1:] if by == "PKey" else "p1%40example.com"
    sim.queue_fault(Fault.TRANSIENT_500, "GET", matching=part)
    ran = run(sim, "run", "in.csv", *LOOKUP, "--retries", 0)
    assert (ran.status, ran.outcomes) == (0, ["updated"] * 3), ran.err


@pytest.mark.parametrize("by", ["PKey", "email"])
def test_without_the_attribute_nothing_is_written(
    by: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 8)
    for profile in sim.profiles.values():
        del profile["ccpaOptOut"]
    keys = [key(number) if by == "PKey" else f"p{number}@example.com" for number in range(8)]
    lines = [f"{each},true" for each in keys]
    (tmp_path / "in.csv").write_text("\n".join([f"{by},ccpaOptOut", *lines, ""]))
    ran = run(sim, "run", "in.csv", *LOOKUP)
    assert ran.status in {2, 6}, ran.err
    assert "has a value for the attribute 'ccpaOptOut'" in ran.err
    assert sim.patched == []
