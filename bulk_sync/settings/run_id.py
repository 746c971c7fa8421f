"""The names of runs."""

import secrets
from datetime import UTC, datetime
from typing import Final

RUN_ID_PATTERN: Final = r"\d{8}T\d{6}Z-[0-9a-f]{6}"
"""What every id of a run matches, and hardly anything else."""


def new_run_id() -> str:
    """Return a new id, sorted by time and fit for a file name: ``20261123T020000Z-7f3a9c``."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{secrets.token_hex(3)}"
