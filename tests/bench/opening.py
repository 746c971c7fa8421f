"""How long an HTML report of many rows takes to open, in a real browser."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import reading
from measuring import Line, measure, within

ROWS = 300_000
_ALLOWED_S = 3.0
_MOST_MB = 1000


def lines() -> Iterator[Line]:
    """Yield the seconds from the request of the page to its load event."""
    with tempfile.TemporaryDirectory() as folder:
        path, report = Path(folder) / "many.csv", Path(folder) / "many.html"
        reading.write_input(path, ROWS)
        path.write_text(path.read_text().replace(",true,", ",perhaps,"))  # most need a person
        words = ["validate", str(path), "--report", str(report), "-q"]
        command = [sys.executable, "-m", "bulk_sync", *words]
        subprocess.run(command, check=False, stdout=subprocess.DEVNULL)  # ends with 3
        script = Path(__file__).with_name("open_page.py")
        command = [sys.executable, str(script), str(report)]
        measure(command)  # installs a missing browser
        yield within(f"open the HTML report of {ROWS:,} rows", command, _ALLOWED_S, _MOST_MB)
