"""Clients of the page: they send what browsers send, and give up on an answer that never comes."""

import sys
import threading
import traceback
from typing import Any, Final

import requests

ANSWER_S: Final = 120
"""Every answer begins within that, and goes on after that, however busy the machine is."""


class Unanswered(AssertionError):
    """The page did not answer; the message says where the threads of this process stand."""


class Visitor(requests.Session):
    """A browser's stand-in."""

    def __init__(self) -> None:
        super().__init__()
        self.trust_env = False
        self.headers["Sec-Fetch-Site"] = "same-origin"

    def send(self, request: requests.PreparedRequest, **given: Any) -> requests.Response:
        """Send a request, and fail if it is not answered."""
        limit_s = given["timeout"] = given.get("timeout") or ANSWER_S
        try:
            return super().send(request, **given)
        except requests.Timeout as error:
            where = f"{request.method} {request.path_url.partition('?')[0]}"
            raise Unanswered(f"{where}: no answer within {limit_s} s\n{stacks()}") from error


def stacks() -> str:
    """Return where each thread of this process stands."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    return "\n".join(
        f"{names.get(number)}:\n{''.join(traceback.format_stack(frame))}"
        for number, frame in sys._current_frames().items()
    )
