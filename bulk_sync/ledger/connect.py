"""Opens a ledger: SQLite beside the runs, or the database of a URL.

Only this module, ``availability.py`` and ``server_lock.py`` know how databases differ: how a file
is made private and durable, and how two programs take turns in making the same ledger.
"""

import os
import sqlite3
import time
import unicodedata
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from stat import S_ISREG
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect, select, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from bulk_sync.errors import LedgerAway, LedgerProblem
from bulk_sync.ledger import availability, server_lock
from bulk_sync.ledger.anchor import Anchor
from bulk_sync.ledger.chain import Head
from bulk_sync.ledger.database import Ledger
from bulk_sync.ledger.schema import head, metadata, schema_version
from bulk_sync.ledger.transactions import database_message, failure
from bulk_sync.settings import State
from bulk_sync.storage import atomic

FILE: Final = "ledger.sqlite3"
"""The ledger's name in the state folder, if no URL is given."""

SCHEMA: Final = "0004"
"""The version of the tables in ``schema.py``."""

_BUSY_S: Final = 60
"""Seconds until a wait for other users of the database ends, as an error."""

_BUSY_PAUSE_S: Final = 0.02
_BOUND: Final = (
    "SELECT set_config('lock_timeout', %s, false) WHERE current_setting('lock_timeout') = '0'"
)


class UnknownSchema(LedgerProblem):
    """The ledger was made by another version of this program."""


@contextmanager
def open_ledger(state: State) -> Iterator[Ledger]:
    """Open the ledger for writing; make it if there is none.

    Raises:
        LedgerProblem: it cannot be opened, another version wrote it, or its known end is missing.
        LedgerAway: its server is away for the moment.
        DiskFull: there is no room for it.
    """
    url, anchor = _url(state), anchor_of(state)
    with _errors(anchor.ledger):
        atomic.make_folder(state.folder)
        if _is_file(url):
            path = _path(url)
            atomic.make_folder(path.parent)
            atomic.make_private(path)
    with _connected(url, anchor.ledger) as connection:
        _make(connection, anchor.ledger)
        with closing(Ledger(connection, anchor)) as book:
            book.check_anchor()
            yield book


@contextmanager
def open_existing(state: State) -> Iterator[Ledger | None]:
    """Open the ledger for reading, if there is one.

    Raises:
        LedgerProblem: it cannot be opened, or has another schema.
        LedgerAway: its server is away for the moment.
    """
    url, anchor = _url(state), anchor_of(state)
    with _errors(anchor.ledger):
        is_missing = _is_file(url) and not _is_there(_path(url))
    if is_missing:
        yield None
        return
    with _connected(url, anchor.ledger) as connection:
        with _errors(anchor.ledger), connection.begin():
            is_made = _is_made(connection)
        if not is_made:
            yield None
            return
        with closing(Ledger(connection, anchor)) as book:
            yield book


def anchor_of(state: State) -> Anchor:
    """Return the file in which the end of the ledger is noted."""
    url = _url(state)
    if _is_file(url):
        name = os.fsencode(_path(url)).decode("utf-8", "backslashreplace")  # may be no text
    else:
        secrets = [each for each in url.query if "password" in each]
        name = url.difference_update_query(secrets).render_as_string(hide_password=True)
    if state.ledger is None:
        return Anchor(state.folder / "ledger.anchor", name)
    return Anchor(state.folder / f"ledger-{sha256(name.encode()).hexdigest()[:12]}.anchor", name)


def at(state: State, url: str) -> State:
    """Return the place of another ledger beside the same runs.

    Raise LedgerProblem if the URL is none.
    """
    found = replace(state, ledger=url)
    usual = replace(state, ledger=None)
    place = _url(found, "URL")
    is_usual = _is_file(place) and _path(place) == _path(_url(usual))
    return usual if is_usual else found


def folder_of(state: State) -> Path | None:
    """Return the folder of the ledger's file; None if it is no file."""
    url = _url(state)
    return _path(url).parent if _is_file(url) else None


def server_engine(state: State) -> Engine | None:
    """Return an engine for many connections to the ledger's server; None if it is a file.

    Raise LedgerProblem if its driver is missing.
    """
    url = _url(state)
    if _is_file(url):
        return None
    with _errors(anchor_of(state).ledger):
        limits = availability.limits(url)
        return create_engine(url, hide_parameters=True, pool_pre_ping=True, connect_args=limits)


def has_lock(state: State) -> bool:
    """Return whether the ledger's database locks runs that share it; see ``server_lock``."""
    return _url(state).get_backend_name() == "postgresql"


def _url(state: State, name: str = "The ledger's URL (--ledger)") -> URL:
    if state.ledger is None:
        return URL.create("sqlite", database=str((state.folder / FILE).absolute()))
    try:
        url = make_url(state.ledger)
    except (ArgumentError, ValueError) as error:
        raise LedgerProblem(
            f"{name} is no URL that SQLAlchemy understands; write it like "
            "sqlite:////var/lib/bulk-sync/ledger.sqlite3 or postgresql://user@host/database."
        ) from error
    if url.drivername in {"postgresql", "postgres"}:
        return url.set(drivername="postgresql+psycopg")
    if _is_file(url) and (url.database or ":").startswith((":", "file:")):
        raise LedgerProblem(
            f"{name} names no file, and a ledger in memory proves nothing. "
            "Write it like sqlite:////var/lib/bulk-sync/ledger.sqlite3."
        )
    return url


def _path(url: URL) -> Path:
    return Path(str(url.database)).absolute()


def _is_there(path: Path) -> bool:
    """Check whether there is such a file; raise OSError if that cannot be seen."""
    try:
        return S_ISREG(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _is_file(url: URL) -> bool:
    return url.get_backend_name() == "sqlite"


@contextmanager
def _connected(url: URL, name: str) -> Iterator[Connection]:
    with _errors(name):
        engine = _engine(url)
        connection = _connection(engine, url, name)
    try:
        yield connection
    finally:
        # A broken connection cannot be closed properly, and need not be.
        with suppress(SQLAlchemyError):
            availability.break_off(connection)
        with suppress(SQLAlchemyError):
            server_lock.free(connection)
        with suppress(SQLAlchemyError):
            connection.close()
        engine.dispose()


def _connection(engine: Engine, url: URL, name: str) -> Connection:
    try:
        return engine.connect()
    except SQLAlchemyError as error:
        if availability.is_away(url, error):
            raise LedgerAway(name, database_message(error)) from error
        raise


def _engine(url: URL) -> Engine:
    if not _is_file(url):
        limits = availability.limits(url)
        server = create_engine(url, hide_parameters=True, connect_args=limits)
        if url.get_backend_name() == "postgresql":
            event.listen(server, "connect", _bound_waits)
        return server
    path = _path(url)

    def connect() -> sqlite3.Connection:
        found = sqlite3.connect(
            f"{path.as_uri()}{_mode(path)}", uri=True, timeout=_BUSY_S, check_same_thread=False
        )
        # Bytes that are no text were put there by another program: they must look different.
        found.text_factory = lambda raw: raw.decode("utf-8", "backslashreplace")
        # SQLite's own knows the letters of ASCII alone.
        found.create_function("lower", 1, _lower, deterministic=True)
        return found

    engine = create_engine("sqlite://", creator=connect, hide_parameters=True)

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        if os.access(path, os.W_OK):
            _write_ahead(connection)
            connection.execute("PRAGMA synchronous=FULL")

    return engine


def _mode(path: Path) -> str:
    """Return how SQLite opens a file, by what this user may do.

    ``immutable`` needs no other file beside it, so the lines of ``-wal`` would be missing.
    """
    if os.access(path, os.W_OK) and os.access(path.parent, os.W_OK):
        return ""
    beside = path.with_name(f"{path.name}-wal")
    return "?mode=ro" if beside.exists() and beside.stat().st_size else "?mode=ro&immutable=1"


def _bound_waits(connection: Any, _record: object) -> None:
    """Let no statement wait for another program for ever, unless the user has set a limit."""
    with closing(connection.cursor()) as cursor:
        cursor.execute(_BOUND, (f"{_BUSY_S}s",))
    connection.commit()


def _lower(text: object) -> str | None:
    return None if text is None else unicodedata.normalize("NFC", str(text)).lower()


def _write_ahead(connection: sqlite3.Connection) -> None:
    """Log changes ahead; SQLite does not wait by itself until other programs are done."""
    until = time.monotonic() + _BUSY_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                raise
            time.sleep(_BUSY_PAUSE_S)
        else:
            return


def _make(connection: Connection, name: str) -> None:
    with _errors(name), connection.begin():
        # Not two at once, and all of it or nothing.
        if connection.dialect.name == "sqlite":
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        elif connection.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('bulk-sync schema'))"))
        if not _is_made(connection):
            metadata.create_all(connection)
            connection.execute(head.insert().values(id=1, position=0, hash=Head().hash))
            connection.execute(schema_version.insert().values(version_num=SCHEMA))


def _is_made(connection: Connection) -> bool:
    """Return whether there is a ledger; raise UnknownSchema if another version made it."""
    is_there = inspect(connection).has_table(schema_version.name)
    found = connection.execute(select(schema_version.c.version_num)).scalar() if is_there else None
    if found not in {None, SCHEMA}:
        raise UnknownSchema(
            f"Another version of bulk-sync made the ledger: its schema is {found}, and that of "
            f"this one {SCHEMA}. Use the program that made it, or name another ledger with "
            "--ledger; keep this one with your records."
        )
    return found is not None


@contextmanager
def _errors(name: str) -> Iterator[None]:
    try:
        yield
    except NoSuchModuleError as error:
        raise LedgerProblem(f"The ledger {name}: {error}.") from error
    except ModuleNotFoundError as error:
        raise LedgerProblem(
            f"The ledger {name} needs the package {error.name}. For PostgreSQL: pip install "
            "'bulk-sync[postgresql]'."
        ) from error
    except (SQLAlchemyError, sqlite3.Error, OSError, UnicodeError) as error:  # of a host's name
        raise failure(error, name, "opened", LedgerProblem) from error
