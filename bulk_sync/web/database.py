"""The page's own database: accounts, sessions, and the paperwork around plans.

``page.sqlite3`` in the state folder, or tables beside the ledger on PostgreSQL. It is not the
ledger: it proves nothing, and never takes the turn of a run that records its writes.
"""

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Executable,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    insert,
    inspect,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import NullPool

from bulk_sync import ledger
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import State
from bulk_sync.storage import atomic

FILE: Final = "page.sqlite3"
"""The name in the state folder, unless the ledger is on a database server."""

_BUSY_S: Final = 30

VERSION: Final = 1
"""Of the tables; a change of them is a new one, and converts those of the last."""

metadata: Final = MetaData()

version: Final = Table(
    "page_version",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
)

users: Final = Table(
    "page_users",
    metadata,
    Column("folded", String(200), primary_key=True, comment="the name, capitals aside"),
    Column("name", String(200), nullable=False),
    Column("role", String(16), nullable=False),
    Column("password", Text, nullable=False, comment="hashed by argon2"),
    Column("added_ms", BigInteger, nullable=False),
)

sessions: Final = Table(
    "page_sessions",
    metadata,
    Column("id_sha256", String(64), primary_key=True),
    Column("folded", String(200), nullable=False),
    Column("name", String(200), nullable=False),
    Column("origin", String(16), nullable=False, comment="password, or token"),
    Column("began_ms", BigInteger, nullable=False),
    Column("seen_ms", BigInteger, nullable=False),
    Index("page_sessions_by_name", "folded"),
)

attempts: Final = Table(
    "page_attempts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("folded", String(200), nullable=False),
    Column("address", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Index("page_attempts_by_time", "at_ms"),
)

uploads: Final = Table(
    "page_uploads",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(200), nullable=False),
    Column("file_name", Text, nullable=False, comment="shown, never used as a path"),
    Column("size", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("job", Text, nullable=False),
    Column("ticket", Text, nullable=False),
    Column("choices", Text, nullable=False, comment="JSON: options about columns"),
    Column("corrects", String(32), comment="the upload whose rows it corrects"),
    Column("is_deleted", Integer, nullable=False, comment="its file is no longer kept"),
)

plans: Final = Table(
    "page_plans",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(200), nullable=False, comment="who prepared it: no one else's approval"),
    Column("upload", String(32), comment="of which it is a plan"),
    Column("undoes", String(64), comment="the run that it would undo"),
    Column("job", String(32), comment="the process that made it"),
    Column("sha256", String(64), nullable=False, comment="empty until the plan is made"),
    Column("asked_ms", BigInteger, comment="when approval was asked for"),
    Column("asked_by", String(200)),
    Column("comment", Text, nullable=False),
    Column("options", Text, nullable=False, comment="JSON: limits that were raised, and so on"),
    Column("applied_by", String(32), comment="the process that applies it"),
    Column("is_deleted", Integer, nullable=False),
    Index("page_plans_by_upload", "upload"),
)

verdicts: Final = Table(
    "page_verdicts",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("plan", String(32), nullable=False),
    Column("sha256", String(64), nullable=False, comment="of the plan that was seen"),
    Column("at_ms", BigInteger, nullable=False),
    Column("who", String(200), nullable=False),
    Column("is_approval", Integer, nullable=False, comment="0: it was sent back"),
    Column("comment", Text, nullable=False),
    Index("page_verdicts_by_plan", "plan"),
)

seen_rows: Final = Table(
    "page_seen_rows",
    metadata,
    Column("plan", String(32), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("folded", String(200), primary_key=True),
    Column("page", Integer, primary_key=True, autoincrement=False, comment="of 50 opt-ins"),
)

jobs: Final = Table(
    "page_jobs",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("command", String(16), nullable=False),
    Column("about", String(64), nullable=False, comment="the upload, plan or run"),
    Column("who", String(200), nullable=False),
    Column("at_ms", BigInteger, nullable=False),
    Column("pid", Integer, nullable=False),
    Index("page_jobs_by_subject", "about", "at_ms"),
)


class Database:
    """The database of the page; any thread may use it."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def rows(self, query: Executable) -> Sequence[Any]:
        """Return the rows of a query."""
        with self.transaction() as connection:
            return connection.execute(query).all()

    def change(self, statement: Executable) -> int:
        """Carry one statement out, and return how many rows it changed."""
        with self.transaction() as connection:
            return connection.execute(statement).rowcount

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Run the block in a transaction.

        Raises:
            UsageProblem: the database cannot be used.
        """
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            what = " ".join(str(getattr(error, "orig", None) or error).split())
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
    """
    server = ledger.server_url(state)
    try:
        if server is None:
            atomic.make_folder(state.folder)
            engine = _sqlite(state.folder / FILE)
        else:
            engine = create_engine(server, hide_parameters=True)
    except OSError as error:
        raise UsageProblem(
            f"{state.folder / FILE}: {error.strerror}. Name a folder that can be written with "
            "--state-dir."
        ) from error
    database = Database(engine)
    try:
        with database.transaction() as connection:
            _make(connection)
    except UsageProblem:
        database.close()
        raise
    return database


def _make(connection: Connection) -> None:
    """Make the tables, unless they are there; raise UsageProblem if they are newer ones."""
    if connection.dialect.name == "postgresql":  # not two at once
        connection.execute(text("SELECT pg_advisory_xact_lock(hashtext('bulk-sync page'))"))
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
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    engine = create_engine(
        f"sqlite:///{path.absolute()}",
        hide_parameters=True,
        poolclass=NullPool,
        connect_args={"timeout": _BUSY_S},
    )

    @event.listens_for(engine, "connect")
    def _(connection: Any, _record: object) -> None:
        connection.isolation_level = None  # the next hook begins transactions itself
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @event.listens_for(engine, "begin")
    def _(connection: Connection) -> None:
        # A transaction that reads first and writes then would fail if another wrote meanwhile.
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    return engine
