"""An opt-out that an unfinished run has found in Campaign is not lifted for an older request."""

from pathlib import Path

import orjson
import pytest
from conftest import Ran, Run, key, populate, read_csv, write_states
from large_inputs import in_slices

from bulk_sync.simulator import Simulator


def opt_outs(folder: Path, rows: int) -> None:
    """Write a list of opt-outs of the tenth of November."""
    lines = [f"{key(number)},true,2026-11-10" for number in range(rows)]
    (folder / "first.csv").write_text("\n".join(["PKey,ccpaOptOut,Request date", *lines, ""]))


def lift(sim: Simulator, folder: Path, run: Run, date: str) -> dict[str, str]:
    """Give a list with an opt-in of a date for the first profile, and return its row."""
    (folder / "other.csv").write_text(f"PKey,ccpaOptOut,Request date\n{key(0)},false,{date}\n")
    (folder / "other.results.csv").unlink(missing_ok=True)
    run(sim, "run", "other.csv", "--fresh", "--report", "other.results.csv")
    (row,) = read_csv(folder / "other.results.csv")
    return row


LOOKUPS = ("--fetch", "lookup", "--concurrency", 1)


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((*LOOKUPS, "--max-calls", 3), 6),
        ((*LOOKUPS, "--max-calls", 6), 6),
        ((*LOOKUPS, "--max-changes", 0), 4),
    ],
    ids=["while it reads", "while it writes", "before it writes"],
)
def test_an_opt_out_found_by_a_stopped_run_stands_against_an_older_request(
    words: tuple[object, ...], status: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 4)
    sim.profiles[key(0)]["ccpaOptOut"] = True
    opt_outs(tmp_path, 4)
    assert run(sim, "run", "first.csv", "--report", "first.results.csv", *words).status == status
    older = lift(sim, tmp_path, run, "2026-11-08")
    assert (older["sync_outcome"], older["sync_reason"]) == ("drifted", "newer_choice")
    assert "wants the same state by a request of 2026-11-10" in older["sync_detail"]
    assert lift(sim, tmp_path, run, "2026-11-12")["sync_outcome"] == "updated"


@pytest.mark.parametrize("date", ["2026-11-10", ""])
def test_an_opt_out_that_a_stopped_run_has_yet_to_look_at_stands_against_an_older_request(
    date: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 4)
    sim.profiles[key(0)]["ccpaOptOut"] = True
    dates = ["2026-11-01", "2026-11-01", "2026-11-01", date]
    rows = [f"{key(3 - number)},true,{each}" for number, each in enumerate(dates)]
    (tmp_path / "first.csv").write_text("\n".join(["PKey,ccpaOptOut,Request date", *rows, ""]))
    words = (*LOOKUPS, "--max-calls", 3, "--report", "first.results.csv", "--summary", "json")
    stopped = run(sim, "run", "first.csv", *words)
    assert stopped.status == 6
    assert read_csv(tmp_path / "first.results.csv")[3]["sync_before"] == ""
    older = lift(sim, tmp_path, run, "2026-11-08")
    assert (older["sync_outcome"], older["sync_reason"]) == ("drifted", "newer_choice")
    assert "wants the same state by a request" in older["sync_detail"]
    if date:
        assert lift(sim, tmp_path, run, "2026-11-12")["sync_outcome"] == "updated"
    else:
        assert run(sim, "resume", run_id_of(stopped), "--give-up").status == 0
        assert lift(sim, tmp_path, run, "2026-11-08")["sync_outcome"] == "updated"


def test_every_profile_of_an_address_keeps_its_opt_out(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(3):
        sim.add(pkey=key(number), email="jo@example.com", ccpaOptOut=number == 0)
    (tmp_path / "first.csv").write_text(
        "email,ccpaOptOut,Request date\njo@example.com,true,2026-11-10\n"
    )
    words = ("--max-calls", 3, "--concurrency", 1, "--report", "first.results.csv")
    assert run(sim, "run", "first.csv", *words).status == 6
    assert lift(sim, tmp_path, run, "2026-11-08")["sync_outcome"] == "drifted"
    assert run(sim, "resume", "--max-calls", 99).status == 0
    assert set(sim.states.values()) == {True}


def test_so_does_one_of_a_large_input(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 60)
    for number in range(50):
        sim.profiles[key(number)]["ccpaOptOut"] = True
    opt_outs(tmp_path, 60)
    words = ("--fetch", "scan", "--page-size", 25, "--concurrency", 1, "--max-calls", 8)
    with in_slices():
        ran = run(sim, "run", "first.csv", "--report", "first.results.csv", *words)
    assert ran.status == 6
    assert 0 < len(sim.patched) < 10
    assert lift(sim, tmp_path, run, "2026-11-08")["sync_reason"] == "newer_choice"


def test_an_opt_in_found_by_a_stopped_run_does_not_count(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    (tmp_path / "first.csv").write_text(
        f"PKey,ccpaOptOut,Request date\n{key(0)},false,2026-11-10\n{key(1)},true,2026-11-10\n"
    )
    words = (*LOOKUPS, "--max-calls", 3, "--report", "first.results.csv")
    assert run(sim, "run", "first.csv", *words).status == 6
    (tmp_path / "older.csv").write_text(f"PKey,ccpaOptOut,Request date\n{key(0)},true,2026-11-08\n")
    assert run(sim, "run", "older.csv").status == 0
    assert sim.states[key(0)] is True


def run_id_of(ran: Ran) -> str:
    return str(ran.summary["run_id"])


@pytest.mark.parametrize("how", ["directly", "as a plan", "resumed"])
@pytest.mark.parametrize("date", ["", "2026-11-05", "2026-11-20"])
def test_an_undo_lifts_no_opt_out_that_another_list_has_found_since(
    date: str, how: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(3):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=False)
    opt_outs(tmp_path, 3)
    wrong = run_id_of(run(sim, "run", "first.csv", "--summary", "json"))
    undo: tuple[object, ...] = ("undo", wrong, "--report", "undo.csv")
    if how == "as a plan":
        assert run(sim, *undo[:2], "--out", "undo.parquet").status == 0
        undo = ("apply", "undo.parquet", *undo[2:])
    elif how == "resumed":
        assert run(sim, *undo, "--max-opt-ins", 0).status == 4
        stopped = run(None, "runs", "--json", "--last", 1)
        undo = ("resume", orjson.loads(stopped.out)[0]["run_id"], "--max-opt-ins", 9)
    (tmp_path / "right.csv").write_text(
        f"email,ccpaOptOut,Request date\np1@EXAMPLE.com,true,{date}\n"
    )
    assert run(sim, "run", "right.csv").status == 0
    assert run(sim, *undo).status == 3
    assert sim.states == {key(number): number == 1 for number in range(3)}
    (_, row, _) = read_csv(tmp_path / "undo.csv")
    assert (row["sync_outcome"], row["sync_reason"]) == ("drifted", "newer_run")
    assert "asks for this opt-out, too" in row["sync_detail"]


def test_an_undo_lifts_what_only_the_same_list_has_found(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    opt_outs(tmp_path, 2)
    wrong = run_id_of(run(sim, "run", "first.csv", "--summary", "json"))
    assert run(sim, "run", "first.csv", "--report", "again.csv").status == 0
    undone = run(sim, "undo", wrong)
    assert undone.status == 0
    assert "of the same list has worked on this organization since" in undone.err
    assert "stays" not in undone.err
    assert set(sim.states.values()) == {False}


def test_an_undo_names_the_runs_of_other_lists_since_and_no_earlier_ones(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    other = write_states(tmp_path / "other.csv", 1)
    ids = []
    opt_outs(tmp_path, 2)
    for number, path in enumerate([other, "first.csv", other]):
        given = "--summary", "json", "--report", f"{number}.csv"
        ids.append(run_id_of(run(sim, "run", path, *given)))
    earlier, wrong, later = ids
    undone = run(sim, "undo", wrong)
    assert f"Run {later} has worked on this organization since. An opt-out that" in undone.err
    assert earlier not in undone.err


def test_a_resumed_run_lifts_no_opt_out_that_the_list_of_a_refused_run_has_found_since(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    """The list of the first night waits for a person, and so does that of the second one."""
    populate(sim, 12, state=True)
    refused = []
    for number, name in enumerate(["first", "second"]):
        lines = [f"{key(at)},{str(at == 0 and number == 1).lower()}" for at in range(12)]
        (tmp_path / f"{name}.csv").write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
        refused.append(run(sim, "run", f"{name}.csv", "--summary", "json"))
    assert [ran.status for ran in refused] == [4, 4]
    words = ("--max-opt-ins", 12, "--report", "r.csv")
    assert run(sim, "resume", run_id_of(refused[0]), *words).status == 3
    assert sim.states == {key(number): number == 0 for number in range(12)}
    row = read_csv(tmp_path / "r.csv")[0]
    assert (row["sync_outcome"], row["sync_reason"]) == ("drifted", "newer_run")


@pytest.mark.parametrize("date", ["2026-11-08", "2026-11-14", ""])
@pytest.mark.parametrize(
    "repeats", [("2026-11-10", ""), ("", "2026-11-10"), ("2026-11-10", "", "2026-11-20")]
)
@pytest.mark.parametrize("is_found", [True, False], ids=["found", "written"])
def test_a_repeat_without_a_date_takes_no_date_from_an_opt_out(
    is_found: bool, repeats: tuple[str, ...], date: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2, state=is_found)
    lines = [f"{key(0)},true,{each}" for each in repeats]
    (tmp_path / "first.csv").write_text("\n".join(["PKey,ccpaOptOut,Request date", *lines, ""]))
    assert run(sim, "run", "first.csv", "--report", "first.results.csv").status == 0
    assert lift(sim, tmp_path, run, date)["sync_reason"] == "newer_choice"
    assert sim.states[key(0)] is True
