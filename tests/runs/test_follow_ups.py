"""After a run: retry, undo, audit, and the run in ``runs`` and ``history``."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from conftest import Run, key, populate, read_csv, write_states

from bulk_sync import ledger
from bulk_sync.ledger import Intent
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Simulator, sample_profiles

ROWS = 8


def run_id_of(run: Run, at: int = -1) -> str:
    facts = [each for each in orjson.loads(run(None, "runs", "--json").out) if each["started"]]
    return str(facts[at]["run_id"])


@pytest.fixture
def done(sim: Simulator, tmp_path: Path, run: Run) -> str:
    """Return the id of a run: eight opt-outs, and two profiles that may not be modified."""
    populate(sim, ROWS)
    sim.forbidden.update({key(2), key(4)})
    ran = run(sim, "run", write_states(tmp_path / "in.csv", ROWS), "--report", "first.csv")
    assert ran.status == 3
    return run_id_of(run)


def test_retry_tries_only_the_rows_that_failed(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(sim, "retry", done, "--report", "r0.csv")
    assert ran.status == 3
    sim.forbidden.clear()
    sim.clear()
    second = run_id_of(run)
    assert f"bulk-sync retry {second}" in ran.out
    ran = run(sim, "retry", second, "--report", "r.csv")
    assert ran.status == 0
    assert [row["sync_row"] for row in read_csv(tmp_path / "r.csv")] == ["4", "6"]
    assert [row["PKey"] for row in read_csv(tmp_path / "r.csv")] == [key(2), key(4)]
    assert sorted(pkey for pkey, _ in sim.patched) == [key(2), key(4)]
    facts = orjson.loads(run(None, "runs", run_id_of(run), "--json").out)
    assert (facts["kind"], facts["parent"]) == ("retry", second)


def test_a_retry_happens_once_and_then_its_own_failures_are_retried(
    done: str, sim: Simulator, run: Run
) -> None:
    assert run(sim, "retry", done, "--report", "r.csv").status == 3
    second = run_id_of(run)
    sim.clear()
    ran = run(sim, "retry", done, "--report", "r.csv")
    assert ran.status == 3
    assert f"bulk-sync retry {second}" in ran.err
    assert sim.requests == []


@pytest.mark.parametrize(
    ("more", "words", "status"),
    [("", (), 0), ("@rejected-key-of-some-length,maybe\n", (), 3), ("", ("--max-changes", 0), 4)],
    ids=["all is done", "a row was rejected", "a limit refused all"],
)
def test_where_nothing_failed_a_retry_ends_as_the_run_did(
    more: str, words: tuple[object, ...], status: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    path = write_states(tmp_path / "in.csv", 1)
    path.write_text(path.read_text() + more)
    assert run(sim, "run", path, *words).status == status
    ran = run(sim, "retry", run_id_of(run))
    assert ran.status == status
    assert "nothing to retry" in ran.out + ran.err


def test_undo_puts_back_what_the_run_changed_and_nothing_else(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.clear()
    ran = run(sim, "undo", done, "--report", "u.csv")
    assert ran.status == 0
    assert set(sim.states.values()) == {False}
    assert len(sim.patched) == ROWS - 2
    rows = read_csv(tmp_path / "u.csv")
    assert {row["sync_outcome"] for row in rows} == {"updated"}
    assert [row["sync_row"] for row in rows] == ["2", "3", "5", "7", "8", "9"]
    sim.clear()
    ran = run(sim, "undo", done)
    assert ran.status == 0
    assert "was done before" in ran.out
    assert sim.requests == []


def test_undo_looks_at_opt_outs_that_its_run_failed_to_lift(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for number in range(3):
        sim.add(pkey=key(number), ccpaOptOut=True)
    path = write_states(tmp_path / "in.csv", 3, "false")
    for number in (1, 2):
        sim.queue_fault(Fault.TRANSIENT_500, "PATCH", times=9, matching=f"{number:06d}")
    assert run(sim, "run", path, "--retries", 0).status == 3
    sim.clear()
    sim.profiles[key(1)]["ccpaOptOut"] = False  # Campaign acts on it late
    ran = run(sim, "undo", run_id_of(run), "--report", "u.csv")
    assert ran.status == 0
    assert set(sim.states.values()) == {True}
    rows = read_csv(tmp_path / "u.csv")
    assert [row["sync_outcome"] for row in rows] == ["updated", "updated", "unchanged"]


def test_reverted_writes_are_not_reported_as_done(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text('max-opt-ins = "100%"\n')
    carried_out = dict(sim.states)
    assert run(sim, "undo", done).status == 0
    put_back = dict(sim.states)
    assert run(sim, "undo", run_id_of(run)).status == 0
    assert sim.states == carried_out != put_back
    ran = run(sim, "undo", done)
    assert ran.status == 2
    hint = f"bulk-sync undo {run_id_of(run)}"
    assert ran.err.strip().endswith(hint)
    assert run(sim, *hint.split()[1:]).status == 0
    assert sim.states == put_back
    ran = run(sim, "undo", done)
    assert ran.status == 0
    assert "was done before" in ran.out


def test_intents_never_sent_do_not_block_later_runs(done: str, sim: Simulator, run: Run) -> None:
    limits = ("--max-opt-ins", "100%")
    assert run(sim, "undo", done, *limits, "--max-calls", 5, "--concurrency", 1).status == 6
    put_back = sum(state is False for state in sim.states.values())
    run(sim, "resume", run_id_of(run), "--give-up")
    run(sim, "undo", done, *limits)
    now = sum(state is False for state in sim.states.values())
    assert put_back < now == len(sim.states)


def test_undo_leaves_profiles_alone_that_moved_since(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.profiles[key(0)]["ccpaOptOut"] = False
    ran = run(sim, "undo", done, "--report", "u.csv")
    assert ran.status == 3
    (moved,) = [row for row in read_csv(tmp_path / "u.csv") if row["sync_key"] == key(0)]
    assert (moved["sync_outcome"], moved["sync_reason"]) == ("drifted", "moved")


def test_undo_leaves_profiles_alone_that_a_later_run_changed_and_changed_back(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for state in ("false", "true"):
        run(sim, "run", write_states(tmp_path / f"{state}.csv", 1, state))
    ran = run(sim, "undo", done, "--report", "u.csv")
    assert ran.status == 3
    assert sim.states[key(0)] is True
    (left,) = [row for row in read_csv(tmp_path / "u.csv") if row["sync_key"] == key(0)]
    assert (left["sync_outcome"], left["sync_reason"]) == ("drifted", "newer_run")


def test_undo_lifts_no_opt_out_that_was_chosen_again_since(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    stamp = "ccpaOptOutLastModified"
    (mine, theirs) = (datetime.now(UTC) + timedelta(seconds=each) for each in (30, 300))
    sim.profiles[key(0)][stamp] = sample_profiles.timestamp(theirs)
    sim.profiles[key(1)][stamp] = sample_profiles.timestamp(mine)
    ran = run(sim, "undo", done, "--report", "u.csv")
    assert ran.status == 3
    assert (sim.states[key(0)], sim.states[key(1)]) == (True, False)
    (left,) = [row for row in read_csv(tmp_path / "u.csv") if row["sync_key"] == key(0)]
    assert (left["sync_outcome"], left["sync_reason"]) == ("drifted", "newer_choice")
    assert "was made again on" in left["sync_detail"]


def test_undo_puts_profiles_back_that_a_later_run_left_alone(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    path = write_states(tmp_path / "in.csv", ROWS)
    for name in ("first.parquet", "second.parquet"):
        assert run(sim, "plan", path, "--out", name).status == 0
    assert run(sim, "apply", "second.parquet").status == 0
    assert run(sim, "apply", "first.parquet", "--report", "f.csv").status == 3
    assert {row["sync_reason"] for row in read_csv(tmp_path / "f.csv")} == {"moved"}
    changed, _ = [
        facts for facts in orjson.loads(run(None, "runs", "--json").out) if facts["kind"] == "apply"
    ]
    ran = run(sim, "undo", changed["run_id"], "--max-opt-ins", "100%")
    assert ran.status == 0, ran.err
    assert set(sim.states.values()) == {False}


def test_the_opt_ins_of_an_undo_fall_under_the_limit(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    run(sim, "run", write_states(tmp_path / "in.csv", 30))
    done = run_id_of(run)
    sim.clear()
    ran = run(sim, "undo", done)
    assert ran.status == 4
    assert "30 opt-ins (true to false) of 30 rows" in ran.err
    assert sim.patched == []
    assert run(sim, "undo", done, "--max-opt-ins", 30).status == 0
    assert set(sim.states.values()) == {False}


@pytest.mark.parametrize("command", ["apply", "undo", "retry"])
def test_a_run_takes_the_place_of_the_refused_one_with_the_same_work(
    command: str, done: str, sim: Simulator, run: Run
) -> None:
    run(sim, "plan", "in.csv", "--out", "plan.parquet")
    words = (command, "plan.parquet" if command == "apply" else done)
    sim.forbidden.clear()
    assert run(sim, *words, "--max-changes", 0).status == 4
    refused = run_id_of(run)
    assert run(sim, "resume", "--all").status == 4
    assert run(sim, *words, "--max-changes", 100).status == 0
    sim.clear()
    assert run(sim, "resume", "--all").status == 0
    assert "nothing to resume: the same was begun anew" in run(sim, "resume", refused).err
    assert sim.requests == []


def test_an_interrupted_run_can_be_undone_and_is_not_resumed_afterwards(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    words = ("--fetch", "lookup", "--max-calls", 28)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 20), *words).status == 6
    assert 0 < len(sim.patched) <= 10
    ran = run(sim, "undo", run_id_of(run), "--max-calls", 1000)
    assert ran.status == 0, ran.err
    assert set(sim.states.values()) == {False}
    assert "nothing to resume" in run(sim, "resume").out


def test_an_undo_that_is_interrupted_is_resumed(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 10)
    run(sim, "run", write_states(tmp_path / "in.csv", 10))
    done = run_id_of(run)
    assert run(sim, "undo", done, "--max-calls", 9, "--concurrency", 1).status == 6
    ran = run(sim, "undo", done)
    assert ran.status == 2
    assert "bulk-sync resume" in ran.err
    assert run(sim, "resume", "--max-calls", 100).status == 0
    assert set(sim.states.values()) == {False}
    assert len(sim.patched) == 20


def test_an_audit_finds_profiles_that_changed_since(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(sim, "audit")
    assert (ran.status, "left out" in ran.err) == (0, False)
    sim.profiles[key(0)]["ccpaOptOut"] = False
    del sim.profiles[key(1)]
    run(sim, "run", write_states(tmp_path / "no.csv", 4, "false"), "--report", "second.csv")
    sim.clear()
    ran = run(sim, "audit", done, "--report", "audit.csv")
    assert ran.status == 3
    rows = {row["sync_key"]: row for row in read_csv(tmp_path / "audit.csv")}
    assert len(rows) == ROWS - 2
    assert rows[key(0)]["sync_outcome"] == "drifted"
    assert "not by this tool" in rows[key(0)]["sync_detail"]
    assert rows[key(1)]["sync_outcome"] == "not_found"
    assert run_id_of(run) in rows[key(3)]["sync_detail"]
    assert rows[key(5)]["sync_outcome"] == "unchanged"
    assert set(sim.counters.methods) == {"GET"}


def test_an_audit_names_no_run_that_left_the_profile_alone(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.forbidden.add(key(3))
    path = write_states(tmp_path / "no.csv", 4, "false")
    assert run(sim, "run", path, "--report", "second.csv").status == 3
    sim.profiles[key(3)]["ccpaOptOut"] = False  # by hand
    assert run(sim, "audit", done, "--report", "audit.csv").status == 3
    details = {row["sync_key"]: row["sync_detail"] for row in read_csv(tmp_path / "audit.csv")}
    assert details[key(1)] == f"The profile is false now; run {run_id_of(run)} changed it since."
    assert details[key(3)] == "The profile is false now, and not by this tool."


@pytest.mark.parametrize(("sample", "looked_at"), [("1", 1), ("50%", 3), ("1%", 1), ("99", 6)])
def test_an_audit_may_look_at_a_sample(
    sample: str, looked_at: int, done: str, sim: Simulator, run: Run
) -> None:
    words = ("audit", done, "--sample", sample, "--fetch", "lookup", "--summary", "json")
    assert run(sim, *words).summary["rows"] == looked_at


def test_an_audit_of_nothing_is_no_failure(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1, state=True)
    run(sim, "run", write_states(tmp_path / "in.csv", 1))
    assert run(sim, "audit").status == 0
    assert run(sim, "audit", run_id_of(run)).status == 0
    assert run(sim, "audit", "nobody").status == 2


def test_a_history_has_times_files_and_people(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run(sim, "undo", done, "--report", "u.csv")
    first, second = orjson.loads(run(None, "history", key(3), "--json").out)
    assert first["run"] == done
    assert first["input"] == str(tmp_path / "in.csv")
    assert first["row"] == 5
    assert (first["before"], first["desired"], first["outcome"]) == ("false", "true", "updated")
    assert " on " in first["operator"]
    assert first["intended_at"] <= first["at"]
    assert (second["kind"], second["desired"]) == ("undo", "false")
    lines = run(None, "history", key(3)).out.splitlines()
    assert len(lines) == 5  # what stands now, a blank, and a table of two
    assert "never changed" in run(None, "history", "@nobody").out


def test_a_failed_write_is_in_the_history_with_its_reason(done: str, run: Run) -> None:
    (facts,) = orjson.loads(run(None, "history", key(2), "--json").out)
    assert facts["run"] == done
    assert (facts["outcome"], facts["reason"]) == ("failed", "http_403")
    assert "rights" in facts["detail"]


def test_past_runs_are_a_table_and_a_single_one_is_shown_in_full(
    done: str, tmp_path: Path, run: Run
) -> None:
    lines = run(None, "runs").out.splitlines()
    assert lines[0].split() == [
        *("run", "kind", "job", "rows", "opt-ins", "opt-outs", "took", "exit"),
    ]
    assert lines[1].split()[:2] == [done, "run"]
    full = run(None, "runs", done).out
    facts = orjson.loads(run(None, "runs", done, "--json").out)
    assert facts["outcomes"] == {"updated": 6, "failed": 2}
    assert facts["exit"] == 3
    assert facts["settings"]["report"] == [str(tmp_path / "first.csv")]
    (digest,) = facts["reports"].values()
    assert digest in full
    assert facts["input_sha256"] in full
    assert run(None, "runs", "nobody").status == 2


def test_verify_reads_a_write_back_before_it_counts(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)

    class Forgetful(list[tuple[str, bool | None]]):
        def append(self, write: tuple[str, bool | None]) -> None:
            super().append(write)
            sim.profiles[key(1)]["ccpaOptOut"] = False

    sim.patched = Forgetful()
    words = ("--verify", "--concurrency", 1)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 2), *words)
    assert ran.status == 3
    assert [(row["sync_outcome"], row["sync_reason"]) for row in ran.report] == [
        ("updated", ""), ("failed", "not_stored")
    ]  # fmt: skip
    (facts,) = orjson.loads(run(None, "history", key(1), "--json").out)
    assert facts["reason"] == "not_stored"


def test_follow_ups_can_be_resumed_retried_and_audited(done: str, sim: Simulator, run: Run) -> None:
    words = ("--max-calls", 100, "--report")
    assert run(sim, "retry", done, "--max-calls", 1, "--report", "r.csv").status == 6
    assert run(sim, "resume", "--max-calls", 100).status == 3
    assert run(sim, "retry", run_id_of(run), *words, "rr.csv").status == 3
    assert run(sim, "undo", done, "--max-calls", 5, "--concurrency", 1).status == 6
    assert run(sim, "resume", *words, "u.csv").status == 0
    undone = run_id_of(run)
    assert run(sim, "audit", undone).status == 0
    assert run(sim, "undo", undone, *words, "uu.csv").status == 0


def test_a_retry_of_a_retry_counts_as_a_request_of_the_first_file(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1, state=True)
    sim.forbidden.add(key(0))
    path = write_states(tmp_path / "older.csv", 1, "false")
    assert run(sim, "run", path, "--report", "1.csv").status == 3
    older = run_id_of(run)
    assert run(sim, "run", write_states(tmp_path / "newer.csv", 1)).status == 0
    sim.profiles[key(0)].pop("ccpaOptOut")
    assert run(sim, "retry", older, "--report", "2.csv").status in {2, 3}
    sim.profiles[key(0)]["ccpaOptOut"] = True
    sim.forbidden.clear()
    ran = run(sim, "retry", run_id_of(run), "--report", "3.csv")
    if ran.status == 2:
        ran = run(sim, "retry", older, "--report", "3.csv")
    assert sim.states[key(0)] is True
    assert sim.patched == []


def test_undoing_a_run_of_both_directions_is_no_inverted_column(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 40)
    for number in range(5):
        sim.profiles[key(number)]["ccpaOptOut"] = True
    lines = [f"{key(number)},{str(number >= 5).lower()}" for number in range(40)]
    path = tmp_path / "in.csv"
    path.write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
    assert run(sim, "run", path, "--allow", "inverted").status == 0
    ran = run(sim, "undo", run_id_of(run), "--max-opt-ins", 35)
    assert ran.status == 0, ran.err
    assert sum(state is True for state in sim.states.values()) == 5


def test_rows_an_interrupted_run_never_wrote_are_not_drifted_in_its_undo(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 4)
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        run(sim, "run", write_states(tmp_path / "in.csv", 4), "--max-calls", 4, "--fetch", "lookup")
        begun = book.runs()[-1].run_id
        book.intend(begun, [Intent(key(0), 2, None, before=False, desired=True)])
    ran = run(sim, "undo", begun, "--max-calls", 100, "--report", "u.csv")
    assert ran.status == 0
    (row,) = read_csv(tmp_path / "u.csv")
    assert (row["sync_outcome"], row["sync_reason"]) == ("unchanged", "stopped")


def test_the_rows_left_by_an_undo_are_an_input(
    done: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.profiles[key(0)]["ccpaOptOut"] = False
    del sim.profiles[key(1)]
    assert run(sim, "undo", done, "--report", "u.csv").status == 3
    (todo,) = tmp_path.glob(f"in.{run_id_of(run)}.todo.csv")
    rows = read_csv(todo)
    assert [(row["PKey"], row["ccpaOptOut"]) for row in rows] == [
        (key(0), "false"), (key(1), "false")
    ]  # fmt: skip
    assert run(sim, "run", todo, "--report", "again.csv").status == 3
    assert [row["sync_outcome"] for row in read_csv(tmp_path / "again.csv")] == [
        "unchanged", "not_found"
    ]  # fmt: skip


def test_an_undo_of_an_interrupted_run_without_writes_gives_it_up(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    words = ("--fetch", "lookup", "--max-calls", 9)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 20), *words).status == 6
    ran = run(sim, "undo", run_id_of(run))
    assert ran.status == 0
    assert "changed nothing" in ran.out
    assert "nothing to resume" in run(sim, "resume").out
    assert run(sim, "run", tmp_path / "in.csv").status == 0


@pytest.mark.parametrize("spelled", ["{}", "'{}", '="{}"', "  {} "])
def test_a_history_is_found_by_any_spreadsheet_spelling_of_the_key(
    spelled: str, done: str, run: Run
) -> None:
    (facts,) = orjson.loads(run(None, "history", spelled.format(key(3)), "--json").out)
    assert facts["run"] == done
    assert run(None, "history", " ").status == 2


def test_a_sample_of_nothing_is_refused(done: str, sim: Simulator, run: Run) -> None:
    assert run(sim, "audit", done, "--sample", "0").status == 2


def fail_requests(sim: Simulator, method: str, pkey: str, times: int = 20) -> None:
    """Let requests for one profile fail with a passing error."""
    sim.queue_fault(Fault.TRANSIENT_500, method, times=times, matching=pkey[1:])


@pytest.mark.parametrize("kind", ["apply", "undo"])
def test_a_retry_of_a_plan_reads_anew_and_falls_under_the_limits(
    kind: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30, state=kind == "apply")
    path = write_states(tmp_path / "in.csv", 30, "false" if kind == "apply" else "true")
    words = ("--max-opt-ins", 30, "--retries", 0, "--report", "first.csv")
    if kind == "apply":
        assert run(sim, "plan", path, "--out", "plan.parquet").status == 0
        fail_requests(sim, "PATCH", key(3))
        fail_requests(sim, "PATCH", key(4))
        assert run(sim, "apply", "plan.parquet", *words).status == 3
    else:
        assert run(sim, "run", path, "--report", "run.csv").status == 0
        fail_requests(sim, "PATCH", key(3))
        fail_requests(sim, "PATCH", key(4))
        assert run(sim, "undo", run_id_of(run), *words).status == 3
    failed = run_id_of(run)
    sim.profiles[key(4)]["ccpaOptOut"] = False  # another person was faster
    sim.clear()
    ran = run(sim, "retry", failed, "--max-opt-ins", 0, "--report", "r.csv")
    assert ran.status == 4
    assert "1 opt-in (true to false) of " in ran.err
    assert sim.patched == []
    ran = run(sim, "retry", failed, "--max-opt-ins", 1, "--report", "r.csv")
    assert ran.status == 0
    assert sim.patched == [(key(3), False)]
    rows = [(row["sync_before"], row["sync_outcome"]) for row in read_csv(tmp_path / "r.csv")]
    assert rows == [("true", "updated"), ("false", "unchanged")]
    facts = orjson.loads(run(None, "history", key(3), "--json").out)[-1]
    assert (facts["before"], facts["desired"], facts["kind"]) == ("true", "false", "retry")


def test_a_retry_of_an_undo_leaves_profiles_of_later_runs_alone(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    assert run(sim, "run", write_states(tmp_path / "a.csv", 1), "--report", "1.csv").status == 0
    first = run_id_of(run)
    for name, state in (("b", "false"), ("c", "true")):
        path = write_states(tmp_path / f"{name}.csv", 1, state)
        assert run(sim, "run", path, "--report", f"{name}-report.csv").status == 0
    fail_requests(sim, "GET", key(0), 4)
    assert run(sim, "undo", first, "--retries", 0, "--report", "u.csv").status == 3
    ran = run(sim, "retry", run_id_of(run), "--report", "r.csv")
    assert ran.status == 3
    assert sim.states[key(0)] is True


def test_undone_rows_are_not_retried(done: str, sim: Simulator, run: Run) -> None:
    assert run(sim, "undo", done, "--report", "u.csv").status == 0
    sim.forbidden.clear()
    sim.clear()
    ran = run(sim, "retry", done)
    assert ran.status == 2
    assert "was undone" in ran.err
    assert sim.requests == []


def test_a_profile_that_could_not_be_read_is_not_reported_as_written(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 5)
    run(sim, "run", write_states(tmp_path / "in.csv", 5), "--report", "1.csv")
    for number in range(5):
        sim.profiles[key(number)]["ccpaOptOut"] = False
    fail_requests(sim, "GET", key(2), 1)
    sim.patched.clear()
    ran = run(sim, "undo", run_id_of(run), "--retries", 0, "--report", "u.csv")
    assert ran.status == 3
    assert {row["sync_outcome"] for row in read_csv(tmp_path / "u.csv")} == {"drifted"}
    assert sim.patched == []


def test_no_command_writes_over_the_report_of_another(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "bulk-sync.toml").write_text('report = ["{run_id}.csv"]')
    populate(sim, 2)
    path = write_states(tmp_path / "in.csv", 2)
    assert run(sim, "run", path).status == 0
    before = (tmp_path / f"{run_id_of(run)}.csv").read_bytes()
    assert run(sim, "audit").status == 0
    assert run(None, "validate", path).status == 0
    assert (tmp_path / f"{run_id_of(run)}.csv").read_bytes() == before
    assert not (tmp_path / "{run_id}.csv").exists()
    assert len(list(tmp_path.glob("*T*Z-*.csv"))) == 3


def test_an_undo_that_was_refused_does_not_keep_a_run_from_being_retried(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    sim.forbidden.add(key(0))
    assert run(sim, "run", write_states(tmp_path / "in.csv", 30), "--report", "1.csv").status == 3
    done = run_id_of(run)
    assert run(sim, "undo", done, "--report", "u.csv").status == 4
    sim.forbidden.clear()
    assert run(sim, "retry", done, "--report", "r.csv").status == 0
