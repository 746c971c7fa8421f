"""Plain HTTP to a simulator: every byte of a request comes from the test."""

import http.client
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import orjson

from bulk_sync.simulator import Options, Simulator, running

HEADERS = {"Authorization": "Bearer demo-token", "X-Api-Key": "demo-key"}
API = "/acme/campaign/profileAndServices"
EXT = "/acme/campaign/profileAndServicesExt"
PROFILE = f"{API}/profile"


@dataclass(frozen=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str]

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)


@dataclass(frozen=True)
class Wire:
    simulator: Simulator

    def send(
        self,
        method: str,
        target: str,
        body: object = None,
        headers: Mapping[str, str] = HEADERS,
        timeout_s: float = 10,
    ) -> Reply:
        """Send one request on its own connection, with JSON unless the body is bytes."""
        content = body if isinstance(body, bytes | None) else orjson.dumps(body)
        connection = http.client.HTTPConnection(
            self.simulator.url.removeprefix("http://"), timeout=timeout_s
        )
        try:
            connection.request(method, target, content, dict(headers))
            response = connection.getresponse()
            return Reply(response.status, response.read(), dict(response.headers))
        finally:
            connection.close()

    def get(self, target: str) -> Reply:
        return self.send("GET", target)

    def patch(self, key: str, body: object) -> Reply:
        return self.send("PATCH", f"{PROFILE}/{key}", body)

    def follow(self, target: str, most: int = 50) -> Iterator[Any]:
        """Yield the pages of a list by their absolute links."""
        for _ in range(most):
            page = self.get(target).json
            yield page
            if "next" not in page:
                return
            target = page["next"]["href"].removeprefix(self.simulator.url)


@contextmanager
def wired(options: Options) -> Iterator[Wire]:
    with running(options) as simulator:
        yield Wire(simulator)
