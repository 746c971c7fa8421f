"""One run at a time on one organization: an OS lock that dies with its process.

The file stays behind and says who held the lock last; only the lock itself counts, so a crash
leaves nothing to clean up.
"""

import fcntl
import getpass
import hashlib
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from bulk_sync.errors import AnotherRun, UsageProblem
from bulk_sync.settings import Connection


@contextmanager
def held(state_dir: Path, connection: Connection, run_id: str) -> Iterator[None]:
    """Hold the lock of an organization and endpoint for as long as the block lasts.

    Raises:
        AnotherRun: another process holds it; the message says who, since when.
        UsageProblem: the state folder cannot be written.
    """
    whose = f"{_place(connection.endpoint)}\n{connection.organization}"
    name = f"{connection.organization}-{hashlib.sha256(whose.encode()).hexdigest()[:12]}.lock"
    path = state_dir / "locks" / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise UsageProblem(
            f"--state-dir {state_dir}: {error.strerror}. Name a folder that can be written."
        ) from error
    with os.fdopen(descriptor, "r+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnotherRun(
                f"Another run is at work on organization {connection.organization!r}: "
                f"{file.read().strip() or 'it has not said who it is'}. Wait for it to end."
            ) from None
        since = datetime.now(UTC).isoformat(timespec="seconds")
        file.truncate()
        who = f"{_user()} on {socket.gethostname()}, process {os.getpid()}"
        file.write(f"run {run_id} of {who}, since {since}\n")
        file.flush()
        yield


def _user() -> str:
    """Name the user; in a container it may have a number alone."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def _place(endpoint: str) -> str:
    """Write an endpoint in the one way that stands for all its spellings."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{'127.0.0.1' if host == 'localhost' else host}:{port}{parts.path}"
