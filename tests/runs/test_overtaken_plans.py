"""Opt-ins of a plan, and opt-outs by other runs or in Campaign between the plan and its apply."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import copies
import orjson
import pytest
from conftest import Process, Run, before_answer, key, process, read_csv

from bulk_sync.simulator import Fault, Simulator, sample_profiles

STAMP = "ccpaOptOutLastModified"
OLDER = "2026-01-10 00:00:00.000Z"


def plan_opt_ins(sim: Simulator, tmp_path: Path, run: Run) -> None:
    """Save a plan that lifts the opt-outs of two profiles."""
    for number in range(2):
        sim.add(pkey=key(number), ccpaOptOut=True, **{STAMP: OLDER})
    (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},false\n{key(1)},false\n")
    assert run(sim, "plan", "in.csv", "--out", "plan.parquet").status == 0


def carry_out(sim: Simulator, tmp_path: Path, run: Run, state: str) -> None:
    """Give the first profile a state by the file of another run."""
    (tmp_path / f"{state}.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},{state}\n")
    assert run(sim, "run", f"{state}.csv", "--report", f"{state}.report.csv").status == 0


def opt_out_and_die(sim: Simulator, tmp_path: Path) -> None:
    """Opt the first profile out by a run that is killed before it has the answer."""
    (tmp_path / "true.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},true\n")
    started: list[Process] = []
    before_answer(sim, "PATCH", 1, lambda: started[0].kill())
    with process(sim, tmp_path, "run", "true.csv") as dying:
        started.append(dying)
        dying.wait()
    sim.profiles[key(0)]["ccpaOptOut"] = True


def failed_apply(sim: Simulator, run: Run) -> str:
    """Apply the plan while Campaign answers no read, and return the id of the run."""
    sim.queue_fault(Fault.TRANSIENT_500, "GET", 9, matching="profile/")
    words = ("--retries", 0, "--max-failures", "100%", "--report", "first.csv")
    assert run(sim, "apply", "plan.parquet", *words).status == 3
    sim.clear()
    return newest_run(run)


def newest_run(run: Run) -> str:
    return str(orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"])


def moments() -> list[datetime]:
    """Return three moments of the next hour."""
    return [datetime.now(UTC) + timedelta(minutes=minutes) for minutes in (10, 20, 30)]


@pytest.mark.parametrize("command", ["apply", "retry", "resume"])
@pytest.mark.parametrize("ending", ["confirmed", "killed"])
def test_no_opt_out_is_lifted_that_another_run_has_set_since_the_plan(
    ending: str, command: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan_opt_ins(sim, tmp_path, run)
    carry_out(sim, tmp_path, run, "false")
    if ending == "killed":
        opt_out_and_die(sim, tmp_path)
    else:
        carry_out(sim, tmp_path, run, "true")
    for profile in sim.profiles.values():
        profile[STAMP] = ""
    words = ["apply", "plan.parquet"]
    if command == "retry":
        words = ["retry", failed_apply(sim, run)]
    elif command == "resume":
        assert run(sim, *words, "--max-calls", 1).status == 6
    assert run(sim, *words, "--report", "r.csv").status == 3
    first, second = read_csv(tmp_path / "r.csv")
    assert (first["sync_outcome"], first["sync_reason"]) == ("drifted", "newer_run")
    opted = "may have opted" if ending == "killed" else "has opted"
    assert f"{opted} this profile out since the plan was made" in first["sync_detail"]
    assert second["sync_outcome"] == "updated"
    assert sim.states == {key(0): True, key(1): False}


@pytest.mark.parametrize("command", ["apply", "retry"])
@pytest.mark.parametrize("later", ["by PKey", "by address", "stopped", "refused"])
def test_no_opt_out_is_lifted_that_a_file_given_since_the_plan_asks_for(
    later: str, command: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan_opt_ins(sim, tmp_path, run)
    sim.profiles[key(0)]["email"] = "ada@example.com"
    lines = ["PKey,ccpaOptOut", f"{key(1)},false", f"{key(0)},true"]
    if later == "by address":
        lines = ["email,ccpaOptOut", "ada@example.com,true"]
    elif later == "by PKey":
        del lines[1]
    (tmp_path / "later.csv").write_text("\n".join(lines))
    limits, status = {
        "stopped": (("--fetch", "lookup", "--max-calls", 1), 6),
        "refused": (("--max-changes", 0), 4),
    }.get(later, ((), 0))
    assert run(sim, "run", "later.csv", *limits).status == status
    given = newest_run(run)
    words = ["apply", "plan.parquet"]
    if command == "retry":
        words = ["retry", failed_apply(sim, run)]
    assert run(sim, *words, "--report", "r.csv").status == 3
    first, second = read_csv(tmp_path / "r.csv")
    assert (first["sync_outcome"], first["sync_reason"]) == ("drifted", "newer_run")
    assert f"The file of run {given} asks for this opt-out, too" in first["sync_detail"]
    assert second["sync_outcome"] == "updated"
    assert sim.states == {key(0): True, key(1): False}


@pytest.mark.parametrize("other", ["drifted", "failed"])
def test_a_list_has_found_an_opt_out_though_its_row_is_not_done_for_another_profile(
    other: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan_opt_ins(sim, tmp_path, run)
    for number in range(2):
        sim.profiles[key(number)]["email"] = "ada@example.com"
    newer = "2026-11-20 00:00:00.000Z" if other == "drifted" else OLDER
    sim.profiles[key(1)] |= {"ccpaOptOut": False, STAMP: newer}
    if other == "failed":
        sim.forbidden.add(key(1))
    lines = "email,ccpaOptOut,Request date\nada@example.com,true,2026-11-10\n"
    (tmp_path / "later.csv").write_text(lines)
    assert run(sim, "run", "later.csv", "--report", "later.r.csv").status == 3
    assert [row["sync_outcome"] for row in read_csv(tmp_path / "later.r.csv")] == [other]
    assert run(sim, "apply", "plan.parquet", "--report", "r.csv").status == 3
    assert read_csv(tmp_path / "r.csv")[0]["sync_reason"] == "newer_run"
    assert sim.states == {key(0): True, key(1): False}


@pytest.mark.parametrize(
    ("key_column", "later"), [("email", "Mail"), ("PKey", "Mail"), ("email", "Contact")]
)
def test_a_list_stopped_before_it_looks_up_an_address_is_known_by_the_address(
    key_column: str, later: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    lines = ["PKey,email,ccpaOptOut"]
    for number in range(2):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=True, **{STAMP: OLDER})
        lines.append(f"{key(number)},p{number}@example.com,false")
    (tmp_path / "in.csv").write_text("\n".join(lines))
    words = ("--key", {"PKey": "pkey"}.get(key_column, key_column), "--key-column", key_column)
    assert run(sim, "plan", "in.csv", *words, "--out", "plan.parquet").status == 0
    (tmp_path / "later.csv").write_text(f"{later},ccpaOptOut\nP0@example.com,true\n")
    stopping = ("--key", "email", "--key-column", later, "--max-calls", 1)
    assert run(sim, "run", "later.csv", *stopping).status == 6
    assert run(sim, "apply", "plan.parquet").status == 3
    assert sim.states == {key(0): True, key(1): False}


@pytest.mark.parametrize("later", ["put back", "rejected", "a plan"])
def test_an_opt_out_is_lifted_whose_other_request_does_not_count(
    later: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(2), ccpaOptOut=False, **{STAMP: OLDER})
    plan_opt_ins(sim, tmp_path, run)
    rows = [f"{key(0)},true", f"{key(2)},true"] + [f"{key(0)},false"] * (later == "rejected")
    (tmp_path / "later.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows]))
    words, status = {
        "put back": (("run", "later.csv"), 0),
        "rejected": (("run", "later.csv"), 3),
        "a plan": (("plan", "later.csv", "--out", "later.parquet"), 0),
    }[later]
    assert run(sim, *words).status == status
    if later == "put back":
        assert run(sim, "undo", newest_run(run)).status == 0
    assert run(sim, "apply", "plan.parquet", "--report", "r.csv").status == 0
    assert [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")] == ["updated"] * 2


def test_a_file_lifts_an_opt_out_that_an_earlier_refused_file_asks_for(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), ccpaOptOut=number == 0, **{STAMP: OLDER})
    (tmp_path / "true.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},true\n{key(1)},true\n")
    assert run(sim, "run", "true.csv", "--max-changes", 0).status == 4
    carry_out(sim, tmp_path, run, "false")
    assert sim.states == {key(0): False, key(1): False}


def test_a_warning_names_a_later_file_whose_rows_are_not_kept(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan_opt_ins(sim, tmp_path, run)
    (tmp_path / "later.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},true\n")
    assert run(sim, "run", "later.csv", "--keep-rows", 0).status == 0
    given = newest_run(run)
    ran = run(sim, "apply", "plan.parquet", "--report", "r.csv")
    assert ran.status == 0
    assert f"The rows of run {given} are not kept here" in ran.err


def test_no_opt_out_is_lifted_that_was_chosen_after_another_run_had_lifted_it(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan_opt_ins(sim, tmp_path, run)
    carry_out(sim, tmp_path, run, "false")
    sim.profiles[key(0)] |= {"ccpaOptOut": True, STAMP: ""}
    assert run(sim, "apply", "plan.parquet", "--report", "r.csv").status == 3
    first, second = read_csv(tmp_path / "r.csv")
    assert (first["sync_outcome"], first["sync_reason"]) == ("drifted", "newer_run")
    assert "has lifted this opt-out since the plan was made" in first["sync_detail"]
    assert second["sync_outcome"] == "updated"
    assert sim.states == {key(0): True, key(1): False}


def test_an_opt_out_from_before_the_plan_is_lifted(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(0), ccpaOptOut=False, **{STAMP: ""})
    carry_out(sim, tmp_path, run, "true")
    (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},false\n")
    assert run(sim, "plan", "in.csv", "--out", "plan.parquet").status == 0
    assert run(sim, "apply", "plan.parquet", "--report", "r.csv").status == 0
    assert sim.states == {key(0): False}


def test_a_retry_of_an_apply_lifts_no_opt_out_that_was_chosen_since_the_plan(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    plan_opt_ins(sim, tmp_path, run)
    chosen, applied, tried_again = moments()
    sim.profiles[key(0)][STAMP] = sample_profiles.timestamp(chosen)
    sim.queue_fault(Fault.TRANSIENT_500, "GET", 9, matching="profile/")
    words = ["apply", "plan.parquet", "--retries", "0", "--max-failures", "100%"]
    at = {copies.NOW_S: str(applied.timestamp())}
    with process(sim, tmp_path, *words, "--report", "first.csv", more=at) as failing:
        said = failing.communicate()[1]
    assert failing.returncode == 3, said
    assert {row["sync_outcome"] for row in read_csv(tmp_path / "first.csv")} == {"failed"}
    sim.clear()
    words = ["retry", orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"]]
    at = {copies.NOW_S: str(tried_again.timestamp())}
    with process(sim, tmp_path, *words, "--report", "r.csv", more=at) as following:
        said = following.communicate()[1]
    assert following.returncode == 3, said
    facts = [(row["sync_outcome"], row["sync_reason"]) for row in read_csv(tmp_path / "r.csv")]
    assert facts == [("drifted", "newer_choice"), ("updated", "")]
    assert sim.states == {key(0): True, key(1): False}
