"""Events in the JSON log, and the run that a summary for scripts is about."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Ran, Run, before_answer, key, populate, write_states

from bulk_sync.simulator import Simulator

JSON = ("--log-format", "json", "--summary", "json")


def events(ran: Ran) -> list[dict[str, Any]]:
    return [line for line in map(orjson.loads, ran.err.splitlines()) if "event" in line]


def names(ran: Ran) -> list[str]:
    return [str(event["event"]) for event in events(ran)]


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 5)
    return sim


def test_a_run_logs_its_beginning_its_plan_and_its_end(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    ran = run(filled, "run", write_states(tmp_path / "in-20261128.csv", 5), *JSON)
    assert names(ran) == ["run_began", "plan", "run_ended"]
    began, plan, ended = events(ran)
    (run_id,) = {event["run_id"] for event in events(ran)}
    assert {event["job"] for event in events(ran)} == {"in-"}
    assert {event["input"] for event in events(ran)} == {str(tmp_path / "in-20261128.csv")}
    assert (began["kind"], began["rows"]) == ("run", 5)
    assert (plan["opt_outs"], plan["calls_to_come"]) == (5, 5)
    assert ran.summary.items() <= ended.items()
    assert ran.summary["run_id"] == run_id
    assert (ended["job"], ended["kind"]) == (ran.summary["job"], ran.summary["kind"])
    assert ran.summary["time"].endswith("Z")


def test_progress_without_a_terminal_is_an_event(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_PROGRESS_EVERY", "0")
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 5), *JSON, "--fetch", "lookup")
    progress = [event for event in events(ran) if event["event"] == "progress"]
    assert progress[-1]["pass"] == "write"
    assert {event["run_id"] for event in progress} == {ran.summary["run_id"]}


def test_a_limit_is_an_event_with_the_option_that_lets_it_pass(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    path = write_states(tmp_path / "in.csv", 5)
    ran = run(filled, "run", path, *JSON, "--max-changes", 2)
    assert ran.status == 4
    assert names(ran) == ["run_began", "plan", "limit", "run_ended"]
    assert events(ran)[2]["option"].startswith("--max-changes ")
    ran = run(filled, "plan", path, *JSON, "--max-changes", 2)
    assert names(ran) == ["run_began", "plan", "limit", "run_ended"]
    assert (ran.summary["kind"], ran.summary["exit"]) == ("plan", 0)


def test_a_text_log_has_no_events(filled: Simulator, tmp_path: Path, run: Run) -> None:
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 5), "-v")
    assert "begins" not in ran.err
    assert '"event"' not in ran.err


@pytest.mark.parametrize(
    ("words", "status", "kind", "job"),
    [
        (("run", "missing.csv"), 2, "run", "missing"),
        (("run", "missing.csv", "-n"), 2, "plan", "missing"),
        (("run", "--bogus", "in7.csv", "--job", "requests"), 2, "run", "requests"),
        (("run", "in7.csv", "--max-opt-ins", "many"), 2, "run", "in"),
        (("run",), 2, "run", None),
        (("apply", "missing.parquet"), 2, "apply", None),
        (("resume", "20200101T000000Z-000000"), 2, "resume", None),
        (("run", "x" * 5000), 2, "run", "x" * 180),
    ],
)
def test_a_command_that_could_not_begin_logs_its_end_too(
    words: Sequence[str], status: int, kind: str, job: str | None, sim: Simulator, run: Run
) -> None:
    ran = run(sim, *words, *JSON)
    assert ran.status == status
    (ended,) = events(ran)
    assert ended["event"] == "run_ended"
    assert ran.summary.items() <= ended.items()
    assert (ended["kind"], ended["job"], ended["exit"]) == (kind, job, status)
    assert (ended["run_id"] is None) == (kind == "resume")


def test_access_denied_during_a_run_is_logged_once(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    before_answer(filled, "GET", 1, filled.revoke_tokens)
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 5), *JSON, "--retries", 0)
    assert ran.status == 5
    assert names(ran).count("run_ended") == 1
    assert ran.summary["run_id"] == events(ran)[-1]["run_id"]


def test_every_resumed_run_logs_its_own_end(filled: Simulator, tmp_path: Path, run: Run) -> None:
    for job in ("one", "two"):
        path = write_states(tmp_path / f"{job}.csv", 5, "true" if job == "one" else "false")
        run(filled, "run", path, "--max-calls", 3, "--fetch", "lookup")
    ran = run(filled, "resume", "--all", *JSON)
    ended = [event for event in events(ran) if event["event"] == "run_ended"]
    assert [(event["job"], event["kind"]) for event in ended] == [("one", "run"), ("two", "run")]


def test_follow_ups_name_their_kind(filled: Simulator, tmp_path: Path, run: Run) -> None:
    first = run(filled, "run", write_states(tmp_path / "in.csv", 5), *JSON).summary
    for command in ("audit", "undo"):
        facts = run(filled, command, first["run_id"], *JSON).summary
        assert (facts["kind"], facts["job"]) == (command, "in")
        assert (facts["run_id"] == first["run_id"]) == (command == "audit")
    assert filled.profiles[key(0)]["ccpaOptOut"] is False


def test_commands_that_are_no_runs_have_the_same_facts(tmp_path: Path, run: Run) -> None:
    checked = run(
        None, "validate", write_states(tmp_path / "in.csv", 2), "--summary", "json"
    ).summary
    assert (checked["kind"], checked["run_id"], checked["job"]) == ("validate", None, "in")
