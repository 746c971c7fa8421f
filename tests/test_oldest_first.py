"""Rows with request dates are processed oldest first: a budget cuts off the newest."""

import random
from datetime import date, timedelta
from pathlib import Path

import pytest
from conftest import Ran, Run, key, populate

from bulk_sync.rows import columns
from bulk_sync.simulator import Simulator

ROWS = 20
ALREADY = range(0, ROWS, 5)
"""Rows whose state Campaign has before the run."""

LOOKUP = ("--fetch", "lookup")


@pytest.fixture
def order() -> list[int]:
    """Return the rows from the oldest request to the newest; the last two are undated."""
    return random.Random(7).sample(range(ROWS), ROWS)


@pytest.fixture
def requests(order: list[int], sim: Simulator, tmp_path: Path) -> Path:
    """Write a file with rows in another order than their dates."""
    populate(sim, ROWS)
    for number in ALREADY:
        sim.profiles[key(number)]["ccpaOptOut"] = True
    order[-2:] = sorted(order[-2:])
    dates = dict.fromkeys(order[-2:], "unknown")
    for age, number in enumerate(order[:-2]):
        dates[number] = str(date(2026, 9, 20) + timedelta(days=age))
    path = tmp_path / "in.csv"
    lines = [f"{key(number)},true,{dates[number]}" for number in range(ROWS)]
    path.write_text("\n".join(["PKey,ccpaOptOut,Request date", *lines, ""]))
    return path


def places(ran: Ran, outcome: str) -> set[int]:
    return {at for at, found in enumerate(ran.outcomes) if found == outcome}


def changed(order: list[int]) -> list[int]:
    return [number for number in order if number not in ALREADY]


def patched(sim: Simulator) -> list[int]:
    return [int(pkey[-11:]) for pkey, _ in sim.patched]


def test_a_budget_cuts_off_the_lookups_of_the_newest_requests(
    order: list[int], requests: Path, sim: Simulator, run: Run
) -> None:
    ran = run(sim, "run", requests, *LOOKUP, "--max-calls", 1 + 8)
    assert ran.status == 6
    assert places(ran, "unchanged") == set(order[:8]) & set(ALREADY)
    assert {at for at, row in enumerate(ran.report) if row["sync_before"]} == set(order[:8])

    requests.unlink()
    ran = run(sim, "resume", "--max-calls", 100)
    assert ran.status == 0
    assert places(ran, "unchanged") == set(ALREADY)
    assert places(ran, "updated") == set(changed(order))
    profiles = [each for each in sim.requests if "/profile/" in each.raw_path]
    reads = [each.raw_path for each in profiles if each.method == "GET"]
    assert len(reads) == len(set(reads)) == ROWS


@pytest.mark.parametrize("concurrency", [1, 16])
def test_a_budget_cuts_off_the_writes_of_the_newest_requests(
    concurrency: int, order: list[int], requests: Path, sim: Simulator, run: Run
) -> None:
    words = ("--concurrency", concurrency, "--max-calls", 1 + ROWS + 7)
    ran = run(sim, "run", requests, *LOOKUP, *words)
    assert ran.status == 6
    assert places(ran, "updated") == set(changed(order)[:7])
    assert places(ran, "pending") == set(changed(order)[7:])

    ran = run(sim, "resume", "--concurrency", 1, "--max-calls", 100)
    assert ran.status == 0
    assert places(ran, "updated") == set(changed(order))
    assert patched(sim)[7:] == changed(order)[7:]


def test_a_plan_is_carried_out_oldest_first(
    order: list[int], requests: Path, sim: Simulator, run: Run
) -> None:
    assert run(sim, "plan", requests, "--out", "plan.parquet", "--report", "p.json").status == 0
    words = ("--concurrency", 1, "--max-calls", 1 + 2 * 6)
    assert run(sim, "apply", "plan.parquet", *words).status == 6
    assert patched(sim) == changed(order)[: len(patched(sim))]
    assert run(sim, "apply", "plan.parquet", "--concurrency", 1).status == 0
    assert patched(sim) == changed(order)


def test_the_report_keeps_the_order_and_the_columns_of_the_input(
    requests: Path, sim: Simulator, run: Run
) -> None:
    ran = run(sim, "run", requests)
    assert ran.status == 0
    assert "2 request dates cannot be read (row " in ran.err
    assert [row["sync_row"] for row in ran.report] == [str(at) for at in range(2, ROWS + 2)]
    own = [name for name in ran.report[0] if name not in columns.REPORT]
    assert own == ["PKey", "ccpaOptOut", "Request date"]


def test_a_refusal_names_rows_in_the_order_of_the_input(
    requests: Path, sim: Simulator, run: Run
) -> None:
    ran = run(sim, "run", requests, "--max-changes", 1)
    assert ran.status == 4
    assert "(rows 3, 4, 5, 6, 8, ...)" in ran.err


@pytest.mark.parametrize("where", ["command line", "variable", "file"])
def test_the_column_is_named_like_any_option(
    where: str,
    order: list[int],
    requests: Path,
    sim: Simulator,
    run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requests.write_text(requests.read_text().replace("Request date", "when"))
    words: tuple[object, ...] = ()
    if where == "command line":
        words = ("--date-column", "when")
    elif where == "variable":
        monkeypatch.setenv("BULK_SYNC_DATE_COLUMN", "when")
    else:
        Path("bulk-sync.toml").write_text('date-column = "when"\n')
    ran = run(sim, "run", requests, *LOOKUP, "--concurrency", 1, *words)
    assert ran.status == 0, ran.err
    assert patched(sim) == changed(order)


@pytest.mark.parametrize("command", ["run", "plan", "validate"])
def test_a_column_that_is_not_there_is_refused(
    command: str, requests: Path, sim: Simulator, run: Run
) -> None:
    ran = run(sim, command, requests, "--date-column", "when")
    assert ran.status == 2
    assert "--date-column 'when'" in ran.err
    assert sim.requests == []
