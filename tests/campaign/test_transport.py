"""Conditions beyond the simulator: other hosts, proxies, TLS, and servers that lie."""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import trustme
from yarl import URL

from bulk_sync.campaign.client import Client, connected
from bulk_sync.campaign.connections import Proxy, proxy_for
from bulk_sync.errors import AccessDenied, RowFailed, StoppedEarly, UsageProblem
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Credentials, Pace, Secret
from bulk_sync.stopping import Stop

PROFILE = b'{"PKey":"@a","ccpaOptOut":true}'


class Server(ThreadingHTTPServer):
    """A server with the same response for every request; it remembers requests."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = (status, body, headers)
        self.requests: list[tuple[str, dict[str, str]]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.requests.append((self.path, dict(self.headers)))
        status, body, headers = self.server.answer
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - the name that http.server calls
    do_CONNECT = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_arguments: Any) -> None:
        return


@contextmanager
def serving(
    status: int = 200,
    body: bytes = PROFILE,
    context: ssl.SSLContext | None = None,
    **headers: str,
) -> Iterator[Server]:
    with Server(status, body, headers) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def read(endpoint: str, ca_file: Path | None = None) -> tuple[bool, int]:
    connection = Connection(
        endpoint,
        "acme",
        Credentials("key", access_token=Secret("t0ken-of-8")),
        api="profileAndServices",
        ca_file=ca_file,
    )

    async def inside() -> tuple[bool, int]:
        async with connected(
            connection, Pace(retries=0, timeout_s=5, patience_s=0.2), Stop()
        ) as client:
            return await _state(client)

    return asyncio.run(inside())


async def _state(client: Client) -> tuple[bool, int]:
    return await client.state("@a")


def test_a_redirect_is_not_followed() -> None:
    with (
        serving() as elsewhere,
        serving(302, b"", Location=f"http://{elsewhere.host}/steal") as server,
        pytest.raises(RowFailed) as failed,
    ):
        read(f"http://{server.host}")
    assert failed.value.reason is Reason.REDIRECT
    assert elsewhere.requests == []


def test_a_token_in_a_response_is_removed() -> None:
    with serving(400, b"Bad token t0ken-of-8!") as server, pytest.raises(RowFailed) as failed:
        read(f"http://{server.host}")
    assert "t0ken-of-8" not in failed.value.detail
    assert "***" in failed.value.detail


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b"<html>Bearer t0ken-of-8</html>", {}),
        (200, b'{"PKey":"@a","ccpaOptOut":"t0ken-of-8"}', {}),
        (302, b"", {"Location": "https://elsewhere.example/?token=t0ken-of-8"}),
        (200, PROFILE, {"Bad Header t0ken-of-8": "x"}),
    ],
    ids=["a page", "a state", "a redirect", "a broken header"],
)
def test_a_token_is_removed_wherever_it_is_repeated(
    status: int, body: bytes, headers: dict[str, Any]
) -> None:
    with serving(status, body, **headers) as server, pytest.raises(RowFailed) as failed:
        read(f"http://{server.host}")
    assert "t0ken-of-8" not in failed.value.detail


def test_a_redirect_to_unusual_characters_can_be_reported() -> None:
    with (
        serving(302, b"", Location="/d\xe9connexion") as server,
        pytest.raises(RowFailed) as failed,
    ):
        read(f"http://{server.host}")
    assert failed.value.detail.encode()


@pytest.mark.parametrize(
    "proxy",
    [
        "http://u:p@127.0.0.1:abc",
        "http://127.0.0.1:0",
        "http://a..example:3128",
        f"http://{'a' * 64}.example:3128",
        "http://a b.example:3128",
        "socks5://127.0.0.1:1",
    ],
)
def test_a_proxy_that_cannot_be_used_is_explained(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(UsageProblem, match="https_proxy"):
        read("https://campaign.example")


@pytest.mark.parametrize(
    ("status", "raised", "says"),
    [
        (407, UsageProblem, "asks for a user and password"),
        (403, RowFailed, "did not connect to campaign.example:443 .it answered 403."),
        (500, StoppedEarly, "did not connect to campaign.example:443 .it answered 500."),
    ],
)
def test_a_proxy_is_named_and_is_shown_its_own_credentials_and_not_the_token(
    monkeypatch: pytest.MonkeyPatch, status: int, raised: type[Exception], says: str
) -> None:
    with serving(status, b"") as proxy:
        monkeypatch.setenv("https_proxy", f"http://user:pa55word@{proxy.host}")
        with pytest.raises(raised, match=says) as failed:
            read("https://campaign.example")
    assert f"The proxy {proxy.host} " in str(failed.value)
    assert "pa55word" not in str(failed.value)
    path, headers = proxy.requests[0]
    assert path == "campaign.example:443"
    assert headers["Proxy-Authorization"] == "Basic dXNlcjpwYTU1d29yZA=="
    assert "Authorization" not in headers


def test_a_proxy_may_want_a_user_without_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user@proxy.example:3128")
    headers = {"Proxy-Authorization": "Basic dXNlcjo="}
    assert proxy_for("https://mc.adobe.io") == Proxy(URL("http://proxy.example:3128"), headers)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_plain_http_never_goes_through_a_proxy(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    with serving() as server, serving() as proxy:
        for name in ("http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, f"http://{proxy.host}")
        monkeypatch.setenv("no_proxy", "")
        assert read(f"http://{server.host.replace('127.0.0.1', host)}") == (True, 1)
    assert proxy.requests == []


def test_https_to_this_machine_goes_through_the_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(407, b"") as proxy:
        monkeypatch.setenv("https_proxy", f"http://{proxy.host}")
        with pytest.raises(UsageProblem, match="asks for a user and password"):
            read("https://localhost:1")
        monkeypatch.setenv("no_proxy", "localhost")
        assert proxy_for("https://localhost:1") == Proxy()


@pytest.mark.parametrize(
    ("no_proxy", "is_direct"),
    [
        ("mc.adobe.io", True),
        ("other.example, mc.adobe.io", True),
        (".adobe.io", True),
        ("adobe.io", True),
        ("MC.Adobe.IO", True),
        ("mc.adobe.io:443", True),
        ("*", True),
        ("mc.adobe.io:8443", False),
        ("dobe.io", False),
        ("[::1]", False),
        ("", False),
    ],
)
def test_no_proxy_is_heeded_in_its_usual_forms(
    monkeypatch: pytest.MonkeyPatch, no_proxy: str, is_direct: bool
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", no_proxy)
    assert (proxy_for("https://mc.adobe.io") == Proxy()) is is_direct


def test_credentials_of_a_netrc_file_are_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving() as server:
        assert read(f"http://{server.host}") == (True, 1)
    assert server.requests[0][1]["Authorization"] == "Bearer t0ken-of-8"


def test_a_file_without_certificates_is_named_without_the_words_of_openssl(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("PKey,ccpaOptOut\n")
    with pytest.raises(UsageProblem, match=r"ca.pem: it holds no certificate in PEM\. Name the"):
        read("https://127.0.0.1:9", tmp_path / "ca.pem")


def test_a_certificate_is_verified_and_a_private_ca_can_be_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with serving(context=context) as server:
        with pytest.raises(UsageProblem, match="--ca-file"):
            read(f"https://{server.host}")
        assert server.requests == []
        assert read(f"https://{server.host}", ca_file) == (True, 1)


def test_a_ca_file_without_certificates_is_refused(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("nothing")
    with pytest.raises(UsageProblem, match=r"ca\.pem"):
        read("https://127.0.0.1:1", ca_file)


@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_part_of_a_long_token_is_shown_where_an_answer_is_cut_short(status: int) -> None:
    token = "eyJ" + "abcdefghij" * 100
    with serving(status, f"<p>no: Bearer {token}</p>".encode()) as server:
        connection = Connection(
            f"http://{server.host}", "acme", Credentials("key", access_token=Secret(token)), api="x"
        )

        async def inside() -> None:
            async with connected(connection, Pace(retries=0), Stop()) as client:
                await client.state("@a")

        with pytest.raises(RowFailed) as failed:
            asyncio.run(inside())
    assert "no: Bearer ***" in failed.value.detail
    assert "eyJ" not in failed.value.detail


@pytest.mark.parametrize("token", ["t", "PKey", "true"])
def test_a_token_that_occurs_in_data_leaves_them_alone(token: str) -> None:
    with serving() as server:
        connection = Connection(
            f"http://{server.host}", "acme", Credentials("key", access_token=Secret(token)), api="x"
        )

        async def inside() -> tuple[bool, int]:
            async with connected(connection, Pace(retries=0), Stop()) as client:
                return await _state(client)

        assert asyncio.run(inside()) == (True, 1)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (200, b"access_token=eyJmade-up&expires_in=3600", "usable token"),
        (200, b'{"access_token": "eyJmade up", "expires_in": 3600}', "usable token"),
        (200, b'{"access_token": 7, "expires_in": 3600}', "usable token"),
        (400, b"access_token=eyJmade-up&expires_in=3600", "400: no text"),
        (403, b'{"access_token": "eyJmade-up", "expires_in": 3600}', "403: no text"),
        (503, b'{"access_token" : "eyJmade', "503: no text"),
        (401, b'{"error": "no access_token for you"}', "no access_token for you"),
    ],
)
def test_a_token_from_ims_is_never_quoted(status: int, body: bytes, message: str) -> None:
    with serving() as server:
        server.answer = (status, body, {})
        ims = f"http://{server.host}"
        credentials = Credentials("key", client_secret=Secret("s3cret"), ims_endpoint=ims)
        connection = Connection(f"http://{server.host}", "acme", credentials)

        async def inside() -> None:
            async with connected(connection, Pace(retries=0), Stop()) as client:
                await client.state("@a")

        with pytest.raises((RowFailed, AccessDenied)) as failed:
            asyncio.run(inside())
    assert message in str(failed.value)
    assert "eyJ" not in str(failed.value)


def test_a_token_is_taken_from_any_good_response() -> None:
    body = b'{"access_token": "eyJmade-up", "PKey": "@a", "ccpaOptOut": true}'
    with serving(201, body) as server:
        credentials = Credentials(
            "key", client_secret=Secret("s3cret"), ims_endpoint=f"http://{server.host}"
        )
        connection = Connection(f"http://{server.host}", "acme", credentials)

        async def inside() -> tuple[bool, int]:
            async with connected(connection, Pace(retries=0), Stop()) as client:
                return await _state(client)

        assert asyncio.run(inside()) == (True, 1)


def test_a_page_of_nothing_but_brackets_is_read_at_once() -> None:
    with serving(400, b"<" * 3_000_000) as server, pytest.raises(RowFailed) as failed:
        read(f"http://{server.host}")
    assert len(failed.value.detail) < 400
