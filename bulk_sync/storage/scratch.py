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

    ``kind`` is CHECKS or DOWNLOADS, the folder above it.

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
        for each in _dead(above):
            shutil.rmtree(each, ignore_errors=True)
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
        os.close(descriptor)


def abandoned(state_dir: Path) -> Iterator[Path]:
    """Yield the folders of dead processes."""
    for kind in (CHECKS, DOWNLOADS):
        yield from _dead(state_dir / kind)


def _dead(above: Path) -> Iterator[Path]:
    """Yield the folders of a kind without a lock, but none that is about to be locked."""
    with suppress(OSError):
        for path in sorted(above.iterdir()):
            is_fresh = path.name.startswith(_FRESH)
            if not is_fresh and path.is_dir() and not path.is_symlink() and not _is_locked(path):
                yield path


def _is_locked(path: Path) -> bool:
    """Return whether a process holds a lock on a folder, or may: the file system has no locks."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(descriptor)
    except OSError:
        return True
    return False
