"""Follow-up commands replace neither their input nor another file, and block no other run.

Each input here looks like a file of this program, as a todo file does: its content alone would
allow its replacement.
"""

import os
import shutil
from pathlib import Path

import orjson
import pytest
from conftest import Ran, Run, before_answer, key, populate, process, write_states

from bulk_sync.rows import read
from bulk_sync.runs.kept import plan_file
from bulk_sync.runs.kept.checkpoint import checkpoint_folder
from bulk_sync.simulator import Simulator
from bulk_sync.storage import lock

ROWS = 12
LOOKUP = ("--fetch", "lookup", "--concurrency", 4)
ENOUGH = ("--max-calls", 99)


def newest_run_id(run: Run) -> str:
    return str(orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"])


def message_of(ran: Ran) -> str:
    return " ".join(ran.err.split())


@pytest.fixture
def todo(sim: Simulator, tmp_path: Path) -> Path:
    """Return an input with the columns of a todo file."""
    populate(sim, ROWS)
    path = write_states(tmp_path / "in.csv", ROWS)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([f"{lines[0]},sync_reason", *(f"{line},x" for line in lines[1:])]))
    return path


def interrupted(run: Run, sim: Simulator) -> str:
    assert run(sim, "run", "in.csv", "--report", "1.csv", *LOOKUP, "--max-calls", 5).status == 6
    return newest_run_id(run)


def partly_failed(run: Run, sim: Simulator) -> str:
    sim.forbidden.add(key(0))
    assert run(sim, "run", "in.csv", "--report", "1.csv").status == 3
    sim.forbidden.clear()
    return newest_run_id(run)


@pytest.mark.parametrize("command", ["resume", "retry", "undo", "audit", "report"])
@pytest.mark.parametrize(
    ("report", "says"),
    [("in.csv", "would replace the input"), ("x.doc", "has no suffix that names a format")],
)
def test_a_report_that_cannot_be_written_is_refused_before_any_call(
    command: str, report: str, says: str, todo: Path, sim: Simulator, run: Run
) -> None:
    run_id = (interrupted if command == "resume" else partly_failed)(run, sim)
    content, calls = todo.read_bytes(), len(sim.requests)
    ran = run(sim, command, run_id, "--report", report)
    assert (ran.status, says in message_of(ran)) == (2, True), ran.err
    assert todo.read_bytes() == content
    assert len(sim.requests) == calls


@pytest.mark.parametrize("report", ["in.csv", "plan.parquet"])
def test_an_apply_replaces_neither_the_input_of_its_plan_nor_the_plan(
    report: str, todo: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    assert run(sim, "plan", "in.csv", "--out", "plan.parquet", "--report", "1.csv").status == 0
    kept = {path: path.read_bytes() for path in (todo, tmp_path / "plan.parquet")}
    assert "would replace the input" in message_of(
        run(sim, "apply", "plan.parquet", "--report", report)
    )
    assert run(sim, "apply", "plan.parquet", "--max-calls", 5, "--report", "2.csv").status == 6
    ran = run(sim, "resume", *ENOUGH, "--report", report)
    assert (ran.status, "would replace the input" in message_of(ran)) == (2, True)
    assert {path: path.read_bytes() for path in kept} == kept


def test_a_report_in_the_folder_that_was_read_is_written_again_by_resume(
    todo: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "inbox").mkdir()
    todo.rename(tmp_path / "inbox" / todo.name)
    words = ("--report", "inbox/out.csv", *LOOKUP)
    assert run(sim, "run", "inbox", *words, "--max-calls", 5).status == 6
    assert run(sim, "resume", *ENOUGH).status == 0
    assert (tmp_path / "inbox" / "out.csv").read_text().count(",updated,") == ROWS


@pytest.mark.parametrize("name", ["out.csv", "out.parquet", "out.xlsx"])
@pytest.mark.parametrize("is_alone", [False, True], ids=["beside data", "alone"])
def test_a_report_in_the_folder_of_the_input_is_not_read_by_the_next_run(
    name: str, is_alone: bool, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    (tmp_path / "inbox").mkdir()
    path = write_states(tmp_path / "inbox/in.csv", 3)
    assert run(sim, "run", "inbox", "--report", f"inbox/{name}").status == 0
    if is_alone:
        path.unlink()
    sim.clear()
    for source in ("inbox", f"inbox/*.{name.partition('.')[2]}", "inbox/*"):
        ran = run(sim, "run", source, "--report", "next.csv")
        assert ran.status == 2
        assert "is a report of an earlier run" in message_of(ran)
        assert "let --report name that folder" in message_of(ran)
    assert sim.requests == []
    assert run(sim, "run", f"inbox/{name}", "--report", "again.csv").status == 0


@pytest.mark.usefixtures("todo")
def test_a_resumed_plan_does_not_replace_one_that_was_made_since(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    words = ("--out", "plan.parquet", *LOOKUP)
    assert run(sim, "plan", "in.csv", *words, "--max-calls", 5).status == 6
    older = newest_run_id(run)
    write_states(tmp_path / "newer.csv", 3)
    assert run(sim, "plan", "newer.csv", *words).status == 0
    later = newest_run_id(run)
    ran = run(sim, "resume", older, *ENOUGH)
    assert ran.status == 2
    assert f"is the plan of run {later}, made since this run began, and is not" in message_of(ran)
    assert f"bulk-sync resume {older} --give-up" in message_of(ran)
    assert run(sim, "resume", "--all", *ENOUGH).status == 3
    assert plan_file.read(tmp_path / "plan.parquet").run_id == later
    (tmp_path / "plan.parquet").rename(tmp_path / "away.parquet")
    assert run(sim, "resume", older, *ENOUGH).status == 0
    assert plan_file.read(tmp_path / "plan.parquet").run_id == older


@pytest.mark.usefixtures("todo")
def test_a_resumed_plan_replaces_no_file_that_is_no_plan(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    assert run(sim, "plan", "in.csv", "--out", "p.parquet", *LOOKUP, "--max-calls", 5).status == 6
    (tmp_path / "p.parquet").write_bytes(b"mine")
    ran = run(sim, "resume", *ENOUGH)
    assert (ran.status, "would replace a file that is no plan" in message_of(ran)) == (2, True)
    assert (tmp_path / "p.parquet").read_bytes() == b"mine"


@pytest.mark.usefixtures("todo")
def test_a_plan_replaces_nothing_that_is_no_file(sim: Simulator, tmp_path: Path, run: Run) -> None:
    (tmp_path / "p.parquet").symlink_to(os.devnull)
    ran = run(sim, "plan", "in.csv", "--out", "p.parquet", *LOOKUP, *ENOUGH)
    assert (ran.status, "--out p.parquet cannot be written: what has" in ran.err) == (2, True)
    assert (tmp_path / "p.parquet").is_symlink()
    assert sim.requests == []


@pytest.mark.usefixtures("todo")
def test_runs_are_resumed_while_a_plan_is_at_work(sim: Simulator, tmp_path: Path, run: Run) -> None:
    words = ("plan", "in.csv", "--out", "plan.parquet", *LOOKUP, "--max-calls", 5)
    assert run(sim, *words).status == 6
    plan = newest_run_id(run)
    interrupted(run, sim)
    folder = checkpoint_folder(tmp_path / "state", plan)
    with lock.hold(folder, "plan", lock.holder("this test")):
        assert run(sim, "resume", "--all", *ENOUGH).status == 0
        assert set(sim.states.values()) == {True}
        assert run(sim, "resume", plan).status == 11
    assert run(sim, "resume", "--all", *ENOUGH).status == 0
    assert plan_file.read(tmp_path / "plan.parquet").run_id == plan


@pytest.mark.usefixtures("todo")
def test_runs_are_resumed_though_another_process_gives_a_plan_up_meanwhile(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    write_states(tmp_path / "first.csv", 8)
    budget = (*LOOKUP, "--max-calls", 5)
    assert run(sim, "run", "first.csv", "--report", "2.csv", *budget).status == 6
    assert run(sim, "plan", "in.csv", "--out", "plan.parquet", *budget).status == 6
    plan = newest_run_id(run)
    interrupted(run, sim)

    def give_plan_up() -> None:  # that plan takes no call
        with process(sim, tmp_path, "resume", plan, "--give-up") as other:
            other.wait()
        assert other.returncode == 0

    before_answer(sim, "PATCH", 1, give_plan_up)
    assert run(sim, "resume", "--all", *ENOUGH).status == 0
    assert set(sim.states.values()) == {True}


@pytest.mark.usefixtures("todo")
@pytest.mark.parametrize("missing", ["folder of the report", "list of protected people"])
def test_an_error_of_one_run_does_not_stop_the_resume_of_others(
    missing: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    place = tmp_path / "place"
    place.mkdir()
    words: tuple[object, ...] = ("--report", "place/1.csv")
    if missing != "folder of the report":
        (place / "list.csv").write_text(f"PKey\n{key(ROWS - 1)}\n")
        words = ("--report", "1.csv", "--protect", "place/list.csv")
    write_states(tmp_path / "other.csv", 8)
    for name, options in {"other.csv": words, "in.csv": ("--report", "2.csv")}.items():
        assert run(sim, "run", name, *options, *LOOKUP, "--max-calls", 5).status == 6
    first = orjson.loads(run(None, "runs", "--json").out)[0]["run_id"]
    shutil.rmtree(place)
    ran = run(sim, "resume", "--all", *ENOUGH)
    assert ran.status == 3
    assert f"Run {first} does not go on. " in message_of(ran)
    assert set(sim.states.values()) == {True}
    assert run(sim, "resume", first, *ENOUGH).status == 2


def test_a_run_of_another_attribute_leaves_held_opt_ins_to_a_person(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS, state=True)
    for profile in sim.profiles.values():
        profile["blackList"] = True
    write_states(tmp_path / "in.csv", ROWS, "false")
    words = ("run", "in.csv", "--hold-opt-ins", "--max-opt-ins", 1, "--report")
    assert run(sim, *words, "1.csv").status == 3
    held = newest_run_id(run)
    assert run(sim, *words, "2.csv", "--attribute", "blackList").status == 3
    assert run(sim, "resume", held, "--max-opt-ins", ROWS).status == 0
    assert {each["ccpaOptOut"] for each in sim.profiles.values()} == {False}
    assert {each["blackList"] for each in sim.profiles.values()} == {True}


@pytest.mark.parametrize("is_corrected", [True, False], ids=["corrected", "untouched"])
@pytest.mark.parametrize("left", ["a rejected row", "nothing"])
def test_a_todo_file_that_a_person_works_on_stays_when_the_run_goes_on(
    left: str, sim: Simulator, tmp_path: Path, run: Run, *, is_corrected: bool
) -> None:
    populate(sim, ROWS, state=True)
    path = write_states(tmp_path / "in.csv", ROWS, "false")
    if left != "nothing":
        path.write_text(path.read_text() + f"{key(ROWS)},maybe\n")
    assert run(sim, "run", path, "--hold-opt-ins", "--max-opt-ins", 1).status == 3
    (todo,) = tmp_path.glob("*.todo.csv")
    if is_corrected:
        todo.write_text(todo.read_text().replace("maybe", "false") + "\n")
    content = todo.read_bytes()
    ran = run(sim, "resume", newest_run_id(run), "--max-opt-ins", ROWS)
    assert ran.status == (0 if left == "nothing" else 3)
    found = {
        path.name.removeprefix(todo.name.removesuffix(".todo.csv"))
        for path in tmp_path.glob("*.todo.*")
    }
    new = set() if left == "nothing" else {"-2.todo.csv" if is_corrected else ".todo.csv"}
    assert found == new | ({".todo.csv"} if is_corrected else set())
    assert ("was changed since this run wrote it" in message_of(ran)) is is_corrected
    assert not is_corrected or todo.read_bytes() == content


def test_our_files_with_a_number_are_recognized_by_their_names(tmp_path: Path) -> None:
    write_states(tmp_path / "in.csv", 2)
    for ending in ("todo.csv", "results.csv"):
        write_states(tmp_path / f"in.20261129T101054Z-c5c965-2.{ending}", 1)
    todo = "in.20261129T101054Z-c5c965-2.todo.csv"
    assert (read.is_todo(todo), read.default_job(todo, "")) == (True, "in.todo")
    assert read.files(str(tmp_path)) == [tmp_path / "in.csv"]
