"""The effect of earlier runs on a new one: comparisons, and removed files."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.simulator import Simulator

DAY_S = 86_400


def run_sizes(run: Run, sim: Simulator, folder: Path, *rows: int) -> list[int]:
    """Run files of several lengths, all but the last allowed; return the exit statuses."""
    statuses = []
    for number, count in enumerate(rows):
        path = write_states(folder / f"in-{count}.csv", count)
        allow = ("--allow", "fewer-rows") if number < len(rows) - 1 else ()
        where = ("--report", folder / f"{number}.csv", "--job", "nightly")
        statuses.append(run(sim, "run", path, *allow, *where).status)
    return statuses


@pytest.mark.parametrize(
    ("rows", "status"),
    [
        ((20, 9), 4),
        ((19, 9), 0),
        ((100, 40, 20), 0),
        ((100, 40, 19), 4),
        ((40, 100, 100, 100, 100, 20), 0),
        ((40, 100, 100, 100, 100, 100, 20), 4),
    ],
    ids=str,
)
def test_a_file_has_half_the_rows_of_the_smallest_of_the_last_five_or_is_refused(
    rows: tuple[int, ...], status: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 100)
    assert run_sizes(run, sim, tmp_path, *rows) == [0] * (len(rows) - 1) + [status]


def test_only_finished_runs_of_the_same_job_and_organization_are_compared(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 100)
    assert run_sizes(run, sim, tmp_path, 100) == [0]
    small, report = write_states(tmp_path / "small.csv", 20), ("--report", tmp_path / "r.csv")
    assert run(sim, "run", small, *report, "--job", "another").status == 0
    elsewhere = ("--job", "nightly", "--organization", "other")
    assert run(sim, "run", small, *report, *elsewhere).status in {5, 6}  # and not a limit
    stopped = ("--job", "third", "--max-calls", 9, "--fetch", "lookup")
    large = write_states(tmp_path / "large.csv", 90)
    assert run(sim, "run", large, *report, *stopped).status == 6
    assert run(sim, "run", small, *report, "--job", "third").status == 0
    assert run(sim, "run", small, *report, "--job", "nightly").status == 4


@pytest.mark.parametrize(("days", "is_kept"), [(29, True), (31, False)])
def test_the_checkpoint_for_a_retry_is_kept_for_thirty_days(
    days: int, is_kept: bool, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    sim.forbidden.add(key(1))
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3), "--summary", "json")
    assert ran.status == 3
    (folder,) = (tmp_path / "state" / "runs").iterdir()
    then = time.time() - days * DAY_S
    os.utime(folder, (then, then))
    sim.forbidden.clear()
    assert run(sim, "run", write_states(tmp_path / "other.csv", 1), "--report", "o.csv").status == 0
    assert folder.is_dir() is is_kept
    ran = run(sim, "retry", folder.name, "--report", tmp_path / "again.csv")
    assert ran.status == (0 if is_kept else 2)


def test_the_checkpoint_of_an_interrupted_run_is_kept_at_any_age(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 9)
    words = ("--fetch", "lookup", "--max-calls", 5)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 9), *words).status == 6
    (folder,) = (tmp_path / "state" / "runs").iterdir()
    os.utime(folder, (0, 0))
    assert run(sim, "run", write_states(tmp_path / "other.csv", 1), "--report", "o.csv").status == 0
    assert run(sim, "resume", "--max-calls", 99).status == 0
    assert set(sim.states.values()) == {True}


def test_a_run_that_cannot_be_recorded_sends_nothing(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    path = write_states(tmp_path / "in.csv", 3)
    assert run(sim, "run", path, "--dry-run").status == 0
    sim.clear()
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite3")) as other, other:
        other.execute(
            "CREATE TRIGGER refused BEFORE INSERT ON lines BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    ran = run(sim, "run", path, "--report", "r.csv")
    assert ran.status == 2
    assert "The run did not begin, and nothing was sent." in ran.err
    assert not sim.requests
    assert not list((tmp_path / "state" / "runs").iterdir())
