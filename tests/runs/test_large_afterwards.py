"""Commands about runs of inputs larger than memory, at every stage of such a run."""

import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import key, populate, read_csv
from large_inputs import in_groups

from bulk_sync import ledger, runs
from bulk_sync.errors import Exit, InputProblem, Interrupted, Refused
from bulk_sync.ledger import Kind, Run
from bulk_sync.rows.check import Rules
from bulk_sync.runs import Finished, Input, Job, JobRecord
from bulk_sync.runs.commands import resumption
from bulk_sync.runs.kept import plan_file
from bulk_sync.runs.kept.checkpoint import Checkpoint, CheckpointProblem
from bulk_sync.runs.terms.protection import Protection
from bulk_sync.settings import (
    Approval,
    Bound,
    Connection,
    Credentials,
    Fetch,
    Limits,
    Pace,
    Reading,
    Secret,
    State,
)
from bulk_sync.simulator import Simulator

ROWS, CHANGES = 90, 20
SMALL = 45_000
"""Bytes of memory: 9,000 bytes of text are read in slices of about 14 rows."""

LIST_CALLS = 10
"""Calls for the preflight and all pages of 10 but the last."""


class Quiet:
    """A screen that shows nothing, and approves every plan."""

    def begin(self, *_: object) -> None: ...
    def announce(self, *_: object) -> None: ...
    def show_progress(self, *_: object) -> None: ...
    def approve(self, *_: object) -> None: ...
    def show(self, *_: object) -> None: ...


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """Return a simulator with 90 profiles and a file that opts about every fourth of them out."""
    populate(sim, ROWS - 1)
    lines = ["PKey,ccpaOptOut,note"]
    for at in range(ROWS - 1):
        is_change = at % 4 == 0 and at < 4 * CHANGES
        sim.profiles[key(at)]["ccpaOptOut"] = at % 2 == 1
        lines.append(f"{key(at)},{str(is_change or at % 2 == 1).lower()},row {at}")
    lines.append(lines[2])  # a repeat of a row of the rest
    (tmp_path / "in.csv").write_text("\n".join(lines) + "\n", "utf-8")
    return sim


def job_of(sim: Simulator, folder: Path, *, memory: int | None = SMALL, calls: int | None) -> Job:
    return Job(
        Connection(sim.url, "acme", Credentials("demo-key", Secret("demo-token"))),
        JobRecord(State(folder / "state"), "nightly", reports=(str(folder / "r.csv"),)),
        pace=Pace(concurrency=1, max_calls=calls),
        reading=Reading(Fetch.SCAN, page_size=10, memory=memory),
    )


def run_with_budget(
    sim: Simulator, folder: Path, *, memory: int | None = SMALL, calls: int
) -> Finished:
    """Run the input with a budget of calls."""
    job = job_of(sim, folder, memory=memory, calls=calls)
    given = Input(str(folder / "in.csv"), state_dir=folder / "state", memory=memory)
    ended = runs.sync(job, given, Quiet())
    assert ended.exit == Exit.STOPPED_EARLY
    (folder / "r.csv").unlink()
    return ended


def run_of(folder: Path, run_id: str) -> Run:
    return runs.find_run(State(folder / "state"), run_id)


def reported(folder: Path, run_id: str) -> list[dict[str, str]]:
    path = folder / "again.csv"
    runs.report_again(State(folder / "state"), run_id, [str(path)], lambda *_: None)
    rows = read_csv(path)
    path.unlink()
    return rows


STAGES = {"half the list": 6, "divided": LIST_CALLS, "half written": LIST_CALLS + 6}
NOTES = [*(f"row {at}" for at in range(ROWS - 1)), "row 1"]


def files_of(folder: Path, run_id: str) -> Counter[str]:
    """Return the number of files of each kind in a checkpoint."""
    paths = Checkpoint(folder / "state" / "runs" / run_id).files()
    return Counter(path.name.partition("-")[0].partition(".")[0] for path in paths)


def history_of(sim: Simulator, folder: Path, about: str) -> list[tuple[str, str, int]]:
    """Return the events in a person's history: outcome, run and row."""
    state = job_of(sim, folder, calls=None).record.state
    with runs.known(state) as book:
        story = runs.story_of(book, state, about)
    assert not story.not_kept
    return [
        (
            "written" if event.write else event.outcome,
            event.run.run_id,
            event.row["sync_row"],
        )
        for event in story.events
    ]


@pytest.mark.parametrize("stage", STAGES)
def test_an_unfinished_run_is_known_with_all_its_rows(
    stage: str, filled: Simulator, tmp_path: Path
) -> None:
    ended = run_with_budget(filled, tmp_path, calls=STAGES[stage])
    run_id, kinds = ended.run_id, files_of(tmp_path, ended.run_id)
    assert (kinds["rest"] > 1) is (stage != "half the list")
    assert kinds["input"] > 1
    rows = reported(tmp_path, run_id)
    assert [row["note"] for row in rows] == NOTES
    assert Counter(row["sync_outcome"] for row in rows) == Counter(ended.totals.outcomes)
    of_same = "pending" if stage == "half the list" else "unchanged"
    found = [(of_same, run_id, 3), ("duplicate", run_id, ROWS + 1)]
    assert sorted(history_of(filled, tmp_path, key(1))) == sorted(found)
    runs.abandon(job_of(filled, tmp_path, calls=None), run_id, Quiet())
    assert not (tmp_path / "state" / "runs" / run_id).exists()
    again = reported(tmp_path, run_id)
    assert [row | {"sync_detail": ""} for row in again] == [
        row | {"sync_detail": ""} for row in rows
    ]
    assert sorted(history_of(filled, tmp_path, key(1))) == sorted(found)


def lift_by_another_run(sim: Simulator, folder: Path, *numbers: int) -> None:
    """Lift the opt-outs of some profiles for another list."""
    path = folder / "other.csv"
    path.write_text("".join(["PKey,ccpaOptOut\n", *(f"{key(at)},false\n" for at in numbers)]))
    job = job_of(sim, folder, calls=None)
    record = replace(job.record, name="other", reports=(str(folder / "other.r.csv"),))
    job = replace(job, record=record)
    assert runs.sync(job, Input(str(path)), Quiet()).exit == Exit.DONE


@pytest.mark.parametrize("stage", [*STAGES, "applied"])
def test_no_row_is_unchanged_that_another_run_has_changed_since_it_was_read(
    stage: str, filled: Simulator, tmp_path: Path
) -> None:
    job = job_of(filled, tmp_path, calls=None)
    if stage == "applied":
        given, out = Input(str(tmp_path / "in.csv"), memory=SMALL), tmp_path / "plan.parquet"
        assert runs.preview(job, given, Quiet(), out, fresh=False).exit == Exit.DONE
        (tmp_path / "r.csv").unlink()
        lift_by_another_run(filled, tmp_path, 1, 3)
        ended = runs.apply(job, out, Quiet(), Approval(None, (), 0, 3600.0))
    else:
        stopped = run_with_budget(filled, tmp_path, calls=STAGES[stage])
        lift_by_another_run(filled, tmp_path, 1, 3)
        ended = runs.resume(job, stopped.run_id, Quiet())
    assert ended.exit == Exit.ROWS_LEFT
    assert ended.totals.outcomes == {
        "unchanged": ROWS - 3 - CHANGES, "updated": CHANGES, "duplicate": 1, "drifted": 2,
    }  # fmt: skip
    rows = read_csv(tmp_path / "r.csv")
    assert [row["note"] for row in rows] == NOTES
    facts = [(row["sync_outcome"], row["sync_reason"], row["sync_after"]) for row in rows]
    assert facts[1:5] == [
        ("drifted", "newer_run", "false"), ("unchanged", "", "false"),
        ("drifted", "newer_run", "false"), ("updated", "", "true"),
    ]  # fmt: skip
    assert ended.files.todo is not None
    left = read_csv(Path(ended.files.todo.name))
    assert [row["note"] for row in left] == ["row 1", "row 3"]
    assert ("drifted", ended.run_id, 3) in history_of(filled, tmp_path, key(1))


def test_no_row_is_unchanged_that_another_run_has_changed_if_the_apply_stops_before_it_writes(
    filled: Simulator, tmp_path: Path
) -> None:
    given, out = Input(str(tmp_path / "in.csv"), memory=SMALL), tmp_path / "plan.parquet"
    job = job_of(filled, tmp_path, calls=None)
    assert runs.preview(job, given, Quiet(), out, fresh=False).exit == Exit.DONE
    (tmp_path / "r.csv").unlink()
    lift_by_another_run(filled, tmp_path, 1, 3)
    with in_groups(30):
        job = job_of(filled, tmp_path, calls=1)
        ended = runs.apply(job, out, Quiet(), Approval(None, (), 0, 3600.0))
    assert ended.exit == Exit.STOPPED_EARLY
    assert ended.totals.outcomes == {
        "unchanged": ROWS - 3 - CHANGES, "pending": CHANGES, "duplicate": 1, "drifted": 2,
    }  # fmt: skip
    rows = read_csv(tmp_path / "r.csv")
    assert [row["note"] for row in rows] == NOTES
    assert [row["sync_outcome"] for row in rows[1:4]] == ["drifted", "unchanged", "drifted"]


def test_a_run_goes_on_after_another_one_though_no_row_is_unchanged(
    filled: Simulator, tmp_path: Path
) -> None:
    for profile in filled.profiles.values():
        profile["ccpaOptOut"] = False
    path = tmp_path / "in.csv"
    path.write_text(path.read_text("utf-8").replace(",false,", ",true,"), "utf-8")
    stopped = run_with_budget(filled, tmp_path, calls=STAGES["half written"])
    filled.profiles[key(80)]["ccpaOptOut"] = True
    lift_by_another_run(filled, tmp_path, 80)
    ended = runs.resume(job_of(filled, tmp_path, calls=None), stopped.run_id, Quiet())
    assert ended.totals.outcomes == {"updated": ROWS - 2, "duplicate": 1, "drifted": 1}


def test_a_killed_run_that_is_given_up_keeps_all_its_rows(
    filled: Simulator, tmp_path: Path
) -> None:
    ended = run_with_budget(filled, tmp_path, calls=STAGES["half written"])
    state = State(tmp_path / "state")
    with ledger.open_ledger(state) as book:
        run = replace(book.run(ended.run_id), ended=None)
        resumption.give_up(book, state, run, "Given up.")
    assert [row["note"] for row in reported(tmp_path, ended.run_id)] == NOTES
    line = run_of(tmp_path, ended.run_id).ended
    assert line is not None
    assert line.outcomes == {"updated": 6, "pending": ROWS - 6}
    assert line.rows_kept_until


def _remove(folder: Path, _: Path, name: str) -> None:
    (folder / name).unlink()


def _exchange(folder: Path, _: Path, name: str) -> None:
    first, second = folder / name.replace("2", "1"), folder / name
    aside = first.rename(folder / "aside")
    second.rename(first)
    aside.rename(second)


def _copy_of_other(folder: Path, other: Path, name: str) -> None:
    shutil.copyfile(other / name, folder / name)


@pytest.mark.parametrize(
    ("stage", "name", "damage"),
    [
        ("half the list", "input-000002.parquet", _remove),
        ("half the list", "input-000002.parquet", _exchange),
        ("half the list", "input-000002.parquet", _copy_of_other),
        ("half the list", "listed-000001.parquet", _copy_of_other),
        ("half the list", "whole.parquet", _copy_of_other),
        ("divided", "rest-000002.parquet", _remove),
        ("divided", "rest-000002.parquet", _exchange),
        ("divided", "rest-000002.parquet", _copy_of_other),
        ("divided", "positions.parquet", _remove),
        ("divided", "positions.parquet", _copy_of_other),
    ],
)
def test_no_report_is_made_of_files_that_are_missing_exchanged_or_of_another_run(
    stage: str,
    name: str,
    damage: Callable[[Path, Path, str], None],
    filled: Simulator,
    tmp_path: Path,
) -> None:
    other = run_with_budget(filled, tmp_path, calls=STAGES[stage])
    lines = (tmp_path / "in.csv").read_text("utf-8")
    (tmp_path / "in.csv").write_text(lines.replace("row 7,", "row seven,") + "x,true,other\n")
    ended = run_with_budget(filled, tmp_path, calls=STAGES[stage])
    folder, foreign = (
        tmp_path / "state" / "runs" / run_id for run_id in (ended.run_id, other.run_id)
    )
    damage(folder, foreign, name)
    try:
        cause = runs.resume(job_of(filled, tmp_path, calls=None), ended.run_id, Quiet()).cause
    except CheckpointProblem as problem:
        cause = problem
    assert re.search("cannot be read|belongs to other rows", str(cause))
    assert not (tmp_path / "r.csv").exists()


@pytest.mark.parametrize("memory", [SMALL, None], ids=["large", "small"])
def test_a_finished_run_is_tried_again_read_again_and_undone(
    memory: int | None, filled: Simulator, tmp_path: Path
) -> None:
    filled.forbidden.update(key(at) for at in (0, 4))
    job = job_of(filled, tmp_path, memory=memory, calls=None)
    given = Input(str(tmp_path / "in.csv"), state_dir=tmp_path / "state", memory=memory)
    ended = runs.sync(job, given, Quiet())
    assert ended.totals.outcomes == {
        "unchanged": ROWS - 1 - CHANGES, "updated": CHANGES - 2, "duplicate": 1, "failed": 2,
    }  # fmt: skip
    assert history_of(filled, tmp_path, key(4))[0][1:] == (ended.run_id, 6)
    filled.forbidden.clear()
    again = runs.retry(job.by_pkey(), ended.run_id, Quiet())
    assert again.totals.outcomes == {"updated": 2}
    audited = runs.audit(job, ended.run_id, Quiet(), Bound.parse("50%", ""))
    assert audited.totals.outcomes == {"unchanged": (CHANGES - 2) // 2}
    job = replace(job, limits=Limits(max_opt_ins=Bound.parse("100%", "")))
    undone = runs.undo(job, ended.run_id, Quiet())
    assert undone.totals.outcomes == {"updated": CHANGES - 2}
    assert [row["note"] for row in reported(tmp_path, undone.run_id)][:3] == [
        "row 8", "row 12", "row 16",
    ]  # fmt: skip
    assert [row["note"] for row in reported(tmp_path, ended.run_id)] == NOTES
    assert list(filled.states.values()).count(True) == (ROWS - 1) // 2 + 2


def plan_of(sim: Simulator, folder: Path) -> Path:
    """Make a plan with the rows of each slice in a group of their own."""
    given = Input(str(folder / "in.csv"), state_dir=folder / "state", memory=SMALL)
    out = folder / "plan.parquet"
    ended = runs.preview(job_of(sim, folder, calls=None), given, Quiet(), out, fresh=False)
    assert ended.totals.outcomes["would_update"] == CHANGES
    return out


FEW = (CHANGES + 5) * 500
"""Bytes of memory: the plan does not fit, its changes do."""


class Stopping(Quiet):
    """A screen at which a person stops a run during the comparison of its rows."""

    def show_progress(self, *progress: object) -> None:
        if progress[0] == "Comparing the rows":
            raise Interrupted("Stopped by Ctrl-C.")


def apply_plan(
    sim: Simulator, folder: Path, plan: Path, memory: int | None, **given: Any
) -> tuple[Finished, list[dict[str, str]]]:
    """Apply a plan; return the end of its run, and its report without times."""
    approval = Approval(given.pop("sha256", None), given.pop("names", ()), 0, 3600.0)
    job = replace(job_of(sim, folder, memory=memory, calls=given.pop("calls", None)), **given)
    try:
        ended = runs.apply(job, plan, Quiet(), approval)
    except runs.PlanBegun as begun:
        ended = runs.resume(job, begun.run.run_id, Quiet())
    rows = [{**row, "sync_at": ""} for row in read_csv(folder / "r.csv")]
    (folder / "r.csv").unlink()
    return ended, rows


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"limits": Limits(max_changes=Bound.parse("22%", ""))},
        {"limits": Limits(max_changes=Bound.parse("23%", ""))},
        {"calls": 9},
        {"protection": ["@k"]},
    ],
    ids=["all", "too many changes", "as many as may be", "a budget", "protected people"],
)
def test_a_plan_larger_than_memory_is_applied_like_a_small_one(
    given: dict[str, Any], filled: Simulator, tmp_path: Path
) -> None:
    if "protection" in given:  # one row of the rest with its repeat, and one to be changed
        (tmp_path / "list.csv").write_text(f"PKey\n{key(1)}\n{key(4)}\np8@example.com\n")
        given = {"protection": Protection([tmp_path / "list.csv"])}
    plan_of(filled, tmp_path)
    filled.profiles[key(12)]["ccpaOptOut"] = True  # moved since
    states = {name: dict(profile) for name, profile in filled.profiles.items()}
    ends = []
    for name, memory in (("large", FEW), ("small", None)):
        shutil.copytree(tmp_path / "state", tmp_path / name / "state")
        shutil.copy(tmp_path / "plan.parquet", tmp_path / name)
        filled.profiles.update({each: dict(profile) for each, profile in states.items()})
        filled.patched.clear()
        filled.requests.clear()
        plan = tmp_path / name / "plan.parquet"
        ended, rows = apply_plan(filled, tmp_path / name, plan, memory, **given)
        line = run_of(tmp_path / name, ended.run_id).ended
        assert line is not None
        calls = [(each.method, each.target) for each in filled.requests]
        counts = line.outcomes, line.opt_ins, line.opt_outs, line.message, line.exit
        ends.append((rows, ended.totals, counts, list(filled.patched), calls, ended.exit))
    assert len(ends[0][0]) == ROWS
    assert ends[0][1].outcomes.get("rejected", 0) == (4 if "protection" in given else 0)
    assert ends[0] == ends[1]


@pytest.mark.parametrize("calls", [None, 9])
def test_a_stopped_large_apply_is_resumed(
    calls: int | None, filled: Simulator, tmp_path: Path
) -> None:
    plan = plan_of(filled, tmp_path)
    job = job_of(filled, tmp_path, memory=FEW, calls=calls)
    screen = Quiet() if calls else Stopping()
    stopped = runs.apply(job, plan, screen, Approval(None, (), 0, 3600.0))
    assert stopped.is_resumable
    assert stopped.totals.outcomes["unchanged"] == ROWS - 1 - CHANGES
    assert sum(stopped.totals.outcomes.values()) == ROWS
    kinds = files_of(tmp_path, stopped.run_id)
    assert (kinds["rest"] > 1, kinds["input"] > 1) == (bool(calls), True)
    assert [row["note"] for row in reported(tmp_path, stopped.run_id)] == NOTES
    (tmp_path / "r.csv").unlink()
    ended, rows = apply_plan(filled, tmp_path, plan, FEW)
    assert ended.run_id == stopped.run_id
    assert ended.totals.outcomes == {
        "unchanged": ROWS - 1 - CHANGES, "updated": CHANGES, "duplicate": 1,
    }  # fmt: skip
    assert [row["note"] for row in rows] == NOTES
    assert len(filled.patched) == CHANGES
    with pytest.raises(runs.NothingLeft, match="has been carried out"):
        apply_plan(filled, tmp_path, plan, FEW)


def test_a_large_plan_is_refused_as_a_small_one(filled: Simulator, tmp_path: Path) -> None:
    plan = plan_of(filled, tmp_path)
    with pytest.raises(Refused, match="is not the plan that was reviewed"):
        apply_plan(filled, tmp_path, plan, FEW, sha256="0" * 64)
    with runs.known(State(tmp_path / "state")) as book:
        refused = book.runs()[-1]
    assert refused.begun.kind is Kind.APPLY
    assert refused.ended is not None
    assert refused.ended.outcomes == {"pending": ROWS - 1, "duplicate": 1}
    assert [row["note"] for row in reported(tmp_path, refused.run_id)] == NOTES
    assert filled.patched == []


def test_too_many_changes_need_more_memory(filled: Simulator, tmp_path: Path) -> None:
    plan = plan_of(filled, tmp_path)
    stopped, rows = apply_plan(filled, tmp_path, plan, CHANGES * 500 - 1)
    assert stopped.exit == Exit.STOPPED_EARLY
    assert "Go on with --memory 1GB" in str(stopped.cause)
    assert Counter(row["sync_outcome"] for row in rows)["pending"] == CHANGES
    assert apply_plan(filled, tmp_path, plan, FEW)[0].exit == Exit.DONE


def test_too_many_keys_to_look_up_need_more_memory(filled: Simulator, tmp_path: Path) -> None:
    def looking_up(memory: int) -> Job:
        job = job_of(filled, tmp_path, calls=None)
        return replace(job, reading=Reading(Fetch.LOOKUP, memory=memory))

    given = Input(str(tmp_path / "in.csv"), state_dir=tmp_path / "state", memory=SMALL)
    stopped = runs.sync(looking_up(SMALL - 1), given, Quiet())
    assert stopped.exit == Exit.STOPPED_EARLY
    assert "90 rows are looked up one by one" in str(stopped.cause)
    assert "--memory 1GB, or run the input anew with --fresh --fetch scan." in str(stopped.cause)
    assert stopped.totals.outcomes == {"pending": ROWS - 1, "duplicate": 1}
    ended = runs.resume(looking_up(SMALL), stopped.run_id, Quiet())
    assert ended.totals.outcomes == {
        "unchanged": ROWS - 1 - CHANGES, "updated": CHANGES, "duplicate": 1,
    }  # fmt: skip
    assert len(filled.patched) == CHANGES


def test_a_plan_that_changes_while_it_is_read_again_is_not_applied(
    filled: Simulator, tmp_path: Path
) -> None:
    path = plan_of(filled, tmp_path)
    plan = plan_file.read(path, FEW)
    assert plan.rows.only is None
    assert sum(map(len, plan.rows.read())) == ROWS
    rows = pd.read_parquet(path)
    rows["sync_outcome"] = "unchanged"
    table = pa.Table.from_pandas(rows, preserve_index=False)
    pq.write_table(table.replace_schema_metadata(pq.read_schema(path).metadata), path)
    for content in (path.read_bytes(), path.read_bytes()[:-9]):
        path.write_bytes(content)
        with pytest.raises(InputProblem, match="was edited after it was made"):
            list(plan.rows.read())


def test_a_run_that_stops_before_it_compares_leaves_all_its_rows_in_the_todo_file(
    filled: Simulator, tmp_path: Path
) -> None:
    ended = run_with_budget(filled, tmp_path, calls=STAGES["half the list"])
    (path,) = tmp_path.glob("*.todo.csv")
    assert ended.files.todo is not None
    assert ended.files.todo.name == path.name
    left = read_csv(path)
    assert [row["note"] for row in left] == NOTES[: ROWS - 1]
    assert {row["sync_reason"] for row in left} == {"stopped"}


def test_an_input_without_a_usable_row_takes_no_call(filled: Simulator, tmp_path: Path) -> None:
    path = tmp_path / "in.csv"
    path.write_text(re.sub(",(true|false),", ",perhaps,", path.read_text("utf-8")), "utf-8")
    given = Input(str(path), state_dir=tmp_path / "state", memory=SMALL)
    ended = runs.sync(job_of(filled, tmp_path, calls=None), given, Quiet())
    assert (ended.totals.outcomes, ended.cost.calls) == ({"rejected": ROWS}, {})
    assert ended.exit == Exit.ROWS_LEFT


def test_failed_rows_of_a_large_apply_are_tried_again_and_all_of_it_is_undone(
    filled: Simulator, tmp_path: Path
) -> None:
    plan = plan_of(filled, tmp_path)
    filled.forbidden.update(key(at) for at in (0, 4))
    ended, _ = apply_plan(filled, tmp_path, plan, FEW)
    assert ended.totals.outcomes["failed"] == 2
    filled.forbidden.clear()
    job = replace(
        job_of(filled, tmp_path, calls=None), limits=Limits(max_opt_ins=Bound.parse("100%", ""))
    )
    again = runs.retry(job, ended.run_id, Quiet())
    assert again.totals.outcomes == {"updated": 2}
    undone = runs.undo(job, ended.run_id, Quiet())
    assert undone.totals.outcomes == {"updated": CHANGES - 2}
    assert [row["note"] for row in reported(tmp_path, ended.run_id)] == NOTES


class Watching(Quiet):
    """A screen that stores the progress of each pass."""

    def __init__(self) -> None:
        self.passes: dict[str, list[tuple[int, int]]] = {}

    def show_progress(self, *progress: Any) -> None:
        what, done, total, *_ = progress
        self.passes.setdefault(what, []).append((done, total))


def test_each_pass_over_a_large_input_shows_how_far_it_is(
    filled: Simulator, tmp_path: Path
) -> None:
    given = Input(str(tmp_path / "in.csv"), state_dir=tmp_path / "state", memory=SMALL)
    screen = Watching()
    runs.judge(given, [], screen.show_progress, Protection())
    runs.sync(job_of(filled, tmp_path, calls=None), given, screen)
    for what in ("Counting the rows", "Keeping the rows", "Comparing the rows"):
        assert len(screen.passes[what]) > 2
        assert screen.passes[what][-1] == (ROWS, ROWS)
    checked = screen.passes["Checking the rows"]
    first = checked[: len(checked) // 2]
    assert [done for done, _ in first] == sorted(done for done, _ in first)
    assert first[-1][0] == ROWS
    assert all(ROWS <= total <= 1.2 * ROWS for _, total in checked)


def test_columns_of_the_user_named_like_ours_are_not_taken_for_ours(
    filled: Simulator, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    own = ("SYNC_KEY", "Sync_Outcome", "position", "state", "at_ms", "NOTE", "own note")
    header, *lines = path.read_text("utf-8").splitlines()
    rows = [
        # A key of another row, whose state in Campaign is the other one.
        f"{key((at + 1) % (ROWS - 1))},pending,{ROWS - at},{line.split(',')[1]},1,x{at},y,{line}"
        for at, line in enumerate(lines)
    ]
    path.write_text("\n".join([",".join([*own, header]), *rows, ""]), "utf-8")
    given = Input(
        str(path),
        state_dir=tmp_path / "state",
        memory=SMALL,
        rules=Rules(key_column="PKey", state_column="ccpaOptOut"),
    )
    ended = runs.sync(job_of(filled, tmp_path, calls=None), given, Quiet())
    assert ended.totals.outcomes == {
        "unchanged": ROWS - 1 - CHANGES, "updated": CHANGES, "duplicate": 1,
    }  # fmt: skip
    assert sorted(filled.patched) == [(key(at), True) for at in range(0, 4 * CHANGES, 4)]
    found = read_csv(tmp_path / "r.csv")
    assert [row["note"] for row in found] == NOTES
    assert [row["NOTE"] for row in found] == [f"x{at}" for at in range(ROWS)]
    assert list(found[0])[: len(own)] == list(own)
