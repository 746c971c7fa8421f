"""Checkpoints in a bucket: one machine is killed, and another one goes on."""

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from buckets import Bucket
from conftest import Run, before_answer, key, kill_at, populate, process, read_csv, write_states
from full_disk import full_disk

from bulk_sync.errors import StoppedEarly
from bulk_sync.remote.mirror import Mirror
from bulk_sync.simulator import Options, Simulator, running

ROWS = 300


def write_input(path: Path) -> Path:
    """Write a file; a third of its rows change nothing."""
    lines = [f"{key(number)},{'false' if number % 3 else 'true'}" for number in range(ROWS)]
    path.write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
    return path


def rows(content: bytes) -> list[dict[str, str]]:
    """Return the rows of a report, without times and tries."""
    path = Path("compared.csv")
    path.write_bytes(content)
    skipped = {"sync_at", "sync_attempts", "sync_detail"}
    return [
        {name: value for name, value in row.items() if name not in skipped}
        for row in read_csv(path)
    ]


def writes(run: Run, ledger: str, run_id: str) -> dict[str, Any]:
    """Return the facts of a run in the ledger, and each of its writes."""
    facts = orjson.loads(run(None, "runs", run_id, "--json", "--ledger", ledger).out)
    recorded = {
        name: facts[name] for name in ("outcomes", "opt_ins", "opt_outs", "exit", "finished")
    }
    names = ("row", "before", "desired", "outcome", "reason")
    for number in range(0, ROWS, 50):
        found = orjson.loads(run(None, "history", key(number), "--json", "--ledger", ledger).out)
        recorded[key(number)] = [{name: each[name] for name in names} for each in found]
    return recorded


def hold_answer(sim: Simulator, method: str, count: int) -> tuple[threading.Event, threading.Event]:
    """Hold the answer to one request; return an event of its arrival, and one that releases it."""
    reached, released = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        released.wait(60)

    before_answer(sim, method, count, hold)
    return reached, released


def test_another_machine_finishes_the_run_of_a_killed_one(
    run: Run, s3: Bucket, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    """The kills: while it reads, at its first write, and in the middle of its writes."""
    path = str(write_input(tmp_path / "in.csv"))
    words = ("--yes", "--report", s3 / "out/{run_id}.csv", "--fetch", "lookup")
    expected = None
    for moment in (None, ("GET", 150), ("PATCH", 1), ("PATCH", 60)):
        ledger = new_database()
        there = ("--ledger", ledger, "--state-url", s3 / "state")
        with running(Options()) as sim:
            populate(sim, ROWS)
            if moment is None:
                ran = run(sim, "run", path, *words, *there, "--summary", "json")
            else:
                machine = tmp_path / f"{moment}"
                machine.mkdir()
                reached, released = hold_answer(sim, *moment)
                with process(sim, machine, "run", path, *words, *there) as pod:
                    assert reached.wait(60)
                    pod.kill()
                    pod.communicate()
                released.set()
                ran = run(sim, "resume", *there, "--summary", "json")
            assert ran.status == 0, ran.err
            run_id = ran.summary["run_id"]
            found = rows(s3.get(f"out/{run_id}.csv")), writes(run, ledger, run_id)
            assert run(None, "ledger", "verify", "--ledger", ledger).status == 0
        expected = expected or found
        assert found == expected, moment
    assert [each for each in s3.keys if each.startswith("state/")] == []


@pytest.fixture
def part(tmp_path: Path) -> Path:
    path = tmp_path / "states-000001.parquet"
    path.write_bytes(b"states of the first process")
    return path


def test_a_replaced_process_cannot_write_to_the_checkpoint(
    bucket: Bucket, part: Path, tmp_path: Path
) -> None:
    first, second = (Mirror(bucket / "state", "run") for _ in range(2))
    first.keep(part)
    assert second.take_over()
    part.write_bytes(b"newer states of the first process")
    with pytest.raises(StoppedEarly, match="another process has taken it over"):
        first.keep(part)
    with pytest.raises(StoppedEarly, match="another process has taken it over"):
        first.drop(part.name)
    assert second.fetch(tmp_path / "there")
    assert (tmp_path / "there" / part.name).read_bytes() == b"states of the first process"
    second.keep(part)
    assert second.fetch(tmp_path / "there")
    assert (tmp_path / "there" / part.name).read_bytes() == b"newer states of the first process"


def test_half_an_upload_is_not_listed(s3: Bucket, part: Path, tmp_path: Path) -> None:
    first, second = (Mirror(s3 / "state", "run") for _ in range(2))
    first.keep(part)
    (tmp_path / "plan.parquet").write_bytes(b"a plan")

    def break_off(method: str, path: str) -> None:
        if method == "PUT" and path.endswith("manifest.json"):
            s3.server.app.answer = "403 Forbidden", "AccessDenied"

    s3.server.app.before = break_off
    with pytest.raises(StoppedEarly):
        first.keep(tmp_path / "plan.parquet")
    s3.server.reset()
    assert any(key.endswith("plan.parquet") for key in s3.keys)
    assert second.take_over()
    assert second.fetch(tmp_path / "there")
    assert [path.name for path in (tmp_path / "there").iterdir()] == [part.name]


def test_a_part_that_was_altered_is_not_used(bucket: Bucket, part: Path, tmp_path: Path) -> None:
    mirror = Mirror(bucket / "state", "run")
    mirror.keep(part)
    (name,) = [name for name in bucket.keys if name.endswith(part.name)]
    bucket.put(name, "altered")
    with pytest.raises(StoppedEarly, match="is damaged"):
        mirror.fetch(tmp_path / "there")


def test_a_download_without_room_names_the_file_and_leaves_nothing(
    bucket: Bucket, part: Path, tmp_path: Path
) -> None:
    Mirror(bucket / "state", "run").keep(part)
    size, folder = part.stat().st_size, tmp_path / "there"
    says = r"The disk is full: .*states-000001\.parquet"
    with full_disk(size - 1), pytest.raises(StoppedEarly, match=says):
        Mirror(bucket / "state", "run").fetch(folder)
    assert list(folder.iterdir()) == []
    assert Mirror(bucket / "state", "run").fetch(folder)
    assert (folder / part.name).read_bytes() == part.read_bytes()


def test_a_run_does_not_begin_if_its_checkpoint_cannot_be_kept_there(
    sim: Simulator, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    populate(sim, ROWS)
    s3.server.forbid()
    ran = run(sim, "run", write_input(tmp_path / "in.csv"), "--state-url", s3 / "state")
    assert ran.status == 6
    assert "the store does not permit it" in ran.err or "does not accept" in ran.err
    assert sim.requests == []
    assert run(sim, "run", "in.csv", "--state-url", "https://a/b").status == 2


def test_the_machine_that_began_a_run_retries_what_failed_on_another(
    sim: Simulator, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    populate(sim, ROWS)
    there = ("--state-url", s3 / "state", "--ledger", f"sqlite:///{tmp_path}/ledger.sqlite3")
    one, other = (("--state-dir", tmp_path / name, *there) for name in ("one", "other"))
    words = ("--fetch", "lookup", "--max-calls", 20, "--report", "1.csv")
    assert run(sim, "run", write_input(tmp_path / "in.csv"), *words, *one).status == 6
    sim.forbidden.add(key(0))
    ran = run(sim, "resume", "--max-calls", 9999, *other, "--summary", "json")
    assert ran.status == 3
    sim.forbidden.clear()
    assert run(sim, "retry", ran.summary["run_id"], *one, "--report", "2.csv").status == 0
    assert sim.states[key(0)] is True


def test_a_run_that_began_without_a_bucket_goes_on_with_one(
    sim: Simulator, run: Run, bucket: Bucket, tmp_path: Path
) -> None:
    populate(sim, ROWS)
    assert (
        run(
            sim, "run", write_input(tmp_path / "in.csv"), "--max-calls", 320, "--fetch", "lookup"
        ).status
        == 6
    )
    there = ("--state-url", bucket / "state")
    assert run(sim, "resume", "--max-calls", 10, *there).status == 6
    assert [name for name in bucket.keys if name.endswith("manifest.json")]
    assert run(sim, "resume", *there).status == 0
    assert bucket.keys == []


def test_the_bucket_counts_over_an_older_checkpoint_on_the_machine(
    sim: Simulator, run: Run, s3: Bucket, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    populate(sim, ROWS)
    there = ("--ledger", new_database(), "--state-url", s3 / "state")
    a, b = (("--state-dir", tmp_path / name, *there) for name in "ab")
    words = ("--fetch", "lookup", "--summary", "json")
    ran = run(sim, "run", write_input(tmp_path / "in.csv"), *words, "--max-calls", 150, *a)
    run_id = ran.summary["run_id"]
    assert run(sim, "resume", "--max-calls", 200, *b).status == 6
    written = sum(request.method == "PATCH" for request in sim.requests)
    assert written > 0
    assert run(sim, "resume", run_id, "--give-up", *a).status == 0
    assert run(None, "report", run_id, "--report", "given-up.csv", *a).status == 0
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "given-up.csv")]
    assert outcomes.count("updated") == written
    assert s3.keys == []


@pytest.mark.parametrize(
    "words", [("history", key(0)), ("report", "{run_id}", "--report", "so-far.csv")]
)
def test_commands_that_read_need_no_bucket_and_take_over_no_run(
    words: tuple[str, ...], sim: Simulator, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    populate(sim, ROWS)
    there = ("--state-url", s3 / "state")
    spent = ("--max-calls", 320, "--fetch", "lookup", "--summary", "json")
    ran = run(sim, "run", write_input(tmp_path / "in.csv"), *spent, *there)
    run_id = ran.summary["run_id"]
    not_yet_uploaded = tmp_path / "state" / "runs" / run_id / "states-000099.parquet"
    not_yet_uploaded.write_bytes(b"states")
    for is_there in (True, False):
        if not is_there:
            s3.server.forbid()
        shown = run(None, *(word.format(run_id=run_id) for word in words), *there)
        assert shown.status == 0, shown.err
        assert not_yet_uploaded.read_bytes() == b"states"


def test_tidy_removes_finished_runs_from_the_bucket_and_keeps_the_others(
    sim: Simulator, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    populate(sim, ROWS)
    there = ("--state-url", s3 / "state")

    path = write_input(tmp_path / "in.csv")

    def begun(path: Path, *words: object) -> str:
        report = ("--report", tmp_path / "{run_id}.csv")
        ran = run(sim, "run", path, "--summary", "json", *report, *there, *words)
        return str(ran.summary["run_id"])

    def kept() -> list[str]:
        return sorted({name.split("/")[1] for name in s3.keys})

    sim.forbidden.add(key(0))
    failed = begun(path)
    sim.forbidden.clear()
    done = begun(path)
    two_calls = ("--fetch", "lookup", "--max-calls", 2)
    unfinished = begun(path, *two_calls)
    s3.put(f"state/{done}/manifest.json", "of a machine that died at the very end")
    s3.put("state/20200101T000000Z-000000/manifest.json", "of another ledger")
    others = ["20200101T000000Z-000000"]
    assert kept() == sorted([failed, done, unfinished, *others])
    shown = run(None, "tidy", "-n", "--summary", "json", *there).summary
    assert [each["path"] for each in shown["removed"]] == [s3 / f"state/{done}"]
    begun(write_states(tmp_path / "next.csv", 5, "false"), *two_calls)
    assert done not in kept()
    assert run(None, "tidy", "--keep", 0, *there).status == 0
    assert failed not in kept()
    assert {unfinished, *others} <= set(kept())


def test_tidy_exits_with_6_if_the_bucket_cannot_be_listed(
    sim: Simulator, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    populate(sim, ROWS)
    run(sim, "run", write_input(tmp_path / "in.csv"))
    s3.server.forbid()
    ran = run(None, "tidy", "--state-url", s3 / "state")
    assert (ran.status, "cannot be used: the store does not" in ran.err) == (6, True)


def test_a_plan_at_work_stays_with_its_machine(
    sim: Simulator, run: Run, s3: Bucket, tmp_path: Path, new_database: Callable[[], str]
) -> None:
    populate(sim, ROWS)
    ledger = new_database()
    words = ("--ledger", ledger, "--state-url", s3 / "state")
    path = str(write_input(tmp_path / "in.csv"))
    (tmp_path / "a").mkdir()
    planning = ("plan", path, "--out", "plan.parquet", "--fetch", "lookup", *words)
    reached, released = hold_answer(sim, "GET", 150)
    with process(sim, tmp_path / "a", *planning) as machine:
        assert reached.wait(60)
        (listed,) = orjson.loads(run(None, "runs", "--json", "--ledger", ledger).out)
        assert run(sim, "resume", "--all", *words).status == 0
        assert run(sim, "resume", *words).status == 11
        assert run(sim, "resume", listed["run_id"], "--give-up", *words).status == 11
        released.set()
        text = machine.communicate()[1]
    assert machine.returncode == 0, text
    assert sim.counters.methods["GET"] < ROWS + 10
    assert (tmp_path / "a" / "plan.parquet").exists()
    assert s3.keys == []


@pytest.mark.parametrize("moment", ["scanning", "keeping the rest", "states"])
def test_another_machine_finishes_a_large_input(
    moment: str,
    run: Run,
    s3: Bucket,
    tmp_path: Path,
    new_database: Callable[[], str],
) -> None:
    path = write_input(tmp_path / "in.csv")
    there = ("--ledger", new_database(), "--state-url", s3 / "state")
    words = ("--fetch", "scan", "--page-size", "30", "--allow", "inverted", "--report", "r.csv")
    (tmp_path / "a").mkdir()
    with running(Options()) as sim:
        populate(sim, ROWS)
        kill_at(moment, sim, tmp_path / "a", "run", path, *words, *there)
        ran = run(sim, "resume", "--report", "r.csv", *there)
        assert ran.status == 0, ran.err
        assert sorted(sim.patched) == [(key(number), True) for number in range(0, ROWS, 3)]
    outcomes = [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")]
    assert outcomes == ["unchanged" if number % 3 else "updated" for number in range(ROWS)]
    assert s3.keys == []
