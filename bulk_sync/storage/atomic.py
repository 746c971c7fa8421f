"""Files that appear whole or not at all, readable by their owner only unless asked otherwise."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedRandom
from pathlib import Path
from stat import S_ISREG
from typing import Final

TEMPORARY: Final = r"\.[0-9a-f]{16}\.tmp"
"""The pattern of a name before its file is whole; a killed process leaves such a file behind."""


@contextmanager
def replacing(path: Path, mode: int = 0o600) -> Iterator[BufferedRandom]:
    """Open a new file to write and read, and move it to ``path`` when the block ends well.

    If the block raises, the old file stays. A link is replaced, not followed. The mode does not
    depend on the umask.

    Raises:
        OSError: the file cannot be made, filled or moved, or ``path`` is a device, such as
            ``/dev/null``, which root could replace.
    """
    with suppress(FileNotFoundError):
        if not S_ISREG(path.stat().st_mode):
            raise FileExistsError(errno.EEXIST, "what has this name is no file", str(path))
    # Not named after the report: a name of the greatest length has no room for more.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "x+b", opener=private) as file:
            yield file
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder and the missing ones above it, with mode 0700, to survive a power cut.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        parent = folder.absolute().parent
        make_folder(parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        _sync_folder(parent)


def make_private(path: Path) -> None:
    """Make an empty file with mode 0600, unless there is one.

    A file that is there is not opened: closing it again would release the locks that SQLite has on
    it in this process.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileExistsError):
        os.close(private(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC))


def private(path: str | Path, flags: int) -> int:
    """Open a file with mode 0600, for ``open`` as its opener."""
    return os.open(path, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    """Make a new name in a folder durable, unless its file system cannot, as some shares."""
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
