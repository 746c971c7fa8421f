"""What a run puts into its folder is what it finds there again."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bulk_sync import workset
from bulk_sync.errors import RowFailed, UsageProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import check, columns, plan
from bulk_sync.rows.check import Rules
from bulk_sync.rows.steps import Steps
from bulk_sync.workset import WorkingSet

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
    def told(steps: Steps) -> list[object]:
        return [
            (at, problem.reason, problem.detail, problem.outcome, problem.attempts)
            for at, problem in sorted(steps.problems.items())
        ]

    return (
        found.state.tolist() == expected.state.tolist()
        and found.attempts.tolist() == expected.attempts.tolist()
        and found.at_ms.tolist() == expected.at_ms.tolist()
        and told(found) == told(expected)
    )


def test_rows_plan_and_results_come_back_as_they_were(tmp_path: Path) -> None:
    rows = judged()
    folder = WorkingSet.create(tmp_path, RUN, rows)
    steps = Steps.of(len(plan.open_rows(rows)))
    steps.done(0, 2, 1_795_572_000_123, state=False)
    planned = plan.compare(rows, steps)
    folder.keep_plan(planned)
    folder.keep_results(planned)
    found = WorkingSet.find(tmp_path, RUN)
    assert found is not None
    pd.testing.assert_frame_equal(found.rows(), rows)
    for kept in (found.plan(rows), found.results(rows)):
        assert kept is not None
        pd.testing.assert_frame_equal(kept, planned)


def test_there_is_no_plan_until_it_was_kept(tmp_path: Path) -> None:
    folder = WorkingSet.create(tmp_path, RUN, judged())
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
def test_states_come_back_whatever_happened_in_whatever_parts(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[int, str]]]
) -> None:
    folder = WorkingSet.create(tmp_path_factory.mktemp("run"), RUN, judged())
    steps, expected = Steps.of(5), Steps.of(5)
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
                )
                problem.attempts = 3
                steps.failed(at, clock, problem)
                if event == "failed":
                    expected.failed(at, clock, problem)
        folder.keep_states([at for at, _ in part], steps)
    assert same(WorkingSet(folder.folder).states(5), expected)


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    folder = WorkingSet.create(tmp_path, RUN, judged())
    folder.keep_states([0], Steps.of(5))
    assert folder.folder.stat().st_mode & 0o077 == 0
    for path in folder.folder.iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_a_folder_without_rows_is_no_run(tmp_path: Path) -> None:
    workset.folder_of(tmp_path, RUN).mkdir(parents=True)
    assert WorkingSet.find(tmp_path, RUN) is None
    assert WorkingSet.find(tmp_path, "another") is None


def cut_off(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-10])


@pytest.mark.parametrize("damage", [cut_off, Path.unlink], ids=["cut off", "gone"])
def test_damaged_rows_are_refused_with_the_next_step(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    folder = WorkingSet.create(tmp_path, RUN, judged())
    damage(folder.folder / "rows.parquet")
    with pytest.raises(UsageProblem, match="--fresh"):
        folder.rows()


def test_a_run_that_cannot_be_kept_is_not_begun(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("in the way")
    with pytest.raises(UsageProblem, match="--state-dir"):
        WorkingSet.create(tmp_path, RUN, judged())


def test_removing_leaves_nothing(tmp_path: Path) -> None:
    folder = WorkingSet.create(tmp_path, RUN, judged())
    assert [each.folder for each in workset.all_of(tmp_path)] == [folder.folder]
    folder.remove()
    assert list(workset.all_of(tmp_path)) == []
    assert list(workset.all_of(tmp_path / "nowhere")) == []
