"""Opening a ledger: two at once, with the lock of a server, or not at all."""

import re
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from full_disk import full_disk
from ledger_lines import database_url, fill, intents
from sqlalchemy import create_engine, make_url, text, update

from bulk_sync import ledger
from bulk_sync.errors import (
    AnotherRun,
    DiskFull,
    LedgerAway,
    LedgerProblem,
    StoppedEarly,
    UsageProblem,
)
from bulk_sync.ledger import availability, connect
from bulk_sync.ledger.schema import schema_version
from bulk_sync.settings import State


def test_two_processes_may_make_the_same_ledger_at_once(state: State) -> None:
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


def test_there_is_no_ledger_before_one_is_made(state: State) -> None:
    with ledger.open_existing(state) as book:
        assert book is None
    with ledger.open_ledger(state):
        pass
    with ledger.open_existing(state) as book:
        assert book is not None


def test_a_server_lock_keeps_others_out_and_names_its_holder(
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


def test_a_run_that_loses_the_server_lock_loses_the_ledger_too(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    state = State(tmp_path / "one", ledger=new_database())
    with ledger.open_ledger(state) as book:
        fill(book)
        book.hold("acme-1", "run 7", 0)
        engine = create_engine(database_url(state), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(
                text(
                    "SELECT pg_terminate_backend(pid) FROM pg_locks"
                    " WHERE locktype = 'advisory' AND pid <> pg_backend_pid()"
                )
            )
        engine.dispose()
        with pytest.raises(LedgerAway, match="cannot be used"):
            book.intend("run 7", intents(1))
    with ledger.open_ledger(state) as book:
        book.hold("acme-1", "the next", 60)
        assert book.verify()[1] is None


def test_a_ledger_that_is_full_says_what_to_do(tmp_path: Path) -> None:
    with ledger.open_ledger(State(tmp_path)) as book:
        fill(book)
        with full_disk(0), pytest.raises(DiskFull, match=r"cannot be used: .*\. Make room there\."):
            book.intend("run 7", intents(1))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "no URL"),
        ("nosuchdb://x/y", "nosuchdb"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:///file:x?mode=memory&uri=true", "in memory"),
        ("postgresql://a..example/none", "cannot be opened"),
        ("postgresql://somebody:s3cret@127.0.0.1/none?connect_timeout=soon", "cannot be opened"),
        ("sqlite:////proc/none/ledger.sqlite3", "cannot be opened"),
    ],
)
def test_a_ledger_that_cannot_be_opened_is_named_without_a_password(
    url: str, says: str, tmp_path: Path
) -> None:
    with (
        pytest.raises(UsageProblem, match=says) as raised,
        ledger.open_ledger(State(tmp_path, url)),
    ):
        pass
    assert "s3cret" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://127.0.0.1:1/none?sslpassword=s3cret",
        "postgresql://somebody:s3cret@127.0.0.1:1/none",
        "postgresql://somebody:s3cret@/none?host=/nowhere",
    ],
    ids=["no server", "no server for a user", "no socket"],
)
def test_an_unreachable_server_is_no_wrong_configuration(url: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerAway) as raised, ledger.open_ledger(State(tmp_path, url)):
        pass
    assert "its database server does not answer" in str(raised.value)
    assert not re.search(r"[.?!][.?!]", str(raised.value))  # the server's own sentence has an end
    assert "s3cret" not in str(raised.value)


def test_a_hanging_server_is_a_timeout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(availability, "_CONNECT_S", 1)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://127.0.0.1:{silent.getsockname()[1]}/none"
        with pytest.raises(LedgerAway, match="timeout"), ledger.open_ledger(State(tmp_path, url)):
            pass


def test_the_timeout_for_a_server_may_be_in_its_url(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert availability.limits(make_url("postgresql://host/db"))["connect_timeout"] == 10
    timed = make_url("postgresql://host/db?connect_timeout=3&tcp_user_timeout=5")
    assert availability.limits(timed).keys().isdisjoint(timed.query)
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "3")
    assert "connect_timeout" not in availability.limits(make_url("postgresql://host/db"))
    assert availability.limits(make_url("sqlite:///ledger.sqlite3")) == {}


def test_a_server_that_refuses_is_not_called_unreachable(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    url = new_database()
    missing = re.sub("ledger_[0-9]+", "no_such_database", url)
    with pytest.raises(LedgerProblem, match="no_such_database"):
        ledger.open_ledger(State(tmp_path, missing)).__enter__()


def test_a_server_without_free_connections_is_unreachable_for_the_moment(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    state = State(tmp_path, ledger=new_database())
    engine = create_engine(database_url(state), isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text("CREATE ROLE crowd LOGIN CONNECTION LIMIT 0"))
    engine.dispose()
    crowded = make_url(str(state.ledger)).set(username="crowd").render_as_string(False)
    with pytest.raises(LedgerAway, match="too many connections"):
        ledger.open_ledger(State(tmp_path, crowded)).__enter__()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ledger.sqlite3").write_text("This is a letter." * 100)
    with pytest.raises(UsageProblem, match="cannot be opened"), ledger.open_ledger(State(tmp_path)):
        pass


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """Yield the connection of another program, in a journal mode that blocks readers."""
    with ledger.open_ledger(State(tmp_path)):
        pass
    with closing(sqlite3.connect(tmp_path / "ledger.sqlite3")) as other:
        other.execute("PRAGMA journal_mode=DELETE")
        other.execute("BEGIN IMMEDIATE")
        yield other


def test_opening_waits_for_another_program_that_writes(
    writer: sqlite3.Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: writer.rollback())
    with ledger.open_ledger(State(tmp_path)) as book:
        assert book.runs() == []


@pytest.mark.usefixtures("writer")
def test_another_program_that_goes_on_writing_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "_BUSY_S", 0)
    with (
        pytest.raises(LedgerProblem, match=r"locked\. Another program"),
        ledger.open_ledger(State(tmp_path)),
    ):
        pass


@pytest.fixture
def busy_server(
    new_database: Callable[[], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[State]:
    """Yield a ledger on a server in which another program holds a transaction open."""
    state = State(tmp_path / "state", ledger=new_database())
    with ledger.open_ledger(state):
        pass
    monkeypatch.setattr(connect, "_BUSY_S", 0.05)
    other = create_engine(database_url(state))
    with other.begin() as connection:
        connection.execute(text("UPDATE head SET position = position"))
        yield state
    other.dispose()


def test_another_program_that_goes_on_writing_on_a_server_is_named(busy_server: State) -> None:
    with (
        ledger.open_ledger(busy_server) as book,
        pytest.raises(StoppedEarly, match=r"lock timeout .* Another program"),
    ):
        fill(book, 1)


def test_a_limit_on_waits_in_the_url_counts(busy_server: State) -> None:
    url = f"{busy_server.ledger}&options=-c%20lock_timeout%3D10ms"
    with (
        ledger.open_ledger(State(busy_server.folder, ledger=url)) as book,
        book.transaction() as connection,
    ):
        assert connection.execute(text("SHOW lock_timeout")).scalar() == "10ms"


def test_many_connections_have_the_limits_of_one_and_outlive_a_restart_of_the_server(
    tmp_path: Path, new_database: Callable[[], str]
) -> None:
    state = State(tmp_path, ledger=new_database())
    engine, other = ledger.server_engine(state), create_engine(database_url(state))
    assert engine is not None
    limits = availability.limits(make_url(database_url(state)))
    with engine.connect() as connection:
        driver = connection.connection.driver_connection
        assert driver is not None
        given = driver.info.get_parameters()
        number = connection.execute(text("SELECT pg_backend_pid()")).scalar()
        assert given.items() >= {name: str(value) for name, value in limits.items()}.items()
    with other.connect() as connection:
        ended = text("SELECT pg_terminate_backend(:number, 60000)")
        assert connection.execute(ended, {"number": number}).scalar()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT pg_backend_pid()")).scalar() != number
    engine.dispose()
    other.dispose()


@pytest.mark.parametrize("schema", ["0002", "9999"], ids=["an older one", "a newer one"])
def test_the_ledger_of_another_version_is_refused_and_left_as_it_is(
    state: State, schema: str
) -> None:
    with ledger.open_ledger(state) as book:
        fill(book, 1)
    engine = create_engine(database_url(state))
    with engine.begin() as connection:
        connection.execute(update(schema_version).values(version_num=schema))
    for way in (ledger.open_ledger, ledger.open_existing):
        with pytest.raises(UsageProblem, match=f"schema is {schema}.*records"), way(state):
            pass
    with pytest.raises(UsageProblem, match="Another version"):
        ledger.verify(state)
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM lines")).scalar() == 4
    engine.dispose()
