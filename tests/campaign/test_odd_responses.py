"""Answers with too large bodies, with long headers, or with text that is not strict JSON."""

import asyncio
import gzip
import tracemalloc
from collections.abc import Awaitable, Callable
from typing import TypeVar

import orjson
import pytest
from test_transport import serving

from bulk_sync.campaign import transport
from bulk_sync.campaign.client import Client, connected
from bulk_sync.campaign.responses import Response, document
from bulk_sync.errors import RetryLater, RowFailed
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Credentials, Pace, Secret
from bulk_sync.stopping import Stop

T = TypeVar("T")
GOOD = b'{"PKey": "@a", "ccpaOptOut": true, "firstName": "'


def ask(
    body: bytes,
    headers: dict[str, str],
    work: Callable[[Client], Awaitable[T]],
    *,
    status: int = 200,
    fetches_token: bool = False,
) -> T:
    async def inside(host: str) -> T:
        ready, secret = Secret("token"), Secret("s3cret")
        credentials = Credentials("key", access_token=ready)
        if fetches_token:
            credentials = Credentials("key", client_secret=secret, ims_endpoint=f"http://{host}")
        connection = Connection(f"http://{host}", "acme", credentials, api="profileAndServices")
        async with connected(connection, Pace(retries=0), Stop()) as client:
            return await work(client)

    with serving(status, body, None, **headers) as server:
        return asyncio.run(inside(server.host))


def state(client: Client) -> Awaitable[tuple[bool, int]]:
    return client.state("@a")


@pytest.mark.parametrize("is_packed", [False, True])
def test_a_response_that_is_too_large_is_not_read_to_its_end(*, is_packed: bool) -> None:
    body = GOOD + b"a" * 50_000_000 + b'"}'
    headers = {"Content-Encoding": "gzip"} if is_packed else {}
    body = gzip.compress(body, 1) if is_packed else body
    tracemalloc.start()
    with pytest.raises(RowFailed, match=r"larger than 1\.0 MB") as failed:
        ask(body, headers, state)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert failed.value.reason is Reason.BAD_ANSWER
    assert most < 20_000_000


def test_a_page_may_be_as_large_as_its_profiles_need() -> None:
    profile = {"PKey": "@a", "ccpaOptOut": True, "text": "a" * 7_000}
    body = orjson.dumps({"content": [profile] * 1_000})
    page = ask(body, {}, lambda client: client.listing.first("profileAndServices", 1_000))
    assert len(page.profiles) == 1_000


def test_a_page_that_is_too_large_is_read_again_as_smaller_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transport, "_MOST_BYTES", 1_000)
    monkeypatch.setattr(transport, "_MOST_OF_ONE", 10)
    body = orjson.dumps({"content": [{"PKey": "@a", "ccpaOptOut": True, "text": "a" * 5_000}]})
    with serving(200, body) as server:
        connection = Connection(
            f"http://{server.host}", "acme", Credentials("key", access_token=Secret("token"))
        )

        async def inside() -> None:
            async with connected(connection, Pace(retries=0), Stop()) as client:
                await client.listing.first("profileAndServices", 400)

        with pytest.raises(RowFailed, match="larger than"):
            asyncio.run(inside())
        sizes = [path.partition("_lineCount=")[2].partition("&")[0] for path, _ in server.requests]
    assert sizes == ["400", "100", "25"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Security-Policy": "x" * 60_000},
        {f"Set-Cookie{number}": "y" * 1_000 for number in range(60)},
        {f"X-{number}": "v" for number in range(200)},
    ],
    ids=["one long one", "long in all", "many"],
)
def test_long_headers_are_no_obstacle(
    headers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("http.client._MAXHEADERS", 1_000)
    assert ask(GOOD + b'"}', headers, state) == (True, 1)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        (rb"x\ud83d", "x\ufffd"),
        (rb"\udc00x", "\ufffdx"),
        (rb"\ud83d\ude00", "\U0001f600"),
        (rb"\\ud83d\t", "\\ud83d\t"),
        (rb"\ud83d\ud83d\ude00", "\ufffd\U0001f600"),
        (b"Andr\xe9", "Andr\ufffd"),
        (b"a\tb\nc\x00", "a\tb\nc\x00"),
        (rb"\"\ud83d\"", '"\ufffd"'),
    ],
    ids=str,
)
def test_a_string_that_is_not_json_does_not_spoil_the_other_fields(name: bytes, read: str) -> None:
    body = b'{\n\t"PKey": "@a",\r\n\t"firstName": "' + name + b'", "ccpaOptOut": true}'
    assert document(Response(200, body)) == {"PKey": "@a", "firstName": read, "ccpaOptOut": True}


@pytest.mark.parametrize("is_ims_too", [False, True])
def test_a_byte_order_mark_before_a_response_does_not_count(*, is_ims_too: bool) -> None:
    token = b'"access_token": "t", ' if is_ims_too else b""
    body = b'\xef\xbb\xbf{%b"PKey": "@a", "ccpaOptOut": true}' % token
    assert ask(body, {}, state, fetches_token=is_ims_too) == (True, 1)


def test_a_byte_order_mark_before_an_error_does_not_count() -> None:
    body = b'\xef\xbb\xbf{"error_code": "RST-360012", "message": "No."}'
    with pytest.raises(RowFailed, match="400: RST-360012 No"):
        ask(body, {}, state, status=400)


@pytest.mark.parametrize(
    "body", [b'{"PKey": "@a", "email": "jo@x.com"', b"jo@x.com", b'["jo@x.com"', b"{'a': 1}", b""]
)
def test_a_body_that_is_not_json_is_not_quoted(body: bytes) -> None:
    with pytest.raises(RetryLater) as refused:
        document(Response(200, body))
    assert "jo@x.com" not in refused.value.detail


def test_a_page_of_a_proxy_is_quoted_without_its_markup() -> None:
    with pytest.raises(RetryLater, match="no JSON: Sign in to the network"):
        document(Response(200, b"<html><h1>Sign in to the network</h1></html>"))
