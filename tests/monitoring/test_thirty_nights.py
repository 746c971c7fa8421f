"""Thirty nights of one job with the morning after each, compared with the table in the manual.

The clock shows November 2026. The test types the commands of the page ``nightly`` for the morning.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Ran, Run, key
from mishaps import MOUNTING, NIGHTS, Arrange, may_mount
from nights import KILLED, OFF, ROWS, SECRET, Machine, events
from receiver import receiving

import bulk_sync
from bulk_sync.simulator import Options, running

# On Python 3.11 a plugin of apprise imports what is deprecated.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PAGE = Path(bulk_sync.__file__).parent / "manual" / "nightly.md"
HOUR_S = 3600
HEADING = "## Thirty nights and the mornings after"


@pytest.fixture
def machine(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, new_database: Callable[[], str]
) -> Iterator[Machine]:
    options = Options(access_token=None, client_secret=SECRET)
    with running(options) as sim, receiving() as pings, receiving() as messages:
        wanted = {key(number): number % 2 == 0 for number in range(ROWS)}
        for each in wanted:
            sim.add(pkey=each, email=f"{each[-4:]}@example.com", ccpaOptOut=False)
        machine = Machine(tmp_path, sim, pings, messages, run, monkeypatch, new_database(), wanted)
        machine.configure()
        yield machine


def table() -> dict[str, list[str]]:
    """Return the manual's table: the cells of each line by its first cell."""
    _, _, behind = PAGE.read_text("utf-8").partition(f"{HEADING}\n")
    _, _, *lines = (line for line in behind.partition("\n## ")[0].splitlines() if line[:1] == "|")
    rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    return {first: others for first, *others in rows}


def shown_exit(status: int) -> str:
    return {OFF: "none", KILLED: "137"}.get(status, str(status))


def check_log(machine: Machine, ran: Ran, new: dict[str, Any]) -> None:
    """Check the events in the log against the exit status and the line in ``runs``."""
    names = [str(event["event"]) for event in events(ran)]
    assert ("run_began" in names) == bool(new and new["started"]) or "postgresql" in ran.err
    assert ("limit" in names) == (ran.status == 4 or "--hold-opt-ins" in machine.options)
    assert names.count("run_ended") == (ran.status not in {KILLED, OFF})
    if "run_ended" in names:
        end = events(ran)[-1]
        assert (end["event"], end["exit"], end["job"]) == ("run_ended", ran.status, "optouts")
        assert not new or end["run_id"] == new["run_id"]
        assert not ran.out or ran.summary.items() <= end.items()
        assert new or end["recorded"] is False
        assert new or "could not be recorded in the ledger" in machine.pings.bodies[-1]


def check_metrics(machine: Machine, ran: Ran, words: str, before: dict[str, float]) -> None:
    """Check the metrics file; it keeps a last success, also without the ledger."""
    after = machine.gauges()
    if ran.status in {KILLED, OFF}:
        assert after == before
        return
    assert after["last_run_exit_status"] == ran.status
    assert 0 <= after["last_run_timestamp_seconds"] - machine.time_s(2) < HOUR_S
    success = after["last_success_timestamp_seconds"]
    if ran.status == 0:
        assert 0 <= success - machine.time_s(2) < HOUR_S
    else:
        assert success == before["last_success_timestamp_seconds"]
    if "BULK_SYNC_LEDGER" not in os.environ:
        added = int(words.endswith("resume"))
        assert after["runs_to_resume"] == before.get("runs_to_resume", 0) + added


def run_night(machine: Machine, arrange: Arrange, expected: int) -> tuple[list[str], str]:
    """Run a night; return the cells of its line in the table, and the id of its run."""
    before = machine.gauges()
    with machine.at(2), machine.around:
        arrange(machine)
        ran = machine.begin()
    assert ran.status == expected, ran.err
    new = machine.new_run()
    words = machine.words_of(new["run_id"]) if new else "no line"
    check_log(machine, ran, new)
    check_metrics(machine, ran, words, before)
    pings, message = machine.new_pings(), machine.new_messages()
    return [shown_exit(ran.status), words, pings, message], str(new.get("run_id"))


def run_morning(machine: Machine, line: str, run_id: str, *, was_notified: bool) -> None:
    """Run cron's command, type those of the manual, and check that all is well."""
    with machine.at(6):
        status = machine.typed(machine.sim, "resume", "--all").status
        if not machine.is_mended:
            assert (status, machine.new_pings(), machine.new_messages()) == (6, "start, 6", "none")
            return
    with machine.at(9):
        assert machine.morning(line, run_id) == 0
        left = machine.typed(machine.sim, "resume", "--all")
    assert (left.status, machine.sim.states) == (0, machine.wanted)
    assert machine.new_messages().split(", ")[-1] == ("recovered" if was_notified else "none")
    assert machine.gauges()["last_run_exit_status"] == 0
    assert machine.gauges()["runs_to_resume"] == 0
    machine.new_pings()


def test_thirty_nights_are_as_in_the_manual(machine: Machine) -> None:
    lines, seen, was_notified = table(), {}, False
    assert len(NIGHTS) == 30
    left_out = set() if may_mount() else MOUNTING
    for what, (arrange, expected) in NIGHTS.items():
        machine.next_night()
        if arrange in left_out:
            seen[what] = lines[what]
            continue
        cells, run_id = run_night(machine, arrange, expected)
        was_notified |= cells[-1] != "none"
        advice = lines[what][-1] if what in lines else ""
        seen[what] = [*cells, advice]
        run_morning(machine, advice, run_id, was_notified=was_notified)
        was_notified &= not machine.is_mended
    rows = [f"| {' | '.join([what, *cells])} |" for what, cells in seen.items()]
    assert lines == seen, "The table should be:\n" + "\n".join(rows)
    assert machine.typed(machine.sim, "ledger", "verify").status == 0
    if left_out:
        pytest.skip(f"this user may mount no disk of their own for {len(left_out)} of the nights")
