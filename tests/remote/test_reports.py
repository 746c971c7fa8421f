"""Reports in buckets: whole or not at all, never over another one, and here if that fails."""

import random
import threading
from pathlib import Path

import pytest
from buckets import SECRET, Bucket
from conftest import Run, key, populate, process, write_states

from bulk_sync.simulator import Simulator


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 9)
    return sim


def patches(sim: Simulator) -> int:
    return sum(request.method == "PATCH" for request in sim.requests)


def staged(folder: Path) -> list[Path]:
    return [path for path in folder.glob("state/reports/**/*") if path.is_file()]


def test_the_todo_file_is_published_in_the_folder_of_the_report(
    filled: Simulator, run: Run, bucket: Bucket, tmp_path: Path
) -> None:
    rows = write_states(tmp_path / "in.csv", 3).read_text() + f"{key(4)},maybe\n"
    url = bucket.put("in/in.csv", rows)
    words = ["--report", bucket / "out/{run_id}.csv", "--report", "here.csv", "--summary", "json"]
    ran = run(filled, "run", url, *words)
    assert ran.status == 3
    out = ran.summary["run_id"]
    assert bucket.keys == ["in/in.csv", f"out/{out}.csv", f"out/in.{out}.todo.csv"]
    assert bucket.get(f"out/{out}.csv") == Path("here.csv").read_bytes()
    assert ran.summary["reports"] == [bucket / f"out/{out}.csv", "here.csv"]
    assert ran.summary["todo"] == bucket / f"out/in.{out}.todo.csv"
    assert staged(tmp_path) == []
    assert run(filled, "validate", ran.summary["todo"]).status == 3


def test_no_report_is_overwritten(
    filled: Simulator, run: Run, bucket: Bucket, tmp_path: Path
) -> None:
    url = bucket.put("report.csv", "of another night")
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 3), "--report", url)
    assert ran.status == 3
    assert bucket.get("report.csv") == b"of another night"
    assert f"{url} is there already, and is never overwritten." in ran.err
    (here,) = staged(tmp_path)
    assert here.read_text().count(",updated,") == 3
    assert here.stat().st_mode & 0o777 == 0o600
    assert str(here) in ran.err
    assert f"(not at {url})" in ran.out
    assert patches(filled) == 3


@pytest.mark.parametrize(
    "command",
    [("run",), ("run", "-n"), ("validate",), ("plan",)],
    ids=" ".join,
)
def test_a_report_that_cannot_be_uploaded_stays_here_with_exit_3(
    command: tuple[str, ...],
    filled: Simulator,
    run: Run,
    s3: Bucket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bulk_sync.remote.store._RETRY", {"max_retries": 1})
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    words = (write_states(tmp_path / "in.csv", 3), "--report", s3 / "out/{run_id}.csv")
    ran = run(filled, *command, *words)
    assert ran.status == 3, ran.err
    (here,) = staged(tmp_path)
    assert "cannot be reached: the store does not answer, or not now. The file stays" in ran.err
    assert str(here) in ran.err
    if command == ("run",):
        run_id = here.stem
        ending = (
            "exit status 3: finished, but a report could not be uploaded and stays on this machine"
        )
        assert f"Run {run_id} ended with {ending}." in ran.out
        assert "report not uploaded" in run(None, "runs").out
        assert ending.partition("status ")[2] in run(None, "runs", run_id).out
        assert f"`bulk-sync report {run_id} --report URL`" in run(None, "runs", run_id).out
        assert "need a person" not in ran.out + run(None, "runs", run_id).out
        assert f"could not be uploaded. It is here: {here}." in run(None, "runs", run_id).out
        monkeypatch.setenv("AWS_ENDPOINT_URL", s3.server.url)
        again = run(None, "report", run_id, "--report", s3 / "late.csv")
        assert (again.status, s3.get("late.csv")) == (0, here.read_bytes())


def test_a_report_in_a_bucket_without_permission_stays_here(
    filled: Simulator, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    s3.server.forbid()
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 3), "--report", s3 / "{run_id}.csv")
    assert (ran.status, len(staged(tmp_path))) == (3, 1)
    assert SECRET not in ran.out + ran.err


@pytest.mark.parametrize("what", ["report", "todo file"])
def test_a_report_made_again_that_cannot_be_uploaded_is_in_the_summary(
    what: str, filled: Simulator, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    rows = write_states(tmp_path / "in.csv", 3).read_text() + f"{key(4)},maybe\n"
    (tmp_path / "in.csv").write_text(rows)
    run_id = run(filled, "run", "in.csv", "--summary", "json").summary["run_id"]
    taken = "again.csv" if what == "report" else f"in.{run_id}.todo.csv"
    s3.put(taken, "of another program")
    words = ("--report", s3 / "again.csv", "--todo", "--summary", "json")
    ran = run(None, "report", run_id, *words)
    (here,) = staged(tmp_path)
    note = f"A report could not be uploaded. It is here: {here}."
    assert (ran.status, ran.summary["exit"], ran.summary["message"]) == (3, 3, note)
    assert s3.get(taken) == b"of another program"


@pytest.mark.parametrize("taken", ["again.csv", "in.todo.csv"])
def test_files_of_a_check_that_cannot_be_uploaded_are_in_the_summary(
    taken: str, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    rows = write_states(tmp_path / "in.csv", 3).read_text() + f"{key(4)},maybe\n"
    (tmp_path / "in.csv").write_text(rows)
    s3.put(taken, "of another program")
    words = ("--report", s3 / "again.csv", "--todo", "--summary", "json")
    ran = run(None, "validate", "in.csv", *words)
    (here,) = staged(tmp_path)
    assert ran.status == 3
    assert ran.summary["message"] == f"A report could not be uploaded. It is here: {here}."


@pytest.mark.usefixtures("s3")
@pytest.mark.parametrize(
    "url", ["https://example.com/report.csv", "s3://reports/", "s3://reports", "ftp://a/b.csv"]
)
def test_a_url_that_takes_no_report_is_refused_before_the_run(
    url: str, filled: Simulator, run: Run, tmp_path: Path
) -> None:
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 3), "--report", url)
    assert (ran.status, filled.requests) == (2, [])


def test_a_resumed_run_publishes_its_report_beside_the_first_one(
    filled: Simulator, run: Run, bucket: Bucket, tmp_path: Path
) -> None:
    words = ("--report", bucket / "{run_id}.csv", "--summary", "json")
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 5), "--max-calls", 7, *words)
    assert ran.status == 6
    out = ran.summary["run_id"]
    again = run(filled, "resume", "--summary", "json")
    assert again.status == 0
    assert again.summary["reports"] == [bucket / f"{out}.2.csv"]
    assert bucket.get(f"{out}.2.csv").count(b",updated,") == 5
    assert bucket.get(f"{out}.csv").count(b",pending,") > 0


@pytest.mark.parametrize("is_there", [False, True], ids=["in the middle", "after the store has it"])
def test_a_killed_upload_publishes_nothing_and_resume_publishes_it(
    is_there: bool, filled: Simulator, run: Run, s3: Bucket, tmp_path: Path
) -> None:
    path = tmp_path / "in.csv"
    note = random.Random(7).randbytes(5_000_000).hex()
    path.write_text(f"PKey,ccpaOptOut,note\n{key(0)},true,{note}\n{key(1)},true,\n")
    reached, released = threading.Event(), threading.Event()

    def hold(method: str, _: str) -> None:
        if method == "PUT":
            reached.set()
            released.wait()

    when = "after" if is_there else "before"
    setattr(s3.server.app, when, hold)
    words = ("run", "in.csv", "--yes", "--report", s3 / "{run_id}.csv")
    with process(filled, tmp_path, *words) as child:
        assert reached.wait(60)
        child.kill()
        child.communicate()
    released.set()
    s3.server.app.before = s3.server.app.after = lambda *_: None
    assert len(s3.keys) == is_there
    ran = run(filled, "resume", "--summary", "json")
    assert ran.status == 0, ran.err
    (report,) = s3.keys
    assert report == f"{ran.summary['run_id']}.csv"
    assert s3.get(report).count(b",updated,") == 2
    assert patches(filled) == 2
