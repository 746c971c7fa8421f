"""What reading, checking and planning costs, beside libraries that do it without checking."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from measuring import Line, compare, measure

ROWS = 1_000_000
_NAIVE = "import sys, pandas; pandas.read_csv(sys.argv[1], dtype=str)"


def write_input(path: Path) -> None:
    """Write a file like a nightly one: keys as long as real ones, a state, and two more columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("PKey,ccpaOptOut,requestDate,requestChannel\n")
        for number in range(ROWS):
            state = "true" if number % 3 else "false"
            file.write(
                f"@{number * 7919:x}{'Qx7-_' * 17}{number:06d},{state},2026-11-01,web form\n"
            )


def lines() -> Iterator[Line]:
    """Measure all of it."""
    yield validating()


def validating() -> Line:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.csv"
        write_input(path)
        validate = [sys.executable, "-m", "bulk_sync", "validate", str(path)]
        naive = [sys.executable, "-c", _NAIVE, str(path)]
        measure(validate), measure(naive)  # the first reading of a file is nobody's
        what = "validate 1 million rows / pandas.read_csv(dtype=str)"
        return compare(what, validate, naive, (3.0, 1200))
