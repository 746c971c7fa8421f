"""The state in the report after a write was refused, or had no clear answer."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import orjson
import pytest
from conftest import Run, key, populate, read_csv, write_states

from bulk_sync.simulator import Simulator

Answer = tuple[int, bytes]

GONE = 404, b'{"error_code":"404","message":"Unable to find document"}'
BROKEN = 500, b'{"error_code":"RST-360011","message":"An error has occurred"}'
ENUMERATION = 500, b'{"error_code":"RST-360012","message":"no value of the enumeration"}'
UNREADABLE = 200, b"<html>Sign in</html>"


class Campaign(ThreadingHTTPServer):
    """Three profiles without an opt-out; the second one answers a PATCH as given.

    Attributes:
        refusal: the answer to the PATCH.
        acts: whether the PATCH is applied all the same.
        read_back: the answer to every later GET of this profile; None for its state.
    """

    daemon_threads = True

    def __init__(self, refusal: Answer, read_back: Answer | None, *, acts: bool) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.states = {key(number): False for number in range(3)}
        self.refusal, self.read_back, self.acts = refusal, read_back, acts
        self.is_refused = False

    def answer(self, method: str, pkey: str, body: bytes) -> Answer:
        if pkey == "profile":
            content = [{"PKey": each, "ccpaOptOut": state} for each, state in self.states.items()]
            return 200, orjson.dumps({"content": content, "count": {"value": len(content)}})
        is_odd = pkey == key(1)
        if method == "PATCH":
            if not is_odd or self.acts:
                self.states[pkey] = orjson.loads(body)["ccpaOptOut"]
            self.is_refused |= is_odd
            return self.refusal if is_odd else (200, orjson.dumps({"PKey": pkey}))
        if is_odd and self.is_refused and self.read_back is not None:
            return self.read_back
        return 200, orjson.dumps({"PKey": pkey, "ccpaOptOut": self.states[pkey]})


class Handler(BaseHTTPRequestHandler):
    server: Campaign
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        last = unquote(self.path.partition("?")[0].rstrip("/").rpartition("/")[2])
        status, content = self.server.answer(self.command, last, body)
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_PATCH = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, *_arguments: Any) -> None:
        return


@contextmanager
def campaign(refusal: Answer, read_back: Answer | None = None, *, acts: bool) -> Iterator[str]:
    with Campaign(refusal, read_back, acts=acts) as server:
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            serving.join()


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"ORGANIZATION": "acme", "API_KEY": "k", "ACCESS_TOKEN": "token-1"}.items():
        monkeypatch.setenv(f"BULK_SYNC_{name}", value)


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize(
    ("refusal", "read_back", "outcome", "after"),
    [
        ((400, b'{"message":"no"}'), None, "failed", "false"),
        ((403, b"You may not"), None, "failed", "false"),
        (GONE, None, "not_found", "false"),
        (ENUMERATION, None, "failed", "false"),
        (BROKEN, None, "failed", "false"),
        (UNREADABLE, None, "failed", "false"),
        (BROKEN, GONE, "not_found", ""),
        (BROKEN, ENUMERATION, "failed", ""),
        (BROKEN, BROKEN, "failed", ""),
    ],
    ids=[
        "400",
        "403",
        "404",
        "an error that says never",
        "500, and the profile still has the old state",
        "no JSON, and the profile still has the old state",
        "500, and gone when read back",
        "500, and refused when read back",
        "500, and it cannot be read back",
    ],
)
def test_the_state_after_a_refused_write_is_reported_if_it_is_known(
    refusal: Answer, read_back: Answer | None, outcome: str, after: str, tmp_path: Path, run: Run
) -> None:
    with campaign(refusal, read_back, acts=False) as url:
        path = write_states(tmp_path / "in.csv", 3)
        ran = run(None, "run", path, "--endpoint", url, "--retries", 1)
    assert ran.status == 3, ran.err
    assert [row["sync_outcome"] for row in ran.report] == ["updated", outcome, "updated"]
    assert [row["sync_before"] for row in ran.report] == ["false"] * 3
    assert [row["sync_after"] for row in ran.report] == ["true", after, "true"]


@pytest.mark.usefixtures("account")
def test_a_confirmed_write_not_found_when_read_back_has_the_old_state(
    tmp_path: Path, run: Run
) -> None:
    stored = 200, orjson.dumps({"PKey": key(1), "ccpaOptOut": False})
    confirmed = 200, orjson.dumps({"PKey": key(1)})
    with campaign(confirmed, stored, acts=True) as url:
        path = write_states(tmp_path / "in.csv", 3)
        ran = run(None, "run", path, "--endpoint", url, "--verify")
    assert ran.report[1]["sync_reason"] == "not_stored"
    assert ran.report[1]["sync_after"] == "false"


def test_a_refused_write_keeps_its_state_through_resume(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 6)
    sim.forbidden.add(key(0))
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 11, "--report", "r.csv")
    assert run(sim, "run", write_states(tmp_path / "in.csv", 6), *words).status == 6
    before = read_csv(tmp_path / "r.csv")
    assert before[0]["sync_outcome"] == "failed"
    assert run(sim, "resume", "--max-calls", 100).status == 3
    after = read_csv(tmp_path / "r.csv")
    assert [row["sync_after"] for row in after] == ["false", *["true"] * 5]
    assert [(row["sync_reason"], row["sync_attempts"]) for row in (before[0], after[0])] == [
        ("http_403", "1")
    ] * 2
    assert before[0]["sync_detail"] == after[0]["sync_detail"]
