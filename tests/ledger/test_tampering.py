"""Whatever is done to a ledger with the sqlite3 shell is found by ``ledger verify``."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import orjson
import pytest
from conftest import Run
from ledger_lines import OTHER, RUN, fill

from bulk_sync import ledger
from bulk_sync.ledger.chain import NOTHING, link
from bulk_sync.settings import State

LINES = 20


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A state folder whose ledger has two runs of ten lines each."""
    with ledger.opened(State(tmp_path / "state")) as book:
        fill(book, 4, RUN)
        fill(book, 4, OTHER)
    return tmp_path / "state"


def shell(folder: Path, *statements: str) -> None:
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def forge(folder: Path, after: int = 0) -> None:
    """Write the whole chain anew over what the lines say now, as somebody who knows how would."""
    with closing(sqlite3.connect(folder / "ledger.sqlite3")) as connection, connection:
        digest = NOTHING
        for row in connection.execute("SELECT * FROM lines ORDER BY position").fetchall():
            digest = link(digest, row[:-1]) if row[0] > after else row[-1]
            connection.execute("UPDATE lines SET hash = ? WHERE position = ?", (digest, row[0]))
        connection.execute("UPDATE head SET position = ?, hash = ?", (row[0], digest))


def verified(run: Run) -> tuple[int, int | None]:
    """The exit status of ``ledger verify``, and the first line that does not fit."""
    ran = run(None, "ledger", "verify", "--json")
    return ran.status, orjson.loads(ran.out)["first_misfit"]


@pytest.mark.usefixtures("folder")
def test_a_ledger_that_nobody_touched_fits(run: Run) -> None:
    assert verified(run) == (0, None)
    ran = run(None, "ledger", "verify")
    assert f"all {LINES} lines fit" in ran.out


COLUMNS = [
    ("kind", "'rumour'"), ("run_id", "'somebody'"), ("at_ms", "at_ms + 1"),
    ("profile_key", "'@other'"), ("input_file", "'other.csv'"), ("input_row", "99"),
    ("state_before", "1 - coalesce(state_before, 0)"), ("state_desired", "5"),
    ("intent", "1"), ("outcome", "'unchanged'"), ("reason", "'moved'"), ("detail", "'!'"),
    ("attempts", "77"), ("facts", "'{}'"), ("facts", "x'00ff'"),
    ("hash", "lower(hex(zeroblob(32)))"),
]  # fmt: skip


@pytest.mark.parametrize("position", [1, 3, 7, LINES])
@pytest.mark.parametrize(("column", "value"), COLUMNS)
def test_no_cell_can_be_edited(
    folder: Path, run: Run, column: str, value: str, position: int
) -> None:
    shell(folder, f"UPDATE lines SET {column} = {value} WHERE position = {position}")
    assert verified(run) == (3, position)


@pytest.mark.parametrize("position", [1, 8, 19])
def test_no_line_can_be_taken_out(folder: Path, run: Run, position: int) -> None:
    shell(folder, f"DELETE FROM lines WHERE position = {position}")
    assert verified(run) == (3, position)


def test_no_line_can_be_taken_out_and_the_others_moved_up(folder: Path, run: Run) -> None:
    shell(
        folder,
        "DELETE FROM lines WHERE position = 8",
        "UPDATE lines SET position = position - 1 WHERE position > 8",
        "UPDATE head SET position = position - 1",
    )
    assert verified(run) == (3, 8)


def test_no_line_can_be_put_in(folder: Path, run: Run) -> None:
    shell(
        folder,
        "UPDATE lines SET position = -position WHERE position > 5",
        "UPDATE lines SET position = 1 - position WHERE position < 0",
        "CREATE TEMP TABLE copied AS SELECT * FROM lines WHERE position = 5",
        "UPDATE copied SET position = 6",
        "INSERT INTO lines SELECT * FROM copied",
    )
    assert verified(run) == (3, 6)


def test_no_two_lines_can_change_places(folder: Path, run: Run) -> None:
    shell(
        folder,
        "UPDATE lines SET position = -1 WHERE position = 4",
        "UPDATE lines SET position = 4 WHERE position = 5",
        "UPDATE lines SET position = 5 WHERE position = -1",
    )
    assert verified(run) == (3, 4)


@pytest.mark.parametrize("left", [0, 10, LINES - 1])
def test_the_end_cannot_be_cut_off(folder: Path, run: Run, left: int) -> None:
    shell(folder, f"DELETE FROM lines WHERE position > {left}")
    assert verified(run) == (3, left + 1)


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
    assert verified(run) == (3, left + 1)


def test_a_chain_that_was_forged_as_a_whole_is_found_by_the_anchor(folder: Path, run: Run) -> None:
    shell(folder, "UPDATE lines SET outcome = 'unchanged' WHERE position = 7")
    forge(folder)
    assert verified(run) == (3, LINES)


def test_a_line_added_behind_the_end_is_found(folder: Path, run: Run) -> None:
    shell(
        folder,
        "CREATE TEMP TABLE copied AS SELECT * FROM lines WHERE position = 20",
        "UPDATE copied SET position = 21",
        "INSERT INTO lines SELECT * FROM copied",
    )
    assert verified(run) == (3, LINES + 1)


def test_a_ledger_put_back_from_yesterday_is_found(folder: Path, run: Run) -> None:
    yesterday = folder.parent / "yesterday.sqlite3"
    shutil.copy(folder / "ledger.sqlite3", yesterday)
    with ledger.opened(State(folder)) as book:
        fill(book, 1, "20261125T020000Z-112233")
    for path in folder.glob("ledger.sqlite3*"):
        path.unlink()
    shutil.copy(yesterday, folder / "ledger.sqlite3")
    assert verified(run) == (3, LINES + 1)


def test_what_was_cut_off_stays_found_after_further_runs(folder: Path, run: Run) -> None:
    shell(
        folder,
        "DELETE FROM lines WHERE position > 10",
        "UPDATE head SET position = 10, hash = (SELECT hash FROM lines WHERE position = 10)",
    )
    with ledger.opened(State(folder)) as book:
        fill(book, 6, "20261125T020000Z-112233")
    assert verified(run) == (3, LINES)


def test_where_it_once_ended_can_be_held_against_it(folder: Path, run: Run) -> None:
    first = run(None, "ledger", "verify").out.partition("Head: ")[2].strip()
    shell(folder, "UPDATE lines SET outcome = 'unchanged' WHERE position = 7")
    forge(folder)
    (folder / "ledger.anchor").unlink()
    assert verified(run) == (0, None)
    assert run(None, "ledger", "verify", "--head", first).status == 3


def test_a_damaged_file_is_refused_with_a_sentence(folder: Path, run: Run) -> None:
    path = folder / "ledger.sqlite3"
    path.write_bytes(path.read_bytes()[:5000])
    ran = run(None, "ledger", "verify")
    assert ran.status == 2
    assert "ledger.sqlite3" in ran.err
    assert "Traceback" not in ran.err


def test_without_a_ledger_nothing_is_said_to_fit(run: Run) -> None:
    ran = run(None, "ledger", "verify")
    assert ran.status == 2
    assert "no ledger" in ran.err
