"""The hooks in ``[job.NAME]``: for a run, and for every later command about it."""

from collections.abc import Iterator
from pathlib import Path

import orjson
import pytest
from conftest import Run, populate, write_states
from receiver import Receiver, receiving

from bulk_sync.simulator import Simulator

# On Python 3.11 a plugin of apprise imports what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PATH = "/s3cret-uuid"
STOPPED = ("--max-calls", 2)


@pytest.fixture
def filled(sim: Simulator) -> Simulator:
    populate(sim, 5)
    return sim


@pytest.fixture
def others() -> Iterator[Receiver]:
    """Yield the receiver of the hooks at the top of the configuration."""
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def hooks(tmp_path: Path, others: Receiver) -> Iterator[Receiver]:
    """Yield the receiver of the hooks of the job ``night``; other jobs have those at the top."""
    with receiving() as receiver:
        (tmp_path / "ping").write_text(f"{receiver.url}\n")
        messages = receiver.url.replace("http:", "json:")
        lines = [
            f'ping = "{others.url}"',
            'metrics-file = "all.prom"',
            "[job.night]",
            f'ping-file = "{tmp_path / "ping"}"',
            f'notify = ["{messages}"]',
            'metrics-file = "night.prom"',
        ]
        (tmp_path / "bulk-sync.toml").write_text("\n".join([*lines, ""]))
        yield receiver


def test_the_check_of_a_resumed_job_turns_green(
    filled: Simulator, tmp_path: Path, hooks: Receiver, others: Receiver, run: Run
) -> None:
    assert run(filled, "run", write_states(tmp_path / "night1.csv", 5), *STOPPED).status == 6
    assert run(filled, "run", write_states(tmp_path / "day.csv", 4), *STOPPED).status == 6
    assert hooks.paths == [f"{PATH}/start", f"{PATH}/6", PATH]
    assert '"bulk-sync: night failed"' in hooks.bodies[-1]
    others.received.clear()
    assert run(filled, "resume", "--all").status == 0
    assert hooks.paths[3:] == [f"{PATH}/start", PATH, PATH]
    assert '"bulk-sync: night recovered"' in hooks.bodies[-1]
    assert others.paths == [f"{PATH}/start", PATH]
    for name, job in (("night.prom", "night"), ("all.prom", "day")):
        text = (tmp_path / name).read_text()
        assert f'bulk_sync_last_run_exit_status{{sync_job="{job}"}} 0.0' in text
        assert text.count("bulk_sync_runs_to_resume{") == 1


def test_each_apply_of_a_plan_is_pinged_once(
    filled: Simulator, tmp_path: Path, hooks: Receiver, others: Receiver, run: Run
) -> None:
    run(filled, "plan", write_states(tmp_path / "night1.csv", 5), "--out", "plan.parquet")
    assert run(filled, "apply", "plan.parquet", "--max-calls", 4).status == 6
    assert run(filled, "apply", "plan.parquet").status == 0
    assert hooks.paths == [f"{PATH}/start", f"{PATH}/6", PATH, f"{PATH}/start", PATH, PATH]
    assert others.paths == []


def test_a_second_apply_that_cannot_go_on_is_recorded_as_one(
    filled: Simulator, tmp_path: Path, run: Run
) -> None:
    run(filled, "plan", write_states(tmp_path / "in.csv", 5), "--out", "plan.parquet")
    assert run(filled, "apply", "plan.parquet", "--max-calls", 4).status == 6
    before = orjson.loads(run(None, "runs", "--json").out)
    (tmp_path / "state" / "runs" / before[-1]["run_id"] / "rows.parquet").write_bytes(b"")
    assert run(filled, "apply", "plan.parquet").status == 2
    *listed, last = orjson.loads(run(None, "runs", "--json").out)
    assert listed == before
    assert (last["kind"], last["started"], last["parent"]) == ("apply", False, None)


@pytest.mark.parametrize("words", ["resume", "retry", "undo --max-opt-ins 2", "audit"])
def test_a_command_about_a_run_has_the_hooks_of_its_job(
    words: str, filled: Simulator, tmp_path: Path, hooks: Receiver, others: Receiver, run: Run
) -> None:
    command, *options = words.split()
    if command == "retry":
        filled.forbidden.update(filled.profiles)
    stopped = STOPPED if command == "resume" else ()
    ran = run(filled, "run", write_states(tmp_path / "night.csv", 2), *stopped, "--summary", "json")
    filled.forbidden.clear()
    hooks.received.clear()
    assert run(filled, command, ran.summary["run_id"], *options).status == 0
    assert hooks.paths[:2] == [f"{PATH}/start", PATH]
    assert others.received == []


@pytest.mark.parametrize("command", ["resume", "retry", "undo", "audit"])
@pytest.mark.usefixtures("hooks")
def test_an_unknown_run_has_the_hooks_at_the_top_and_does_not_begin(
    command: str, filled: Simulator, others: Receiver, run: Run
) -> None:
    assert run(filled, command, "20200101T000000Z-000000").status == 2
    assert others.paths == [f"{PATH}/2"]


@pytest.mark.parametrize("how", ["typed", "a variable", "the variable of a file"])
def test_hooks_on_the_command_line_win(
    how: str, filled: Simulator, tmp_path: Path, hooks: Receiver, run: Run,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    assert run(filled, "run", write_states(tmp_path / "night.csv", 5), *STOPPED).status == 6
    hooks.received.clear()
    with receiving() as given:
        (tmp_path / "given").write_text(given.url)
        match how:
            case "a variable":
                monkeypatch.setenv("BULK_SYNC_PING", given.url)
            case "the variable of a file":
                monkeypatch.setenv("BULK_SYNC_PING_FILE", str(tmp_path / "given"))
        words = ("--ping", given.url) if how == "typed" else ()
        assert run(filled, "resume", *words).status == 0
        assert given.paths == [f"{PATH}/start", PATH]
    assert hooks.paths == [PATH]  # the message


def test_a_wrong_address_for_messages_is_pinged(
    filled: Simulator, tmp_path: Path, hooks: Receiver, run: Run
) -> None:
    assert run(filled, "run", write_states(tmp_path / "night.csv", 5), *STOPPED).status == 6
    config = tmp_path / "bulk-sync.toml"
    config.write_text(config.read_text().replace("json:", "nonsense:"))
    hooks.received.clear()
    filled.clear()
    ran = run(filled, "resume")
    assert ran.status == 2
    assert "--notify comes from bulk-sync.toml, [job.night]: notify." in ran.err
    assert (hooks.paths, filled.requests) == ([f"{PATH}/2"], [])
