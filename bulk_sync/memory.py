"""How much memory an input may take, of the machine or its container; whether rows fit into it."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath
from typing import Final

from bulk_sync.errors import StoppedEarly

_ROW_BYTES: Final = 500
"""Of a row of a run in memory, with its key, state and results."""

_LEAST_BYTES: Final = 500_000_000
_ENOUGH_BYTES: Final = 2_000_000_000
"""Rows in slices are not done sooner with more: a run of 10,000,000 took 66 s of computing time
with 2 GB, and 69 s with 6 GB (``python tests/bench huge``, with ``--memory``)."""

_LIMITS: Final = {
    "": ("sys/fs/cgroup", "memory.max"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes"),
}
"""Where control groups have their limit: those of version 2, and of version 1.

The keys are the names of their hierarchies in /proc/self/cgroup.
"""


def default_bytes(root: Path = Path("/")) -> int:
    """Return a quarter of the machine or container, but at least 500 MB.

    Args:
        root: of the file system that shows the control groups; macOS has none.
    """
    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    for file in _limit_files(root):
        with suppress(OSError, ValueError):  # there is no such group here, or it says "max"
            most = min(most, int(file.read_text("utf-8")))
    return max(_LEAST_BYTES, most // 4)


def sliced_bytes(given: int | None) -> int:
    """Return how much memory rows in slices may take: what is given, or what helps them."""
    return given or min(default_bytes(), _ENOUGH_BYTES)


def fits(rows: int, memory: int) -> bool:
    """Return whether so many rows of a plan, or with work to do, fit into memory."""
    return rows * _ROW_BYTES <= memory


def check_fits(rows: int, given: int | None, why: str, instead: str = "") -> None:
    """Raise StoppedEarly if so many rows do not fit into the bytes given, or those by default.

    ``why`` is a sentence about the rows; ``instead`` names what else a person can do.
    """
    if not fits(rows, given or default_bytes()):
        size = -(-rows * _ROW_BYTES // 10**9)
        raise StoppedEarly(
            f"{rows:,} rows {why}: that is more work than fits into memory at once. Go on with "
            f"--memory {size}GB{instead}."
        )


def _limit_files(root: Path) -> Iterator[Path]:
    """Yield the files for the limits of this process's control group, and of all groups above it.

    A container may be shown the path that its group has on the host, although it sees its own group
    at the top: then only the top is there.
    """
    with suppress(OSError), (root / "proc/self/cgroup").open(encoding="utf-8") as lines:
        for line in lines:
            _, hierarchies, path = line.rstrip("\n").split(":", 2)
            group = PurePosixPath(path.lstrip("/"))
            for name in _LIMITS.keys() & hierarchies.split(","):
                folder, file = _LIMITS[name]
                yield from (root / folder / each / file for each in (group, *group.parents))
