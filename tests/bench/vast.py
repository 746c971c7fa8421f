"""Files larger than the memory that they may take, beside one statement of DuckDB that joins them.

``make bench-vast`` takes 100,000,000 rows and 45 GB of disk, in ``TMPDIR``. ``VAST_ROWS=1000000``
takes fewer, ``VAST_MEMORY=500MB`` less memory. DuckDB may take what we may at the peak: in 2 GB its
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

ROWS, MEMORY = int(os.environ.get("VAST_ROWS", "100000000")), os.environ.get("VAST_MEMORY", "2GB")
BOUNDS = (3.0, 2861)  # 3.0 GB
CONFINED_ROWS, CONFINED_MEMORY = 10_000_000, "500MB"
CONFINED_BOUNDS = (None, 953)  # 1.0 GB


def lines() -> Iterator[Line]:
    """Validate very many rows, as CSV and as Parquet."""
    for suffix in ("csv", "parquet"):
        yield validating(suffix, ROWS, MEMORY, BOUNDS)


def confined() -> Iterator[Line]:
    """Validate many rows in what a small container has."""
    yield validating("csv", CONFINED_ROWS, CONFINED_MEMORY, CONFINED_BOUNDS)


def validating(suffix: str, rows: int, memory: str, bounds: tuple[float | None, float]) -> Line:
    """Compare the check of a file with a join in DuckDB, which checks nothing."""
    with tempfile.TemporaryDirectory() as name:
        source, known = Path(name, f"vast.{suffix}"), Path(name, "known.parquet")
        subprocess.run([*program("write_vast.py"), str(rows), str(source), str(known)], check=True)
        own, other = Path(name, "own"), Path(name, "other")
        own.mkdir()
        other.mkdir()
        words = ["validate", str(source), "--memory", memory, "--state-dir", str(own), "-q"]
        ours = measure_all([PYTHON, "-m", "bulk_sync", *words], own, Exit.ROWS_LEFT)
        words = [str(source), str(known), f"{bounds[1]:.0f}MiB", str(other)]
        theirs = measure_all([*program("join_duckdb.py"), *words], other)
        print(
            f"  {source.stat().st_size / 1e9:.1f} GB of {suffix}, --memory {memory}; DuckDB: peak "
            f"{theirs.peak_mb:,.0f} MB, {theirs.disk_mb:,.0f} MB of disk"
        )
    what = f"validate {rows:,} rows (.{suffix}), {ours.disk_mb:,.0f} MB of disk / a join in DuckDB"
    return line(what, [(ours, theirs)], ours.seconds / theirs.seconds, bounds)
