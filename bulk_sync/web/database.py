"""The page's own database: accounts, sessions, and the paperwork around plans.

``page.sqlite3`` in the state folder, or tables beside the ledger on PostgreSQL. It is not the
ledger: it proves nothing, and never takes the turn of a run that records its writes.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, get_type_hints

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Executable,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError

from bulk_sync import ledger
from bulk_sync.errors import LedgerAway, StopRun, UsageProblem
from bulk_sync.settings import State
from bulk_sync.storage import atomic
from bulk_sync.web.records import Paper, PlanVerdict, Upload

FILE: Final = "page.sqlite3"
"""The name in the state folder, unless the ledger is on a database server."""

_BUSY_S: Final = 30
_IDLE_S: Final = 60

_READS: Final = "bulk_sync_reads"
"""Of a connection on which nothing is changed."""

_TURN: Final = text("SELECT pg_advisory_xact_lock(hashtext('bulk-sync page'))")
"""Of the transaction that may change something on PostgreSQL."""

_LIMITS: Final = text(
    "SELECT set_config('lock_timeout', :busy, true),"
    " set_config('idle_in_transaction_session_timeout', :idle, true)"
)
"""For that transaction: of its waits, and of a page whose machine is gone while it has its turn."""

_LOCK_TIMEOUT: Final = "55P03"
"""PostgreSQL's error code."""

VERSION: Final = 1
"""Of the tables; a change of them is a new one, and converts those of the last."""

metadata: Final = MetaData()
_text = partial(Column[str], type_=String, nullable=False)
_number = partial(Column[int], type_=BigInteger, nullable=False)
_COLUMNS: Final[Mapping[Any, Callable[..., Column[Any]]]] = {
    str: _text,
    int: _number,
    str | None: partial(Column[Any], type_=String),
    int | None: partial(Column[Any], type_=BigInteger),
    bool: partial(Column[Any], type_=Boolean, nullable=False),
    Mapping[str, Any]: partial(Column[Any], type_=JSON, nullable=False),
}


def _table_of(record: type, name: str, *first: Column[Any], index: str = "") -> Table:
    """Return a table with a column for each field of a record; its rows are the records."""
    columns = (
        _COLUMNS[kind](field, primary_key=field == "id", index=field == index)
        for field, kind in get_type_hints(record).items()
    )
    return Table(name, metadata, *first, *columns)


version: Final = Table(
    "page_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

users: Final = Table(
    "page_users",
    metadata,
    _text("folded", primary_key=True, comment="the name, capitals aside"),
    _text("name"),
    _text("role"),
    _text("password", comment="hashed by argon2"),
    _number("added_ms"),
)

sessions: Final = Table(
    "page_sessions",
    metadata,
    _text("id_sha256", primary_key=True),
    _text("folded", index=True),
    _text("name"),
    _text("origin", comment="password, or token"),
    _number("began_ms"),
    _number("seen_ms"),
)

attempts: Final = Table(
    "page_attempts",
    metadata,
    _text("id", primary_key=True),
    _text("folded"),
    _text("address"),
    _number("at_ms", index=True),
)

uploads: Final = _table_of(Upload, "page_uploads")

plans: Final = _table_of(Paper, "page_plans", index="upload")

verdicts: Final = _table_of(
    PlanVerdict, "page_verdicts", _text("id", primary_key=True), index="plan"
)
"""With an id to sort by."""

seen_rows: Final = Table(
    "page_seen_rows",
    metadata,
    _text("plan", primary_key=True),
    _text("sha256", primary_key=True),
    _text("folded", primary_key=True, comment="who has seen them"),
    Column("page", Integer, primary_key=True, autoincrement=False, comment="of 50 opt-ins"),
)

jobs: Final = Table(
    "page_jobs",
    metadata,
    _text("id", primary_key=True),
    _text("command"),
    _text("about"),
    _text("who"),
    _number("at_ms"),
    Index("page_jobs_by_subject", "about", "at_ms"),
)
"""Its columns are those of ``jobs.PageJob``."""


class Database:
    """The database of the page; any thread may use it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rows(self, query: Executable) -> Sequence[Any]:
        """Return the rows of a query; it waits for no one who writes."""
        with self._errors(), self._engine.connect() as connection:
            connection.execution_options(**{_READS: True})
            return connection.execute(query).all()

    def change(self, statement: Executable) -> int:
        """Carry one statement out, and return how many rows it changed."""
        with self.transaction() as connection:
            return connection.execute(statement).rowcount

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run the block in a transaction; one at a time, on SQLite and on servers alike.

        Raises:
            UsageProblem: the database cannot be used.
            LedgerAway: its server is away for the moment.
        """
        with self._errors(), self._engine.begin() as connection:
            if connection.dialect.name == "postgresql":
                connection.execute(_LIMITS, {"busy": f"{_BUSY_S}s", "idle": f"{_IDLE_S}s"})
                connection.execute(_TURN)
            yield connection

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as error:
            url = self._engine.url
            what = " ".join(str(getattr(error, "orig", None) or error).split())
            if ledger.is_away(url, error):
                raise LedgerAway(url.set(query={}).render_as_string(), what) from error
            if getattr(getattr(error, "orig", None), "sqlstate", None) == _LOCK_TIMEOUT:
                raise UsageProblem(
                    f"The database of the page is busy: another page has used it for {_BUSY_S} s. "
                    "Try again in a minute, and look how it stands first."
                ) from error
            raise UsageProblem(
                f"The database of the page cannot be used: {what}. Look at --state-dir and "
                "--ledger, and at the room on the disk."
            ) from error

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()


def open_database(state: State) -> Database:
    """Open the database of the page; make it if there is none.

    Raises:
        UsageProblem: it cannot be opened, or a newer program made it.
        LedgerAway: its server is away for the moment.
    """
    engine = ledger.server_engine(state)
    try:
        if engine is None:
            atomic.make_folder(state.folder)
            engine = _sqlite(state.folder / FILE)
    except OSError as error:
        raise UsageProblem(
            f"{state.folder / FILE}: {error.strerror}. Name a folder that can be written with "
            "--state-dir."
        ) from error
    database = Database(engine)
    try:
        with database.transaction() as connection:
            _make(connection)
    except StopRun:
        database.close()
        raise
    return database


def _make(connection: Connection) -> None:
    is_there = inspect(connection).has_table(version.name)
    found = connection.execute(select(version.c.version)).scalar() if is_there else None
    if found is not None and found > VERSION:
        raise UsageProblem(
            f"The database of the page has version {found}, which a newer bulk-sync made; this one "
            f"knows versions up to {VERSION}. Use the newer program, or another --state-dir."
        )
    metadata.create_all(connection)
    if found is None:
        connection.execute(insert(version).values(version=VERSION))


def now_ms() -> int:
    """Return the time, UTC, in milliseconds."""
    return time.time_ns() // 1_000_000


def _sqlite(path: Path) -> Engine:
    atomic.make_private(path)
    engine = create_engine(
        f"sqlite:///{path.absolute()}", hide_parameters=True, connect_args={"timeout": _BUSY_S}
    )

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the next hook begins transactions itself
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # A transaction that reads first and writes then would fail if another wrote meanwhile.
        if _READS not in connection.get_execution_options():
            connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
