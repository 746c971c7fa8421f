"""A small Campaign whose answers go wrong on the wire: copied, foreign, cut, too long, or lost."""

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
    """What is wrong with one answer."""

    TOGETHER = auto()
    """It comes twice in one piece."""
    LATE = auto()
    """It comes again just before the next answer on its connection."""
    FOREIGN = auto()
    """It is about the next profile; a change is made all the same."""
    CUT = auto()
    """It ends in the middle."""
    LONGER = auto()
    """It has more bytes than it announces."""
    LOST = auto()
    """It does not come; the connection is closed."""
    NAMELESS = auto()
    """It does not say whom it is about."""


@dataclass(frozen=True)
class Asked:
    """A request: on which connection it came, and what it was."""

    connection: int
    method: str
    path: str
    key: str


Choose = Callable[[Asked, int], Wrong | None]
"""Says what is wrong with the answer to a request, by its status."""


@dataclass
class Mixing:
    """The server.

    Attributes:
        states: what it holds.
        emails: who has which address.
        refused: those that it changes for nobody.
        choose: what goes wrong.
        greets: what it says on the first connections before it is asked anything.
        asked: all requests so far.
        closed: connections that the client has closed.
        writers: by connection, where more can be said on it.
    """

    states: dict[str, bool]
    choose: Choose = lambda _asked, _status: None
    greets: list[bytes] = field(default_factory=list)
    emails: dict[str, str] = field(default_factory=dict)
    refused: frozenset[str] = frozenset()
    asked: list[Asked] = field(default_factory=list)
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
                asked, query, body = await _read(reader, number)
                self.asked.append(asked)
                status, answer = self._answer(asked, query, body)
                wrong = self.choose(asked, status)
                raw = written(*self._other(asked, wrong, status, answer))
                writer.write(late + _spoilt(raw, wrong))
                late = raw if wrong is Wrong.LATE else b""
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            self.closed.put_nowait(number)
        finally:
            writer.close()

    def _other(
        self, asked: Asked, wrong: Wrong | None, status: int, answer: dict[str, object]
    ) -> tuple[int, dict[str, object]]:
        """Make another answer of one, if it is to say something else."""
        if wrong is Wrong.NAMELESS:
            return status, {name: value for name, value in answer.items() if name != "PKey"}
        if wrong is not Wrong.FOREIGN or asked.key not in self.states:
            return status, answer
        keys = list(self.states)
        other = keys[(keys.index(asked.key) + 1) % len(keys)]
        return 200, {"PKey": other} if asked.method == "PATCH" else self._profile(other)

    def _answer(
        self, asked: Asked, query: dict[str, list[str]], body: bytes
    ) -> tuple[int, dict[str, object]]:
        match asked.method, asked.key:
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
) -> tuple[Asked, dict[str, list[str]], bytes]:
    """Read one request: what it is, its query, and its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    method, target, _ = head.decode("latin-1").split(" ", 2)
    lines = (line.lower() for line in head.split(b"\r\n"))
    lengths = [int(line[len(_LENGTH) :]) for line in lines if line.startswith(_LENGTH)]
    body = await reader.readexactly(sum(lengths))
    url = urlsplit(target)
    asked = Asked(connection, method, url.path, unquote(url.path.rpartition("/")[2]))
    return asked, parse_qs(url.query), body


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


def written(status: int, answer: dict[str, object]) -> bytes:
    """Write an answer as it goes over the wire."""
    body = orjson.dumps(answer)
    head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


def one_by_one(wrongs: Sequence[Wrong | None]) -> Choose:
    """Let each request have the next thing wrong, and the rest nothing."""
    left = deque(wrongs)
    return lambda _asked, _status: left.popleft() if left else None


@contextmanager
def mixing(server: Mixing) -> Iterator[Mixing]:
    """Serve in a thread."""
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
