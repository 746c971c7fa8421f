"""What the simulator does not do: other hosts, proxies, TLS, and servers that lie."""

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

from bulk_sync.campaign.client import Client, connected
from bulk_sync.errors import AccessDenied, RowFailed, UsageProblem
from bulk_sync.outcomes import Reason
from bulk_sync.settings import Connection, Pace, Secret
from bulk_sync.stopping import Stop

PROFILE = b'{"PKey":"@a","ccpaOptOut":true}'


class Server(ThreadingHTTPServer):
    """Answers every request with what it was told, and remembers what it was asked."""

    def __init__(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = (status, body, headers)
        self.asked: list[tuple[str, dict[str, str]]] = []

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
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
        "key",
        access_token=Secret("t0ken"),
        api="profileAndServices",
        ca_file=ca_file,
    )

    async def inside() -> tuple[bool, int]:
        async with connected(connection, Pace(retries=0, timeout_s=5), Stop()) as client:
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
    assert elsewhere.asked == []


def test_a_token_that_an_answer_repeats_is_blotted_out() -> None:
    with serving(400, b"Bad token t0ken!") as server, pytest.raises(RowFailed) as failed:
        read(f"http://{server.host}")
    assert "t0ken" not in failed.value.detail
    assert "***" in failed.value.detail


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (200, b"<html>Bearer t0ken</html>", {}),
        (200, b'{"PKey":"@a","ccpaOptOut":"t0ken"}', {}),
        (302, b"", {"Location": "https://elsewhere.example/?token=t0ken"}),
        (200, PROFILE, {"Bad Header t0ken": "x"}),
    ],
    ids=["a page", "a state", "a redirect", "a broken header"],
)
def test_a_token_is_blotted_out_wherever_it_is_repeated(
    status: int, body: bytes, headers: dict[str, Any]
) -> None:
    with serving(status, body, **headers) as server, pytest.raises(RowFailed) as failed:
        read(f"http://{server.host}")
    assert "t0ken" not in failed.value.detail


def test_a_redirect_to_a_place_of_odd_letters_can_still_be_told() -> None:
    with (
        serving(302, b"", Location="/d\xe9connexion") as server,
        pytest.raises(RowFailed) as failed,
    ):
        read(f"http://{server.host}")
    assert failed.value.detail.encode()


@pytest.mark.parametrize("proxy", ["http://u:p@127.0.0.1:abc", "socks5://127.0.0.1:1"])
def test_a_proxy_that_cannot_be_used_is_explained(
    monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setenv("no_proxy", "")
    with pytest.raises(UsageProblem, match="http_proxy"):
        read("http://campaign.localhost")


def test_the_environment_s_proxy_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
        monkeypatch.setenv("no_proxy", "")
        assert read("http://campaign.localhost") == (True, 1)
    path, _ = proxy.asked[0]
    assert path == "http://campaign.localhost/acme/campaign/profileAndServices/profile/%40a"


def test_a_proxy_is_shown_its_own_credentials_and_not_the_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(502, b"") as proxy:
        monkeypatch.setenv("https_proxy", f"http://user:pass@{proxy.host}")
        monkeypatch.setenv("no_proxy", "")
        with pytest.raises(RowFailed) as failed:
            read("https://campaign.example")
    assert failed.value.reason is Reason.CONNECTION
    path, headers = proxy.asked[0]
    assert path == "campaign.example:443"
    assert headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"
    assert "Authorization" not in headers


def test_a_host_that_needs_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving() as server, serving() as proxy:
        monkeypatch.setenv("http_proxy", f"http://{proxy.host}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        assert read(f"http://{server.host}") == (True, 1)
    assert proxy.asked == []


def test_credentials_of_a_netrc_file_are_not_taken(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password something\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with serving() as server:
        assert read(f"http://{server.host}") == (True, 1)
    assert server.asked[0][1]["Authorization"] == "Bearer t0ken"


def test_a_certificate_is_verified_and_a_private_ca_can_be_named(tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with serving(context=context) as server:
        with pytest.raises(UsageProblem, match="--ca-file"):
            read(f"https://{server.host}")
        assert server.asked == []
        assert read(f"https://{server.host}", ca_file) == (True, 1)


def test_a_ca_file_without_certificates_is_refused(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("nothing")
    with pytest.raises(UsageProblem, match=r"ca\.pem"):
        read("https://127.0.0.1:1", ca_file)


def test_a_server_that_is_not_there_is_a_lost_connection() -> None:
    with serving() as server:
        host = server.host
    with pytest.raises(RowFailed) as failed:
        read(f"http://{host}")
    assert failed.value.reason is Reason.CONNECTION


def test_rows_forbidden_one_after_the_other_end_the_run() -> None:
    async def inside(connection: Connection) -> int:
        failed = 0
        async with connected(connection, Pace(), Stop()) as client:
            while True:
                try:
                    await client.state("@a")
                except RowFailed:
                    failed += 1
                except AccessDenied:
                    return failed

    with serving(403, b"You do not have the rights needed") as server:
        connection = Connection(f"http://{server.host}", "acme", "key", access_token=Secret("t"))
        assert asyncio.run(inside(connection)) == 4
    assert len(server.asked) == 5


@pytest.mark.parametrize("status", [200, 400, 500])
def test_no_part_of_a_long_token_is_shown_where_an_answer_is_cut_short(status: int) -> None:
    token = "eyJ" + "abcdefghij" * 100
    with serving(status, f"<p>no: Bearer {token}</p>".encode()) as server:
        connection = Connection(
            f"http://{server.host}", "acme", "key", access_token=Secret(token), api="x"
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
            f"http://{server.host}", "acme", "key", access_token=Secret(token), api="x"
        )

        async def inside() -> tuple[bool, int]:
            async with connected(connection, Pace(retries=0), Stop()) as client:
                return await _state(client)

        assert asyncio.run(inside()) == (True, 1)


def test_what_ims_gave_is_never_quoted() -> None:
    with serving() as server:
        form = b"access_token=eyJmade-up&expires_in=3600"
        server.answer = (200, form, {})
        connection = Connection(
            f"http://{server.host}", "acme", "key",
            client_secret=Secret("s3cret"), ims_endpoint=f"http://{server.host}",
        )  # fmt: skip

        async def inside() -> None:
            async with connected(connection, Pace(retries=0), Stop()) as client:
                await client.state("@a")

        with pytest.raises(RowFailed) as failed:
            asyncio.run(inside())
    assert "usable token" in failed.value.detail
    assert "eyJ" not in failed.value.detail


def test_a_page_of_nothing_but_brackets_is_read_at_once() -> None:
    with serving(400, b"<" * 3_000_000) as server, pytest.raises(RowFailed) as failed:
        read(f"http://{server.host}")
    assert len(failed.value.detail) < 400
