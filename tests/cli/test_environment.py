"""Machines without something: locks, a home, a user name, the working directory, disk space."""

import errno
import fcntl
import os
import pwd
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import copies
import orjson
import pytest
import unprivileged
from conftest import Run, populate, process, write_states

from bulk_sync.cli import main
from bulk_sync.simulator import Options, Simulator, running

ROWS = 5


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    populate(sim, ROWS)
    write_states(tmp_path / "in.csv", ROWS)
    return sim


def refuse_locks(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """Make the system refuse to lock files, as some network shares do."""

    def refused(_descriptor: int, _operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refused)


@pytest.mark.parametrize(
    "number",
    [errno.ENOLCK, errno.EOPNOTSUPP, errno.EIO],
    ids=errno.errorcode.get,
)
def test_a_folder_without_locks_is_refused_before_anything_is_sent(
    number: int, filled: Simulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_locks(monkeypatch, number)
    ran = run(filled, "run", "in.csv")
    assert ran.status == 2
    assert f"files cannot be locked there ({os.strerror(number)})" in ran.err
    assert "--state-dir" in ran.err
    assert "PostgreSQL" in ran.err
    assert filled.requests == []


def test_the_lock_of_a_shared_ledger_replaces_a_refused_one(
    filled: Simulator,
    run: Run,
    new_database: Callable[[], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("BULK_SYNC_LEDGER", new_database())
    refuse_locks(monkeypatch, errno.ENOLCK)
    ran = run(filled, "run", "in.csv")
    assert ran.status == 0, ran.err
    assert len(filled.patched) == ROWS


@pytest.fixture
def removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change into a folder, and remove it."""
    folder = tmp_path / "gone"
    folder.mkdir()
    monkeypatch.chdir(folder)
    folder.rmdir()


@pytest.mark.usefixtures("removed")
@pytest.mark.parametrize(
    "line",
    [
        "run in.csv", "plan in.csv", "apply p.parquet", "resume", "resume --all", "retry 1",
        "undo 1", "audit", "runs", "runs 1", "history @a", "ledger verify", "validate in.csv",
        "map in.csv", "check", "run in.csv --config c.toml",
    ],
)  # fmt: skip
def test_a_removed_working_directory_is_wrong_usage(line: str, sim: Simulator, run: Run) -> None:
    ran = run(sim, *line.split())
    assert ran.status == 2
    assert "The working directory cannot be read. Perhaps it was removed." in ran.err
    assert sim.requests == []


@pytest.mark.parametrize(
    ("line", "status"), [("run in.csv", 2), ("resume --all", 2), ("run --help", 0)]
)
def test_a_working_directory_that_may_not_be_entered_is_wrong_usage(
    line: str, status: int, filled: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir()
    program = ("sh", "-c", 'cd locked; chmod 0 .; exec "$@"', "sh", *unprivileged.program())
    with process(filled, tmp_path, *line.split(), program=program) as ran:
        _, err = ran.communicate()
    (tmp_path / "locked").chmod(0o700)
    assert ran.returncode == status, err
    assert ("The working directory cannot be read: Permission denied." in err) == (status == 2)
    assert filled.requests == []


def test_a_configuration_file_that_leads_into_an_unreadable_folder_is_named(
    filled: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "locked").mkdir(mode=0)
    (tmp_path / "bulk-sync.toml").symlink_to("locked/bulk-sync.toml")
    with process(filled, tmp_path, "run", "in.csv", more={copies.UNPRIVILEGED: "1"}) as ran:
        _, err = ran.communicate()
    assert ran.returncode == 2
    assert "bulk-sync.toml cannot be read: it is a link to locked/bulk-sync.toml, which" in err
    assert filled.requests == []


@pytest.mark.usefixtures("removed")
@pytest.mark.parametrize("line", ["--help", "run --help", "ledger verify --help", "--version"])
def test_help_needs_no_working_directory(line: str, run: Run) -> None:
    ran = run(None, *line.split())
    assert ran.status == 0
    assert "bulk-sync" in ran.out


def test_a_working_directory_removed_meanwhile_does_not_stop_the_run(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "going"
    folder.mkdir()
    monkeypatch.chdir(folder)
    with running(Options(latency_s=0.05)) as sim:
        populate(sim, ROWS)
        path = write_states(tmp_path / "in.csv", ROWS)

        def remove() -> None:
            while not sim.requests:
                threading.Event().wait(0.002)
            folder.rmdir()

        thread = threading.Thread(target=remove)
        thread.start()
        ran = run(sim, "run", path, "--report", tmp_path / "in.results.csv")
        thread.join()
    assert ran.status == 0, ran.err
    assert ran.outcomes == ["updated"] * ROWS
    assert f"Report: {tmp_path / 'in.results.csv'}" in ran.out


@pytest.fixture
def nameless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run as a user with a number and no name, as in many containers."""

    def unknown(uid: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {uid}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "LOGNAME", "USER", "LNAME", "USERNAME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nameless")
def test_a_user_without_a_name_or_home_is_known_by_the_number(filled: Simulator, run: Run) -> None:
    assert run(filled, "run", "in.csv").status == 0
    (facts,) = orjson.loads(run(None, "runs", "--json").out)
    assert facts["operator"].startswith(f"user {os.getuid()} on ")


@pytest.mark.usefixtures("nameless")
def test_without_a_home_the_state_folder_must_be_named(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["runs"])
    assert ended.value.code == 2
    assert "Name a folder with --state-dir" in capfd.readouterr().err


@pytest.mark.usefixtures("nameless")
def test_a_secret_file_below_an_unknown_home_is_wrong_usage(
    filled: Simulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET_FILE", "~/secret")
    ran = run(filled, "run", "in.csv")
    assert ran.status == 2
    assert "BULK_SYNC_CLIENT_SECRET_FILE names the file '~/secret'" in ran.err


@pytest.mark.parametrize("line", ["runs", "resume", "audit", "history @a", "run in.csv"])
def test_an_unreadable_state_folder_is_wrong_usage(
    line: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    # A folder of another user is one too, but not for root, as whom tests may run.
    ran = run(filled, *line.split(), "--state-dir", tmp_path / ("n" * 300))
    assert ran.status == 2
    assert "File name too long" in ran.err
    assert filled.requests == []


@pytest.mark.parametrize(
    ("line", "status"),
    [
        ("run --help >/dev/full", 0),
        ("run 2>/dev/full", 2),
        ("nonsense >&- 2>&-", 2),
    ],
)
def test_help_and_usage_without_standard_output_are_no_bug(
    line: str, status: int, tmp_path: Path
) -> None:
    words = f"{sys.executable} -m bulk_sync {line}"
    ended = subprocess.run(
        ["/bin/sh", "-c", words], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == status
    if line.endswith(" >/dev/full"):
        assert "The output could not be written: No space left on device." in ended.stderr


def test_help_for_a_closed_pipe_is_no_bug(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    ended = subprocess.run(
        [sys.executable, "-m", "bulk_sync", "run", "--help"],
        cwd=tmp_path,
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
    )
    os.close(write)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_fewer_open_files_mean_fewer_requests_in_flight(filled: Simulator, tmp_path: Path) -> None:
    limited = ("sh", "-c", 'ulimit -n 180; exec "$0" -m bulk_sync "$@"', sys.executable)
    with process(filled, tmp_path, "run", "in.csv", program=limited) as ran:
        _, err = ran.communicate()
    assert ran.returncode == 0, err
    assert "At most 26 requests are in flight: the system allows no more open files" in err


@pytest.mark.parametrize("mode", [0o000, 0o400, 0o100], ids=["nothing", "list", "enter"])
@pytest.mark.parametrize("pattern", ["lists/**/*.csv", "lists/*/*.csv"])
def test_a_glob_does_not_pass_over_a_folder_that_cannot_be_read(
    pattern: str, mode: int, tmp_path: Path
) -> None:
    for name in ("a", "b"):
        (tmp_path / "lists" / name).mkdir(parents=True)
        (tmp_path / f"lists/{name}/{name}.csv").write_text("PKey,ccpaOptOut\n@a,true\n")
    (tmp_path / "lists/b").chmod(mode)
    try:
        ended = unprivileged.run_copy("validate", pattern)
    finally:
        (tmp_path / "lists/b").chmod(0o700)
    assert ended.returncode == 2
    assert "lists/b cannot be read: Permission denied." in ended.stderr


@pytest.mark.parametrize("folder", ["rows", "runs"])
def test_a_folder_of_another_user_in_the_state_folder_is_explained(
    folder: str, sim: Simulator, run: Run, tmp_path: Path
) -> None:
    populate(sim, 3)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 3)).status == 0
    (tmp_path / "state" / folder).chmod(0)
    try:
        ended = unprivileged.run_copy("run", "in.csv")
    finally:
        (tmp_path / "state" / folder).chmod(0o700)
    assert ended.returncode == 2
    assert f"state/{folder} cannot be read: Permission denied. See that it" in ended.stderr


@pytest.fixture
def held_run(sim: Simulator, run: Run, tmp_path: Path) -> str:
    """Return the id of a run that waits for a person, with its checkpoint."""
    populate(sim, ROWS)
    refused = run(sim, "run", write_states(tmp_path / "in.csv", ROWS), "--max-changes", "1")
    assert refused.status == 4
    (folder,) = (tmp_path / "state/runs").iterdir()
    return folder.name


@pytest.mark.parametrize(
    "words",
    ["resume", "resume --all", "resume RUN_ID", "runs RUN_ID", "tidy"],
)
def test_a_file_in_place_of_the_checkpoints_is_not_taken_for_none(
    words: str, held_run: str, sim: Simulator, run: Run, tmp_path: Path
) -> None:
    checkpoints = tmp_path / "state/runs"
    checkpoints.rename(tmp_path / "moved")
    checkpoints.touch()
    ended = run(sim, *words.replace("RUN_ID", held_run).split())
    assert ended.status == 2
    assert "state/runs cannot be read: Not a directory. See that it is a folder" in ended.err


@pytest.mark.parametrize("above", [True, False], ids=["all", "one"])
@pytest.mark.parametrize(
    ("words", "status"),
    [("resume", 2), ("resume --all", 2), ("resume RUN_ID", 2), ("runs", 0), ("runs RUN_ID", 2)],
)
def test_a_checkpoint_of_another_user_is_no_bug(
    words: str, status: int, above: bool, held_run: str, sim: Simulator, tmp_path: Path
) -> None:
    folder = tmp_path / "state/runs" / ("" if above else held_run)
    folder.chmod(0)
    given = {"ENDPOINT": sim.url, "API_KEY": "demo-key", "ACCESS_TOKEN": "demo-token"}
    given |= {"ORGANIZATION": "acme", "STATE_DIR": "state"}
    try:
        ended = unprivileged.run_copy(
            *words.replace("RUN_ID", held_run).split(),
            env=os.environ | {f"BULK_SYNC_{name}": value for name, value in given.items()},
        )
    finally:
        folder.chmod(0o700)
    assert ended.returncode == status, ended.stderr
    assert ("cannot be read: Permission denied" in ended.stderr) is (status != 0)
