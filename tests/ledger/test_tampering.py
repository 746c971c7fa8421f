"""``ledger verify`` finds every change made with the sqlite3 shell."""

import shutil
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from conftest import Run, populate, write_states
from ledger_lines import OTHER, RUN, begun, dated, fill, intents, updated

from bulk_sync import ledger
from bulk_sync.ledger import Ended, Ledger, Settled
from bulk_sync.ledger.chain import NOTHING, Head, link
from bulk_sync.ledger.schema import Line
from bulk_sync.outcomes import Outcome
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator

LINES = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a state folder; its ledger has two runs of ten lines each."""
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        fill(book, 4, RUN)
        fill(book, 4, OTHER)
    return tmp_path / "state"


def shell(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def forge(folder: Path, after: int = 0) -> None:
    """Rewrite the whole chain to match changed lines, as a skilled forger would."""
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as connection, connection:
        digest = NOTHING
        names = ", ".join(["position", *Line._fields, "hash"])
        for row in connection.execute(f"SELECT {names} FROM lines ORDER BY position").fetchall():
            digest = link(digest, row[:-1]) if row[0] > after else row[-1]
            connection.execute("UPDATE lines SET hash = ? WHERE position = ?", (digest, row[0]))
        connection.execute("UPDATE head SET position = ?, hash = ?", (row[0], digest))


def verify(run: Run) -> tuple[int, int | None]:
    """Return the exit status of ``ledger verify``, and the first line that does not fit."""
    ran = run(None, "ledger", "verify", "--json")
    return ran.status, orjson.loads(ran.out)["first_misfit"]


@pytest.mark.usefixtures("folder")
def test_an_untouched_ledger_fits(run: Run) -> None:
    assert verify(run) == (0, None)
    ran = run(None, "ledger", "verify")
    assert f"all {LINES} lines fit" in ran.out


COLUMNS = [
    ("kind", "'rumour'"), ("run_id", "'somebody'"), ("at_ms", "at_ms + 1"),
    ("profile_key", "'@other'"), ("input_file", "'other.csv'"), ("input_row", "99"),
    ("state_before", "1 - coalesce(state_before, 0)"), ("state_desired", "5"),
    ("intent", "1"), ("outcome", "'unchanged'"), ("reason", "'moved'"), ("detail", "'!'"),
    ("attempts", "77"), ("facts", "'{}'"), ("facts", "x'00ff'"),
    ("hash", "lower(hex(zeroblob(32)))"), ("attempts", "9e999"), ("intent", "-9e999"),
    ("requested", "'2026-11-20'"), ("state_after", "2"),
    ("input_row", "0.5"), ("detail", "cast(x'ff' as text)"),
]  # fmt: skip


@pytest.mark.parametrize("position", [1, 3, 7, LINES])
@pytest.mark.parametrize(("column", "value"), COLUMNS)
def test_no_cell_can_be_edited(
    folder: Path, run: Run, column: str, value: str, position: int
) -> None:
    shell(folder, f"UPDATE lines SET {column} = {value} WHERE position = {position}")
    assert verify(run) == (3, position)


@pytest.mark.parametrize("column", ["requested", "state_after"])
def test_no_value_can_be_taken_out(folder: Path, run: Run, column: str) -> None:
    with ledger.open_ledger(State(folder)) as book:
        (intent,) = book.intend(OTHER, [dated(9, "2026-11-20")])
        failed = Settled(intent, Outcome.FAILED, "http_403", "No.", 1, 1, after=False)
        book.settle(OTHER, [failed])
    shell(folder, f"UPDATE lines SET {column} = NULL WHERE position > {LINES}")
    assert verify(run) == (3, intent if column == "requested" else intent + 1)


@pytest.mark.parametrize("position", [1, 8, 19])
def test_no_line_can_be_taken_out(folder: Path, run: Run, position: int) -> None:
    shell(folder, f"DELETE FROM lines WHERE position = {position}")
    assert verify(run) == (3, position)


def test_no_line_can_be_taken_out_and_the_others_moved_up(folder: Path, run: Run) -> None:
    shell(
        folder,
        "DELETE FROM lines WHERE position = 8",
        "UPDATE lines SET position = position - 1 WHERE position > 8",
        "UPDATE head SET position = position - 1",
    )
    assert verify(run) == (3, 8)


def test_no_line_can_be_put_in(folder: Path, run: Run) -> None:
    shell(
        folder,
        "UPDATE lines SET position = -position WHERE position > 5",
        "UPDATE lines SET position = 1 - position WHERE position < 0",
        "CREATE TEMP TABLE copied AS SELECT * FROM lines WHERE position = 5",
        "UPDATE copied SET position = 6",
        "INSERT INTO lines SELECT * FROM copied",
    )
    assert verify(run) == (3, 6)


def test_no_two_lines_can_change_places(folder: Path, run: Run) -> None:
    shell(
        folder,
        "UPDATE lines SET position = -1 WHERE position = 4",
        "UPDATE lines SET position = 4 WHERE position = 5",
        "UPDATE lines SET position = 5 WHERE position = -1",
    )
    assert verify(run) == (3, 4)


@pytest.mark.parametrize("left", [0, 10, LINES - 1])
def test_the_end_cannot_be_cut_off(folder: Path, run: Run, left: int) -> None:
    shell(folder, f"DELETE FROM lines WHERE position > {left}")
    assert verify(run) == (3, left + 1)


STEPS: dict[str, Callable[[Ledger], object]] = {
    "begin": lambda book: book.begin(RUN, begun()),
    "intend": lambda book: book.intend(RUN, intents(1)),
    "settle": lambda book: book.settle(RUN, [updated(1)]),
    "end": lambda book: book.end(RUN, Ended(0, "", final=True)),
}


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_the_end_cannot_be_cut_off_after_any_step(
    step: Callable[[Ledger], object], tmp_path: Path, run: Run
) -> None:
    with ledger.open_ledger(State(tmp_path / "state")) as book:
        step(book)
    cut_off = ("DELETE FROM lines", f"UPDATE head SET position = 0, hash = '{NOTHING}'")
    shell(tmp_path / "state", *cut_off)
    assert verify(run) == (3, 1)


@pytest.mark.parametrize("left", [10, LINES - 1])
def test_the_end_cannot_be_cut_off_with_the_head_put_right(
    folder: Path, run: Run, left: int
) -> None:
    shell(
        folder,
        f"DELETE FROM lines WHERE position > {left}",
        "UPDATE head SET position = (SELECT max(position) FROM lines),"
        " hash = (SELECT hash FROM lines ORDER BY position DESC LIMIT 1)",
    )
    assert verify(run) == (3, left + 1)


def test_a_wholly_forged_chain_is_found_by_the_anchor(folder: Path, run: Run) -> None:
    shell(folder, "UPDATE lines SET outcome = 'unchanged' WHERE position = 7")
    forge(folder)
    assert verify(run) == (3, LINES)


def test_a_line_added_behind_the_end_is_found(folder: Path, run: Run) -> None:
    shell(
        folder,
        "CREATE TEMP TABLE copied AS SELECT * FROM lines WHERE position = 20",
        "UPDATE copied SET position = 21",
        "INSERT INTO lines SELECT * FROM copied",
    )
    assert verify(run) == (3, LINES + 1)


def test_a_ledger_put_back_from_yesterday_is_found(folder: Path, run: Run) -> None:
    yesterday = folder.parent / "yesterday.sqlite3"
    shutil.copy(folder / "ledger.sqlite3", yesterday)
    with ledger.open_ledger(State(folder)) as book:
        fill(book, 1, "20261125T020000Z-112233")
    for path in folder.glob("ledger.sqlite3*"):
        path.unlink()
    shutil.copy(yesterday, folder / "ledger.sqlite3")
    assert verify(run) == (3, LINES + 1)


def test_nothing_is_added_to_a_ledger_that_was_cut_off(
    folder: Path, sim: Simulator, run: Run
) -> None:
    populate(sim, 1)
    path = write_states(folder.parent / "in.csv", 1)
    shell(
        folder,
        "DELETE FROM lines WHERE position > 10",
        "UPDATE head SET position = 10, hash = (SELECT hash FROM lines WHERE position = 10)",
    )
    ran = run(sim, "run", path)
    assert ran.status == 2
    assert "ledger verify" in ran.err
    assert run(sim, "resume", "--all").status == 2
    assert sim.requests == []
    assert verify(run) == (3, 11)
    (folder / "ledger.anchor").rename(folder / "ledger.anchor.kept")
    assert run(sim, "run", path).status == 0


@pytest.mark.parametrize("left", [b"", None], ids=["emptied", "gone"])
def test_a_missing_ledger_is_noticed(
    folder: Path, sim: Simulator, run: Run, left: bytes | None
) -> None:
    populate(sim, 1)
    for path in folder.glob("ledger.sqlite3*"):
        path.unlink()
    if left is not None:
        (folder / "ledger.sqlite3").write_bytes(left)
    assert verify(run) == (3, 1)
    assert [run(sim, "resume", *words).status for words in ((), ("--all",))] == [2, 2]
    assert run(sim, "run", write_states(folder.parent / "in.csv", 1)).status == 2
    assert sim.requests == []


def test_without_the_anchor_the_end_is_not_proven(folder: Path, run: Run) -> None:
    (folder / "ledger.anchor").unlink()
    ran = run(None, "ledger", "verify")
    assert ran.status == 0
    assert "not proven" in ran.out


@pytest.mark.parametrize("left", [b"", b"{", b"[]", b"{}", b'{"position": 9, "has": "9f"}'])
def test_a_damaged_anchor_proves_nothing_and_nothing_is_added(
    left: bytes, folder: Path, run: Run, sim: Simulator
) -> None:
    (folder / "ledger.anchor").write_bytes(left)
    ran = run(None, "ledger", "verify")
    assert ran.status == 2
    assert "cannot prove that the end of the ledger is complete" in ran.err
    assert run(sim, "run", write_states(folder.parent / "in.csv", 1)).status == 2
    assert sim.requests == []


@pytest.mark.parametrize(
    "statement", ["DROP TABLE lines", "DELETE FROM alembic_version", "DROP TABLE head"]
)
def test_no_table_can_be_taken_away(folder: Path, run: Run, statement: str) -> None:
    shell(folder, statement)
    assert verify(run)[0] == 3


def test_the_head_cannot_be_taken_away(folder: Path, run: Run) -> None:
    shell(folder, "DELETE FROM head")
    assert verify(run) == (3, LINES)


def test_a_copy_on_a_read_only_disk_can_be_verified(folder: Path, tmp_path: Path, run: Run) -> None:
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    archive = tmp_path / "archive"
    archive.mkdir()
    for name in ("ledger.sqlite3", "ledger.anchor"):
        shutil.copy(folder / name, archive)
        (archive / name).chmod(0o400)
    archive.chmod(0o500)
    ran = run(None, "ledger", "verify", "--state-dir", archive)
    assert ran.status == 0, ran.err
    assert sorted(path.name for path in archive.iterdir()) == ["ledger.anchor", "ledger.sqlite3"]


def test_a_ledger_can_be_checked_against_a_former_end(folder: Path, run: Run) -> None:
    first = run(None, "ledger", "verify").out.partition("Head: ")[2].strip()
    shell(folder, "UPDATE lines SET outcome = 'unchanged' WHERE position = 7")
    forge(folder)
    (folder / "ledger.anchor").unlink()
    assert verify(run) == (0, None)
    ran = run(None, "ledger", "verify", "--head", first)
    assert (ran.status, f"line {LINES} was written anew" in ran.out) == (3, True)
    assert f"The {LINES - 1} lines before it fit." in ran.out


def test_an_outcome_that_no_program_writes_is_reported_in_a_sentence(
    folder: Path, run: Run
) -> None:
    shell(folder, "UPDATE lines SET outcome = 'rumoured' WHERE outcome IS NOT NULL")
    ran = run(None, "history", "@key-0")
    assert ran.status == 2
    assert "The ledger holds the outcome 'rumoured', which this program does not know" in ran.err
    assert "bulk-sync ledger verify" in ran.err


def test_a_damaged_file_is_reported_in_a_sentence(folder: Path, run: Run) -> None:
    path = folder / "ledger.sqlite3"
    path.write_bytes(path.read_bytes()[:5000])
    ran = run(None, "ledger", "verify")
    assert ran.status == 3
    assert "ledger.sqlite3 was altered: line 1 cannot be read" in ran.out
    assert "Look at --state-dir and --ledger. The 0 lines before it fit." in ran.out
    assert "See that you may read it" not in ran.out


def test_a_server_that_cannot_be_reached_is_no_tampering(
    folder: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]  # no server listens there after the close
    url = f"postgresql://somebody@127.0.0.1:{port}/ledger?connect_timeout=5"
    monkeypatch.setenv("BULK_SYNC_LEDGER", url)
    anchor = ledger.anchor_of(State(folder, ledger=url))
    anchor.move(Head(LINES, "9f" * 32))
    ran = run(None, "ledger", "verify", "--json")
    assert ran.status == 6
    assert "does not answer" in ran.err
    assert "first_misfit" not in ran.out
    assert run(None, "ledger", "verify", "--head", f"{LINES}:{'9f' * 32}").status == 6


def test_without_a_ledger_there_is_no_verdict(run: Run) -> None:
    ran = run(None, "ledger", "verify")
    assert ran.status == 2
    assert "no ledger" in ran.err
