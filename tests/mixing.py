"""A small Campaign with faults on the wire: answers copied, foreign, cut, too long, or lost."""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Self
from urllib.parse import parse_qs, unquote, urlsplit

import orjson

_LENGTH = b"content-length:"


class Wrong(Enum):
    """The fault of one answer."""

    TOGETHER = auto()
    """The answer is sent twice in one piece."""
    LATE = auto()
    """The answer is sent again just before the next one on its connection."""
    FOREIGN = auto()
    """The answer is about the next profile; a change is made all the same."""
    CUT = auto()
    """The answer ends in the middle."""
    LONGER = auto()
    """The answer has more bytes than it announces."""
    LOST = auto()
    """There is no answer; the connection is closed."""
    NAMELESS = auto()
    """The answer does not name its profile."""


@dataclass(frozen=True)
class Request:
    """A request and the number of its connection."""

    connection: int
    method: str
    path: str
    key: str


Choose = Callable[[Request, int], Wrong | None]
"""Chooses the fault of the answer to a request, by the answer's status."""


@dataclass
class Mixing:
    """The server.

    Attributes:
        states: the states of the profiles.
        emails: the addresses of the profiles.
        refused: the profiles for which it refuses changes.
        choose: chooses the fault of each answer.
        greets: bytes sent on the first connections before any request.
        requests: all requests so far.
        closed: connections closed by the client.
        writers: the streams to write to, by connection.
    """

    states: dict[str, bool]
    choose: Choose = lambda _request, _status: None
    greets: list[bytes] = field(default_factory=list)
    emails: dict[str, str] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    requests: list[Request] = field(default_factory=list)
    closed: asyncio.Queue[int] = field(default_factory=asyncio.Queue)
    writers: dict[int, asyncio.StreamWriter] = field(default_factory=dict)
    url: str = ""
    page: int = 1000

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    def email(self, key: str) -> str:
        return self.emails.get(key, f"{key[1:]}@example.com")

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, late, wrong = len(self.writers) + 1, b"", None
        self.writers[number] = writer
        writer.write(self.greets.pop(0) if self.greets else b"")
        try:
            while wrong not in (Wrong.CUT, Wrong.LOST):
                request, query, body = await _read(reader, number)
                self.requests.append(request)
                status, answer = self._answer(request, query, body)
                wrong = self.choose(request, status)
                raw = answer_bytes(*self._other(request, wrong, status, answer))
                writer.write(late + _spoilt(raw, wrong))
                late = raw if wrong is Wrong.LATE else b""
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.put_nowait(number)
        finally:
            writer.close()

    def _other(
        self, request: Request, wrong: Wrong | None, status: int, answer: dict[str, object]
    ) -> tuple[int, dict[str, object]]:
        """Return the answer with another content, if the fault demands it."""
        if wrong is Wrong.NAMELESS:
            return status, {name: value for name, value in answer.items() if name != "PKey"}
        if wrong is not Wrong.FOREIGN or request.key not in self.states:
            return status, answer
        keys = list(self.states)
        other = keys[(keys.index(request.key) + 1) % len(keys)]
        return 200, {"PKey": other} if request.method == "PATCH" else self._profile(other)

    def _answer(
        self, request: Request, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, dict[str, object]]:
        match request.method, request.key:
            case "GET", "profile":
                return 200, self._list(query)
            case "GET", "byEmail" | "byText":
                wanted = (query.get("email") or query["text"])[0]
                found = [key for key in self.states if self.email(key) == wanted]
                return 200, {"content": [self._profile(key) for key in found]}
            case "POST", _:
                made = orjson.loads(body)
                key = f"@made{len(self.states)}"
                self.states[key], self.emails[key] = made["ccpaOptOut"], made["email"]
                return 201, self._profile(key)
            case _, key if key not in self.states:
                return 404, {"error_code": "404", "message": "Unable to find document"}
            case "PATCH", key:
                return self._change(key, orjson.loads(body)["ccpaOptOut"])
            case _, key:
                return 200, self._profile(key)

    def _change(self, key: str, state: bool) -> tuple[int, dict[str, object]]:
        if key in self.refused:
            return 400, {"error": "This value is not allowed here"}
        self.states[key] = state
        return 200, {"PKey": key, "href": "x"}

    def _profile(self, key: str) -> dict[str, object]:
        return {"PKey": key, "email": self.email(key), "ccpaOptOut": self.states[key]}

    def _list(self, query: dict[str, list[str]]) -> dict[str, object]:
        size = min(self.page, int(query["_lineCount"][0]))
        start = int(query.get("_lineStart", ["0"])[0])
        listed = [self._profile(key) for key in list(self.states)[start : start + size]]
        following = f"/profileAndServices/profile?_lineCount={size}&_lineStart={start + size}"
        more = {"next": {"href": following}} if start + size < len(self.states) else {}
        return {"content": listed, "count": {"value": len(self.states)}, **more}


async def _read(
    reader: asyncio.StreamReader, connection: int
) -> tuple[Request, dict[str, list[str]], bytes]:
    """Read one request; return it with its query and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.decode("latin-1").split(" ", 2)
    lines = (line.lower() for line in head.split(b"\r\n"))
    lengths = [int(line[len(_LENGTH) :]) for line in lines if line.startswith(_LENGTH)]
    body = await reader.readexactly(sum(lengths))
    url = urlsplit(target)
    request = Request(connection, method, url.path, unquote(url.path.rpartition("/")[2]))
    return request, parse_qs(url.query), body


def _spoilt(raw: bytes, wrong: Wrong | None) -> bytes:
    match wrong:
        case Wrong.TOGETHER:
            return raw + raw
        case Wrong.CUT:
            return raw[:-5]
        case Wrong.LONGER:
            return raw + b'{"PKey": "@more"}'
        case Wrong.LOST:
            return b""
        case _:
            return raw


def answer_bytes(status: int, answer: dict[str, object]) -> bytes:
    """Return the bytes of an answer."""
    body = orjson.dumps(answer)
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def one_by_one(wrongs: Sequence[Wrong | None]) -> Choose:
    """Choose one fault after the other, and none after the last."""
    left = deque(wrongs)
    return lambda _request, _status: left.popleft() if left else None


@contextmanager
def mixing(server: Mixing) -> Iterator[Mixing]:
    """Run the server in a thread."""
    began, ends = threading.Event(), threading.Event()

    async def serve() -> None:
        async with server:
            began.set()
            await asyncio.to_thread(ends.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    began.wait()
    try:
        yield server
    finally:
        ends.set()
        thread.join()
