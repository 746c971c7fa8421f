"""Commands about runs of inputs larger than memory, at every stage of such a run."""

import csv
import re
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import key, populate

from bulk_sync import ledger, runs
from bulk_sync.errors import Exit
from bulk_sync.ledger import Run
from bulk_sync.runs import Finished, Input, Job, JobRecord, resumption
from bulk_sync.runs.checkpoint import Checkpoint, CheckpointProblem
from bulk_sync.settings import (
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
"""Bytes of memory: the input has 9,000 bytes of text, so it is read in slices of about 14 rows."""

LIST_CALLS = 10
"""Calls of the whole list, of pages of 10, after a look at the resource, but for the last."""


class Quiet:
    """A screen that shows nothing, and approves all."""

    def begin(self, *_: object) -> None: ...
    def announce(self, *_: object) -> None: ...
    def tell(self, *_: object) -> None: ...
    def approve(self, *_: object) -> None: ...
    def show(self, *_: object) -> None: ...


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """90 profiles, of which every fourth or so is to be opted out, and a file with 90 rows."""
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
        State(folder / "state"),
        pace=Pace(concurrency=1, max_calls=calls),
        reading=Reading(Fetch.SCAN, page_size=10, memory=memory),
        record=JobRecord("nightly", reports=(str(folder / "r.csv"),)),
    )


def started(sim: Simulator, folder: Path, *, memory: int | None = SMALL, calls: int) -> Finished:
    """Run the input as far as so many calls carry it."""
    job = job_of(sim, folder, memory=memory, calls=calls)
    given = Input(str(folder / "in.csv"), state_dir=folder / "state", memory=memory)
    ended = runs.sync(job, given, Quiet())
    assert ended.exit == Exit.STOPPED_EARLY
    (folder / "r.csv").unlink()
    return ended


def run_of(folder: Path, run_id: str) -> Run:
    return runs.recorded(State(folder / "state"), run_id)


def reported(folder: Path, run_id: str) -> list[dict[str, str]]:
    path = folder / "again.csv"
    runs.report_again(State(folder / "state"), run_id, [str(path)], lambda *_: None)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    path.unlink()
    return rows


STAGES = {"half the list": 6, "divided": LIST_CALLS, "half written": LIST_CALLS + 6}
NOTES = [*(f"row {at}" for at in range(ROWS - 1)), "row 1"]


def files_of(folder: Path, run_id: str) -> Counter[str]:
    """Return how many files of each kind a checkpoint has."""
    paths = Checkpoint(folder / "state" / "runs" / run_id).files()
    return Counter(path.name.partition("-")[0].partition(".")[0] for path in paths)


def history_of(sim: Simulator, folder: Path, about: str) -> list[tuple[str, str, int]]:
    """Return the events of a person's story: outcome, run and number of the row."""
    state = job_of(sim, folder, calls=None).state
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
    ended = started(filled, tmp_path, calls=STAGES[stage])
    run_id, kinds = ended.run_id, files_of(tmp_path, ended.run_id)
    assert (kinds["rest"] > 1) is (stage != "half the list")
    assert (kinds["input"] > 1) is (stage == "half the list")
    rows = reported(tmp_path, run_id)
    assert [row["note"] for row in rows] == NOTES
    assert Counter(row["sync_outcome"] for row in rows) == Counter(ended.totals.outcomes)
    of_same = "pending" if stage == "half the list" else "unchanged"
    found = [(of_same, run_id, 3), ("duplicate", run_id, ROWS + 1)]
    assert sorted(history_of(filled, tmp_path, key(1))) == sorted(found)
    runs.abandon(job_of(filled, tmp_path, calls=None), run_id, Quiet())
    assert not files_of(tmp_path, run_id)
    again = reported(tmp_path, run_id)
    assert [row | {"sync_detail": ""} for row in again] == [
        row | {"sync_detail": ""} for row in rows
    ]
    assert sorted(history_of(filled, tmp_path, key(1))) == sorted(found)


def test_a_killed_run_that_is_given_up_keeps_all_its_rows(
    filled: Simulator, tmp_path: Path
) -> None:
    ended = started(filled, tmp_path, calls=STAGES["half written"])
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
    other = started(filled, tmp_path, calls=STAGES[stage])
    lines = (tmp_path / "in.csv").read_text("utf-8")
    (tmp_path / "in.csv").write_text(lines.replace("row 7,", "row seven,") + "x,true,other\n")
    ended = started(filled, tmp_path, calls=STAGES[stage])
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
