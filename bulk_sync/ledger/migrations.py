"""Makes the tables of a new ledger, and adds to an older one what it lacks.

    0001    lines, head, holders
    0002    calls
    0003    columns requested and state_after of lines
    0004    index lines_of_no_write

The schema is in ``schema.py`` alone. Lines of an older ledger keep their values and their hashes
(``chain.py``).
"""

from typing import Final

from sqlalchemy import Connection, inspect, select, text
from sqlalchemy.schema import CreateColumn

from bulk_sync.errors import LedgerProblem
from bulk_sync.ledger.chain import Head
from bulk_sync.ledger.schema import head, lines, metadata, schema_version

NEWEST: Final = "0004"
"""The schema that this program writes."""

READABLE: Final = {"0003", NEWEST}
"""Schemas with the same tables and columns: an index is not needed to read."""

_OLDER: Final = {"0001", "0002", "0003"}


class UnknownSchema(LedgerProblem):
    """The ledger has another schema than this program."""


def version(connection: Connection) -> str | None:
    """Return a ledger's schema; None if there is none yet."""
    if not inspect(connection).has_table(schema_version.name):
        return None
    return connection.execute(select(schema_version.c.version_num)).scalar()


def bring_forward(connection: Connection) -> None:
    """Bring a ledger to the newest schema, inside the caller's transaction.

    Raise UnknownSchema if a newer program made it.
    """
    found = version(connection)
    if found == NEWEST:
        return
    if found is not None and found not in _OLDER:
        raise unknown(found)
    metadata.create_all(connection)
    if found is None:
        first = Head()
        connection.execute(head.insert().values(id=1, position=first.position, hash=first.hash))
        connection.execute(schema_version.insert().values(version_num=NEWEST))
        return
    there = {column["name"] for column in inspect(connection).get_columns(lines.name)}
    for column in lines.c:
        if column.name not in there:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.execute(text(f"ALTER TABLE {lines.name} ADD COLUMN {definition}"))
    for index in lines.indexes:
        index.create(connection, checkfirst=True)
    connection.execute(schema_version.update().values(version_num=NEWEST))


def unknown(found: str) -> UnknownSchema:
    """Return an error with the next step for another schema."""
    if found in _OLDER:
        return UnknownSchema(
            f"An older bulk-sync wrote the ledger (schema {found}; this one reads {NEWEST}). "
            "`bulk-sync runs`, or the next run, converts it and keeps every line; then try again."
        )
    return UnknownSchema(
        f"The ledger has schema {found}, which a newer bulk-sync made; this one knows schemas up "
        f"to {NEWEST}. Use the newer program, or name another ledger with --ledger."
    )
