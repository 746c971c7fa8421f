"""What an undo must not lift, and what must not be done any more after it."""

from pathlib import Path

import orjson
import pytest
from conftest import Run, key, populate, read_csv
from openpyxl import Workbook

from bulk_sync.simulator import Fault, Simulator

LOOKUPS = ("--fetch", "lookup", "--concurrency", 1)


def newest(run: Run) -> str:
    return str(orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"])


def list_of(folder: Path, name: str, state: str, *numbers: int) -> str:
    lines = [f"{key(number)},{state}" for number in numbers]
    (folder / name).write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
    return name


@pytest.mark.parametrize("calls", [3, 6], ids=["while it read", "while it wrote"])
def test_an_undo_lifts_no_opt_out_that_an_older_list_has_found_since(
    calls: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 4)
    older = list_of(tmp_path, "older.csv", "true", 0, 1, 2, 3)
    assert run(sim, "run", older, *LOOKUPS, "--max-calls", calls, "--report", "1.csv").status == 6
    stopped = newest(run)
    assert run(sim, "run", list_of(tmp_path, "wrong.csv", "true", 3)).status == 0
    wrong = newest(run)
    assert run(sim, "resume", stopped, "--max-calls", 99, "--report", "2.csv").status == 0
    assert read_csv(tmp_path / "2.csv")[3]["sync_outcome"] == "unchanged"
    assert run(sim, "undo", wrong, "--report", "undo.csv").status == 3
    (row,) = read_csv(tmp_path / "undo.csv")
    assert (row["sync_outcome"], row["sync_reason"]) == ("drifted", "newer_run")
    assert f"The file of run {stopped} asks for this opt-out, too" in row["sync_detail"]
    assert sim.states == {key(number): True for number in range(4)}


def test_an_undo_lifts_no_opt_out_that_the_retry_of_an_older_list_has_found_since(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    sim.forbidden.add(key(1))
    older = list_of(tmp_path, "older.csv", "true", 0, 1)
    assert run(sim, "run", older, "--report", "1.csv").status == 3
    failed = newest(run)
    sim.forbidden.clear()
    assert run(sim, "run", list_of(tmp_path, "wrong.csv", "true", 1)).status == 0
    wrong = newest(run)
    assert run(sim, "retry", failed, "--report", "2.csv").status == 0
    assert run(sim, "undo", wrong).status == 3
    assert sim.states == {key(0): True, key(1): True}


def test_an_undo_lifts_no_opt_out_that_an_older_list_has_found_beside_another_profile_that_failed(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), email="ada@example.com", ccpaOptOut=False)
    (tmp_path / "older.csv").write_text("email,ccpaOptOut\nada@example.com,true\n")
    assert run(sim, "run", "older.csv", "--max-calls", 1, "--report", "1.csv").status == 6
    stopped = newest(run)
    assert run(sim, "run", list_of(tmp_path, "wrong.csv", "true", 0)).status == 0
    wrong = newest(run)
    sim.forbidden.add(key(1))
    assert run(sim, "resume", stopped, "--max-calls", 99, "--report", "2.csv").status == 3
    assert read_csv(tmp_path / "2.csv")[0]["sync_outcome"] == "failed"
    assert run(sim, "undo", wrong).status == 3
    assert sim.states == {key(0): True, key(1): False}


def test_an_undo_lifts_what_an_older_list_that_had_ended_asked_for(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    for number, state in enumerate(["true", "false"]):
        path = list_of(tmp_path, f"{number}.csv", state, 0)
        assert run(sim, "run", path, "--report", f"report{number}.csv").status == 0
    before = dict(sim.states)
    assert run(sim, "run", list_of(tmp_path, "wrong.csv", "true", 0, 1)).status == 0
    assert run(sim, "undo", newest(run)).status == 0
    assert sim.states == before
    assert before[key(0)] is False


def test_the_undo_of_an_undo_lifts_no_opt_out_that_a_list_newer_than_the_first_run_asks_for(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3, state=True)
    assert run(sim, "run", list_of(tmp_path, "in.csv", "false", 0, 1, 2)).status == 0
    first = newest(run)
    newer = list_of(tmp_path, "newer.csv", "true", 2)
    assert run(sim, "run", newer, "--max-calls", 1, "--report", "1.csv").status == 6
    stopped = newest(run)
    assert run(sim, "undo", first, "--report", "undo.csv").status == 0
    undo = newest(run)
    assert run(sim, "resume", stopped, "--max-calls", 99, "--report", "2.csv").status == 0
    assert run(sim, "undo", undo, "--report", "again.csv").status == 3
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "again.csv")]
    assert outcomes == ["updated", "updated", "drifted"]
    assert sim.states == {key(0): False, key(1): False, key(2): True}


@pytest.mark.parametrize("state", ["true", "false"])
def test_an_interrupted_retry_is_not_resumed_once_its_run_was_undone(
    state: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3, state=state == "false")
    before = dict(sim.states)
    sim.queue_fault(Fault.TRANSIENT_500, "GET", 9, matching=key(2)[1:])
    words = (*LOOKUPS, "--retries", 0, "--max-failures", "100%", "--report", "1.csv")
    assert run(sim, "run", list_of(tmp_path, "in.csv", state, 0, 1, 2), *words).status == 3
    wrong = newest(run)
    sim.clear()
    assert run(sim, "retry", wrong, "--max-calls", 1, "--report", "2.csv").status == 6
    stopped = newest(run)
    assert run(sim, "undo", wrong, "--report", "undo.csv").status == 0
    undo = newest(run)
    assert run(sim, "resume", stopped, "--max-calls", 99, "--report", "3.csv").status == 3
    (row,) = read_csv(tmp_path / "3.csv")
    assert (row["sync_outcome"], row["sync_reason"]) == ("drifted", "newer_run")
    assert f"Run {undo} has put back run {wrong} since" in row["sync_detail"]
    assert sim.states == before


def test_the_retry_of_an_undone_run_is_not_retried(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3, state=True)
    words = ("--retries", 0, "--max-failures", "100%", "--report")
    sim.queue_fault(Fault.TRANSIENT_500, "GET", 9, matching=key(2)[1:])
    path = list_of(tmp_path, "in.csv", "false", 0, 1, 2)
    assert run(sim, "run", path, *LOOKUPS, *words, "1.csv").status == 3
    wrong = newest(run)
    assert run(sim, "retry", wrong, *words, "2.csv").status == 3
    failed = newest(run)
    sim.clear()
    assert run(sim, "undo", wrong, "--report", "undo.csv").status == 0
    undo = newest(run)
    ran = run(sim, "retry", failed, "--report", "3.csv")
    assert ran.status == 2
    assert f"Run {wrong} was undone by {undo}" in ran.err
    assert sim.states == {key(number): True for number in range(3)}


def test_an_undo_lifts_an_opt_out_that_an_older_list_has_not_looked_for_yet(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    older = list_of(tmp_path, "older.csv", "true", 0, 1)
    assert run(sim, "run", older, *LOOKUPS, "--max-calls", 1, "--report", "1.csv").status == 6
    stopped = newest(run)
    assert run(sim, "run", list_of(tmp_path, "wrong.csv", "true", 1)).status == 0
    assert run(sim, "undo", newest(run), "--report", "undo.csv").status == 0
    assert sim.states[key(1)] is False
    assert run(sim, "resume", stopped, "--max-calls", 99, "--report", "2.csv").status == 0
    assert sim.states == {key(0): True, key(1): True}


def test_an_undo_lifts_no_opt_out_that_another_sheet_of_the_workbook_has_found_since(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    book = Workbook()
    book.remove(book.worksheets[0])
    for name, numbers in (("Wrong", [0, 1]), ("Right", [1])):
        sheet = book.create_sheet(name)
        sheet.append(["PKey", "ccpaOptOut"])
        for number in numbers:
            sheet.append([key(number), "true"])
    book.save(tmp_path / "lists.xlsx")
    assert run(sim, "run", "lists.xlsx", "--sheet", "Wrong", "--report", "1.csv").status == 0
    wrong = newest(run)
    assert run(sim, "run", "lists.xlsx", "--sheet", "Right", "--report", "2.csv").status == 0
    assert run(sim, "undo", wrong, "--report", "undo.csv").status == 3
    assert sim.states == {key(0): False, key(1): True}


def test_an_undo_lifts_no_opt_out_that_a_list_asks_for_by_an_address_not_looked_up_yet(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    lines = [f"p{number}@example.com,true" for number in range(2)]
    (tmp_path / "wrong.csv").write_text("\n".join(["email,ccpaOptOut", *lines, ""]))
    assert run(sim, "run", "wrong.csv").status == 0
    wrong = newest(run)
    (tmp_path / "right.csv").write_text("E-mail,ccpaOptOut\nP1@example.COM,true\n")
    assert run(sim, "run", "right.csv", "--max-calls", 1).status == 6
    assert run(sim, "undo", wrong, "--report", "undo.csv").status == 3
    assert sim.states == {key(0): False, key(1): True}


def test_a_plan_is_not_carried_out_again_once_its_interrupted_apply_was_undone(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 4, state=True)
    path = list_of(tmp_path, "in.csv", "false", 0, 1, 2, 3)
    assert run(sim, "plan", path, "--out", "plan.parquet").status == 0
    words = ("apply", "plan.parquet", "--concurrency", 1, "--report")
    assert run(sim, *words, "1.csv", "--max-calls", 5).status == 6
    assert run(sim, "undo", newest(run), "--report", "undo.csv").status == 0
    undo = newest(run)
    again = run(sim, *words, "2.csv")
    assert again.status == 2
    assert f"run {undo} has put it back" in again.err
    assert sim.states == {key(number): True for number in range(4)}
