"""Looks into the state folder: what cannot be read there is an error, and not missing."""

import os
from pathlib import Path

from bulk_sync.errors import UsageProblem


class Unreadable(UsageProblem):
    """A folder of the state folder cannot be read, such as one of another user."""


def listed(folder: Path) -> list[Path]:
    """Return what is in a folder, sorted; nothing if there is none. Raise Unreadable."""
    try:
        return sorted(folder.iterdir())
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(folder, error) from error


def _unreadable(folder: Path, error: OSError) -> Unreadable:
    """Return the error about a folder, or the one above it that hides it."""
    shown = next(each for each in (folder, *folder.parents) if os.path.lexists(each))
    return Unreadable(
        f"{shown} cannot be read: {error.strerror}. See that it is a folder that you may read and "
        "write to, or start the program as the user whose runs are kept there."
    )
