"""Clients of the page: they send the headers of browsers, and give up on missing answers."""

import asyncio
import gc
import io
import sys
import threading
import traceback
from pathlib import Path
from typing import Any, Final

import requests

ANSWER_S: Final = 120
"""Every answer begins within that, and goes on after that, however busy the machine is."""


class Unanswered(AssertionError):
    """The page did not answer; the message has the stacks and sockets of this process."""


class Visitor(requests.Session):
    """A session that behaves like a browser."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["Sec-Fetch-Site"] = "same-origin"

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        """Send a request; raise Unanswered if there is no answer in time."""
        limit_s = given["timeout"] = given.get("timeout") or ANSWER_S
        try:
            return super().send(request, **given)
        except requests.Timeout as error:
            where = f"{request.method} {request.path_url.partition('?')[0]}"
            known = "\n".join([*_sockets(), *_threads(), *_tasks()])
            raise Unanswered(f"{where}: no answer within {limit_s} s\n{known}") from error


def _sockets() -> list[str]:
    """Return the sockets of the machine with bytes that no process has read."""
    path = Path("/proc/net/tcp")
    lines = path.read_text().splitlines() if path.exists() else []
    return [line for line in lines if "00000000:00000000" not in line]


def _threads() -> list[str]:
    """Return the stack of each thread of this process."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return [
        f"{names.get(number)}:\n{''.join(traceback.format_stack(frame))}"
        for number, frame in sys._current_frames().items()
    ]


def _tasks() -> list[str]:
    """Return the stack of each task of an event loop."""
    found = []
    for each in gc.get_objects():
        if isinstance(each, asyncio.Task) and not each.done():
            text = io.StringIO()
            each.print_stack(file=text)
            found.append(text.getvalue())
    return found
