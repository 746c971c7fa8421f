"""The names of runs."""

import secrets
from datetime import UTC, datetime


def new_run_id() -> str:
    """Return a new id, sorted by time and fit for a file name: ``20261123T020000Z-7f3a9c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
