"""The chain of lines, its head, and who holds a lock."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the first tables."""
    long = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "lines",
        sa.Column("position", long, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("run_id", sa.String(64), nullable=False),
        sa.Column("at_ms", sa.BigInteger, nullable=False),
        sa.Column("profile_key", sa.Text),
        sa.Column("input_file", sa.Text),
        sa.Column("input_row", sa.BigInteger),
        sa.Column("state_before", sa.SmallInteger),
        sa.Column("state_desired", sa.SmallInteger),
        sa.Column("intent", sa.BigInteger),
        sa.Column("outcome", sa.String(32)),
        sa.Column("reason", sa.String(64)),
        sa.Column("detail", sa.Text),
        sa.Column("attempts", sa.Integer),
        sa.Column("facts", sa.Text),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("lines_by_run", "lines", ["run_id", "position"])
    op.create_index("lines_by_key", "lines", ["profile_key", "position"])
    op.create_index("lines_by_intent", "lines", ["intent"])
    head = op.create_table(
        "head",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("position", sa.BigInteger, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.bulk_insert(head, [{"id": 1, "position": 0, "hash": "0" * 64}])
    op.create_table(
        "holders",
        sa.Column("lock", sa.String(200), primary_key=True),
        sa.Column("holder", sa.Text, nullable=False),
    )
