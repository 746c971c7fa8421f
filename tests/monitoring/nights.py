"""The machine of one nightly job, for many nights, with the outputs of each night."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import copies
import orjson
import pytest
import time_machine
from conftest import Ran, Run, key, process
from prometheus_client.parser import text_string_to_metric_families
from receiver import Receiver

from bulk_sync.simulator import Simulator

ROWS = 80
SECRET = "s3cret-of-the-job"
JSON = ("--log-format", "json", "--summary", "json")
EVER = 10**6
KILLED, OFF = -9, -10
"""In place of an exit status: killed, and not started."""

CONFIGURATION = """\
job = "optouts"
client-secret-file = "{folder}/client-secret"
report = ["{folder}/archive/{{run_id}}.csv"]
metrics-file = "{folder}/job.prom"
ping-file = "{folder}/ping"
notify-file = "{folder}/notify"
"""


@dataclass
class Machine:
    """The machine of the nightly job.

    Attributes:
        folder: the working directory of the job.
        sim: its Campaign.
        pings: the receiver of its pings.
        messages: the receiver of messages to people.
        typed: types a command.
        patch: of this test.
        database: URL of a server that can be unreachable.
        wanted: the state that each profile should have, by the files so far.
        day: of November.
        options: the options of the night's command, besides the file.
        around: contexts of this night alone; their end repairs the causes.
        program: carries the command out in another way than in this process.
        is_mended: whether the trouble is over in the morning.
        file: of the night.
    """

    folder: Path
    sim: Simulator
    pings: Receiver
    messages: Receiver
    typed: Run
    patch: pytest.MonkeyPatch
    database: str
    wanted: dict[str, bool]
    day: int = 0
    options: Sequence[object] = ()
    around: ExitStack = field(default_factory=ExitStack)
    program: Callable[["Machine"], Ran] | None = None
    is_mended: bool = True
    file: Path = Path()
    _known: set[str] = field(default_factory=set)
    _seen: dict[str, int] = field(default_factory=dict)

    def next_night(self) -> None:
        self.day += 1
        self.file = self.folder / f"optouts-2026-11-{self.day:02}.csv"
        self.options, self.program, self.is_mended = (), None, True
        self.patch.delenv("BULK_SYNC_LEDGER", raising=False)

    def configure(self) -> None:
        """Set the job up as the manual does."""
        for name, content in (
            ("bulk-sync.toml", CONFIGURATION.format(folder=self.folder)),
            ("client-secret", SECRET),
            ("ping", self.pings.url),
            ("notify", self.messages.url.replace("http:", "json:")),
        ):
            (self.folder / name).write_text(content)
        (self.folder / "archive").mkdir()

    def write(self, changes: Mapping[str, bool]) -> None:
        """Write the file of the night: all states so far, with some changes."""
        self.wanted |= changes
        self.write_rows(f"{each},{str(state).lower()}" for each, state in self.wanted.items())

    def write_rows(self, rows: Iterator[str], header: str = "PKey,ccpaOptOut") -> None:
        self.file.write_text("\n".join([header, *rows, ""]))

    def delay_file(self) -> None:
        """Remove the file of the night, and put it back in the morning."""
        self.around.callback(self.file.write_bytes, self.file.read_bytes())
        self.file.unlink()

    def link_database(self, real: Path) -> None:
        """Link the folder with the socket of the database server."""
        (self.folder / "socket").unlink(missing_ok=True)
        (self.folder / "socket").symlink_to(real)

    @contextmanager
    def at(self, hour: int) -> Iterator[None]:
        """Set the clock to an hour of the day."""
        with time_machine.travel(self.time_s(hour), tick=True):
            yield

    def time_s(self, hour: int) -> float:
        return datetime(2026, 11, self.day, hour, tzinfo=UTC).timestamp()

    def type(self, *words: object) -> Ran:
        return self.typed(self.sim, *words, *JSON)

    def start(self, program: Sequence[str] = ()) -> "subprocess.Popen[str]":
        """Start the command of the night in a process of its own."""
        now = str(datetime.now(UTC).timestamp())
        return process(
            self.sim,
            self.folder,
            *("run", str(self.file), *map(str, self.options), *JSON),
            program=(*program, sys.executable, copies.__file__) if program else (),
            secrets={"BULK_SYNC_IMS_ENDPOINT": self.sim.url},
            more={copies.NOW_S: now},  # it has a clock of its own
        )

    def begin(self) -> Ran:
        """Carry out the command of the night."""
        if self.program is not None:
            return self.program(self)
        return self.type("run", self.file, *self.options)

    def new_run(self) -> dict[str, Any]:
        """Return the new line of ``runs``; an empty one if there is none."""
        listed = orjson.loads(self.typed(self.sim, "runs", "--json").out or b"[]")
        new = [each for each in listed if each["run_id"] not in self._known]
        self._known |= {each["run_id"] for each in new}
        return new[0] if new else {}

    def words_of(self, run_id: str) -> str:
        """Return the last column of a run in the table of ``runs``."""
        lines = self.typed(self.sim, "runs").out.splitlines()
        (line,) = (each for each in lines if each.startswith(run_id))
        return re.split(" {2,}", line)[-1]

    def new_pings(self) -> str:
        paths = [path.partition("?")[0] for path, _ in self._new(self.pings)]
        ends = [path.removeprefix("/s3cret-uuid").removeprefix("/") for path in paths]
        return ", ".join(end or "success" for end in ends) or "none"

    def morning(self, line: str, run_id: str) -> int:
        """Type the commands in a line of the manual; return the exit status of the last."""
        todo, status = self.folder / "archive" / f"{self.file.stem}.{run_id}.todo.csv", 0
        if todo.exists():
            todo.write_text(todo.read_text().replace("perhaps", "true"))
        meant = {"FILE": self.file, "RUN": run_id, "TODO_FILE": todo}
        for words in re.findall("`bulk-sync ([^`]*)`", line):
            status = self.typed(self.sim, *(meant.get(word, word) for word in words.split())).status
            self.new_run()
        return status

    def new_messages(self) -> str:
        titles = [str(orjson.loads(body)["title"]) for _, body in self._new(self.messages)]
        return ", ".join(title.removeprefix("bulk-sync: optouts ") for title in titles) or "none"

    def _new(self, receiver: Receiver) -> list[tuple[str, str]]:
        new = receiver.received[self._seen.get(receiver.url, 0) :]
        self._seen[receiver.url] = len(receiver.received)
        assert not any(key(0)[:20] in body or str(self.folder) in body for _, body in new)
        return new

    def gauges(self) -> dict[str, float]:
        """Return the gauges of the job without further labels; none before its first night."""
        path = self.folder / "job.prom"
        return {
            sample.name.removeprefix("bulk_sync_"): sample.value
            for metric in text_string_to_metric_families(path.read_text() if path.exists() else "")
            for sample in metric.samples
            if sample.labels == {"sync_job": "optouts"}
        }


def events(ran: Ran) -> list[dict[str, Any]]:
    return [each for each in map(orjson.loads, ran.err.splitlines()) if "event" in each]
