"""How many calls were spent on each day."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Make the table; what earlier runs have spent today is not known."""
    op.create_table(
        "calls",
        sa.Column("whose", sa.String(200), primary_key=True),
        sa.Column("day", sa.String(10), primary_key=True),
        sa.Column("spent", sa.BigInteger, nullable=False),
    )
