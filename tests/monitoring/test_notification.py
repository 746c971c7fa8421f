"""Messages to people: one for each change of a job's state, with counts and no secret."""

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from conftest import Run, key, populate, write_states
from receiver import Receiver, receiving

from bulk_sync.errors import Exit
from bulk_sync.monitoring.notification import JobState, state_of
from bulk_sync.monitoring.run_end import RunEnd
from bulk_sync.simulator import Simulator

# On Python 3.11 a plugin of apprise imports what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 5)
    return sim


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with receiving() as receiver:
        monkeypatch.setenv("BULK_SYNC_NOTIFY", receiver.url.replace("http:", "json:"))
        yield receiver


def titles(receiver: Receiver) -> list[str]:
    return [str(json.loads(body)["title"]) for body in receiver.bodies]


def test_each_change_of_state_sends_one_message(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver
) -> None:
    def night(file: str, *words: object) -> int:
        return run(filled, "run", tmp_path / file, "--job", "requests", *words).status

    write_states(tmp_path / "good.csv", 5)
    write_states(tmp_path / "more.csv", 6)
    nights = [
        ("good.csv", 0, None),
        ("missing.csv", 2, "failed"),
        ("missing.csv", 2, None),
        ("more.csv", 3, "needs a person"),
        ("more.csv", 3, None),
        ("missing.csv", 2, "failed"),
        ("good.csv", 0, "recovered"),
        ("good.csv", 0, None),
    ]
    expected = []
    for file, status, state in nights:
        assert night(file, "--allow", "fewer-rows") == status
        expected += [f"bulk-sync: requests {state}"] if state else []
        assert titles(receiver) == expected
    assert "not_found: 1" in json.loads(receiver.bodies[1])["message"]
    advised = ["What to do" in json.loads(body)["message"] for body in receiver.bodies]
    assert advised == [True, True, True, False]
    assert all(key(0) not in body and "more.csv" not in body for body in receiver.bodies)
    (kept,) = (tmp_path / "state" / "notified").iterdir()
    assert kept.read_text().strip() == "recovered"


def test_overdue_opt_outs_are_a_state_of_their_own(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver
) -> None:
    received = datetime.now(UTC).date() - timedelta(days=60)
    (tmp_path / "in.csv").write_text(
        f"PKey,ccpaOptOut,Request date\n{key(0)},true,{received}\n{key(9)},true,{received}\n"
    )
    assert run(filled, "run", "in.csv").status == 3
    assert titles(receiver) == ["bulk-sync: in has overdue opt-outs"]
    assert "overdue opt-outs: 1" in json.loads(receiver.bodies[0])["message"]


def test_a_report_that_stays_here_is_named_and_its_path_is_not(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bulk_sync.remote.store._RETRY", {"max_retries": 1})
    for name, value in {"ENDPOINT_URL": "http://127.0.0.1:9", "ALLOW_HTTP": "true"}.items():
        monkeypatch.setenv(f"AWS_{name}", value)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY"):
        monkeypatch.setenv(f"AWS_{name}", "made-up")
    source = write_states(tmp_path / "in.csv", 3)
    assert run(filled, "run", source, "--report", "s3://archive/{run_id}.csv").status == 3
    assert titles(receiver) == ["bulk-sync: in needs a person"]
    message = json.loads(receiver.bodies[0])["message"]
    assert "a report could not be uploaded and stays on the machine of the run" in message
    assert "state/reports" not in message
    assert "s3:" not in message


@pytest.mark.parametrize(
    ("status", "overdue", "state"),
    [
        (Exit.DONE, 0, JobState.OK),
        (Exit.DONE, None, JobState.OK),
        (Exit.ROWS_LEFT, 0, JobState.NEEDS_A_PERSON),
        (Exit.REFUSED, None, JobState.NEEDS_A_PERSON),
        (Exit.REFUSED, 2, JobState.OVERDUE),
        (Exit.DONE, 2, JobState.OVERDUE),
        (Exit.STOPPED_EARLY, 2, JobState.FAILED),
        (Exit.BUG, None, JobState.FAILED),
        (Exit.USAGE, None, JobState.FAILED),
        (Exit.ACCESS_DENIED, None, JobState.FAILED),
        (Exit.ANOTHER_RUN, None, JobState.FAILED),
        (Exit.INTERRUPTED, 2, None),
        (Exit.TERMINATED, None, None),
    ],
)
def test_the_worst_state_counts(status: Exit, overdue: int | None, state: JobState | None) -> None:
    assert state_of(RunEnd("a", None, 0.0, status, 1.0, overdue=overdue)) == state


def test_a_message_that_no_service_accepted_is_sent_again(
    filled: Simulator, tmp_path: Path, run: Run, receiver: Receiver
) -> None:
    receiver.answers = ["500"]
    ran = run(filled, "run", "missing.csv")
    assert ran.status == 2
    assert "--notify: the service did not take the message." in ran.err
    assert "s3cret" not in ran.out + ran.err
    receiver.answers, before = ["200"], len(receiver.bodies)
    run(filled, "run", "missing.csv")
    run(filled, "run", "missing.csv")
    assert len(receiver.bodies) == before + 1
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"s3cret" not in written


def test_several_urls_lie_in_a_file_line_by_line(
    filled: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as one, receiving() as other:
        urls = [each.url.replace("http:", "json:") for each in (one, other)]
        (tmp_path / "urls").write_text("\n".join(["# the team", *urls, ""]))
        monkeypatch.setenv("BULK_SYNC_NOTIFY_FILE", str(tmp_path / "urls"))
        run(filled, "run", "missing.csv")
        monkeypatch.delenv("BULK_SYNC_NOTIFY_FILE")
        run(filled, "run", "other.csv", "--notify", urls[0], "--notify", urls[1])
    assert titles(one) == titles(other)
    assert titles(one) == ["bulk-sync: missing failed", "bulk-sync: other failed"]


def test_previews_send_no_message(filled: Simulator, run: Run, receiver: Receiver) -> None:
    assert run(filled, "run", "missing.csv", "-n").status == 2
    assert receiver.received == []


def test_a_wrong_url_is_refused_and_not_shown(tmp_path: Path, run: Run, sim: Simulator) -> None:
    write_states(tmp_path / "in.csv", 1)
    ran = run(sim, "run", "in.csv", "--notify", "json://127.0.0.1:9", "--notify", "nosuch://s3cret")
    assert ran.status == 2
    assert "--notify, URL number 2: apprise does not know such a URL." in ran.err
    assert "s3cret" not in ran.err
    assert sim.requests == []


def test_without_apprise_an_error_names_the_command_that_installs_it(
    tmp_path: Path, run: Run, sim: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    write_states(tmp_path / "in.csv", 1)
    ran = run(sim, "run", "in.csv", "--notify", "json://127.0.0.1:9")
    assert ran.status == 2
    assert "pip install 'bulk-sync[notify]'" in ran.err
    assert sim.requests == []
