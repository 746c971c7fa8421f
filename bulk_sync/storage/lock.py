"""One run at a time on one organization: an OS lock that ends with its process.

The file stays behind and names the last holder. Only the lock counts: a crash leaves nothing to
clean up.
"""

import fcntl
import getpass
import hashlib
import logging
import os
import re
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bulk_sync.errors import AnotherRun, StopRun, UsageProblem, unwritable
from bulk_sync.settings import Place
from bulk_sync.storage import atomic

log = logging.getLogger(__name__)

_POLL_S: Final = 0.2
_FOLDER: Final = "locks"

_RUN: Final = re.compile(r"run (\S+) of (.+), since (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00)")
"""What ``holder`` returns for the task ``run RUN_ID``."""


@dataclass(frozen=True, slots=True)
class RunProcess:
    """A process at work on a run.

    Attributes:
        process: who started it, where, and its number.
        since_ms: since when, UTC; None if unknown.
    """

    process: str
    since_ms: int | None = None

    def __str__(self) -> str:
        if self.since_ms is None:
            return self.process
        since = datetime.fromtimestamp(self.since_ms / 1000, UTC)
        return f"{self.process}, since {since.isoformat(timespec='seconds')}"


class NoLocks(UsageProblem):
    """The file system of the state folder cannot lock files, as on some network shares."""


@contextmanager
def hold(folder: Path, lock: str, holder: str, wait_s: float = 0.0) -> Iterator[None]:
    """Hold a lock, named by ``name``, until the block ends; others can read who the holder is.

    Raises:
        AnotherRun: another process holds it; the message names it.
        UsageProblem: the state folder cannot be written.
        DiskFull: it has no room.
        NoLocks: no file in it can be locked.
    """
    path = folder / _FOLDER / f"{lock}.lock"
    try:
        atomic.make_folder(path.parent)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise _unwritable(folder, error) from error
    try:
        # Once more at least: ``find_holders`` holds each lock for a moment.
        give_up, is_announced = time.monotonic() + max(wait_s, _POLL_S / 2), False
        while not _try_acquire(descriptor, folder):
            if time.monotonic() >= give_up:
                raise AnotherRun(_holder(descriptor))
            if wait_s and not is_announced:
                log.info("Waiting up to %.0f s for %s", wait_s, _holder(descriptor))
                is_announced = True
            time.sleep(_POLL_S)
        try:
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{holder}\n".encode("utf-8", "replace"))
        except OSError as error:
            raise _unwritable(folder, error) from error
        yield
    finally:
        os.close(descriptor)


def find_holders(folder: Path) -> list[str]:
    """Return the holders of locks in a folder now."""
    found = []
    for path in _locks(folder):
        with suppress(OSError), path.open("rb") as file:  # without locks nobody holds one
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(_holder(file.fileno()))
    return found


def name(where: Place) -> str:
    """Return the name of the lock of an organization and endpoint, in whatever spelling."""
    whose = f"{place(where.endpoint)}\n{where.organization}"
    return f"{where.organization}-{hashlib.sha256(whose.encode()).hexdigest()[:12]}"


def names(folder: Path) -> set[str]:
    """Return the names of all locks that were ever taken in a state folder."""
    return {path.stem for path in _locks(folder)}


def holder(task: str) -> str:
    """Describe this process: its task, such as a run, who started it, since when."""
    since = datetime.now(UTC).isoformat(timespec="seconds")
    return f"{task} of {operator()}, process {os.getpid()}, since {since}"


def runs_of(holders: Iterable[str]) -> dict[str, RunProcess]:
    """Return the runs of holders, each with its process."""
    found = [match.groups() for each in holders if (match := _RUN.fullmatch(each))]
    return {
        run_id: RunProcess(process, round(datetime.fromisoformat(since).timestamp() * 1000))
        for run_id, process, since in found
    }


def user() -> str:
    """Return the user of the system; in a container it may have a number only."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"user {os.getuid()}"


def operator() -> str:
    """Return the user and the machine."""
    return f"{user()} on {socket.gethostname()}"


def place(endpoint: str) -> str:
    """Return an endpoint in one spelling for all."""
    parts = urlsplit(endpoint)
    host = (parts.hostname or "").rstrip(".")
    port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    return f"{'127.0.0.1' if host == 'localhost' else host}:{port}{parts.path}"


def _locks(folder: Path) -> list[Path]:
    """Return the files of the locks in a folder; none if another user keeps them."""
    with suppress(PermissionError):
        return list((folder / _FOLDER).glob("*.lock"))
    return []


def _holder(descriptor: int) -> str:
    return os.pread(descriptor, 1024, 0).decode("utf-8", "replace").strip()


def _unwritable(folder: Path, error: OSError) -> StopRun:
    return unwritable(
        error,
        f"{folder}: {error.strerror}. Nothing was sent. Make room there, or name a folder that can "
        "be written with --state-dir.",
    )


def _try_acquire(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        raise NoLocks(
            f"{folder}: files cannot be locked there ({error.strerror}), as on some network "
            "shares, so two runs could work at the same time. Nothing was sent. Name a folder on "
            "a local disk with --state-dir, or a ledger on PostgreSQL with --ledger, whose lock "
            "is used then."
        ) from error
    return True
