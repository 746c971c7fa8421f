"""A plan made by one person, reviewed by another, and carried out once by ``apply``."""

import hashlib
import os
import random
import signal
from pathlib import Path

import orjson
import pandas as pd
import pyarrow.parquet as pq
import pytest
from conftest import Run, before_answer, key, populate, write_states

from bulk_sync.errors import InputProblem
from bulk_sync.runs.kept import plan_file
from bulk_sync.simulator import Options, Simulator, running

ROWS = 12


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """Return a simulator with twelve profiles, three opted out, and a file that opts all out."""
    populate(sim, ROWS)
    for number in range(3):
        sim.profiles[key(number)]["ccpaOptOut"] = True
    write_states(tmp_path / "in.csv", ROWS)
    return sim


@pytest.fixture
def plan(filled: Simulator, tmp_path: Path, run: Run) -> Path:
    assert run(filled, "plan", tmp_path / "in.csv", "--out", "plan.parquet").status == 0
    return tmp_path / "plan.parquet"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_plan_is_a_file_that_pandas_opens(plan: Path, filled: Simulator) -> None:
    frame = pd.read_parquet(plan)
    assert frame["sync_outcome"].tolist() == ["unchanged"] * 3 + ["would_update"] * 9
    assert frame["PKey"].tolist() == [key(number) for number in range(ROWS)]
    assert frame["sync_before"].tolist() == [True] * 3 + [False] * 9
    assert pq.read_schema(plan).names == list(frame)
    assert filled.patched == []
    assert plan.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("in.parquet", "--out", "in.parquet"), "would replace the input"),
        (("in.csv", "--protect", "in.parquet", "--out", "in.parquet"), "or a list of --protect"),
        (("in.csv", "--out", "p.parquet", "--report", "./p.parquet"), "--out and --report both"),
    ],
    ids=["the input", "a list", "a report"],
)
def test_a_plan_does_not_replace_files_in_use(
    words: tuple[str, ...], message: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    pd.read_csv(tmp_path / "in.csv", dtype=str).to_parquet(tmp_path / "in.parquet")
    before = sha256(tmp_path / "in.parquet")
    ran = run(filled, "plan", *words)
    assert ran.status == 2
    assert message in ran.err
    assert sha256(tmp_path / "in.parquet") == before
    assert filled.requests == []


def test_report_and_todo_file_of_an_apply_are_named_after_the_input(
    plan: Path, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    del filled.profiles[key(ROWS - 1)]
    ran = run(filled, "apply", plan.rename(tmp_path / "reviewed.parquet"), "--summary", "json")
    assert ran.status == 3
    run_id = ran.summary["run_id"]
    assert ran.summary["reports"] == [f"in.{run_id}.results.csv"]
    assert ran.summary["todo"] == f"in.{run_id}.todo.csv"


def test_the_plan_of_an_undo_is_made_again_as_an_undo(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    run(filled, "run", "in.csv", "--report", "r.csv")
    run_id = run(filled, "runs").out.splitlines()[1].split()[0]
    planned = run(filled, "undo", run_id, "--out", "u.parquet", "--summary", "json")
    (tmp_path / "u.parquet").unlink()
    ran = run(filled, "report", planned.summary["run_id"], "--report", "u.csv")
    assert ran.status == 2
    assert f"`bulk-sync undo {run_id} --out plan.parquet`" in ran.err


def test_planning_prints_the_command_that_applies_it(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(filled, "plan", "in.csv", "--out", "plan.parquet")
    digest = sha256(tmp_path / "plan.parquet")
    assert ran.out.endswith(f"bulk-sync apply plan.parquet --expect-sha256 {digest}\n")
    assert run(filled, "apply", "plan.parquet", "--expect-sha256", digest).status == 0
    assert len(filled.patched) == 9


def test_a_plan_beyond_a_limit_exits_0_and_names_the_option(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", ROWS, "false")
    ran = run(filled, "plan", "in.csv", "--out", "plan.parquet", "--max-opt-ins", 0)
    assert ran.status == 0
    assert "A limit would stop the run" in ran.out
    assert "--max-opt-ins 3" in ran.out.splitlines()[-1]
    for again in ((), ("--max-opt-ins", 0)):  # the limits of the plan hold
        ran = run(filled, "apply", "plan.parquet", *again)
        assert ran.status == 4
        assert filled.patched == []
    words = ("--max-opt-ins", 3, "--report", "r.csv")
    assert run(filled, "apply", "plan.parquet", *words).status == 0
    assert len(filled.patched) == 3


def test_a_plan_does_not_loosen_the_limits_of_apply(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", ROWS, "false")
    ours = tmp_path / "ours.toml"
    ours.write_text('max-opt-ins = "0"\n')
    ran = run(filled, "plan", "in.csv", "--out", "plan.parquet", "--max-opt-ins", 12)
    assert run(filled, "apply", "plan.parquet", "--config", ours).status == 4
    assert filled.patched == []
    command = ran.out.splitlines()[-1].split()
    assert command[-2:] == ["--max-opt-ins", "12"]  # the options of the plan are typed again
    assert run(filled, *command[1:], "--config", ours).status == 0
    assert len(filled.patched) == 3


def test_resuming_does_not_loosen_the_limits_of_a_plan(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", ROWS, "false")
    (tmp_path / "bulk-sync.toml").write_text("max-opt-ins = 100\n")
    run(filled, "plan", "in.csv", "--out", "plan.parquet", "--max-opt-ins", 0)
    refused = run(filled, "apply", "plan.parquet")
    assert refused.status == 4
    resume = next(line.split() for line in refused.out.splitlines() if "bulk-sync resume" in line)
    assert run(filled, *resume[1:3]).status == 4
    assert filled.patched == []
    assert run(filled, *resume[1:]).status == 0
    assert len(filled.patched) == 3


def test_a_limit_after_the_first_write_has_another_message(
    filled: Simulator, run: Run, plan: Path
) -> None:
    words = ("--concurrency", 1)
    assert run(filled, "apply", plan, "--max-calls", 5, *words).status == 6
    assert len(filled.patched) > 0
    limits = ("--max-changes", 0, "--max-opt-ins", 0, "--hold-opt-ins", "--max-creates", 0)
    ran = run(filled, "apply", plan, *limits)
    assert ran.status == 0, ran.err
    assert "--max-changes 0 comes too late" in ran.err
    assert "--max-creates 0 comes too late" in ran.err
    assert "--max-opt-ins 0 comes" not in ran.err
    assert "too late" not in run(filled, "run", plan.with_name("in.csv")).err


def test_a_plan_of_another_attribute_is_applied_there(tmp_path: Path, run: Run) -> None:
    with running(Options(attribute="cusOptOut")) as simulator:
        simulator.add(pkey=key(0), cusOptOut=False)
        (tmp_path / "in.csv").write_text(f"PKey,cusOptOut\n{key(0)},true\n")
        words = ("--attribute", "cusOptOut")
        ran = run(simulator, "plan", "in.csv", "--out", "plan.parquet", *words)
        command = ran.out.splitlines()[-1].split()
        assert command[-2:] == ["--attribute", "cusOptOut"]
        assert run(simulator, *command[1:]).status == 0


def test_applying_reports_every_row_of_the_input(plan: Path, filled: Simulator, run: Run) -> None:
    ran = run(filled, "apply", plan)
    assert ran.status == 0
    assert ran.outcomes == ["unchanged"] * 3 + ["updated"] * 9
    assert [row["PKey"] for row in ran.report] == [key(number) for number in range(ROWS)]


def test_a_profile_that_moved_since_is_left_alone(plan: Path, filled: Simulator, run: Run) -> None:
    filled.profiles[key(5)]["ccpaOptOut"] = True
    del filled.profiles[key(6)]
    ran = run(filled, "apply", plan)
    assert ran.status == 3
    by_key = {row["sync_key"]: row for row in ran.report}
    moved, gone = by_key[key(5)], by_key[key(6)]
    assert (moved["sync_outcome"], moved["sync_reason"]) == ("drifted", "moved")
    assert (moved["sync_before"], moved["sync_after"]) == ("false", "true")
    assert gone["sync_outcome"] == "not_found"
    assert {key(5), key(6)}.isdisjoint(pkey for pkey, _ in filled.patched)
    assert ran.outcomes.count("updated") == len(filled.patched) == 7


def test_a_plan_is_carried_out_once(plan: Path, filled: Simulator, run: Run) -> None:
    assert run(filled, "apply", plan).status == 0
    for number in range(ROWS):
        filled.profiles[key(number)]["ccpaOptOut"] = False
    filled.clear()
    ran = run(filled, "apply", plan)
    assert ran.status == 0
    assert "has been carried out" in ran.out
    assert filled.requests == []


def test_a_second_apply_finishes_the_rows_left_by_the_first(
    plan: Path, filled: Simulator, run: Run
) -> None:
    assert run(filled, "apply", plan, "--max-calls", 6, "--concurrency", 1).status == 6
    first = len(filled.patched)
    assert 0 < first < 9
    ran = run(filled, "apply", plan)
    assert ran.status == 0
    assert ran.outcomes == ["unchanged"] * 3 + ["updated"] * 9
    assert len(filled.patched) == 9


def test_a_second_apply_keeps_what_was_typed_for_the_first(
    plan: Path, filled: Simulator, run: Run
) -> None:
    plan.with_name("protected.csv").write_text(f"PKey\n{key(11)}\n")
    words = ["--protect", "protected.csv", "--verify", "--report", "first.results.csv"]
    words += ["--keep-rows", "0"]
    assert run(filled, "apply", plan, *words, "--max-calls", 8, "--concurrency", 1).status == 6
    filled.clear()
    ran = run(filled, "apply", plan)
    assert ran.status == 3
    assert (ran.outcomes[-1], ran.report[-1]["sync_reason"]) == ("rejected", "protected")
    assert filled.profiles[key(11)]["ccpaOptOut"] is False
    read = [request for request in filled.requests if request.method == "GET"]
    assert len(read) >= 2 * len(filled.patched)
    assert not (plan.parent / "state" / "rows").exists()


def test_a_second_apply_keeps_the_limit_that_was_typed_for_the_first(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "in.csv", ROWS, "false")
    run(filled, "plan", "in.csv", "--out", "plan.parquet")
    before_answer(filled, "GET", 1, lambda: os.kill(os.getpid(), signal.SIGINT))
    (tmp_path / "protected.csv").write_text("email\na@example.com\n")
    words = ("--max-opt-ins", 0, "--protect", "protected.csv")
    assert run(filled, "apply", "plan.parquet", *words).status == 130
    assert run(filled, "apply", "plan.parquet").status == 4
    assert filled.patched == []


def test_writes_in_flight_of_an_interrupted_apply_are_not_drifted(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, 60)
        write_states(tmp_path / "in.csv", 60)
        run(sim, "plan", "in.csv", "--out", "plan.parquet")
        before_answer(sim, "PATCH", 10, lambda: os.kill(os.getpid(), signal.SIGINT))
        assert run(sim, "apply", "plan.parquet", "--concurrency", 4).status == 130
        ran = run(sim, "resume")
        assert ran.status == 0
        assert ran.outcomes == ["updated"] * 60
        assert len(sim.patched) == 60


def edited_by_pandas(path: Path) -> None:
    frame = pd.read_parquet(path)
    frame.loc[4, "sync_desired"] = False
    frame.to_parquet(path)


def edited_with_the_notes_kept(path: Path) -> None:
    table = pq.read_table(path)
    frame = table.to_pandas()
    frame.loc[4, "sync_key"] = key(0)
    edited = table.from_pandas(frame, preserve_index=False)
    pq.write_table(edited.replace_schema_metadata(table.schema.metadata), path)


def a_row_taken_out(path: Path) -> None:
    table = pq.read_table(path)
    pq.write_table(table.slice(1).replace_schema_metadata(table.schema.metadata), path)


def another_organization_written_in(path: Path) -> None:
    table = pq.read_table(path)
    notes = {
        name: value.replace(b'"input":"', b'"input":"other-')
        for name, value in table.schema.metadata.items()
    }
    pq.write_table(table.replace_schema_metadata(notes), path)


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def without_its_seal(plan: Path) -> None:
    """Save a plan as an earlier version of the program did."""
    table = pq.read_table(plan)
    notes = {name: value for name, value in table.schema.metadata.items() if b"sealed" not in name}
    pq.write_table(table.replace_schema_metadata(notes), plan)


@pytest.mark.parametrize(
    "edit",
    [
        without_its_seal,
        edited_by_pandas,
        edited_with_the_notes_kept,
        a_row_taken_out,
        another_organization_written_in,
        cut_off,
        Path.unlink,
    ],
    ids=lambda edit: edit.__name__,
)
def test_an_edited_plan_is_refused(edit: object, plan: Path, filled: Simulator, run: Run) -> None:
    assert callable(edit)
    edit(plan)
    filled.clear()
    ran = run(filled, "apply", plan)
    assert ran.status == 2
    assert "plan.parquet" in ran.err
    assert filled.requests == []


def test_a_plan_with_a_wrong_bit_anywhere_is_no_plan(plan: Path) -> None:
    content = plan.read_bytes()
    rng = random.Random(2)
    ends = (*range(32), *range(len(content) - 32, len(content)))
    for at in (*ends, *rng.sample(range(len(content)), 300)):
        wrong = bytearray(content)
        wrong[at] ^= 1 << rng.randrange(8)
        plan.write_bytes(wrong)
        with pytest.raises(InputProblem, match=r"plan\.parquet"):
            plan_file.read(plan)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--organization", "other"), "for organization 'acme'"),
        (("--endpoint", "http://127.0.0.1:9"), "http://127.0.0.1:9"),
        (("--attribute", "cusOptOut"), "'cusOptOut'"),
    ],
)
def test_a_plan_of_another_place_is_refused(
    words: tuple[str, ...], says: str, plan: Path, filled: Simulator, run: Run
) -> None:
    filled.clear()
    ran = run(filled, "apply", plan, *words)
    assert ran.status == 2
    assert says in ran.err
    assert filled.requests == []


def test_another_plan_than_the_reviewed_one_is_refused(
    plan: Path, filled: Simulator, run: Run
) -> None:
    filled.clear()
    ran = run(filled, "apply", plan, "--expect-sha256", "0" * 64)
    assert ran.status == 4
    assert sha256(plan) in ran.err
    assert filled.requests == []
    assert run(filled, "apply", plan, "--expect-sha256", sha256(plan).upper()).status == 0


@pytest.mark.parametrize(
    "out",
    [
        "plan.xlsx",
        "plan.HTML",
        "-",
        "missing/plan.parquet",
        "/proc/plan.parquet",
        f"{'n' * 300}/plan.parquet",
    ],
    ids=[
        "a workbook's suffix",
        "a page's suffix",
        "standard output",
        "no folder",
        "a folder that takes no files",
        "a name too long",
    ],
)
def test_a_plan_s_path_is_checked_before_anything_is_read(
    out: str, filled: Simulator, run: Run
) -> None:
    ran = run(filled, "plan", "in.csv", "--out", out)
    assert ran.status == 2
    assert "--out" in ran.err
    assert filled.requests == []


@pytest.mark.parametrize("out", ["PLAN", "tfplan", "2026-11.plan", "plan.json"])
def test_a_plan_may_have_any_name_that_promises_nothing_else(
    out: str, filled: Simulator, run: Run, tmp_path: Path
) -> None:
    assert run(filled, "plan", "in.csv", "--out", out).status == 0
    digest = sha256(tmp_path / out)
    ran = run(filled, "apply", out, "--expect-sha256", digest, "--summary", "json")
    assert ran.status == 0, ran.err
    assert run(filled, "undo", ran.summary["run_id"], "--out", "back").status == 0
    assert run(filled, "apply", "back").status == 0


def test_the_option_named_in_a_plan_can_be_typed(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 20)
    for number in range(10):
        sim.profiles[key(number)]["ccpaOptOut"] = True
    lines = [f"{key(number)},{str(number >= 10).lower()}" for number in range(20)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
    command = run(sim, "plan", "in.csv", "--out", "plan.parquet").out.splitlines()[-1].split()
    assert command[:3] == ["bulk-sync", "apply", "plan.parquet"]
    assert run(sim, *command[1:3]).status == 4
    assert run(sim, *command[1:]).status == 0
    assert len(sim.patched) == 20


def test_a_run_since_the_plan_was_made_is_named(plan: Path, filled: Simulator, run: Run) -> None:
    other = write_states(plan.parent / "other.csv", 1)
    assert run(filled, "run", other, "--report", "other-report.csv").status == 0
    assert "has worked on this organization since" in run(filled, "apply", plan).err


def test_a_history_names_the_file_and_the_plan(plan: Path, filled: Simulator, run: Run) -> None:
    assert run(filled, "apply", plan).status == 0
    (facts,) = orjson.loads(run(None, "history", key(5), "--json").out)
    assert facts["input"] == str(plan.parent / "in.csv")
    assert facts["input_sha256"] == sha256(plan.parent / "in.csv")
    assert facts["plan_sha256"] == sha256(plan)
    assert facts["kind"] == "apply"


@pytest.mark.parametrize("command", ["apply", "resume", "resume before the plan"])
def test_what_another_run_has_changed_since_is_not_called_unchanged(
    command: str, plan: Path, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    words: tuple[object, ...] = ("apply", plan)
    if command != "apply":
        calls = ROWS + 4 if command == "resume" else 5
        budget = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", calls)
        assert run(filled, "run", "in.csv", *budget, "--report", "first.csv").status == 6
        (stopped,) = (
            each["run_id"]
            for each in orjson.loads(run(None, "runs", "--json").out)
            if each["kind"] == "run"
        )
        words = ("resume", stopped)
    other = write_states(tmp_path / "other.csv", 1, "false")
    assert run(filled, "run", other, "--report", "other.r.csv").status == 0
    ran = run(filled, *words, "--report", "r.csv")
    assert ran.status == 3, ran.err
    rows = pd.read_csv(tmp_path / "r.csv", dtype=str, keep_default_na=False)
    assert rows["sync_outcome"].tolist() == ["drifted"] + ["unchanged"] * 2 + ["updated"] * 9
    assert rows["sync_reason"].tolist() == ["newer_run"] + [""] * 11
    assert rows["sync_after"].tolist() == ["false"] + ["true"] * 11
    assert filled.states[key(0)] is False


@pytest.mark.parametrize(
    "words", [("apply", "pipe"), ("apply", "/dev/zero")], ids=["pipe", "device"]
)
def test_a_plan_that_may_never_end_is_refused(
    words: tuple[str, ...], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bulk-sync.toml").write_text("[job.requests]\nmax-changes = 4\n")
    ran = run(filled, *words)
    assert ran.status == 2
    assert f"{words[1]}: it is a pipe or a device" in ran.err
    assert filled.requests == []


@pytest.mark.parametrize("command", ["run", "plan", "validate"])
def test_a_plan_is_no_list(command: str, plan: Path, filled: Simulator, run: Run) -> None:
    read = len(filled.requests)
    ran = run(filled, command, plan.name)
    assert ran.status == 2
    assert "plan.parquet is a plan, no list. `bulk-sync apply plan.parquet` carries" in ran.err
    assert len(filled.requests) == read
