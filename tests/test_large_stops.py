"""Runs of large inputs killed, stopped or out of room at each stage: they can be resumed."""

from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from urllib.parse import quote

import pytest
from conftest import Ran, Run, before_answer, key, kill_at, read_csv, signal_before_answer
from full_disk import full_disk
from large_inputs import MOMENTS_OF_RUN, at_moment, in_groups, in_slices, spilling

from bulk_sync import ledger
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator

ROWS, CHANGES = 100, 25
PAGES = 10
SCAN = ("--fetch", "scan", "--page-size", "10", "--allow", "inverted")
BY_DATABASE = {"sorting", "joining"}


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """Return a Campaign, and a file that repeats a row and changes every fourth profile."""
    fill(sim)
    rows = [f"{key(at)},true" for at in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, rows[0], ""]))
    return sim


def fill(sim: Simulator) -> None:
    for at in range(ROWS):
        sim.add(pkey=key(at), email=f"p{at}@example.com", ccpaOptOut=at % 4 > 0)


def check_done(ran: Ran, sim: Simulator, run: Run) -> None:
    """Check that each change was made and recorded once, and no file is left."""
    state_dir = ran.folder / "state"
    assert ran.status == 0, ran.err
    assert sorted(sim.patched) == [(key(at), True) for at in range(0, ROWS, 4)]
    reports = [read_csv(path) for path in ran.folder.glob("*.results.csv")]
    rows = reports[-1]
    assert [row["PKey"] for row in rows] == [*(key(at) for at in range(ROWS)), key(0)]
    outcomes = ["unchanged" if at % 4 else "updated" for at in range(ROWS)]
    assert [row["sync_outcome"] for row in rows] == [*outcomes, "duplicate"]
    assert all(row["sync_after"] == "true" for row in rows)
    with ledger.open_ledger(State(state_dir)) as book:
        assert book.verify()[1] is None
        last = book.runs()[-1]
        assert last.ended is not None
        assert last.ended.outcomes == {"duplicate": 1, "unchanged": 75, "updated": 25}
        assert len(list(book.writes(last.run_id))) == CHANGES
    assert run(None, "tidy").status == 0
    assert not (state_dir / "runs" / last.run_id).exists()
    assert not list((state_dir / "checks").iterdir())


def go_on(run: Run, sim: Simulator, *words: object) -> Ran:
    """Resume the run; start the same command again if none had begun."""
    with in_slices():
        ran = run(sim, "resume", *words)
        if "nothing to resume" in ran.out:
            assert sim.patched == []
            ran = run(sim, "run", "in.csv", *SCAN, *words)
    return ran


@contextmanager
def without_room(moment: str) -> Iterator[None]:
    """Fill the disk at a moment."""
    with ExitStack() as full, at_moment(moment, lambda: full.enter_context(full_disk(1000))):
        yield


@pytest.mark.parametrize("moment", MOMENTS_OF_RUN)
def test_a_killed_run_is_resumed(moment: str, filled: Simulator, tmp_path: Path, run: Run) -> None:
    kill_at(moment, filled, tmp_path, "run", "in.csv", *SCAN)
    was_put_aside = any((tmp_path / "state" / "checks").glob("*/sorting/*.tmp"))
    assert was_put_aside is (moment in BY_DATABASE)
    check_done(go_on(run, filled), filled, run)


@pytest.mark.parametrize("moment", MOMENTS_OF_RUN)
def test_a_run_without_room_ends_with_6_and_is_resumed_with_room(
    moment: str, filled: Simulator, run: Run
) -> None:
    with in_slices(), spilling(), without_room(moment):
        ran = run(filled, "run", "in.csv", *SCAN)
    assert ran.status == 6, ran.err
    assert "Traceback" not in ran.err
    assert moment not in BY_DATABASE or "has no room for the parts of the input" in ran.err
    assert not filled.patched or moment.startswith("writing")
    check_done(go_on(run, filled), filled, run)


PLAN = ("plan", "in.csv", "--out", "p.parquet", *SCAN)


@pytest.mark.parametrize("moment", ["joining", "writing the plan"])
def test_a_killed_plan_is_made_by_the_same_command(
    moment: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    kill_at(moment, filled, tmp_path, *PLAN)
    assert not (tmp_path / "p.parquet").exists()
    check_planned(filled, run)


def test_a_plan_without_room_is_made_by_the_same_command(filled: Simulator, run: Run) -> None:
    with in_slices(), without_room("writing the plan"):
        ran = run(filled, *PLAN)
    assert ran.status == 6, ran.err
    check_planned(filled, run)


def check_planned(sim: Simulator, run: Run) -> None:
    """Check that a plan goes on without reading the list again, and can be applied."""
    sim.requests.clear()
    with in_slices():
        ran = run(sim, *PLAN)
        assert ran.status == 0, ran.err
        assert len(pages_of(sim)) <= 1  # a look at the first profile
        ran = run(sim, "apply", "p.parquet")
    check_done(ran, sim, run)


OF_APPLY = ("keeping the rows", "keeping the rest", "writing", "writing the report")


@pytest.mark.parametrize("moment", OF_APPLY)
def test_a_killed_apply_is_resumed(
    moment: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    with in_slices():
        assert run(filled, *PLAN).status == 0
    kill_at(moment, filled, tmp_path, "apply", "p.parquet")
    with in_groups():
        check_done(run(filled, "apply", "p.parquet"), filled, run)


@pytest.mark.parametrize("moment", OF_APPLY)
def test_an_apply_without_room_ends_with_6_and_is_resumed_with_room(
    moment: str, filled: Simulator, run: Run
) -> None:
    with in_slices():
        assert run(filled, *PLAN).status == 0
    with in_groups():
        with without_room(moment):
            ran = run(filled, "apply", "p.parquet")
        assert ran.status == 6, ran.err
        check_done(run(filled, "apply", "p.parquet"), filled, run)


def test_a_killed_check_leaves_no_files(filled: Simulator, tmp_path: Path, run: Run) -> None:
    kill_at("sorting", filled, tmp_path, "validate", "in.csv")
    checks = tmp_path / "state" / "checks"
    assert any(checks.iterdir())
    check_validated(run, checks)


def test_a_check_without_room_ends_with_6(filled: Simulator, tmp_path: Path, run: Run) -> None:
    with in_slices(), spilling(), without_room("sorting"):
        ran = run(filled, "validate", "in.csv")
    assert ran.status == 6, ran.err
    assert "start the command again" in ran.err
    check_validated(run, tmp_path / "state" / "checks")


def check_validated(run: Run, checks: Path) -> None:
    with in_slices():
        ran = run(None, "validate", "in.csv", "--summary", "json")
    assert ran.summary["outcomes"] == {"usable": ROWS, "duplicate": 1}
    assert not any(checks.iterdir())


def test_sigterm_while_the_list_is_read_keeps_the_place_in_it(filled: Simulator, run: Run) -> None:
    signal_before_answer(filled, "GET", 4)
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN)
    assert ran.status == 143, ran.err
    assert ran.outcomes.count("pending") == ROWS + 1 - ran.outcomes.count("duplicate")
    pages = pages_of(filled)
    filled.clear()
    check_done(go_on(run, filled), filled, run)
    assert len(pages) + len(pages_of(filled)) == PAGES + 1  # the first one is a preflight too
    assert not set(pages[1:]) & set(pages_of(filled))


def pages_of(sim: Simulator) -> list[str]:
    """Return the requests of the list."""
    return [each.target for each in sim.requests if each.raw_path.endswith(("profile", "profile/"))]


def test_a_budget_may_end_while_the_list_is_read(filled: Simulator, run: Run) -> None:
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN, "--max-calls", 4, "--summary", "json")
        assert ran.status == 6, ran.err
        assert ran.summary["outcomes"] == {"duplicate": 1, "pending": ROWS}
        assert ran.summary["calls_total"] == 4
        first = len(pages_of(filled))
        assert ran.summary["to_come"]["calls"] == PAGES - first
        filled.clear()
        ran = run(filled, "resume", "--max-calls", 99)
    check_done(ran, filled, run)
    assert first + len(pages_of(filled)) == PAGES + 1


@pytest.mark.parametrize("calls", [None, 6], ids=["in one go", "after a stop"])
def test_a_profile_that_the_list_shows_in_two_states_is_looked_up(
    calls: int | None, filled: Simulator, run: Run
) -> None:
    def show_again() -> None:
        filled.profiles[key(0)]["ccpaOptOut"] = True
        filled.profiles[key(1)]["ccpaOptOut"] = False
        filled.snapshot[1].extend([key(0), key(1), key(2)])

    words: tuple[object, ...] = ("run", "in.csv", *SCAN)
    with in_slices():
        if calls:
            assert run(filled, *words, "--max-calls", calls).status == 6
            words = ("resume",)
        before_answer(filled, "GET", 3, show_again)
        ran = run(filled, *words)
    assert ran.status == 0, ran.err
    requested = Counter(each.raw_path.rpartition("/")[2] for each in filled.requests)
    assert [requested[quote(key(at))] for at in range(4)] == [1, 2, 0, 0]  # 1 is written too
    assert sorted(filled.patched) == [(key(at), True) for at in (1, *range(4, ROWS, 4))]
    outcomes = [row["sync_outcome"] for row in ran.report]
    assert outcomes[:5] == ["unchanged", "updated", "unchanged", "unchanged", "updated"]
    assert outcomes[ROWS] == "duplicate"
