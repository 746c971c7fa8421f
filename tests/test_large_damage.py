"""Damaged or missing files of large runs: nothing is written or reported from them."""

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import Run, before_answer, key, read_csv
from large_inputs import in_slices

from bulk_sync.simulator import Simulator

ROWS = 100
SCAN = ("--fetch", "scan", "--page-size", "10", "--concurrency", "1", "--allow", "inverted")
STAGES = {"half the list": 6, "divided": 11, "half written": 20}
"""Calls of a run until that stage."""

CANNOT_GO_ON = "cannot go on: {} {}.*with --fresh; .* --give-up"


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """Return a Campaign, beside a file that changes every fourth profile."""
    for at in range(ROWS):
        sim.add(pkey=key(at), email=f"p{at}@example.com", ccpaOptOut=at % 4 > 0)
    rows = [f"{key(at)},true" for at in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, rows[1], ""]))
    return sim


def stop(stage: str, sim: Simulator, run: Run) -> tuple[Path, Path]:
    """Run the input until a stage; return its checkpoint and its report."""
    with in_slices():
        ran = run(sim, "run", "in.csv", *SCAN, "--max-calls", STAGES[stage])
    assert ran.status == 6, ran.err
    (folder,) = (ran.folder / "state" / "runs").iterdir()
    (report,) = ran.folder.glob("*.results.csv")
    return folder, report


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[10] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("stage", "name", "damage"),
    [
        ("half the list", "whole.parquet", Path.unlink),
        ("half the list", "input-000002.parquet", flip_a_bit),
        ("half the list", "listed-000001.parquet", flip_a_bit),
        ("half the list", "listed-000001.parquet", Path.unlink),
        ("divided", "rest-000002.parquet", flip_a_bit),
        ("half written", "rest-000002.parquet", Path.unlink),
        ("half written", "input-000002.parquet", flip_a_bit),
        ("half written", "input-000002.parquet", Path.unlink),
        ("half written", "whole.parquet", flip_a_bit),
        ("half written", "positions.parquet", flip_a_bit),
        ("half written", "positions.parquet", Path.unlink),
    ],
)
def test_a_damaged_run_writes_nothing_more_and_the_input_can_be_run_anew(
    stage: str,
    name: str,
    damage: Callable[[Path], None],
    filled: Simulator,
    run: Run,
) -> None:
    folder, report = stop(stage, filled, run)
    before, patched = report.read_text(), len(filled.patched)
    assert (patched > 0) is (stage == "half written")
    damage(folder / name)
    ran = run(filled, "resume")
    if damage is Path.unlink and name.startswith("listed-"):
        assert ran.status == 0, ran.err  # the list is read once more
    else:
        assert ran.status == 2, ran.err
        is_there = any((folder / each).exists() for each in ("rows.parquet", "whole.parquet"))
        what = "cannot be read" if damage is Path.unlink else "is damaged"
        says = CANNOT_GO_ON.format(folder / name, what) if is_there else "is not at .* --give-up"
        assert re.search(says, ran.err)
        assert "Traceback" not in ran.err
        assert len(filled.patched) == patched
        assert report.read_text() == before
        with in_slices():
            ran = run(filled, "run", "in.csv", *SCAN, "--fresh", "--report", "anew.csv")
        assert ran.status == 0, ran.err
        report = ran.folder / "anew.csv"
    assert sorted(filled.patched) == [(key(at), True) for at in range(0, ROWS, 4)]
    rows = read_csv(report)
    assert [row["PKey"] for row in rows] == [*(key(at) for at in range(ROWS)), key(1)]
    assert {row["sync_after"] for row in rows} == {"true"}
    assert run(None, "ledger", "verify").status == 0


def test_lost_pages_of_the_list_cost_calls_and_change_no_result(
    filled: Simulator, run: Run
) -> None:
    folder, report = stop("half the list", filled, run)
    with in_slices():
        assert run(filled, "resume", "--max-calls", 3).status == 6
    first, _ = sorted(folder.glob("listed-*"))
    first.unlink()
    filled.requests.clear()
    ran = run(filled, "resume")
    assert ran.status == 0, ran.err
    assert sorted(filled.patched) == [(key(at), True) for at in range(0, ROWS, 4)]
    assert {row["sync_after"] for row in read_csv(report)} == {"true"}
    requested = [each.raw_path.rpartition("/")[2] for each in filled.requests]
    assert {quote(key(at)) for at in range(50)} <= set(requested)


@pytest.mark.parametrize("name", ["whole", "input-000002", "rest-000002"])
def test_a_part_lost_while_changes_are_written_costs_only_the_report(
    name: str, filled: Simulator, run: Run, tmp_path: Path
) -> None:
    def lose() -> None:
        (path,) = (tmp_path / "state" / "runs").glob(f"*/{name}.parquet")
        path.unlink()

    before_answer(filled, "PATCH", 5, lose)
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN, "--report", "r.csv", "--summary", "json")
        assert ran.summary["outcomes"] == {"unchanged": 75, "updated": 25, "duplicate": 1}
        assert (ran.status == 0) is (name == "whole")  # its counts are in memory
        if ran.status:
            assert ran.status == 6
            assert "What was changed in Campaign stays so." in ran.summary["message"]
            assert run(filled, "resume").status == 2
            ran = run(filled, "run", "in.csv", *SCAN, "--fresh", "--report", "r.csv")
    assert ran.status == 0, ran.err
    assert {row["sync_after"] for row in read_csv(tmp_path / "r.csv")} == {"true"}
    assert sorted(filled.patched) == [(key(at), True) for at in range(0, ROWS, 4)]
