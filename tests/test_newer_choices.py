"""A request that is older than the choice that Campaign holds does not overwrite it."""

from pathlib import Path

import pytest
from conftest import Run, key

from bulk_sync.simulator import Simulator

STAMP = "ccpaOptOutLastModified"
NEWER, OLDER = "2026-11-20 12:00:00.000Z", "2026-11-10 12:00:00.000Z"


def filled(sim: Simulator, path: Path) -> Path:
    """Six profiles that hold what their rows do not want, asked for on 15 November or undated."""
    lines = ["PKey,ccpaOptOut,Request date"]
    for number, (desired, stamp, asked) in enumerate(
        [
            (True, NEWER, "2026-11-15"),
            (False, NEWER, "2026-11-15"),
            (True, OLDER, "2026-11-15"),
            (False, OLDER, "2026-11-15"),
            (True, NEWER, ""),
            (True, "", "2026-11-15"),
        ]
    ):
        sim.add(pkey=key(number), ccpaOptOut=not desired, **{STAMP: stamp})
        lines.append(f"{key(number)},{str(desired).lower()},{asked}")
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.mark.parametrize("fetch", ["lookup", "scan"])
def test_a_newer_choice_is_left_alone(fetch: str, sim: Simulator, tmp_path: Path, run: Run) -> None:
    path = filled(sim, tmp_path / "in.csv")
    ran = run(sim, "run", path, "--fetch", fetch)
    assert ran.status == 3
    assert ran.outcomes == ["drifted"] * 2 + ["updated"] * 4
    assert [row["sync_reason"] for row in ran.report[:2]] == ["newer_choice"] * 2
    assert "changed on 2026-11-20 12:00 UTC, after the request" in ran.report[0]["sync_detail"]
    assert {pkey for pkey, _ in sim.patched} == {key(number) for number in range(2, 6)}


def test_dates_can_be_ignored(sim: Simulator, tmp_path: Path, run: Run) -> None:
    path = filled(sim, tmp_path / "in.csv")
    ran = run(sim, "run", path, "--ignore-dates")
    assert ran.status == 0
    assert ran.outcomes == ["updated"] * 6


def test_resume_heeds_what_was_read_before(sim: Simulator, tmp_path: Path, run: Run) -> None:
    path = filled(sim, tmp_path / "in.csv")
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 4)
    assert run(sim, "run", path, *words).status == 6
    for number in range(6):
        sim.profiles[key(number)][STAMP] = ""  # so it can only know from the first part
    ran = run(sim, "resume", "--max-calls", 100)
    assert ran.outcomes.count("drifted") == 2


def test_many_processes_heed_it_too(sim: Simulator, tmp_path: Path, run: Run) -> None:
    lines = ["PKey,ccpaOptOut,Request date"]
    for number in range(600):
        sim.add(pkey=key(number), ccpaOptOut=False, **{STAMP: NEWER if number % 2 else OLDER})
        lines.append(f"{key(number)},true,2026-11-15")
    path = tmp_path / "in.csv"
    path.write_text("\n".join([*lines, ""]))
    ran = run(sim, "run", path, "--fetch", "lookup", "--processes", 2)
    assert ran.outcomes == ["updated", "drifted"] * 300
