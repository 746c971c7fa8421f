"""``tidy`` removes files that no run needs any more, and nothing else."""

import os
import shutil
import time
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import Ran, Run, before_answer, key, populate, process, write_states

from bulk_sync.settings import Connection, Credentials, Secret
from bulk_sync.simulator import Options, Simulator, running
from bulk_sync.storage import lock, scratch

DAY_S = 86_400
TEMPORARY = ".0123456789abcdef.tmp"


def set_age(path: Path, days: float) -> Path:
    """Set the age of a file or a folder."""
    then = time.time() - days * DAY_S
    os.utime(path, (then, then))
    return path


def everything(folder: Path) -> set[str]:
    """Return the files below the state folder, without the ledger's own."""
    found = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    return {name for name in found if not name.startswith("ledger")}


def tidy_summary(run: Run, *words: object) -> dict[str, Any]:
    ran = run(None, "tidy", "--summary", "json", *words)
    assert ran.status == 0, ran.err
    return ran.summary


def reasons(shown: dict[str, Any]) -> dict[str, str]:
    return {each["path"]: each["reason"] for each in shown["removed"]}


def newest_run_id(run: Run) -> str:
    return str(orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"])


def finished(run: Run, sim: Simulator, folder: Path, name: str = "done.csv") -> str:
    """Run a file of one row, and return the run's id."""
    report = folder / f"{name}.results.csv"
    assert run(sim, "run", write_states(folder / name, 1), "--report", report).status == 0
    return newest_run_id(run)


def failed(run: Run, sim: Simulator, folder: Path) -> str:
    sim.forbidden.add(key(0))
    ran = run(
        sim, "run", write_states(folder / "failed.csv", 1), "--report", folder / "failed.json"
    )
    assert ran.status == 3
    sim.forbidden.clear()
    return newest_run_id(run)


def interrupted(run: Run, sim: Simulator, folder: Path) -> str:
    words = ("--fetch", "lookup", "--max-calls", 5, "--report", folder / "interrupted.json")
    assert run(sim, "run", write_states(folder / "interrupted.csv", 9), *words).status == 6
    return newest_run_id(run)


def refused(run: Run, sim: Simulator, folder: Path) -> str:
    words = ("--max-changes", 0, "--report", folder / "refused.json")
    assert run(sim, "run", write_states(folder / "refused.csv", 3), *words).status == 4
    return newest_run_id(run)


def held(run: Run, sim: Simulator, folder: Path) -> str:
    for each in sim.profiles.values():
        each["ccpaOptOut"] = True
    path, report = write_states(folder / "held.csv", 3, "false"), folder / "held.json"
    ran = run(sim, "run", path, "--hold-opt-ins", "--max-opt-ins", 0, "--report", report)
    assert ran.status == 3
    return newest_run_id(run)


@pytest.fixture
def folder(sim: Simulator, tmp_path: Path) -> Path:
    """Return the path of the state folder, with profiles in Campaign."""
    populate(sim, 9)
    return tmp_path / "state"


def test_nothing_is_removed_from_a_state_folder_without_old_files(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for begun in (failed, finished, interrupted, refused):
        begun(run, sim, tmp_path)
    before = everything(folder)
    ran = run(None, "tidy")
    assert (ran.status, ran.out) == (0, f"Nothing may go from {folder}.\n")
    assert everything(folder) == before


@pytest.mark.parametrize("days", [(), ("--keep", 0)], ids=["own time", "at once"])
@pytest.mark.parametrize("begun", [interrupted, refused, held])
def test_a_run_that_can_be_resumed_keeps_everything(
    begun: Any, days: tuple[object, ...], folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = begun(run, sim, tmp_path)
    limits = ("--max-changes", 9, "--max-opt-ins", 9, "--max-calls", 99)
    if begun is interrupted:
        set_age(folder / "runs" / run_id, 4000)
    before = everything(folder)
    assert tidy_summary(run, *days)["removed"] == []
    assert everything(folder) == before
    assert run(sim, "resume", run_id, *limits, "--report", tmp_path / "again.csv").status == 0


@pytest.mark.parametrize(
    ("words", "days", "goes"),
    [((), 29, False), ((), 31, True), (("--keep", 0), 1, True), (("--keep", 99), 31, True)],
)
def test_files_only_for_a_retry_are_removed_after_thirty_days_or_sooner_on_request(
    words: tuple[object, ...],
    days: int,
    goes: bool,
    folder: Path,
    sim: Simulator,
    tmp_path: Path,
    run: Run,
) -> None:
    run_id = failed(run, sim, tmp_path)
    set_age(folder / "runs" / run_id, days)
    shown = reasons(tidy_summary(run, *words))
    assert (f"runs/{run_id}" in shown) is goes
    assert (folder / "runs" / run_id).exists() is not goes
    if goes:
        assert shown[f"runs/{run_id}"].startswith(f"checkpoint with failed rows, {days} day")


def test_a_refused_run_cannot_be_resumed_after_its_files_are_removed(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = refused(run, sim, tmp_path)
    set_age(folder / "runs" / run_id, 31)
    assert f"runs/{run_id}" in reasons(tidy_summary(run, "--keep", 9999))
    assert run(sim, "resume", run_id, "--max-changes", 9).status == 4
    assert set(sim.states.values()) == {False}


def test_files_of_a_process_killed_after_the_end_of_its_run_are_removed_at_once(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = finished(run, sim, tmp_path)
    lost = interrupted(run, sim, tmp_path)
    (folder / "runs" / lost).rename(folder / "runs" / run_id)
    assert reasons(tidy_summary(run)) == {f"runs/{run_id}": "checkpoint of a finished run"}


@pytest.mark.parametrize(
    ("words", "days", "goes"),
    [((), 799, False), (("--keep", 90), 91, True), (("--keep", 90), 89, False)],
)
def test_rows_are_removed_before_their_last_day_only_on_request(
    words: tuple[object, ...],
    days: int,
    goes: bool,
    folder: Path,
    sim: Simulator,
    tmp_path: Path,
    run: Run,
) -> None:
    run_id = finished(run, sim, tmp_path)
    (rows,) = (folder / "rows").iterdir()
    set_age(rows, days)
    removed = reasons(tidy_summary(run, *words))
    assert list(removed) == ([f"rows/{rows.name}"] if goes else [])
    assert rows.exists() is not goes
    if goes:
        again = run(None, "report", run_id, "--report", tmp_path / "again.csv")
        assert again.status == 2
        assert "are not here, or not any more: it ran as" in again.err


def test_rows_after_their_last_day_are_removed_whatever_keep_says(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = finished(run, sim, tmp_path)
    (rows,) = (folder / "rows").iterdir()
    old = rows.rename(rows.with_name(f"{run_id}.20200101.parquet"))
    shown = tidy_summary(run, "--keep", 9999)
    assert reasons(shown) == {f"rows/{old.name}": "rows were kept until 2020-01-01"}
    assert everything(folder) == {name for name in everything(folder) if name.startswith("locks")}


def test_rows_of_an_unknown_run_are_removed_after_their_last_day(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    finished(run, sim, tmp_path)
    path = folder / "rows" / "20251123T020000Z-7f3a9c.20251201.parquet"
    path.write_bytes(b"xy")
    shown = tidy_summary(run, "-n")
    assert (shown["count"], shown["bytes"]) == (1, 2)
    assert tidy_summary(run)["removed"] == shown["removed"]
    assert not path.exists()


def planned(run: Run, sim: Simulator, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    words = ("--out", path, "--report", path.with_suffix(".json"))
    assert run(sim, "plan", write_states(path.with_suffix(".csv"), 2), *words).status == 0
    return path


@pytest.mark.parametrize("facts", ["{}", '{"made_at": "soon"}', '{"made_at": 1}'])
def test_a_plan_whose_facts_were_edited_stays(
    facts: str, folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    finished(run, sim, tmp_path)
    path = folder / "p.parquet"
    pq.write_table(pa.table({}, metadata={"bulk-sync.plan.2": facts}), path)
    assert tidy_summary(run)["removed"] == []
    assert path.exists()


def test_a_plan_is_removed_when_it_can_no_longer_be_applied(
    folder: Path, sim: Simulator, run: Run
) -> None:
    path = planned(run, sim, folder / "plans" / "a.parquet")
    assert reasons(tidy_summary(run, "--keep", 0)) == {}
    shown = reasons(tidy_summary(run, "--keep", 0, "--plan-valid", "0s"))
    assert shown == {"plans/a.parquet": "plan that cannot be applied any more, 0 days old"}
    assert not path.exists()


def test_a_plan_is_removed_after_it_was_applied_to_its_end(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = planned(run, sim, folder / "plans" / "a.parquet")
    report = ("--report", tmp_path / "applied.csv")
    assert run(sim, "apply", path, *report, "--max-calls", 1).status == 6
    assert reasons(tidy_summary(run, "--keep", 0)) == {}
    assert reasons(tidy_summary(run, "--keep", 0, "--plan-valid", "0s")) == {}  # it can be resumed
    assert run(sim, "apply", path, *report, "--max-calls", 99).status == 0
    assert reasons(tidy_summary(run)) == {}  # a record for 800 days
    assert "plans/a.parquet" in reasons(tidy_summary(run, "--keep", 0))


@pytest.mark.parametrize(("days", "goes"), [(0.9, False), (1.1, True)])
@pytest.mark.parametrize("where", ["", "rows", "notified", "runs/20261123T020000Z-7f3a9c"])
def test_temporary_files_of_a_killed_process_are_removed_after_a_day(
    where: str, days: float, goes: bool, folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    finished(run, sim, tmp_path)
    path = folder / where / TEMPORARY
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"123")
    set_age(path, days)
    set_age(path.parent, days)
    shown = tidy_summary(run)
    assert (shown["count"], shown["bytes"]) == ((1, 3) if goes else (0, 0))
    assert path.exists() is not goes


FOREIGN = [
    "notes.txt",
    "list.parquet",
    ".other.tmp",
    "locks/notes.txt",
    "rows/list.20200101.parquet",
    "rows/notes.txt",
    "runs/notes.txt",
    "runs/mine/rows.parquet",
    "notified/notes.txt",
]


def test_input_files_of_a_killed_process_are_removed_and_those_of_a_living_one_stay(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    finished(run, sim, tmp_path)
    state = tmp_path / "state"
    for name in ("checks/killed", "downloads/killed", "checks/.new-now"):
        (state / name).mkdir(parents=True, exist_ok=True)
        (state / name / "keys-000000.parquet").write_bytes(b"1234")
    dead = ["checks/killed", "downloads/killed"]
    with scratch.folder(state, "other") as other:
        alive = other.rename(state / "checks" / "alive")
        assert sorted(reasons(tidy_summary(run, "-n"))) == dead
        shown = tidy_summary(run)
        alive.rename(other)
    assert sorted(reasons(shown)) == dead
    assert [each["bytes"] for each in shown["removed"]] == [4, 4]
    assert [path.name for path in (state / "checks").iterdir()] == [".new-now"]
    assert reasons(tidy_summary(run)) == {}


def test_foreign_files_are_not_removed(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = failed(run, sim, tmp_path)
    inside = f"runs/{run_id}/notes.txt"
    for name in [*FOREIGN, inside]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"mine")
        set_age(folder / name, 4000)
    (folder / "link.parquet").symlink_to(folder / "ledger.sqlite3")
    set_age(folder / "runs" / run_id, 4000)
    (rows,) = folder.glob(f"rows/{run_id}.*")
    shown = reasons(tidy_summary(run, "--keep", 0))
    assert set(shown) == {f"runs/{run_id}", f"rows/{rows.name}"}
    assert {name for name in [*FOREIGN, inside] if not (folder / name).exists()} == set()
    assert (folder / "link.parquet").is_symlink()
    assert [path.name for path in (folder / "runs" / run_id).iterdir()] == ["notes.txt"]
    assert tidy_summary(run, "--keep", 0)["removed"] == []
    assert run(None, "ledger", "verify").status == 0


def test_a_run_of_another_ledger_is_left_alone_and_named(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    finished(run, sim, tmp_path)
    ours = folder / "ledger.sqlite3"
    words = ("--ledger", f"sqlite:///{tmp_path}/other.sqlite3")
    shutil.copy(ours, tmp_path / "other.sqlite3")
    lost = interrupted(run, sim, tmp_path)
    set_age(folder / "runs" / lost, 4000)
    finished(run, sim, tmp_path, "next.csv")
    shown = tidy_summary(run, "--keep", 0, *words)
    assert shown["unknown_runs"] == [f"runs/{lost}"]
    assert f"Left alone: runs/{lost}" in run(None, "tidy", *words).out
    assert run(sim, "resume", lost, "--max-calls", 99).status == 0


def test_a_preview_shows_all_of_it_removes_nothing_and_ends_with_the_command(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = failed(run, sim, tmp_path)
    set_age(folder / "runs" / run_id, 31)
    before = everything(folder)
    size = sum(path.stat().st_size for path in (folder / "runs" / run_id).iterdir())
    shown = tidy_summary(run, "-n")
    assert shown["removed"] == [
        {
            "path": f"runs/{run_id}",
            "bytes": size,
            "reason": "checkpoint with failed rows, 31 days old",
        }
    ]
    assert (shown["dry_run"], shown["count"], shown["bytes"], shown["exit"]) == (True, 1, size, 0)
    ran = run(None, "tidy", "-n", "--keep", 90)
    assert everything(folder) == before
    lines = ran.out.splitlines()
    assert lines[0] == f"Would remove from {folder}:"
    assert lines[1].split()[0] == f"runs/{run_id}"
    assert lines[2].startswith("Together: 1 thing, ")
    assert lines[-1] == "  bulk-sync tidy --keep 90"
    assert tidy_summary(run, "--keep", 90)["removed"] == shown["removed"]


def test_an_organization_with_a_run_at_work_is_left_alone(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = failed(run, sim, tmp_path)
    set_age(folder / "runs" / run_id, 25)
    path = write_states(tmp_path / "in.csv", 9)
    messages: list[str] = []

    def tidy() -> None:
        with process(sim, tmp_path, "tidy", "--keep", "0", "-v") as other:
            assert other.stderr is not None
            messages.append(other.stderr.read())
        assert other.returncode == 0
        assert (folder / "runs" / run_id).is_dir()

    before_answer(sim, "PATCH", 1, tidy)
    with process(sim, tmp_path, "run", str(path), "-q", "--report", "r.csv") as working:
        working.wait()
    assert (working.returncode, len(messages)) == (0, 1)
    held = lock.name(Connection(sim.url, "acme", Credentials("demo-key", Secret("t"))))
    with lock.hold(folder, held, "a run"):
        shown = tidy_summary(run, "--keep", 0)
        assert (shown["at_work"], shown["removed"]) == (["acme"], [])
        assert (
            "things of organization acme, since a run is at work"
            in run(None, "tidy", "--keep", 0).out
        )
    shown = tidy_summary(run, "--keep", 0)
    assert f"runs/{run_id}" in reasons(shown)
    assert shown["at_work"] == []


def test_a_file_that_cannot_be_removed_is_named_and_the_others_are_removed(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    finished(run, sim, tmp_path)
    stuck, gone = folder / TEMPORARY, folder / "notified" / TEMPORARY
    gone.parent.mkdir()
    for path in (stuck, gone):
        path.write_bytes(b"x")
        set_age(path, 9)
    unlink = Path.unlink

    def refusing(path: Path, missing_ok: bool = False) -> None:
        if path == stuck:
            raise PermissionError(13, "Permission denied")
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refusing)
    ran = run(None, "tidy", "--summary", "json")
    assert ran.status == ran.summary["exit"] == 3
    assert [each["path"] for each in ran.summary["not_removed"]] == [TEMPORARY]
    assert not gone.exists()


@pytest.mark.parametrize("harm", ["no ledger", "cut off"])
def test_without_its_ledger_nothing_is_removed(
    harm: str, folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = failed(run, sim, tmp_path)
    set_age(folder / "runs" / run_id, 31)
    for path in folder.glob("ledger.sqlite3*"):
        path.unlink()
    if harm == "cut off":
        (folder / "ledger.sqlite3").write_bytes(b"")
    ran: Ran = run(None, "tidy")
    assert ran.status == 2
    assert (folder / "runs" / run_id).is_dir()


def test_each_run_removes_old_files_of_earlier_runs_on_its_organization(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = failed(run, sim, tmp_path)
    (kept,) = (folder / "rows").iterdir()
    kept.rename(kept.with_name(f"{run_id}.20200101.parquet"))
    old = set_age(folder / "runs" / run_id, 31)
    plan = planned(run, sim, tmp_path / "plans" / "a.parquet")
    assert old.exists()  # a plan takes no lock
    assert run(sim, "apply", plan, "--report", tmp_path / "applied.csv").status == 0
    assert not old.exists()
    assert len(list((folder / "rows").iterdir())) == 1


def test_an_empty_folder_of_a_killed_process_is_removed(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    finished(run, sim, tmp_path)
    empty = folder / "runs" / "20250101T000000Z-7f3a9c"
    empty.mkdir()
    set_age(empty, 400)
    assert reasons(tidy_summary(run)) == {
        f"runs/{empty.name}": "half a checkpoint: its process was killed"
    }
    assert not empty.exists()


def test_old_files_of_each_instance_are_removed_independently(
    folder: Path, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    finished(run, sim, tmp_path)
    tidy_summary(run, "--keep", 0)
    with running(Options()) as other:
        populate(other, 1)
        run_id = failed(run, other, tmp_path)
    set_age(folder / "runs" / run_id, 25)
    assert f"runs/{run_id}" in reasons(tidy_summary(run, "--keep", 0))
