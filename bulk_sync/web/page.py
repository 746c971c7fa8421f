"""What all screens share, from the settings to the ledger: ``page_of(request)`` returns it."""

import asyncio
import logging
import re
from collections.abc import Callable, Collection, Coroutine, Mapping
from functools import partial
from pathlib import PurePath
from types import MappingProxyType
from typing import Any, Final, NoReturn, ParamSpec, TypeVar
from urllib.parse import quote
from weakref import WeakValueDictionary

from aiohttp import hdrs, web

from bulk_sync.errors import StopRun
from bulk_sync.ledger import Act, Deed
from bulk_sync.settings import folded
from bulk_sync.storage import lock
from bulk_sync.web import rendering, reverse_proxy
from bulk_sync.web.accounts import Accounts
from bulk_sync.web.attempts import Attempts
from bulk_sync.web.database import open_database
from bulk_sync.web.identity import RIGHTS, Person, Right
from bulk_sync.web.jobs import Jobs, PageJob
from bulk_sync.web.ledger_view import LedgerView
from bulk_sync.web.paperwork import Paperwork
from bulk_sync.web.sessions import LONGEST_S, Sessions
from bulk_sync.web.settings import PageSettings

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

_HASHES_AT_ONCE: Final = 2
"""A hash takes 64 MB and a core."""

_SEARCHES_AT_ONCE: Final = 2
"""A search takes a second for each million kept rows; other requests need threads too."""

SAFE: Final = frozenset({hdrs.METH_GET, hdrs.METH_HEAD})
"""Methods that change nothing."""

_SCREEN: Final = re.compile(r"/(?:uploads|plans|runs)/[^/]+|/people$|/ledger$")
"""What is shown before a button of it is pressed."""


class Page:
    """What every screen uses.

    Attributes:
        accounts, sessions, attempts: who may sign in, and who is.
        paperwork: uploads, plans, approvals.
        jobs: processes of the command line.
        ledger: runs, and what people did.
    """

    def __init__(self, settings: PageSettings) -> None:
        self.settings = settings
        self.database = database = open_database(settings.state)
        self.accounts = Accounts(database)
        is_alone = settings.is_local and not settings.proxy.user_header
        allows_token = is_alone and not self.accounts.are_there()
        self.sessions = Sessions(database, self.accounts, allows_token=allows_token)
        self.attempts = Attempts(database)
        self.paperwork = Paperwork(database, settings.approval_valid_s)
        self.jobs = Jobs(database, settings)
        self.ledger = LedgerView(settings.state)
        self.hashing = asyncio.Semaphore(_HASHES_AT_ONCE)
        self.searching = asyncio.Semaphore(_SEARCHES_AT_ONCE)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._turns = WeakValueDictionary[str, asyncio.Lock]()

    @staticmethod
    async def blocking(function: Callable[P, T], *args: P.args, **words: P.kwargs) -> T:
        """Call a function that blocks, in a thread, and return its result."""
        return await asyncio.to_thread(partial(function, *args, **words))

    def turn(self, about: str) -> asyncio.Lock:
        """Return the lock to hold while something is decided about an upload, plan or run."""
        return self._turns.setdefault(about, asyncio.Lock())

    def person_of(self, request: web.Request) -> Person | None:
        """Find out who makes a request; None if no one is signed in. Blocks."""
        proxied = reverse_proxy.person_of(request, self.settings.proxy, self.accounts)
        if proxied is not None:
            return proxied
        session_id = request.cookies.get(self.cookie(request))
        return None if not session_id else self.sessions.find(session_id)

    def who_may(self, right: Right) -> Collection[str] | None:
        """Return who has a right now, by folded names; None if a proxy names the roles. Blocks.

        Those roles are only known while the person makes a request.
        """
        if self.settings.proxy.role_header:
            return None
        accounts = self.accounts.list()
        if self.sessions.token is not None and not accounts:
            return {folded(lock.user())}
        return {folded(each.name) for each in accounts if right in RIGHTS[each.role]}

    def address_of(self, request: web.Request) -> str:
        """Return the address of the browser."""
        return reverse_proxy.address_of(request, self.settings.proxy)

    def show(
        self, request: web.Request, template: str, *, status: int = 200, **values: Any
    ) -> web.Response:
        """Return a screen: a template of ``templates/``, with the values that it needs."""
        shared = {"person": request.get(PERSON), "note": request.query.get("note", "")}
        text = rendering.render(template, {**shared, **values})
        return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")

    def go(self, path: str, note: str = "") -> NoReturn:
        """Show another path after a POST, with one of the ``NOTES`` of ``rendering.py``."""
        raise web.HTTPSeeOther(path + (f"?note={quote(note)}" if note else ""))

    async def stop(self, person: Person, job: PageJob | None, about: str, path: str) -> NoReturn:
        """Ask a process to end, record who asked, and show a path.

        Recorded afterwards: a stop waits for nothing.
        """
        is_asked = job is not None and await self.blocking(job.stop)
        if is_asked:
            await self.record(person, Deed.STOPPED, about)
        self.go(path, "stopping" if is_asked else "has-ended")

    async def go_to_run(self, job: PageJob | None, otherwise: str) -> NoReturn:
        """Show the run of a process; another path, if it begins none soon."""
        run_id = None if job is None else await self.jobs.run_id_of(job)
        run = None if run_id is None else await self.blocking(self.ledger.run, run_id)
        self.go(otherwise if run is None else f"/runs/{run_id}")

    def problem(
        self,
        request: web.Request,
        status: int,
        text: str,
        headers: Mapping[str, str] = MappingProxyType({}),
        typed: str = "",
    ) -> web.Response:
        """Return a page with what went wrong, and what to do; ``typed`` is not to be lost."""
        way_back = {"above": screen_of(request), "sign_in": sign_in_path(request)}
        shown = {"code": status, "text": text, "typed": typed, **way_back}
        response = self.show(request, "problem.html.j2", status=status, **shown)
        for name in ("Allow", "Retry-After"):
            if name in headers:
                response.headers[name] = headers[name]
        return response

    async def record(self, person: Person, deed: Deed, about: str = "", **facts: Any) -> None:
        """Record in the ledger what a person did, before anything follows from it.

        ``about`` is the id of the upload, plan or run; ``facts`` may have ``comment`` and ``key``.
        """
        comment, key = str(facts.pop("comment", "")), facts.pop("key", None)
        act = Act(deed, person.name, about, comment, facts, key)
        await self.blocking(self.ledger.record, act)

    def sign_in(self, request: web.Request, session_id: str, path: str) -> web.HTTPException:
        """Return the way to a path, with the cookie of a new session."""
        response = web.HTTPSeeOther(path)
        response.set_cookie(
            self.cookie(request),
            session_id,
            max_age=LONGEST_S,
            httponly=True,
            samesite="Lax",
            secure=self.settings.is_secure,
            path="/",
        )
        return response

    def cookie(self, request: web.Request) -> str:
        """Return the name of the cookie; browsers do not keep those of two ports apart."""
        if self.settings.is_secure:
            return "__Host-bulk-sync"
        port = request.url.port or self.settings.port
        return f"bulk-sync-{port}"

    async def finish(self, work: Coroutine[Any, Any, T], within_s: float) -> T | None:
        """Wait a while for the result of some work.

        Returns:
            None if it takes longer: it goes on behind the answer.
        """
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await asyncio.wait({task}, timeout=within_s)
        except asyncio.CancelledError:
            task.cancel()
            raise
        if task.done():
            return task.result()
        task.add_done_callback(_log_failure)
        return None

    def close(self) -> None:
        """Close the database."""
        for task in self._tasks:
            task.cancel()
        self.database.close()


def _log_failure(task: asyncio.Task[Any]) -> None:
    error = None if task.cancelled() else task.exception()
    if isinstance(error, StopRun):
        log.warning("What went on behind its answer has failed: %s", error)
    elif error is not None and not isinstance(error, web.HTTPException):
        log.error("What went on behind its answer has failed: a bug", exc_info=error)


PAGE: Final = web.AppKey("page", Page)
PERSON: Final = web.RequestKey("person", Person)

_WORKBOOKS: Final = {
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
"""The types of files that aiohttp does not know."""


def attachment(name: str) -> Mapping[str, str]:
    """Return the headers with which a browser saves an answer as a file of some name."""
    plain = "".join(char if char.isascii() and char.isprintable() else "_" for char in name)
    plain = plain.translate(str.maketrans('"\\/', "___"))
    named = quote(name, safe="", errors="replace")
    headers = {"Content-Disposition": f"attachment; filename=\"{plain}\"; filename*=UTF-8''{named}"}
    kind = _WORKBOOKS.get(PurePath(name).suffix)
    return headers if kind is None else {**headers, "Content-Type": kind}


def screen_of(request: web.Request) -> str:
    """Return the path of the screen on which the button of a request is."""
    screen = _SCREEN.match(request.rel_url.raw_path)
    return "/" if screen is None else screen[0]


def sign_in_path(request: web.Request) -> str:
    """Return the path of the sign-in, with the way back to the screen of a request."""
    path = request.rel_url.raw_path if request.method in SAFE else screen_of(request)
    return "/sign-in" + ("" if path == "/" else f"?next={quote(path, safe='/')}")


def page_of(request: web.Request) -> Page:
    """Return what the screens share."""
    return request.app[PAGE]


async def found(request: web.Request, read: Callable[[Page, str], T | None], what: str) -> T:
    """Return how the thing in the path of a request stands; raise 404 if there is none."""
    page = page_of(request)
    state = await page.blocking(read, page, request.match_info["id"])
    if state is None:
        raise web.HTTPNotFound(text=f"There is no such {what}.")
    return state


def person_of(request: web.Request) -> Person:
    """Return the person behind a request for a path with a right."""
    return request[PERSON]
