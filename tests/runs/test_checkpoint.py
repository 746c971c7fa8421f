"""Everything written to the folder of a run is read back."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from full_disk import full_disk
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync.campaign.list_pages import ScanPosition
from bulk_sync.errors import DiskFull, RowFailed, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, comparison
from bulk_sync.rows.check import Rules
from bulk_sync.rows.results import Match, Steps
from bulk_sync.runs.kept.checkpoint import (
    Checkpoint,
    CheckpointProblem,
    checkpoint_folder,
)
from bulk_sync.runs.kept.checkpoint_place import all_checkpoints
from bulk_sync.storage import sealed

RUN = "20261123T020000Z-7f3a9c"


def judged(rows: int = 6) -> pd.DataFrame:
    raw = pd.DataFrame(
        {
            "PKey": pd.Series([f"@key-{at}" for at in range(rows)], dtype="str"),
            "ccpaOptOut": pd.Series(["true", "maybe", "false"] * (rows // 3), dtype="str"),
            "": pd.Series(['\U0001f600, "quoted"\n'] * rows, dtype="str"),
            columns.ROW: np.arange(2, rows + 2),
        }
    )
    raw[columns.FILE] = pd.Categorical(["a.csv"] * (rows // 2) + ["b.csv"] * (rows // 2))
    return check.rows(raw, Rules())


def same(found: Steps, expected: Steps) -> bool:
    def values(steps: Steps) -> list[object]:
        return [
            (at, problem.reason, problem.detail, problem.outcome, problem.attempts)
            for at, problem in sorted(steps.problems.items())
        ]

    return (
        found.state.tolist() == expected.state.tolist()
        and found.attempts.tolist() == expected.attempts.tolist()
        and found.at_ms.tolist() == expected.at_ms.tolist()
        and values(found) == values(expected)
    )


def test_rows_plan_and_results_are_read_back(tmp_path: Path) -> None:
    rows = judged()
    folder = Checkpoint.create(tmp_path, RUN, rows)
    steps = Steps.blank(len(comparison.open_rows(rows)))
    steps.done(0, 2, 1_795_572_000_123, state=False)
    planned = comparison.compare(rows, steps)
    folder.keep_plan(planned)
    folder.keep_results(planned)
    found = Checkpoint.find(tmp_path, RUN)
    assert found is not None
    pd.testing.assert_frame_equal(found.rows(), rows)
    for kept in (found.plan(rows), found.results(rows)):
        assert kept is not None
        pd.testing.assert_frame_equal(kept, planned)


def test_there_is_no_plan_before_it_was_stored(tmp_path: Path) -> None:
    folder = Checkpoint.create(tmp_path, RUN, judged())
    assert folder.plan(judged()) is None
    assert folder.results(judged()) is None


EVENTS = st.lists(
    st.lists(
        st.tuples(
            st.integers(0, 4),
            st.sampled_from(["true", "false", "failed", "passing", "stopped", "forgotten"]),
        ),
        max_size=6,
    ),
    max_size=5,
)


@given(EVENTS)
def test_states_of_every_kind_are_read_back_from_any_parts(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[int, str]]]
) -> None:
    folder = Checkpoint.create(tmp_path_factory.mktemp("run"), RUN, judged())
    steps, expected = Steps.blank(5), Steps.blank(5)
    clock = 0
    for part in parts:
        for at, event in part:
            clock += 1
            steps.undo(at)
            steps.problems.pop(at, None)
            expected.undo(at)
            expected.problems.pop(at, None)
            if event in {"true", "false"}:
                for each in (steps, expected):
                    each.done(at, 1, clock, state=event == "true")
            elif event != "forgotten":
                problem = RowFailed(
                    Reason.TIMEOUT,
                    f"At {clock}.",
                    outcome=Outcome.PENDING if event == "stopped" else Outcome.FAILED,
                    passing=event == "passing",
                    attempts=3,
                )
                steps.failed(at, clock, problem)
                if event == "failed":
                    expected.failed(at, clock, problem)
        folder.keep_states([at for at, _ in part], steps)
    assert same(Checkpoint(folder.folder).states(Steps.blank(5)), expected)


MATCHES = st.lists(
    st.builds(Match, st.sampled_from(["@1", "@2", "@3"]), st.integers(-1, 1), st.integers(0, 9)),
    min_size=1,
    max_size=3,
)


@given(st.lists(st.dictionaries(st.integers(0, 4), MATCHES), max_size=4))
def test_the_profiles_of_a_key_are_those_of_the_last_part(
    tmp_path_factory: pytest.TempPathFactory, parts: list[dict[int, list[Match]]]
) -> None:
    folder = Checkpoint.create(tmp_path_factory.mktemp("run"), RUN, judged())
    steps = Steps.blank(5, stamped=True)
    keys = ["@1", "b", "c", "d", "e"]
    for part in parts:
        for at, found in part.items():
            steps.undo(at)
            steps.found_at(at, 1, 1000, tuple(found), key=keys[at])
        folder.keep_states(list(part), steps)
    again = Checkpoint(folder.folder).states(Steps.blank(5, stamped=True))
    assert same(again, steps)
    assert list(again.matches(keys)) == list(steps.matches(keys))


def write_first_format(state_dir: Path) -> Path:
    """Write a checkpoint in the first format: no seal, and a list of profiles in a cell."""
    folder = checkpoint_folder(state_dir, RUN)
    folder.mkdir(parents=True)
    judged().to_parquet(folder / "rows.parquet", compression="zstd", index=False)
    part = {
        "position": [0, 1],
        "state": [1, 1],
        "attempts": [1, 1],
        "at_ms": [1_795_572_000_000] * 2,
        "outcome": [None, None],
        "reason": [None, None],
        "detail": [None, None],
        "passing": [False, False],
        "found": [[{"pkey": "@1", "state": 1, "changed_ms": 0}], []],
    }
    pq.write_table(pa.table(part), folder / "states-000001.parquet", compression="zstd")
    return folder


def test_a_checkpoint_in_the_first_format_is_refused_with_the_next_step(tmp_path: Path) -> None:
    folder = write_first_format(tmp_path)
    found = Checkpoint.find(tmp_path, RUN)
    assert found is not None
    for read_file in (found.rows, lambda: found.states(Steps.blank(5))):
        with pytest.raises(CheckpointProblem, match="another version of this program") as refused:
            read_file()
        assert str(folder) in str(refused.value)
        assert f"bulk-sync resume {RUN} --give-up" in str(refused.value)
        assert "--fresh" in str(refused.value)


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    folder = Checkpoint.create(tmp_path, RUN, judged())
    folder.keep_states([0], Steps.blank(5))
    assert folder.folder.stat().st_mode & 0o077 == 0
    for path in folder.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_folder_without_rows_is_no_run(tmp_path: Path) -> None:
    checkpoint_folder(tmp_path, RUN).mkdir(parents=True)
    assert Checkpoint.find(tmp_path, RUN) is None
    assert Checkpoint.find(tmp_path, "another") is None


def saved_run(state_dir: Path, rows: pd.DataFrame | None = None) -> Checkpoint:
    """Store a run that was read, compared and written."""
    rows = judged() if rows is None else rows
    folder = Checkpoint.create(state_dir, RUN, rows)
    steps = Steps.blank(len(comparison.open_rows(rows)))
    for at in range(len(comparison.open_rows(rows))):
        steps.done(at, 1, 1_795_572_000_000 + at, state=at % 2 == 0)
    folder.keep_states([0, 1], steps)
    folder.keep_states([2], steps)
    planned = comparison.compare(rows, steps)
    folder.keep_plan(planned)
    folder.keep_results(planned)
    folder.keep_place(PLACE)
    return folder


def read(path: Path) -> None:
    """Read everything needed by a resume or a retry."""
    folder = Checkpoint(path.parent)
    rows = folder.rows()
    folder.states(Steps.blank(len(comparison.open_rows(rows))))
    folder.plan(rows)
    folder.results(rows)


PLACE = ScanPosition("profilesAndServices", "acme/campaign/profile/?_lineStart=@abc", 1, 2, [])
FILES = [
    "rows.parquet",
    "states-000001.parquet",
    "states-000002.parquet",
    "plan.parquet",
    "results.parquet",
]


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced_by_a_list(path: Path) -> None:
    path.write_bytes(b"PKey,ccpaOptOut\n@a,true\n")


def one_bit_turned(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 4
    path.write_bytes(content)


def saved_again(path: Path) -> None:
    pq.write_table(pq.read_table(path), path)


def saved_without_a_version(path: Path) -> None:
    table = pq.read_table(path)
    notes = {
        name: value
        for name, value in table.schema.metadata.items()
        if not name.startswith(b"bulk-sync")
    }
    pq.write_table(table.replace_schema_metadata(notes), path)


def saved_by_a_later_version(path: Path) -> None:
    table = pq.read_table(path)
    notes = {b"bulk-sync.checkpoint": b"format 4; in another order"}
    with path.open("w+b") as file:
        sealed.write(file, table.schema, [table], notes)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "damage",
    [
        cut_off,
        emptied,
        replaced_by_a_list,
        one_bit_turned,
        saved_again,
        saved_without_a_version,
        saved_by_a_later_version,
    ],
    ids=lambda damage: str(damage.__name__),
)
def test_a_changed_file_is_refused_with_the_next_step(
    damage: Callable[[Path], None], name: str, tmp_path: Path
) -> None:
    path = saved_run(tmp_path).folder / name
    read(path)
    damage(path)
    with pytest.raises(CheckpointProblem) as refused:
        read(path)
    assert str(path) in str(refused.value)
    assert "another version" in str(refused.value) or "version" not in damage.__name__
    assert f"bulk-sync resume {RUN} --give-up" in str(refused.value)
    assert "--fresh" in str(refused.value)


def test_rows_that_are_gone_are_refused(tmp_path: Path) -> None:
    path = saved_run(tmp_path).folder / "rows.parquet"
    path.unlink()
    with pytest.raises(CheckpointProblem, match="cannot be read"):
        read(path)


@pytest.mark.parametrize("name", FILES[1:])
@pytest.mark.parametrize(
    "others",
    [
        judged().iloc[::-1].reset_index(drop=True),
        judged().assign(**{columns.KEY: pd.Series([f"@k{at}" for at in range(6)], dtype="str")}),
        judged(12),
    ],
    ids=["another order", "other keys", "more rows"],
)
def test_a_file_about_other_rows_is_refused(
    name: str, others: pd.DataFrame, tmp_path: Path
) -> None:
    strange = saved_run(tmp_path / "other", others).folder / name
    path = saved_run(tmp_path).folder / name
    path.write_bytes(strange.read_bytes())
    with pytest.raises(CheckpointProblem, match="belongs to other rows"):
        read(path)


def test_the_place_in_the_list_is_ignored_for_other_rows(tmp_path: Path) -> None:
    folder, other = saved_run(tmp_path), saved_run(tmp_path / "other", judged(12))
    assert folder.place() == PLACE
    path = folder.folder / "list.json"
    content = path.read_bytes()
    for damaged in (
        content.replace(b"@abc", b"@abd"),
        content[:-1],
        content.partition(b"\n")[2],
        b"",
        (other.folder / "list.json").read_bytes(),
    ):
        path.write_bytes(damaged)
        assert Checkpoint(folder.folder).place() is None


def test_a_folder_whose_name_holds_an_equals_sign_adds_no_column(tmp_path: Path) -> None:
    folder = saved_run(tmp_path / "team=ccpa")
    pd.testing.assert_frame_equal(folder.rows(), judged())
    assert folder.states(Steps.blank(5)).state.tolist() == [1, 0, 1, -1, -1]


def test_other_files_in_the_folder_are_ignored(tmp_path: Path) -> None:
    folder = saved_run(tmp_path)
    (folder.folder / "states-copy of 1.parquet").write_bytes(b"")
    assert [each.folder for each in all_checkpoints(tmp_path)] == [folder.folder]
    read(folder.folder / "rows.parquet")


def test_a_run_without_a_checkpoint_does_not_begin(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(UsageProblem, match="--state-dir"):
        Checkpoint.create(tmp_path, RUN, judged())


@pytest.mark.parametrize("limit", [0, 4, 1000, 3000])
def test_on_a_full_disk_a_run_does_not_begin(tmp_path: Path, limit: int) -> None:
    with full_disk(limit), pytest.raises(DiskFull, match="was not begun"):
        Checkpoint.create(tmp_path, RUN, judged())
    assert list(all_checkpoints(tmp_path)) == []


@pytest.mark.parametrize("limit", [0, 4, 1000, 3000])
def test_on_a_full_disk_an_older_plan_stays(tmp_path: Path, limit: int) -> None:
    rows = judged()
    folder = saved_run(tmp_path)
    before = folder.plan(rows)
    assert before is not None
    assert folder.plan_path.stat().st_size > limit
    with full_disk(limit), pytest.raises(DiskFull, match=r"plan\.parquet could not be written"):
        folder.keep_plan(comparison.compare(rows, Steps.blank(4)))
    after = Checkpoint(folder.folder).plan(rows)
    assert after is not None
    pd.testing.assert_frame_equal(after, before)


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    folder = Checkpoint.create(tmp_path, RUN, judged())
    assert [each.folder for each in all_checkpoints(tmp_path)] == [folder.folder]
    folder.remove()
    assert list(all_checkpoints(tmp_path)) == []
    assert list(all_checkpoints(tmp_path / "nowhere")) == []
