"""The page of ``serve`` under load: 20 people at once beside a run of 1,000,000 rows; an upload.

Every person loads one page after the other, without a pause. The run reads as fast as Campaign
answers, and writes at 200 requests a second, the most that Campaign grants.
"""

import hashlib
import json
import os
import re
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode, urlsplit

from argon2 import PasswordHasher
from calling import FAR_END, PYTHON
from measuring import Line, Used, line, served
from side_door import get_json, states, write_desired
from sqlalchemy import insert

from bulk_sync.settings import State, folded
from bulk_sync.web.database import open_database, users
from bulk_sync.web.identity import Role
from bulk_sync.web.jobs import Jobs
from bulk_sync.web.settings import PageSettings

PEOPLE, ROWS, SECONDS, GRANTED = 20, 1_000_000, 30.0, 200
PAGE_S, UPLOAD_MB, GROWTH_MB = 1.0, 200, 64
PASSWORD = "correct horse battery"
_CHUNK = 1 << 20
_LOOK_EVERY_S = 0.5
_FORM = "application/x-www-form-urlencoded"
_SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


class Page(NamedTuple):
    """A running page."""

    url: str
    pid: int
    state: State


def lines() -> Iterator[Line]:
    """Yield a line for each screen under load, and one for the upload."""
    yield upload()
    with (
        served([*FAR_END, "--profiles", str(ROWS)]) as campaign,
        tempfile.TemporaryDirectory() as folder,
        serve_page(Path(folder), campaign) as page,
    ):
        desired = dict.fromkeys(states(f"{campaign}/_states"), True)
        path = write_desired(Path(folder) / "in.csv", desired)
        cookies = [sign_in(page, number) for number in range(PEOPLE)]
        with run_of(Path(folder), path, campaign) as (run, log):
            run_id = wait_for_event(log, "run_began")["run_id"]
            yield crowd(page, cookies, run_id, "reads as fast as it can")
            wait_for_event(log, "plan")
            get_json(f"{campaign}/_rate/{GRANTED}")
            yield crowd(page, cookies, run_id, f"writes, {GRANTED} a second")
            get_json(f"{campaign}/_rate/0")
            assert run.wait() == 0, log.read_text()[-2000:]
        for look in ("first", "second"):
            for what, way in (("the start", "/"), ("the run", f"/runs/{run_id}")):
                used = Used(load_s(page, cookies[0], way), peak_mb(page.pid))
                text = f"{what} after a run of {ROWS:,} rows, {look} look / 1 s"
                yield line(text, [(used, Used(PAGE_S, 0))], used.seconds / PAGE_S, (None, 1000))
        found = Used(
            load_s(page, cookies[0], "/people", key=next(iter(desired))), peak_mb(page.pid)
        )
        text = f"one person after a run of {ROWS:,} rows / 1 s"
        yield line(text, [(found, Used(PAGE_S, 0))], found.seconds / PAGE_S, (None, 1000))


def crowd(page: Page, cookies: list[str], run_id: str, doing: str) -> Line:
    """Load pages as several people for some time; compare the median page with a second."""
    ways = ("/", f"/runs/{run_id}", "/ledger", "/people", "/uploads/new")
    until, times = time.monotonic() + SECONDS, dict[str, list[float]]()

    def browse(first: int) -> None:
        at = first
        while time.monotonic() < until:
            way = ways[at % len(ways)]
            times.setdefault(way, []).append(load_s(page, cookies[first], way))
            at += 1

    threads = [threading.Thread(target=browse, args=[number]) for number in range(PEOPLE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for way, seconds in times.items():
        worst = statistics.quantiles(seconds, n=20)[-1]
        print(
            f"  {way.replace(run_id, 'ID'):16} {len(seconds):6,} times, median "
            f"{statistics.median(seconds):.3f} s, 95 % within {worst:.3f} s"
        )
    every = [each for seconds in times.values() for each in seconds]
    median = statistics.median(every)
    what = f"{PEOPLE} people at once, a run {doing}: median of {len(every):,} pages / 1 s"
    used = Used(median, peak_mb(page.pid))
    return line(what, [(used, Used(PAGE_S, 0.0))], median / PAGE_S, (1.0, 400))


def upload() -> Line:
    """Compare an upload with hashing and writing the same bytes; check the memory of the page."""
    with (
        served([*FAR_END, "--profiles", "100"]) as campaign,
        tempfile.TemporaryDirectory() as folder,
        serve_page(Path(folder), campaign) as page,
    ):
        path = Path(folder) / "large.csv"
        write_large(path)
        cookie = sign_in(page, 0)
        load_s(page, cookie, "/uploads/new")
        theirs = hash_and_write(path, Path(folder) / "copy")
        Path(f"/proc/{page.pid}/clear_refs").write_text("5")  # resets the peak
        before_mb = peak_mb(page.pid)
        began = time.monotonic()
        assert send_file(page, cookie, path).startswith("/uploads/")
        seconds = time.monotonic() - began
        growth_mb = peak_mb(page.pid) - before_mb
        with closing(open_database(page.state)) as database:
            jobs = Jobs(database, PageSettings(page.state))
            while any(job.is_alive for job in jobs.last()):
                time.sleep(_LOOK_EVERY_S)
    what = f"upload of {UPLOAD_MB} MB, 6 s of its check included / hash, write; peak: growth"
    used = Used(seconds, growth_mb)
    return line(what, [(used, Used(theirs, 0))], seconds / theirs, (None, GROWTH_MB))


def write_large(path: Path) -> None:
    """Write a file just below the greatest size."""
    rest = "Qx7-_" * 15
    with path.open("w") as file:
        file.write("PKey,ccpaOptOut\n")
        for first in range(0, 2_150_000, 10_000):
            file.writelines(f"@{at:011d}{rest},yes\n" for at in range(first, first + 10_000))
    assert (UPLOAD_MB - 10) * 1_000_000 < path.stat().st_size <= UPLOAD_MB * 1_000_000


def hash_and_write(path: Path, copy: Path) -> float:
    """Return the seconds for hashing and writing the bytes of a file."""
    began, digest = time.monotonic(), hashlib.sha256()
    with path.open("rb") as source, copy.open("wb") as sink:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            sink.write(chunk)
        sink.flush()
        os.fsync(sink.fileno())
    return time.monotonic() - began


@contextmanager
def serve_page(folder: Path, campaign: str) -> Iterator[Page]:
    """Serve a page with accounts until the block ends."""
    state = State(folder / "state")
    hashed = PasswordHasher().hash(PASSWORD)
    with closing(open_database(state)) as database:
        for number in range(PEOPLE):
            name = f"Person {number}"
            row = {"folded": folded(name), "name": name, "role": str(Role.UPLOADER), "added_ms": 0}
            database.change(insert(users).values(**row, password=hashed))
    words = [PYTHON, "-m", "bulk_sync", "serve", "--port", "0", "--no-open"]
    with subprocess.Popen(
        words, cwd=folder, env=environment(folder, campaign), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield Page(process.stdout.readline().strip().rstrip("/"), process.pid, state)
        finally:
            process.terminate()


@contextmanager
def run_of(
    folder: Path, path: Path, campaign: str
) -> "Iterator[tuple[subprocess.Popen[bytes], Path]]":
    """Run a file on the command line until the block ends; yield the process and its log file."""
    log = folder / "run.log"
    words = [PYTHON, "-m", "bulk_sync", "run", str(path), "--fetch", "lookup", "--yes"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*words, "--log-format", "json", "--report", str(folder / "report.csv")],
            cwd=folder,
            env=environment(folder, campaign),
            stdout=subprocess.DEVNULL,
            stderr=file,
        )
    try:
        yield process, log
    finally:
        process.kill()
        process.wait()


def environment(folder: Path, campaign: str) -> Mapping[str, str]:
    """Return the environment variables of the program."""
    return {
        **os.environ,
        "BULK_SYNC_ENDPOINT": campaign,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_ACCESS_TOKEN": "demo-token",
        "BULK_SYNC_STATE_DIR": str(folder / "state"),
    }


def wait_for_event(log: Path, event: str) -> Any:
    """Wait for an event of a run, and return it."""
    while True:
        for text in log.read_text().splitlines():
            with suppress(ValueError):
                found = json.loads(text)
                if found.get("event") == event:
                    return found
                assert found.get("event") != "run_ended", found
        time.sleep(_LOOK_EVERY_S)


def sign_in(page: Page, number: int) -> str:
    """Sign a person in, and return the cookie."""
    fields = urlencode({"name": f"Person {number}", "password": PASSWORD, "next": ""})
    with closing(HTTPConnection(urlsplit(page.url).netloc)) as connection:
        headers = {"Content-Type": _FORM, **_SAME_ORIGIN}
        connection.request("POST", "/sign-in", fields, headers)
        answer = connection.getresponse()
        assert answer.status == 303, answer.read()
        return str(answer.headers["Set-Cookie"]).partition(";")[0]


def load_s(page: Page, cookie: str, way: str, **fields: str) -> float:
    """Return the seconds until the last byte of a page; fields are sent as a form."""
    began = time.monotonic()
    headers = {"Cookie": cookie, "Content-Type": _FORM, **_SAME_ORIGIN}
    with closing(HTTPConnection(urlsplit(page.url).netloc)) as connection:
        connection.request("POST" if fields else "GET", way, urlencode(fields), headers)
        answer = connection.getresponse()
        text = answer.read()
    assert answer.status == 200, (way, answer.status, text)
    return time.monotonic() - began


def send_file(page: Page, cookie: str, path: Path) -> str:
    """Upload a file piece by piece, and return the path of its screen."""
    mark = "bulk-sync-bench"
    disposition = f'form-data; name="file"; filename="{path.name}"'
    first = f"--{mark}\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
    last = f"\r\n--{mark}--\r\n".encode()

    def pieces() -> Iterator[bytes]:
        yield first
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                yield chunk
        yield last

    headers = {
        "Cookie": cookie,
        "Content-Type": f"multipart/form-data; boundary={mark}",
        "Content-Length": str(len(first) + path.stat().st_size + len(last)),
        **_SAME_ORIGIN,
    }
    with closing(HTTPConnection(urlsplit(page.url).netloc)) as connection:
        connection.request("POST", "/uploads/new", pieces(), headers)
        answer = connection.getresponse()
        text = answer.read()
    assert answer.status == 303, (answer.status, text)
    return str(answer.headers["Location"])


def peak_mb(pid: int) -> float:
    """Return the peak of a process's memory."""
    text = Path(f"/proc/{pid}/status").read_text()
    (found,) = re.findall(r"VmHWM:\s+(\d+) kB", text)
    return int(found) / 1024
