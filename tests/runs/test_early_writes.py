"""Opt-outs known to be due are written before a budget is spent on the rest."""

import signal
from pathlib import Path

import orjson
import pytest
from conftest import Run, before_answer, key, populate, process, read_csv, write_states

from bulk_sync.simulator import Fault, Options, ScanFault, Simulator, running

ROWS = 100
LISTED = Options(scan_fault=ScanFault.HIDES, scan_hides_share=0.5)
SCAN = ("--fetch", "scan", "--page-size", 50)


def kinds(sim: Simulator) -> str:
    """Return the requests in order: pages of the list, lookups and writes."""
    letters = []
    for each in sim.requests:
        is_list = not any(part in each.raw_path for part in ("/profile/%40", "/byEmail"))
        letters.append("l" if is_list else "w" if each.method == "PATCH" else "r")
    return "".join(letters)


def mixed(path: Path, opt_ins: int) -> Path:
    lines = [f"{key(number)},{str(number >= opt_ins).lower()}" for number in range(ROWS)]
    path.write_text("\n".join(["PKey,ccpaOptOut", *lines, ""]))
    return path


def test_changes_due_after_a_scan_are_written_before_missing_keys_are_looked_up(
    tmp_path: Path, run: Run
) -> None:
    with running(LISTED) as sim:
        populate(sim, ROWS)
        path = write_states(tmp_path / "in.csv", ROWS)
        ran = run(sim, "run", path, *SCAN, "--max-calls", 70)
        assert ran.status == 6
        sent = kinds(sim)
        first_write, last_write = sent.index("w"), sent.rindex("w")
        assert "r" not in sent[:last_write]
        written = sent.count("w")
        assert last_write - first_write + 1 == written
        assert 30 < written < 70  # all that the list has shown
        assert ran.outcomes.count("updated") == written
        assert ran.outcomes.count("pending") == ROWS - written
        assert "are written first" in ran.err
        looked_up = sent.count("r")
        assert looked_up == 70 - len(sent.replace("r", ""))  # with what the budget left
        nights = 1
        while ran.status == 6:
            ran = run(sim, "resume", "--max-calls", 70)
            nights += 1
            assert nights < 6
        assert ran.status == 0
        assert ran.outcomes == ["updated"] * ROWS
        assert len(sim.patched) == len({pkey for pkey, _ in sim.patched}) == ROWS
        assert kinds(sim).count("r") == ROWS - written  # nothing is read twice
        (facts,) = orjson.loads(run(None, "runs", "--json").out)
        assert (facts["opt_outs"], facts["finished"]) == (ROWS, True)
        assert run(None, "ledger", "verify").status == 0


def test_a_budget_that_covers_both_changes_nothing(tmp_path: Path, run: Run) -> None:
    with running(LISTED) as sim:
        populate(sim, ROWS)
        path = write_states(tmp_path / "in.csv", ROWS)
        assert run(sim, "run", path, *SCAN, "--max-calls", 500).status == 0
        sent = kinds(sim)
        assert sent.rindex("r") < sent.index("w")


def test_changes_looked_up_before_are_written_first_the_next_day(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    path = write_states(tmp_path / "in.csv", ROWS)
    assert run(sim, "run", path, "--fetch", "lookup", "--max-calls", 41).status == 6
    assert not sim.patched
    sim.clear()
    assert run(sim, "resume", "--max-calls", 61).status == 6
    assert kinds(sim) == "l" + 40 * "w" + 20 * "r"
    assert run(sim, "resume").status == 0
    assert len(sim.patched) == ROWS


def fill(sim: Simulator, opt_ins: int, *, unchanged: int) -> None:
    """Fill a simulator for ``mixed``: with opt-outs to lift, and with unchanged rows."""
    populate(sim, ROWS)
    for number in (*range(opt_ins), *range(ROWS - unchanged, ROWS)):
        sim.profiles[key(number)]["ccpaOptOut"] = True


@pytest.mark.parametrize(
    ("opt_ins", "words", "is_early", "passes"),
    [
        (0, (), True, True),
        (0, ("--max-changes", ROWS - 1), True, True),
        (0, ("--max-changes", ROWS // 2), False, True),
        (10, (), True, True),
        (11, (), False, False),
        (11, ("--max-opt-ins", 11), True, True),
        (1, ("--max-opt-ins", 0), False, False),
    ],
    ids=str,
)
def test_nothing_is_written_early_while_a_limit_may_be_passed(
    opt_ins: int,
    words: tuple[object, ...],
    is_early: bool,
    passes: bool,
    tmp_path: Path,
    run: Run,
) -> None:
    with running(LISTED) as sim:
        fill(sim, opt_ins, unchanged=ROWS // 2)
        path = mixed(tmp_path / "in.csv", opt_ins)
        ran = run(sim, "run", path, *SCAN, "--max-calls", 40, *words)
        assert ran.status == 6, ran.err
        assert bool(sim.patched) == is_early
        assert {state for _, state in sim.patched} <= {True}  # no opt-in before all is known
        assert run(sim, "resume").status == (0 if passes else 4)
        assert len(sim.patched) == (ROWS // 2 if passes else 0)


def test_opt_outs_are_written_early_while_opt_ins_are_held_back(tmp_path: Path, run: Run) -> None:
    with running(LISTED) as sim:
        fill(sim, 11, unchanged=ROWS // 2)
        path = mixed(tmp_path / "in.csv", 11)
        assert run(sim, "run", path, *SCAN, "--max-calls", 40, "--hold-opt-ins").status == 6
        assert sim.patched
        assert run(sim, "resume").status == 3
        assert {state for _, state in sim.patched} == {True}
        assert len(sim.patched) == ROWS // 2 - 11


def test_nothing_is_written_early_of_a_list_that_may_be_inverted(tmp_path: Path, run: Run) -> None:
    with running(LISTED) as sim:
        fill(sim, 40, unchanged=0)
        path = mixed(tmp_path / "in.csv", 40)
        words = ("--max-calls", 40, "--max-opt-ins", "50%")
        assert run(sim, "run", path, *SCAN, *words).status == 6
        assert not sim.patched
        ran = run(sim, "resume")
        assert (ran.status, sim.patched) == (4, [])
        assert "--allow inverted" in ran.err


def test_a_limit_lowered_since_stops_the_rest_and_reports_the_writes(
    tmp_path: Path, run: Run
) -> None:
    with running(LISTED) as sim:
        fill(sim, 10, unchanged=ROWS // 2)
        path = mixed(tmp_path / "in.csv", 10)
        assert run(sim, "run", path, *SCAN, "--max-calls", 40).status == 6
        written = len(sim.patched)
        assert written
        ran = run(sim, "resume", "--max-opt-ins", 0)
        assert ran.status == 4
        assert len(sim.patched) == written
        assert "Nothing was written" not in ran.err
        assert f"Nothing more was written than the {written} opt-outs" in ran.err
        assert ran.outcomes.count("updated") == written
        assert ran.outcomes.count("pending") == ROWS // 2 - written
        assert run(sim, *ran.out.splitlines()[-1].split()[1:]).status == 0
        assert len(sim.patched) == ROWS // 2


def test_an_early_write_counts_against_an_older_run_whatever_stopped_the_rest(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, ROWS)
    sim.profiles[key(0)]["ccpaOptOut"] = True
    older = write_states(tmp_path / "older.csv", 1, "false")
    assert run(sim, "run", older, "--max-calls", 1, "--report", "older.r.csv").status == 6
    older_id = orjson.loads(run(None, "runs", "--json").out)[-1]["run_id"]
    sim.profiles[key(0)]["ccpaOptOut"] = False
    path = write_states(tmp_path / "in.csv", ROWS)
    assert run(sim, "run", path, "--fetch", "lookup", "--max-calls", 41).status == 6
    assert run(sim, "resume", "--max-calls", 60).status == 6
    assert (key(0), True) in sim.patched
    assert run(sim, "resume", "--max-changes", 1).status == 4
    ran = run(sim, "resume", older_id, "--report", "older.r.csv")
    assert ran.status == 3, ran.err
    assert "newer_run" in (tmp_path / "older.r.csv").read_text()
    assert sim.states[key(0)] is True


@pytest.mark.parametrize("how", ["SIGTERM", "SIGKILL"])
def test_a_run_killed_during_early_writes_is_resumed(how: str, tmp_path: Path, run: Run) -> None:
    with running(LISTED) as sim:
        populate(sim, ROWS)
        path = str(write_states(tmp_path / "in.csv", ROWS))
        before_answer(sim, "PATCH", 20, lambda: dying.send_signal(signal.Signals[how]))
        words = ("run", path, "-q", *map(str, SCAN), "--max-calls", "70", "--concurrency", "4")
        with process(sim, tmp_path, *words) as dying:
            dying.wait()
        assert 20 <= len(sim.patched) < 30
        ran = run(sim, "resume", "--max-opt-ins", 0)
        assert ran.status == 0, ran.err
        assert set(sim.states.values()) == {True}
        assert ran.outcomes == ["updated"] * ROWS
        assert len(sim.patched) == ROWS


def test_early_writes_are_no_newer_choices(tmp_path: Path, run: Run) -> None:
    with running(LISTED) as sim:
        populate(sim, ROWS)
        lines = [f"{key(number)},true,2026-11-20" for number in range(ROWS)]
        (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut,Request date", *lines, ""]))
        assert run(sim, "run", "in.csv", *SCAN, "--max-calls", 60).status == 6
        assert sim.patched
        for place in (tmp_path / "state" / "runs").glob("*/list.json"):
            place.unlink()  # so that the list is read from its beginning
        ran = run(sim, "resume")
        assert ran.status == 0, ran.err
        assert ran.outcomes == ["updated"] * ROWS
        assert len(sim.patched) == ROWS


def dated(path: Path, rows: int, state: str, day: str) -> str:
    lines = [f"{key(number)},{state},{day}" for number in range(rows)]
    path.write_text("\n".join(["PKey,ccpaOptOut,Request date", *lines, ""]))
    return str(path)


@pytest.mark.parametrize("is_killed", [False, True], ids=["confirmed", "in flight"])
def test_a_run_goes_on_after_a_newer_request_has_changed_its_early_writes(
    is_killed: bool, tmp_path: Path, run: Run
) -> None:
    with running(Options(hang_s=0.0)) as sim:
        populate(sim, ROWS)
        older = dated(tmp_path / "in.csv", ROWS, "true", "2026-11-10")
        assert run(sim, "run", older, "--fetch", "lookup", "--max-calls", 41).status == 6
        if is_killed:
            sim.queue_fault(Fault.HANG_AFTER_WRITE, "PATCH", times=2)
            before_answer(sim, "PATCH", 2, lambda: dying.kill())
        words = ("resume", "-q", "--max-calls", "61", "--concurrency", "2")
        with process(sim, tmp_path, *words) as dying:
            dying.wait()
        assert {key(0), key(1)} <= {pkey for pkey, _ in sim.patched}
        (facts,) = orjson.loads(run(None, "runs", "--json").out)
        newer = dated(tmp_path / "newer.csv", 2, "false", "2026-11-20")
        assert run(sim, "run", newer, "--ignore-dates", "--report", "newer.r.csv").status == 0
        assert run(sim, "resume", facts["run_id"], "--max-calls", 40).status == 6
        ran = run(sim, "resume", facts["run_id"])
        assert ran.status == (3 if is_killed else 0), ran.err
        outcome = "drifted" if is_killed else "updated"
        report = read_csv(max(tmp_path.glob("in.*.results.csv")))
        assert [row["sync_outcome"] for row in report] == [outcome] * 2 + ["updated"] * (ROWS - 2)
        assert [sim.states[key(number)] for number in range(4)] == [False, False, True, True]
        assert run(None, "ledger", "verify").status == 0


def test_addresses_that_are_due_are_written_first_too(tmp_path: Path, run: Run) -> None:
    with running(Options()) as sim:
        populate(sim, ROWS)
        lines = [f"p{number}@example.com,true" for number in range(ROWS)]
        lines += [f"nobody{number}@example.com,true" for number in range(ROWS)]
        (tmp_path / "in.csv").write_text("\n".join(["email,ccpaOptOut", *lines, ""]))
        ran = run(sim, "run", "in.csv", "--fetch", "scan", "--max-calls", 120)
        assert ran.status == 6, ran.err
        assert len(sim.patched) == ROWS
        sent = kinds(sim)
        ran = run(sim, "resume")
        assert ran.status == 3
        assert ran.outcomes == ["updated"] * ROWS + ["not_found"] * ROWS
        assert sent.count("w") == ROWS == len(sim.patched)


def test_nothing_is_written_early_while_an_address_may_have_too_many_profiles(
    tmp_path: Path, run: Run
) -> None:
    with running(Options()) as sim:
        for number in range(12):
            sim.add(email=f"p{number if number < 3 else 3 + number % 3}@x.com", ccpaOptOut=False)
        lines = [f"p{number}@x.com,true" for number in range(6)]
        (tmp_path / "in.csv").write_text("\n".join(["email,ccpaOptOut", *lines, ""]))
        words = ("--fetch", "lookup", "--concurrency", 1, "--max-changes", 6)
        ran = run(sim, "run", tmp_path / "in.csv", *words, "--max-calls", 4)
        while ran.status == 6:
            ran = run(sim, "resume", "--max-calls", 5)
        assert ran.status == 4
        assert "12 changes of 6 rows" in ran.err
        assert not sim.patched
