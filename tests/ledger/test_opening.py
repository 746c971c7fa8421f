"""Opening a ledger: old and new schemas, the lock of a server, and what cannot be opened."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from ledger_lines import fill, intents
from sqlalchemy import Connection, create_engine, inspect, text

from bulk_sync import ledger
from bulk_sync.errors import AnotherRun, StoppedEarly, UsageProblem
from bulk_sync.settings import State


def engine_of(state: State) -> str:
    if state.ledger is None:
        return f"sqlite:///{state.folder / ledger.connect.FILE}"
    return state.ledger.replace("postgresql://", "postgresql+psycopg://")


def tables(connection: Connection) -> dict[str, object]:
    """Return the columns, keys and indexes of all tables."""
    found = inspect(connection)
    return {
        name: (
            [
                (each["name"], str(each["type"]), each["nullable"], each["default"])
                for each in found.get_columns(name)
            ],
            found.get_pk_constraint(name)["constrained_columns"],
            sorted((each["name"], each["column_names"]) for each in found.get_indexes(name)),
        )
        for name in found.get_table_names()
    }


@pytest.mark.parametrize("version", ["0001", "0002"])
def test_an_older_ledger_gets_what_it_lacks_and_keeps_its_lines(state: State, version: str) -> None:
    with ledger.open_ledger(state) as book:
        fill(book)
    engine = create_engine(engine_of(state))
    with engine.begin() as connection:
        newest = tables(connection)
        for name in ("requested", "state_after"):
            connection.execute(text(f"ALTER TABLE lines DROP COLUMN {name}"))
        if version == "0001":
            connection.execute(text("DROP TABLE calls"))
        change = text("UPDATE alembic_version SET version_num = :version")
        connection.execute(change, {"version": version})
        assert tables(connection) != newest
        before = connection.execute(text("SELECT * FROM lines ORDER BY position")).all()
    with pytest.raises(UsageProblem, match=f"older schema {version}"), ledger.open_existing(state):
        pass
    with ledger.open_ledger(state) as book:
        assert book.verify()[1] is None
        assert len(book.runs()) == 1
        fill(book, run_id="next")
        assert book.verify()[1] is None
    with engine.connect() as connection:
        assert tables(connection) == newest
        after = connection.execute(text("SELECT * FROM lines ORDER BY position")).all()
        assert [line[: len(before[0])] for line in after[: len(before)]] == before
    engine.dispose()


def test_a_newer_ledger_is_refused(state: State) -> None:
    with ledger.open_ledger(state):
        pass
    engine = create_engine(engine_of(state))
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    for way in (ledger.open_ledger, ledger.open_existing):
        with pytest.raises(UsageProblem, match="newer bulk-sync"), way(state):
            pass


def test_two_that_make_the_same_ledger_at_once_both_may(state: State) -> None:
    problems: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with ledger.open_ledger(state) as book:
                fill(book, 2, f"run-{number}")
        except BaseException as problem:  # noqa: BLE001 - to be shown by the test
            problems.append(problem)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    with ledger.open_ledger(state) as book:
        assert len(book.runs()) == 4
        assert book.verify()[1] is None


def test_there_is_none_until_one_is_made(state: State) -> None:
    with ledger.open_existing(state) as book:
        assert book is None
    with ledger.open_ledger(state):
        pass
    with ledger.open_existing(state) as book:
        assert book is not None


def test_a_server_s_lock_keeps_others_out_and_says_who_has_it(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    state = State(tmp_path / "one", ledger=new_database())
    other = State(tmp_path / "two", ledger=state.ledger)
    with ledger.open_ledger(other) as waiting:
        with ledger.open_ledger(state) as book:
            book.hold("acme-1", "run 7 of nightly on batch-1", 0)
            with pytest.raises(AnotherRun, match="run 7 of nightly on batch-1"):
                waiting.hold("acme-1", "x", 0)
            waiting.hold("acme-2", "another organization", 0)
        waiting.hold("acme-1", "the next", 0)


def test_who_loses_a_server_s_lock_loses_the_ledger_too(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    state = State(tmp_path / "one", ledger=new_database())
    with ledger.open_ledger(state) as book:
        fill(book)
        book.hold("acme-1", "run 7", 0)
        engine = create_engine(engine_of(state), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks"
                    " WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        with pytest.raises(StoppedEarly, match="cannot be used"):
            book.intend("run 7", intents(1))
    with ledger.open_ledger(state) as book:
        book.hold("acme-1", "the next", 60)
        assert book.verify()[1] is None


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "no URL"),
        ("nosuchdb://x/y", "nosuchdb"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "in memory"),
        ("postgresql://127.0.0.1:1/none?sslpassword=s3cret", "cannot be opened"),
        ("postgresql://somebody:s3cret@127.0.0.1:1/none", "cannot be opened"),
        ("postgresql://a..example/none", "cannot be opened"),
        ("sqlite:////proc/none/ledger.sqlite3", "cannot be opened"),
    ],
)
def test_what_cannot_be_opened_is_said_without_a_password(
    url: str, says: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageProblem, match=says) as told, ledger.open_ledger(State(tmp_path, url)):
        pass
    assert "s3cret" not in str(told.value)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_text("This is a letter." * 100)
    with pytest.raises(UsageProblem, match="cannot be opened"), ledger.open_ledger(State(tmp_path)):
        pass
