"""From an older schema to the newest: Alembic does it, with the steps in ``versions/``."""

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from bulk_sync.errors import UsageProblem

NEWEST: Final = "0002"
"""The schema that this program writes: the last of ``versions/``."""

_HERE: Final = Path(__file__).parent
_TABLE: Final = "alembic_version"


def version(connection: Connection) -> str | None:
    """Tell a ledger's schema; None if there is none yet."""
    if not inspect(connection).has_table(_TABLE):
        return None
    return connection.execute(text(f"SELECT version_num FROM {_TABLE}")).scalar()  # noqa: S608 - a constant


def upgrade(connection: Connection, steps: Path = _HERE / "versions") -> None:
    """Bring the schema forward to the newest of the steps, inside the caller's transaction.

    Raises:
        UsageProblem: a newer program made the ledger.
    """
    # Imported late: it takes a while, and most runs find the newest schema.
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
