"""Unreachable servers, restarting gateways, and names that do not exist."""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Final

import aiohttp
import pytest
import trustme
from yarl import URL

from bulk_sync.campaign.client import Client, connected
from bulk_sync.campaign.connections import Proxy
from bulk_sync.campaign.foreign_errors import failure
from bulk_sync.errors import RetryLater, RowFailed, StoppedEarly, StopRun, Terminated, UsageProblem
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Credentials, Pace, Secret
from bulk_sync.stopping import Stop

PROFILE: Final = b'{"PKey":"@a","ccpaOptOut":true}'
INTERNAL_ERROR: Final = bytes.fromhex("15030300020250")
"""A fatal alert of TLS 1.2, as from a load balancer without a server."""

NOT_TLS: Final = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n"
RESET: Final = b""


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """Return an HTTP answer after which the connection stays open."""
    lines = [f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


@dataclass
class Far:
    """A server with given first responses, and right ones after them.

    Attributes:
        answers: the first answers; ``RESET`` resets the connection.
        asked: the number of requests so far.
        port: the port on loopback.
    """

    answers: Sequence[bytes]
    requests: int = 0
    port: int = 0
    writers: list[asyncio.StreamWriter] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        while await reader.readline():
            length = 0
            while line := (await reader.readline()).strip().lower():
                if line.startswith(b"content-length:"):
                    length = int(line.partition(b":")[2])
            await reader.readexactly(length)
            self.requests += 1
            sent = answer(200, PROFILE)
            if self.requests <= len(self.answers):
                sent = self.answers[self.requests - 1]
            if sent == RESET:
                writer.transport.abort()
                return
            writer.write(sent)

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator["Far"]:
        server = await asyncio.start_server(self.serve, "127.0.0.1", port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for writer in self.writers:
                writer.close()


def place(port: int, scheme: str = "http", ca_file: Path | None = None) -> Connection:
    endpoint = f"{scheme}://127.0.0.1:{port}"
    token = Secret("a-token-of-these-tests")
    return Connection(
        endpoint, "acme", Credentials("key", token), api="profileAndServices", ca_file=ca_file
    )


async def state(connection: Connection, pace: Pace, stop: Stop | None = None) -> tuple[bool, int]:
    async with connected(connection, pace, stop or Stop()) as client:
        return await client.state("@a")


def state_of(answers: Sequence[bytes], pace: Pace) -> tuple[tuple[bool, int] | Exception, int]:
    """Return the state and the tries, or the error, and the number of requests sent."""

    async def inside() -> tuple[tuple[bool, int] | Exception, int]:
        async with Far(answers).listening() as far:
            try:
                return await state(place(far.port), pace), far.requests
            except (RowFailed, StopRun) as error:
                return error, far.requests

    return asyncio.run(inside())


GATEWAY_403: Final = b'{"error_code":"403003","message":"Api Key is invalid"}'


@pytest.mark.parametrize(
    "sent",
    [
        answer(302, b"", "Location: https://login.example/"),
        answer(307, b"<html>Moved</html>", "Location: /maintenance"),
        answer(403, b"<html>403 Forbidden</html>"),
        answer(403, GATEWAY_403),
        answer(403),
    ],
    ids=["302", "307", "a page", "json", "nothing"],
)
def test_a_gateway_that_restarts_costs_tries_and_no_row(sent: bytes) -> None:
    assert state_of([sent], Pace(retries=1)) == ((True, 2), 2)


@pytest.mark.parametrize(
    ("sent", "reason"),
    [
        (answer(302, b"", "Location: https://login.example/"), Reason.REDIRECT),
        (answer(403, GATEWAY_403), Reason.HTTP_403),
    ],
    ids=["302", "403"],
)
def test_an_error_that_stays_is_reported_as_it_is(sent: bytes, reason: Reason) -> None:
    failed, requests = state_of([sent] * 9, Pace(retries=1))
    assert isinstance(failed, RowFailed)
    assert (failed.reason, failed.attempts, requests) == (reason, 2, 2)


TOKEN: Final = answer(200, b'{"access_token":"a-token-from-ims","expires_in":3600}')
GOOD: Final = answer(200, PROFILE)
REFUSED: Final = answer(403, GATEWAY_403)


@pytest.mark.parametrize(
    ("answers", "renewals"),
    [([TOKEN, GOOD, REFUSED, TOKEN], 1), ([TOKEN, REFUSED, GOOD], 0)],
    ids=["it was accepted before", "it is new"],
)
def test_a_403_makes_ims_give_another_token_unless_that_is_new(
    answers: Sequence[bytes], renewals: int
) -> None:
    async def inside() -> int:
        async with Far(answers).listening() as far:
            url = f"http://127.0.0.1:{far.port}"
            credentials = Credentials("key", client_secret=Secret("s3cret"), ims_endpoint=url)
            connection = Connection(url, "acme", credentials, api="profileAndServices")
            async with connected(connection, Pace(retries=1), Stop()) as client:
                assert [(await client.state("@a"))[0] for _ in range(2)] == [True, True]
            return far.requests

    assert asyncio.run(inside()) == 4 + renewals


def test_a_403_of_campaign_itself_is_not_tried_again() -> None:
    failed, requests = state_of([answer(403, b"You do not have the rights")] * 9, Pace())
    assert isinstance(failed, RowFailed)
    assert requests == 1


def test_a_server_back_within_the_patience_costs_no_row_whatever_the_retries() -> None:
    async def inside() -> tuple[bool, int]:
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            port = bound.getsockname()[1]
        reading = asyncio.create_task(state(place(port), Pace(retries=0)))
        await asyncio.sleep(0.3)
        async with Far([]).listening(port):
            return await reading

    found, tries = asyncio.run(inside())
    assert found is True
    assert tries > 1


def test_a_server_that_resets_every_connection_is_tried_for_as_long_as_the_patience_lasts() -> None:
    stopped, requests = state_of([RESET] * 99, Pace(retries=0, patience_s=0.5))
    assert isinstance(stopped, StoppedEarly)
    assert "the patience is 0.5 s (--patience)" in str(stopped)
    assert requests >= 3


def test_a_request_whose_connection_alone_is_reset_fails_after_the_usual_tries() -> None:
    answers = [RESET, answer(404, b"Not Found")] * 9  # the second one to a request of its own
    failed, requests = state_of(answers, Pace(retries=0))
    assert isinstance(failed, RowFailed)
    assert (failed.reason, failed.passing, requests) == (Reason.CONNECTION, True, 2)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_takes_no_connection_cannot_be_reached(scheme: str) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        queued = [socket.socket() for _ in range(3 if scheme == "http" else 0)]
        for each in queued:  # until the queue is full, and the system drops what comes next
            each.setblocking(False)
            each.connect_ex(("127.0.0.1", port))
        pace = Pace(retries=0, timeout_s=0.4, patience_s=0.5)
        with pytest.raises(StoppedEarly, match=r"No connection to .* attempt to connect"):
            asyncio.run(state(place(port, scheme), pace))
        for each in queued:
            each.close()


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_server_that_refuses_connections_is_named_in_plain_words(scheme: str) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        with pytest.raises(StoppedEarly) as stopped:
            asyncio.run(state(place(port, scheme), Pace(retries=0, patience_s=0.1)))
    assert f"No connection to 127.0.0.1:{port} (nothing accepts connections there)" in str(
        stopped.value
    )
    assert not any(word in str(stopped.value) for word in ("ssl", "Errno", "Connect call"))


def test_a_proxy_that_refuses_connections_is_named_as_the_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        proxy = f"127.0.0.1:{bound.getsockname()[1]}"
        monkeypatch.setenv("https_proxy", f"http://{proxy}")
        monkeypatch.setenv("no_proxy", "")
        token = Secret("a-token-of-these-tests")
        connection = Connection("https://campaign.example", "a", Credentials("key", token), api="x")
        with pytest.raises(StoppedEarly, match=rf"No connection to the proxy {proxy} \(nothing"):
            asyncio.run(state(connection, Pace(retries=0, patience_s=0.1)))


def test_sigterm_ends_the_wait_for_a_server_at_once() -> None:
    async def inside() -> float:
        stop, loop = Stop(), asyncio.get_running_loop()
        with socket.socket() as bound:
            bound.bind(("127.0.0.1", 0))
            port = bound.getsockname()[1]
        reading = asyncio.create_task(state(place(port), Pace(), stop))
        await asyncio.sleep(2.0)  # the next wait is the third one, of a second at least
        began = loop.time()
        stop.ask(Terminated("SIGTERM."))
        with pytest.raises((RowFailed, StopRun)):
            await reading
        return loop.time() - began

    assert asyncio.run(inside()) < 60


def no_address(number: int) -> Callable[..., object]:
    def resolved(*_arguments: object, **_options: object) -> object:
        raise socket.gaierror(number, "as the resolver of this test says")

    return resolved


@pytest.mark.parametrize(
    ("number", "raised", "says"),
    [
        (socket.EAI_NONAME, UsageProblem, "There is no host campaign.example.*--endpoint"),
        (socket.EAI_NODATA, UsageProblem, "There is no host campaign.example"),
        (socket.EAI_AGAIN, StoppedEarly, "the patience is 0.5 s"),
        (socket.EAI_FAIL, StoppedEarly, "the patience is 0.5 s"),
    ],
    ids=["no such name", "no such address", "not now", "no resolver"],
)
def test_a_host_that_does_not_exist_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, number: int, raised: type[Exception], says: str
) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", no_address(number))
    token = Secret("a-token-of-these-tests")
    connection = Connection("https://campaign.example", "acme", Credentials("key", token), api="x")
    with pytest.raises(raised, match=says):
        asyncio.run(state(connection, Pace(retries=0, patience_s=0.5)))


def test_a_name_that_was_resolved_before_is_waited_for() -> None:
    key = SimpleNamespace(host="campaign.example", port=443, is_ssl=True, ssl=True)
    unknown = aiohttp.ClientConnectorDNSError(key, socket.gaierror(socket.EAI_NONAME, "?"))  # type: ignore[arg-type]
    url = URL("https://campaign.example")
    found = failure(unknown, url, Proxy(), "?", was_reached=True)
    assert isinstance(found, RetryLater)
    assert found.unreachable


@asynccontextmanager
async def behind_tls(
    tmp_path: Path, first: Sequence[bytes]
) -> AsyncIterator[tuple[Far, Connection, list[int]]]:
    """Serve behind TLS; the first connections get these bytes as their answer."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    far, connections = Far([]), [0]
    server = await asyncio.start_server(far.serve, "127.0.0.1", 0, ssl=context)
    inner = server.sockets[0].getsockname()[1]

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections[0] += 1
        if connections[0] <= len(first):
            await reader.read(10)
            writer.write(first[connections[0] - 1])
            writer.close()
            return
        there, back = await asyncio.open_connection("127.0.0.1", inner)
        await asyncio.gather(pump(reader, back), pump(there, writer))

    front = await asyncio.start_server(relay, "127.0.0.1", 0)
    try:
        yield far, place(front.sockets[0].getsockname()[1], "https", ca_file), connections
    finally:
        front.close()
        server.close()


async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    try:
        while data := await source.read(65_536):
            target.write(data)
    except ConnectionError:
        pass
    finally:
        target.close()


@pytest.mark.parametrize("first", [INTERNAL_ERROR, NOT_TLS, b""], ids=["alert", "503", "nothing"])
def test_a_passing_failure_of_the_handshake_is_retried(tmp_path: Path, first: bytes) -> None:
    async def inside() -> tuple[tuple[bool, int], int]:
        async with behind_tls(tmp_path, [first]) as (_, connection, connections):
            return await state(connection, Pace(retries=0)), connections[0]

    assert asyncio.run(inside()) == ((True, 2), 2)


@pytest.mark.parametrize("wrong", ["the name", "the authority"])
def test_a_certificate_that_does_not_verify_is_not_waited_for(tmp_path: Path, wrong: str) -> None:
    async def inside() -> None:
        async with behind_tls(tmp_path, []) as (_, connection, _):
            endpoint, ca_file = connection.endpoint, connection.ca_file
            if wrong == "the name":
                endpoint = endpoint.replace("127.0.0.1", "localhost")
            else:
                ca_file = None
            token = Secret("a-token-of-these-tests")
            other = Connection(
                endpoint, "acme", Credentials("key", token), api="x", ca_file=ca_file
            )
            await state(other, Pace())

    with pytest.raises(UsageProblem, match=r"verified \([^:_]*\)\. .*--ca-file"):
        asyncio.run(inside())


def test_rows_with_answers_go_on_while_connections_of_others_are_reset() -> None:
    async def inside() -> list[object]:
        async with (
            Far([RESET, *[answer(200, PROFILE)] * 8]).listening() as far,
            connected(place(far.port), Pace(retries=1), Stop()) as client,
        ):
            return await asyncio.gather(*(one(client) for _ in range(8)))

    async def one(client: Client) -> bool:
        return (await client.state("@a"))[0]

    assert asyncio.run(inside()) == [True] * 8
