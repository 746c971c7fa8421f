"""The metrics file: exact gauges, kept through failures, shared by jobs, whole at any moment."""

import os
import threading
from datetime import datetime
from pathlib import Path

import orjson
import pytest
from conftest import Run, key, populate, write_states
from prometheus_client.parser import text_string_to_metric_families

from bulk_sync import __version__
from bulk_sync.monitoring import metrics_file
from bulk_sync.monitoring.run_end import HookFailed, JobStanding, RunEnd
from bulk_sync.simulator import Simulator

NAMES = {
    "bulk_sync_last_run_timestamp_seconds",
    "bulk_sync_last_success_timestamp_seconds",
    "bulk_sync_last_run_exit_status",
    "bulk_sync_last_run_duration_seconds",
    "bulk_sync_last_run_rows",
    "bulk_sync_last_run_changes",
    "bulk_sync_last_run_calls",
    "bulk_sync_last_run_throttled_seconds",
    "bulk_sync_opt_outs_overdue",
    "bulk_sync_opt_outs_due_soon",
    "bulk_sync_calls_today",
    "bulk_sync_runs_to_resume",
    "bulk_sync_build_info",
}

Gauges = dict[tuple[str, ...], float]


def gauges(path: Path) -> Gauges:
    """Return each value by its name and its labels in the order of their names."""
    return {
        (sample.name.removeprefix("bulk_sync_"), *(v for _, v in sorted(sample.labels.items()))): (
            sample.value
        )
        for metric in text_string_to_metric_families(path.read_text())
        for sample in metric.samples
    }


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 5)
    return sim


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "bulk_sync.prom"


def test_a_run_writes_every_gauge(filled: Simulator, tmp_path: Path, path: Path, run: Run) -> None:
    umask = os.umask(0o077)
    try:
        ran = run(filled, "run", write_states(tmp_path / "in.csv", 6), "--metrics-file", path)
    finally:
        os.umask(umask)
    assert ran.status == 3
    assert path.stat().st_mode & 0o7777 == 0o644
    families = list(text_string_to_metric_families(path.read_text()))
    assert {metric.name for metric in families} == NAMES
    assert {metric.type for metric in families} == {"gauge"}
    found = gauges(path)
    assert found["last_run_exit_status", "in"] == 3
    assert found["last_run_rows", "updated", "in"] == 5
    assert found["last_run_rows", "not_found", "in"] == 1
    assert found["last_run_rows", "failed", "in"] == 0
    assert found["last_run_changes", "opt-out", "in"] == 5
    assert found["last_run_calls", "PATCH", "200", "in"] == 5
    calls = sum(value for name, value in found.items() if name[0] == "last_run_calls")
    assert found["calls_today", "in"] == calls
    assert found["runs_to_resume", "in"] == 0
    assert found["build_info", __version__] == 1
    assert found["last_success_timestamp_seconds", "in"] == 0
    assert [each.name for each in tmp_path.glob(".*")] == []


@pytest.mark.parametrize("words", [(), ("--max-calls", 4), ("--max-changes", 1)], ids=str)
def test_log_file_and_ledger_have_one_duration_with_the_report_in_it(
    words: tuple[object, ...], filled: Simulator, tmp_path: Path, path: Path, run: Run
) -> None:
    more = (
        "--metrics-file",
        path,
        "--report",
        "r.csv",
        "--log-format",
        "json",
        "--summary",
        "json",
    )
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 5), *more, *words)
    took_s = ran.summary["seconds"]
    facts = orjson.loads(run(None, "runs", ran.summary["run_id"], "--json").out)
    assert facts["seconds"] == took_s
    assert gauges(path)["last_run_duration_seconds", "in"] == pytest.approx(took_s, abs=0.001)
    events = map(orjson.loads, ran.err.splitlines())
    (began,) = (event for event in events if event.get("event") == "run_began")
    began_s = datetime.fromisoformat(began["time"]).timestamp()
    assert took_s >= (tmp_path / "r.csv").stat().st_mtime - began_s


def test_the_duration_of_a_resumed_run_is_that_of_its_processes_together(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    words = ("--max-calls", 4, "--summary", "json")
    first = run(filled, "run", write_states(tmp_path / "in.csv", 5), *words).summary
    second = run(filled, "resume", "--summary", "json").summary
    facts = orjson.loads(run(None, "runs", first["run_id"], "--json").out)
    assert facts["seconds"] == pytest.approx(first["seconds"] + second["seconds"], abs=0.002)


def test_a_run_refused_before_it_began_has_a_duration(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    source = write_states(tmp_path / "in.csv", 5)
    assert run(filled, "run", source, "--max-calls", 4).status == 6
    assert run(filled, "run", source).status == 4
    (*_, refused) = orjson.loads(run(None, "runs", "--json").out)
    assert refused["seconds"] > 0


def test_the_last_success_is_kept_through_failures(
    filled: Simulator, tmp_path: Path, path: Path, run: Run
) -> None:
    source, options = write_states(tmp_path / "in.csv", 5), ("--metrics-file", path)
    run(filled, "run", source, *options)
    succeeded = gauges(path)["last_success_timestamp_seconds", "in"]
    assert succeeded > 1.7e9
    path.unlink()  # the ledger has it
    other = write_states(tmp_path / "in2.csv", 5, "false")
    assert run(filled, "run", other, *options, "--max-calls", 2).status == 6
    assert gauges(path)["last_success_timestamp_seconds", "in"] == succeeded
    assert gauges(path)["runs_to_resume", "in"] == 1
    source.unlink()
    for words in (("in.csv",), ("in.csv", "--bogus"), ("in.csv", "--max-opt-ins", "many")):
        assert run(filled, "run", *words, *options).status == 2
        found = gauges(path)
        assert found["last_success_timestamp_seconds", "in"] == succeeded
        assert found["last_run_exit_status", "in"] == 2
        assert found["last_run_rows", "updated", "in"] == 0
        assert not any(name[0] == "last_run_calls" for name in found)
    assert run(filled, "resume", *options).status == 0
    resumed = gauges(path)["last_success_timestamp_seconds", "in"]
    assert resumed > succeeded
    assert gauges(path)["runs_to_resume", "in"] == 0
    run_id = orjson.loads(run(None, "runs", "--json").out)[0]["run_id"]
    assert run(filled, "undo", run_id, *options, "--max-opt-ins", 5).status == 0
    found = gauges(path)
    assert found["last_run_exit_status", "in"] == 0
    assert found["last_success_timestamp_seconds", "in"] > resumed


def test_the_last_success_is_kept_if_the_job_is_sent_to_a_wrong_address(
    filled: Simulator, tmp_path: Path, path: Path, run: Run
) -> None:
    source, options = write_states(tmp_path / "in.csv", 5), ("--metrics-file", path)
    run(filled, "run", source, *options)
    succeeded = gauges(path)["last_success_timestamp_seconds", "in"]
    wrong = ("--endpoint", "http://127.0.0.1:1", "--patience", 0.1)
    assert run(filled, "run", source, *options, *wrong).status == 6
    assert gauges(path)["last_success_timestamp_seconds", "in"] == succeeded > 0


def test_without_a_ledger_the_file_keeps_its_values(path: Path) -> None:
    end = RunEnd("a", None, 100.0, 0, 1.0, overdue=4, due_soon=2)
    metrics_file.write(path, end, JobStanding(90.0, 1, 70))
    metrics_file.write(path, RunEnd("a", None, 200.0, 2, 1.0), JobStanding())
    found = gauges(path)
    assert found["last_run_timestamp_seconds", "a"] == 200
    assert found["last_success_timestamp_seconds", "a"] == 90
    assert found["opt_outs_overdue", "a"] == 4
    assert found["calls_today", "a"] == 70


def test_jobs_share_a_file(filled: Simulator, tmp_path: Path, path: Path, run: Run) -> None:
    path.write_text('# TYPE other gauge\nother{disk="a"} 7\n')
    for job in ("one", 'tw"o\\'):
        source = write_states(tmp_path / "in.csv", 5)
        words = ("--job", job, "--metrics-file", path, "--report", f"{job[0]}.csv")
        run(filled, "run", source, *words)
    found = gauges(path)
    assert found["other", "a"] == 7
    assert found["last_run_rows", "updated", "one"] == 5
    assert found["last_run_rows", "unchanged", 'tw"o\\'] == 5


def test_jobs_that_end_at_the_same_time_lose_no_line(path: Path) -> None:
    jobs = [f"job {number}" for number in range(8)]

    def write(job: str) -> None:
        for number in range(5):
            metrics_file.write(path, RunEnd(job, None, number, 0, 1.0), JobStanding())

    threads = [threading.Thread(target=write, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = gauges(path)
    assert {name[-1] for name in found if name[0] == "last_run_exit_status"} == set(jobs)
    assert {found["last_run_timestamp_seconds", job] for job in jobs} == {4}


@pytest.mark.parametrize("content", [b"PKey,ccpaOptOut\n@a,true\n", b"PAR1\xff\xfe"])
def test_another_file_is_left_as_it_is(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    with pytest.raises(HookFailed, match="is no file of metrics"):
        metrics_file.write(path, RunEnd("a", None, 1.0, 0, 1.0), JobStanding())
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing/job.prom", "there is no folder {folder}/missing. Make it, or name another file;"),
        ("in.csv/job.prom", "{folder}/in.csv/job.prom cannot be written: Not a directory."),
        ("null", "{folder}/null cannot be written: what has this name is no file."),
    ],
)
def test_a_file_that_cannot_be_written_changes_nothing(
    name: str, why: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    (tmp_path / "null").symlink_to(os.devnull)
    ran = run(
        filled, "run", write_states(tmp_path / "in.csv", 5), "--metrics-file", tmp_path / name
    )
    assert ran.status == 0
    assert f"WARNING --metrics-file: {why.format(folder=tmp_path)}" in ran.err
    assert "The run is not affected." in ran.err
    assert (tmp_path / "null").is_symlink()


def test_previews_leave_the_file_alone(
    filled: Simulator, tmp_path: Path, path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_METRICS_FILE", str(path))
    source = write_states(tmp_path / "in.csv", 5)
    assert run(filled, "run", source, "-n").status == 0
    assert run(filled, "plan", source).status == 0
    assert not path.exists()
    run_id = run(filled, "run", source, "--summary", "json").summary["run_id"]
    before = path.read_bytes()
    assert run(filled, "undo", run_id, "--out", "undo.parquet").status == 0
    assert run(filled, "run", "missing.csv", "-n").status == 2
    assert run(filled, "resume").status == 0
    assert path.read_bytes() == before


def test_an_audit_is_a_job_of_its_own(
    filled: Simulator, tmp_path: Path, path: Path, run: Run
) -> None:
    run(filled, "run", write_states(tmp_path / "in.csv", 5), "--metrics-file", path)
    assert run(filled, "audit", "--metrics-file", path).status == 0
    succeeded = gauges(path)["last_success_timestamp_seconds", "audit of in"]
    filled.profiles[key(0)]["ccpaOptOut"] = False
    assert run(filled, "audit", "--metrics-file", path).status == 3
    found = gauges(path)
    assert found["last_run_exit_status", "in"] == 0
    assert found["last_run_exit_status", "audit of in"] == 3
    assert found["last_run_rows", "drifted", "audit of in"] == 1
    assert found["last_success_timestamp_seconds", "audit of in"] == succeeded


def test_the_calls_of_today_are_those_of_all_commands(
    filled: Simulator, tmp_path: Path, path: Path, run: Run
) -> None:
    one, two = write_states(tmp_path / "one.csv", 5), write_states(tmp_path / "two.csv", 3)
    lookup, metrics = ("--fetch", "lookup"), ("--metrics-file", path)
    for words in (
        ("run", one, *lookup, *metrics),
        ("plan", two, *lookup),
        ("audit", *metrics),
        ("run", two, *lookup, "--max-calls", 2, *metrics),
        ("resume", *metrics),
    ):
        run(filled, *words)
    assert gauges(path)["calls_today", "two"] == len(filled.requests)
    # A run that could not start has an endpoint, and with it the number of runs there.
    assert run(filled, "run", one, "--rate", "fast", *metrics).status == 2
    assert gauges(path)["calls_today", "one"] == len(filled.requests)


def test_the_calls_of_another_day_are_not_kept(path: Path) -> None:
    noon = 1_764_331_200.0
    for at_s, calls, kept in ((noon, 70, 70), (noon + 3600, None, 70), (noon + 86_400, None, None)):
        end = RunEnd("a", None, at_s, 2, 0.1)
        metrics_file.write(path, end, JobStanding(calls_today=calls))
        assert gauges(path).get(("calls_today", "a")) == kept
