"""Refusals of a write by one profile, a proxy or a gateway, and the end of the run."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import orjson
import pytest
from conftest import Run, key, read_csv, write_states

Answer = tuple[int, bytes]


class Far(ThreadingHTTPServer):
    """A server with profiles; ``writing`` may replace the answer to a write."""

    def __init__(self, rows: int, writing: Callable[[str], Answer | None]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.states = {key(number): False for number in range(rows)}
        self.writing = writing

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Far
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        name = unquote(urlsplit(self.path).path.rpartition("/")[2])
        states = self.server.states
        if name == "profile":
            name = next(iter(states))
            content: object = {"content": [profile(name, states)], "count": {"value": len(states)}}
        else:
            content = profile(name, states)
        self.respond(200, orjson.dumps(content))

    def do_PATCH(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        name = unquote(self.path.rpartition("/")[2])
        refusal = self.server.writing(name)
        if refusal is None:
            self.server.states[name] = orjson.loads(body)["ccpaOptOut"]
            refusal = 200, orjson.dumps({"PKey": name, "href": self.path})
        self.respond(*refusal)

    def do_CONNECT(self) -> None:
        self.respond(407, b"")

    def respond(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: Any) -> None:
        return


def profile(name: str, states: dict[str, bool]) -> dict[str, object]:
    return {"PKey": name, "ccpaOptOut": states[name], "href": name}


@contextmanager
def serving(rows: int, writing: Callable[[str], Answer | None]) -> Iterator[Far]:
    with Far(rows, writing) as far:
        thread = threading.Thread(target=far.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield far
        finally:
            far.shutdown()
            thread.join()


@pytest.fixture
def connected(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Set an endpoint and credentials for every command of a test."""

    def named(endpoint: str) -> None:
        names = {"ENDPOINT": endpoint, "ORGANIZATION": "acme", "API_KEY": "k"}
        for name, value in {**names, "ACCESS_TOKEN": "a-token-of-these-tests"}.items():
            monkeypatch.setenv(f"BULK_SYNC_{name}", value)

    return named


WORDS = ("--fetch", "lookup", "--report", "r.csv", "--concurrency", 2)


def outcomes(tmp_path: Path) -> list[str]:
    return [row["sync_outcome"] for row in read_csv(tmp_path / "r.csv")]


@pytest.mark.parametrize(
    "text",
    [
        b"The document is read-only: locked by operator jdoe",
        b"RST-360011 value of property is not valid for this profile",
    ],
)
@pytest.mark.parametrize("number", [0, 19])
def test_a_profile_that_cannot_be_written_is_a_failed_row(
    tmp_path: Path, run: Run, connected: Callable[[str], None], text: bytes, number: int
) -> None:
    with serving(20, lambda name: (500, text) if name == key(number) else None) as far:
        connected(f"http://{far.host}")
        ran = run(None, "run", write_states(tmp_path / "in.csv", 20), *WORDS)
        assert ran.status == 3, ran.err
    assert outcomes(tmp_path) == ["failed" if row == number else "updated" for row in range(20)]


def test_an_attribute_that_cannot_be_written_stops_the_run(
    tmp_path: Path, run: Run, connected: Callable[[str], None]
) -> None:
    with serving(20, lambda _: (500, b"Cannot update: ccpaOptOut is read-only")) as far:
        connected(f"http://{far.host}")
        ran = run(None, "run", write_states(tmp_path / "in.csv", 20), *WORDS)
        assert ran.status == 6
        assert "--attribute" in ran.err
        assert "pending" in outcomes(tmp_path)


def test_a_proxy_that_wants_credentials_is_a_wrong_setting_before_anything_was_sent(
    tmp_path: Path,
    run: Run,
    connected: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving(3, lambda _: None) as far:
        connected("https://campaign.example")
        monkeypatch.setenv("https_proxy", f"http://jane:pa55word@{far.host}")
        ran = run(None, "run", write_states(tmp_path / "in.csv", 3), *WORDS)
    assert ran.status == 2
    assert f"The proxy {far.host} asks for a user and password" in ran.err
    assert "pa55word" not in ran.out + ran.err
    assert outcomes(tmp_path) == ["pending"] * 3


def test_a_proxy_that_wants_credentials_during_a_run_leaves_it_to_resume(
    tmp_path: Path, run: Run, connected: Callable[[str], None]
) -> None:
    wants = threading.Event()

    def writing(name: str) -> Answer | None:
        if name == key(9):
            wants.set()
        return (407, b"") if wants.is_set() else None

    with serving(20, writing) as far:
        connected(f"http://{far.host}")
        ran = run(None, "run", write_states(tmp_path / "in.csv", 20), *WORDS)
        assert ran.status == 6, ran.err
        assert "407" in ran.err
        assert {"updated", "pending"} == set(outcomes(tmp_path))
        far.writing = lambda _: None
        assert run(None, "resume").status == 0
        assert set(far.states.values()) == {True}


@pytest.mark.parametrize("is_empty", [False, True], ids=["with the profile", "without a body"])
@pytest.mark.parametrize(
    ("is_made", "outcome", "status"), [(True, "updated", 0), (False, "failed", 3)]
)
def test_a_change_that_was_only_accepted_is_read_back(
    tmp_path: Path,
    run: Run,
    connected: Callable[[str], None],
    outcome: str,
    status: int,
    *,
    is_made: bool,
    is_empty: bool,
) -> None:
    def writing(name: str) -> Answer:
        far.states[name] = is_made
        return 202, b"" if is_empty else orjson.dumps({"PKey": name, "href": name})

    with serving(3, writing) as far:
        connected(f"http://{far.host}")
        path = write_states(tmp_path / "in.csv", 3)
        ran = run(None, "run", path, *WORDS, "--retries", 0)
        assert ran.status == status, ran.err
    assert outcomes(tmp_path) == [outcome] * 3
