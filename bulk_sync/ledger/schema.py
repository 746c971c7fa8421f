"""The tables of the ledger.

``lines`` is the chain: lines are added to it and never changed. ``head`` repeats where it ends;
writers take turns by it. ``holders`` shows people who holds a lock, ``calls`` shows the next run
how many calls a day has cost; neither proves anything.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from sqlalchemy import (
    BigInteger,
    Column,
    ColumnElement,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    literal_column,
    text,
)

metadata: Final = MetaData()

_LONG = BigInteger().with_variant(Integer(), "sqlite")


class LineKind(StrEnum):
    """What a line records."""

    BEGUN = "begun"
    """A run began; FACTS holds its settings."""
    INTENT = "intent"
    """One write is about to be attempted."""
    OUTCOME = "outcome"
    """What became of that write."""
    ENDED = "ended"
    """The process that worked on a run ended; FACTS holds the result."""
    NOT_BEGUN = "not_begun"
    """A requested run could not start; FACTS holds what it was to do, and the reason."""
    ACT = "act"
    """A person did something in the page; FACTS holds what, RUN_ID what it is about."""


IS_NO_WRITE: Final = text("kind NOT IN ('intent', 'outcome')")
"""A few lines among millions of writes. Queries repeat it to the letter to use the index."""

IS_USED: Final = text("kind = 'intent' AND facts IS NOT NULL")
"""Writes that a row asked for by another key than the PKey, also repeated to the letter."""

USED_BEGINS: Final[ColumnElement[str]] = literal_column("substr(lower(facts), 1, 100)")
"""Of such a key: a longer text has no room in an index of PostgreSQL."""

lines: Final = Table(
    "lines",
    metadata,
    Column("position", _LONG, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("run_id", String(64), nullable=False),
    Column("at_ms", BigInteger, nullable=False, comment="UTC, milliseconds since the epoch"),
    Column("profile_key", Text),
    Column("input_file", Text, comment="if the input was several files"),
    Column("input_row", BigInteger, comment="as a spreadsheet shows it"),
    Column("state_before", SmallInteger),
    Column("state_desired", SmallInteger),
    Column("intent", BigInteger, comment="of an outcome, the position of its intent"),
    Column("outcome", String(32)),
    Column("reason", String(64)),
    Column("detail", Text),
    Column("attempts", Integer),
    Column("facts", Text, comment="JSON; of an intent, the key of the row if it is another"),
    Column("hash", String(64), nullable=False),
    Column("requested", Text, comment="of an intent, the request date, ISO 8601"),
    Column("state_after", SmallInteger, comment="of a failed write, what the profile holds"),
    Index("lines_by_run", "run_id", "position"),
    Index("lines_by_key", "profile_key", "position"),
    Index("lines_by_intent", "intent"),
    Index("lines_of_no_write", "position", sqlite_where=IS_NO_WRITE, postgresql_where=IS_NO_WRITE),
    Index("lines_by_used", USED_BEGINS, sqlite_where=IS_USED, postgresql_where=IS_USED),
)


class Line(NamedTuple):
    """The columns of a line without position and hash, in the order in which they are hashed."""

    kind: str
    run_id: str
    at_ms: int
    profile_key: str | None = None
    input_file: str | None = None
    input_row: int | None = None
    state_before: int | None = None
    state_desired: int | None = None
    intent: int | None = None
    outcome: str | None = None
    reason: str | None = None
    detail: str | None = None
    attempts: int | None = None
    facts: str | None = None
    requested: str | None = None
    state_after: int | None = None


FIRST_COLUMNS: Final = 15
"""Columns that every line is hashed with, from the position on; of the others those up to the last
one with a value."""

COLUMNS: Final = tuple(lines.c[name] for name in ("position", *Line._fields, "hash"))
"""The columns of a line in the order in which they are hashed, its own hash last."""

head: Final = Table(
    "head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("position", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
)

holders: Final = Table(
    "holders",
    metadata,
    Column("lock", String(200), primary_key=True),
    Column("holder", Text, nullable=False),
)

calls: Final = Table(
    "calls",
    metadata,
    Column("whose", String(200), primary_key=True, comment="organization and endpoint"),
    Column("day", String(10), primary_key=True, comment="UTC, as 2026-11-25"),
    Column("spent", BigInteger, nullable=False),
)

schema_version: Final = Table(
    "alembic_version", metadata, Column("version_num", String(32), primary_key=True)
)
"""Named by the library that made the first ledgers."""
