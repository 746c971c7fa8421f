"""No secret of a cloud is in any written byte: here, on the terminal, or in the bucket."""

import shlex
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import orjson
import pytest
from buckets import AZURE_KEY, S3, SECRET, TOKEN, Bucket, Cloud, every_byte
from conftest import Run, before_answer, key, populate, process, write_states

from bulk_sync.simulator import Simulator

ROWS = 9
WRONG_KEY = "d3Jvbmcga2V5IG9mIHRoZSB0ZXN0cw=="
SAS = "sig=sas0fTheTests%3D"
SECRETS = (SECRET, TOKEN, AZURE_KEY, WRONG_KEY, SAS, "sas0fTheTests")
TWO_CLOUDS = pytest.mark.parametrize("bucket", ["s3", "az"], indirect=True)
COMMAND = f'exec {shlex.quote(sys.executable)} -m bulk_sync "$@" >printed'

Search = Callable[..., list[str]]


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, ROWS)
    return sim


@pytest.fixture
def search(bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    """Return a function that finds secrets in texts, in local files, and in the bucket."""
    if bucket.url.startswith("s3:"):
        monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    else:
        monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", AZURE_KEY)

    def found(*texts: str) -> list[str]:
        content = every_byte(tmp_path) + b"".join(bucket.everything())
        content += "".join(texts).encode()
        assert key(0).encode() in content  # the searched bytes include rows
        forms = {form(secret) for secret in SECRETS for form in (str, quote, _escaped)}
        return [form for form in forms if form.encode() in content]

    return found


def _escaped(text: str) -> str:
    return quote(text, safe="")


@TWO_CLOUDS
@pytest.mark.parametrize("place", ["here", "bucket"])
def test_the_search_finds_each_secret(
    place: str, bucket: Bucket, search: Search, tmp_path: Path
) -> None:
    for secret in SECRETS:
        text = f"{key(0)} {_escaped(secret)}"
        if place == "here":
            (tmp_path / "written").write_text(text)
        else:
            bucket.put("written", text)
        assert _escaped(secret) in search()


@TWO_CLOUDS
def test_an_input_and_its_report_in_a_bucket(
    filled: Simulator, run: Run, bucket: Bucket, search: Search, tmp_path: Path
) -> None:
    rows = write_states(tmp_path / "in.csv", 3).read_text() + f"{key(4)},maybe\n"
    words = ("--report", bucket / "out/{run_id}.csv", "--report", "result.html")
    ran = run(filled, "run", bucket.put("in.csv", rows), *words, "-v", "--log-format", "json")
    assert (ran.status, len(bucket.keys)) == (3, 3), ran.err
    assert search(ran.out, ran.err) == []


@contextmanager
def refuse_uploads(clouds: "dict[str, Cloud]", variable: str) -> Iterator[None]:
    """Make a bucket refuse uploads: by its own rules, or by a wrong secret in a variable."""
    with pytest.MonkeyPatch.context() as patch:
        if variable:
            patch.delenv("AZURE_STORAGE_ACCOUNT_KEY")
            patch.setenv(variable, SAS if "SAS" in variable else WRONG_KEY)
            yield
            return
        server = clouds["s3"]
        assert isinstance(server, S3)
        server.forbid()
        try:
            yield
        finally:
            server.reset()


@pytest.mark.parametrize(
    ("bucket", "variable"),
    [("s3", ""), ("az", "AZURE_STORAGE_ACCOUNT_KEY"), ("az", "AZURE_STORAGE_SAS_KEY")],
    indirect=["bucket"],
    ids=["s3", "az, wrong key", "az, wrong signature"],
)
@pytest.mark.parametrize("word", ["--report", "--state-url"])
def test_an_upload_that_is_refused(
    word: str,
    variable: str,
    filled: Simulator,
    run: Run,
    bucket: Bucket,
    search: Search,
    clouds: "dict[str, Cloud]",
    tmp_path: Path,
) -> None:
    place = bucket / ("{run_id}.csv" if word == "--report" else "state")
    with refuse_uploads(clouds, variable):
        ran = run(filled, "run", write_states(tmp_path / "in.csv", 3), word, place, "-v")
    assert ran.status == (3 if word == "--report" else 6), ran.err
    assert "the store does not" in ran.err
    shown = [run(None, "runs", *words).out for words in ((), ("--json",))]
    run_id = orjson.loads(shown[1])[-1]["run_id"]
    shown.append(run(None, "runs", run_id).out)
    assert search(ran.out, ran.err, *shown) == []


@TWO_CLOUDS
def test_a_checkpoint_of_a_killed_run_that_is_resumed_elsewhere(
    filled: Simulator,
    run: Run,
    bucket: Bucket,
    search: Search,
    tmp_path: Path,
    new_database: Callable[[], str],
) -> None:
    there = ("--ledger", new_database(), "--state-url", bucket / "state")
    words = ("--yes", "-v", "--report", bucket / "{run_id}.csv", *there)
    source = str(write_states(tmp_path / "in.csv", ROWS))
    reached, released = threading.Event(), threading.Event()

    def hold() -> None:
        reached.set()
        released.wait(60)

    before_answer(filled, "PATCH", 3, hold)
    (tmp_path / "pod").mkdir()
    shell = ("sh", "-c", COMMAND, "sh")
    with process(filled, tmp_path / "pod", "run", source, *words, program=shell) as pod:
        assert reached.wait(60)
        pod.kill()
        _, printed = pod.communicate()
    released.set()
    assert any(name.endswith(".parquet") for name in bucket.keys)
    assert search(printed) == []
    ran = run(filled, "resume", *there, "-v", "--summary", "json")
    assert (ran.status, ran.summary["reports"]) == (0, [bucket / bucket.keys[0]]), ran.err
    facts = run(None, "runs", ran.summary["run_id"], "--json", "--ledger", there[1]).out
    assert search(ran.out, ran.err, facts) == []
