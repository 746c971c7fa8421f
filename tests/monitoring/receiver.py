"""A real HTTP server on loopback for the requests of hooks, with bad answers of every kind."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler

import pytest
from loopback import answering

from bulk_sync.monitoring import ping, time_budget
from bulk_sync.monitoring.time_budget import TimeBudget


@dataclass
class Receiver:
    """The received requests, as pairs of path and body.

    ``answers`` are used one by one; the last one repeats.
    """

    url: str
    answers: list[str] = field(default_factory=lambda: ["200"])
    received: list[tuple[str, str]] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    @property
    def paths(self) -> list[str]:
        """Return the paths, without the run's UUID."""
        return [path.partition("?")[0] for path, _ in self.received]

    @property
    def bodies(self) -> list[str]:
        return [body for _, body in self.received]


def leave_time(patch: pytest.MonkeyPatch) -> None:
    """Give hooks in this process the time that a slow machine needs."""
    patch.setattr(ping, "EACH_S", 600.0)
    patch.setattr(time_budget, "TimeBudget", partial(TimeBudget, 600.0))


@contextmanager
def receiving() -> Iterator[Receiver]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            receiver.received.append((self.path, body))
            answer = receiver.answers[0]
            if len(receiver.answers) > 1:
                receiver.answers.pop(0)
            match answer:
                case "hang":
                    receiver.released.wait()
                case "trickle":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nX-Padding: ")
                    while not receiver.released.wait(0.02):
                        self.wfile.write(b"x")
                case "lie":
                    self.wfile.write(b"\x00\xff no HTTP at all\r\n\r\n")
                case "endless":
                    self.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\nOK")
                    self.wfile.flush()
                    receiver.released.wait()
                case _:
                    self.send_response(int(answer))
                    self.send_header("Location", f"{receiver.url}/elsewhere")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

        def do_GET(self) -> None:
            self.do_POST()

    with answering(Handler) as url:
        receiver = Receiver(f"{url}/s3cret-uuid")
        try:
            yield receiver
        finally:
            receiver.released.set()
