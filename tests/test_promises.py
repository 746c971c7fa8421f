"""The seven promises of the manual, each tested in its hardest case; one section for each.

Power cuts are in ``test_durability.py``, and kills at random moments in ``test_resume.py``.
"""

import csv
import json
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote
from urllib.request import Request as Call
from urllib.request import urlopen

import pytest
from conftest import Ran, Run, key, populate, process, read_csv, write_states

from bulk_sync import ledger
from bulk_sync.settings import State
from bulk_sync.simulator import Fault, Options, ReceivedRequest, Simulator, running

ROWS = [
    (key(0), "true", "plain"),
    (key(1), "true", 'a "quoted"\nnote, in two lines'),
    ("", "true", "no key"),
    (key(2), "perhaps", "no state"),
    (key(3), "", "blank"),
    (key(4), "true", "first"),
    (key(4), "true", "the same again"),
    (key(5), "true", "one of two states"),
    (key(5), "false", "the other"),
    (key(900), "true", "unknown to Campaign"),
    (key(6), "true", "may not be written"),
    (key(7), "false", "holds already"),
    (key(8), "false", "an opt-in"),
    (key(9), "VRAI", "=2+3"),
]
HEADER = ("PKey", "ccpaOptOut", "Note")


def key_of(request: ReceivedRequest) -> str:
    """Return the key in the path of a request."""
    return unquote(request.raw_path.rpartition("/")[2])


def every_kind(sim: Simulator, path: Path) -> Path:
    """Fill a simulator, and write a file with a row of every kind."""
    populate(sim, 10)
    sim.profiles[key(8)]["ccpaOptOut"] = True
    sim.forbidden.add(key(6))
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([HEADER, *ROWS])
    return path


# 1. Every input row stands exactly once in the report.

WAYS: dict[str, tuple[str, ...]] = {
    "run": (),
    "dry run": ("--dry-run",),
    "scan": ("--fetch", "scan", "--page-size", "3"),
    "a limit": ("--max-opt-ins", "0"),
    "a budget while reading": ("--fetch", "lookup", "--max-calls", "3"),
    "a budget while writing": ("--fetch", "lookup", "--max-calls", "12"),
    "wrong credentials": ("--api-key", "wrong", "--retries", "1"),
    "no server": ("--endpoint", "http://127.0.0.1:9", "--retries", "0", "--patience", "1"),
}


@pytest.mark.parametrize("words", WAYS.values(), ids=WAYS)
def test_1_every_input_row_stands_once_in_the_report(
    words: tuple[str, ...], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = every_kind(sim, tmp_path / "in.csv")
    ran = run(sim, "run", path, "--summary", "json", *words)
    assert [tuple(row[name] for name in HEADER) for row in ran.report] == ROWS
    assert [int(row["sync_row"]) for row in ran.report] == list(range(2, len(ROWS) + 2))
    assert all(ran.outcomes)
    assert ran.summary["outcomes"] == Counter(ran.outcomes)
    assert ran.summary["rows"] == len(ROWS)


# 2. A row is ``updated`` only after Campaign confirmed the write.

UNCONFIRMED = [
    Fault.TRANSIENT_500, Fault.BAD_GATEWAY_HTML, Fault.UNAVAILABLE_503, Fault.GATEWAY_TIMEOUT_504,
    Fault.THROTTLED_429, Fault.NOT_JSON, Fault.WRONG_JSON, Fault.RESET,
]  # fmt: skip


@pytest.mark.parametrize("fault", UNCONFIRMED)
def test_2_no_row_is_updated_without_an_answer_that_confirms_it(
    fault: Fault, tmp_path: Path, run: Run
) -> None:
    with running(Options(retry_after_s=0)) as sim:
        populate(sim, 12)
        for number in range(0, 12, 2):
            sim.queue_fault(fault, "PATCH", times=10_000, matching=key(number)[1:])
        words = ("--retries", 0, "--patience", 1, "--max-failures", "100%")
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 12), *words)
        assert ran.status in {3, 6}
        rows = {row["PKey"]: row for row in ran.report}
        claimed = {each for each, row in rows.items() if row["sync_outcome"] == "updated"}
        assert claimed <= {each for each, state in sim.states.items() if state is True}
        assert claimed <= {key(number) for number in range(1, 12, 2)}
        assert {rows[each]["sync_outcome"] for each in rows.keys() - claimed} <= {
            "failed",
            "pending",
        }
        if fault is not Fault.RESET:  # a server that cannot be reached may end the run first
            assert claimed


# 3. Killed at any moment, a run loses no outcome: ``resume`` re-reads the writes in
# flight before it writes.


class Killing(list[ReceivedRequest]):
    """The requests of a simulator; one of them kills its sender before the answer."""

    def __init__(self, at: int) -> None:
        super().__init__()
        self.process_id = 0
        self.at = at

    def append(self, request: ReceivedRequest) -> None:
        super().append(request)
        if len(self) == self.at:
            os.kill(self.process_id, signal.SIGKILL)


def writes_of(folder: Path) -> tuple[set[str], set[str]]:
    """Return the keys of the intents in the ledger, and of those with an outcome."""
    with ledger.open_existing(State(folder / "state")) as book:
        assert book is not None
        writes = [write for run in book.runs() for write in book.writes(run.run_id)]
    intended = {write.intent.key for write in writes}
    return intended, {write.intent.key for write in writes if write.settled is not None}


@pytest.mark.parametrize("killed_at", [6, 17, 24])
def test_3_writes_in_flight_at_a_kill_are_read_before_they_are_sent_again(
    killed_at: int, tmp_path: Path, run: Run
) -> None:
    count = 12  # one call to begin, 12 reads, 12 writes
    with running(Options()) as sim:
        populate(sim, count)
        path = write_states(tmp_path / "in.csv", count)
        sim.requests = killing = Killing(killed_at)
        words = ("run", str(path), "-q", "--fetch", "lookup", "--concurrency", "2")
        with process(sim, tmp_path, *words) as killed:
            killing.process_id = killed.pid
        assert killed.returncode == -signal.SIGKILL
        intended, settled = writes_of(tmp_path)
        arrived = [pkey for pkey, _ in sim.patched]
        assert set(arrived) <= intended
        assert settled <= set(arrived)
        for pkey in arrived[::2]:  # the person chooses otherwise before the run is resumed
            if pkey not in settled:
                sim.profiles[pkey]["ccpaOptOut"] = False
        sim.requests = []
        ran = run(sim, "resume")
        assert ran.status == 0, ran.err
        assert ran.outcomes == ["updated"] * count
        assert set(sim.states.values()) == {True}
        first: dict[str, str] = {}
        for request in sim.requests:
            first.setdefault(key_of(request), request.method)
        for pkey in intended - settled:
            assert first.get(pkey) == "GET"
        assert not settled & first.keys()
        assert writes_of(tmp_path)[1] == {key(number) for number in range(count)}


# 4. Writes are absolute values: repeating one does no harm.


def test_4_a_write_sets_an_absolute_state_and_can_be_repeated(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = every_kind(sim, tmp_path / "in.csv")
    run(sim, "run", path)
    desired = {key(0): True, key(1): True, key(4): True, key(6): True, key(8): False, key(9): True}
    sent = [request for request in sim.requests if request.method == "PATCH"]
    bodies = {key_of(each): json.loads(each.body) for each in sent}
    assert bodies == {pkey: {"ccpaOptOut": state} for pkey, state in desired.items()}
    held = dict(sim.states)
    for request in [*sent, *reversed(sent)]:
        if key_of(request) != key(6):  # a profile that may not be written
            url = f"{sim.url}{request.raw_path}"
            headers = dict(request.headers)
            again = Call(url, request.body, headers, method="PATCH")  # noqa: S310 - of the simulator
            with urlopen(again) as answer:  # noqa: S310
                assert answer.status == 200
    assert sim.states == held


# 5. A dry run sends no write. No opt-in passes the limit unseen.


@pytest.mark.parametrize(
    "words",
    [
        ("run", "in.csv", "--dry-run"),
        ("run", "in.csv", "-n", "--verify", "--yes", "--fetch", "lookup"),
        ("run", "people.csv", "--dry-run", "--create"),
        ("plan", "in.csv"),
        ("plan", "in.csv", "--out", "plan.parquet"),
    ],
    ids=" ".join,
)
def test_5_a_dry_run_sends_nothing_but_reads(
    words: tuple[str, ...], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    every_kind(sim, tmp_path / "in.csv")
    (tmp_path / "people.csv").write_text(
        "email,firstName,lastName,ccpaOptOut\np0@example.com,A,B,true\nno@example.com,C,D,true\n"
    )
    held = dict(sim.states)
    ran = run(sim, *words)
    assert ran.status in {0, 3}, ran.err
    assert "opt-outs" in ran.out
    assert {request.method for request in sim.requests} == {"GET"}
    assert sim.states == held


def lifting(sim: Simulator, path: Path, opt_ins: int, rows: int) -> Path:
    """Fill a simulator with opt-outs, and write a file with some opt-ins."""
    populate(sim, rows, state=True)
    lines = [f"{key(number)},{str(number >= opt_ins).lower()}" for number in range(rows)]
    path.write_text("\n".join(["PKey,ccpaOptOut", *lines]))
    return path


Way = Callable[..., Ran]


def by_run(run: Run, sim: Simulator, *words: object) -> Ran:
    return run(sim, "run", "in.csv", *words)


def by_plan(run: Run, sim: Simulator, *words: object) -> Ran:
    run(sim, "plan", "in.csv", "--out", "plan.parquet", "--report", "planned.json")
    return run(sim, "apply", "plan.parquet", *words)


def by_resume(run: Run, sim: Simulator, *words: object) -> Ran:
    stopped = run(sim, "run", "in.csv", "--fetch", "lookup", "--max-calls", 9, "--report", "s.json")
    assert stopped.status == 6
    return run(sim, "resume", "--max-calls", 10_000, *words)


@pytest.mark.parametrize("way", [by_run, by_plan, by_resume])
@pytest.mark.parametrize(
    ("opt_ins", "rows", "words", "limit"),
    [
        (11, 100, (), 10),
        (16, 1500, (), 15),
        (4, 40, ("--max-opt-ins", 3), 3),
        (1, 40, ("--max-opt-ins", 0), 0),
    ],
)
def test_5_no_opt_in_passes_the_limit_unseen(
    opt_ins: int,
    rows: int,
    words: Sequence[object],
    limit: int,
    way: Way,
    sim: Simulator,
    tmp_path: Path,
    run: Run,
) -> None:
    lifting(sim, tmp_path / "in.csv", opt_ins, rows)
    held = dict(sim.states)
    ran = way(run, sim, *words)
    assert ran.status == 4
    assert sim.states == held
    assert sim.patched == []
    assert str(opt_ins) in ran.err
    assert f"limit of {limit} " in ran.err
    assert f"--max-opt-ins {opt_ins}" in ran.err


@pytest.mark.parametrize(
    ("opt_ins", "rows", "words"), [(10, 100, ()), (15, 1500, ()), (3, 40, ("--max-opt-ins", 3))]
)
def test_5_as_many_opt_ins_as_the_limit_pass(
    opt_ins: int, rows: int, words: Sequence[object], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    path = lifting(sim, tmp_path / "in.csv", opt_ins, rows)
    assert run(sim, "run", path, *words).status == 0
    assert Counter(sim.states.values()) == {False: opt_ins, True: rows - opt_ins}


# 6. Exit 0 means nothing is left to do.


def a_bad_row(sim: Simulator, path: Path) -> None:
    path.write_text(path.read_text() + f"{key(3)}x,maybe\n")
    del sim


def a_blank_state(sim: Simulator, path: Path) -> None:
    path.write_text(path.read_text().replace(f"{key(3)},true", f"{key(3)},"))
    del sim


def two_states(sim: Simulator, path: Path) -> None:
    path.write_text(path.read_text() + f"{key(3)},false\n")
    del sim


def an_unknown_profile(sim: Simulator, path: Path) -> None:
    del sim.profiles[key(3)], path


def an_unknown_state(sim: Simulator, path: Path) -> None:
    del sim.profiles[key(3)]["ccpaOptOut"], path


def a_forbidden_profile(sim: Simulator, path: Path) -> None:
    sim.forbidden.add(key(3))
    del path


def no_read(sim: Simulator, path: Path) -> None:
    sim.queue_fault(Fault.TRANSIENT_500, "GET", times=10_000, matching=key(3)[1:])
    del path


def no_write(sim: Simulator, path: Path) -> None:
    sim.queue_fault(Fault.TRANSIENT_500, "PATCH", times=10_000, matching=key(3)[1:])
    del path


NOT_DONE = [
    a_bad_row, a_blank_state, two_states, an_unknown_profile, an_unknown_state,
    a_forbidden_profile, no_read, no_write,
]  # fmt: skip


@pytest.mark.parametrize("spoil", NOT_DONE)
def test_6_one_row_that_is_not_done_is_enough_for_another_status(
    spoil: Callable[[Simulator, Path], None], sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    spoil(sim, path)
    words = ("--fetch", "lookup", "--retries", 1)
    assert run(sim, "run", path, *words).status == 3
    assert len(sim.patched) >= 29 - 1
    ran = run(sim, "run", path, *words, "--report", "again.csv")
    assert ran.status == 3
    left = [row for row in read_csv(tmp_path / "again.csv") if row["sync_outcome"] != "unchanged"]
    assert {row["sync_key"].removesuffix("x") for row in left} == {key(3)}


@pytest.mark.parametrize("calls", [1, 2, 20, 31, 40, 60, 61])
def test_6_a_run_stopped_by_a_budget_is_done_only_when_all_is_in_campaign(
    calls: int, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 30)
    path = write_states(tmp_path / "in.csv", 30)
    ran = run(sim, "run", path, "--fetch", "lookup", "--max-calls", calls)
    done = set(sim.states.values()) == {True}
    assert (ran.status == 0) == done == (calls == 61)
    assert (set(ran.outcomes) == {"updated"}) == done


# 7. No secret is ever printed, logged, stored or sent to another host.

SECRETS = {
    "BULK_SYNC_ACCESS_TOKEN": "made-up-token-4711",
    "BULK_SYNC_CLIENT_SECRET": "made-up-secret-4712",
}
ISSUED = "made-up-token-4713"


class Elsewhere(BaseHTTPRequestHandler):
    """Another host; it keeps everything sent to it."""

    heard: list[bytes]

    def do_GET(self) -> None:
        self.heard.append(f"{self.requestline}\n{self.headers}".encode())
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"{}")

    def do_PATCH(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


class Indiscreet(Elsewhere):
    """A server whose answers would make a careless client repeat its secrets."""

    elsewhere: str
    status: int

    def do_GET(self) -> None:
        sent = f"{self.requestline} {dict(self.headers)}"
        status = self.status
        if self.command == "POST":
            length = int(self.headers["Content-Length"])
            sent += self.rfile.read(length).decode()
            status = 200 if status not in {307, 401} else status
        self.heard.append(sent.encode())
        listed = {
            "access_token": ISSUED,
            "expires_in": 86400,
            "content": [{"PKey": key(0), "ccpaOptOut": False}],
            "next": {"href": f"{self.elsewhere}/campaign/profileAndServices/profile?_lineStart=@1"},
            "count": {"href": f"{self.elsewhere}/campaign/profileAndServices/profile/_count"},
            "message": sent,
        }
        body = json.dumps(listed).encode()
        self.send_response(status)
        self.send_header("Location", f"{self.elsewhere}{self.path}")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serving(handler: type[Elsewhere], **given: object) -> Iterator[tuple[str, list[bytes]]]:
    """Serve on loopback; yield the URL, and everything sent there."""
    heard: list[bytes] = []
    mine = type("Mine", (handler,), {"heard": heard, **given})
    with ThreadingHTTPServer(("127.0.0.1", 0), mine) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", heard
        finally:
            server.shutdown()
            thread.join()


def check_kept(ran: Ran, secrets: Iterable[str]) -> None:
    """Check that nothing printed, logged or stored contains a secret."""
    files = [path.read_bytes() for path in ran.folder.rglob("*") if path.is_file()]
    for secret in secrets:
        assert secret not in ran.out + ran.err
        assert not any(secret.encode() in content for content in files)


@pytest.mark.parametrize("status", [200, 307, 401, 403, 500])
@pytest.mark.parametrize(
    ("name", "form"), [("BULK_SYNC_ACCESS_TOKEN", "text"), ("BULK_SYNC_CLIENT_SECRET", "json")]
)
def test_7_no_secret_is_printed_logged_stored_or_sent_to_another_host(
    status: int, name: str, form: str, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRETS[name])
    monkeypatch.setenv("BULK_SYNC_ORGANIZATION", "acme")
    monkeypatch.setenv("BULK_SYNC_API_KEY", "k")
    path = write_states(tmp_path / "in.csv", 3)
    with (
        serving(Elsewhere) as (elsewhere, heard),
        serving(Indiscreet, elsewhere=elsewhere, status=status) as (endpoint, wanted),
    ):
        where = ("--endpoint", endpoint, "--ims-endpoint", endpoint)
        words = ("--retries", 0, "--patience", 1, "--log-format", form, "-v")
        for fetch in ("scan", "lookup"):
            ran = run(None, "run", path, *where, *words, "--fetch", fetch, "--fresh")
            assert ran.status != 1
            check_kept(ran, [*SECRETS.values(), ISSUED])
    assert any(SECRETS[name].encode() in each for each in wanted)
    assert heard == []


def test_7_no_secret_is_kept_by_a_run_that_goes_well_or_is_resumed(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = SECRETS["BULK_SYNC_CLIENT_SECRET"]
    monkeypatch.setenv("BULK_SYNC_CLIENT_SECRET", secret)
    with running(Options(client_secret=secret, access_token=None)) as sim:
        populate(sim, 9)
        words = ("-v", "--fetch", "lookup", "--max-calls", 12)
        ran = run(sim, "run", write_states(tmp_path / "in.csv", 10), *words)
        assert ran.status == 6
        check_kept(ran, SECRETS.values())
        ran = run(sim, "resume", "-v", "--max-calls", 99, "--report", "r.html", "--summary", "json")
        assert ran.status == 3
        given = {
            request.headers["Authorization"].removeprefix("Bearer ")
            for request in sim.requests
            if "Authorization" in request.headers
        }
        assert given
        check_kept(ran, [*SECRETS.values(), *given])
