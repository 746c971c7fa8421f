"""Unexpected bytes on a connection, and the choice of the connection for a request."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TypeVar

import aiohttp
import pytest
from mixing import Mixing, Request, Wrong, answer_bytes, one_by_one

from bulk_sync.campaign import retries
from bulk_sync.campaign.client import Client, connected
from bulk_sync.campaign.wire import WatchedResponse
from bulk_sync.errors import RowFailed, StoppedEarly
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.settings import Connection, Credentials, Pace, Secret
from bulk_sync.stopping import Stop

T = TypeVar("T")
KEYS = [f"@k{number}" for number in range(6)]
TRUTH = {key: number % 2 == 0 for number, key in enumerate(KEYS)}


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retries, "_FIRST_BACKOFF_S", 0.001)


def ask(server: Mixing, work: Callable[[Client], Awaitable[T]], stop: Stop | None = None) -> T:
    async def inside() -> T:
        async with asyncio.timeout(60), server:
            connection = Connection(
                server.url,
                "acme",
                Credentials("key", access_token=Secret("token")),
                api="profileAndServices",
            )
            async with connected(connection, Pace(retries=4), stop or Stop()) as client:
                return await work(client)

    return asyncio.run(inside())


async def states(client: Client) -> dict[str, bool]:
    return {key: (await client.state(key))[0] for key in KEYS}


@pytest.mark.parametrize(
    "sent", [b"H", b"\r\n", answer_bytes(200, {"PKey": KEYS[1], "ccpaOptOut": True})]
)
def test_bytes_on_an_idle_connection_close_it(sent: bytes) -> None:
    server = Mixing(dict(TRUTH))

    async def work(client: Client) -> None:
        await client.state(KEYS[0])
        server.writers[1].write(sent)
        assert await server.closed.get() == 1
        assert (await client.state(KEYS[1]))[0] is TRUTH[KEYS[1]]

    ask(server, work)
    assert [each.connection for each in server.requests] == [1, 2]


def test_a_response_that_comes_twice_in_one_piece_counts_once() -> None:
    server = Mixing(dict(TRUTH), lambda _request, _status: Wrong.TOGETHER)
    assert ask(server, states) == TRUTH
    assert [each.connection for each in server.requests] == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("wrong", [Wrong.LONGER, Wrong.CUT, Wrong.LOST])
def test_a_response_of_a_wrong_length_is_retried(wrong: Wrong) -> None:
    server = Mixing(dict(TRUTH), one_by_one([None, wrong, None]))
    assert ask(server, states) == TRUTH
    connections = [each.connection for each in server.requests]
    assert [each.key for each in server.requests] == [*KEYS[:2], *KEYS[1:]]
    assert connections[1] not in connections[2:]


def test_a_response_before_its_request_is_not_accepted() -> None:
    foreign = answer_bytes(200, {"PKey": KEYS[1], "ccpaOptOut": False})
    server = Mixing(dict(TRUTH), greets=[foreign])
    assert ask(server, states) == TRUTH
    assert 1 not in [each.connection for each in server.requests[1:]]


def test_an_unwatched_connection_is_not_used() -> None:
    async def work() -> None:
        server = Mixing(dict(TRUTH))
        async with server, aiohttp.ClientSession(response_class=WatchedResponse) as session:
            with pytest.raises(TypeError, match="another way"):
                await session.get(server.url)

    asyncio.run(work())


@pytest.mark.parametrize("wrong", [None, Wrong.LOST, Wrong.FOREIGN, Wrong.NAMELESS])
def test_no_read_shares_a_connection_with_a_write(wrong: Wrong | None) -> None:
    def choose(request: Request, _status: int) -> Wrong | None:
        return wrong if request.method == "PATCH" else None

    server = Mixing(dict(TRUTH), choose)

    async def work(client: Client) -> None:
        for key in KEYS[:2]:
            await client.write(key, desired=not TRUTH[key])
            assert (await client.read_back(key))[0] is not TRUTH[key]

    ask(server, work)
    by_method = {
        method: {each.connection for each in server.requests if each.method == method}
        for method in ("GET", "PATCH")
    }
    assert by_method["GET"].isdisjoint(by_method["PATCH"])
    assert sum(each.method == "PATCH" for each in server.requests) == 2


def test_a_row_fails_if_its_responses_are_always_about_another() -> None:
    server = Mixing(
        dict(TRUTH), lambda request, _status: Wrong.FOREIGN if request.key == KEYS[2] else None
    )
    stop = Stop()

    async def work(client: Client) -> None:
        assert (await client.state(KEYS[1]))[0] is TRUTH[KEYS[1]]
        with pytest.raises(RowFailed, match="another profile, 3 times") as failed:
            await client.state(KEYS[2])
        assert failed.value.reason is Reason.WRONG_PROFILE
        assert (failed.value.attempts, failed.value.passing) == (3, False)
        assert (await client.state(KEYS[3]))[0] is TRUTH[KEYS[3]]

    ask(server, work, stop)
    tried = [each.connection for each in server.requests if each.key == KEYS[2]]
    assert len(set(tried)) == len(tried) == 3
    assert stop.cause is None


def test_mixed_up_responses_to_several_requests_end_the_run() -> None:
    wrongs = [Wrong.FOREIGN, None] * 3
    server = Mixing(dict(TRUTH), one_by_one(wrongs))
    stop = Stop()

    async def work(client: Client) -> None:
        for key in KEYS[:2]:
            assert (await client.state(key))[0] is TRUTH[key]
        assert stop.cause is None
        with pytest.raises(RowFailed) as failed:
            await client.state(KEYS[2])
        assert failed.value.outcome is Outcome.PENDING

    ask(server, work, stop)
    assert isinstance(stop.cause, StoppedEarly)
    assert "a proxy, a cache or a load balancer" in str(stop.cause)


def test_a_late_copy_of_not_found_makes_no_profile_unknown() -> None:
    server = Mixing(dict(TRUTH), lambda _request, status: Wrong.LATE if status == 404 else None)

    async def work(client: Client) -> None:
        with pytest.raises(RowFailed) as failed:
            await client.state("@gone")
        assert failed.value.outcome is Outcome.NOT_FOUND
        assert (await client.state(KEYS[0]))[0] is TRUTH[KEYS[0]]

    ask(server, work)
    assert [each.key for each in server.requests] == ["@gone", KEYS[0], KEYS[0]]


def test_two_unknown_profiles_are_not_found() -> None:
    server = Mixing(dict(TRUTH))

    async def work(client: Client) -> list[int]:
        attempts = []
        for key in ("@gone", "@away"):
            with pytest.raises(RowFailed) as failed:
                await client.state(key)
            assert failed.value.outcome is Outcome.NOT_FOUND
            attempts.append(failed.value.attempts)
        return attempts

    assert ask(server, work) == [1, 2]
    assert [each.connection for each in server.requests] == [1, 1, 2]


def test_a_late_copy_of_a_profile_is_not_its_state() -> None:
    server = Mixing(dict(TRUTH), one_by_one([Wrong.LATE]))

    async def work(client: Client) -> None:
        assert (await client.state(KEYS[0]))[0] is TRUTH[KEYS[0]]
        await client.write(KEYS[0], desired=not TRUTH[KEYS[0]])
        assert (await client.read_back(KEYS[0]))[0] is not TRUTH[KEYS[0]]

    ask(server, work)
    assert [each.method for each in server.requests] == ["GET", "PATCH", "GET", "GET"]


def test_changes_refused_with_the_same_message_are_retried_once_at_most() -> None:
    server = Mixing(dict(TRUTH), refused=frozenset(KEYS))

    async def work(client: Client) -> list[RowFailed]:
        failures = []
        for key in KEYS:
            with pytest.raises(RowFailed) as caught:
                await client.write(key, desired=not TRUTH[key])
            failures.append(caught.value)
        return failures

    stop = Stop()
    failures = ask(server, work, stop)
    assert {(failed.reason, failed.holds) for failed in failures} == {
        (Reason.HTTP_400, holds) for holds in TRUTH.values()
    }
    changes = [each.key for each in server.requests if each.method == "PATCH"]
    assert max(changes.count(key) for key in KEYS) == 2
    assert not stop.is_requested
    assert server.states == TRUTH


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_a_page_larger_than_the_buffers_is_read_whole(encoding: str) -> None:
    listed = [{"PKey": f"@{number}", "ccpaOptOut": True, "x": "y" * 300} for number in range(5000)]
    body = json.dumps({"content": listed}).encode()
    body = gzip.compress(body) if encoding == "gzip" else body
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while await reader.readuntil(b"\r\n\r\n"):
                writer.write(head.encode() + body)
        writer.close()

    async def read() -> list[int]:
        async with asyncio.timeout(60), await asyncio.start_server(respond, "127.0.0.1") as server:
            port = server.sockets[0].getsockname()[1]
            credentials = Credentials("key", access_token=Secret("token"))
            connection = Connection(f"http://127.0.0.1:{port}", "acme", credentials)
            async with connected(connection, Pace(retries=0), Stop()) as client:
                pages = [await client.listing.first("x", 5000) for _ in range(2)]
                return [len(page.profiles) for page in pages]

    assert asyncio.run(read()) == [5000, 5000]
