"""One run at a time on one organization: which runs wait, and their messages."""

import getpass
import os
import pwd
import re
import socket
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from stat import S_IMODE

import pytest
from conftest import Run, key, populate, write_states
from full_disk import full_disk

from bulk_sync import ledger
from bulk_sync.errors import AnotherRun, DiskFull, UsageProblem
from bulk_sync.settings import Connection, Credentials, Secret, State
from bulk_sync.simulator import Simulator
from bulk_sync.storage import lock

LOCK = "acme-0123456789ab"


def named(endpoint: str, organization: str = "acme") -> str:
    return lock.name(Connection(endpoint, organization, Credentials("k", access_token=Secret("t"))))


def test_the_second_run_learns_the_holder_of_the_lock(tmp_path: Path) -> None:
    with (
        lock.hold(tmp_path, LOCK, "run 1 of somebody, since yesterday"),
        pytest.raises(AnotherRun, match="run 1 of somebody, since yesterday"),
        lock.hold(tmp_path, LOCK, "run 2"),
    ):
        pass


def test_a_process_is_named_with_the_second_since_which_it_works() -> None:
    process = lock.RunProcess("run 1 of somebody", 1_795_399_200_999)
    assert str(process) == "run 1 of somebody, since 2026-11-23T02:00:00+00:00"
    assert str(lock.RunProcess("run 1 of somebody")) == "run 1 of somebody"


def test_a_lock_is_free_after_its_block_also_after_an_error(tmp_path: Path) -> None:
    def failing() -> None:
        with lock.hold(tmp_path, LOCK, "run 1"):
            raise RuntimeError("This run has failed.")

    for _ in range(3):
        with pytest.raises(RuntimeError, match="has failed"):
            failing()
    with lock.hold(tmp_path, LOCK, "run 2"):
        pass


def test_a_short_name_replaces_a_long_one_completely(tmp_path: Path) -> None:
    with lock.hold(tmp_path, LOCK, "run 1 of a user with a very long name"):
        pass
    with lock.hold(tmp_path, LOCK, "run 2"):
        (path,) = (tmp_path / "locks").iterdir()
        assert path.read_text() == "run 2\n"
        with pytest.raises(AnotherRun) as raised, lock.hold(tmp_path, LOCK, "run 3"):
            pass
        assert "very long name" not in str(raised.value)
        assert path.read_text() == "run 2\n"


def test_a_lock_that_cannot_be_opened_hides_no_holder_of_another(tmp_path: Path) -> None:
    with lock.hold(tmp_path, LOCK, "run 1"):
        for name in ("1", "z"):
            (tmp_path / f"locks/{name}.lock").symlink_to("nowhere")
        assert lock.find_holders(tmp_path) == ["run 1"]


def test_only_the_owner_can_read_a_lock(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with lock.hold(tmp_path / "state", LOCK, "run 1"):
            (path,) = (tmp_path / "state" / "locks").iterdir()
            assert S_IMODE(path.stat().st_mode) == 0o600
            assert S_IMODE(path.parent.stat().st_mode) == 0o700
    finally:
        os.umask(before)


def test_a_waiting_run_goes_on_after_the_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="bulk_sync")
    is_held, waits, taken = threading.Event(), threading.Event(), []

    def first() -> None:
        with lock.hold(tmp_path, LOCK, "run 1 of somebody"):
            is_held.set()
            waits.wait(60)

    def second() -> None:
        with lock.hold(tmp_path, LOCK, "run 2", wait_s=60):
            taken.append(waits.is_set())

    threads = [threading.Thread(target=work) for work in (first, second)]
    threads[0].start()
    is_held.wait(60)
    threads[1].start()
    while "Waiting" not in caplog.text and threads[1].is_alive():
        threads[1].join(0.01)
    threads[1].join(0.5)  # it retries meanwhile, without another message
    waits.set()
    for thread in threads:
        thread.join(60)
    assert taken == [True]
    assert re.findall("Waiting.*", caplog.text) == ["Waiting up to 60 s for run 1 of somebody"]


def test_a_waiting_run_gives_up_at_the_end_of_its_time_and_no_sooner(tmp_path: Path) -> None:
    with lock.hold(tmp_path, LOCK, "run 1 of somebody"):
        began = time.monotonic()
        with (
            pytest.raises(AnotherRun, match="run 1 of somebody"),
            lock.hold(tmp_path, LOCK, "run 2", wait_s=0.3),
        ):
            pass
        assert time.monotonic() - began >= 0.3


def test_a_folder_that_cannot_be_written_is_named_with_the_option(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with (
        pytest.raises(UsageProblem, match=rf"{tmp_path}/state: .*Nothing was sent.*--state-dir"),
        lock.hold(tmp_path / "state", LOCK, "run 1"),
    ):
        pass


def test_a_full_disk_is_reported_and_the_lock_is_free_again(tmp_path: Path) -> None:
    with (
        full_disk(0),
        pytest.raises(DiskFull, match=rf"is full: {tmp_path}: .*Nothing was sent.*--state-dir"),
        lock.hold(tmp_path, LOCK, "run 1"),
    ):
        pass
    with lock.hold(tmp_path, LOCK, "run 2"):
        pass


SPELLINGS = [
    (
        "https://mc.adobe.io",
        "https://mc.adobe.io:443",
        "https://MC.adobe.io",
        "https://mc.adobe.io.",
    ),
    ("http://127.0.0.1", "http://localhost", "http://127.0.0.1:80", "http://LOCALHOST:80"),
    ("http://127.0.0.1:8710", "http://localhost:8710"),
    ("https://mc.adobe.io/stage", "https://mc.adobe.io:443/stage"),
    ("https://mc.adobe.io:80", "https://mc.adobe.io.:80"),
    ("http://127.0.0.1:443", "https://localhost"),
]


def test_every_spelling_of_an_endpoint_has_the_same_lock_and_other_endpoints_another() -> None:
    names = [{named(each) for each in spellings} for spellings in SPELLINGS]
    assert [len(each) for each in names] == [1] * len(SPELLINGS)
    elsewhere = {named(spellings[0], "acme-stage") for spellings in SPELLINGS}
    assert len(set().union(*names, elsewhere)) == 2 * len(SPELLINGS)
    assert all(each.startswith("acme-") for (each,) in names)


def test_runs_on_two_organizations_do_not_keep_each_other_out(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    path = write_states(tmp_path / "in.csv", 1)
    with lock.hold(tmp_path / "state", named(sim.url, "acme-stage"), "somebody"):
        assert run(sim, "run", path, "--report", "r.csv").status == 0
    with lock.hold(tmp_path / "state", named(sim.url), "somebody"):
        ran = run(sim, "run", path)
    assert ran.status == 11
    assert "somebody" in ran.err


@pytest.mark.parametrize("command", ["run", "apply", "undo", "retry"])
def test_nothing_is_written_while_another_run_works(
    command: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    sim.forbidden.add(key(2))
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3), "--summary", "json")
    assert ran.status == 3
    first = ran.summary["run_id"]
    (tmp_path / "next.csv").write_text(f"PKey,ccpaOptOut\n{key(0)},false\n")
    assert run(sim, "plan", "next.csv", "--out", "p.parquet").status == 0
    words = {"run": "next.csv", "apply": "p.parquet", "undo": first, "retry": first}
    sim.clear()
    with lock.hold(tmp_path / "state", named(sim.url), "run 1 of a colleague"):
        ran = run(sim, command, words[command])
    assert "run 1 of a colleague" in ran.err
    assert (ran.status, sim.requests) == (11, [])


def test_a_holder_is_named_with_run_user_machine_process_and_time(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    before = datetime.now(UTC).replace(microsecond=0)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        (began,) = book.runs()
    (path,) = (tmp_path / "state" / "locks").iterdir()
    holder, _, since = path.read_text().strip().rpartition(", since ")
    who = f"{getpass.getuser()} on {socket.gethostname()}"
    assert holder == f"run {began.run_id} of {who}, process {os.getpid()}"
    assert began.begun.operator == who
    assert before <= datetime.fromisoformat(since) <= before + timedelta(minutes=5)


def test_a_user_without_a_name_has_a_number(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a container with any user id."""

    def unknown(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", unknown)
    populate(sim, 1)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        (began,) = book.runs()
    assert began.begun.operator == f"user {os.getuid()} on {socket.gethostname()}"
