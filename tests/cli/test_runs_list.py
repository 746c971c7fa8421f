"""`runs`: the listed runs, their lines, and the chart at a terminal."""

import os
import pty
import time
from pathlib import Path

import orjson
import pytest
from conftest import Copied, Run, populate, signal_before_answer, write_states

from bulk_sync.ledger import Begun, Ended, Kind, NotBegun, open_ledger
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator
from bulk_sync.storage import lock

DAYS = ("20261101T020000Z-00000a", "20261110T020000Z-00000b", "20261120T020000Z-00000c")


def begun_run(job: str) -> Begun:
    return Begun(
        kind=Kind.RUN,
        job=job,
        endpoint="https://mc.adobe.io",
        organization="acme",
        attribute="ccpaOptOut",
        input=f"{job}.csv",
        input_sha256="",
        rows=120,
        parent=None,
        settings={},
        version="",
        operator="sync on host",
    )


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a state folder after four nights: done, needs a person, killed, could not start."""
    times = iter((1_793_498_400, 1_793_498_460, 1_794_276_000, 1_794_276_009, 1_795_140_000))
    with open_ledger(State(tmp_path / "state")) as book, monkeypatch.context() as inner:
        inner.setattr(time, "time_ns", lambda: next(times, 1_795_226_400) * 10**9)
        book.begin(DAYS[0], begun_run("requests"))
        done = Ended(0, "", final=True, opt_ins=2, opt_outs=118, seconds=4_205.0)
        book.end(DAYS[0], done)
        book.begin(DAYS[1], begun_run("suppressed"))
        left = {"updated": 29, "failed": 1}
        book.end(DAYS[1], Ended(3, "", final=True, outcomes=left, opt_outs=29, seconds=9.0))
        book.begin(DAYS[2], begun_run("requests"))
        why = "in.csv is empty. See that its export finished."
        start = vars(begun_run("requests")) | {"rows": 0, "exit": 2, "message": why, "seconds": 0.5}
        book.record_failed_start("20261121T020000Z-00000d", NotBegun(**start))
    return tmp_path / "state"


@pytest.mark.parametrize(
    ("words", "listed"),
    [
        ((), "abcd"),
        (("--last", 2), "cd"),
        (("--job", "requests"), "acd"),
        (("--failed",), "bcd"),
        (("--since", "2026-11-10"), "bcd"),
        (("--since", "2026-11-20T01:00"), "cd"),
        (("--since", "0001-01-01"), "abcd"),
        (("--since", "9999-12-31"), ""),
        (("--failed", "--job", "requests", "--since", "2026-11-01", "--last", 1), "d"),
        (("--job", "nobody"), ""),
    ],
)
@pytest.mark.usefixtures("nights")
def test_runs_are_listed_by_the_given_filters(
    words: tuple[object, ...], listed: str, run: Run
) -> None:
    found = orjson.loads(run(None, "runs", "--json", *words).out)
    assert "".join(each["run_id"][-1] for each in found) == listed
    lines = run(None, "runs", *words).out.splitlines()
    assert "".join(line.split()[0][-1] for line in lines if line.startswith("2026")) == listed


@pytest.mark.usefixtures("nights")
def test_each_line_has_the_job_the_time_it_took_and_the_exit_in_words(run: Run) -> None:
    out = run(None, "runs").out
    rows = [" ".join(line.split()[1:]) for line in out.splitlines() if line.startswith("2026")]
    assert rows == [
        "run requests 120 2 118 1h 10m done",
        "run suppressed 120 0 29 9.0 s some rows need a person",
        "run requests 120 unfinished: resume",
        "run requests 0.5 s could not start",
    ]
    assert "  exit status 2: in.csv is empty.\n" in out
    output = " ".join(out.split())
    assert "UTC, exit status 0: nothing is left to do, requests.csv," in output
    assert "UTC, exit status 3, suppressed.csv, 1 row left," in output
    assert max(map(len, out.splitlines())) <= 100
    assert not any(sign in out for sign in "█✓✗")


def test_a_run_at_work_is_not_listed_as_unfinished(nights: Path, run: Run) -> None:
    with lock.hold(nights, "acme", lock.holder(f"run {DAYS[2]}")):
        output = [run(None, "runs", *words).out for words in ((), (DAYS[2],), (DAYS[2], "--json"))]
    assert all("at work" in out and "resume" not in out for out in output)
    assert f"process {os.getpid()}" in output[1]


@pytest.mark.parametrize(
    ("run_id", "words"),
    [
        (DAYS[0], None),
        (DAYS[1], None),
        (DAYS[2], f"`bulk-sync resume {DAYS[2]}` goes on."),
        ("20261121T020000Z-00000d", "Correct what the message names. Start the command again."),
    ],
    ids=["done", "needs a person", "killed", "could not start"],
)
@pytest.mark.usefixtures("nights")
def test_one_run_says_what_to_do_next(run_id: str, words: str | None, run: Run) -> None:
    (*_, last) = run(None, "runs", run_id).out.splitlines()
    assert (words is None and "next:" not in last) or last.endswith(str(words))


def test_a_refused_run_has_its_reason_and_the_next_command(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    refused = run(sim, "run", write_states(tmp_path / "in.csv", 2), "--max-changes", 0)
    assert refused.status == 4
    assert "\n  Nothing was written: 2 changes of 2 rows" in run(None, "runs").out
    (listed,) = orjson.loads(run(None, "runs", "--json").out)
    run_id = listed["run_id"]
    shown = run(None, "runs", run_id).out
    assert f"next: If it is meant, `bulk-sync resume {run_id}` with the option that" in shown
    run(sim, "resume", run_id, "--give-up")
    assert "next:" not in run(None, "runs", run_id).out


def test_a_run_that_was_given_up_has_no_next_command(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 5)
    words = ("--fetch", "lookup", "--max-calls", 3)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 5), *words).status == 6
    (listed,) = orjson.loads(run(None, "runs", "--json").out)
    for command in (("runs",), ("runs", listed["run_id"])):
        assert "stopped early; `bulk-sync resume` goes on" in " ".join(
            run(None, *command).out.split()
        )
    run(sim, "resume", listed["run_id"], "--give-up")
    for command in (("runs",), ("runs", listed["run_id"]), ("resume", listed["run_id"])):
        ran = run(sim, *command)
        shown = " ".join((ran.out + ran.err).split())
        assert ("stopped early" in shown, "goes on" in shown) == (True, False)
        assert "Start the command again" not in shown
    assert run(None, "report", listed["run_id"], "--report", "again.html").status == 0
    assert "<p>Exit status 6: stopped early.</p>" in (tmp_path / "again.html").read_text("utf-8")


def test_a_finished_plan_is_not_called_done_in_campaign(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 5)
    write_states(tmp_path / "in.csv", 5)
    assert run(sim, "plan", "in.csv", "--out", "plan.parquet").status == 0
    (listed,) = orjson.loads(run(None, "runs", "--json").out)
    text = run(sim, "resume", listed["run_id"]).out
    assert "status 0: everything could be planned; nothing was written." in text


def test_the_report_of_a_run_that_cannot_be_resumed_offers_no_resume(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 5)
    write_states(tmp_path / "in.csv", 5)
    assert run(sim, "run", "in.csv").status == 0
    signal_before_answer(sim, "GET", 3)
    assert run(sim, "audit", "--concurrency", 1, "--report", "stopped.html").status == 143
    report = (tmp_path / "stopped.html").read_text("utf-8")
    assert "<p>Exit status 143: interrupted.</p>" in report


def test_failed_commands_that_are_no_runs_are_not_listed(run: Run, tmp_path: Path) -> None:
    assert run(None, "tidy", "-n").status == 2
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("since", ['"2026-11-10"', "2026-11-10"], ids=["a text", "a date"])
@pytest.mark.usefixtures("nights")
def test_the_configuration_may_hold_a_date(since: str, run: Run, tmp_path: Path) -> None:
    (tmp_path / "bulk-sync.toml").write_text(f"since = {since}\n")
    found = orjson.loads(run(None, "runs", "--json").out)
    assert [each["run_id"][-1] for each in found] == ["b", "c", "d"]


@pytest.mark.usefixtures("nights")
def test_the_configuration_of_a_job_hides_no_other_one(run: Run, tmp_path: Path) -> None:
    (tmp_path / "bulk-sync.toml").write_text('job = "requests"\n')
    assert "suppressed" in run(None, "runs").out


@pytest.mark.parametrize("words", [("--last", "0"), ("--since", "soon"), (DAYS[0], "--failed")])
@pytest.mark.usefixtures("nights")
def test_a_wrong_choice_is_wrong_usage(words: tuple[str, ...], run: Run) -> None:
    assert run(None, "runs", *words).status == 2


def type_at_terminal(folder: Path, line: str) -> str:
    """Type a line at a terminal, and return its output."""
    near, far = pty.openpty()
    environment = os.environ | {"BULK_SYNC_STATE_DIR": str(folder), "TERM": "xterm-256color"}
    with Copied(line.split(), stdout=far, stderr=far, env=environment) as process:
        os.close(far)
        shown = b""
        while part := _part(near):
            shown += part
    os.close(near)
    assert process.returncode == 0
    return shown.decode()


def _part(near: int) -> bytes:
    try:
        return os.read(near, 65_536)
    except OSError:  # the other end is closed
        return b""


def test_a_terminal_shows_a_chart_with_signs_colours_and_words(nights: Path) -> None:
    lines = ("runs", "runs --json", f"runs {DAYS[0]}", "runs --job nobody")
    shown, *others = (type_at_terminal(nights, line) for line in lines)
    chart = shown[shown.index("Changes of the last 4 runs:") :]
    done, person, killed, failed = chart.splitlines()[1:5]
    assert 4 * person.count("█") in range(done.count("█"), done.count("█") + 4)
    assert ("…" in done, "█" in killed + failed) == (False, False)
    assert ("\x1b[32m✓ done" in done, "\x1b[33m! some rows" in person) == (True, True)
    assert ("\x1b[35m… unfinished" in killed, "\x1b[31m✗ could not" in failed) == (True, True)
    assert "120" in done
    assert [each for each in others if "█" in each or "Changes" in each] == []
    assert [bool(each.strip()) for each in others] == [True] * 3
