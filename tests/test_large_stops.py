"""Runs of large inputs that are killed, stopped or without room at each stage: they go on."""

import os
import resource
import signal
import sys
from pathlib import Path

import pytest
from conftest import Ran, Run, before_answer, key, process, read_csv
from large_inputs import at_moment, in_slices

from bulk_sync import ledger
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator

ROWS, CHANGES = 100, 25
PAGES = 10
PROGRAM = (sys.executable, str(Path(__file__).with_name("large_inputs.py")))
SCAN = ("--fetch", "scan", "--page-size", "10", "--allow", "inverted")


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """A Campaign, and a file that repeats a row and changes every fourth profile."""
    fill(sim)
    rows = [f"{key(at)},true" for at in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, rows[0], ""]))
    return sim


def fill(sim: Simulator) -> None:
    for at in range(ROWS):
        sim.add(pkey=key(at), email=f"p{at}@example.com", ccpaOptOut=at % 4 > 0)


def check_done(ran: Ran, sim: Simulator, run: Run) -> None:
    """Check that each change was made once, that all know it, and no file stays."""
    state_dir = ran.folder / "state"
    assert ran.status == 0, ran.err
    assert sorted(sim.patched) == [(key(at), True) for at in range(0, ROWS, 4)]
    reports = [read_csv(path) for path in ran.folder.glob("*.results.csv")]
    rows = reports[-1]
    assert [row["PKey"] for row in rows] == [*(key(at) for at in range(ROWS)), key(0)]
    outcomes = ["unchanged" if at % 4 else "updated" for at in range(ROWS)]
    assert [row["sync_outcome"] for row in rows] == [*outcomes, "duplicate"]
    assert all(row["sync_after"] == "true" for row in rows)
    with ledger.open_ledger(State(state_dir)) as book:
        assert book.verify()[1] is None
        last = book.runs()[-1]
        assert last.ended is not None
        assert last.ended.outcomes == {"duplicate": 1, "unchanged": 75, "updated": 25}
        assert len(list(book.writes(last.run_id))) == CHANGES
    assert run(None, "tidy").status == 0
    assert not (state_dir / "runs" / last.run_id).exists()
    assert not list((state_dir / "checks").iterdir())


def go_on(run: Run, sim: Simulator, *words: object) -> Ran:
    """Resume what was begun; start the same command again if nothing was."""
    with in_slices():
        ran = run(sim, "resume", *words)
        if "nothing to resume" in ran.out:
            assert sim.patched == []
            ran = run(sim, "run", "in.csv", *SCAN, *words)
    return ran


@pytest.mark.parametrize(
    "moment",
    ["judging", "sorting", "scanning", "keeping the rest", "states", "writing the report"],
)
def test_a_run_that_is_killed_goes_on(
    moment: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    words = (*PROGRAM, moment)
    with process(filled, tmp_path, "run", "in.csv", *SCAN, program=words) as killed:
        said = killed.communicate()[1]
    assert killed.returncode == -signal.SIGKILL, said
    check_done(go_on(run, filled), filled, run)


@pytest.mark.parametrize(
    "moment", ["judging", "keeping the rows", "scanning", "joining", "keeping the rest"]
)
def test_a_run_without_room_ends_with_6_and_goes_on_with_room(
    moment: str, filled: Simulator, run: Run
) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill_the_disk() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))

    try:
        with in_slices(), at_moment(moment, fill_the_disk):
            ran = run(filled, "run", "in.csv", *SCAN)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ran.status == 6, ran.err
    assert "Traceback" not in ran.err
    assert filled.patched == []
    check_done(go_on(run, filled), filled, run)


def test_sigterm_while_the_list_is_read_keeps_the_place(filled: Simulator, run: Run) -> None:
    before_answer(filled, "GET", 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN)
    assert ran.status == 143, ran.err
    assert ran.outcomes.count("pending") == ROWS + 1 - ran.outcomes.count("duplicate")
    pages = pages_of(filled)
    filled.clear()
    check_done(go_on(run, filled), filled, run)
    assert len(pages) + len(pages_of(filled)) == PAGES + 1  # the first one is a preflight too
    assert not set(pages[1:]) & set(pages_of(filled))


def pages_of(sim: Simulator) -> list[str]:
    """Return the requests of the list."""
    return [each.target for each in sim.requests if each.raw_path.endswith(("profile", "profile/"))]


def test_a_budget_may_end_while_the_list_is_read(filled: Simulator, run: Run) -> None:
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN, "--max-calls", 4, "--summary", "json")
        assert ran.status == 6, ran.err
        assert ran.summary["outcomes"] == {"duplicate": 1, "pending": ROWS}
        assert ran.summary["calls_total"] == 4
        first = len(pages_of(filled))
        assert ran.summary["to_come"]["calls"] == PAGES - first
        filled.clear()
        ran = run(filled, "resume", "--max-calls", 99)
    check_done(ran, filled, run)
    assert first + len(pages_of(filled)) == PAGES + 1
