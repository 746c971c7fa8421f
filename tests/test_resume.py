"""Interrupted runs: their files, and how ``resume`` continues as if nothing had happened."""

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import copies
import orjson
import pyarrow.parquet as pq
import pytest
from conftest import Ran, Run, before_answer, key, populate, process, read_csv, write_states
from full_disk import full_disk
from torture import FAULTS, Kind, torture

from bulk_sync import ledger
from bulk_sync.ledger import Begun, Ledger, Write
from bulk_sync.outcomes import Outcome
from bulk_sync.runs.kept.write_records import Recording
from bulk_sync.settings import Connection, Credentials, Secret, State
from bulk_sync.simulator import Fault, Options, Simulator, running
from bulk_sync.storage import lock

ROWS = 60
LOOKUP = ("--fetch", "lookup", "--concurrency", 4)


def mixed(sim: Simulator, path: Path, rows: int = ROWS) -> Path:
    """Fill a simulator, and write a file with every kind of row; two thirds are changes."""
    for number in range(rows):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=number % 3 == 0)
    sim.forbidden.add(key(1))
    sim.profiles[key(2)].pop("ccpaOptOut")
    lines = [f"{key(number)},{str(number % 2 == 0).lower()},web" for number in range(rows)]
    lines[5] = ",true,web"
    lines[6] = f"{key(7)},false,web"
    lines[8] = f"{key(900)},true,web"
    path.write_text("\n".join(["PKey,ccpaOptOut,channel", *lines, ""]))
    return path


def lasting_columns(report: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return a report without the columns that may differ between two runs."""
    passing = {"sync_at", "sync_attempts"}
    return [{name: row[name] for name in row if name not in passing} for row in report]


@pytest.fixture
def undisturbed(tmp_path: Path, run: Run) -> list[dict[str, str]]:
    """Return the report of an uninterrupted run over ``mixed``."""
    with running(Options()) as sim:
        path = mixed(sim, tmp_path / "undisturbed.csv")
        words = ("--max-opt-ins", "100%", "--report", "undisturbed-report.csv")
        ran = run(sim, "run", path, *LOOKUP, *words, "--state-dir", tmp_path / "other-state")
        assert ran.status == 3
    return lasting_columns(read_csv(tmp_path / "undisturbed-report.csv"))


@pytest.mark.parametrize("budget", [3, 20, 40, 62, 70, 80])
def test_a_budget_may_end_the_run_anywhere(
    budget: int,
    undisturbed: list[dict[str, str]],
    sim: Simulator,
    tmp_path: Path,
    run: Run,
) -> None:
    path = mixed(sim, tmp_path / "in.csv")
    words = ("--max-opt-ins", "100%", "--max-calls", budget)
    ran = run(sim, "run", path, *LOOKUP, *words)
    nights = 1
    while ran.status == 6 and nights < 60:
        assert "bulk-sync resume" in ran.out
        path.write_text("PKey,ccpaOptOut\n@tomorrow,true\n")
        ran = run(sim, "resume")
        nights += 1
    assert ran.status == 3
    assert nights > 1
    assert lasting_columns(ran.report) == undisturbed
    assert len(sim.patched) == len({pkey for pkey, _ in sim.patched})
    assert run(None, "ledger", "verify").status == 0


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_a_signal_in_either_pass_loses_nothing_and_reads_nothing_twice(
    method: str, undisturbed: list[dict[str, str]], tmp_path: Path, run: Run
) -> None:
    with running(Options(latency_s=0.01)) as sim:
        path = mixed(sim, tmp_path / "in.csv")
        before_answer(sim, method, 11, terminate)
        ran = run(sim, "run", path, *LOOKUP, "--max-opt-ins", "100%")
        assert ran.status == 143
        assert "pending" in ran.outcomes
        assert f"bulk-sync resume {ran.out.partition('Run ')[2].split()[0]}" in ran.out
        path.unlink()
        ran = run(sim, "resume")
        assert ran.status == 3
        assert lasting_columns(ran.report) == undisturbed
        assert len(sim.patched) == len({pkey for pkey, _ in sim.patched})
        profiles = [request for request in sim.requests if "/profile/" in request.raw_path]
        reads = [request.raw_path for request in profiles if request.method == "GET"]
        assert len(reads) == len(set(reads))


def test_a_file_with_an_interrupted_run_does_not_start_anew(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    path = write_states(tmp_path / "in.csv", 20)
    assert run(sim, "run", path, *LOOKUP, "--max-calls", 10).status == 6
    sim.clear()
    ran = run(sim, "run", path)
    assert ran.status == 4
    assert "was interrupted" in ran.err
    assert "bulk-sync resume" in ran.err
    assert "--fresh" in ran.err
    assert sim.requests == []
    _, refused = orjson.loads(run(None, "runs", "--json").out)
    assert (refused["exit"], refused["outcomes"]) == (4, {"pending": 20})
    assert "was interrupted" in refused["message"]
    assert run(sim, "run", path, "--fresh").status == 0
    assert len(sim.patched) == 20
    given_up = orjson.loads(run(None, "runs", "--json").out)[0]
    assert given_up["finished"]
    assert given_up["message"].startswith("Given up for a fresh start")
    assert run(sim, "resume").status == 0
    assert not list((tmp_path / "state" / "runs").iterdir())


def test_another_input_of_the_job_runs_and_names_the_unfinished_one(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 40)
    assert (
        run(sim, "run", write_states(tmp_path / "in.csv", 20), *LOOKUP, "--max-calls", 10).status
        == 6
    )
    other = run(sim, "run", write_states(tmp_path / "other.csv", 40))
    assert "was interrupted" not in other.err
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 40))
    assert ran.status == 0
    assert "was interrupted. To finish it: bulk-sync resume" in ran.err
    assert run(sim, "resume", "--max-calls", 50).status == 0


@pytest.mark.parametrize("is_reviewed", [False, True], ids=["run", "apply"])
def test_no_opt_out_is_lifted_for_an_older_file_after_a_later_run(
    is_reviewed: bool, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10, state=True)
    older = write_states(tmp_path / "older.csv", 10, "false")
    assert run(sim, "run", older, *LOOKUP, "--max-calls", 11 + 4).status == 6
    lifted = len(sim.patched)
    assert 0 < lifted < 10
    newer = write_states(tmp_path / "newer.csv", 10)
    if is_reviewed:
        assert run(sim, "plan", newer, "--out", "plan.parquet").status == 0
        assert run(sim, "apply", "plan.parquet").status == 0
    else:
        assert run(sim, "run", newer).status == 0
    assert set(sim.states.values()) == {True}
    ran = run(sim, "resume", "--report", "resumed.json", "--summary", "json")
    assert ran.status == 3
    assert set(sim.states.values()) == {True}
    assert ran.summary["outcomes"] == {"updated": lifted, "drifted": 10 - lifted}


@pytest.mark.parametrize("undo", ["none", "failed", "done"])
def test_an_opt_out_is_still_set_for_an_older_file_unless_a_newer_one_differs(
    undo: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10)
    older = write_states(tmp_path / "older.csv", 10)
    assert run(sim, "run", older, *LOOKUP, "--max-calls", 11).status == 6
    assert sim.patched == []
    sim.profiles[key(9)]["ccpaOptOut"] = True
    newer = tmp_path / "newer.csv"
    newer.write_text(f"PKey,ccpaOptOut\n{key(9)},false\n")
    assert run(sim, "run", newer).status == 0
    if undo != "none":
        *_, wrong = orjson.loads(run(sim, "runs", "--json").out)
        if undo == "failed":
            sim.queue_fault(Fault.TRANSIENT_500, "PATCH", times=9)
        ran = run(sim, "undo", wrong["run_id"], "--retries", 0)
        assert ran.status == (3 if undo == "failed" else 0)
        sim.clear()
    ran = run(sim, "resume", "--report", "resumed.json", "--summary", "json")
    is_set = undo == "done"
    assert ran.status == (0 if is_set else 3)
    assert ran.summary["outcomes"] == ({"updated": 10} if is_set else {"updated": 9, "drifted": 1})
    assert sim.states[key(9)] is is_set


def test_a_run_whose_checkpoint_is_lost_needs_a_person(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 40)
    for name, rows in {"lost": 30, "kept": 40}.items():
        path = write_states(tmp_path / f"{name}.csv", rows)
        assert run(sim, "run", path, *LOOKUP, "--max-calls", 20).status == 6
    lost, kept = (each["run_id"] for each in orjson.loads(run(sim, "runs", "--json").out))
    shutil.rmtree(tmp_path / "state" / "runs" / lost)
    ran = run(sim, "resume", "--all", "--summary", "json")
    assert ran.status == 3
    passed_over, finished = map(orjson.loads, ran.out.splitlines())
    assert (passed_over["job"], passed_over["exit"]) == ("lost", 2)
    assert f"bulk-sync resume {lost} --give-up" in passed_over["message"]
    assert (finished["run_id"], finished["exit"]) == (kept, 0)
    assert run(sim, "resume", lost, "--give-up").status == 0
    assert run(sim, "resume", "--all").status == 0


def test_resume_needs_the_organization_of_the_run(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 20)
    run(sim, "run", write_states(tmp_path / "in.csv", 20), *LOOKUP, "--max-calls", 10)
    ran = run(sim, "resume", "--organization", "other")
    assert ran.status == 0
    assert "is unfinished too" in ran.err
    assert "with its --organization, --endpoint and --attribute goes on" in ran.err
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        (begun,) = book.runs()
    ran = run(sim, "resume", begun.run_id, "--organization", "other")
    assert ran.status == 2
    assert "'acme'" in ran.err
    assert "'other'" in ran.err


def test_resume_needs_the_attribute_of_the_run(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(sim, 20)
    run(sim, "run", write_states(tmp_path / "in.csv", 20), *LOOKUP, "--max-calls", 30)
    sim.clear()
    monkeypatch.setenv("BULK_SYNC_ATTRIBUTE", "otherOptOut")
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        (begun,) = book.runs()
    ran = run(sim, "resume", begun.run_id)
    assert ran.status == 2
    assert "'ccpaOptOut'" in ran.err
    assert sim.requests == []


def test_resume_knows_an_endpoint_in_another_spelling(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    run(sim, "run", write_states(tmp_path / "in.csv", 20), *LOOKUP, "--max-calls", 30)
    spelled = sim.url.replace("127.0.0.1", "localhost")
    assert run(sim, "resume", "--endpoint", spelled, "--max-calls", 100).status == 0


def test_a_write_that_may_still_arrive_stays_open(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    sim.queue_fault(Fault.GATEWAY_TIMEOUT_504, "PATCH")
    words = ("--fetch", "lookup", "--max-calls", 5)  # preflight, GET, PATCH, GET twice
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 1), *words)
    assert ran.status == 6
    assert ran.outcomes == ["pending"]
    assert "had not arrived" in ran.report[0]["sync_detail"]
    assert '"unknown"' in run(None, "history", key(0), "--json").out
    sim.profiles[key(0)]["ccpaOptOut"] = True  # it has arrived
    sim.clear()
    ran = run(sim, "resume", "--max-calls", 10)
    assert ran.status == 0
    assert ran.outcomes == ["updated"]
    assert "PATCH" not in sim.counters.methods


def test_a_signal_while_recorded_writes_are_read_loses_no_outcome(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Options(latency_s=0.005)) as sim:
        populate(sim, 60)
        before_answer(sim, "PATCH", 20, terminate)
        assert run(sim, "run", write_states(tmp_path / "in.csv", 60), *LOOKUP).status == 143
        written = len(sim.patched)
        recall = Recording._recall

        def interrupted(recording: Recording, recorded: Iterable[Write]) -> bool:
            facts = recall(recording, recorded)
            monkeypatch.setattr(Recording, "_recall", recall)
            terminate()
            return facts

        monkeypatch.setattr(Recording, "_recall", interrupted)
        ran = run(sim, "resume")
        assert ran.status == 143
        assert ran.outcomes.count("updated") == written
        assert ran.outcomes.count("pending") == 60 - written
        assert run(sim, "resume").status == 0
        assert len(sim.patched) == 60


def test_a_signal_just_after_a_run_began_leaves_one_that_can_be_resumed(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    populate(sim, 3)
    begin = Ledger.begin

    def interrupted(book: Ledger, run_id: str, begun: Begun) -> None:
        begin(book, run_id, begun)
        terminate()

    monkeypatch.setattr(Ledger, "begin", interrupted)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 3), "--summary", "json").status == 143
    monkeypatch.setattr(Ledger, "begin", begin)
    assert run(sim, "resume").status == 0
    assert len(sim.patched) == 3


def test_two_runs_that_share_a_ledger_s_file_keep_each_other_out(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    shared = tmp_path / "shared" / "ledger.sqlite3"
    words = ("--ledger", f"sqlite:///{shared}", "--report", "r.csv")
    path = write_states(tmp_path / "in.csv", 1)
    whose = lock.name(Connection(sim.url, "acme", Credentials("k", access_token=Secret("t"))))
    with lock.hold(shared.parent, whose, "somebody"):
        ran = run(sim, "run", path, *words)
    assert ran.status == 11
    assert "somebody" in ran.err
    assert run(sim, "run", path, *words).status == 0


def test_a_signal_ends_the_wait_for_another_run_with_a_summary(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    path = write_states(tmp_path / "in.csv", 1)
    whose = lock.name(Connection(sim.url, "acme", Credentials("k", access_token=Secret("t"))))
    with lock.hold(tmp_path / "state", whose, "somebody"):
        thread = threading.Timer(0.3, terminate)
        thread.start()
        ran = run(sim, "run", path, "--lock-wait", "1m", "--summary", "json")
        thread.join()
    assert ran.status == 143
    assert ran.summary["exit"] == 143


def test_a_file_name_that_is_no_text_is_accepted(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 2)
    folder = tmp_path / "lists"
    folder.mkdir()
    for number, name in enumerate([b"caf\xe9.csv", b"plain.csv"]):
        path = folder / os.fsdecode(name)
        path.write_text(f"PKey,ccpaOptOut\n{key(number)},true\n")
    assert run(sim, "run", folder, "--report", "r.csv", "--max-calls", 3).status == 6
    assert run(sim, "resume", "--max-calls", 9).status == 0
    alone = folder / os.fsdecode(b"caf\xe9.csv")
    ran = run(sim, "run", alone, "--summary", "json")
    assert ran.status == 0
    assert ran.summary["outcomes"] == {"unchanged": 1}
    assert run(None, "runs").status == 0
    assert run(None, "history", os.fsdecode(b"\xff")).status == 0


def test_a_long_name_leaves_room_for_the_reports(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    path = write_states(tmp_path / f"{80 * chr(0x2603)}.csv", 2)
    ran = run(sim, "run", path, "--report", "r.csv")
    assert ran.status == 3
    assert len(list(tmp_path.glob("*.todo.csv"))) == 1
    assert run(sim, "run", path).status == 3


@pytest.mark.parametrize("words", [("resume",), ("resume", "20261123T020000Z-7f3a9c")])
def test_resume_says_if_there_is_nothing_to_resume(
    words: tuple[str, ...], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    assert (run(sim, *words).status, len(words)) in {(0, 1), (2, 2)}  # not even a ledger
    populate(sim, 1)
    run(sim, "run", write_states(tmp_path / "in.csv", 1))
    ran = run(sim, *words)
    assert (ran.status, len(words)) in {(0, 1), (2, 2)}
    assert "nothing to resume" in ran.out or "knows no run" in ran.err


def test_a_finished_run_leaves_no_rows_behind(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 3)
    run(sim, "run", write_states(tmp_path / "in.csv", 3))
    assert list((tmp_path / "state" / "runs").iterdir()) == []


def test_writes_in_flight_are_read_again_before_they_are_sent_again(
    tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        populate(sim, 2)
        path = write_states(tmp_path / "in.csv", 2)
        sim.queue_fault(Fault.HANG_AFTER_WRITE, "PATCH", times=2)
        with process(sim, tmp_path, "run", str(path), "-q") as killed:
            while len(sim.patched) < 2:
                threading.Event().wait(0.01)
            with ledger.open_ledger(State(tmp_path / "state")) as book:
                (begun,) = book.runs()
                assert [each.settled for each in book.writes(begun.run_id)] == [None, None]
            killed.kill()
        sim.profiles[key(1)]["ccpaOptOut"] = False  # as if it had not arrived
        sim.clear()
        ran = run(sim, "resume")
        assert ran.status == 0
        assert ran.outcomes == ["updated", "updated"]
        assert sim.patched == [(key(1), True)]
        assert {request.method for request in sim.requests} == {"GET", "PATCH"}


def test_no_write_is_sent_before_its_intent_is_on_the_disk(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 300)
    seen: list[bool] = []
    path = write_states(tmp_path / "in.csv", 300)
    with ledger.open_ledger(State(tmp_path / "state")) as book:

        class Watched(list[tuple[str, bool | None]]):
            def append(self, write: tuple[str, bool | None]) -> None:
                seen.append(any(book.history(write[0])))
                super().append(write)

        sim.patched = Watched()
        assert run(sim, "run", path).status == 0
    assert seen == [True] * 300


@pytest.mark.parametrize("most_kb", [40, 120, 200, 330])
def test_a_full_disk_stops_the_run_and_resume_finishes_it(
    most_kb: int, tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        populate(sim, 1500)
        path = write_states(tmp_path / "in.csv", 1500)
        with full_disk(most_kb * 1024):
            ran = run(sim, "run", path, "-q")
        assert ran.status in {2, 6}, ran.err
        assert "Traceback" not in ran.err
        with ledger.open_ledger(State(tmp_path / "state")) as book:
            runs = book.runs()
            intended = {each.intent.key for begun in runs for each in book.writes(begun.run_id)}
            assert book.verify()[1] is None
        assert {pkey for pkey, _ in sim.patched} <= intended
        ran = run(sim, "resume") if runs else run(sim, "run", path)
        assert ran.status == 0, ran.err
        assert ran.outcomes == ["updated"] * 1500
        assert len(sim.patched) == 1500
        assert run(None, "ledger", "verify").status == 0


def test_tokens_may_expire_in_both_passes_with_resume_on_top(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", "hush")
    options = Options(client_secret="hush", access_token=None, latency_s=0.01)
    with running(options) as sim:
        populate(sim, 300)
        statuses = sim.counters.statuses

        def expire(method: str) -> None:
            sim.revoke_tokens()
            before_answer(sim, method, 90, terminate)

        words: tuple[object, ...] = ("run", write_states(tmp_path / "in.csv", 300), *LOOKUP)
        for method in ("GET", "PATCH"):
            before_answer(sim, method, 60, partial(expire, method))
            ran = run(sim, *words)
            assert ran.status == 143, ran.err
            words = ("resume",)
        ran = run(sim, "resume")
        assert ran.status == 0, ran.err
        assert ran.outcomes == ["updated"] * 300
        assert len(sim.patched) == 300
        assert statuses[401] >= 2
        assert b"hush" not in b"".join(
            path.read_bytes() for path in (tmp_path / "state").rglob("*") if path.is_file()
        )


def test_two_runs_started_together_write_nothing_twice(tmp_path: Path) -> None:
    with running(Options(rate=0.0)) as sim:  # the run at work waits until the other has ended
        populate(sim, 200)
        path = write_states(tmp_path / "in.csv", 200)
        words = ("run", str(path), "-q", "--fetch", "scan", "--concurrency", "8")
        with process(sim, tmp_path, *words) as one, process(sim, tmp_path, *words) as two:
            while one.poll() is None and two.poll() is None:
                threading.Event().wait(0.01)
            sim.options = replace(sim.options, rate=None)
            text = [each.stderr.read() for each in (one, two) if each.stderr is not None]
        assert sorted([one.returncode, two.returncode]) == [0, 11], text
        assert "Another run is at work" in "".join(
            text
        )  # the holder of the lock may not have written its name yet
        assert len(sim.patched) == 200


def test_with_lock_wait_the_second_run_waits(tmp_path: Path) -> None:
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, 100)
        words = ("-q", "--lock-wait", "1h", "--fetch", "scan", "--concurrency", "8")
        paths = [write_states(tmp_path / f"{name}.csv", 100) for name in ("one", "two")]
        with (
            process(sim, tmp_path, "run", str(paths[0]), *words) as one,
            process(sim, tmp_path, "run", str(paths[1]), *words) as two,
        ):
            text = [each.stderr.read() for each in (one, two) if each.stderr is not None]
        assert [one.returncode, two.returncode] == [0, 0], text
        assert len(sim.patched) == 100


@pytest.mark.parametrize(
    ("kind", "seed", "faults"),
    [(Kind.PKEYS, 21, {}), (Kind.EMAILS, 21, FAULTS), (Kind.CREATE, 68, FAULTS)],
)
def test_runs_killed_at_random_moments_lose_nothing(
    kind: Kind, seed: int, faults: Mapping[Fault, float]
) -> None:
    """With these seeds the first kill comes during the reads, and the second during the writes."""
    tally = torture(kind, rows=400, kills=2, seed=seed, faults=faults, popen=copies.STARTED)
    assert tally.kills.total() == 2


def test_a_shared_ledger_serves_as_well(
    sim: Simulator,
    tmp_path: Path,
    run: Run,
    new_database: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BULK_SYNC_LEDGER", new_database())
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    assert run(sim, "run", path, *LOOKUP, "--max-calls", 40).status == 6
    ran: Ran = run(sim, "resume")
    assert ran.status == 0
    assert ran.outcomes == ["updated"] * 30
    assert len(sim.patched) == 30
    assert not (tmp_path / "state" / "ledger.sqlite3").exists()
    assert run(None, "ledger", "verify").status == 0
    assert Outcome.UPDATED in run(None, "history", key(3)).out


def test_a_write_of_a_later_run_does_not_count_for_one_in_flight(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, 3)
        sim.queue_fault(Fault.HANG, "PATCH", times=2)
        words = ("run", str(write_states(tmp_path / "older.csv", 3)), "-q", "--concurrency", "2")
        with process(sim, tmp_path, *words) as killed:
            while sim.counters.methods["PATCH"] < 2:
                threading.Event().wait(0.01)
            killed.kill()
        sim.add(pkey=key(3), ccpaOptOut=False)
        assert run(sim, "run", write_states(tmp_path / "newer.csv", 4)).status == 0
        sim.clear()
        ran = run(sim, "resume", "--report", "resumed.csv")
        assert ran.status == 0
        rows = read_csv(tmp_path / "resumed.csv")
        assert {row["sync_outcome"] for row in rows} == {"unchanged"}
        assert {row["sync_reason"] for row in rows} == {"newer_run"}
        assert "PATCH" not in sim.counters.methods
        assert run(None, "history", key(0)).out.count("updated") == 1


def test_a_resume_without_a_ledger_is_no_failure(sim: Simulator, run: Run) -> None:
    assert run(sim, "resume", "-q").status == 0
    assert run(sim, "resume", "20261123T020000Z-7f3a9c").status == 2


def test_resume_chooses_among_the_runs_of_the_instance_that_is_configured(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    assert (
        run(sim, "run", write_states(tmp_path / "in.csv", 20), *LOOKUP, "--max-calls", 9).status
        == 6
    )
    elsewhere = ("--endpoint", "http://127.0.0.1:9", "--patience", 1)
    assert run(sim, "run", write_states(tmp_path / "other.csv", 20), *elsewhere).status == 6
    more = write_states(tmp_path / "more.csv", 19)
    assert run(sim, "run", more, *LOOKUP, "--max-calls", 9).status == 6
    ran = run(sim, "resume", "--max-calls", 99)
    assert ran.status == 0
    there, here = (line for line in ran.err.splitlines() if "is unfinished too" in line)
    assert "http://127.0.0.1:9, is unfinished too" in there
    assert "` with its --organization, --endpoint and --attribute goes on" in there
    assert "` goes on, and with --give-up it ends for good" in here


def test_wrong_credentials_leave_nothing_to_resume(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = write_states(tmp_path / "in.csv", 3)
    assert run(sim, "run", path, "--api-key", "wrong", "--retries", 0).status == 5
    assert "nothing to resume" in run(sim, "resume").out
    populate(sim, 3)
    assert run(sim, "run", path).status == 0


def test_a_refused_run_is_resumed_without_reading_again(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30, state=True)
    path = write_states(tmp_path / "in.csv", 30, "false")
    ran = run(sim, "run", path, *LOOKUP)
    assert ran.status == 4
    command = ran.out.splitlines()[-1].split()
    assert command[:2] == ["bulk-sync", "resume"]
    assert command[3:] == ["--max-opt-ins", "30"]
    path.unlink()
    for words in ((), ("--all",)):
        left = run(sim, "resume", *words)  # it is to be named
        assert left.status == 4
        assert f"nothing to resume, but these runs were refused: {command[2]}." in left.err
    sim.clear()
    ran = run(sim, *command[1:])
    assert ran.status == 0
    assert ran.outcomes == ["updated"] * 30
    assert sim.counters.methods == {"GET": 1, "PATCH": 30}


def test_an_interrupted_run_meets_its_limits_when_it_is_resumed(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30, state=True)
    path = write_states(tmp_path / "in.csv", 30, "false")
    assert run(sim, "run", path, *LOOKUP, "--max-calls", 20).status == 6
    ran = run(sim, "resume", "--max-calls", 99)
    assert ran.status == 4
    assert sim.patched == []
    command = ran.out.splitlines()[-1].split()[1:]
    assert run(sim, *command, "--max-calls", 99).status == 0
    assert len(sim.patched) == 30


def test_a_file_that_was_cut_off_costs_no_call(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 100)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 100), "--report", "r.csv").status == 0
    sim.clear()
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 40))
    assert ran.status == 4
    assert "--allow fewer-rows" in ran.err
    assert ran.outcomes == ["pending"] * 40
    assert sim.requests == []
    assert run(sim, *ran.out.splitlines()[-1].split()[1:]).status == 0
    other = run(
        sim, "run", write_states(tmp_path / "in.csv", 40), "--job", "another", "--report", "o.csv"
    )
    assert other.status == 0


def test_a_run_costs_what_all_its_nights_cost(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 20)
    assert (
        run(sim, "run", write_states(tmp_path / "in.csv", 20), *LOOKUP, "--max-calls", 25).status
        == 6
    )
    assert run(sim, "resume").status == 0
    (facts,) = orjson.loads(run(None, "runs", "--json").out)
    assert facts["calls"] == dict(sim.counters.methods)
    assert facts["calls_total"] == len(sim.requests)


def test_all_interrupted_runs_are_finished_the_oldest_first(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 60)
    words = (*LOOKUP, "--max-calls", 12, "--job", "nightly")
    for night in range(3):
        rows = [f"{key(number)},true" for number in range(20 * night, 20 * night + 20)]
        path = tmp_path / f"night-{night}.csv"
        path.write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
        assert run(sim, "run", path, *words).status == 6
    assert run(sim, "resume", "--all", "--max-calls", 20).status == 6
    oldest = {key(number) for number in range(20)}
    assert {written for written, _ in sim.patched} < oldest
    assert run(sim, "resume", "--all", "--max-calls", 1000).status == 0
    assert sorted(written for written, _ in sim.patched) == [key(number) for number in range(60)]
    ran = run(sim, "resume", "--all")
    assert (ran.status, "nothing to resume" in ran.out) == (0, True)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--all", "20261126T000000Z-000000"), "neither a RUN_ID"),
        (("--all", "--give-up"), "nor --give-up"),
        (("--all", "--report", "one.csv"), "needs {run_id}"),
    ],
)
def test_resume_all_excludes_a_run_id_give_up_and_a_report(
    words: tuple[str, ...], why: str, sim: Simulator, run: Run
) -> None:
    ran = run(sim, "resume", *words)
    assert (ran.status, why in ran.err) == (2, True)


def test_small_budgets_record_no_more_intents_than_they_can_send(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2000)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 2000), "--max-calls", 10).status == 6
    assert int(run(None, "ledger", "verify", "--json").summary["lines"]) < 150


def test_quiet_leaves_nothing_but_the_summary(sim: Simulator, tmp_path: Path, run: Run) -> None:
    sim.options = replace(sim.options, log_requests=False)
    populate(sim, 3)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3), "-q", "--summary", "json")
    assert ran.summary["outcomes"] == {"updated": 3}
    assert ran.err == ""
    ran = run(sim, "resume", "-q")
    assert (ran.status, ran.out, ran.err) == (0, "", "")


def kill_while_writing(sim: Simulator, folder: Path, *words: str, after: int = 20) -> None:
    """Start a command, and kill it after a number of writes."""
    with process(sim, folder, *words, "-q") as killed:
        before_answer(sim, "PATCH", after, killed.kill)
    assert killed.returncode == -signal.SIGKILL


def test_a_refused_run_resumed_and_killed_is_unfinished(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, 200, state=True)
        path = write_states(tmp_path / "in.csv", 200, "false")
        ran = run(sim, "run", path)
        assert ran.status == 4
        kill_while_writing(sim, tmp_path, *ran.out.splitlines()[-1].split()[1:])
        assert run(sim, "run", path).status == 4
        facts, _ = orjson.loads(run(None, "runs", "--json").out)
        assert facts["finished"] is False
        ran = run(sim, "resume", "--max-opt-ins", 200)
        assert ran.status == 0
        assert ran.outcomes == ["updated"] * 200


def test_a_refused_run_is_not_resumed_after_its_input_ran_anew(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30, state=True)
    path = write_states(tmp_path / "in.csv", 30, "false")
    refused = run(sim, "run", path).out.splitlines()[-1].split()[1:]
    words = ("--max-opt-ins", 30, "--report", "r.csv")
    assert run(sim, "run", path, *words).status == 0
    assert "nothing to resume: the same was begun anew since" in run(sim, *refused).err
    assert not list((tmp_path / "state" / "runs").iterdir())


@pytest.mark.parametrize("stop", [("--max-calls", "1"), ("--api-key", "wrong")])
def test_writes_in_flight_stay_in_doubt_until_they_are_read(
    stop: tuple[str, str], tmp_path: Path, run: Run
) -> None:
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, 200)
        path = write_states(tmp_path / "in.csv", 200)
        kill_while_writing(sim, tmp_path, "run", str(path))
        stopped = run(sim, "resume", *stop, "--summary", "json", "--retries", 0)
        assert stopped.status in {5, 6}
        # Not counted by the server: it may still be at the requests in flight at the kill.
        assert "PATCH" not in stopped.summary["calls"]
        ran = run(sim, "resume", "--max-calls", 1000)
        assert ran.status == 0
        assert ran.outcomes == ["updated"] * 200
        assert len(sim.patched) == 200


def test_an_undo_reverts_the_writes_in_flight_when_its_run_died(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, 200, state=True)
        path = write_states(tmp_path / "in.csv", 200, "false")
        kill_while_writing(sim, tmp_path, "run", str(path), "--max-opt-ins", "200")
        assert run(sim, "resume", "--max-calls", 1).status == 6
        with ledger.open_ledger(State(tmp_path / "state")) as book:
            (begun,) = book.runs()
        ran = run(sim, "undo", begun.run_id, "--max-calls", 1000, "--report", "u.csv")
        assert ran.status == 0
        assert set(sim.states.values()) == {True}


def test_a_killed_apply_does_not_report_its_own_writes_as_changes_of_others(
    tmp_path: Path, run: Run
) -> None:
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, 200)
        write_states(tmp_path / "in.csv", 200)
        run(sim, "plan", "in.csv", "--out", "plan.parquet")
        kill_while_writing(sim, tmp_path, "apply", "plan.parquet")
        assert run(sim, "apply", "plan.parquet", "--max-calls", 1).status == 6
        ran = run(sim, "apply", "plan.parquet")
        assert ran.status == 0
        assert ran.outcomes == ["updated"] * 200
        assert len(sim.patched) == 200


def test_a_row_written_by_a_later_run_is_never_reported_as_updated(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 12)
    older = write_states(tmp_path / "older.csv", 12)
    budget = ("--max-calls", 13 + 4, "--report", "older-report.csv")
    assert run(sim, "run", older, *LOOKUP, *budget).status == 6
    written = len(sim.patched)
    sim.add(pkey=key(12), ccpaOptOut=False)
    newer = write_states(tmp_path / "newer.csv", 13)
    assert run(sim, "run", newer, "--report", "newer-report.csv").status == 0
    for number in range(12):
        sim.queue_fault(Fault.TRANSIENT_500, "GET", matching=key(number)[1:])
    words = ("--retries", 0, "--max-calls", 99, "--max-failures", "100%", "--report", "r.json")
    ran = run(sim, "resume", *words, "--summary", "json")
    assert ran.summary["outcomes"] == {"unchanged": 12 - written, "updated": written}


def test_a_run_whose_rows_are_gone_can_be_given_up(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    assert (
        run(sim, "run", write_states(tmp_path / "in.csv", 20), *LOOKUP, "--max-calls", 9).status
        == 6
    )
    (rows,) = (tmp_path / "state" / "runs").glob("*/rows.parquet")
    rows.unlink()
    ran = run(sim, "resume")
    assert ran.status == 2
    assert f"bulk-sync resume {rows.parent.name} --give-up" in ran.err
    ran = run(sim, "resume", rows.parent.name, "--give-up")
    assert ran.status == 0
    assert "Its 0 confirmed changes stay, and nothing more is written." in ran.out
    assert run(sim, "resume").status == 0
    assert run(sim, "run", tmp_path / "in.csv").status == 0


@pytest.mark.parametrize(
    ("name", "budget"), [("rows", 30), ("states-000001", 30), ("rows", 80), ("plan", 80)]
)
def test_a_run_of_another_version_is_not_resumed(
    name: str, budget: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = interrupted(sim, write_states(tmp_path / "in.csv", ROWS), run, "--max-calls", budget)
    path = tmp_path / "state" / "runs" / run_id / f"{name}.parquet"
    table = pq.read_table(path)
    pq.write_table(table.replace_schema_metadata({}), path)
    before = len(sim.patched)
    sim.clear()
    ran = run(sim, "resume")
    assert ran.status == 2
    assert f"{name}.parquet was written by another version" in ran.err
    assert f"bulk-sync resume {run_id} --give-up" in ran.err
    assert sim.requests == []
    ran = run(sim, "run", "in.csv", "--fresh", *LOOKUP)
    assert ran.status == 0, ran.err
    assert len(sim.patched) + before == ROWS


def test_a_run_with_writes_is_not_compared_anew_without_its_plan(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    run_id = interrupted(
        sim, write_states(tmp_path / "in.csv", ROWS), run, "--max-calls", ROWS + 20
    )
    (tmp_path / "state" / "runs" / run_id / "plan.parquet").unlink()
    ran = run(sim, "resume")
    assert ran.status == 2
    assert "is missing, although the run has written" in ran.err
    assert run(sim, "resume", run_id, "--give-up").status == 0
    assert run(sim, "resume").status == 0


def test_resume_all_finishes_the_runs_besides_one_that_cannot_be_resumed(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    broken = interrupted(sim, write_states(tmp_path / "a.csv", ROWS), run, "--max-calls", 30)
    interrupted(sim, write_states(tmp_path / "b.csv", ROWS // 2), run, "--max-calls", 10)
    (tmp_path / "state" / "runs" / broken / "states-000001.parquet").write_bytes(b"")
    ran = run(sim, "resume", "--all", "--max-calls", 200)
    assert ran.status == 3, ran.err
    assert len(sim.patched) == ROWS // 2
    for _ in range(2):  # the nights after
        assert ran.err.count(f"Run {broken} cannot go on") == 1
        assert f"bulk-sync resume {broken} --give-up" in ran.err
        ran = run(sim, "resume", "--all")
        assert ran.status == 3


def interrupted(sim: Simulator, path: Path, run: Run, *words: object) -> str:
    """Begin a run that a budget ends, and return its id."""
    if not sim.profiles:
        populate(sim, ROWS)
    ran = run(sim, "run", path, *LOOKUP, *words, "--summary", "json")
    assert ran.status == 6, ran.err
    return str(ran.summary["run_id"])


def test_failures_mostly_alike_stop_the_run_unless_they_are_allowed(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 400)
    for number in range(380):
        sim.profiles[key(number)].pop("ccpaOptOut")
    path = write_states(tmp_path / "in.csv", 400)
    ran = run(sim, "run", path, *LOOKUP, "--max-failures", "99%")
    assert ran.status == 6
    assert "200 of the last 200 rows failed with state_unknown" in ran.err
    assert "--max-failures 100%" in ran.err
    assert sim.counters.methods["GET"] < 220
    ran = run(sim, "resume", "--max-failures", "100%")
    assert ran.status == 3
    assert ran.outcomes.count("updated") == 20


def test_small_budgets_make_progress_after_a_kill(tmp_path: Path, run: Run) -> None:
    with running(Options(latency_s=0.01)) as sim:
        populate(sim, 100)
        path = str(write_states(tmp_path / "in.csv", 100))
        kill_while_writing(sim, tmp_path, "run", path, "--concurrency", "8", after=30)
        status = 6
        for night in range(20):
            before = len(sim.patched)
            report = ("--report", tmp_path / f"{night}.csv")
            ran = run(sim, "resume", "--max-calls", 20, "--concurrency", 16, *report)
            status = ran.status
            if status == 0:
                break
            assert status == 6
            assert night < 3 or len(sim.patched) > before, "a night without any write"
        assert status == 0
        assert len(sim.patched) == 100


def test_a_resumed_refused_run_does_not_count_as_finished(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 3), "--max-changes", 0).status == 4
    ends: list[tuple[bool, str]] = []

    def look() -> None:
        with ledger.open_ledger(State(tmp_path / "state")) as book:
            (found,) = book.runs()
        ends.append((found.is_finished, found.ended.message if found.ended else ""))

    before_answer(sim, "PATCH", 1, look)
    (refused,) = orjson.loads(run(None, "runs", "--json").out)
    assert run(sim, "resume", refused["run_id"], "--max-changes", 3).status == 0
    assert ends == [(False, "Resumed.")]


def test_resume_all_exits_with_4_while_a_refused_run_waits(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30, state=True)
    refused = run(
        sim, "run", write_states(tmp_path / "a.csv", 30, "false"), "--summary", "json"
    ).summary
    assert refused["exit"] == 4
    path = write_states(tmp_path / "b.csv", 30)
    assert run(sim, "run", path, *LOOKUP, "--max-calls", 10, "--report", "b.json").status == 6
    ran = run(sim, "resume", "--all")
    assert ran.status == 4
    assert f"these runs were refused: {refused['run_id']}." in ran.err
    assert run(sim, "resume", refused["run_id"], "--give-up").status == 0
    assert run(sim, "resume", "--all").status == 0


@pytest.mark.parametrize("command", ["run", "plan"])
def test_resume_sends_no_request_if_the_folder_of_its_files_is_missing(
    command: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 20)
    (tmp_path / "out").mkdir()
    into = ("--report", "out/r.csv") if command == "run" else ("--out", "out/p.parquet")
    write_states(tmp_path / "in.csv", 20)
    assert run(sim, command, "in.csv", *LOOKUP, *into, "--max-calls", 10).status == 6
    (tmp_path / "out").rename(tmp_path / "elsewhere")
    sent = len(sim.requests)
    ran = run(sim, "resume")
    assert ran.status == 2
    assert f"{tmp_path / into[1]} cannot be written: No such file or directory" in ran.err
    assert len(sim.requests) == sent
    (tmp_path / "elsewhere").rename(tmp_path / "out")
    assert run(sim, "resume").status == 0
    assert (tmp_path / into[1]).exists()
