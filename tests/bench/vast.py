"""Files larger than their memory, beside one statement of DuckDB that joins them.

The plan begins after a run has read Campaign's list: its profiles are on disk.

``make bench-vast`` takes 100,000,000 rows and 40 GB of disk, in ``TMPDIR``. ``VAST_ROWS=1000000``
takes fewer, ``VAST_MEMORY=500MB`` less memory. DuckDB may take our peak of memory: in 2 GB its
join of 100,000,000 rows of Parquet ran out of memory.
"""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from calling import PYTHON, program
from measuring import Line, line, measure_all

from bulk_sync.errors import Exit
from bulk_sync.runs.kept.checkpoint import checkpoint_folder

ROWS, MEMORY = int(os.environ.get("VAST_ROWS", "100000000")), os.environ.get("VAST_MEMORY", "2GB")
BOUNDS = (3.0, 2861)  # 3.0 GB
_RUN = "20261102T030000Z-00000001"
CONFINED_ROWS, CONFINED_MEMORY = 10_000_000, "500MB"
CONFINED_BOUNDS = (None, 953)  # 1.0 GB


def lines() -> Iterator[Line]:
    """Yield the cost of validating and planning very many rows, as CSV and as Parquet."""
    for suffix in ("csv", "parquet"):
        yield from compare_formats(suffix, ROWS, MEMORY, BOUNDS)


def confined() -> Iterator[Line]:
    """Yield the cost of validating and planning many rows in a small container."""
    yield from compare_formats("csv", CONFINED_ROWS, CONFINED_MEMORY, CONFINED_BOUNDS)


def compare_formats(
    suffix: str, rows: int, memory: str, bounds: tuple[float | None, float]
) -> Iterator[Line]:
    """Compare the check of a file, and a plan, with a join in DuckDB, which checks nothing."""
    with tempfile.TemporaryDirectory() as name:
        source, own, other = (Path(name, each) for each in (f"vast.{suffix}", "own", "other"))
        other.mkdir()
        write = [*program("write_vast.py"), str(rows), str(source), str(own), _RUN]
        subprocess.run(write, check=True)
        listed = checkpoint_folder(own, _RUN)
        join = [str(source), str(listed), f"{bounds[1]:.0f}MiB", str(other)]
        theirs = measure_all([*program("join_duckdb.py"), *join], other)
        print(
            f"  {source.stat().st_size / 1e9:.1f} GB of {suffix}, --memory {memory}; a join in "
            f"DuckDB: {theirs}"
        )
        validate = [str(source), "--memory", memory, "--state-dir", str(own), "-q"]
        commands = {
            "validate": ([PYTHON, "-m", "bulk_sync", "validate", *validate], Exit.ROWS_LEFT),
            "plan": ([*program("plan_vast.py"), str(source), str(own), _RUN, memory], Exit.DONE),
        }
        for what, (command, status) in commands.items():
            ours = measure_all(command, own, status)
            print(f"  {what}: {ours}")
            row = f"{what} {rows:,} rows (.{suffix}) / a join in DuckDB"
            yield line(row, [(ours, theirs)], ours.seconds / theirs.seconds, bounds)
