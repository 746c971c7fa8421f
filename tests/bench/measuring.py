"""Measures a command beside its reference: processes of their own, which take turns.

The operating system reports the usage of each process at its end. Command and reference take
turns on the same machine; the medians are compared.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024
_LOOK_EVERY_S = 0.05


@dataclass(frozen=True)
class Used:
    """The usage of one process: wall and CPU time in seconds, peak memory and disk in MB."""

    seconds: float
    peak_mb: float
    disk_mb: float = 0.0
    cpu_seconds: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.seconds:,.0f} s, {self.cpu_seconds:,.0f} s of CPU, {self.peak_mb:,.0f} MB of "
            f"memory, {self.disk_mb:,.0f} MB of disk"
        )


@dataclass(frozen=True)
class Line:
    """One line of the table: medians of a command and of its reference, and the bound to keep.

    A bound of None allows any ratio.
    """

    what: str
    seconds: float
    reference_seconds: float
    ratio: float
    most: float | None
    peak_mb: float
    most_mb: float

    @property
    def kept(self) -> bool:
        return (self.most is None or self.ratio <= self.most) and self.peak_mb <= self.most_mb


def measure(command: Sequence[str]) -> Used:
    """Run one process; if it prints seconds, those count, and not its whole life."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as printed:
        process = os.posix_spawn(
            command[0],
            list(command),
            os.environ,
            file_actions=[(os.POSIX_SPAWN_DUP2, printed.fileno(), 1)],
        )
        _, status, usage = os.wait4(process, 0)
        seconds = time.monotonic() - began
        if os.waitstatus_to_exitcode(status) != 0:
            raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
        printed.seek(0)
        printed_text = printed.read(100).strip()
    with suppress(ValueError):
        seconds = float(printed_text)
    return Used(seconds, usage.ru_maxrss * _MAXRSS_BYTES / 2**20)


def measure_all(command: Sequence[str], folder: Path, status: int = 0) -> Used:
    """Run a process with children; measure all of them, and a folder meanwhile.

    The peak is of the sum over the processes; shared memory counts several times.
    """
    began, peak, disk = time.monotonic(), 0, 0
    with Path(os.devnull).open("wb") as nowhere:
        file_actions = [(os.POSIX_SPAWN_DUP2, nowhere.fileno(), 1)]
        pid = os.posix_spawn(command[0], list(command), os.environ, file_actions=file_actions)
    while (ended := os.wait4(pid, os.WNOHANG))[0] == 0:
        peak, disk = max(peak, _resident(pid)), max(disk, _on_disk(folder))
        time.sleep(_LOOK_EVERY_S)
    seconds = time.monotonic() - began
    _, found, usage = ended
    if os.waitstatus_to_exitcode(found) != status:
        raise SystemExit(f"{command} ended with {os.waitstatus_to_exitcode(found)}")
    peak = max(peak, usage.ru_maxrss * _MAXRSS_BYTES)
    return Used(seconds, peak / 2**20, disk / 2**20, usage.ru_utime + usage.ru_stime)


def _resident(pid: int) -> int:
    """Return the bytes of memory of a process and of its children."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        texts = [path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:  # it has ended
        return 0
    below = (int(child) for text in texts for child in text.split())
    return pages * os.sysconf("SC_PAGE_SIZE") + sum(map(_resident, below))


def _on_disk(folder: Path) -> int:
    """Return the bytes of the files in a folder."""
    found = 0
    with suppress(OSError):  # one is gone
        for path in folder.rglob("*"):
            found += path.lstat().st_blocks * 512
    return found


def compare(
    what: str,
    command: Sequence[str],
    reference: Sequence[str],
    bounds: tuple[float, float],
    rounds: int = 5,
) -> Line:
    """Run a command and its reference in turns; ``bounds`` are the ratio's and the peak's."""
    pairs = [(measure(command), measure(reference)) for _ in range(rounds)]
    ratio = statistics.median(ours.seconds / theirs.seconds for ours, theirs in pairs)
    return line(what, pairs, ratio, bounds)


def within(
    what: str, command: Sequence[str], allowed_s: float, most_mb: float = 200, rounds: int = 5
) -> Line:
    """Check the seconds and the memory of a command."""
    pairs = [(measure(command), Used(allowed_s, 0.0)) for _ in range(rounds)]
    ratio = statistics.median(ours.seconds for ours, _ in pairs) / allowed_s
    return line(what, pairs, ratio, (1.0, most_mb))


def line(
    what: str, pairs: Sequence[tuple[Used, Used]], ratio: float, bounds: tuple[float | None, float]
) -> Line:
    """Build a line from pairs of measurements."""
    most, most_mb = bounds
    return Line(
        what=what,
        seconds=statistics.median(ours.seconds for ours, _ in pairs),
        reference_seconds=statistics.median(theirs.seconds for _, theirs in pairs),
        ratio=ratio,
        most=most,
        peak_mb=max(ours.peak_mb for ours, _ in pairs),
        most_mb=most_mb,
    )


@contextmanager
def served(command: Sequence[str]) -> Iterator[str]:
    """Run a server until the block ends; yield the URL in its first line."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as far_end:
        assert far_end.stdout is not None
        try:
            yield far_end.stdout.readline().strip()
        finally:
            far_end.terminate()
