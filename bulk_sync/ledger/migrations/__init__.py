"""From none or an older schema to the newest.

A new ledger is made as ``schema.py`` has it. An older one is brought forward by Alembic, with the
steps in ``versions/``; from nothing on they lead to the same tables.
"""

from pathlib import Path
from typing import Final

from sqlalchemy import Column, Connection, MetaData, String, Table, inspect, select

from bulk_sync.errors import UsageProblem
from bulk_sync.ledger import chain, schema

NEWEST: Final = "0003"
"""The schema that this program writes: the last of ``versions/``."""

_HERE: Final = Path(__file__).parent
_VERSIONS: Final = Table(
    "alembic_version", MetaData(), Column("version_num", String(32), primary_key=True)
)
"""As Alembic makes it."""


def version(connection: Connection) -> str | None:
    """Tell a ledger's schema; None if there is none yet."""
    if not inspect(connection).has_table(_VERSIONS.name):
        return None
    return connection.execute(select(_VERSIONS.c.version_num)).scalar()


def bring_forward(connection: Connection) -> None:
    """Bring a ledger to the newest schema, inside the caller's transaction.

    Raises:
        UsageProblem: a newer program made the ledger.
    """
    found = version(connection)
    if found is None:
        _make(connection)
    elif found != NEWEST:
        upgrade(connection)


def _make(connection: Connection) -> None:
    """Make the newest schema, without the 150 ms that it takes to import Alembic."""
    schema.metadata.create_all(connection, checkfirst=False)
    start = chain.Head()
    first = {"id": 1, "position": start.position, "hash": start.hash}
    connection.execute(schema.head.insert().values(first))
    _VERSIONS.create(connection)
    connection.execute(_VERSIONS.insert().values(version_num=NEWEST))


def upgrade(connection: Connection, steps: Path = _HERE / "versions") -> None:
    """Bring the schema forward to the newest of the steps, inside the caller's transaction.

    Raises:
        UsageProblem: a newer program made the ledger.
    """
    # Imported late: it takes a while, and next to no run finds an older schema.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from alembic.util import CommandError  # noqa: PLC0415

    found = version(connection)
    config = Config()
    config.set_main_option("script_location", str(_HERE).replace("%", "%%"))
    config.set_main_option("version_locations", str(steps).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise unknown(found) from error


class UnknownSchema(UsageProblem):
    """A ledger's schema is not this program's."""


def unknown(found: str | None) -> UnknownSchema:
    """Say what to do about another schema."""
    if found is not None and found < NEWEST:
        return UnknownSchema(
            f"The ledger has the older schema {found}; the next run brings it forward to {NEWEST}."
        )
    return UnknownSchema(
        f"The ledger has schema {found}, which a newer bulk-sync made; this one knows schemas up "
        f"to {NEWEST}. Use the newer program, or name another ledger with --ledger."
    )
