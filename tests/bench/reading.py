"""The cost of reading, checking and planning, beside libraries without checks."""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from calling import run_of
from measuring import Line, Used, compare, line, measure, served

ROWS = 1_000_000
HUGE_ROWS = 10_000_000
HUGE_MB = 2861  # 3.0 GB
FLIPPED = 0.01
_MIDDLE = "Qx7-_" * 17
_NAIVE = "import sys, pandas; pandas.read_csv(sys.argv[1], dtype=str)"


def write_input(path: Path, rows: int = ROWS) -> None:
    """Write a file like a nightly one: keys as long as real ones, a state, two more columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("PKey,ccpaOptOut,requestDate,requestChannel\n")
        for number in range(rows):
            state = "true" if number % 3 else "false"
            file.write(f"{key(number)},{state},2026-11-01,web form\n")


def write_known(path: Path) -> None:
    """Write the states in Campaign: the same keys in another order, some with the other state."""
    order = np.random.default_rng(7).permutation(ROWS)
    states = (order % 3 > 0) ^ (np.random.default_rng(8).random(ROWS) < FLIPPED)
    frame = pd.DataFrame({"PKey": [key(number) for number in order.tolist()], "ccpaOptOut": states})
    frame.to_parquet(path, index=False)


def key(number: int) -> str:
    return f"@{number * 7919:x}{_MIDDLE}{number:06d}"


def number_of(key: str) -> int:
    return int(key.rpartition(_MIDDLE)[2])


def lines() -> Iterator[Line]:
    """Yield the cost of a million rows."""
    with tempfile.TemporaryDirectory() as folder:
        path, known = Path(folder) / "million.csv", Path(folder) / "known.parquet"
        write_input(path)
        write_known(known)
        yield validating(path)
        ours = plan_rows("ours", path, known)
        for library, most in {"pandas": 1.0, "polars": 2.5}.items():
            what = f"read, check and plan 1,000,000 rows / {library}, unchecked"
            yield compare(what, ours, plan_rows(library, path, known), (most, 1200))


def validating(path: Path) -> Line:
    validate = [sys.executable, "-m", "bulk_sync", "validate", str(path)]
    naive = [sys.executable, "-c", _NAIVE, str(path)]
    measure(validate), measure(naive)  # the first reading of a file does not count
    what = "validate 1 million rows / pandas.read_csv(dtype=str)"
    return compare(what, validate, naive, (3.0, 1200))


def plan_rows(way: str, *paths: Path) -> list[str]:
    script = Path(__file__).with_name(f"plan_{way}.py")
    return [sys.executable, str(script), *map(str, paths)]


def huge() -> Iterator[Line]:
    """Check the memory for ten million rows; takes minutes, most of them for reports."""
    listed = [sys.executable, str(Path(__file__).with_name("listed.py")), str(HUGE_ROWS)]
    with tempfile.TemporaryDirectory() as folder, served(listed) as url:
        path, report = Path(folder) / "huge.csv", Path(folder) / "report.csv"
        write_input(path, HUGE_ROWS)
        validate = [sys.executable, "-m", "bulk_sync", "validate", str(path)]
        for what, command in {
            "validate 10,000,000 rows: peak memory": validate,
            "the same with a report as CSV: peak memory": [*validate, "--report", str(report)],
            "run 10,000,000 rows, 100,000 changes: peak memory": run_of(url, path, "scan"),
        }.items():
            used = measure(command)
            yield line(what, [(used, Used(used.seconds, 0.0))], 1.0, (1.0, HUGE_MB))
