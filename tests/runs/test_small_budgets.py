"""Runs with just enough calls for one profile: each makes progress, or names the least budget."""

import re
from pathlib import Path

import pytest
from conftest import Run, read_csv

from bulk_sync.simulator import Options, Simulator, running

_PEOPLE, _OTHERS = 4, 50


def files(sim: Simulator, path: Path, *, are_known: bool) -> Path:
    for number in range(_OTHERS):
        sim.add(email=f"o{number}@x.com", ccpaOptOut=False)
    names = [f"p{number}@x.com" for number in range(_PEOPLE)]
    for name in names if are_known else ():
        sim.add(email=name, ccpaOptOut=False)
    lines = [f"{name},Ada,Ash,true\n" for name in names]
    path.write_text("email,firstName,lastName,ccpaOptOut\n" + "".join(lines))
    return path


def further_pages(sim: Simulator) -> int:
    return sum("/profile/?_line" in call.target for call in sim.requests)


@pytest.mark.parametrize("scans", [(), ("--fetch", "scan")], ids=["auto", "scan"])
@pytest.mark.parametrize("verifies", [(), ("--verify",)], ids=["plain", "verified"])
@pytest.mark.parametrize("creates", [(), ("--create",)], ids=["known", "created"])
def test_a_run_makes_progress_with_the_least_budget_named(
    creates: tuple[str, ...],
    verifies: tuple[str, ...],
    scans: tuple[str, ...],
    tmp_path: Path,
    run: Run,
) -> None:
    with running(Options(max_line_count=10)) as sim:
        path, most, raised = files(sim, tmp_path / "in.csv", are_known=not creates), 3, 0
        ran = run(sim, "run", path, *creates, *verifies, *scans, "--max-calls", most)
        for _ in range(12):
            if ran.status == 0:
                break
            assert ran.status == 6, ran.err
            if named := re.search(r"give at least (\d+) at once", ran.err):
                raised, most = raised + 1, int(named[1])
            ran = run(sim, "resume", "--max-calls", most)
        assert (ran.status, raised <= 2) == (0, True), ran.err
        states = {each["email"]: each["ccpaOptOut"] for each in sim.profiles.values()}
        assert [states[f"p{number}@x.com"] for number in range(_PEOPLE)] == [True] * _PEOPLE


def test_a_list_read_to_its_end_is_not_read_again(tmp_path: Path, run: Run) -> None:
    with running(Options(max_line_count=10)) as sim:
        path = files(sim, tmp_path / "in.csv", are_known=False)
        assert run(sim, "run", path, "--fetch", "scan", "--max-calls", 7).status == 6
        assert further_pages(sim) == _OTHERS // 10 - 1
        sim.requests.clear()
        assert run(sim, "resume", "--report", tmp_path / "resumed.csv").status == 3
        rows = read_csv(tmp_path / "resumed.csv")
        assert [row["sync_outcome"] for row in rows] == ["not_found"] * _PEOPLE
        assert further_pages(sim) == 0


def test_a_list_beyond_the_budget_is_named_as_useless(tmp_path: Path, run: Run) -> None:
    with running(Options(max_line_count=10)) as sim:
        path = files(sim, tmp_path / "in.csv", are_known=True)
        ran = run(sim, "run", path, "--fetch", "scan", "--max-calls", 4)
        assert "A part of the list is not kept: give at least 7 calls at once" in ran.err
        assert "goes on with it" not in ran.err
