"""Processes of the command line that the page starts, watches and stops.

    STATE_DIR/page/jobs/ID/summary.json   its standard output: the summary, once it has ended
                          /log.jsonl      its standard error: one event a line
                          /alive          its number; locked by it for as long as it lives
                          /stopped      made when a person last pressed Stop

A process belongs to a session of its own and writes into files, so it outlives the page. A page
that starts again reads the same files. The lock, unlike the number of a process, is never another
one's: the system releases it however the process ends.
"""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import orjson
from sqlalchemy import Select, insert, select

from bulk_sync.errors import UsageProblem
from bulk_sync.storage import atomic
from bulk_sync.web.database import Database, jobs, now_ms
from bulk_sync.web.paperwork import new_id
from bulk_sync.web.progress import Progress
from bulk_sync.web.settings import PageSettings

_LOOKS_EVERY_S: Final = (0.1, 1.0)
"""How often the files of a process are read while somebody waits for it: at first, and later."""

_ANSWERS_AT_ONCE: Final = 2
"""A report of a million rows takes a core for a minute, and so does the proof of a ledger."""
_ANSWER_S: Final = 3 * 3600.0
"""At most, so that a command that hangs does not keep its place."""
_WAIT: Final[Mapping[str, str]] = {"BULK_SYNC_LOCK_WAIT": "1m"}
"""Two people may press a button at the same moment: the second process waits for the first."""
_OWN: Final = ("BULK_SYNC_SUMMARY", "BULK_SYNC_REPORT")
"""Variables that would change what the page reads, or where files go."""
_READ: Final[Mapping[str, str]] = {
    "BULK_SYNC_LOG_FORMAT": "text",
    "BULK_SYNC_PROGRESS_EVERY": "2s",
    "BULK_SYNC_QUIET": "false",
    "BULK_SYNC_PAGE": "true",
}
"""What the page needs to read events and messages, and to keep its files together, whatever the
configuration says."""

_SUMMARY: Final = "summary.json"
_LOG: Final = "log.jsonl"
_ALIVE: Final = "alive"
_STOPPED: Final = "stopped"
_STOPS_AGAIN_S: Final = 10.0


class PageJob(NamedTuple):
    """A process that the page has started.

    Attributes:
        id: names its folder.
        command: of the command line, such as ``plan``.
        about: the id of the upload, plan or run.
        who: started it.
    """

    id: str
    command: str
    about: str
    who: str
    at_ms: int
    folder: Path

    @property
    def pid(self) -> int:
        """Return the number of the process.

        Raises:
            ProcessLookupError: the page was killed before it knew it.
        """
        try:
            return int((self.folder / _ALIVE).read_bytes())
        except (OSError, ValueError) as error:
            raise ProcessLookupError(f"{self.folder} names no process") from error

    @property
    def is_alive(self) -> bool:
        """Return whether the process is at work."""
        try:
            descriptor = os.open(self.folder / _ALIVE, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def progress(self) -> Progress:
        """Read how far it is, or how it ended."""
        # In this order: a process that ends in between has written all it will.
        is_alive = self.is_alive
        return Progress.read(self.folder / _LOG, self.folder / _SUMMARY, is_alive=is_alive)

    def stop(self) -> bool:
        """Ask the process to end as Ctrl-C does; return False if it has ended already.

        A second Ctrl-C cancels what is in flight. A double click is no such wish.
        """
        if not self.is_alive:
            return False
        if self._is_stopping():
            return True
        try:
            os.kill(self.pid, signal.SIGINT)
        except ProcessLookupError:
            return False
        return True

    def _is_stopping(self) -> bool:
        """Return whether the process was asked to end just now; else note that it is."""
        path = self.folder / _STOPPED
        try:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        except FileExistsError:
            if abs(time.time() - path.stat().st_mtime) < _STOPS_AGAIN_S:
                return True
            with suppress(OSError):
                os.utime(path)
        except OSError:  # a full disk
            return False
        return False


class Jobs:
    """All processes that the page has ever started; every method but ``follow`` blocks."""

    def __init__(self, database: Database, settings: PageSettings) -> None:
        self._database, self._settings = database, settings
        self._folder = settings.folder / "jobs"
        self._answering = asyncio.Semaphore(_ANSWERS_AT_ONCE)

    def start(
        self,
        command: str,
        words: Sequence[str],
        *,
        about: str,
        who: str,
        variables: Mapping[str, str] = MappingProxyType({}),
        job_id: str | None = None,
    ) -> PageJob:
        """Start a command of the command line.

        Args:
            command: such as ``plan``; it takes ``--summary json --log-format json``.
            words: its other words. A secret goes into a variable, never here: other users of the
                machine can read them. So can they read a person's key.
            about: the id of the upload, plan or run.
            who: the person who starts it, by their sign-in.
            variables: options that others must not read, such as what a person wrote.
            job_id: an id that was kept before, so that the process starts once; else a new one.

        Raises:
            UsageProblem: it cannot be started.
        """
        job_id = job_id or new_id()
        folder = self.folder_of(job_id)
        typed = [sys.executable, "-m", "bulk_sync", command, *words]
        typed += ["--summary", "json", "--log-format", "json"]
        job = PageJob(job_id, command, about, who, now_ms(), folder)
        row = {column.name: getattr(job, column.name) for column in jobs.c}
        # First: a process that no one knows could not be watched, and might be started again.
        self._database.change(insert(jobs).values(**row))
        try:
            atomic.make_folder(folder)
            self._start(typed, folder, variables)
        except OSError as error:
            raise UsageProblem(
                f"`bulk-sync {command}` could not be started in {folder}: {error.strerror}. "
                "Nothing was done. Make room there, and try again."
            ) from error
        return job

    def folder_of(self, job_id: str) -> Path:
        """Return the folder of the files of a process."""
        return self._folder / job_id

    def find(self, job_id: str | None) -> PageJob | None:
        """Return a process by its id; None if there is none."""
        return next(iter(self._read(select(jobs).where(jobs.c.id == job_id))), None)

    def list_about(self, about: str, *commands: str) -> list[PageJob]:
        """Return the processes about one thing, the newest first; of some commands, or of all."""
        query = select(jobs).where(jobs.c.about == about)
        return self._read(query.where(jobs.c.command.in_(commands)) if commands else query)

    def last(self, most: int = 50) -> list[PageJob]:
        """Return the last processes, the newest first."""
        return self._read(select(jobs).limit(most))

    async def follow(self, job: PageJob) -> AsyncIterator[Progress]:
        """Yield the progress of a process whenever it changed, until it has ended."""
        before: Progress | None = None
        pause_s, longest_s = _LOOKS_EVERY_S
        while True:
            now = await asyncio.to_thread(job.progress)
            if now != before:
                yield now
            if not now.is_alive:
                return
            before = now
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.2, longest_s)

    async def run_id_of(self, job: PageJob, within_s: float = 10.0) -> str | None:
        """Return the id of the run that a process begins; None if it begins none, or not soon."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                async for progress in self.follow(job):
                    if progress.run_id is not None:
                        return progress.run_id
        return None

    async def answer(self, *words: str) -> object:
        """Return what a short command prints as JSON; or, as a text, why it failed."""
        async with self._answering:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "bulk_sync", *words),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            try:
                out, log = await asyncio.wait_for(process.communicate(), _ANSWER_S)
            except TimeoutError:
                with suppress(ProcessLookupError):
                    process.kill()
                await process.communicate()
                return f"It took longer than {_ANSWER_S / 3600:g} hours, so it was ended."
        try:
            return orjson.loads(out)
        except orjson.JSONDecodeError:
            lines = log.decode("utf-8", "replace").strip().splitlines()
            return (lines or ["It ended without a word."])[-1].removeprefix("bulk-sync: ")

    def _start(self, typed: Sequence[str], folder: Path, variables: Mapping[str, str]) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
        opened = [os.open(folder / name, flags, 0o600) for name in (_SUMMARY, _LOG, _ALIVE)]
        out, log, alive = opened
        try:
            fcntl.flock(alive, fcntl.LOCK_EX)
            child = subprocess.Popen(  # noqa: S603 - our own program, its words one by one
                typed,
                env={**self._environment(), **variables},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                start_new_session=True,
                pass_fds=[alive],
            )
            with suppress(OSError):  # a full disk: it is at work all the same
                os.write(alive, b"%d" % child.pid)
        finally:
            for descriptor in opened:
                os.close(descriptor)
        threading.Thread(target=child.wait, daemon=True).start()  # else it stays as a zombie

    def _environment(self) -> Mapping[str, str]:
        """Return the variables of a process: those of the page, secrets included, and its place."""
        kept = {name: value for name, value in os.environ.items() if name not in _OWN}
        return {**_WAIT, **kept, **_READ, **self._settings.variables}

    def _read(self, query: Select[Any]) -> list[PageJob]:
        rows = self._database.rows(query.order_by(jobs.c.id.desc()))
        return [PageJob._make([*row, self.folder_of(row.id)]) for row in rows]
