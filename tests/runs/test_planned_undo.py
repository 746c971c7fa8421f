"""An undo saved as a plan by one person, and applied by another."""

import shlex
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.simulator import Options, Simulator, running

ROWS = 8
OPENED = {key(number): False for number in range(ROWS)}


@pytest.fixture
def done(sim: Simulator, tmp_path: Path, run: Run) -> str:
    """Return a run that opted six of eight people out; two were opted out before."""
    populate(sim, ROWS)
    sim.profiles[key(0)]["ccpaOptOut"] = sim.profiles[key(1)]["ccpaOptOut"] = True
    ran = run(sim, "run", write_states(tmp_path / "in.csv", ROWS), "--summary", "json",
              "--report", "first.csv", "--ticket", "PRIV-231")  # fmt: skip
    assert ran.status == 0
    sim.patched.clear()
    return str(ran.summary["run_id"])


def runs(run: Run) -> list[dict[str, Any]]:
    found = orjson.loads(run(None, "runs", "--json").out)
    return [each for each in found if each["started"]]


def test_the_plan_writes_nothing_and_has_no_question(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.requests.clear()
    words = ("--ticket", "PRIV-240", "--prepared-by", "Anna", "--report", "undo.csv",
             "--report", "undo.html")  # fmt: skip
    ran = run(sim, "undo", done, "--out", "undo.parquet", *words)
    assert ran.status == 0
    assert sim.requests == []
    rows = pd.read_parquet(tmp_path / "undo.parquet")
    assert rows["sync_outcome"].tolist() == ["would_update"] * 6
    assert rows["sync_row"].tolist() == [4, 5, 6, 7, 8, 9]
    assert rows["sync_desired"].tolist() == [False] * 6
    assert len(pd.read_csv(tmp_path / "undo.csv")) == 6
    text = (tmp_path / "undo.html").read_text("utf-8")
    assert f"undo of run {done}" in text
    assert "Exit status 0: everything could be planned; nothing was written." in text
    plan = runs(run)[-1]
    assert (plan["kind"], plan["parent"], plan["finished"]) == ("plan", done, True)
    assert (plan["ticket"], plan["prepared_by"], plan["opt_ins"]) == ("PRIV-240", "Anna", 6)
    assert run(None, "ledger", "verify").status == 0
    assert run(sim, "audit", done, "--report", "audit.csv").status == 0  # it still holds


def test_applying_it_is_an_undo_of_the_run(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(sim, "undo", done, "--out", "undo.parquet", "--approvals", 1, "--prepared-by", "Anna")
    (line,) = (line for line in ran.out.splitlines() if "bulk-sync apply" in line)
    words = shlex.split(line)[1:]
    assert run(sim, *words[:-1], "anna").status == 4
    sim.profiles[key(5)]["ccpaOptOut"] = False
    ran = run(sim, *words[:-1], "Ben", "--report", "undone.csv")
    assert ran.status == 3  # one has moved since
    facts = runs(run)[-1]
    assert (facts["kind"], facts["parent"]) == ("undo", done)
    assert (facts["prepared_by"], facts["approved_by"]) == ("Anna", ["Ben"])
    assert facts["outcomes"] == {"updated": 5, "drifted": 1}
    assert sorted(sim.patched) == [(key(number), False) for number in (2, 3, 4, 6, 7)]
    (todo,) = tmp_path.glob("undo.*.todo.csv")
    assert pd.read_csv(todo)["ccpaOptOut"].tolist() == [False]
    assert "put back on" in run(None, "history", key(3)).out
    assert run(sim, "audit", facts["run_id"], "--report", "audit.csv").status == 0
    assert run(None, "ledger", "verify").status == 0


def test_it_is_done_once_by_plan_or_directly(done: str, sim: Simulator, run: Run) -> None:
    for name in ("one.parquet", "two.parquet"):
        assert run(sim, "undo", done, "--out", name).status == 0
    assert run(sim, "apply", "one.parquet").status == 0
    assert len(sim.patched) == 6
    sim.patched.clear()
    for again in (("apply", "one.parquet"), ("apply", "two.parquet"), ("undo", done),
                  ("undo", done, "--out", "three.parquet")):  # fmt: skip
        ran = run(sim, *again)
        assert ran.status == 0
        assert "done before" in ran.out or "has been carried out" in ran.out
    assert sim.patched == []


def test_it_can_be_undone_by_a_plan_too(done: str, sim: Simulator, run: Run) -> None:
    assert run(sim, "undo", done, "--out", "undo.parquet").status == 0
    assert run(sim, "apply", "undo.parquet").status == 0
    undo = runs(run)[-1]["run_id"]
    assert run(sim, "undo", undo, "--out", "redo.parquet").status == 0
    assert run(sim, "apply", "redo.parquet").status == 0
    assert all(profile["ccpaOptOut"] for profile in sim.profiles.values())
    assert run(sim, "audit", done, "--report", "audit.csv").status == 0  # it stands again
    assert run(sim, "apply", "undo.parquet").status == 2
    assert all(profile["ccpaOptOut"] for profile in sim.profiles.values())


def test_profiles_changed_by_a_later_run_are_left_alone(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    assert run(sim, "undo", done, "--out", "undo.parquet").status == 0
    for number, state in enumerate(("false", "true")):  # back and forth: it stands as it was left
        path = tmp_path / f"later{number}.csv"
        path.write_text(f"PKey,ccpaOptOut\n{key(3)},{state}\n")
        assert run(sim, "run", path, "--report", f"{number}.csv", "--job", "later").status == 0
    sim.patched.clear()
    assert run(sim, "apply", "undo.parquet").status == 3
    assert key(3) not in dict(sim.patched)
    assert len(sim.patched) == 5


def test_its_opt_ins_fall_under_the_limits_of_both(done: str, sim: Simulator, run: Run) -> None:
    ran = run(sim, "undo", done, "--out", "undo.parquet", "--max-opt-ins", 2)
    assert ran.status == 0
    assert "A limit would stop the run" in ran.out
    assert run(sim, "apply", "undo.parquet").status == 4
    assert sim.patched == []
    assert run(sim, "resume", runs(run)[-1]["run_id"], "--max-opt-ins", 6).status == 0
    assert len(sim.patched) == 6


def test_it_is_resumed_and_retried_as_an_undo(done: str, sim: Simulator, run: Run) -> None:
    assert run(sim, "undo", done, "--out", "undo.parquet").status == 0
    words = ("--max-calls", 7, "--concurrency", 1)
    assert run(sim, "apply", "undo.parquet", *words).status == 6
    assert 0 < len(sim.patched) < 6
    sim.forbidden.add(key(7))
    assert run(sim, "apply", "undo.parquet").status == 3
    undo = runs(run)[-1]["run_id"]
    sim.forbidden.clear()
    assert run(sim, "retry", undo, "--report", "r.csv").status == 0
    assert [sim.states[key(number)] for number in range(2, ROWS)] == [False] * 6


def test_an_expired_plan_names_the_command_that_makes_it_anew(
    done: str, sim: Simulator, run: Run
) -> None:
    assert run(sim, "undo", done, "--out", "undo.parquet", "--ticket", "PRIV-240").status == 0
    ran = run(sim, "apply", "undo.parquet", "--plan-valid", "0s")
    assert ran.status == 4
    again = shlex.split(ran.err.splitlines()[-1])[1:]
    assert again == ["undo", done, "--out", "undo.parquet", "--ticket", "PRIV-240"]
    assert run(sim, *again).status == 0


def test_an_unfinished_run_is_given_up_first(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, ROWS)
    path, words = write_states(tmp_path / "in.csv", ROWS), ("--max-calls", 6, "--concurrency", 1)
    assert run(sim, "run", path, *words).status == 6
    run_id = runs(run)[-1]["run_id"]
    ran = run(sim, "undo", run_id, "--out", "undo.parquet")
    assert ran.status == 2
    assert f"bulk-sync resume {run_id} --give-up" in ran.err
    assert not (tmp_path / "undo.parquet").exists()
    assert not runs(run)[-1]["finished"]
    assert run(sim, "resume", run_id, "--give-up").status == 0
    assert run(sim, "undo", run_id, "--out", "undo.parquet").status == 0
    assert run(sim, "apply", "undo.parquet").status == 0
    assert sim.states == OPENED


def test_the_undo_of_another_attribute_is_applied_there(tmp_path: Path, run: Run) -> None:
    with running(Options(attribute="cusOptOut")) as sim:
        sim.add(pkey=key(0), cusOptOut=False)
        (tmp_path / "in.csv").write_text(f"PKey,cusOptOut\n{key(0)},true\n")
        assert run(sim, "run", "in.csv", "--attribute", "cusOptOut").status == 0
        ran = run(sim, "undo", runs(run)[-1]["run_id"], "--out", "undo.parquet")
        (line,) = (line for line in ran.out.splitlines() if "bulk-sync apply" in line)
        words = shlex.split(line)[1:]
        assert words[-2:] == ["--attribute", "cusOptOut"]
        assert run(sim, *words).status == 0
        assert sim.patched[-1] == (key(0), False)


def test_a_place_for_the_plan_is_checked_first(done: str, sim: Simulator, run: Run) -> None:
    assert run(sim, "undo", done, "--out", "undo.xlsx").status == 2
    assert len(runs(run)) == 1
