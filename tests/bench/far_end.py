"""A far end faster than any client, for benchmarks of clients.

    far_end.py [--profiles N] [--wait-ms MS] [--knee N] [--rate R]

It speaks just enough HTTP/1.1 and of the API for one profile at a time, and for an empty list with
a count; it asks for no token. It answers a profile as ``bulk-sync simulate`` does in its default
settings. ``--wait-ms`` is the time of every answer. With ``--knee`` an answer takes longer the
more requests are in flight: twice as long at N, the point of the greatest throughput, and five
times as long at twice as many. With ``--rate`` requests beyond R a second get a 429, from a bucket
of a tenth of a second. Beside the API, ``/_states`` returns the opt-outs by key, ``/_counts`` the
number of requests by method and of 429s, and ``/_rate/R`` changes the rate.
The first line on standard output is its URL.
"""

import argparse
import asyncio
import json
import signal
from collections.abc import Callable
from functools import cache, partial
from typing import cast
from urllib.parse import quote

import uvloop

_OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=utf-8\r\nContent-Length: "
_GONE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
_THROTTLED = b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"


class FarEnd:
    """The state shared by all connections: profiles, their latency, and counts of requests."""

    def __init__(self, profiles: int, wait_ms: float, knee: float, rate: float) -> None:
        self.states = {f"@{number:06d}{'Qx7-_' * 5}": number % 2 == 0 for number in range(profiles)}
        # Clients encode the @, or leave it as it is.
        self._keys = {key.encode(): key for key in self.states}
        self._keys |= {quote(key, safe="").encode(): key for key in self.states}
        for key in self.states:  # the most frequent answers are ready beforehand
            for state in (True, False):
                self._profile(key, state)
        self.wait_s = wait_ms / 1000
        self.knee = knee
        self.rate = rate
        self.in_flight = 0
        self.counts: dict[str, int] = {}
        self._tokens = max(1.0, rate / 10)
        self._filled_at = 0.0

    def delay_s(self) -> float:
        """Return the seconds of the next answer; they grow with the square of the load."""
        return self.wait_s * (1 + (self.in_flight / self.knee) ** 2 if self.knee else 1)

    def admits(self, now: float) -> bool:
        """Take a token from the bucket, and return whether there was one."""
        if not self.rate:
            return True
        filled = self._tokens + (now - self._filled_at) * self.rate
        self._tokens, self._filled_at = min(max(1.0, self.rate / 10), filled), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def answer(self, method: bytes, path: bytes, body: bytes) -> bytes:
        segment = path[path.rfind(b"/") + 1 :]
        key = self._keys.get(segment)
        if key is not None:
            if method == b"PATCH":
                self.states[key] = bool(json.loads(body)["ccpaOptOut"])
                return response({"PKey": key, "href": path.decode()})
            return self._profile(key, self.states[key])
        if path in {b"/_counts", b"/_states"}:
            return response(self.counts if path == b"/_counts" else self.states)
        if path.startswith(b"/_rate/"):
            self.rate = float(path.removeprefix(b"/_rate/"))
            return response(self.rate)
        if segment.partition(b"?")[0] == b"profile":
            count = {"value": len(self.states)}
            return response({"content": [], "count": count, "href": path.decode()})
        return _GONE

    @cache  # noqa: B019 - it lives as long as the program
    def _profile(self, key: str, state: bool) -> bytes:
        return response(
            {
                "PKey": key,
                "email": f"p{key[1:7]}@example.com",
                "firstName": "Kim",
                "lastName": "Doe",
                "ccpaOptOut": state,
                "href": f"/profile/{key}",
            }
        )


def response(content: object) -> bytes:
    body = json.dumps(content).encode()
    return b"%b%d\r\n\r\n%b" % (_OK, len(body), body)


class Connected(asyncio.Protocol):
    """One connection."""

    def __init__(self, far_end: FarEnd) -> None:
        self._far_end = far_end
        self._loop = asyncio.get_running_loop()
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way to answer."""
        self._write = cast("asyncio.Transport", transport).write

    def data_received(self, data: bytes) -> None:
        """Parse a request; an incomplete one waits for the rest."""
        received = self._received + data
        end = received.find(b"\r\n\r\n") + 4
        if end < 4:
            self._received = received
            return
        body = b""
        if not received.startswith(b"GET"):
            at = received.lower().find(b"content-length:", 0, end)
            body = received[end:]
            if len(body) < int(received[at + 15 : received.find(b"\r", at)]):
                self._received = received
                return
        self._received = b""
        method, path, _ = received.split(b" ", 2)
        far_end = self._far_end
        admitted = path.startswith(b"/_") or far_end.admits(self._loop.time())
        name = method.decode() if admitted else "429"
        far_end.counts[name] = far_end.counts.get(name, 0) + 1
        content = far_end.answer(method, path, body) if admitted else _THROTTLED
        if not far_end.wait_s:
            self._write(content)
            return
        far_end.in_flight += 1
        self._loop.call_later(far_end.delay_s(), self._done, content)

    def _done(self, content: bytes) -> None:
        self._far_end.in_flight -= 1
        self._write(content)


async def serve(make: Callable[[], FarEnd]) -> None:
    """Print the URL of a far end, and serve it until SIGTERM."""
    far_end, loop = make(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connected(far_end), "127.0.0.1", 0)
    print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    ended = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()


if __name__ == "__main__":
    options = argparse.ArgumentParser()
    options.add_argument("--profiles", type=int, default=20_000)
    options.add_argument("--wait-ms", type=float, default=0)
    options.add_argument("--knee", type=float, default=0)
    options.add_argument("--rate", type=float, default=0)
    uvloop.run(serve(partial(FarEnd, **vars(options.parse_args()))))
