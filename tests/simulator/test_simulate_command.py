import os
import shlex
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.request import Request, urlopen

import orjson
import pytest
from conftest import Copied, Run

from bulk_sync.simulator import Simulator


@contextmanager
def simulate(*arguments: str) -> Iterator[tuple[str, "subprocess.Popen[str]"]]:
    """Start the command; yield its URL once it listens."""
    command = ["simulate", "--port", "0", *arguments]
    environment = os.environ | {"BULK_SYNC_ACCESS_TOKEN": "a-real-secret"}
    with Copied(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_prints_its_url_and_ends_with_0(number: signal.Signals) -> None:
    with simulate("--profiles", "3", "--organization", "a b") as (url, process):
        with urlopen(f"{url}/_simulator/state") as answer:  # noqa: S310
            assert len(orjson.loads(answer.read())) == 3
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert out == ""
    assert f"export BULK_SYNC_ENDPOINT={url}\n" in err
    assert "export BULK_SYNC_ORGANIZATION='a b'\n" in err
    assert "a-real-secret" not in err


def test_its_exports_and_options_reach_the_server(tmp_path: Path) -> None:
    path = tmp_path / "profiles.csv"
    path.write_text("PKey,ccpaOptOut\na,true\n", "utf-8")
    options = ["--profiles-csv", str(path), "--get-style", "content", "--access-log"]
    with simulate(*options, "--api-key", "k", "--access-token", "t") as (url, process):
        headers = {"Authorization": "Bearer t", "X-Api-Key": "k"}
        target = f"{url}/acme/campaign/profilesAndServices/profile/a"
        with urlopen(Request(target, headers=headers)) as answer:  # noqa: S310
            (profile,) = orjson.loads(answer.read())["content"]
        process.terminate()
        _, err = process.communicate(timeout=60)
    assert profile["ccpaOptOut"] is True
    assert "GET /acme/campaign/profilesAndServices/profile/a 200" in err
    exports = [shlex.split(line)[1] for line in err.splitlines() if "export" in line]
    assert "BULK_SYNC_ACCESS_TOKEN=t" in exports


@pytest.mark.parametrize(
    ("arguments", "output"),
    [
        (["--fault", "nonsense=0.1"], "'nonsense' is not a valid Fault"),
        (["--fault", "reset=often"], "'reset=often' is not KIND=SHARE"),
        (["--fault", "reset=0.7", "--fault", "hang=0.7"], "so is their sum"),
        (["--profiles-csv", "nowhere.csv"], "nowhere.csv"),
        (["--profiles-csv", "latin.csv"], "latin.csv is no text in UTF-8. Save it as UTF-8."),
        (["--profiles-csv", "word.csv"], "is 'maybe'; write true, false or nothing. END"),
        (["--host", "256.0.0.1"], "The simulator cannot start"),
        (["--host", "a..example"], "has an empty part"),
        (["--host", ""], "has an empty part"),
    ],
    ids=["kind", "share", "sum", "file", "no text", "no state", "host", "name", "no name"],
)
def test_it_refuses_impossible_options(
    arguments: Sequence[str], output: str, run: Run, tmp_path: Path
) -> None:
    (tmp_path / "latin.csv").write_bytes(b"PKey\n@caf\xe9\n")
    (tmp_path / "word.csv").write_text("PKey,ccpaOptOut\n@a,maybe\n")
    ran = run(None, "simulate", "--port", 0, *arguments)
    assert (ran.out, ran.status) == ("", 2)
    assert output in " ".join([*ran.err.split(), "END"])


def test_a_port_in_use_is_reported_in_one_line(sim: Simulator, run: Run) -> None:
    ran = run(None, "simulate", "--port", sim.url.rpartition(":")[2])
    assert ran.status == 2
    assert "--port 0 takes a free port" in ran.err
    assert "Traceback" not in ran.err
