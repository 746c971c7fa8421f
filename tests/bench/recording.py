"""What the ledger costs, at a rate that a contract could allow."""

import sys
from collections.abc import Iterator
from pathlib import Path

from measuring import Line, compare, served

WRITES = 100_000
WRITES_A_SECOND = 2_000


def lines() -> Iterator[Line]:
    """Measure writes with the ledger beside the same without."""
    simulator = [sys.executable, "-m", "bulk_sync", "simulate", "--port", "0"]
    with served([*simulator, "--profiles", str(WRITES)]) as url:
        program = [sys.executable, str(Path(__file__).parent / "write_states.py")]
        words = [url, str(WRITES), str(WRITES_A_SECOND)]
        yield compare(
            f"write {WRITES:,} states at {WRITES_A_SECOND:,}/s / the same, unrecorded",
            [*program, *words, "ledger"],
            [*program, *words, "nothing"],
            (1.1, 500),
            rounds=1,
        )
