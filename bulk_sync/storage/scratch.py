"""Private folders of processes in the state folder: removed in the end, or by a later process.

A process holds a lock on its folder. What a killed one left has none, and is removed by the next.
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Final

from bulk_sync.errors import unwritable
from bulk_sync.storage import atomic

CHECKS: Final = "checks"
DOWNLOADS: Final = "downloads"

_FRESH: Final = ".new-"


@contextmanager
def folder(state_dir: Path, kind: str) -> Iterator[Path]:
    """Make an empty folder for this process, and remove it when the block ends.

    Args:
        state_dir: the state folder.
        kind: CHECKS or DOWNLOADS, the folder above it.

    Raises:
        UsageProblem: it cannot be made.
        DiskFull: there is no room for it.
    """
    above = state_dir / kind
    try:
        atomic.make_folder(above)
        fresh = Path(mkdtemp(prefix=_FRESH, dir=above))
        descriptor = os.open(fresh, os.O_RDONLY)
        with suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path = fresh.rename(above / fresh.name.removeprefix(_FRESH))  # locked: it may be seen now
    except OSError as error:
        raise unwritable(
            error,
            f"{above}: {error.strerror}. Nothing was sent. Make room, or name a folder that can be "
            "written with --state-dir.",
        ) from error
    try:
        _remove_dead(above)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def _remove_dead(above: Path) -> None:
    """Remove the folders of a kind, but those with a lock."""
    with suppress(OSError):
        for path in above.iterdir():
            if not path.name.startswith(_FRESH):
                _remove_if_dead(path)


def _remove_if_dead(path: Path) -> None:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        finally:
            os.close(descriptor)
