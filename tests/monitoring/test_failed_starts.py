"""A requested run that could not start is in `runs`, in the log and in the ping."""

import gzip
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from itertools import product
from pathlib import Path
from typing import Any

import orjson
import pytest
from conftest import Ran, Run, key, populate, process, write_states
from receiver import Receiver, leave_time, receiving

from bulk_sync.errors import Exit
from bulk_sync.report import wording
from bulk_sync.settings import Connection, Credentials, Secret, State
from bulk_sync.simulator import Simulator
from bulk_sync.storage import lock

JSON = ("--summary", "json", "--log-format", "json")

# The command, the exit status, a part of the reason in `runs`, whether it could start.
CASES: dict[str, tuple[str, int, str, bool]] = {
    "no file": ("run missing.csv", 2, "missing.csv", False),
    "an empty file": ("run empty.csv", 2, "empty.csv is empty", False),
    "a truncated file": ("run cut.csv.gz", 2, "cut off or damaged", False),
    "an unreadable file": ("run noise.csv", 2, "noise.csv", False),
    "no column of keys": ("run headless.csv", 2, "headless.csv", False),
    "no secret": ("run in.csv", 2, "No credentials", False),
    "no secret file": ("run in.csv", 2, "No such file", False),
    "a wrong secret": ("run in.csv", 5, "", True),
    "no organization": ("run in.csv --organization=", 2, "--organization is missing", False),
    "no such option": ("run in.csv --bogus", 2, "No such option", False),
    "a wrong value": ("run in.csv --rate fast", 2, "--rate", False),
    "a wrong limit": ("run in.csv --max-opt-ins many", 2, "--max-opt-ins", False),
    "no input": ("run", 2, "Missing argument", False),
    "a misspelt name in the configuration": ("run in.csv", 2, "there is no option", False),
    "a configuration that is no TOML": ("run in.csv", 2, "bulk-sync.toml", False),
    "another run": ("run in.csv", 11, "Another run is at work", False),
    "another run than the resumed one": ("resume {left}", 11, "Another run is at work", False),
    "Campaign out of reach": (
        *("run in.csv --endpoint http://127.0.0.1:9 --patience 0.1", 6, "", True),
    ),
    "a preview out of reach": (
        "plan in.csv --endpoint http://127.0.0.1:9 --patience 0.1", 6, "No connection", True,
    ),
    "no file to plan": ("plan missing.csv --out plan.parquet", 2, "missing.csv", False),
    "no file to preview": ("run missing.csv -n", 2, "missing.csv", False),
    "no plan": ("apply missing.parquet", 2, "missing.parquet", False),
    "no run to retry": ("retry 20200101T000000Z-000000", 2, "knows no run", False),
    "no run to undo": ("undo 20200101T000000Z-000000", 2, "knows no run", False),
    "no run to audit": ("audit 20200101T000000Z-000000", 2, "knows no run", False),
    "no run to resume": ("resume 20200101T000000Z-000000", 2, "knows no run", False),
    "no call to audit": ("audit {left} --max-calls 1", 6, "gets nothing done", False),
    "a preview of what is too many words": ("run in.csv jo@example.com", 2, "unexpected", False),
}  # fmt: skip

WITH_POSTGRESQL = ("no file", "a wrong value", "a wrong secret", "another run", "no plan")
"""A reason of each kind; the record does not depend on the database."""


@pytest.fixture
def pings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    leave_time(monkeypatch)
    with receiving() as receiver:
        monkeypatch.setenv("BULK_SYNC_PING", receiver.url)
        yield receiver


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    populate(sim, 5)
    write_states(tmp_path / "in.csv", 5)
    return sim


def listed_runs(run: Run, *words: object) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = orjson.loads(run(None, "runs", "--json", *words).out)
    return listed


VARIABLES = {
    "no secret": {"ACCESS_TOKEN": ""},
    "no secret file": {"ACCESS_TOKEN": "", "CLIENT_SECRET_FILE": "none"},
    "a wrong secret": {"ACCESS_TOKEN": "an-0ther-t0ken"},
}
CONFIGURATIONS = {
    "a misspelt name in the configuration": "max-opt-in = 3\n",
    "a configuration that is no TOML": "max-opt-ins: 3\n",
}


def write_files(folder: Path) -> None:
    """Write inputs that no run can read."""
    (folder / "empty.csv").touch()
    whole = gzip.compress((folder / "in.csv").read_bytes())
    (folder / "cut.csv.gz").write_bytes(whole[: len(whole) // 2])
    (folder / "noise.csv").write_bytes(b"PK\x03\x04\x00\x00")
    (folder / "headless.csv").write_text("jo@example.com,5\nal@example.com,6\n")


def type_case(case: str, sim: Simulator, run: Run, patch: pytest.MonkeyPatch) -> Ran:
    """Type the line of a case, after a night that spent its budget."""
    line, folder = CASES[case][0], Path.cwd()
    assert run(sim, "run", "in.csv", "--fetch", "lookup", "--max-calls", 3).status == 6
    (left,) = (each["run_id"] for each in listed_runs(run))
    write_files(folder)
    if case in CONFIGURATIONS:
        (folder / "bulk-sync.toml").write_text(CONFIGURATIONS[case])
    options = {"ENDPOINT": sim.url, "ORGANIZATION": "acme", "API_KEY": "demo-key"}
    options |= {"ACCESS_TOKEN": "demo-token", **VARIABLES.get(case, {})}
    with ExitStack() as around, patch.context() as inner:
        for name, value in options.items():
            inner.setenv(f"BULK_SYNC_{name}", value)
        if case.startswith("another run"):
            credentials = Credentials("k", access_token=Secret("t"))
            held = lock.name(Connection(sim.url, "acme", credentials))
            around.enter_context(lock.hold(folder / "state", held, "run X of another"))
        fresh = ["--fresh"] if line.startswith("run") else []
        return run(None, *line.format(left=left).split(), *JSON, *fresh)


@pytest.mark.parametrize(
    ("case", "state"),
    [*product(CASES, ["sqlite"]), *product(WITH_POSTGRESQL, ["postgresql"])],
    indirect=["state"],
)
def test_every_requested_run_stands_in_runs_with_its_reason(
    case: str,
    filled: Simulator,
    state: State,
    run: Run,
    pings: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    line, status, reason, has_started = CASES[case]
    if state.ledger is not None:
        monkeypatch.setenv("BULK_SYNC_LEDGER", state.ledger)
    ran = type_case(case, filled, run, monkeypatch)
    (tmp_path / "bulk-sync.toml").unlink(missing_ok=True)
    assert ran.status == status

    events = [each for each in map(orjson.loads, ran.err.splitlines()) if "event" in each]
    assert [each["event"] for each in events].count("run_ended") == 1
    assert ran.summary.items() <= events[-1].items()
    assert (ran.summary["exit"], ran.summary["recorded"]) == (status, True)

    left, row = listed_runs(run)
    command, source, *_ = [*line.split(), ""]
    is_preview = command == "plan" or "-n" in line
    assert row["kind"] == ("plan" if is_preview else command)
    assert (row["exit"], row["started"]) == (status, has_started)
    assert row["finished"] == (status != 6 or not has_started)
    assert reason in row["message"]
    assert "jo@example.com" not in orjson.dumps(row).decode()
    if command == "run":
        assert row["run_id"] == ran.summary["run_id"]
        assert row["input"] == source
    assert row["begun_at"] <= row["ended_at"]
    listed = run(None, "runs").out
    assert row["run_id"] in listed
    assert has_started or reason in " ".join(listed.split())
    assert has_started or "could not start" in listed

    if not is_preview:
        sent = [body for path, body in pings.received if f"/{status}?" in path][-1]
        goes_on = not row["finished"] or command == "resume"
        meaning = wording.exit_status(Exit(status), is_resumable=goes_on).partition(": ")[2]
        assert f"exit status: {status}\nmeaning: {meaning}\n" in sent
        assert has_started or "could not start: `bulk-sync runs` shows why\n" in sent
        assert key(0) not in sent

    assert run(None, "ledger", "verify").status == 0
    assert left["exit"] == 6


@pytest.mark.parametrize(
    ("words", "source"),
    [
        ("--access-token=S-cret in.csv", "in.csv"),
        ("--client-secret S-cret in.csv", "in.csv"),
        ("in.csv --client-secret S-cret", "in.csv"),
        ("--client-secret S-cret", None),
        ("-s S-cret", None),
        ("-access-token=S-cret in.csv", "in.csv"),
        ("--dryrun in.csv", "in.csv"),
        ("--timeuot 5 missing.csv", "missing.csv"),
        ("--bogus -- --access-token=in.csv", "--access-token=in.csv"),
        ("-qz --rate 5 in.csv", "in.csv"),
    ],
)
def test_neither_an_unknown_option_nor_its_value_is_taken_for_the_input(
    words: str, source: str | None, filled: Simulator, run: Run, pings: Receiver, tmp_path: Path
) -> None:
    ran = run(filled, "run", "--metrics-file", "m.prom", *JSON, *words.split())
    assert (ran.status, ran.summary["input"]) == (2, source)
    assert "No such option" in ran.summary["message"]
    (row,) = listed_runs(run)
    assert row["input"] == (source or "")
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    sent = [f"{path} {body}" for path, body in pings.received]
    assert "S-cret" not in ran.out + ran.err + "".join(sent)
    assert not any(b"S-cret" in each for each in kept)


@pytest.mark.parametrize(
    "words",
    [
        ("--endpoint", "https://me:S-cret@127.0.0.1/x"),
        ("--endpoint", "https://127.0.0.1/x?token=S-cret"),
        ("--endpoint", "https://me:S-cret/more@127.0.0.1/x"),
        ("--endpoint", "me:S-cret@127.0.0.1/x"),
        ("--endpoint", "https://me:S-cret word@127.0.0.1/x"),
        ("--ims-endpoint", "https://me:S-cret@127.0.0.1/x"),
        ("--state-url", "s3://me:S-cret@bucket/x"),
        ("--metrics-file", "https://127.0.0.1/x?token=S-cret"),
    ],
)
def test_a_secret_in_a_wrong_url_is_not_kept(
    words: tuple[str, str], filled: Simulator, run: Run, pings: Receiver, tmp_path: Path
) -> None:
    ran = run(filled, "run", "in.csv", *words, *JSON)
    assert (ran.status, ran.summary["recorded"]) == (2, True)
    kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert "S-cret" not in ran.out + ran.err + "".join(pings.bodies)
    assert not any(b"S-cret" in each for each in kept)


@pytest.mark.parametrize(
    "words",
    [
        "run {}",
        "run in.csv --job {}",
        "run in.csv --ticket=re-{}",
        "apply {}",
        "run in.csv {}",
        "{}",
    ],
)
@pytest.mark.parametrize(
    "place", ["variable", "file", "bulk-sync.toml", "--config=own.toml", "--config own.toml"]
)
def test_a_secret_in_a_wrong_place_is_neither_shown_nor_kept(
    words: str,
    place: str,
    filled: Simulator,
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secret = "p8e-0123456789-in-a-wrong-place"
    file = tmp_path.parent / f"{tmp_path.name}.secret"
    file.write_text(f"{secret}\n")
    if place == "variable":
        monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", secret)
    elif place == "file":
        monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET_FILE", str(file))
    else:
        name = place.removeprefix("--config").strip("= ")
        line = f"client-secret = '{secret}'" if " " in place else f"client_secret-file = '{file}'"
        (tmp_path / name).write_text(line)
        if name != place:
            words = f"{words} {place}"
    ran = run(filled, *words.format(secret).split())
    assert ran.status == 2
    assert secret not in ran.out + ran.err
    kept = [
        path.read_bytes()
        for path in tmp_path.rglob("*")
        if path.is_file() and path.suffix != ".toml"
    ]
    assert not any(secret.encode() in each for each in kept)
    if not words.startswith("{}"):
        assert "is typed on the command line too" in ran.err
        assert listed_runs(run)[-1]["exit"] == 2
    assert filled.patched == []


def test_a_short_secret_as_of_a_simulator_may_be_a_part_of_words(
    filled: Simulator, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", "nightly-secret")
    assert run(filled, "validate", "in.csv", "--job", "nightly-secret-list").status == 0


def test_a_run_that_could_not_start_counts_for_no_other_run(filled: Simulator, run: Run) -> None:
    assert run(filled, "run", "in.csv").status == 0
    assert run(filled, "run", "in.csv", "--rate", "fast").status == 2
    failed = listed_runs(run)[-1]["run_id"]
    assert "nothing to resume" in run(filled, "resume").out
    assert run(filled, "resume", "--all").status == 0
    for command in ("resume", "retry", "undo", "audit", "report"):
        ran = run(filled, command, failed, "--report", "again.csv")
        assert (ran.status, "could not start" in ran.err) == (2, True)
    shown = run(None, "runs", failed).out
    assert "exit: 2: could not start\n" in shown
    assert "Invalid value for '--rate'" in shown
    assert "nothing to resume. Correct what the message names. Start the command again." in shown
    # The file is compared with the run that stands, and with no other one.
    assert "carried out this very file" in run(filled, "run", "in.csv").err
    assert run(filled, "undo", listed_runs(run)[0]["run_id"], "--max-opt-ins", 5).status == 0
    assert len(filled.patched) == 10


def test_a_follow_up_makes_no_ledger_in_a_wrong_place(filled: Simulator, run: Run) -> None:
    for command in ("resume", "retry", "undo", "audit"):
        ran = run(filled, command, "20200101T000000Z-000000", "--summary", "json")
        assert (ran.status, ran.summary["recorded"]) == (2, False)
        assert "There is no ledger at" in ran.summary["message"]
        assert not (ran.folder / "state" / "ledger.sqlite3").exists()


def test_the_record_of_a_skipped_run_says_nothing_of_the_next_one(
    filled: Simulator, tmp_path: Path, run: Run, pings: Receiver
) -> None:
    for job in ("one", "two"):
        path = write_states(tmp_path / f"{job}.csv", 5, "true" if job == "one" else "false")
        assert run(filled, "run", path, "--fetch", "lookup", "--max-calls", 3).status == 6
    stuck = listed_runs(run)[0]["run_id"]
    (tmp_path / "state" / "runs" / stuck / "states-000001.parquet").write_bytes(b"")
    with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite3")) as other, other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON lines WHEN NEW.kind = 'ended' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    ran = run(filled, "resume", "--all", *JSON)
    ends = [orjson.loads(line) for line in ran.out.splitlines()]
    assert [(end["job"], end["recorded"]) for end in ends] == [("one", True), ("two", False)]
    assert (ran.status, "could not be recorded in the ledger" in pings.bodies[-1]) == (6, True)


@pytest.mark.parametrize("what", ["report", "checkpoint"])
def test_a_run_skipped_by_resume_all_is_named_and_recorded(
    what: str, filled: Simulator, tmp_path: Path, run: Run, pings: Receiver
) -> None:
    (tmp_path / "out").mkdir()
    stopped = ("--fetch", "lookup", "--max-calls", 3)
    for job, more in (("one", ("--report", "out/one.csv")), ("two", ())):
        state = "true" if job == "one" else "false"
        assert run(
            filled, "run", write_states(tmp_path / f"{job}.csv", 5, state), *stopped, *more
        ).status
    stuck = listed_runs(run)[0]["run_id"]
    if what == "report":
        shutil.rmtree(tmp_path / "out")
    else:
        (tmp_path / "state" / "runs" / stuck / "states-000001.parquet").write_bytes(b"")
    pings.received.clear()
    ran = run(filled, "resume", "--all", "--metrics-file", "all.prom", *JSON)
    assert ran.status == 3
    first, second = (orjson.loads(line) for line in ran.out.splitlines())
    assert (first["exit"], first["run_id"], first["recorded"]) == (2, stuck, True)
    assert (second["exit"], second["job"]) == (0, "two")
    ends = [path for path in pings.paths if not path.endswith("/start")]
    assert ends == ["/s3cret-uuid/2", "/s3cret-uuid"]
    metrics = (tmp_path / "all.prom").read_text("utf-8")
    assert 'bulk_sync_last_run_exit_status{sync_job="one"} 2.0' in metrics
    failed = [
        (each["parent"], each["exit"]) for each in listed_runs(run) if each["kind"] == "resume"
    ]
    assert failed == ([(stuck, 2)] if what == "report" else [])  # the other one had begun


def test_typing_errors_and_commands_that_are_no_runs_leave_no_trace(run: Run) -> None:
    for line in ("rum in.csv", "validate missing.csv", "history @a", "run --help", "--bogus"):
        run(None, *line.split())
    assert run(None, "runs").status == 2  # there is no ledger


@pytest.mark.parametrize("what", ["in the way", "unreachable", "cut off"])
def test_an_unusable_ledger_is_named_after_the_first_error(
    what: str,
    filled: Simulator,
    run: Run,
    pings: Receiver,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    (tmp_path / "file").touch()
    match what:
        case "in the way":
            monkeypatch.setenv("BULK_SYNC_LEDGER", f"sqlite:///{tmp_path}/file/ledger.sqlite3")
        case "unreachable":
            monkeypatch.setenv("BULK_SYNC_LEDGER", "postgresql://me:s3cret@127.0.0.1:9/ledger")
        case "cut off":
            assert run(filled, "run", "in.csv").status == 0
            for each in (tmp_path / "state").glob("ledger.sqlite3*"):
                each.unlink()
    for line, status, first in (
        ("run missing.csv", 2, "missing.csv"),
        (
            *("run in.csv", 6 if what == "unreachable" else 2),
            "file: File exists" if what == "in the way" else "The ledger",
        ),
        ("run in.csv --rate fast", 2, "--rate"),
    ):
        ran = run(filled, *line.split(), *JSON)
        assert (ran.status, ran.summary["exit"], ran.summary["recorded"]) == (status, status, False)
        assert first in ran.summary["message"].split(". ")[0]
        assert "`bulk-sync runs` does not show this run" in ran.summary["message"]
        log = [orjson.loads(each)["message"] for each in ran.err.splitlines()]
        assert ran.summary["message"] in log
        assert "could not be recorded in the ledger" in pings.bodies[-1]
        assert "s3cret" not in ran.out + ran.err


WITHOUT_ROOM = ("sh", "-c", 'ulimit -f 0 && exec "$@"', "sh", sys.executable, "-m", "bulk_sync")


def test_a_full_disk_at_the_start_is_exit_6_and_stands_in_a_ledger_elsewhere(
    filled: Simulator,
    tmp_path: Path,
    run: Run,
    new_database: Callable[[], str],
    pings: Receiver,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    secrets = {"BULK_SYNC_ACCESS_TOKEN": "demo-token", "BULK_SYNC_LEDGER": new_database()}
    secrets["BULK_SYNC_PING"] = pings.url
    with process(filled, tmp_path, "run", "in.csv", program=WITHOUT_ROOM, secrets=secrets) as full:
        assert full.stderr is not None
        text = full.stderr.read()
    assert full.returncode == 6
    assert "The disk is full: " in text
    assert "Traceback" not in text
    monkeypatch.setenv("BULK_SYNC_LEDGER", secrets["BULK_SYNC_LEDGER"])
    (row,) = listed_runs(run)
    assert (row["exit"], row["started"]) == (6, False)
    assert row["message"].startswith("The disk is full: ")
    assert pings.paths[-1].endswith("/6")
    assert "could not start" in pings.bodies[-1]
    assert "nothing to resume" in run(filled, "resume").out


@pytest.mark.parametrize("size_kb", [4, 64, 100, 140, 200])
def test_a_full_disk_is_exit_6_in_whatever_phase(
    size_kb: int, filled: Simulator, tmp_path: Path
) -> None:
    unshare = (shutil.which("unshare") or "unshare", "-rm", shutil.which("sh") or "sh", "-c")
    if subprocess.run([*unshare, "mount -t tmpfs tmpfs /mnt"], check=False).returncode:
        pytest.skip("this user may mount no disk of their own")
    (tmp_path / "state").mkdir()
    rows = [f"{key(number)},true,{os.urandom(40).hex()}" for number in range(2_000)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut,note", *rows, ""]))
    mount = f"mount -t tmpfs -o size={size_kb}k tmpfs {tmp_path}/state"
    program = (*unshare, f'{mount} && exec "$@"', "sh", sys.executable, "-m", "bulk_sync")
    words = ("run", "in.csv", "--max-changes", "0", "--report", "r.csv")
    with process(filled, tmp_path, *words, program=program) as full:
        assert full.stderr is not None
        text = full.stderr.read()
    assert full.returncode == 6, text
    assert "The disk is full: " in text
    assert "Traceback" not in text
    last = text.splitlines()[-1]
    assert last.count("The disk is full: ") == 1, last
