"""When changes were asked for, and what profiles hold after a write that failed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; older lines have no value there, and keep their hash."""
    op.add_column("lines", sa.Column("requested", sa.Text))
    op.add_column("lines", sa.Column("state_after", sa.SmallInteger))
