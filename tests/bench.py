"""Speed and memory as ratios against a reference in the same run: ``make bench``.

Every command is a process of its own, measured by the operating system when it has ended. Command
and reference take turns, so that both meet the same machine; the medians are compared. Prints a
table and writes it as JSON to ``.cache/bench.json``.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROWS = 1_000_000
ROUNDS = 5
WRITES = 100_000
WRITES_A_SECOND = 2_000
_CACHE = Path(__file__).parent.parent / ".cache"
_NAIVE = "import sys, pandas; pandas.read_csv(sys.argv[1], dtype=str)"


@dataclass(frozen=True)
class Used:
    """What one process used: wall time in seconds and peak memory in MB."""

    seconds: float
    peak_mb: float


@dataclass(frozen=True)
class Line:
    """One line of the table: medians of a command and of its reference, and the bound to keep."""

    what: str
    seconds: float
    reference_seconds: float
    ratio: float
    most: float
    peak_mb: float
    most_mb: float

    @property
    def kept(self) -> bool:
        return self.ratio <= self.most and self.peak_mb <= self.most_mb


def measure(command: Sequence[str]) -> Used:
    began = time.monotonic()
    nothing = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    process = os.posix_spawn(command[0], list(command), os.environ, file_actions=nothing)
    _, status, usage = os.wait4(process, 0)
    if os.waitstatus_to_exitcode(status) != 0:
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    unit = 1024 if sys.platform == "darwin" else 1
    return Used(time.monotonic() - began, usage.ru_maxrss / unit / 1024)


def compare(
    what: str,
    command: Sequence[str],
    reference: Sequence[str],
    bounds: tuple[float, float],
    rounds: int = ROUNDS,
) -> Line:
    """Let a command and its reference take turns; ``bounds`` are the ratio's and the peak's."""
    most, most_mb = bounds
    pairs = [(measure(command), measure(reference)) for _ in range(rounds)]
    ratio = statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs)
    return Line(
        what=what,
        seconds=statistics.median(ours.seconds for ours, _ in pairs),
        reference_seconds=statistics.median(theirs.seconds for _, theirs in pairs),
        ratio=ratio,
        most=most,
        peak_mb=max(ours.peak_mb for ours, _ in pairs),
        most_mb=most_mb,
    )


def write_input(path: Path) -> None:
    """Write a file like a nightly one: keys as long as real ones, a state, and two more columns."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("PKey,ccpaOptOut,requestDate,requestChannel\n")
        for number in range(ROWS):
            state = "true" if number % 3 else "false"
            file.write(
                f"@{number * 7919:x}{'Qx7-_' * 17}{number:06d},{state},2026-11-01,web form\n"
            )


def validating() -> Line:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "million.csv"
        write_input(path)
        validate = [sys.executable, "-m", "bulk_sync", "validate", str(path)]
        naive = [sys.executable, "-c", _NAIVE, str(path)]
        measure(validate), measure(naive)  # the first reading of a file is nobody's
        what = "validate 1 million rows / pandas.read_csv(dtype=str)"
        return compare(what, validate, naive, (3.0, 1200))


def recording() -> Line:
    """What the ledger costs, at a rate that a contract could allow."""
    simulator = [sys.executable, "-m", "bulk_sync", "simulate", "--port", "0"]
    with subprocess.Popen(
        [*simulator, "--profiles", str(WRITES)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as far_end:
        assert far_end.stdout is not None
        url = far_end.stdout.readline().strip()
        program = [sys.executable, str(Path(__file__).parent / "bench_write.py")]
        words = [url, str(WRITES), str(WRITES_A_SECOND)]
        line = compare(
            f"write {WRITES:,} states at {WRITES_A_SECOND:,}/s / the same, unrecorded",
            [*program, *words, "ledger"],
            [*program, *words, "nothing"],
            (1.1, 500),
            rounds=1,
        )
        far_end.terminate()
    return line


def main() -> None:
    lines = [validating(), recording()]
    print(f"{'':60}{'s':>7}{'ref. s':>8}{'ratio':>7}{'most':>6}{'peak MB':>9}{'most':>6}")
    for line in lines:
        print(
            f"{line.what:60}{line.seconds:7.2f}{line.reference_seconds:8.2f}{line.ratio:7.2f}"
            f"{line.most:6.1f}{line.peak_mb:9.0f}{line.most_mb:6.0f}"
            f"{'' if line.kept else '  MISSED'}"
        )
    _CACHE.mkdir(exist_ok=True)
    (_CACHE / "bench.json").write_text(json.dumps([asdict(line) for line in lines], indent=2))
    sys.exit(not all(line.kept for line in lines))


if __name__ == "__main__":
    main()
