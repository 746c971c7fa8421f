"""What a run leaves that is given up: its confirmed changes, and what is known of the others."""

import signal
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
from conftest import Run, before_answer, key, populate, process, write_states

from bulk_sync import ledger
from bulk_sync.ledger import Intent
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Simulator


def test_the_changes_in_flight_of_a_run_given_up_are_read_again(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10)
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 14, "--report", "r.csv")
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 10), *words, "--summary", "json")
    assert ran.summary["outcomes"] == {"updated": 3, "pending": 7}
    run_id = str(ran.summary["run_id"])
    in_flight = [Intent(key(n), n + 2, None, before=False, desired=True) for n in range(6, 10)]
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        book.intend(run_id, in_flight)
    sim.profiles[key(6)]["ccpaOptOut"] = True
    sim.queue_fault(Fault.TRANSIENT_500, "GET", times=9, matching=key(9)[1:])
    ran = run(sim, "resume", run_id, "--give-up", "--retries", 0)
    assert ran.status == 0
    assert (
        "Its 4 confirmed changes stay, and nothing more is written. Of 4 in flight when it was "
        "interrupted, 1 arrived and 2 did not. Of the other 1 it is not known whether they "
        f"arrived: `bulk-sync audit {run_id}` reads them again."
    ) in ran.out
    (given_up,) = orjson.loads(run(None, "runs", "--json").out)
    assert given_up["outcomes"] == {"updated": 4, "pending": 6}
    assert (given_up["opt_ins"], given_up["opt_outs"], given_up["finished"]) == (0, 4, True)
    assert given_up["message"].startswith("Given up; before that: The budget of 14 calls is spent")
    again = run(sim, "resume", run_id, "--give-up")
    assert again.status == 6
    assert f"There is nothing to give up. Run {run_id} ended with exit status 6: " in again.err


def test_a_later_change_by_others_is_not_taken_for_one_in_flight(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 4, "--summary", "json")
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 2), *words)
    run_id = str(ran.summary["run_id"])
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        book.intend(run_id, [Intent(key(1), 3, None, before=False, desired=True)])
    later = datetime.now(UTC) + timedelta(hours=2)
    sim.profiles[key(1)] |= {"ccpaOptOut": True, "ccpaOptOutLastModified": later.isoformat()}
    ran = run(sim, "resume", run_id, "--give-up")
    assert ran.status == 0
    assert "Of the other 1 it is not known whether they arrived" in ran.out


def test_a_signal_while_changes_in_flight_are_read_again_gives_nothing_up(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 4, "--summary", "json")
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 2), *words)
    assert ran.summary["outcomes"] == {"updated": 1, "pending": 1}
    run_id = str(ran.summary["run_id"])
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        book.intend(run_id, [Intent(key(1), 3, None, before=False, desired=True)])
    before_answer(sim, "GET", 1, lambda: reading.send_signal(signal.SIGINT))
    with process(sim, tmp_path, "resume", run_id, "--give-up") as reading:
        _, err = reading.communicate()
    assert reading.returncode == 130, err
    listed = orjson.loads(run(None, "runs", "--json").out)
    assert {each["run_id"]: each["finished"] for each in listed}[run_id] is False
    assert run(sim, "resume", run_id, "--max-calls", 9).status == 0
    assert sim.states == {key(0): True, key(1): True}
