"""Files that appear whole or not at all, for nobody but their owner to read."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a new file that takes its place at ``path`` when the block ends well.

    Until then, and if the block raises, whatever stands at ``path`` stays as it was. A link is
    replaced, not followed.

    Args:
        path: where the file is to appear.

    Raises:
        OSError: the file cannot be made, filled or put in its place.
    """
    # Not named after the report: a name of the greatest length has no room for more.
    temporary = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(temporary, "xb", opener=_private) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    # The file is in place; that Windows and some network shares sync no folder is no failure.
    with suppress(OSError):
        _sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for nobody but their owner.

    A power cut afterwards does not take it away again, nor the files that are synced in it.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        parent = folder.absolute().parent
        make_folder(parent)
        folder.mkdir(mode=0o700, exist_ok=True)
        with suppress(OSError):  # as in ``replacing``
            _sync_folder(parent)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
