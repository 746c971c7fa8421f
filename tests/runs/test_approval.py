"""The preparer of a plan, its approvers, its age, and their records in the ledger."""

import os
import shlex
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest
from conftest import Ran, Run, before_answer, key, populate, write_states

from bulk_sync.runs.kept import plan_file
from bulk_sync.simulator import Options, Simulator, running
from bulk_sync.storage import sealed

ROWS = 6
DAY_S = 86_400
ASKED = ("--ticket", "PRIV-231", "--comment", "November requests", "--prepared-by", "Anna Schmidt")


@pytest.fixture
def plan(sim: Simulator, tmp_path: Path, run: Run) -> Path:
    """Return the plan of a file that opts six people out."""
    populate(sim, ROWS)
    write_states(tmp_path / "in.csv", ROWS)
    ran = run(sim, "plan", "in.csv", "--out", "plan.parquet", *ASKED)
    assert ran.status == 0, ran.err
    return tmp_path / "plan.parquet"


def newest_of(run: Run, kind: str) -> dict[str, Any]:
    """Return the newest run of a kind from the output for scripts."""
    runs = orjson.loads(run(None, "runs", "--json").out)
    found = [each for each in runs if each["kind"] == kind][-1]
    assert isinstance(found, dict)
    return found


def command_in(text: str, name: str) -> list[str]:
    (line,) = (line for line in text.splitlines() if f"bulk-sync {name} " in line)
    return shlex.split(line)[1:]


def refusal_text(ran: Ran, sim: Simulator) -> str:
    assert ran.status == 4, ran.err
    assert sim.patched == []
    return " ".join(ran.err.split())


@pytest.mark.parametrize("command", ["run", "plan"])
def test_the_preparer_and_the_ticket_are_recorded(
    command: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    out = ("--out", "plan.parquet") if command == "plan" else ()
    assert run(sim, command, write_states(tmp_path / "in.csv", ROWS), *out, *ASKED).status == 0
    facts = newest_of(run, command)
    for holder in (facts, facts["settings"]):
        assert holder["ticket"] == "PRIV-231"
        assert holder["comment"] == "November requests"
        assert holder["prepared_by"] == "Anna Schmidt"
        assert holder["approved_by"] == []
    full = run(None, "runs", facts["run_id"]).out
    assert "prepared by: Anna Schmidt\n" in full
    assert full.count("PRIV-231") == 1
    assert run(None, "ledger", "verify").status == 0


def test_the_preparer_is_the_user_of_the_system_unless_another_name_is_given(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(sim, ROWS)
    monkeypatch.setenv("LOGNAME", "anna")
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1), "--report", "1.csv").status == 0
    assert newest_of(run, "run")["prepared_by"] == "anna"
    monkeypatch.setenv("BULK_SYNC_PREPARED_BY", "Ben")
    assert run(sim, "run", write_states(tmp_path / "in.csv", 2), "--report", "2.csv").status == 0
    assert newest_of(run, "run")["prepared_by"] == "Ben"


def test_a_plan_is_listed_in_runs_with_preparer_time_sha256_and_counts(
    plan: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = newest_of(run, "plan")
    assert facts["plan_sha256"] == plan_file.read(plan).sha256
    assert (facts["opt_ins"], facts["opt_outs"]) == (0, ROWS)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        listed = run(None, "runs").out
    finally:
        monkeypatch.delenv("TZ")
        time.tzset()
    assert "Anna Schmidt" in listed
    assert "PRIV-231" in listed
    assert facts["plan_sha256"] in listed
    assert " CET," in listed or " CEST," in listed


def test_a_list_of_runs_fits_a_hundred_columns_with_any_names(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    path = write_states(tmp_path / f"{'long-' * 30}name.csv", ROWS)
    long = ("--ticket", f"{'T' * 90}\n\x1b[31m", "--prepared-by", "n" * 70)
    assert run(sim, "run", path, *long, "--max-calls", 8, "--fetch", "lookup").status == 6
    listed = run(None, "runs").out
    assert max(map(len, listed.splitlines())) <= 100
    assert "name.csv" in listed
    assert "…" in listed
    assert "\x1b" not in listed


def test_an_apply_keeps_the_preparer_and_the_ticket_of_the_plan(
    plan: Path, sim: Simulator, run: Run
) -> None:
    words = ("--approved-by", "Ben", "--approved-by", " ben", "--approved-by", "Cleo")
    ran = run(sim, "apply", plan, *words, "--ticket", "PRIV-240", "--comment", "November requests")
    assert ran.status == 0
    assert "prepared by Anna Schmidt" in ran.err
    facts = newest_of(run, "apply")
    assert facts["prepared_by"] == "Anna Schmidt"
    assert facts["approved_by"] == ["Ben", "Cleo"]
    assert facts["ticket"] == "PRIV-231; PRIV-240"
    assert facts["comment"] == "November requests"
    assert facts["settings"]["approved_by"] == ["Ben", "Cleo"]
    full = run(None, "runs", facts["run_id"]).out
    assert "approved by: Ben, Cleo\n" in full


def test_the_approval_is_in_the_report(plan: Path, sim: Simulator, run: Run) -> None:
    assert run(sim, "apply", plan, "--approved-by", "Ben Miller", "--report", "r.html").status == 0
    text = plan.with_name("r.html").read_text("utf-8")
    sha256 = plan_file.read(plan).sha256
    for fact in ("Anna Schmidt", "Ben Miller", "PRIV-231", "November requests", sha256):
        assert fact in text


def test_a_plan_needs_as_many_approvals_as_the_configuration_says(
    plan: Path, sim: Simulator, run: Run
) -> None:
    plan.with_name("bulk-sync.toml").write_text("approvals = 2\n")
    output = refusal_text(run(sim, "apply", plan), sim)
    assert "prepared by Anna Schmidt" in output
    assert "--approved-by" in output
    assert "2 other people (--approvals 2)" in output
    assert refusal_text(run(sim, "apply", plan, "--approved-by", "Ben"), sim).count("Ben") == 1
    same = ("--approved-by", "Ben", "--approved-by", "  BEN ")
    assert "only that of Ben." in refusal_text(run(sim, "apply", plan, *same), sim)
    assert run(sim, "resume").status == 0  # nothing is left: it never began
    assert sim.patched == []
    assert run(sim, "apply", plan, "--approved-by", "Ben", "--approved-by", "Cleo").status == 0
    assert len(sim.patched) == ROWS


@pytest.mark.parametrize(
    "name",
    ["Anna Schmidt", " anna  schmidt ", "ANNA SCHMIDT", "\uff21\uff4e\uff4e\uff41\u00a0Schmidt"],
    ids=["the same", "small letters and blanks", "capitals", "wide letters and a hard blank"],
)
def test_nobody_approves_their_own_plan(name: str, plan: Path, sim: Simulator, run: Run) -> None:
    ran = run(sim, "apply", plan, "--approvals", 1, "--approved-by", name)
    assert "own approval does not count" in refusal_text(ran, sim)


@pytest.mark.parametrize("name", ["", "  ", "NAME", "Ben\u200b", "\x1b[31mBen"])
def test_a_name_must_be_usable(name: str, plan: Path, sim: Simulator, run: Run) -> None:
    ran = run(sim, "apply", plan, "--approvals", 1, "--approved-by", name)
    assert ran.status == 2
    assert "--approved-by" in ran.err
    assert sim.patched == []


@pytest.mark.parametrize("typed", [(), ("--approvals", 0), ("--approvals", 1)])
@pytest.mark.parametrize(
    ("place", "says"),
    [
        ("variable", "--approved-by comes from the variable BULK_SYNC_APPROVED_BY."),
        ("file", "--approved-by comes from bulk-sync.toml: approved-by."),
        ("table of the job", "--approved-by comes from bulk-sync.toml, [job.in]: approved-by."),
    ],
)
def test_an_approval_needs_a_name(
    place: str,
    says: str,
    typed: tuple[object, ...],
    plan: Path,
    sim: Simulator,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if place == "variable":
        monkeypatch.setenv("BULK_SYNC_APPROVED_BY", "Ben Miller")
    else:
        table = "" if place == "file" else "[job.in]\n"
        plan.with_name("bulk-sync.toml").write_text(f'{table}approved-by = ["Ben Miller"]\n')
    ran = run(sim, "apply", plan, *typed)
    assert ran.status == 2
    assert says in ran.err
    assert sim.patched == []
    named = ("--approved-by", "Ben Miller")  # a typed name replaces the other
    assert run(sim, "apply", plan, "--approvals", 1, *named).status == 0


def test_a_plan_keeps_its_number_of_approvals(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, ROWS)
    path = write_states(tmp_path / "in.csv", ROWS)
    ran = run(sim, "plan", path, "--out", "plan.parquet", "--approvals", 1, "--prepared-by", "Anna")
    assert "another person types this" in ran.out
    words = command_in(ran.out, "apply")
    assert words[-4:] == ["--approvals", "1", "--approved-by", "NAME"]
    assert run(sim, *words).status == 2  # not unchanged: with a name
    refusal_text(run(sim, "apply", "plan.parquet"), sim)
    assert run(sim, *words[:-1], "Ben").status == 0


def test_a_plan_that_needs_approval_is_saved_next_and_not_run(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    tmp_path.joinpath("bulk-sync.toml").write_text("approvals = 1\n")
    write_states(tmp_path / "in.csv", ROWS)
    ran = run(sim, "plan", "in.csv", "--prepared-by", "Anna", "--max-changes", 2)
    assert "bulk-sync run" not in ran.out
    words = command_in(ran.out, "plan")
    assert words == [
        "plan", "in.csv", "--prepared-by", "Anna", "--max-changes", "6", "--out", "in.plan.parquet"
    ]  # fmt: skip
    ran = run(sim, *words)
    assert "another person types this" in ran.out
    assert run(sim, *command_in(ran.out, "apply")[:-1], "Ben").status == 0
    budget = ("--max-calls", 4, "--fetch", "lookup", "--fresh")
    assert run(sim, "plan", "in.csv", "--approvals", 1, *budget).status == 6
    tmp_path.joinpath("bulk-sync.toml").write_text("")
    words = command_in(run(sim, "resume").out, "plan")
    assert words == ["plan", "in.csv", "--approvals", "1", "--out", "in.plan.parquet"]


def test_an_approved_run_is_resumed_without_another_approval(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, 40)
        write_states(tmp_path / "in.csv", 40)
        run(sim, "plan", "in.csv", "--out", "plan.parquet", *ASKED)
        before_answer(sim, "PATCH", 5, lambda: os.kill(os.getpid(), signal.SIGINT))
        words = ("--approvals", 1, "--approved-by", "Ben", "--concurrency", 2)
        assert run(sim, "apply", "plan.parquet", *words).status == 130
        ran = run(sim, "apply", "plan.parquet", "--approvals", 3, "--approved-by", "ben",
                  "--approved-by", "Cleo", "--plan-valid", "0s", "--max-calls", 12)  # fmt: skip
        assert ran.status == 6
        assert "The approval of Cleo comes too late" in ran.err
        assert run(sim, "resume").status == 0
        assert len(sim.patched) == 40
        assert newest_of(run, "apply")["approved_by"] == ["Ben"]


def reseal(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Save a plan with other facts, sealed as by the program."""
    table = pq.read_table(path)
    facts = orjson.dumps(change(orjson.loads(table.schema.metadata[b"bulk-sync.plan.2"])))
    with path.open("w+b") as file:
        sealed.write(file, table.schema, [table], {b"bulk-sync.plan.2": facts})


def backdate(path: Path, ago_s: float) -> str:
    """Save a plan as if it had been made some seconds ago, and return the local day of that."""
    then = (datetime.now(UTC) - timedelta(seconds=ago_s)).replace(microsecond=0)
    reseal(path, lambda facts: facts | {"made_at": then.isoformat()})
    return day_of(then)


def day_of(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d}"


def test_an_old_plan_is_refused_with_the_command_that_makes_a_new_one(
    plan: Path, sim: Simulator, run: Run
) -> None:
    day = backdate(plan, 7.5 * DAY_S)
    ran = run(sim, "apply", plan)
    output = refusal_text(ran, sim)
    assert f"was made on {day} " in output
    assert "--plan-valid 7d" in output
    assert "--plan-valid 8d" in output
    words = command_in(ran.err, "plan")
    assert words[:4] == ["plan", "in.csv", "--out", str(plan)]
    assert words[4:] == ["--ticket", "PRIV-231", "--comment", "November requests"]
    assert run(sim, *words).status == 0
    assert run(sim, "apply", plan).status == 0
    assert len(sim.patched) == ROWS


def test_the_new_plan_is_made_with_the_options_of_the_old_one(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    (tmp_path / "in put.csv").write_text("Mail\np0@example.com\np1@example.com\n")
    words = ("--key", "email", "--key-column", "Mail", "--state", "true", "--max-changes", 5)
    assert run(sim, "plan", "in put.csv", "--out", "plan.parquet", *words).status == 0
    again = command_in(run(sim, "apply", "plan.parquet", "--plan-valid", "0s").err, "plan")
    assert run(sim, *again).status == 0
    assert run(sim, "apply", "plan.parquet").status == 0
    assert [state for _, state in sim.patched] == [True, True]


def test_a_refused_plan_shows_for_how_long_it_was_valid(
    plan: Path, sim: Simulator, run: Run
) -> None:
    backdate(plan, 2 * DAY_S)
    for valid, shown in (("36h", "36h"), ("7200", "2h"), ("90m", "90m"), ("100s", "100s")):
        output = refusal_text(run(sim, "apply", plan, "--plan-valid", valid), sim)
        assert f"is older than --plan-valid {shown}." in output


@pytest.mark.parametrize(("days", "valid", "status"), [(6.9, "7d", 0), (20, "30d", 0), (2, 1, 4)])
def test_a_plan_is_valid_for_the_given_time(
    days: float, valid: object, status: int, plan: Path, sim: Simulator, run: Run
) -> None:
    day = backdate(plan, days * DAY_S)
    ran = run(sim, "apply", plan, "--plan-valid", valid)
    assert ran.status == status
    assert (f"prepared by Anna Schmidt on {day} " in ran.err) is (status == 0)


def test_a_plan_from_the_future_is_refused_unless_the_clocks_nearly_agree(
    plan: Path, sim: Simulator, run: Run
) -> None:
    day, today = backdate(plan, -DAY_S), {day_of(datetime.now(UTC))}
    output = refusal_text(run(sim, "apply", plan), sim)
    assert f"was made on {day} " in output
    today.add(day_of(datetime.now(UTC)))
    assert any(f"by the clock of this machine it is {each} " in output for each in today)
    backdate(plan, -60)
    assert run(sim, "apply", plan).status == 0


@pytest.mark.parametrize(
    ("words", "of_undo"),
    [
        (("--approvals", 1), False),
        (("--approvals", 1), True),
        (("--plan-valid", "0s"), False),
        (("--expect-sha256", "0" * 64), False),
    ],
    ids=["no approval", "no approval of an undo", "too old", "another file"],
)
def test_a_refused_apply_is_listed_in_runs_and_cannot_be_resumed(
    words: tuple[object, ...], plan: Path, sim: Simulator, run: Run, *, of_undo: bool
) -> None:
    if of_undo:
        assert run(sim, "apply", plan).status == 0
        undone = newest_of(run, "apply")["run_id"]
        words = (*words, "--max-opt-ins", ROWS)
        assert run(sim, "undo", undone, "--out", plan, "--prepared-by", "Anna").status == 0
        sim.patched.clear()
    ran = run(sim, "apply", plan, *words, "--summary", "json")
    output = refusal_text(ran, sim)
    facts = newest_of(run, "undo" if of_undo else "apply")
    assert facts["run_id"] == ran.summary["run_id"]
    assert (facts["exit"], facts["finished"], facts["outcomes"]) == (4, True, {"pending": ROWS})
    assert " ".join(facts["message"].split()).rstrip(".") in output
    assert facts["plan_sha256"] == plan_file.read(plan).sha256
    for command in ("resume", "retry", "undo"):
        run(sim, command, facts["run_id"], "--report", "none.csv")
        assert sim.patched == []
    assert "nothing to resume" in run(sim, "resume", "--all").out + run(sim, "resume").out
    story = run(None, "history", key(0))
    assert "pending" in story.out
    assert "no longer kept" not in story.out + story.err
    assert run(None, "report", facts["run_id"], "--report", "again.csv").status == 0
    assert run(None, "ledger", "verify").status == 0
    named = ("--approvals", 1, "--approved-by", "Ben", "--max-opt-ins", ROWS, "--report", "a.csv")
    assert run(sim, "apply", plan, *named).status == 0
    assert len(sim.patched) == ROWS


def test_a_retry_has_the_ticket_of_its_run_and_a_preparer_of_its_own(
    plan: Path, sim: Simulator, run: Run
) -> None:
    sim.forbidden.add(key(0))
    assert run(sim, "apply", plan, "--approved-by", "Ben").status == 3
    sim.forbidden.clear()
    applied = newest_of(run, "apply")["run_id"]
    assert run(sim, "retry", applied, "--prepared-by", "Cleo", "--report", "r.csv").status == 0
    facts = newest_of(run, "retry")
    assert (facts["ticket"], facts["prepared_by"]) == ("PRIV-231", "Cleo")
    assert facts["approved_by"] == []  # that of the run it retries
    assert f"retry of run {applied}" in run(None, "runs").out


def test_an_input_saved_under_another_name_keeps_its_original_name(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    write_states(tmp_path / "upload.csv", ROWS)
    sim.forbidden.add(key(0))
    named = ("--input-name", "Requests of November.xlsx")
    assert run(sim, "plan", "upload.csv", "--out", "plan.parquet", *named).status == 0
    assert run(sim, "apply", "plan.parquet", "--report", "r.html").status == 3
    sim.forbidden.clear()
    applied = newest_of(run, "apply")["run_id"]
    assert run(sim, "retry", applied, "--report", "again.html").status == 0
    for report in ("r.html", "again.html"):
        text = (tmp_path / report).read_text()
        assert "Requests of November.xlsx" in text
        assert "upload.csv" not in text
    assert "upload.csv" not in run(None, "runs").out


def test_an_undo_has_a_ticket_of_its_own(plan: Path, sim: Simulator, run: Run) -> None:
    assert run(sim, "apply", plan).status == 0
    assert run(sim, "undo", newest_of(run, "apply")["run_id"], "--report", "u.csv").status == 0
    facts = newest_of(run, "undo")
    assert (facts["ticket"], facts["comment"]) == ("", "")
    assert facts["prepared_by"] != "Anna Schmidt"


def test_an_interrupted_plan_is_continued_for_the_same_request_alone(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    words = ("plan", write_states(tmp_path / "in.csv", ROWS), "--out", "plan.parquet")
    budget = ("--max-calls", 4, "--fetch", "lookup")
    assert run(sim, *words, *ASKED, *budget).status == 6
    assert run(sim, *words, "--prepared-by", "Ben", *budget[2:]).status == 0
    assert newest_of(run, "plan")["prepared_by"] == "Ben"
    assert run(sim, *words, *ASKED).status == 0
    first, _ = orjson.loads(run(None, "runs", "--json").out)
    assert (first["prepared_by"], first["finished"]) == ("Anna Schmidt", True)
    assert plan_file.read(tmp_path / "plan.parquet").run_id == first["run_id"]


def test_runs_names_a_missing_approval_and_ignores_that_of_the_preparer(
    sim: Simulator, plan: Path, run: Run
) -> None:
    words = ("apply", plan, "--approvals", 1, "--approved-by", "Anna Schmidt")
    refusal_text(run(sim, *words), sim)
    listed = run(None, "runs").out
    assert "refused: not approved" in listed
    assert "approved by" not in listed
    assert "refused by a limit" not in listed
    full = run(None, "runs", newest_of(run, "apply")["run_id"]).out
    assert "exit in words: refused: not approved" in full


def test_a_validity_of_zero_is_shown_as_typed(plan: Path, sim: Simulator, run: Run) -> None:
    assert "older than --plan-valid 0s." in refusal_text(
        run(sim, "apply", plan, "--plan-valid", "0s"), sim
    )
