"""The cost of a run in calls, counted by the server."""

from pathlib import Path

import pytest
from conftest import Run, key, populate, write_states

from bulk_sync.simulator import Apis, Options, running


@pytest.mark.parametrize(
    ("rows", "profiles", "changes", "most"),
    [(5_000, 10_000, 1000, 1110), (500, 10_000, 50, 160), (60, 10_000, 6, 69)],
)
@pytest.mark.parametrize("apis", [Apis.BOTH, Apis.SINGULAR])
def test_a_run_spends_the_fewest_calls(
    rows: int, profiles: int, changes: int, most: int, apis: Apis, tmp_path: Path, run: Run
) -> None:
    with running(Options(max_line_count=100, apis=apis)) as sim:
        populate(sim, profiles, state=True)
        # The keys are spread over the list, in the list's own order.
        wanted = [number * (profiles // rows) for number in range(rows)]
        for number in wanted[:changes]:
            sim.profiles[key(number)]["ccpaOptOut"] = False
        path = tmp_path / "in.csv"
        path.write_text("PKey,ccpaOptOut\n" + "".join(f"{key(each)},true\n" for each in wanted))
        ran = run(sim, "run", path, "--summary", "json", "--report", "report.parquet")
        assert ran.status == 0, ran.err
        assert ran.summary["outcomes"] == {"unchanged": rows - changes, "updated": changes}
        assert len(sim.patched) == changes
        assert len(sim.requests) == ran.summary["calls_total"] <= most


def test_a_budget_too_small_for_one_change_is_named(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, 1)
        ran = run(
            sim, "run", write_states(tmp_path / "in.csv", 1), "--verify", "--max-calls", 4, "--yes"
        )
        assert (ran.status, sim.patched) == (6, [])
        assert "he budget leaves 1 call, and one change takes 2." in " ".join(ran.err.split())
