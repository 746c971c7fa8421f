"""The page on a real port, with accounts, for browsers and for plain HTTP."""

import asyncio
import fcntl
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from select import select

import copies
import pytest
import requests
from aiohttp import web
from argon2 import PasswordHasher
from sqlalchemy import Engine, event, insert
from visitors import Visitor

from bulk_sync.settings import State, folded
from bulk_sync.web import jobs
from bulk_sync.web.app import make
from bulk_sync.web.database import Database, open_database, users
from bulk_sync.web.identity import Role
from bulk_sync.web.jobs import Jobs, PageJob
from bulk_sync.web.page import PAGE, Page
from bulk_sync.web.settings import PageSettings

PASSWORD = "correct horse battery"
NAMES = {
    Role.VIEWER: "Vera Lang",
    Role.UPLOADER: "Ana Diaz",
    Role.APPROVER: "Ben Miller",
    Role.ADMIN: "Ida Berg",
}

_DYING_S = 10
"""At most: later the id may belong to another process."""

_ROLES = {name: role for role, name in NAMES.items()}


@dataclass
class Served:
    """A running page, and the state shared by its screens."""

    url: str
    page: Page
    app: web.Application
    sessions: list[requests.Session] = field(default_factory=list)

    def visitor(self) -> requests.Session:
        """Return a session without a sign-in; it sends the headers of a browser."""
        session = Visitor()
        self.sessions.append(session)
        return session

    def signed_in(self, role: Role) -> requests.Session:
        """Return a session signed in as the person with a role."""
        session = self.visitor()
        answer = sign_in(session, self.url, NAMES[role])
        assert answer.status_code == 303, answer.text
        return session


def sign_in(
    session: requests.Session, url: str, name: str, password: str = PASSWORD
) -> requests.Response:
    """Send the form of the sign-in."""
    fields = {"name": name, "password": password, "next": ""}
    return session.post(f"{url}/sign-in", data=fields, allow_redirects=False)


def add_people(database: Database) -> None:
    """Add an account for each role; all have one password with a fast hash."""
    for name in NAMES.values():
        row = {"folded": folded(name), "name": name, "role": str(_ROLES[name]), "added_ms": 0}
        database.change(insert(users).values(**row, password=_hashed()))


@cache
def _hashed() -> str:
    # A hash contains its own cost: those of the program take 0.15 s at each sign-in.
    return PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)


@contextmanager
def copying() -> Iterator[None]:
    """Start the page's processes as copies of a process with the program loaded."""
    with pytest.MonkeyPatch.context() as patch:
        if sys.platform == "linux":
            own = copies.in_copies(subprocess, Popen=copies.Instead)
            patch.setattr(jobs, "subprocess", own)
            awaited = copies.in_copies(asyncio, create_subprocess_exec=copies.start_awaited)
            patch.setattr(jobs, "asyncio", awaited)
        yield


@contextmanager
def serving(settings: PageSettings, *, people: bool = True) -> Iterator[Served]:
    """Serve the page from a thread, on a free port; its processes end with it."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def begin() -> tuple[web.AppRunner, int, web.Application]:
        app = make(settings)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner, runner.addresses[0][1], app

    async def end(runner: web.AppRunner, app: web.Application) -> None:
        pool = app[PAGE].database._engine.pool
        await runner.cleanup()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        for task in left:  # as asyncio.run does
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
        await loop.shutdown_default_executor()
        pool.dispose()  # of connections that slow work has given back since the page closed

    def look(*_: object) -> None:
        assert threading.current_thread() is not thread, "all other requests wait for this query"

    runner, port, app = asyncio.run_coroutine_threadsafe(begin(), loop).result(60)
    served = Served(f"http://127.0.0.1:{port}", app[PAGE], app)
    event.listen(Engine, "before_cursor_execute", look)
    try:
        if people:
            add_people(served.page.database)
        with copying():
            yield served
    finally:
        event.remove(Engine, "before_cursor_execute", look)
        for session in served.sessions:
            session.close()
        try:
            asyncio.run_coroutine_threadsafe(end(runner, app), loop).result(60)
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
        finally:
            for pid, job in at_work(settings).items():
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                wait_for(job)


def at_work(settings: PageSettings) -> dict[int, PageJob]:
    """Return the processes at work that a page has started; they outlive it."""
    with closing(open_database(settings.state)) as database:
        last = Jobs(database, settings).last()
    found = {}
    for job in last:
        with suppress(ProcessLookupError):  # it is not known, or has ended meanwhile
            if job.is_alive:
                found[job.pid] = job
    return found


def wait_for(job: PageJob) -> None:
    """Wait for the end of a process of the page: it holds a lock for as long as it lives.

    The system releases the locks of a killed process one after the other, before its end.
    """
    with suppress(FileNotFoundError), (job.folder / "alive").open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
    with suppress(ProcessLookupError), open(os.pidfd_open(job.pid), "rb") as process:  # noqa: PTH123
        select([process], [], [], _DYING_S)


def settings_in(folder: Path, **given: object) -> PageSettings:
    """Return settings with a state folder, as ``serve`` makes them."""
    state = State(folder / "state")
    given.setdefault("variables", {"BULK_SYNC_STATE_DIR": str(state.folder)})
    return PageSettings(state, **given)  # type: ignore[arg-type]
