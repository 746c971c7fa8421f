"""``--hold-opt-ins``: opt-ins beyond the limit wait for a person, and the rest is written."""

from pathlib import Path

import orjson
import pandas as pd
import pytest
from conftest import Ran, Run, before_answer, key, populate, process, read_csv

from bulk_sync.simulator import Simulator

ROWS, OPT_INS = 40, 12
HOLD = ("--hold-opt-ins", "--report", "r.csv", "--summary", "json", "--fetch", "lookup")


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """Return a simulator with forty profiles: the file has 12 opt-ins and 20 opt-outs."""
    populate(sim, ROWS)
    lines = ["PKey,ccpaOptOut"]
    for number in range(ROWS):
        sim.profiles[key(number)]["ccpaOptOut"] = number < OPT_INS or number >= 32
        lines.append(f"{key(number)},{str(number >= OPT_INS).lower()}")
    (tmp_path / "in.csv").write_text("\n".join(lines))
    return sim


def opted_out(sim: Simulator) -> int:
    return sum(bool(state) for state in sim.states.values())


def run_with_hold(sim: Simulator, run: Run, *words: object) -> Ran:
    ran = run(sim, "run", "in.csv", *HOLD, *words)
    assert ran.status == 3, ran.err
    return ran


def test_the_rest_is_written_and_the_opt_ins_wait(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    summary = run_with_hold(filled, run).summary
    assert opted_out(filled) == ROWS  # 20 opted out, and no opt-out lifted
    assert summary["outcomes"] == {"unchanged": 8, "updated": 20, "pending": OPT_INS}
    assert summary["opt_ins"] == 0
    command = ["bulk-sync", "resume", summary["run_id"], "--max-opt-ins", str(OPT_INS)]
    assert summary["resume"].split() == command
    assert "12 opt-ins (true to false) of 40 rows (30%)" in summary["message"]
    left = [row for row in read_csv(tmp_path / "r.csv") if row["sync_outcome"] == "pending"]
    assert {row["sync_reason"] for row in left} == {"limit"}
    assert {row["sync_detail"] for row in left} == {
        "Held back: a person decides about these opt-ins."
    }
    (todo,) = tmp_path.glob("*.todo.csv")
    assert len(read_csv(todo)) == OPT_INS


def test_a_resume_that_names_the_run_and_the_limit_writes_them(filled: Simulator, run: Run) -> None:
    run_id = run_with_hold(filled, run).summary["run_id"]
    assert run(filled, "resume", "--all").status == 0  # the run is finished
    assert opted_out(filled) == ROWS
    shown = run(filled, "resume")
    assert shown.status == 0
    assert f"these runs were refused, or hold opt-ins back: {run_id}" in shown.out

    again = run(filled, "resume", run_id, "--summary", "json")
    assert (again.status, opted_out(filled)) == (3, ROWS)
    assert again.summary["outcomes"] == {"unchanged": 8, "updated": 20, "pending": OPT_INS}

    filled.requests.clear()
    done = run(filled, "resume", run_id, "--max-opt-ins", OPT_INS, "--summary", "json")
    assert done.status == 0, done.err
    assert done.summary["outcomes"] == {"unchanged": 8, "updated": 32}
    assert done.summary["opt_ins"] == OPT_INS
    assert opted_out(filled) == ROWS - OPT_INS
    assert [request.method for request in filled.requests if request.method == "PATCH"] == [
        "PATCH"
    ] * OPT_INS
    assert run(filled, "resume", run_id, "--max-opt-ins", OPT_INS).status == 0
    assert run(filled, "runs", run_id, "--json").status == 0


def test_another_limit_still_refuses_everything(filled: Simulator, run: Run) -> None:
    ran = run(filled, "run", "in.csv", *HOLD, "--max-changes", 31)
    assert ran.status == 4
    assert filled.patched == []
    command = ran.summary["resume"].split()
    assert command[3:] == ["--max-changes", "32"]  # the second run still holds the opt-ins back
    assert run(filled, *command[1:], "--report", "s.csv").status == 3
    assert opted_out(filled) == ROWS


def test_opt_ins_within_the_limit_are_written(filled: Simulator, run: Run) -> None:
    ran = run(filled, "run", "in.csv", *HOLD, "--max-opt-ins", OPT_INS)
    assert ran.status == 0
    assert opted_out(filled) == ROWS - OPT_INS


@pytest.mark.parametrize("words", [("run", "-n"), ("plan",)], ids=["dry run", "plan"])
def test_a_preview_names_the_opt_ins_to_be_held(
    words: tuple[str, ...], filled: Simulator, run: Run
) -> None:
    ran = run(filled, *words, "in.csv", "--hold-opt-ins")
    assert ran.status == 0
    assert "12 opt-ins would be held back, and the rest written: 12 opt-ins" in ran.out
    assert ran.out.endswith("bulk-sync run in.csv --hold-opt-ins\n")
    assert ", 20 to come" in ran.out
    assert filled.patched == []


def test_a_plan_keeps_its_opt_ins_and_apply_holds_them(filled: Simulator, run: Run) -> None:
    assert run(filled, "plan", "in.csv", "--hold-opt-ins", "--out", "p.parquet").status == 0
    ran = run(filled, "apply", "p.parquet", "--report", "r.csv", "--summary", "json")
    assert (ran.status, opted_out(filled)) == (3, ROWS)
    assert ran.summary["outcomes"]["pending"] == OPT_INS
    assert run(filled, "apply", "p.parquet").status == 3  # still over the limit
    assert opted_out(filled) == ROWS
    done = run(filled, "apply", "p.parquet", "--max-opt-ins", OPT_INS, "--report", "s.csv")
    assert (done.status, opted_out(filled)) == (0, ROWS - OPT_INS)


def test_a_plan_whose_opt_ins_were_given_up_has_been_carried_out(
    filled: Simulator, run: Run
) -> None:
    run(filled, "plan", "in.csv", "--out", "plan.parquet", "--hold-opt-ins")
    held = run(filled, "apply", "plan.parquet", "--report", "a.csv", "--summary", "json")
    assert held.status == 3
    run_id = held.summary["run_id"]
    next_step = f"next: If it is meant, `bulk-sync resume {run_id}` with the option"
    assert next_step in run(None, "runs", run_id).out
    assert run(filled, "resume", run_id, "--give-up").status == 0
    assert "next:" not in run(None, "runs", run_id).out
    ran = run(filled, "apply", "plan.parquet", "--max-opt-ins", OPT_INS)
    assert (ran.status, "has been carried out" in ran.err) == (3, True)
    assert "nothing to resume: it was given up" in run(filled, "resume", run_id).err
    assert opted_out(filled) == ROWS


def test_a_run_that_was_killed_holds_them_when_it_is_resumed(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    child = process(filled, tmp_path, "run", "in.csv", *HOLD, "--concurrency", "1")
    before_answer(filled, "PATCH", 5, child.kill)
    child.communicate(timeout=30)
    assert run(filled, "resume", "--all").status == 3
    assert opted_out(filled) == ROWS
    assert run(filled, "resume", "--all").status == 0


def test_no_variable_lets_the_opt_ins_of_a_run_pass(
    filled: Simulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = run_with_hold(filled, run).summary["run_id"]
    monkeypatch.setenv("BULK_SYNC_MAX_OPT_INS", "100%")
    monkeypatch.setenv("BULK_SYNC_HOLD_OPT_INS", "no")
    assert run(filled, "resume", run_id).status == 3
    assert opted_out(filled) == ROWS


def test_opt_ins_held_back_are_dropped_after_another_file_was_carried_out(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    run_id = run_with_hold(filled, run).summary["run_id"]
    (tmp_path / "later.csv").write_text(f"PKey,ccpaOptOut\n{key(39)},true\n")
    assert run(filled, "run", "later.csv").status == 0
    ran = run(filled, "resume", run_id, "--max-opt-ins", OPT_INS, "--summary", "json")
    assert (ran.status, opted_out(filled)) == (3, ROWS)
    assert ran.summary["outcomes"]["drifted"] == OPT_INS


def test_a_run_that_held_opt_ins_back_can_be_retried_undone_and_given_up(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    filled.forbidden.add(key(20))
    run_id = run_with_hold(filled, run).summary["run_id"]
    filled.forbidden.clear()
    assert run(filled, "retry", run_id, "--report", "retry.csv").status == 0
    assert opted_out(filled) == ROWS
    assert run(filled, "resume", run_id, "--give-up").status == 0
    assert run(filled, "report", run_id, "--report", "again.csv").status == 0
    reasons = [row["sync_reason"] for row in read_csv(tmp_path / "again.csv")]
    assert reasons.count("limit") == OPT_INS
    assert run(filled, "resume", run_id, "--max-opt-ins", OPT_INS).status == 3
    assert opted_out(filled) == ROWS
    undone = run(filled, "undo", run_id, "--report", "undo.csv", "--max-opt-ins", 20)
    assert undone.status == 0, undone.err
    assert opted_out(filled) == 21


def test_an_undo_holds_back_its_opt_ins(filled: Simulator, run: Run) -> None:
    run_id = run_with_hold(filled, run).summary["run_id"]
    words = ("--hold-opt-ins", "--max-opt-ins", 0, "--report", "undo.csv")
    assert run(filled, "undo", run_id, *words).status == 3
    assert opted_out(filled) == ROWS


@pytest.mark.parametrize(("words", "status"), [(["--hold-opt-ins"], 3), ([], 4)])
def test_an_undo_that_reads_nothing_claims_to_know_no_state(
    words: list[str], status: int, filled: Simulator, run: Run, tmp_path: Path
) -> None:
    run_id = run_with_hold(filled, run).summary["run_id"]
    filled.profiles[key(20)]["ccpaOptOut"] = False  # somebody changes it, after the run
    filled.clear()
    ran = run(filled, "undo", run_id, *words, "--max-opt-ins", 0, "--report", "undo.csv")
    assert ran.status == status
    assert filled.requests == []
    rows = read_csv(tmp_path / "undo.csv")
    assert {(row["sync_before"], row["sync_after"]) for row in rows} == {("", "")}
    *_, changed, waits = orjson.loads(run(None, "history", key(20), "--json").out)
    assert (changed["run"], changed["after"], changed["stands"]) == (run_id, "true", True)
    assert (waits["kind"], waits["after"], waits["stands"]) == ("undo", "", False)


def test_the_same_file_again_gives_up_the_opt_ins_held_back(filled: Simulator, run: Run) -> None:
    first = run_with_hold(filled, run).summary["run_id"]
    second = run_with_hold(filled, run).summary["run_id"]
    assert run(filled, "resume", first, "--max-opt-ins", OPT_INS).status == 3
    assert opted_out(filled) == ROWS
    assert run(filled, "resume", second, "--max-opt-ins", OPT_INS).status == 0
    assert opted_out(filled) == ROWS - OPT_INS


def test_opt_ins_of_addresses_are_held_back_too(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    lines = [f"p{at}@example.com,{str(at >= OPT_INS).lower()}" for at in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["email,ccpaOptOut", *lines]))
    run_id = run_with_hold(filled, run).summary["run_id"]
    assert opted_out(filled) == ROWS
    assert run(filled, "resume", run_id, "--max-opt-ins", OPT_INS).status == 0
    assert opted_out(filled) == ROWS - OPT_INS


def test_opt_ins_that_a_person_let_pass_are_finished_after_a_crash(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    run_id = run_with_hold(filled, run).summary["run_id"]
    words = ("--max-opt-ins", str(OPT_INS), "--concurrency", "1")
    child = process(filled, tmp_path, "resume", run_id, *words)
    before_answer(filled, "PATCH", 3, child.kill)
    child.communicate(timeout=30)
    assert opted_out(filled) > ROWS - OPT_INS
    assert run(filled, "resume", "--all").status == 0
    assert opted_out(filled) == ROWS - OPT_INS


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--hold-opt-ins"], "12 opt-ins would be held back, and the rest written: 12 opt-ins"),
        ([], "A limit would stop the run: 12 opt-ins (true to false) of 40 rows (30%)"),
        (["--max-opt-ins", "12"], ""),
    ],
)
def test_the_report_of_a_plan_names_the_effect_of_the_limit(
    words: list[str], expected: str, filled: Simulator, run: Run, tmp_path: Path
) -> None:
    ran = run(filled, "plan", "in.csv", *words, "--report", "plan.html", "--out", "p.parquet")
    assert ran.status == 0
    page = (tmp_path / "plan.html").read_text()
    assert (expected in page) if expected else ("Important:" not in page)


@pytest.mark.parametrize("command", [("plan",), ("run", "-n"), ("plan", "--out", "p.parquet")])
def test_the_summary_of_a_plan_has_the_opt_ins_to_be_held_and_the_reason(
    command: tuple[str, ...], filled: Simulator, run: Run
) -> None:
    ran = run(filled, command[0], "in.csv", *command[1:], "--hold-opt-ins", "--summary", "json")
    assert (ran.status, ran.summary["held"]) == (0, OPT_INS)
    assert "12 opt-ins would be held back" in ran.summary["limit"]
    ran = run(filled, command[0], "in.csv", *command[1:], "--summary", "json", "--report", "r.csv")
    assert (ran.status, ran.summary["held"]) == (0, 0)
    assert "A limit would stop the run: 12 opt-ins" in ran.summary["limit"]


def test_the_summary_of_a_run_has_the_opt_ins_held_and_the_reason(
    filled: Simulator, run: Run
) -> None:
    summary = run_with_hold(filled, run).summary
    assert (summary["held"], summary["limit"]) == (OPT_INS, summary["message"])


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "json", "parquet", "html", "xlsx"])
def test_each_report_has_the_reason_for_rows_left_once(
    suffix: str, filled: Simulator, run: Run, tmp_path: Path
) -> None:
    ran = run(filled, "run", "in.csv", "--report", f"r.{suffix}", "--summary", "json")
    assert ran.status == 4
    why, path = ran.summary["message"], tmp_path / f"r.{suffix}"
    assert "12 opt-ins" in why
    if suffix in {"html", "xlsx"}:
        return  # above the rows there; their own tests show it
    read = {"csv": pd.read_csv, "gz": pd.read_csv, "json": pd.read_json}
    rows = read.get(path.suffix[1:], pd.read_parquet)(path)  # type: ignore[operator]
    shown = rows["sync_detail"].fillna("").astype(str).str.endswith(why)
    assert shown.sum() == 1
    assert rows[shown]["sync_outcome"].tolist() == ["pending"]
    again = tmp_path / f"again.{suffix}"
    assert run(filled, "report", ran.summary["run_id"], "--report", again).status == 0
    assert again.read_bytes() == path.read_bytes()
