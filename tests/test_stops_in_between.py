"""Rows that fail, and runs that are stopped, between two requests of one row."""

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from conftest import Run, before_answer, key, populate, process, read_csv, write_states
from test_creating import created_addresses, many, people

from bulk_sync import ledger
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Simulator

LOOKUP = ("--fetch", "lookup", "--concurrency", 1)


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("retries", [0, 5])
def test_a_change_that_was_confirmed_and_not_read_back_is_not_failed_for_good(
    retries: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    path = write_states(tmp_path / "in.csv", 3)
    sim.queue_fault(Fault.HANG, "GET", times=1, matching=key(0)[1:])
    before_answer(sim, "PATCH", 1, terminate)
    words = ("--concurrency", 1, "--retries", retries, "--verify")
    ran = run(sim, "run", path, "--fetch", "scan", *words)
    assert ran.status == 143
    assert (ran.outcomes, len(sim.patched)) == (["failed", "pending", "pending"], 1)
    assert "Campaign confirmed the change" in ran.report[0]["sync_detail"]
    ran = run(sim, "resume")
    assert (ran.status, ran.outcomes) == (0, ["updated"] * 3)
    assert len(sim.patched) == 3


def test_a_profile_whose_creation_was_confirmed_and_not_read_back_counts_as_created(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = many(tmp_path / "in.csv", 3)
    sim.queue_fault(Fault.HANG, "GET", times=1, matching="/profile/%40")
    before_answer(sim, "POST", 1, terminate)
    words = ("--create", "--verify")
    ran = run(sim, "run", path, *LOOKUP, *words)
    assert ran.status == 143
    assert "created" not in ran.outcomes
    assert sim.profiles
    ran = run(sim, "resume")
    assert (ran.status, ran.outcomes) == (0, ["created"] * 3), ran.err
    assert created_addresses(sim) == {f"p{n}@x.com": 1 for n in range(3)}


def test_a_row_that_could_not_be_read_when_the_run_stopped_is_written_by_resume(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    """An apply reads each profile before it writes."""
    populate(sim, 3)
    path = write_states(tmp_path / "in.csv", 3)
    assert run(sim, "plan", path, "--out", "plan.parquet").status == 0
    sim.queue_fault(Fault.TRANSIENT_500, "GET", times=1, matching=key(0)[1:])
    sim.queue_fault(Fault.HANG, "GET", times=1, matching=key(1)[1:])
    before_answer(sim, "GET", 3, terminate)  # the first one begins the run
    words = ("--concurrency", 1, "--retries", 0)
    ran = run(sim, "apply", "plan.parquet", *words)
    assert (ran.status, ran.outcomes) == (143, ["pending"] * 3), ran.err
    assert sim.patched == []
    ran = run(sim, "resume")
    assert (ran.status, ran.outcomes) == (0, ["updated"] * 3), ran.err
    assert len(sim.patched) == 3


def test_an_address_that_cannot_be_looked_up_is_not_created(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = many(tmp_path / "in.csv", 3)
    sim.queue_fault(Fault.TRANSIENT_500, "GET", times=100, matching="p1%40x.com")
    ran = run(sim, "run", path, *LOOKUP, "--create", "--retries", 0)
    assert (ran.status, ran.outcomes) == (3, ["created", "failed", "created"]), ran.err
    assert created_addresses(sim) == {"p0@x.com": 1, "p2@x.com": 1}


def creations_cut_short(sim: Simulator, path: Path, run: Run) -> list[int]:
    """Run a file of six people with too small a budget; return the addresses not created."""
    words = ("--create", "--max-calls", 17, "--concurrency", 1)
    assert run(sim, "run", many(path, 6), *words).status == 6
    missing = [number for number in range(6) if not created_addresses(sim)[f"p{number}@x.com"]]
    assert 0 < len(missing) < 6
    return missing


def test_an_address_that_resume_cannot_look_up_is_not_created(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    who = creations_cut_short(sim, tmp_path / "in.csv", run)[0]
    sim.add(email=f"p{who}@x.com", ccpaOptOut=False)
    sim.queue_fault(Fault.TRANSIENT_500, "GET", times=100, matching=f"p{who}%40x.com")
    ran = run(sim, "resume", "--retries", 0, "--max-calls", 99, "--report", "resumed.csv")
    assert ran.status == 3, ran.err
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "resumed.csv")]
    assert outcomes == ["failed" if number == who else "created" for number in range(6)]
    assert created_addresses(sim) == {f"p{number}@x.com": 1 for number in range(6)}


@pytest.mark.parametrize(
    ("later", "alike", "outcome"),
    [
        ("created", True, "unchanged"),
        ("created", False, "drifted"),
        ("failed", True, "drifted"),
    ],
)
def test_no_profile_is_created_for_an_older_file_after_a_later_run(
    later: str, alike: bool, outcome: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    missing = creations_cut_short(sim, tmp_path / "older.csv", run)
    rows = [(f"p{n}@x.com", "Ada", f"No{n}", str((n % 2 == 0) is alike).lower()) for n in missing]
    newer = people(tmp_path / "newer.csv", rows)
    if later == "failed":
        sim.queue_fault(Fault.TRANSIENT_500, "POST", times=100)
    run(sim, "run", newer, "--create", "--retries", 0, "--report", "newer-report.csv")
    reported = read_csv(tmp_path / "newer-report.csv")
    assert {row["sync_outcome"] for row in reported} == {later}
    there = created_addresses(sim)
    sim.clear()
    ran = run(sim, "resume", "--max-calls", 99, "--report", "resumed.csv")
    assert ran.status == (0 if outcome == "unchanged" else 3)
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "resumed.csv")]
    assert outcomes == [outcome if number in missing else "created" for number in range(6)]
    assert created_addresses(sim) == there
    assert {request.method for request in sim.requests} == {"GET"}


def test_no_opt_out_is_lifted_for_an_older_file_after_a_later_run_was_killed(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10, state=True)
    older = write_states(tmp_path / "older.csv", 10, "false")
    assert run(sim, "run", older, *LOOKUP, "--max-calls", 11 + 4).status == 6
    lifted = len(sim.patched)
    assert 0 < lifted < 10
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        (begun,) = book.runs()
    later: list[subprocess.Popen[str]] = []
    before_answer(sim, "GET", 3, lambda: later[0].kill())
    words = ("run", str(write_states(tmp_path / "newer.csv", 10)), "--fetch", "lookup", "-q")
    with process(sim, tmp_path, *words) as killed:
        later.append(killed)
    assert killed.returncode == -9
    ran = run(sim, "resume", begun.run_id, "--report", "resumed.csv", "--max-calls", 99)
    assert ran.status == 3, ran.err
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "resumed.csv")]
    assert sorted(outcomes) == ["drifted"] * (10 - lifted) + ["updated"] * lifted
    assert list(sim.states.values()).count(False) == lifted


def test_a_write_that_failed_before_an_interruption_is_left_to_retry(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 6)
    sim.forbidden.add(key(0))
    path = write_states(tmp_path / "in.csv", 6)
    assert run(sim, "run", path, *LOOKUP, "--max-calls", 10).status == 6
    sim.forbidden.clear()
    sim.clear()
    ran = run(sim, "resume")
    assert (ran.status, ran.outcomes) == (3, ["failed"] + ["updated"] * 5)
    assert key(0) not in {pkey for pkey, _ in sim.patched}
    assert "bulk-sync retry" in ran.out


def test_an_older_run_goes_on_after_a_later_one_was_refused(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20, state=True)
    older = write_states(tmp_path / "older.csv", 8, "false")
    assert run(sim, "run", older, *LOOKUP, "--max-calls", 12).status == 6
    newer = write_states(tmp_path / "newer.csv", 20, "false")
    assert run(sim, "run", newer, "--max-opt-ins", 0).status == 4
    ran = run(sim, "resume", "--report", "resumed.json", "--summary", "json")
    assert ran.status == 0, ran.err  # a refused run has no effect
    assert ran.summary["outcomes"] == {"updated": 8}


@pytest.mark.parametrize("by", ["PKey", "email"])
def test_a_passing_failure_of_a_lookup_is_retried_once_at_the_end(
    by: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    keys = [key(number) if by == "PKey" else f"p{number}@example.com" for number in range(3)]
    lines = [f"{each},true" for each in keys]
    (tmp_path / "in.csv").write_text("\n".join([f"{by},ccpaOptOut", *lines, ""]))
    part = key(1)[1:] if by == "PKey" else "p1%40example.com"
    sim.queue_fault(Fault.TRANSIENT_500, "GET", matching=part)
    ran = run(sim, "run", "in.csv", *LOOKUP, "--retries", 0)
    assert (ran.status, ran.outcomes) == (0, ["updated"] * 3), ran.err


@pytest.mark.parametrize("by", ["PKey", "email"])
def test_without_the_attribute_nothing_is_written(
    by: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 8)
    for profile in sim.profiles.values():
        del profile["ccpaOptOut"]
    keys = [key(number) if by == "PKey" else f"p{number}@example.com" for number in range(8)]
    lines = [f"{each},true" for each in keys]
    (tmp_path / "in.csv").write_text("\n".join([f"{by},ccpaOptOut", *lines, ""]))
    ran = run(sim, "run", "in.csv", *LOOKUP)
    assert ran.status in {2, 6}, ran.err
    assert "has the attribute 'ccpaOptOut'" in ran.err
    assert sim.patched == []


@pytest.mark.parametrize("fetch", ["lookup", "auto", "scan"])
@pytest.mark.parametrize("count", [1, 2, 150])
@pytest.mark.parametrize("by", ["PKey", "email"])
def test_blank_states_are_unknown_and_no_sign_of_a_missing_attribute(
    by: str, count: int, fetch: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, count)
    for profile in sim.profiles.values():
        profile["ccpaOptOut"] = None
    keys = [key(number) if by == "PKey" else f"p{number}@example.com" for number in range(count)]
    lines = [f"{each},true" for each in keys]
    (tmp_path / "in.csv").write_text("\n".join([f"{by},ccpaOptOut", *lines, ""]))
    ran = run(sim, "run", "in.csv", "--fetch", fetch)
    assert "--attribute" not in ran.err
    if count < 100:  # a limit of failures holds from 100 rows on
        assert ran.status == 3, ran.err
        assert [row["sync_reason"] for row in ran.report] == ["state_unknown"] * count
    assert ran.status in {3, 6}, ran.err
    assert sim.patched == []


@pytest.mark.parametrize("blank", [0, 1])
def test_one_profile_that_has_the_attribute_is_enough_though_it_is_blank(
    blank: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    del sim.profiles[key(1 - blank)]["ccpaOptOut"]
    sim.profiles[key(blank)]["ccpaOptOut"] = None
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 2), *LOOKUP, "--concurrency", 1)
    assert "--attribute" not in ran.err
    assert ran.status == 3, ran.err
    assert [row["sync_reason"] for row in ran.report] == ["state_unknown"] * 2
    assert sim.patched == []


def test_no_row_is_unchanged_that_another_run_has_changed_if_the_apply_stops_before_it_writes(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    sim.profiles[key(0)]["ccpaOptOut"] = True
    path = write_states(tmp_path / "in.csv", 2)
    assert run(sim, "plan", path, "--out", "plan.parquet").status == 0
    assert run(sim, "run", write_states(tmp_path / "newer.csv", 1, "false")).status == 0
    ran = run(sim, "apply", "plan.parquet", "--max-calls", 1, "--report", "r.csv")
    assert ran.status == 6, ran.err
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")]
    assert outcomes == ["drifted", "pending"]


def test_a_refused_run_that_was_given_up_stays_so_if_the_process_died_before_its_checkpoint_went(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    path = write_states(tmp_path / "in.csv", 2)
    assert run(sim, "run", path, "--max-changes", 1).status == 4
    (folder,) = (tmp_path / "state" / "runs").iterdir()
    shutil.copytree(folder, tmp_path / "kept")
    assert run(sim, "resume", folder.name, "--give-up").status == 0
    shutil.copytree(tmp_path / "kept", folder)
    ran = run(sim, "resume", folder.name, "--max-changes", 2)
    assert "There is nothing to resume: it was given up." in ran.err
    assert sim.patched == []
    assert run(sim, "resume", "--all").status == 0
    assert run(None, "tidy").status == 0
    assert not folder.exists()
