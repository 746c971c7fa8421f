"""The budget of a day for all runs together."""

import asyncio
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Run, before_answer, key, populate, process, write_states

from bulk_sync import ledger
from bulk_sync.campaign.call_budget import Calls, Grant
from bulk_sync.errors import StoppedEarly
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Options, Simulator, running

WHOSE = "acme-0123456789ab"
LOOKUP = ("--fetch", "lookup")


def today() -> str:
    return f"{datetime.now(UTC):%Y-%m-%d}"


def spent(folder: Path) -> int:
    """Return the calls counted today in the ledger of a test."""
    with ledger.open_ledger(State(folder / "state")) as book:
        rows = book._connection.exec_driver_sql("SELECT sum(spent) FROM calls").scalar()
    return int(rows or 0)


def test_a_run_that_has_spent_the_day_stops_and_the_next_day_goes_on(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    ran = run(sim, "run", path, *LOOKUP, "--max-calls-per-day", 40)
    assert ran.status == 6
    tomorrow = datetime.now(UTC).date() + timedelta(days=1)
    assert f"--max-calls-per-day). There are new ones from {tomorrow} 00:00 UTC" in ran.err
    assert "bulk-sync resume" in ran.out
    assert len(sim.requests) == 40 == spent(tmp_path)
    assert run(sim, "resume", "--max-calls-per-day", 40).status == 6
    assert len(sim.requests) == 40
    ran = run(sim, "resume")  # the present budget counts, and there is none
    assert ran.status == 0
    assert len(sim.patched) == 30
    assert len(sim.requests) == spent(tmp_path)


def test_commands_that_only_read_count_too(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    assert run(sim, "plan", path, *LOOKUP).status == 0
    assert run(sim, "plan", path, *LOOKUP, "--max-calls-per-day", 500).status == 0
    assert run(sim, "run", path, *LOOKUP, "--dry-run").status == 0
    assert run(sim, "run", path, *LOOKUP).status == 0
    assert run(sim, "audit", *LOOKUP, "--report", "a.csv").status == 0
    assert len(sim.requests) == spent(tmp_path) > 4 * 30
    sim.clear()
    for words in (("plan", path), ("audit",), ("run", path, "--fresh")):
        assert run(sim, *words, "--max-calls-per-day", 100).status == 6
    assert not sim.requests


@pytest.mark.parametrize("option", ["--max-calls", "--max-calls-per-day"])
def test_the_present_budget_counts(
    option: str, sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    assert run(sim, "run", path, *LOOKUP, option, 40).status == 6
    assert run(sim, "resume").status == 0
    sim.clear()
    assert run(sim, "audit", *LOOKUP, "--report", "all.csv").status == 0
    assert len(sim.requests) == 31
    sim.clear()
    monkeypatch.setenv(f"BULK_SYNC_{option.strip('-').replace('-', '_').upper()}", "20")
    assert run(sim, "audit", *LOOKUP, "--report", "some.csv").status == 6
    assert len(sim.requests) == (20 if option == "--max-calls" else 0)


def test_a_killed_run_has_counted_its_calls(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.05)) as sim:
        populate(sim, 1000)
        path = write_states(tmp_path / "in.csv", 1000)
        words = ("run", str(path), "-q", *LOOKUP, "--concurrency", "8")
        with process(sim, tmp_path, *words) as killed:  # 160 a second, and so blocks of 50
            while len(sim.requests) < 220:
                threading.Event().wait(0.002)
            killed.kill()
            killed.wait()
        threading.Event().wait(0.2)  # until the answers to its last requests
        sent = len(sim.requests)
        assert sent <= spent(tmp_path) <= sent + 75 + 8
        sim.clear()
        ran = run(sim, "resume", "-q", "--max-calls-per-day", spent(tmp_path))
        assert (ran.status, len(sim.requests)) == (6, 0)


def test_a_budget_that_is_spent_early_costs_no_row(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    path = write_states(tmp_path / "in.csv", 20)
    ran = run(sim, "run", path, *LOOKUP, "--max-calls-per-day", 7, "--concurrency", 3)
    assert ran.status == 6
    assert set(ran.outcomes) == {"pending"}
    assert {row["sync_reason"] for row in ran.report} == {"stopped"}


def test_a_plan_forecasts_days_and_runs(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 100)
    path = write_states(tmp_path / "in.csv", 100)
    words = ("--fetch", "scan", "--max-calls-per-day", 30, "--max-calls", 50)
    ran = run(sim, "plan", path, *words)
    last = datetime.now(UTC).date() + timedelta(days=3)
    left = 30 - len(sim.requests)
    assert f"Of today's 30 calls (--max-calls-per-day; days are UTC) {left} are left." in ran.out
    assert f"it takes 3 more days and is done on {last}" in ran.out
    assert "50 calls a run (--max-calls) it must be resumed 2 times" in ran.out
    ran = run(sim, "plan", path, *words, "--out", tmp_path / "plan.parquet")
    assert "200 to come" in ran.out  # ``apply`` reads each profile again first


def test_a_forecast_is_right(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 50)
    path = write_states(tmp_path / "in.csv", 50)
    words = (path, "--fetch", "scan", "--max-calls", 4)
    shown = run(sim, "plan", path, *LOOKUP).out
    assert "Calls: 51 made, 50 to come and 51 to read everything again" in shown
    assert run(sim, "plan", path, *LOOKUP, "--max-calls", 31).status == 6
    shown = run(sim, "resume").out
    assert "Calls: 21 made, 50 to come and 52 to read everything again" in shown
    shown = run(sim, "plan", *words).out
    found = re.search(r"must be resumed (\d+) times", shown)
    assert found is not None, shown
    assert run(sim, "run", *words).status == 6
    resumed = 1
    while run(sim, "resume", "--max-calls", 4).status == 6:
        resumed += 1
    assert resumed == int(found[1])


def test_a_run_forecasts_with_what_reading_left_of_its_budget(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 10), *LOOKUP, "--max-calls", 13)
    assert ran.status == 6
    assert "Calls: 11 made, 10 to come" in ran.out
    assert "With 13 calls a run (--max-calls) it must be resumed 1 time." in ran.out
    assert run(sim, "resume", "--max-calls", 13).status == 0


@pytest.mark.parametrize("option", ["--max-calls", "--max-calls-per-day"])
@pytest.mark.parametrize(
    ("command", "words", "least"),
    [
        ("run", (), 2),
        ("run", ("--verify",), 3),
        ("plan", (), 2),
        ("plan", ("--out", "p.parquet"), 2),
        ("run", ("--dry-run",), 2),
        ("resume", (), 2),
        ("resume", ("--verify",), 3),
        ("audit", (), 2),
        ("apply", (), 3),
        ("apply", ("--verify",), 4),
        ("undo", (), 3),
        ("retry", (), 2),
    ],
    ids=str,
)
def test_a_budget_too_small_for_any_row_is_refused_with_the_least_useful_one(
    command: str,
    words: tuple[str, ...],
    least: int,
    option: str,
    sim: Simulator,
    tmp_path: Path,
    run: Run,
) -> None:
    populate(sim, 3)
    path = write_states(tmp_path / "in.csv", 4)
    args: tuple[object, ...] = (path, *words)
    if command in {"audit", "undo", "retry"}:
        sim.forbidden.add(key(0))
        assert run(sim, "run", path, "--report", "r.csv").status == 3
        args = () if command == "audit" else (newest_run_id(tmp_path),)
    elif command == "resume":
        begun = ("run", path, *LOOKUP, *words, "--max-calls", 5, "--report", "r.csv")
        assert run(sim, *begun).status == 6
        args = (newest_run_id(tmp_path),)
    elif command == "apply":
        assert run(sim, "plan", path, "--out", "plan.parquet").status == 3
        args = ("plan.parquet", *words)
    sim.clear()
    before = spent(tmp_path)
    ran = run(sim, command, *args, option, least - 1)
    assert (ran.status, sim.requests) == (6, [])
    assert f"Give at least {option} {least}." in ran.err
    if "bulk-sync resume" in ran.out:
        assert f" {option} {least}\n" in ran.out + "\n"
    again = ("--fresh",) if command == "run" and "--dry-run" not in words else ()
    if command in {"undo", "retry"}:
        command, args = "resume", ()
    enough = least + before if option == "--max-calls-per-day" else least
    ran = run(sim, command, *args, *again, option, enough, "--report", "enough.csv")
    assert "Give at least" not in ran.err
    assert sim.requests


def newest_run_id(folder: Path) -> str:
    with ledger.open_ledger(State(folder / "state")) as book:
        return book.runs()[-1].run_id


@pytest.mark.parametrize("words", [("--verify",), ("--verify", "--concurrency", "64"), ()])
@pytest.mark.parametrize("option", ["--max-calls", "--max-calls-per-day"])
def test_every_budget_of_three_calls_gets_something_done(
    option: str, words: tuple[str, ...], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 6)
    path = write_states(tmp_path / "in.csv", 6)
    ran = run(sim, "run", path, *words, *LOOKUP, "--max-calls", 7)  # one to begin, six to read
    assert (ran.status, len(sim.requests)) == (6, 7)
    for changes in range(1, 7):
        budget = 3 if option == "--max-calls" else spent(tmp_path) + 3
        report = ("--report", tmp_path / f"{changes}.csv")
        ran = run(sim, "resume", option, budget, "--concurrency", 64, *report)
        assert len(sim.patched) >= changes, ran.err
    assert len(sim.patched) == 6
    assert run(sim, "resume", "--report", "last.csv").status == 0


def test_an_undo_with_a_small_budget_gets_something_done_every_time(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 6)
    path = write_states(tmp_path / "in.csv", 6)
    assert run(sim, "run", path).status == 0
    words = ("--concurrency", 64, "--max-calls", 3)
    undone = ("undo", newest_run_id(tmp_path), "--max-opt-ins", 6)
    assert run(sim, *undone, *words, "--report", "0.csv").status == 6
    for opt_ins in range(2, 7):
        report = ("--report", tmp_path / f"{opt_ins}.csv")
        ran = run(sim, "resume", *words, *report)
        assert len(sim.patched) == 6 + opt_ins, ran.err
    assert set(sim.states.values()) == {False}


def test_a_change_in_doubt_is_read_back_once(tmp_path: Path, run: Run) -> None:
    with running(Options(hang_s=0.0)) as sim:
        populate(sim, 1)
        path = str(write_states(tmp_path / "in.csv", 1))
        before_answer(sim, "PATCH", 1, lambda: dying.kill())
        sim.queue_fault(Fault.HANG_AFTER_WRITE, "PATCH")
        with process(sim, tmp_path, "run", path, "-q", "--verify") as dying:
            dying.wait()
        sim.clear()
        ran = run(sim, "resume", "--max-calls", 3)
        assert (ran.status, ran.outcomes) == (0, ["updated"])
        assert sim.counters.methods == {"GET": 2}  # whether Campaign answers, and the profile


def test_a_stop_for_a_budget_says_how_many_calls_and_days_are_left(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    words = ("run", path, *LOOKUP, "--summary", "json")
    ran = run(sim, *words, "--max-calls-per-day", 10)
    # A call to begin with each day: 9 are read, 21 are to be read, and up to 30 are to be written.
    left = "Left to do: 30 to 51 calls; that takes 4 to 6 more days at 10 calls a day"
    assert left in ran.summary["message"]
    shown = ran.summary["to_come"]
    assert (shown["calls"], shown["most_calls"]) == (30, 51)
    assert (shown["days"], shown["most_days"]) == (4, 6)
    ran = run(sim, "resume", "--max-calls", 25, "--report", "r.csv", "--summary", "json")
    assert ran.status == 6
    assert "more runs of 25 calls (--max-calls), which is" in ran.summary["message"]


def test_a_plan_names_the_time_of_its_end(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 100)
    path = write_states(tmp_path / "in.csv", 100)
    takes = timedelta(seconds=100 / 0.001)
    before = datetime.now().astimezone() + takes
    ran = run(sim, "plan", path, "--rate", 0.001, "--max-calls", 1000, "--fetch", "scan")
    assert ran.status == 0, ran.err
    after = datetime.now().astimezone() + takes
    shown = {f"done at {each:%H:%M %Z} on {each:%Y-%m-%d}" for each in (before, after)}
    assert any(each in ran.out for each in shown), ran.out


def test_after_a_scan_a_plan_names_its_least_duration(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.5, hang_s=0.5)) as sim:
        populate(sim, 480)
        sim.queue_fault(Fault.HANG)  # the quickest answer counts
        path = write_states(tmp_path / "in.csv", 480)
        words = ("--fetch", "scan", "--page-size", 240, "--concurrency", 4)
        ran = run(sim, "plan", path, *words)
    assert ran.status == 0, ran.err
    shown = r"480 to come .* That takes at the very least 1 min (\d+) s: it is done at .* soonest"
    found = re.search(shown, ran.out)
    assert found is not None, ran.out  # 480 answers of half a second, four at once


def test_no_more_calls_are_taken_than_the_day_has(state: State) -> None:
    with ledger.open_ledger(state) as book:
        assert book.calls_of(WHOSE, today()) == 0
        taken = [book.take_calls(WHOSE, today(), 40, 100) for _ in range(4)]
        assert taken == [40, 40, 20, 0]
        book.give_calls_back(WHOSE, today(), 15)
        assert book.calls_of(WHOSE, today()) == 85
        assert book.take_calls(WHOSE, today(), 40, 100) == 15
        assert book.take_calls(WHOSE, today(), 40, None) == 40
        assert book.take_calls(WHOSE, today(), 40, 100) == 0
        assert book.calls_of(WHOSE, today()) == 140
        assert book.take_calls("other", today(), 40, 100) == 40
        assert book.take_calls(WHOSE, "2026-01-01", 40, 100) == 40


def test_simultaneous_runs_take_no_more_calls_than_the_day_has(state: State) -> None:
    with ledger.open_ledger(state):
        pass

    def take(_: int) -> int:
        with ledger.open_ledger(state) as book:
            return sum(book.take_calls(WHOSE, today(), 7, 200) for _ in range(10))

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(take, range(6))) == 200


class Days:
    """A budget with a new day after each block of calls."""

    def __init__(self, *blocks: int) -> None:
        self.blocks = list(blocks)
        self.day = 0
        self.given_back: list[tuple[str, int]] = []

    def take(self, count: int) -> Grant:
        if not self.blocks:
            raise StoppedEarly("spent")
        self.day += 1
        until = time.time() + (3600 if self.day > 1 else 0.05)
        return Grant(min(count, self.blocks.pop(0)), f"day {self.day}", until)

    def left(self) -> int:
        return sum(self.blocks)

    def give_back(self, day: str, count: int) -> None:
        self.given_back.append((day, count))


def test_unused_calls_of_a_day_are_given_back_at_its_end() -> None:
    async def spend() -> None:
        calls = Calls(budget=days)
        await calls.allow()
        await asyncio.sleep(0.06)
        for _ in range(3):
            await calls.allow()
        calls.put_back()
        await calls.close()

    days = Days(10, 5)
    asyncio.run(spend())
    assert days.given_back == [("day 1", 9), ("day 2", 3)]


def test_no_more_calls_are_allowed_than_were_taken() -> None:
    async def spend() -> int:
        calls = Calls(budget=Days(10, 10, 5))

        async def call() -> None:
            await calls.allow()
            calls.spend("GET")

        tasks = [asyncio.create_task(call()) for _ in range(40)]
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert calls.total == done.count(None)
        return calls.total

    assert asyncio.run(spend()) == 25


def test_a_budget_is_spent_to_the_last_call_while_requests_wait_for_their_turn(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 200)
    path = write_states(tmp_path / "in.csv", 200)
    words = (*LOOKUP, "--rate", 500, "--max-calls-per-day", 60)
    ran = run(sim, "run", path, *words)
    assert ran.status == 6
    assert len(sim.requests) == 60 == spent(tmp_path)


def test_a_run_stopped_by_its_own_budget_has_counted_its_calls(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    assert run(sim, "run", path, *LOOKUP, "--max-calls", 17).status == 6
    assert len(sim.requests) == 17 == spent(tmp_path)


def test_a_budget_for_one_row_is_enough(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 5, state=True)
    words = (*LOOKUP, "--max-calls", 2, "--summary", "json")
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 5), *words)
    assert ran.status == 6
    assert ran.summary["needed"]["calls"] == 5
    assert sum(request.method == "GET" for request in sim.requests) == 2
    assert "Nothing got further" not in ran.out + ran.err
