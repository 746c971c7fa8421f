"""The end of a run reaches the log, the file, the ping and people, whatever its exit status."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import orjson
import pytest
from conftest import Run, populate, signal_before_answer, write_states
from prometheus_client.parser import text_string_to_metric_families
from receiver import Receiver, receiving

from bulk_sync.settings import Connection, Credentials, Secret
from bulk_sync.simulator import Simulator
from bulk_sync.storage import lock

# On Python 3.11 a plugin of apprise imports what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

FAILED, PERSON = "bulk-sync: in failed", "bulk-sync: in needs a person"
CASES = {
    "done": (0, None),
    "no file": (2, FAILED),
    "no organization": (2, FAILED),
    "no such option": (2, FAILED),
    "state folder in the way": (2, FAILED),
    "rows left": (3, PERSON),
    "a limit": (4, PERSON),
    "access denied": (5, FAILED),
    "budget spent": (6, FAILED),
    "server down": (6, FAILED),
    "another run": (11, FAILED),
    "terminated": (143, None),
}


@pytest.fixture
def receivers(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Receiver, Receiver]]:
    with receiving() as pings, receiving() as messages:
        monkeypatch.setenv("BULK_SYNC_PING", pings.url)
        monkeypatch.setenv("BULK_SYNC_NOTIFY", messages.url.replace("http:", "json:"))
        yield pings, messages


OPTIONS: dict[str, list[object]] = {
    "no organization": ["--organization", ""],
    "no such option": ["--bogus"],
    "state folder in the way": ["--state-dir", "file/state"],
    "a limit": ["--max-changes", 2],
    "budget spent": ["--max-calls", 3],
    "server down": ["--endpoint", "http://127.0.0.1:9", "--patience", 0.1],
}


def prepare(case: str, sim: Simulator, folder: Path, around: ExitStack) -> None:
    """Prepare a case beyond its options."""
    match case:
        case "no file":
            (folder / "in.csv").unlink()
        case "state folder in the way":
            (folder / "file").touch()
        case "access denied":
            sim.revoke_tokens()
        case "another run":
            credentials = Credentials("k", access_token=Secret("t"))
            name = lock.name(Connection(sim.url, "acme", credentials))
            around.enter_context(lock.hold(folder / "state", name, "another"))
        case "terminated":
            signal_before_answer(sim, "PATCH", 1)


@pytest.mark.parametrize("case", CASES)
def test_the_end_reaches_everybody(
    case: str, sim: Simulator, tmp_path: Path, run: Run, receivers: tuple[Receiver, Receiver]
) -> None:
    status, title = CASES[case]
    pings, messages = receivers
    populate(sim, 5)
    path = tmp_path / "bulk_sync.prom"
    with ExitStack() as around:
        source = write_states(tmp_path / "in.csv", 6 if case == "rows left" else 5)
        prepare(case, sim, tmp_path, around)
        words = ("--fetch", "lookup", "--metrics-file", path, *OPTIONS.get(case, ()))
        ran = run(sim, "run", source, *words, "--log-format", "json", "--summary", "json")
    assert (ran.status, ran.summary["exit"]) == (status, status)

    ends = [line for line in map(orjson.loads, ran.err.splitlines()) if "event" in line]
    assert [line["event"] for line in ends].count("run_ended") == 1
    assert ran.summary.items() <= ends[-1].items()

    samples = [
        sample
        for metric in text_string_to_metric_families(path.read_text())
        for sample in metric.samples
        if sample.labels.get("sync_job") == "in"
    ]
    (found,) = (each.value for each in samples if each.name == "bulk_sync_last_run_exit_status")
    assert found == status

    assert pings.paths[-1] == ("/s3cret-uuid" if status == 0 else f"/s3cret-uuid/{status}")
    assert len(pings.paths) == 2
    titles = [json.loads(body)["title"] for body in messages.bodies]
    assert titles == ([] if title is None else [title])
