"""How many rows of a run fit into memory, with their keys, states and results."""

from typing import Final

from bulk_sync.errors import StoppedEarly

_BYTES_EACH: Final = 500


def fits(rows: int, memory: int) -> bool:
    """Return whether so many rows of a plan, or with work to do, fit into memory."""
    return rows * _BYTES_EACH <= memory


def check(rows: int, memory: int, why: str, instead: str = "") -> None:
    """Raise StoppedEarly if so many rows do not fit into so many bytes.

    ``why`` is a sentence about the rows; ``instead`` names what else a person can do.
    """
    if not fits(rows, memory):
        size = -(-rows * _BYTES_EACH // 10**9)
        raise StoppedEarly(
            f"{rows:,} rows {why}: that is more work than fits into memory at once. Go on with "
            f"--memory {size}GB{instead}."
        )
