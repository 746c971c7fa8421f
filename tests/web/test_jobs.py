"""Processes of the page: they outlive it, and their files show their progress and end."""

import asyncio
import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest
from conftest import before_answer, key, populate, write_states
from serving import copying, settings_in, wait_for

from bulk_sync.settings import State
from bulk_sync.simulator import Simulator
from bulk_sync.web import jobs as page_jobs
from bulk_sync.web import rendering
from bulk_sync.web.database import Database, open_database
from bulk_sync.web.jobs import Jobs, PageJob
from bulk_sync.web.progress import Progress
from bulk_sync.web.settings import PageSettings


@pytest.fixture
def settings(sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PageSettings:
    monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", "demo-token")
    folder = tmp_path / "state"
    variables = {
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_STATE_DIR": str(folder),
    }
    return settings_in(tmp_path, variables=variables)


@pytest.fixture
def database(settings: PageSettings) -> Iterator[Database]:
    with closing(open_database(settings.state)) as database:
        yield database


@pytest.fixture
def jobs(database: Database, settings: PageSettings) -> Jobs:
    return Jobs(database, settings)


@pytest.fixture
def copied_jobs(jobs: Jobs) -> Iterator[Jobs]:
    """Yield the same jobs; their processes are copies."""
    with copying():
        yield jobs


def wait_for_end(job: PageJob) -> Progress:
    """Wait for the end of a process, and return the progress in its files."""
    wait_for(job)
    return job.progress()


def test_a_process_leaves_its_progress_its_run_and_its_summary(
    sim: Simulator, jobs: Jobs, tmp_path: Path
) -> None:
    populate(sim, 5)
    words = [str(write_states(tmp_path / "in.csv", 5)), "--report", str(tmp_path / "r.csv")]
    job = jobs.start("run", [*words, "--prepared-by", "Ana Diaz"], about="u1", who="Ana Diaz")

    async def followed() -> list[Progress]:
        return [progress async for progress in jobs.follow(job)]

    progress = asyncio.run(followed())[-1]
    assert progress.exit == 0
    assert progress.summary is not None
    assert progress.summary["outcomes"] == {"updated": 5}
    assert progress.run_id == progress.summary["run_id"]
    assert progress.rows == 5
    assert progress.plan is not None
    assert progress.plan["opt_outs"] == 5
    assert sim.states[key(0)] is True


def test_a_quiet_configuration_hides_no_event_and_no_message_from_the_page(
    sim: Simulator, database: Database, settings: PageSettings, tmp_path: Path
) -> None:
    config = tmp_path / "quiet.toml"
    config.write_text('quiet = true\nlog-format = "json"\nmax-changes = 3\n')
    variables = {**settings.variables, "BULK_SYNC_CONFIG": str(config)}
    jobs = Jobs(database, replace(settings, variables=variables))
    populate(sim, 5)
    words = [str(write_states(tmp_path / "in.csv", 5)), f"--out={tmp_path / 'plan.parquet'}"]
    with copying():
        progress = wait_for_end(jobs.start("plan", words, about="p1", who="Ana Diaz"))
        answer = asyncio.run(jobs.answer("report", "no-such-run"))
    assert progress.plan is not None
    assert progress.plan["outcomes"] == {"would_update": 5}
    assert progress.limit is not None
    assert progress.limit["option"] == "--max-changes 5"
    assert isinstance(answer, str)
    assert not answer.startswith("{")


@pytest.mark.parametrize("table", ["", "[job.in]\n"], ids=["all jobs", "the job"])
def test_reports_of_the_configuration_are_not_written_for_the_page(
    table: str, sim: Simulator, database: Database, settings: PageSettings, tmp_path: Path
) -> None:
    config = tmp_path / "own.toml"
    config.write_text(f'{table}report = ["{tmp_path}/nightly.csv"]\n')
    variables = {**settings.variables, "BULK_SYNC_CONFIG": str(config)}
    jobs = Jobs(database, replace(settings, variables=variables))
    populate(sim, 2)
    path, plan = str(write_states(tmp_path / "in.csv", 2)), str(tmp_path / "plan.parquet")
    steps = {
        "plan": [path, f"--out={plan}"],
        "apply": [plan, "--yes", f"--report={tmp_path}/own.csv"],
        "audit": [],
    }
    with copying():
        for command, words in steps.items():
            assert wait_for_end(jobs.start(command, words, about="p1", who="Ana")).exit == 0
    assert (tmp_path / "own.csv").exists()
    assert not (tmp_path / "nightly.csv").exists()


def test_another_page_finds_the_process_and_reads_the_same(
    sim: Simulator, copied_jobs: Jobs, settings: PageSettings, tmp_path: Path
) -> None:
    populate(sim, 1)
    path = str(write_states(tmp_path / "in.csv", 1))
    job = copied_jobs.start("validate", [path], about="u1", who="Ana Diaz")
    with closing(open_database(settings.state)) as another:
        other = Jobs(another, settings)
        assert other.find(job.id) == job
        assert other.last(1) == [job]
        assert other.list_about("u1") == other.list_about("u1", "validate") == [job]
        assert other.list_about("u1", "plan") == other.list_about("u2") == []
    assert wait_for_end(job).exit == 0


def ended(
    sim: Simulator, jobs: Jobs, folder: Path, act: Callable[[PageJob], object], rows: int = 50
) -> tuple[PageJob, Progress]:
    """Start a run, do something to it at its fifth write, and wait for its end."""
    populate(sim, rows)
    words = [str(write_states(folder / "in.csv", rows)), "--concurrency", "1"]
    started = Future[PageJob]()  # the process may be at its fifth write before
    before_answer(sim, "PATCH", 5, lambda: act(started.result()))
    started.set_result(job := jobs.start("run", words, about="u1", who="Ana Diaz"))
    return job, wait_for_end(job)


def test_a_killed_process_counts_as_dead_and_its_run_can_be_resumed(
    sim: Simulator, copied_jobs: Jobs, tmp_path: Path
) -> None:
    job, progress = ended(
        sim, copied_jobs, tmp_path, lambda killed: os.kill(killed.pid, signal.SIGKILL)
    )
    assert not progress.is_alive
    assert progress.exit is None
    assert progress.run_id is not None
    assert job.stop() is False
    resumed = copied_jobs.start("resume", [progress.run_id], about=progress.run_id, who="Ana Diaz")
    assert wait_for_end(resumed).exit == 0
    assert all(sim.states.values())


def test_stop_finishes_requests_in_flight_and_ends(
    sim: Simulator, copied_jobs: Jobs, tmp_path: Path
) -> None:
    found: list[PageJob | None] = []

    def stop(job: PageJob) -> None:
        found.append(copied_jobs.find(job.id))
        assert found[0] is not None
        assert found[0].stop()

    _, progress = ended(sim, copied_jobs, tmp_path, stop, rows=200)
    assert progress.exit == 130
    assert 0 < list(sim.states.values()).count(True) < 200


def test_a_double_click_on_stop_is_one_stop(
    sim: Simulator, copied_jobs: Jobs, tmp_path: Path
) -> None:
    def stop(job: PageJob) -> None:
        assert job.stop()
        while b"Stopping" not in (job.folder / "log.jsonl").read_bytes():
            os.sched_yield()
        os.utime(job.folder / "stopped")  # just now, however long that took
        assert [job.stop() for _ in range(2)] == [True] * 2

    job, progress = ended(sim, copied_jobs, tmp_path, stop)
    assert progress.exit == 130
    assert progress.summary is not None
    assert "Stopped by SIGINT" in progress.summary["message"]
    assert progress.summary["outcomes"].keys() == {"updated", "pending"}
    assert not job.stop()


def test_stop_is_sent_again_after_a_while(
    sim: Simulator, copied_jobs: Jobs, tmp_path: Path
) -> None:
    def stop(job: PageJob) -> None:
        assert job.stop()
        os.utime(job.folder / "stopped", (0, 0))
        assert job.stop()

    job, _ = ended(sim, copied_jobs, tmp_path, stop)
    assert (job.folder / "stopped").stat().st_mtime > 0


def test_an_unreachable_campaign_is_shown_during_the_retries(
    copied_jobs: Jobs, tmp_path: Path
) -> None:
    with socket.socket() as taken:  # nothing listens there
        taken.bind(("127.0.0.1", 0))
        place = f"127.0.0.1:{taken.getsockname()[1]}"
        words = [str(write_states(tmp_path / "in.csv", 1)), "--endpoint", f"http://{place}"]
        job = copied_jobs.start("run", words, about="u1", who="Ana Diaz")

        async def in_trouble() -> Progress:
            async for progress in copied_jobs.follow(job):
                if progress.trouble:
                    return progress
            raise AssertionError(job.progress())

        found = asyncio.run(in_trouble())
        assert job.stop()
        wait_for(job)
    assert found.sentence == f"Campaign is tried again: {found.trouble}."
    assert found.trouble.startswith(f"No connection to {place} (")
    shown = rendering.render("progress.html.j2", {"progress": found})
    assert f"<strong>Campaign is tried again:</strong> {found.trouble}." in shown


@pytest.mark.parametrize(
    ("then", "is_over"),
    [
        ({"message": "Campaign's list is read"}, False),
        ({"event": "progress", "pass": "read", "done": 0, "total": 9}, False),
        ({"event": "progress", "pass": "read", "done": 1, "total": 9}, True),
        ({"event": "plan"}, True),
        ({"event": "run_ended"}, True),
    ],
    ids=["another line", "nothing done", "something done", "plan", "end"],
)
def test_the_trouble_with_campaign_is_over_after_the_next_progress(
    then: dict[str, object], is_over: bool, tmp_path: Path
) -> None:
    first = {"level": "WARNING", "trouble": "Campaign answered 503"}
    (tmp_path / "log").write_bytes(b"\n".join(map(orjson.dumps, (first, then))))
    found = Progress.read(tmp_path / "log", tmp_path / "none", is_alive=True)
    assert found.trouble == ("" if is_over else "Campaign answered 503")


def test_the_id_of_a_run_is_known_as_soon_as_it_begins(
    sim: Simulator, copied_jobs: Jobs, tmp_path: Path
) -> None:
    populate(sim, 1)
    path = str(write_states(tmp_path / "in.csv", 1))
    job = copied_jobs.start("run", [path], about="u1", who="Ana Diaz")
    run_id = asyncio.run(copied_jobs.run_id_of(job, within_s=60))
    assert run_id == wait_for_end(job).run_id
    refused = copied_jobs.start("run", ["missing.csv"], about="u2", who="Ana Diaz")
    asyncio.run(copied_jobs.run_id_of(refused, within_s=60))
    assert wait_for_end(refused).exit == 2


def test_no_secret_is_an_argument_and_the_files_are_private(
    sim: Simulator, jobs: Jobs, tmp_path: Path
) -> None:
    populate(sim, 20)
    path = str(write_states(tmp_path / "in.csv", 20))
    words: list[bytes] = []
    started = Future[PageJob]()

    def look() -> None:
        words.append(Path(f"/proc/{started.result().pid}/cmdline").read_bytes())

    before_answer(sim, "PATCH", 1, look)
    started.set_result(job := jobs.start("run", [path], about="u1", who="Ana Diaz"))
    assert wait_for_end(job).exit == 0
    assert b"bulk_sync\0run\0" in words[0]
    assert b"demo-token" not in words[0]
    modes = {each.stat().st_mode & 0o777 for each in job.folder.iterdir()}
    assert modes == {0o600}
    assert job.folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("content", [b"", b"\xff\xfe", b"{", b"[1]\n", b'{"event": 3}\n\n{"a"'])
def test_half_a_file_counts_as_empty(tmp_path: Path, content: bytes) -> None:
    for name in ("log", "summary"):
        (tmp_path / name).write_bytes(content)
    found = Progress.read(tmp_path / "log", tmp_path / "summary", is_alive=False)
    assert found.run_id is None
    assert found.rows == 0


def test_of_a_long_log_the_beginning_and_the_end_are_read(tmp_path: Path) -> None:
    begun = datetime(2026, 11, 23, tzinfo=UTC)
    first = {"event": "run_began", "run_id": "r1", "rows": 90_000}
    lines = [first] + [
        {"event": "progress", "time": (begun + timedelta(seconds=n)).isoformat(), "pass": "write"}
        | {"done": 10 * n, "total": 90_000}
        for n in range(5_000)
    ]
    (tmp_path / "log").write_bytes(b"\n".join(map(orjson.dumps, lines)) + b"\n")
    found = Progress.read(tmp_path / "log", tmp_path / "none", is_alive=True)
    assert (found.run_id, found.done, found.total) == ("r1", 49_990, 90_000)
    assert found.rate == pytest.approx(10)
    assert found.sentence == "49,990 of 90,000, 1 h 7 min left."
    assert replace(found, seconds_left=None).sentence == "49,990 of 90,000."


def test_the_tables_stand_beside_a_ledger_on_a_server(state: State) -> None:
    for _ in range(2):
        with closing(open_database(state)) as database:
            assert Jobs(database, PageSettings(state)).last() == []
    is_file = state.ledger is None
    assert (state.folder / "page.sqlite3").exists() is is_file


def test_short_commands_that_hang_are_ended_and_make_room_for_others(
    jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def answers() -> list[object]:
        return await asyncio.gather(*(jobs.answer("ledger", "verify", "--json") for _ in range(3)))

    with monkeypatch.context() as patch:
        patch.setattr(page_jobs, "_ANSWER_S", 0.0)
        assert asyncio.run(answers()) == ["It took longer than 0 hours, so it was ended."] * 3
    assert "There is no ledger" in str(asyncio.run(jobs.answer("ledger", "verify", "--json")))
