"""Opens a ledger: SQLite beside the runs, or whatever a URL names.

What differs between databases is here and nowhere else: how a file is made private and durable,
how two programs that make the same ledger at once take turns, and the lock that a server holds.
"""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, delete, event, insert, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from bulk_sync.errors import AnotherRun, UsageProblem
from bulk_sync.ledger import migrations
from bulk_sync.ledger.anchor import Anchor
from bulk_sync.ledger.ledger import Ledger, said
from bulk_sync.ledger.schema import holders
from bulk_sync.settings import State

FILE: Final = "ledger.sqlite3"
"""The ledger's name in the state folder, if no URL is given."""

_BUSY_S: Final = 60
_LOCK_POLL_S: Final = 0.5


@contextmanager
def opened(state: State) -> Iterator[Ledger]:
    """Open the ledger, and make it if it is not there.

    Raises:
        UsageProblem: it cannot be opened, or a newer program made it.
    """
    with _connected(state) as (connection, name):
        _upgrade(connection, name)
        yield Ledger(connection, _anchor(state), name)


@contextmanager
def existing(state: State) -> Iterator[Ledger | None]:
    """Open the ledger if there is one; make none.

    Raises:
        UsageProblem: it cannot be opened, or a newer program made it.
    """
    url = _url(state)
    if _is_file(url) and not Path(str(url.database)).is_file():
        yield None
        return
    with _connected(state) as (connection, name):
        with _told(name), connection.begin():
            found = migrations.version(connection)
        if found is None:
            yield None
            return
        if found != migrations.NEWEST:
            _upgrade(connection, name)
        yield Ledger(connection, _anchor(state), name)


def place(state: State) -> str:
    """Tell where the ledger is, without a password."""
    url = _url(state)
    if _is_file(url):
        return str(url.database)
    return url.difference_update_query(["password"]).render_as_string(hide_password=True)


def anchor_of(state: State) -> Path:
    """Tell where the end of the ledger is noted."""
    return _anchor(state).path


@contextmanager
def held(ledger_state: State, lock: str, holder: str) -> Iterator[None]:
    """Hold a lock of the ledger's server, if it is one that has locks (PostgreSQL).

    The lock dies with its connection. Others have the lock file of the machine alone.

    Args:
        ledger_state: where the ledger is, and how long to wait.
        lock: whose it is.
        holder: who wants it, for the others to read.

    Raises:
        AnotherRun: somebody holds it.
    """
    if not _url(ledger_state).drivername.startswith("postgresql"):
        yield
        return
    number = int.from_bytes(sha256(lock.encode()).digest()[:8], signed=True)
    with _connected(ledger_state) as (connection, name), _told(name):
        give_up = time.monotonic() + ledger_state.lock_wait_s
        while not _try(connection, number):
            if time.monotonic() >= give_up:
                raise AnotherRun(_who(connection, lock))
            time.sleep(_LOCK_POLL_S)
        with connection.begin():
            connection.execute(delete(holders).where(holders.c.lock == lock))
            connection.execute(insert(holders).values(lock=lock, holder=holder))
        yield


def _try(connection: Connection, number: int) -> bool:
    with connection.begin():
        locked = text("SELECT pg_try_advisory_lock(:number)")
        return bool(connection.execute(locked, {"number": number}).scalar())


def _who(connection: Connection, lock: str) -> str:
    with connection.begin():
        found = connection.execute(select(holders.c.holder).where(holders.c.lock == lock)).scalar()
    return str(found or "")


def _url(state: State) -> URL:
    if state.ledger is None:
        return URL.create("sqlite", database=str((state.folder / FILE).absolute()))
    try:
        url = make_url(state.ledger)
    except (ArgumentError, ValueError) as error:
        raise UsageProblem(
            "--ledger is no URL that SQLAlchemy understands; write it like "
            "sqlite:////var/lib/bulk-sync/ledger.sqlite3 or postgresql://user@host/database."
        ) from error
    if url.drivername in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if _is_file(url) and not url.database:
        raise UsageProblem(
            f"--ledger {state.ledger}: a ledger in memory proves nothing. Name a file."
        )
    return url


def _is_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


def _anchor(state: State) -> Anchor:
    name = place(state)
    if state.ledger is None:
        return Anchor(state.folder / "ledger.anchor", name)
    digest = sha256(name.encode()).hexdigest()[:12]
    return Anchor(state.folder / f"ledger-{digest}.anchor", name)


@contextmanager
def _connected(state: State) -> Iterator[tuple[Connection, str]]:
    url, name = _url(state), place(state)
    with _told(name):
        if _is_file(url):
            _make_private(Path(str(url.database)))
        _make_folder(state.folder)
        engine = _engine(url)
        connection = engine.connect()
    try:
        yield connection, name
    finally:
        # What a broken connection says when it is closed is of no interest any more.
        with suppress(SQLAlchemyError):
            connection.close()
        engine.dispose()


def _engine(url: URL) -> Engine:
    arguments: dict[str, Any] = {}
    if _is_file(url):
        arguments = {"timeout": _BUSY_S, "check_same_thread": False}
    engine = create_engine(url, connect_args=arguments, hide_parameters=True)
    if _is_file(url):

        @event.listens_for(engine, "connect")
        def _(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")

    return engine


def _make_private(path: Path) -> None:
    """Make the file before SQLite does, so that nobody else may ever read it."""
    _make_folder(path.parent)
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))


def _make_folder(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)


def _upgrade(connection: Connection, name: str) -> None:
    with _told(name), connection.begin():
        # Not two at once, and all of it or nothing.
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('bulk-sync schema'))"))
        if migrations.version(connection) != migrations.NEWEST:
            migrations.upgrade(connection)


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except NoSuchModuleError as error:
        raise UsageProblem(f"The ledger {name}: {error}.") from error
    except ModuleNotFoundError as error:
        raise UsageProblem(
            f"The ledger {name} needs the package {error.name}. For PostgreSQL: pip install "
            "'bulk-sync[postgresql]'."
        ) from error
    except (SQLAlchemyError, OSError) as error:
        what = said(error) if isinstance(error, SQLAlchemyError) else error.strerror
        raise UsageProblem(
            f"The ledger {name} cannot be opened: {what}. Look at --state-dir and --ledger."
        ) from error
