"""A request older than the choice in Campaign does not overwrite it."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import copies
import orjson
import pytest
from conftest import Run, before_answer, key, populate, process, read_csv, write_states

from bulk_sync import ledger
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Options, Simulator, running, sample_profiles

STAMP = "ccpaOptOutLastModified"
NEWER, OLDER = "2026-11-20 12:00:00.000Z", "2026-11-10 12:00:00.000Z"


def filled(sim: Simulator, path: Path) -> Path:
    """Add six profiles with the other state; write their rows, of 15 November or undated."""
    lines = ["PKey,ccpaOptOut,Request date"]
    for number, (desired, stamp, date) in enumerate(
        [
            (True, NEWER, "2026-11-15"),
            (False, NEWER, "2026-11-15"),
            (True, OLDER, "2026-11-15"),
            (False, OLDER, "2026-11-15"),
            (True, NEWER, ""),
            (True, "", "2026-11-15"),
        ]
    ):
        sim.add(pkey=key(number), ccpaOptOut=not desired, **{STAMP: stamp})
        lines.append(f"{key(number)},{str(desired).lower()},{date}")
    path.write_text("\n".join([*lines, ""]))
    return path


@pytest.mark.parametrize("fetch", ["lookup", "scan"])
def test_a_newer_choice_is_left_alone(fetch: str, sim: Simulator, tmp_path: Path, run: Run) -> None:
    path = filled(sim, tmp_path / "in.csv")
    ran = run(sim, "run", path, "--fetch", fetch)
    assert ran.status == 3
    assert ran.outcomes == ["drifted"] * 2 + ["updated"] * 4
    assert [row["sync_reason"] for row in ran.report[:2]] == ["newer_choice"] * 2
    assert "changed on 2026-11-20 12:00 UTC, after the request" in ran.report[0]["sync_detail"]
    assert {pkey for pkey, _ in sim.patched} == {key(number) for number in range(2, 6)}


def test_dates_can_be_ignored(sim: Simulator, tmp_path: Path, run: Run) -> None:
    path = filled(sim, tmp_path / "in.csv")
    ran = run(sim, "run", path, "--ignore-dates")
    assert ran.status == 0
    assert ran.outcomes == ["updated"] * 6


def test_resume_uses_the_choices_read_before(sim: Simulator, tmp_path: Path, run: Run) -> None:
    path = filled(sim, tmp_path / "in.csv")
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 4)
    assert run(sim, "run", path, *words).status == 6
    for number in range(6):
        sim.profiles[key(number)][STAMP] = ""  # the process knows it only from the first part
    ran = run(sim, "resume", "--max-calls", 100)
    assert ran.outcomes.count("drifted") == 2


def test_an_apply_and_a_resume_see_later_choices(sim: Simulator, tmp_path: Path, run: Run) -> None:
    for number in range(4):
        sim.add(pkey=key(number), ccpaOptOut=number % 2 == 0, **{STAMP: OLDER})
    rows = [f"{key(n)},{str(n % 2 == 1).lower()},2026-11-15" for n in range(4)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut,Request date", *rows, ""]))
    assert run(sim, "plan", "in.csv", "--out", "plan.parquet").status == 0
    assert run(sim, "run", "in.csv", "--max-opt-ins", 0, "--report", "refused.csv").status == 4
    for number in (0, 1):
        sim.profiles[key(number)][STAMP] = NEWER
    ran = run(sim, "apply", "plan.parquet")
    assert ran.outcomes == ["drifted", "drifted", "updated", "updated"]
    assert [row["sync_reason"] for row in ran.report] == ["newer_choice"] * 2 + [""] * 2
    assert [row["sync_after"] for row in ran.report] == ["true", "false", "false", "true"]
    for number in (2, 3):
        sim.profiles[key(number)]["ccpaOptOut"] = number % 2 == 0
        sim.profiles[key(number)][STAMP] = OLDER
    sim.clear()
    (_, refused, _) = [
        each for each in run(sim, "runs").out.splitlines() if each.startswith("2026")
    ]
    words = ("--max-opt-ins", "100%", "--report", "resumed.csv")
    run(sim, "resume", refused.split()[0], *words)
    resumed = read_csv(tmp_path / "resumed.csv")
    assert [row["sync_outcome"] for row in resumed[:2]] != ["updated", "updated"]
    assert key(0) not in {
        pkey for pkey, _ in sim.patched
    }  # a profile with the opt-out as the newer choice


@pytest.mark.parametrize("command", ["apply", "resume", "resume before the plan", "retry"])
def test_no_opt_out_is_lifted_that_was_chosen_again_since_it_was_read(
    command: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(3):
        sim.add(pkey=key(number), ccpaOptOut=number < 2, **{STAMP: OLDER})
    rows = [f"{key(number)},{str(number == 2).lower()}" for number in range(3)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    words = ["run", "in.csv", "--fetch", "lookup", "--concurrency", "1"]
    if command == "apply":
        assert run(sim, "plan", "in.csv", "--out", "plan.parquet").status == 0
        words = ["apply", "plan.parquet"]
    elif command == "resume":
        refused = run(sim, *words, "--max-opt-ins", 0)
        assert refused.status == 4
        words = refused.out.splitlines()[-1].split()[1:]
    elif command == "retry":
        for number in range(3):
            sim.queue_fault(Fault.TRANSIENT_500, "GET", 9, matching=key(number)[1:])
        assert run(sim, *words, "--retries", 0, "--max-failures", "100%").status == 3
        words = ["retry", orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"]]
    else:
        assert run(sim, *words, "--max-calls", 3).status == 6  # the name of the API, and 2 profiles
        words = ["resume"]
    sim.clear()
    now = datetime.now(UTC)
    for number in (0, 2):
        since = sample_profiles.timestamp(now + timedelta(hours=1))
        sim.profiles[key(number)][STAMP] = since
    later = {copies.NOW_S: str((now + timedelta(hours=2)).timestamp())}
    with process(sim, tmp_path, *words, "--report", "r.csv", more=later) as following:
        text = following.communicate()[1]
    assert following.returncode == 3, text
    facts = [(row["sync_outcome"], row["sync_reason"]) for row in read_csv(tmp_path / "r.csv")]
    assert facts == [("drifted", "newer_choice"), ("updated", ""), ("updated", "")]
    assert sim.states == {key(0): True, key(1): False, key(2): True}


@pytest.mark.parametrize("is_chosen_again", [False, True])
def test_an_opt_in_of_a_killed_run_gives_way_to_a_choice_within_the_hour(
    is_chosen_again: bool, tmp_path: Path, sim: Simulator
) -> None:
    sim.add(pkey=key(0), ccpaOptOut=True, **{STAMP: OLDER})
    (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},false\n")
    sim.queue_fault(Fault.RESET, "PATCH")
    before_answer(sim, "PATCH", 1, lambda: dying.kill())
    with process(sim, tmp_path, "run", "in.csv") as dying:
        dying.wait()
    now = datetime.now(UTC)
    if is_chosen_again:
        sim.profiles[key(0)][STAMP] = sample_profiles.timestamp(now + timedelta(minutes=10))
    later = {copies.NOW_S: str((now + timedelta(minutes=20)).timestamp())}
    with process(sim, tmp_path, "resume", "--report", "r.csv", more=later) as following:
        said = following.communicate()[1]
    assert following.returncode == (3 if is_chosen_again else 0), said
    row = read_csv(tmp_path / "r.csv")[0]
    told = ("drifted", "newer_choice") if is_chosen_again else ("updated", "")
    assert (row["sync_outcome"], row["sync_reason"]) == told
    assert sim.states == {key(0): is_chosen_again}


@pytest.mark.parametrize("first", ["resume", "give up"])
@pytest.mark.parametrize("command", ["undo", "run"])
@pytest.mark.parametrize(("minutes", "is_chosen_again"), [(0, False), (120, True)])
def test_a_choice_between_a_kill_and_the_resume_is_not_taken_for_the_write_in_flight(
    minutes: int, is_chosen_again: bool, command: str, first: str, tmp_path: Path
) -> None:
    now = datetime.now(UTC)

    def written(name: str, state: str, date: datetime) -> str:
        cells = f"{key(0)},{state},{date:%Y-%m-%dT%H:%M:%SZ}"
        (tmp_path / name).write_text(f"PKey,ccpaOptOut,Request date\n{cells}\n")
        return name

    def later(hours: int, *words: str) -> int:
        more = {copies.NOW_S: str((now + timedelta(hours=hours)).timestamp())}
        with process(sim, tmp_path, *words, more=more) as following:
            following.communicate()
        return following.returncode

    with running(Options(hang_s=0.0)) as sim:
        sim.add(pkey=key(0), ccpaOptOut=False, **{STAMP: OLDER})
        sim.queue_fault(Fault.HANG_AFTER_WRITE, "PATCH")
        before_answer(sim, "PATCH", 1, lambda: dying.kill())
        with process(sim, tmp_path, "run", written("in.csv", "true", now)) as dying:
            dying.wait()
        chosen_at = now + timedelta(minutes=minutes)
        sim.profiles[key(0)] |= {"ccpaOptOut": True, STAMP: sample_profiles.timestamp(chosen_at)}
        with ledger.open_ledger(State(tmp_path / "state")) as book:
            (killed,) = book.runs()
        if first == "resume":
            assert later(4, "resume", "--report", "r.csv") == (3 if is_chosen_again else 0)
            (row,) = read_csv(tmp_path / "r.csv")
            told = ("drifted", "moved") if is_chosen_again else ("updated", "")
            assert (row["sync_outcome"], row["sync_reason"]) == told
        else:
            assert later(4, "resume", killed.run_id, "--give-up") == 0
        words = ("undo", killed.run_id)
        if command == "run":
            words = ("run", written("newer.csv", "false", now + timedelta(hours=1)))
        later(5, *words, "--report", "last.csv")
        assert sim.states == {key(0): is_chosen_again}


def test_a_plan_made_without_dates_is_applied_without_dates(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = filled(sim, tmp_path / "in.csv")
    assert run(sim, "plan", path, "--ignore-dates", "--out", "plan.parquet").status == 0
    assert run(sim, "apply", "plan.parquet").outcomes == ["updated"] * 6


@pytest.mark.parametrize("stamp", ["9999-12-31T23:59:59-08:00", "yesterday", "2026-11-20 12:00:00"])
def test_an_odd_time_of_change_does_no_harm(
    stamp: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), ccpaOptOut=number == 0, **{STAMP: stamp})
    lines = [f"{key(0)},false,2026-11-25", f"{key(1)},true,2026-11-25"]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut,Request date", *lines, ""]))
    ran = run(sim, "run", "in.csv")
    assert ran.status in {0, 3}
    assert ran.outcomes[0] == "drifted"
    assert ran.outcomes[1] == ("drifted" if stamp.startswith("9") else "updated")


@pytest.mark.parametrize("calls", [1, 3], ids=["no state was read", "two states were read"])
def test_no_opt_out_is_lifted_that_was_chosen_since_the_run_began_though_it_was_read_later(
    calls: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(3):
        sim.add(pkey=key(number), ccpaOptOut=True, **{STAMP: OLDER})
    write_states(tmp_path / "in.csv", 3, "false")
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", calls)
    assert run(sim, "run", "in.csv", *words).status == 6  # one call for the name of the API
    now = datetime.now(UTC)
    sim.profiles[key(2)][STAMP] = sample_profiles.timestamp(now + timedelta(hours=1))
    later = {copies.NOW_S: str((now + timedelta(hours=2)).timestamp())}
    with process(sim, tmp_path, "resume", "--report", "r.csv", more=later) as following:
        said = following.communicate()[1]
    assert following.returncode == 3, said
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")]
    assert outcomes == ["updated", "updated", "drifted"]


def test_a_request_that_found_its_opt_out_counts_though_the_clock_was_set_back(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(0), ccpaOptOut=False, **{STAMP: ""})

    def file_of(state: str, date: str) -> str:
        (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut,Request date\n{key(0)},{state},{date}\n")
        return "in.csv"

    assert run(sim, "run", file_of("true", "2026-11-10")).status == 0
    set_back = {copies.NOW_S: str((datetime.now(UTC) - timedelta(hours=3)).timestamp())}
    words = ("run", file_of("true", "2026-11-20"), "--allow", "same-file")
    with process(sim, tmp_path, *words, more=set_back) as finding:
        said = finding.communicate()[1]
    assert finding.returncode == 0, said
    assert run(sim, "run", file_of("false", "2026-11-15"), "--report", "last.csv").status == 3
    (row,) = read_csv(tmp_path / "last.csv")
    assert "wants the same state by a request of 2026-11-20" in row["sync_detail"]
    assert sim.states == {key(0): True}


@pytest.mark.parametrize("command", ["resume", "apply"])
def test_no_row_is_unchanged_that_another_run_has_changed_after_the_clock_was_set_back(
    command: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), ccpaOptOut=number == 0)
    path = write_states(tmp_path / "in.csv", 2)
    if command == "apply":
        assert run(sim, "plan", path, "--out", "plan.parquet").status == 0
        words = ["apply", "plan.parquet"]
    else:
        assert run(sim, "run", path, "--max-changes", 0).status == 4
        words = ["resume", orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"]]
        words += ["--max-changes", "9"]
    set_back = {copies.NOW_S: str((datetime.now(UTC) - timedelta(hours=3)).timestamp())}
    (tmp_path / "other.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},false\n")
    with process(sim, tmp_path, "run", "other.csv", more=set_back) as other:
        said = other.communicate()[1]
    assert other.returncode == 0, said
    ran = run(sim, *words, "--report", "last.csv")
    assert ran.status == 3, ran.err
    is_warned = "has worked on this organization since the plan was made" in ran.err
    assert is_warned is (command == "apply")
    first, second = read_csv(tmp_path / "last.csv")
    assert (first["sync_outcome"], first["sync_reason"]) == ("drifted", "newer_run")
    assert (first["sync_after"], second["sync_outcome"]) == ("false", "updated")


@pytest.mark.parametrize("command", ["resume", "resume before the plan", "retry"])
@pytest.mark.parametrize(("hours_before", "hours_after"), [(0, -1), (72, 2)], ids=["slow", "fast"])
def test_no_opt_out_is_lifted_that_may_be_chosen_again_if_the_clock_was_set_back(
    hours_before: int, hours_after: int, command: str, tmp_path: Path, sim: Simulator, run: Run
) -> None:
    for number in range(4):
        stamp = "" if number == 1 else OLDER
        sim.add(pkey=key(number), ccpaOptOut=number < 3, **{STAMP: stamp})
    rows = [f"{key(number)},{str(number == 3).lower()}" for number in range(4)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    now = datetime.now(UTC)

    def by_the_clock(hours: int, *words: str) -> int:
        more = {copies.NOW_S: str((now + timedelta(hours=hours)).timestamp())}
        with process(sim, tmp_path, *words, more=more) as process_then:
            said.append(process_then.communicate()[1])
        return process_then.returncode

    said: list[str] = []
    words = ["run", "in.csv", "--fetch", "lookup", "--concurrency", "1"]
    following = ["resume"]
    if command == "resume":
        assert by_the_clock(hours_before, *words, "--max-opt-ins", "0") == 4
        following += [orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"]]
        following += ["--max-opt-ins", "9"]
    elif command == "retry":
        for number in range(4):
            sim.queue_fault(Fault.TRANSIENT_500, "GET", 9, matching=key(number)[1:])
        assert by_the_clock(hours_before, *words, "--retries", "0", "--max-failures", "100%") == 3
        following = ["retry", orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"]]
    else:
        assert by_the_clock(hours_before, *words, "--max-calls", "3") == 6
    sim.clear()
    sim.profiles[key(0)][STAMP] = sample_profiles.timestamp(now + timedelta(hours=1))
    assert by_the_clock(hours_after, *following, "--report", "r.csv") == 3, said
    facts = [(row["sync_outcome"], row["sync_reason"]) for row in read_csv(tmp_path / "r.csv")]
    left, done = ("drifted", "newer_choice"), ("updated", "")
    assert facts == [left, done, left, done]
    assert "was set back since the file was given" in read_csv(tmp_path / "r.csv")[0]["sync_detail"]
    assert sim.states == {key(0): True, key(1): False, key(2): True, key(3): True}


def test_no_row_is_unchanged_that_a_killed_run_may_have_changed(
    tmp_path: Path, run: Run, sim: Simulator
) -> None:
    for number in range(2):
        sim.add(pkey=key(number), ccpaOptOut=number == 0)
    assert (
        run(sim, "plan", write_states(tmp_path / "in.csv", 2), "--out", "plan.parquet").status == 0
    )
    (tmp_path / "other.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},false\n")
    sim.queue_fault(Fault.RESET_AFTER_WRITE, "PATCH")
    before_answer(sim, "PATCH", 1, lambda: dying.kill())
    with process(sim, tmp_path, "run", "other.csv") as dying:
        dying.wait()
    assert sim.states[key(0)] is False
    ran = run(sim, "apply", "plan.parquet", "--report", "r.csv")
    assert ran.status == 3, ran.err
    first, second = read_csv(tmp_path / "r.csv")
    assert (first["sync_outcome"], first["sync_reason"]) == ("drifted", "newer_run")
    assert (first["sync_after"], second["sync_outcome"]) == ("", "updated")
    assert "may have set this profile to false since it was read" in first["sync_detail"]


@pytest.mark.parametrize("date", ["2026-11-20", "2026-11-28"], ids=["an older", "a newer"])
def test_the_opt_out_of_a_profile_that_may_have_been_created_counts_by_its_address(
    date: str, tmp_path: Path, run: Run
) -> None:
    with running(Options(hang_s=0.0)) as sim:
        cells = "Ada,Doe,ada@example.com,true,2026-11-25"
        header = "firstName,lastName,email,ccpaOptOut,Request date"
        (tmp_path / "in.csv").write_text(f"{header}\n{cells}\n")
        sim.queue_fault(Fault.HANG_AFTER_WRITE, "POST")
        before_answer(sim, "POST", 1, lambda: dying.kill())
        with process(sim, tmp_path, "run", "in.csv", "--create") as dying:
            dying.wait()
        lines = f"email,ccpaOptOut,Request date\nada@example.com,false,{date}\n"
        (tmp_path / "other.csv").write_text(lines)
        is_older = date < "2026-11-25"
        ran = run(sim, "run", "other.csv", "--report", "r.csv")
        assert ran.status == (3 if is_older else 0), ran.err
        assert list(sim.states.values()) == [is_older]


def test_an_opt_out_chosen_since_a_stopped_run_read_it_is_not_lifted_for_an_older_date(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 6, state=True)
    lines = [f"{key(number)},false,2026-11-10" for number in range(6)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut,Request date", *lines, ""]))
    words = ("--fetch", "lookup", "--concurrency", 1, "--allow", "inverted", "--max-calls", 4)
    assert run(sim, "run", "in.csv", *words, "--report", "1.csv").status == 6
    sim.write(key(0), {"ccpaOptOut": True})
    assert run(sim, "resume", "--max-calls", 99, "--report", "2.csv").status == 3
    assert sim.states == {key(number): number == 0 for number in range(6)}
    assert read_csv(tmp_path / "2.csv")[0]["sync_reason"] == "newer_choice"
