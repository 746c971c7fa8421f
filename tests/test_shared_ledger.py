"""Several machines with one ledger: locks, and the remains of a machine that died."""

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson
import pytest
from conftest import Run, before_answer, key, populate, process, write_states
from sqlalchemy import create_engine, text

from bulk_sync.simulator import Fault, Options, Simulator, running

ROWS = 12
_WAITING: Final = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND wait_event_type = 'Lock'"
)
LOOKUP = ("--fetch", "lookup", "--concurrency", "4")


@pytest.fixture
def shared(new_database: Callable[[], str], monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of the ledger of all machines."""
    url = new_database()
    monkeypatch.setenv("BULK_SYNC_LEDGER", url)
    return url


def machine(folder: Path, name: str) -> tuple[str, ...]:
    """Return the options of a command on a machine."""
    (folder / name).mkdir(exist_ok=True)
    return ("--state-dir", str(folder / name), "--report", str(folder / name / "{run_id}.csv"))


def die_on_a(sim: Simulator, folder: Path, shared: str, *, writes: int) -> str:
    """Kill a run on machine A while some writes are in flight, and return its id."""
    path = write_states(folder / "in.csv", ROWS)
    words = ("run", str(path), "-q", *LOOKUP, *machine(folder, "a"))
    sim.queue_fault(Fault.HANG_AFTER_WRITE, "PATCH", times=writes)
    before_answer(sim, "PATCH", writes, lambda: dying.kill())
    with process(sim, folder, *words, "--ledger", shared) as dying:
        dying.wait()
    (folder_of_run,) = (folder / "a" / "runs").iterdir()
    return folder_of_run.name


def facts_of(run: Run, run_id: str) -> dict[str, object]:
    facts: dict[str, object] = orjson.loads(run(None, "runs", run_id, "--json").out)
    return facts


def test_two_machines_do_not_work_on_an_organization_at_once(
    sim: Simulator, tmp_path: Path, shared: str
) -> None:
    populate(sim, ROWS)
    path = write_states(tmp_path / "in.csv", ROWS)
    words = ("run", str(path), "-q", "--ledger", shared)
    others: list[int] = []
    text: list[str] = []

    def start_another() -> None:
        with process(sim, tmp_path, *words, *machine(tmp_path, "b")) as second:
            assert second.stderr is not None
            text.append(second.stderr.read())
        others.append(second.returncode)

    before_answer(sim, "PATCH", 1, start_another)
    with process(sim, tmp_path, *words, *machine(tmp_path, "a")) as first:
        first.wait()
    assert (first.returncode, others) == (0, [11])
    assert "Another run is at work on this organization" in text[0]
    assert f"process {first.pid}" in text[0]
    assert len(sim.patched) == ROWS


def test_a_run_of_a_dead_machine_is_named_once_and_skipped(
    tmp_path: Path, shared: str, run: Run
) -> None:
    with running(Options(hang_s=0.0)) as sim:
        populate(sim, 3 * ROWS)
        lost = die_on_a(sim, tmp_path, shared, writes=2)
        on_b = machine(tmp_path, "b")
        ran = run(sim, "resume", "--all", *on_b)
        assert (ran.status, ran.err.count(lost)) == (0, 4)  # once: its id, its folder, two commands
        assert ran.err.count("was interrupted") == 1
        assert f"bulk-sync resume {lost} --give-up" in ran.err
        rows = [f"{key(number)},true" for number in range(ROWS, 3 * ROWS)]
        (tmp_path / "more.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, "@gone,true", ""]))
        begun = run(sim, "run", "more.csv", *LOOKUP, "--max-calls", 30, *on_b)
        assert begun.status == 6
        ran = run(sim, "resume", "--all", *on_b)  # it exits with the status of its own run
        assert ran.status == 3, ran.err
        assert ran.err.count(f"resume {lost} --give-up") == 1
        assert {key(number) for number in range(ROWS, 3 * ROWS)} < {pkey for pkey, _ in sim.patched}
        assert run(sim, "resume", *on_b).status == 2  # there is no newest run besides it
        ran = run(sim, "resume", "--all", *machine(tmp_path, "a"))
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {True}


def test_the_newest_run_that_can_go_on_here_is_resumed(
    tmp_path: Path, shared: str, run: Run
) -> None:
    with running(Options(hang_s=0.0)) as sim:
        populate(sim, 2 * ROWS)
        on_b = machine(tmp_path, "b")
        rows = [f"{key(number)},true" for number in range(ROWS, 2 * ROWS)]
        (tmp_path / "more.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
        assert run(sim, "run", "more.csv", *LOOKUP, "--max-calls", 15, *on_b).status == 6
        lost = die_on_a(sim, tmp_path, shared, writes=1)
        ran = run(sim, "resume", *on_b)
        assert ran.status == 0, ran.err
        assert f"bulk-sync resume {lost} --give-up" in ran.err


@pytest.mark.usefixtures("shared")
def test_a_run_that_does_not_begin_gives_no_run_up(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, ROWS)
        path = write_states(tmp_path / "in.csv", ROWS)
        on_a, on_b = machine(tmp_path, "a"), machine(tmp_path, "b")
        assert run(sim, "run", path, *LOOKUP, "--max-changes", 0, *on_a).status == 4
        assert run(sim, "run", path, *LOOKUP, "--max-calls", 5, *on_b).status == 6
        refused, interrupted = orjson.loads(run(None, "runs", "--json").out)
        ran = run(sim, "run", path, *on_a)
        assert (ran.status, f"bulk-sync resume {interrupted['run_id']}" in ran.err) == (4, True)
        run_id = str(refused["run_id"])
        assert facts_of(run, run_id)["message"] == refused["message"]
        assert run(sim, "resume", run_id, "--max-changes", ROWS, *on_a).status == 0
        assert len(sim.patched) == ROWS


@pytest.mark.parametrize("arrived", [True, False], ids=["it arrived", "it did not"])
def test_a_run_is_given_up_from_another_machine_and_writes_in_flight_are_read(
    arrived: bool, tmp_path: Path, shared: str, run: Run
) -> None:
    with running(Options(hang_s=0.0)) as sim:
        populate(sim, ROWS)
        lost = die_on_a(sim, tmp_path, shared, writes=2)
        written = {pkey for pkey, _ in sim.patched}
        if not arrived:
            for pkey in written:
                sim.profiles[pkey]["ccpaOptOut"] = False
        sim.clear()
        ran = run(sim, "resume", lost, "--give-up", *machine(tmp_path, "b"))
        assert ran.status == 0, ran.err
        assert {request.method for request in sim.requests} == {"GET"}
        facts = facts_of(run, lost)
        updated = len(written) if arrived else 0
        assert facts["finished"] is True
        assert facts["outcomes"] == {
            name: count
            for name, count in (("pending", ROWS - updated), ("updated", updated))
            if count
        }
        for pkey in written:
            text = run(None, "history", pkey, "--json").out
            assert ('"updated"' in text, '"unknown"' in text) == (arrived, False), text
        assert run(sim, "resume", "--all", *machine(tmp_path, "b")).status == 0
        assert run(None, "ledger", "verify").status == 0
        ran = run(sim, "run", "in.csv", *machine(tmp_path, "b"))  # it blocks no other run
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {True}


def test_writes_in_flight_stay_in_doubt_if_campaign_does_not_answer(
    tmp_path: Path, shared: str, run: Run
) -> None:
    with running(Options(hang_s=0.0)) as sim:
        populate(sim, ROWS)
        lost = die_on_a(sim, tmp_path, shared, writes=2)
        written = {pkey for pkey, _ in sim.patched}
        wrong = ("--api-key", "wrong", *machine(tmp_path, "b"))
        ran = run(sim, "resume", lost, "--give-up", *wrong)
        assert ran.status == 0
        assert f"bulk-sync audit {lost}" in ran.out
        facts = facts_of(run, lost)
        assert (facts["finished"], facts["outcomes"]) == (True, {"pending": ROWS})
        for pkey in written:
            assert '"unknown"' in run(None, "history", pkey, "--json").out
        ran = run(sim, "undo", lost, *machine(tmp_path, "b"), "--max-opt-ins", "100%")
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {False}


@pytest.mark.parametrize("table", ["lines", "alembic_version"], ids=["reading", "opening"])
@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_while_the_server_is_at_work_is_no_fault_of_the_ledger(
    number: signal.Signals, status: int, table: str, tmp_path: Path, shared: str, run: Run
) -> None:
    with running(Options()) as sim:
        populate(sim, 1)
        assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
        engine = create_engine(shared.replace("postgresql://", "postgresql+psycopg://"))
        with engine.connect() as locking, engine.connect() as watching, locking.begin():
            locking.execute(text(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
            with process(sim, tmp_path, "runs", "--ledger", shared) as reading:
                while not watching.execute(text(_WAITING)).scalar():
                    watching.rollback()
                    assert reading.poll() is None
                reading.send_signal(number)
                said = reading.communicate()[1]
        engine.dispose()
    assert (reading.returncode, said) == (status, f"bulk-sync: Stopped by {number.name}.\n")
