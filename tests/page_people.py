"""The page in a process of its own, and people in front of it as plain HTTP clients."""

import os
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from enum import StrEnum
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import requests
from serving import PASSWORD, at_work
from torture import Popen, environment_of
from visitors import Unanswered, Visitor

from bulk_sync.errors import Exit
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator
from bulk_sync.web.settings import PageSettings

_DYING_S = 60
"""At most: the system closes the files of a killed page one after the other before its end."""


class Target(StrEnum):
    """The process to kill."""

    PAGE = "page"
    RUN = "run"
    BOTH = "page and run"


class Killed(Exception):
    """The page was killed before its answer."""


class Form(HTMLParser):
    """The form of a screen around a button, with every box ticked."""

    def __init__(self, text: str, button: str) -> None:
        super().__init__()
        self.is_there = self.is_disabled = False
        self._button, self._select, self._words = button, "", ""
        self._forms = defaultdict[str, dict[str, str]](dict)
        self._actions: dict[str, str] = {}
        self._form = self._chosen = ""
        self._inside: dict[str, str | None] | None = None
        self._formaction = ""
        self.feed(text)

    @property
    def action(self) -> str:
        """Return the target of the form."""
        return self._formaction or self._actions[self._chosen]

    @property
    def fields(self) -> dict[str, str]:
        """Return the fields of the form, by name."""
        return self._forms[self._chosen]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name, value = given.get("name") or "", given.get("value") or ""
        owner = given.get("form") or self._form
        fields = self._forms[owner]
        if tag == "form":
            self._form = given.get("id") or f"form {len(self._forms)}"
            self._actions[self._form] = given.get("action") or ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and ("selected" in given or self._select not in fields):
            fields[self._select] = value
        elif tag == "textarea" or (tag == "input" and name and given.get("type") != "file"):
            fields[name] = value
        elif tag == "button" and not self.is_there:
            self._inside, self._words, self._chosen = given, "", owner

    def handle_data(self, data: str) -> None:
        self._words += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "button" and self._inside is not None and self._words.strip() == self._button:
            self.is_there, self.is_disabled = True, "disabled" in self._inside
            self._formaction = self._inside.get("formaction") or ""
        if tag == "button":
            self._inside = None


@dataclass
class Site:
    """The page in a process of its own, restarted after each kill."""

    sim: Simulator
    folder: Path
    ledger: str | None = None
    popen: Popen = subprocess.Popen
    url: str = ""
    _process: "subprocess.Popen[str] | None" = None
    _killed: "subprocess.Popen[str] | None" = None

    @property
    def state(self) -> State:
        return State(self.folder / "state", ledger=self.ledger)

    @property
    def _log(self) -> str:
        return (self.folder / "serve.log").read_text()

    def start(self) -> None:
        """Start it at the same address as before."""
        port = self.url.rpartition(":")[2] or "0"
        words = ["serve", "--no-open", "--port", port]
        with (self.folder / "serve.log").open("a") as log:
            self._process = self.popen(
                [sys.executable, "-m", "bulk_sync", *words],
                cwd=self.folder,
                env={
                    **environment_of(self.sim, self.state.folder),
                    "PYTHONFAULTHANDLER": "1",
                    **({"BULK_SYNC_LEDGER": self.ledger} if self.ledger else {}),
                },
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )
        assert self._process.stdout is not None
        with self._process.stdout as printed:
            line = printed.readline().strip().rstrip("/")
        if not line:  # killed again, or the port is in use by now
            assert self._process.wait() in {-signal.SIGKILL, Exit.USAGE}, self._log
            self.url = self.url if self._process.returncode < 0 else ""
            return
        self.url = line

    def revive(self) -> None:
        """Start it again, unless it lives."""
        while self._process is None or self._process.poll() is not None:
            self.start()

    def replace(self) -> None:
        """Start it again, unless it lives; first wait for the end of a killed one."""
        if self._killed is not None:
            self._killed.wait(_DYING_S)
        self.revive()

    def show_stacks(self) -> None:
        """Make the page write the stack of each thread to its log, and end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGABRT)
            self._process.wait(_DYING_S)

    def kill(self, target: Target) -> str:
        """Kill the page, its processes, or both; return the killed target, "" if there was none."""
        if target is not Target.RUN and self._process is not None:
            self._killed = self._process
            self._killed.kill()
            self._killed.wait()
        # After the end of the page: it might start another process.
        jobs = {} if target is Target.PAGE else at_work(PageSettings(self.state))
        if target is Target.RUN and not jobs:
            return ""
        for pid in jobs:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        names = " and ".join(sorted({job.command for job in jobs.values()})) or "nothing at work"
        return "page" if target is Target.PAGE else f"{target} ({names})"

    def end(self) -> None:
        """Stop all of it."""
        self.kill(Target.BOTH)


@dataclass
class Person:
    """A person in front of the page."""

    name: str
    site: Site
    beat: Callable[[], None]
    _session: Visitor = field(default_factory=Visitor)

    def leave(self) -> None:
        """Close the browser."""
        self._session.close()

    def look(self, path: str) -> str:
        """Return a screen."""
        return self._send("GET", path).text

    def press(self, path: str, button: str, **typed: str) -> str:
        """Press a button of a screen, and return the path of the next screen."""
        form = Form(self.look(path), button)
        assert form.is_there, f"{path} has no button {button!r}"
        assert not form.is_disabled, f"{path}: {button!r} cannot be pressed"
        answer = self._send("POST", form.action, data={**form.fields, **typed})
        return answer.url.removeprefix(self.site.url)

    def upload(self, path: Path) -> str:
        """Upload a file, and return the path of its screen."""
        form = Form(self.look("/uploads/new"), "Check file")
        files = {"file": (path.name, path.read_bytes())}
        answer = self._send("POST", form.action, data=form.fields, files=files)
        return answer.url.removeprefix(self.site.url)

    def wait(self, path: str) -> None:
        """Wait for a change of a screen, as its script does."""
        with self._guarded():
            events = self._session.get(f"{self.site.url}{path}/events", stream=True)
            with closing(events):
                for line in events.iter_lines():
                    if line == b"event: end":
                        return
        raise Killed

    def _send(self, method: str, path: str, **content: Any) -> requests.Response:
        self.beat()
        with self._guarded():
            answer = self._request(method, path, **content)
            if "/sign-in" in answer.url:
                fields = {"name": self.name, "password": PASSWORD, "next": ""}
                self._request("POST", "/sign-in", data=fields)
                answer = self._request(method, path, **content)
        assert answer.status_code in {200, 409}, f"{method} {path}: {answer.text}"
        return answer

    def _request(self, method: str, path: str, **content: Any) -> requests.Response:
        url = f"{self.site.url}{path.partition('#')[0]}"
        return self._session.request(method, url, **content)

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            yield
        except Unanswered:
            self.site.show_stacks()
            raise
        except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
            raise Killed from error
