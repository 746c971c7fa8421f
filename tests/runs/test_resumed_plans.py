"""Plans under a budget of calls: forecast, stored and resumed, without any write."""

import re
import signal
import subprocess
from pathlib import Path

import orjson
import pandas as pd
import pytest
from conftest import Run, before_answer, key, populate, process, signal_before_answer, write_states

from bulk_sync.runs.kept import plan_file
from bulk_sync.runs.kept.checkpoint import checkpoint_folder
from bulk_sync.simulator import Options, Simulator, running
from bulk_sync.storage import lock

ROWS = 30
LOOKUP = ("--fetch", "lookup", "--concurrency", 4)


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """Return a simulator with thirty profiles, and a file that opts all of them out."""
    populate(sim, ROWS)
    write_states(tmp_path / "in.csv", ROWS)
    return sim


def profiles_read(sim: Simulator) -> list[str]:
    return [each.raw_path for each in sim.requests if "/profile/" in each.raw_path]


@pytest.mark.parametrize("command", ["plan", "resume", "resume --all"])
def test_a_plan_stopped_by_its_budget_is_resumed_and_written_at_its_end(
    command: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    plan = ("plan", "in.csv", "--out", "plan.parquet", *LOOKUP)
    again = plan if command == "plan" else tuple(command.split())
    ran = run(filled, *plan, "--max-calls", 12)
    nights = 1
    while ran.status == 6:
        assert not (tmp_path / "plan.parquet").exists()
        assert "bulk-sync resume" in ran.out
        ran = run(filled, *again, "--max-calls", 12)
        nights += 1
    assert (ran.status, nights) == (0, 3)  # 11 profiles each night, after a call to begin
    assert len(profiles_read(filled)) == len(set(profiles_read(filled))) == ROWS
    assert "PATCH" not in filled.counters.methods
    frame = pd.read_parquet(tmp_path / "plan.parquet")
    assert frame["sync_outcome"].tolist() == ["would_update"] * ROWS
    found = re.search(r"bulk-sync apply \S*plan.parquet --expect-sha256 (\w+)", ran.out)
    assert found is not None, ran.out
    assert run(filled, "apply", "plan.parquet", "--expect-sha256", found[1]).status == 0
    assert len(filled.patched) == ROWS
    assert not list((tmp_path / "state" / "runs").iterdir())
    kinds = [each["kind"] for each in orjson.loads(run(None, "runs", "--json").out)]
    assert kinds == ["plan", "apply"]


def test_the_cost_of_a_plan_is_forecast_before_it_is_spent(filled: Simulator, run: Run) -> None:
    plan = ("plan", "in.csv", "--out", "plan.parquet", *LOOKUP, "--max-calls-per-day", 10)
    ran = run(filled, *plan, "--summary", "json")
    assert ran.status == 6
    assert "Reading the current states costs 30 calls; that takes 4 days at 10 calls" in ran.err
    assert (ran.summary["needed"]["calls"], ran.summary["needed"]["days"]) == (30, 4)
    assert (ran.summary["to_come"]["calls"], ran.summary["to_come"]["days"]) == (21, 3)
    assert "21 calls; that takes 3 more days at 10 calls a day" in ran.summary["message"]
    days = 1
    budget = 10
    while ran.status == 6:
        days, budget = days + 1, budget + 10  # the budget of the next day: ten more
        ran = run(filled, *plan[:-1], budget)
    assert (ran.status, days) == (0, 4)


def test_the_forecast_comes_first(filled: Simulator, tmp_path: Path) -> None:
    words = ["plan", "in.csv", "--out", "plan.parquet", "--max-calls", "12", "--fetch", "lookup"]
    filled.options = Options(rate=0.0)
    with process(filled, tmp_path, *words, "-q") as planning:
        while not filled.counters.methods["GET"]:
            assert planning.poll() is None
        filled.options = Options()  # only the preflight is answered
        assert planning.stderr is not None
        shown = planning.stderr.readline()
        planning.kill()
    assert "30 calls; that takes 3 runs of 12 calls (--max-calls), which is 3 days" in shown


def test_a_scan_is_continued_at_the_place_of_the_plan(tmp_path: Path, run: Run) -> None:
    with running(Options(max_line_count=10)) as sim:
        populate(sim, 60)
        write_states(tmp_path / "in.csv", 60)
        plan = ("plan", "in.csv", "--out", "plan.parquet", "--fetch", "scan", "--page-size", 10)
        assert run(sim, *plan, "--max-calls", 3).status == 6
        assert run(sim, *plan, "--max-calls", 3).status == 6
        assert run(sim, *plan).status == 0
        pages = [each.query for each in sim.requests if "_lineCount=10&" in each.query]
        assert len(pages) == len(set(pages)) > 5


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_a_plan_stopped_by_a_signal_is_resumed(how: str, tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, 400)
        path = str(write_states(tmp_path / "in.csv", 400))
        number = signal.Signals[how]
        words = ("plan", path, "--out", "plan.parquet", "--fetch", "lookup", "--rate", "200")
        if how == "SIGTERM":
            signal_before_answer(sim, "GET", 200, number)
            assert run(sim, *words).status == 143
        else:
            before_answer(sim, "GET", 200, lambda: planning.send_signal(number))
            with process(sim, tmp_path, *words) as planning:
                planning.wait()
            assert planning.returncode == -9
        assert not (tmp_path / "plan.parquet").exists()
        read = len(sim.requests)
        assert run(sim, "resume").status == 0
        assert len(pd.read_parquet(tmp_path / "plan.parquet")) == 400
        assert len(sim.requests) - read < 400  # read states are not read again
        assert not sim.patched


def test_a_dry_run_under_a_budget_is_resumed_and_writes_nothing(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    words = ("run", tmp_path / "in.csv", *LOOKUP)
    assert run(filled, *words, "--dry-run", "--max-calls", 20).status == 6
    ran = run(filled, "resume")
    assert ran.status == 0
    assert ran.outcomes == ["would_update"] * ROWS
    assert f"bulk-sync run {tmp_path / 'in.csv'}" in ran.out
    assert "PATCH" not in filled.counters.methods
    assert len(profiles_read(filled)) == ROWS


@pytest.mark.parametrize("command", [("run", "in.csv", "--dry-run"), ("plan", "in.csv")])
def test_a_preview_is_listed_in_runs_and_keeps_no_rows(
    command: tuple[str, ...], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    assert run(filled, *command).status == 0
    (listed,) = orjson.loads(run(None, "runs", "--json").out)
    assert (listed["kind"], listed["exit"], listed["outcomes"]) == ("plan", 0, {"would_update": 30})
    assert not list((tmp_path / "state" / "runs").iterdir())
    assert "never changed" in run(None, "history", key(3)).out


def test_a_stopped_dry_run_is_resumed(filled: Simulator, run: Run) -> None:
    signal_before_answer(filled, "GET", ROWS // 2)
    ran = run(filled, "run", "in.csv", "--dry-run", *LOOKUP)
    assert ran.status == 143
    assert "`bulk-sync resume` goes on" in " ".join(ran.out.split())
    ran = run(filled, "resume")
    assert (ran.status, ran.outcomes) == (0, ["would_update"] * ROWS)
    assert "PATCH" not in filled.counters.methods


def test_a_plan_is_given_up_by_fresh_or_by_name(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    plan = ("plan", "in.csv", *LOOKUP)
    assert run(filled, *plan, "--max-calls", 20).status == 6
    filled.clear()
    ran = run(filled, *plan, "--fresh", "--max-calls", 20)
    assert ran.status == 6
    assert len(profiles_read(filled)) == 19
    (run_id,) = re.findall(r"bulk-sync resume (\S+)", ran.out)
    assert run(filled, "resume", run_id, "--give-up").status == 0
    assert "nothing to resume" in run(filled, "resume").out
    assert not list((tmp_path / "state").glob("rows/*"))  # as of any other preview


@pytest.mark.parametrize(
    "change",
    [("--blank-state", "skip"), ("--job", "other"), ("--true-values", "x")],
    ids=lambda words: words[0],
)
def test_a_plan_of_other_options_is_another_plan(
    change: tuple[str, str], filled: Simulator, run: Run
) -> None:
    assert run(filled, "plan", "in.csv", *LOOKUP, "--max-calls", 20).status == 6
    filled.clear()
    assert run(filled, "plan", "in.csv", *LOOKUP, *change, "--max-calls", 50).status == 0
    assert len(profiles_read(filled)) == ROWS


def test_no_other_process_resumes_a_plan_at_work(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, ROWS)
        path = str(write_states(tmp_path / "in.csv", ROWS))
        ended: list[int] = []

        def start_another() -> None:
            with process(sim, tmp_path, "resume") as second:
                second.wait()
            ended.append(second.returncode)

        before_answer(sim, "GET", 10, start_another)
        first = run(sim, "plan", path, "--fetch", "lookup", "--out", "p.parquet")
        assert (first.status, ended) == (0, [11])
        assert run(sim, "run", path, "--report", "r.csv").status == 0


def test_a_plan_cannot_be_retried_undone_or_audited(filled: Simulator, run: Run) -> None:
    wrong = Path("in.csv")
    wrong.write_text(wrong.read_text() + "@gone,true\n")
    assert run(filled, "plan", "in.csv", "--out", "plan.parquet").status == 3
    (facts,) = orjson.loads(run(None, "runs", "--json").out)
    assert run(filled, "retry", facts["run_id"]).status == 2
    for command in ("undo", "audit"):
        assert "nothing to" in run(filled, command, facts["run_id"]).out
    assert "has worked on this organization since" not in run(filled, "apply", "plan.parquet").err


def test_a_plan_that_cannot_be_saved_is_saved_when_there_is_room(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "plans"
    folder.mkdir()
    before_answer(filled, "GET", ROWS, folder.rmdir)
    plan = ("plan", "in.csv", "--out", "plans/plan.parquet", *LOOKUP)
    assert run(filled, *plan).status == 2
    folder.mkdir()
    filled.clear()
    assert run(filled, *plan).status == 0
    assert profiles_read(filled) == []
    assert len(pd.read_parquet(folder / "plan.parquet")) == ROWS


def test_a_plan_of_addresses_is_resumed(filled: Simulator, tmp_path: Path, run: Run) -> None:
    lines = [f"p{number}@example.com,true" for number in range(ROWS)]
    (tmp_path / "mails.csv").write_text("\n".join(["email,ccpaOptOut", *lines, ""]))
    plan = ("plan", "mails.csv", "--out", "plan.parquet", *LOOKUP)
    status, nights = 6, 0
    while status == 6:
        status = run(filled, *plan, "--max-calls", 20).status
        nights += 1
    assert (status, nights > 1) == (0, True)
    assert len(pd.read_parquet(tmp_path / "plan.parquet")) == ROWS
    assert key(0) in pd.read_parquet(tmp_path / "plan.parquet").to_csv()


def test_a_plan_is_not_in_the_history_of_a_person(filled: Simulator, run: Run) -> None:
    assert run(filled, "plan", "in.csv", "--out", "plan.parquet").status == 0
    assert run(filled, "apply", "plan.parquet").status == 0
    facts = orjson.loads(run(None, "history", key(3), "--json").out)
    assert {each["kind"] for each in facts} == {"apply"}
    shown = run(None, "history", key(3))
    assert (shown.status, "no longer kept" in shown.out + shown.err) == (0, False)


@pytest.mark.parametrize(
    "lost", ["plan", "report of a plan", "report of a preview", "report of a run"]
)
def test_a_plan_file_that_could_not_be_written_is_written_by_resume(
    lost: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    path = folder / ("p.parquet" if lost == "plan" else "r.csv")
    words: tuple[object, ...] = ("--report", path)
    if "plan" in lost:
        words = ("--out", path) if lost == "plan" else ("--out", "p.parquet", *words)
    before_answer(filled, "GET", ROWS // 2, folder.rmdir)
    command = "run" if lost == "report of a run" else "plan"
    ran = run(filled, command, "in.csv", *words, *LOOKUP)
    assert ran.status == (2 if lost == "plan" else 6)
    assert f"{path} could not be written: No such file or directory. Make room" in ran.err
    facts = "What was changed in Campaign stays so; `bulk-sync resume 20"
    assert (facts in ran.err) is (lost == "report of a run")
    folder.mkdir()
    calls = len(filled.requests)
    assert run(filled, "resume").status == 0
    assert path.exists()
    assert len(filled.requests) - calls <= 2  # nothing is read or written again


@pytest.mark.parametrize(
    "wish",
    [
        ("--out", "other.parquet"),
        ("--approvals", 1),
        ("--max-changes", 40),
        ("--hold-opt-ins",),
        ("--protect", "list.csv"),
    ],
    ids=lambda words: words[0],
)
def test_resume_finishes_a_plan_with_the_options_given_last(
    wish: tuple[object, ...], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "list.csv", 1)
    words = ("plan", "in.csv", "--prepared-by", "Anna", *LOOKUP)
    for further in ((), wish):
        outs = () if "--out" in further else ("--out", "plan.parquet")
        assert run(filled, *words, *outs, *further, "--max-calls", 8).status == 6
    assert run(filled, "resume", "--max-calls", 99).status in {0, 3}
    path = tmp_path / ("other.parquet" if "--out" in wish else "plan.parquet")
    plan = plan_file.read(path)
    settings = plan.begun.settings
    found = {
        "--out": path.exists(),
        "--approvals": settings["approvals"] == 1,
        "--max-changes": settings["max_changes"] == "40",
        "--hold-opt-ins": settings["hold_opt_ins"],
        "--protect": (plan.rows.joined()["sync_reason"] == "protected").sum() == 1,
    }
    assert found[str(wish[0])]


def test_a_plan_is_not_given_up_by_an_undo_or_while_another_process_makes_it(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    plan = ("plan", "in.csv", "--out", "plan.parquet", *LOOKUP)
    ran = run(filled, *plan, "--max-calls", 12, "--summary", "json")
    run_id = ran.summary["run_id"]
    ran = run(filled, "undo", run_id)
    assert (ran.status, "is a plan: it has written nothing" in ran.out) == (0, True)
    folder = checkpoint_folder(tmp_path / "state", run_id)
    with lock.hold(folder, "plan", lock.holder("this test")):
        for words in ((), ("--fresh",)):
            assert run(filled, *plan, *words).status == 11
    assert run(filled, "resume", "--max-calls", 99).status == 0
    assert plan_file.read(tmp_path / "plan.parquet").run_id == run_id


def test_a_plan_that_is_not_finished_cannot_be_applied(filled: Simulator, run: Run) -> None:
    plan = ("plan", "in.csv", "--out", "plan.parquet", *LOOKUP)
    budgets = ("--max-calls", 12, "--max-calls-per-day", 1000)
    ran = run(filled, *plan, *budgets, "--summary", "json")
    assert ran.status == 6
    assert "0 more days" not in ran.summary["message"]
    assert "of 12 calls (--max-calls), which is" in ran.summary["message"]
    applied = run(filled, "apply", "plan.parquet")
    assert applied.status == 2
    assert "there is no such file. `bulk-sync plan INPUT --out plan.parquet` makes" in applied.err


@pytest.mark.parametrize(
    "typed",
    [("run", "--dry-run"), ("run", "--dry-run", "--fresh"), ("plan",)],
    ids=["the same command", "--fresh", "plan"],
)
def test_a_preview_that_waited_for_another_one_begins_anew(
    typed: tuple[str, ...], filled: Simulator, tmp_path: Path, run: Run
) -> None:
    words = (*typed, "in.csv", "--max-calls", "100", *map(str, LOOKUP))
    held = list[subprocess.Popen[str]]()

    def start_another() -> None:
        held.append(process(filled, tmp_path, *words, "--lock-wait", "1h"))
        assert held[0].stderr is not None
        while "Waiting up to" not in (line := held[0].stderr.readline()):
            assert line, "the other process has ended"

    before_answer(filled, "GET", 10, start_another)
    first = run(filled, *words)
    (other,) = held
    with other:
        shown = other.communicate()[1]
    assert (first.status, other.returncode) == (0, 0), first.err + shown
    assert len(profiles_read(filled)) == 2 * ROWS
    runs = orjson.loads(run(None, "runs", "--json").out)
    assert [each["exit"] for each in runs] == [0, 0]
    assert not list((tmp_path / "state" / "runs").glob("*/*.parquet"))
