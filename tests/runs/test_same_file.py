"""The same file again under the same job: a warning, and never a refusal."""

from pathlib import Path

import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.simulator import Simulator

WARNING = "has carried out this very file"


@pytest.fixture
def carried_out(sim: Simulator, tmp_path: Path, run: Run) -> str:
    """Run a file, and return the id of the run."""
    populate(sim, 3)
    write_states(tmp_path / "in.csv", 3)
    first = run(sim, "run", "in.csv", "--summary", "json", "--report", "first.csv")
    assert WARNING not in first.err
    run_id: str = first.summary["run_id"]
    return run_id


@pytest.mark.parametrize(
    "words",
    [("run",), ("run", "-n"), ("plan",), ("plan", "--out", "p.parquet")],
    ids=["run", "dry run", "plan", "saved plan"],
)
def test_the_same_file_is_a_warning(
    words: tuple[str, ...], carried_out: str, sim: Simulator, run: Run
) -> None:
    ran = run(sim, words[0], "in.csv", *words[1:], "--report", "again.csv")
    assert ran.status == 0
    (line,) = (line for line in ran.err.splitlines() if WARNING in line)
    assert f"Run {carried_out} of this job, begun 20" in line
    assert "--allow same-file" in line
    quiet = run(sim, words[0], "in.csv", *words[1:], "--report", "q.csv", "--allow", "same-file")
    assert quiet.status == 0
    assert WARNING not in quiet.err


def test_a_plan_of_a_file_that_was_run_meanwhile_is_a_warning(
    carried_out: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", 2)
    assert WARNING not in run(sim, "plan", "in.csv", "--out", "p.parquet").err
    assert run(sim, "run", "in.csv", "--report", "run.csv").status == 0
    ran = run(sim, "apply", "p.parquet", "--report", "apply.csv")
    (line,) = (line for line in ran.err.splitlines() if WARNING in line)
    assert carried_out not in line


@pytest.mark.parametrize("way", ["another job", "other content", "undone", "only planned"])
def test_runs_that_do_not_count_as_a_repetition(
    way: str, carried_out: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    words: tuple[str, ...] = ()
    if way == "another job":
        words = ("--job", "other")
    elif way == "undone":
        assert run(sim, "undo", carried_out, "--report", "undo.csv").status == 0
    else:
        write_states(tmp_path / "in.csv", 2)
    if way == "only planned":
        run(sim, "plan", "in.csv", "--out", "p.parquet")
    ran = run(sim, "run", "in.csv", "--report", "again.csv", *words)
    assert ran.status == 0
    assert WARNING not in ran.err


@pytest.mark.parametrize("state", ["false", "mixed"], ids=["all held", "some held"])
def test_a_run_with_rows_held_back_does_not_count(
    state: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 12, state=True)
    path = write_states(tmp_path / "in.csv", 12, "false")
    if state == "mixed":
        sim.profiles[key(0)]["ccpaOptOut"] = False
        path.write_text(path.read_text().replace("false", "true", 1))
    hold = ("--hold-opt-ins", "--max-opt-ins", 2)
    assert run(sim, "run", "in.csv", *hold, "--report", "1.csv").status == 3
    assert WARNING not in run(sim, "run", "in.csv", *hold, "--report", "2.csv").err


def test_a_run_with_only_failed_rows_does_not_count(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    write_states(tmp_path / "in.csv", 2)
    sim.forbidden |= {key(0), key(1)}
    assert run(sim, "run", "in.csv", "--report", "1.csv").status == 3
    sim.forbidden.clear()
    assert WARNING not in run(sim, "run", "in.csv", "--report", "2.csv").err
