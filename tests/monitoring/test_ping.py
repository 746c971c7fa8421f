"""Pings: which ones, when, and the run if they do not arrive."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Run, key, populate, write_states
from receiver import Receiver, leave_time, receiving

from bulk_sync.monitoring import ping, time_budget
from bulk_sync.simulator import Simulator

PATH = "/s3cret-uuid"


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 5)
    return sim


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    leave_time(monkeypatch)
    with receiving() as receiver:
        monkeypatch.setenv("BULK_SYNC_PING", receiver.url)
        yield receiver


def test_a_run_pings_its_beginning_and_its_end(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver
) -> None:
    assert run(filled, "run", write_states(tmp_path / "in.csv", 5)).status == 0
    assert receiver.paths == [f"{PATH}/start", PATH]
    (rid,) = {path.partition("?")[2] for path, _ in receiver.received}
    assert re.fullmatch(r"rid=[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", rid)
    start, end = receiver.bodies
    assert start == ""
    assert "rows: 5\nupdated: 5\nopt-ins: 0\nopt-outs: 5\noverdue opt-outs: 0\n" in end
    assert key(0) not in end


@pytest.mark.parametrize(
    ("given", "start", "end"),
    [
        ("", "/start?", "/?"),
        ("/", "/start?", "/?"),
        ("/uuid/?a=1", "/uuid/start?a=1&", "/uuid/?a=1&"),
        ("?a=1", "/start?a=1&", "/?a=1&"),
    ],
)
def test_a_url_is_pinged_as_it_is_given(
    given: str, start: str, end: str, filled: Simulator, tmp_path: Path, run: Run
) -> None:
    with receiving() as receiver:
        url = receiver.url.removesuffix(PATH) + given
        ran = run(filled, "run", write_states(tmp_path / "in.csv", 5), "--ping", url)
    assert ran.status == 0
    assert [path.partition("rid=")[0] for path, _ in receiver.received] == [start, end]


def test_a_run_that_fails_pings_its_exit_status(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver
) -> None:
    write_states(tmp_path / "in.csv", 5)
    assert run(filled, "run", "missing.csv").status == 2
    assert run(filled, "run", "in.csv", "--max-changes", "2").status == 4
    paths = [f"{PATH}/start", f"{PATH}/2", f"{PATH}/start", f"{PATH}/4"]
    assert receiver.paths == paths


def test_wrong_usage_is_pinged_like_every_run(run: Run, receiver: Receiver) -> None:
    for words in (("--bogus",), ("--max-opt-ins", "many", "--organization", "acme")):
        receiver.received.clear()
        assert run(None, "run", "in.csv", *words).status == 2
        assert receiver.paths == [f"{PATH}/start", f"{PATH}/2"]
    for line in ("runs --bogus", "validate missing.csv", "plan in.csv --bogus", "run a -n --bogus"):
        assert run(None, *line.split()).status == 2
    assert len(receiver.paths) == 2


def test_each_resumed_run_has_pings_and_nothing_to_resume_has_none(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver
) -> None:
    for rows in (4, 5):
        run(filled, "run", write_states(tmp_path / "in.csv", rows), "--max-calls", 2)
    receiver.received.clear()
    assert run(filled, "resume", "--all").status == 0
    assert receiver.paths == [f"{PATH}/start", PATH] * 2
    assert len({path.partition("?")[2] for path, _ in receiver.received}) == 2
    assert run(filled, "resume", "--all").status == 0
    assert len(receiver.paths) == 4


def test_previews_ping_nothing(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver
) -> None:
    source = write_states(tmp_path / "in.csv", 5)
    assert run(filled, "run", source, "-n").status == 0
    assert run(filled, "plan", source, "--out", "plan.parquet").status == 0
    assert run(filled, "run", "missing.csv", "-n").status == 2
    assert receiver.received == []
    assert run(filled, "apply", "plan.parquet").status == 0
    assert run(filled, "apply", "plan.parquet").status == 0  # the run before did it
    assert receiver.paths == [f"{PATH}/start", PATH] * 2


def test_an_endless_answer_is_not_read(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver
) -> None:
    receiver.answers = ["endless"]
    ran = run(filled, "run", write_states(tmp_path / "in.csv", 5))
    assert (ran.status, ran.err.count("--ping")) == (0, 0)


@pytest.mark.parametrize(
    ("answers", "paths"),
    [
        (["500", "200"], ["/start", "/start", ""]),
        (["200", "500", "200"], ["/start", "", ""]),
        (["500"], ["/start", "/start", ""]),
        (["404"], ["/start", ""]),
    ],
    ids=["start", "end", "both", "no such check"],
)
def test_a_ping_is_tried_twice_and_once_after_a_start_that_failed(
    answers: list[str],
    paths: list[str],
    filled: Simulator,
    tmp_path: Path,
    run: Run,
    receiver: Receiver,
) -> None:
    receiver.answers = [*answers]
    run(filled, "run", write_states(tmp_path / "in.csv", 5))
    assert receiver.paths == [f"{PATH}{path}" for path in paths]


def test_each_ping_has_five_seconds_and_all_hooks_twelve() -> None:
    assert (ping.EACH_S, time_budget.TOGETHER_S) == (5, 12)


@pytest.mark.parametrize("through", ["variable", "file", "job"])
def test_the_url_may_lie_in_a_file(
    through: str, filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver:
        secret = tmp_path / "ping-url"
        secret.write_text(f"{receiver.url}?create=1\n")
        if through == "variable":
            monkeypatch.setenv("BULK_SYNC_PING_FILE", str(secret))
        else:
            table = "[job.in]\n" if through == "job" else ""
            (tmp_path / "bulk-sync.toml").write_text(f'{table}ping-file = "{secret}"\n')
        assert run(filled, "run", write_states(tmp_path / "in.csv", 5)).status == 0
    assert receiver.paths == [f"{PATH}/start", PATH]
    assert all("?create=1&rid=" in path for path, _ in receiver.received)


@pytest.mark.parametrize(
    "url", ["s3cret", "ftp://s3cret", "https://", "https://a:s3cret/", "https://s3 cret"]
)
def test_a_wrong_url_is_refused_and_not_shown(url: str, run: Run) -> None:
    ran = run(None, "run", "in.csv", "--ping", url)
    assert ran.status == 2
    assert "'--ping': this is no URL; write it like https://hc-ping.com/UUID." in ran.err
    assert "s3cret" not in ran.err


@pytest.mark.parametrize(
    "url", ["https://me:s3cret@host/x", "http://s3cret@host/", "http://h/#s3cret"]
)
def test_a_url_with_more_than_is_sent_is_refused_and_not_shown(url: str, run: Run) -> None:
    ran = run(None, "run", "in.csv", "--ping", url)
    assert ran.status == 2
    assert "'--ping': this URL has a user, a password or a part after #" in ran.err
    assert "s3cret" not in ran.err


def test_a_wrong_url_in_a_file_is_not_shown_either(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ping").write_text("s3cret")
    monkeypatch.setenv("BULK_SYNC_PING_FILE", str(tmp_path / "ping"))
    ran = run(None, "run", "in.csv")
    assert ran.status == 2
    assert "'--ping': this is no URL" in ran.err
    assert "s3cret" not in ran.err
    (tmp_path / "ping").unlink()
    ran = run(None, "run", "in.csv")
    assert ran.status == 2
    assert f"BULK_SYNC_PING_FILE names the file '{tmp_path / 'ping'}'" in ran.err


def test_suggested_commands_do_not_show_the_url(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    with receiving() as receiver:
        ran = run(filled, "run", write_states(tmp_path / "in.csv", 5), "-n", "--ping", receiver.url)
        assert "To write it (add --ping again; what may be secret is not shown):" in ran.out
        assert "***" not in ran.out
        (tmp_path / "odd.csv").write_text("E-mail,Consent\na@x.com,yes\n")
        for words in (("--ping", receiver.url), (f"--ping={receiver.url}",)):
            ran = run(filled, "run", tmp_path / "odd.csv", *words)
            assert ran.status == 2
            assert "s3cret" not in ran.out + ran.err
            assert "(add --ping again; what may be secret is not shown):" in ran.err
