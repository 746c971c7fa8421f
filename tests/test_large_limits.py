"""Limits on large inputs: refused or held rows can be written later, and only once."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from conftest import Ran, Run, key, read_csv
from large_inputs import in_slices

from bulk_sync.simulator import Simulator

ROWS = 100
OPT_INS = range(0, 96, 8)
OPT_OUTS = range(3, ROWS, 4)
CHANGES = {**dict.fromkeys(OPT_OUTS, True), **dict.fromkeys(OPT_INS, False)}
REPEATED = (8, 2)
SCAN = ("--fetch", "scan", "--page-size", "10", "--concurrency", "1")
SHORT = ("--summary", "json", "--report", "r.csv")


@pytest.fixture
def filled(sim: Simulator, tmp_path: Path) -> Simulator:
    """Return a Campaign, and a file with opt-ins, opt-outs and two repeated rows."""
    for at in range(ROWS):
        desired = CHANGES.get(at)
        sim.add(pkey=key(at), email=f"p{at}@example.com", ccpaOptOut=desired is not True)
    write(tmp_path / "in.csv", ROWS)
    return sim


def write(path: Path, count: int) -> None:
    rows = [f"{key(at)},{str(CHANGES.get(at, True)).lower()}" for at in range(count)]
    path.write_text("\n".join(["PKey,ccpaOptOut", *rows, *(rows[at] for at in REPEATED), ""]))


def check_written(sim: Simulator, *places: range) -> None:
    """Check that the given changes were made once, and no others."""
    assert sorted(sim.patched) == sorted((key(at), CHANGES[at]) for some in places for at in some)


def check_report(ran: Ran, **outcomes: str) -> None:
    """Check the opt-ins, the opt-outs and the rest in the report."""
    rows = read_csv(ran.folder / "r.csv")
    assert [row["sync_key"] for row in rows] == [key(at) for at in (*range(ROWS), *REPEATED)]
    for at, row in enumerate(rows[:ROWS]):
        kind = "opt_ins" if at in OPT_INS else "opt_outs" if at in OPT_OUTS else "rest"
        assert row["sync_outcome"] == outcomes[kind], at
        assert row["sync_before"] == str(at not in OPT_OUTS).lower()
    assert [row["sync_outcome"] for row in rows[ROWS:]] == ["duplicate"] * 2


def pages_of(sim: Simulator) -> int:
    """Return the number of pages read, without a look at the first profile."""
    lists = [each.target for each in sim.requests if "_line" in each.target]
    return sum("_count" not in each and "_lineCount=1&" not in each for each in lists)


def check_finished(sim: Simulator, run: Run, words: Sequence[str]) -> None:
    """Check that a command makes all changes, and reads no page of the list."""
    sim.requests.clear()
    ran = run(sim, *words)
    assert ran.status == 0, ran.err
    assert pages_of(sim) == 0
    check_written(sim, OPT_OUTS, OPT_INS)
    check_report(ran, opt_ins="updated", opt_outs="updated", rest="unchanged")


def test_opt_ins_held_back_are_written_by_a_resume_with_a_higher_limit(
    filled: Simulator, run: Run
) -> None:
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN, *SHORT, "--hold-opt-ins")
    assert ran.status == 3, ran.err
    check_written(filled, OPT_OUTS)
    check_report(ran, opt_ins="pending", opt_outs="updated", rest="unchanged")
    (todo,) = ran.folder.glob("*.todo.csv")
    assert [row["PKey"] for row in read_csv(todo)] == [key(at) for at in OPT_INS]
    again = ran.summary["resume"].split()[1:]
    assert run(filled, "resume", "--all").status == 0
    assert run(filled, "resume", again[1]).status == 3
    check_written(filled, OPT_OUTS)
    check_finished(filled, run, again)
    assert not todo.exists()


def test_a_refused_run_is_written_by_a_resume_with_higher_limits(
    filled: Simulator, run: Run
) -> None:
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN, *SHORT, "--max-changes", len(CHANGES) - 1)
    assert ran.status == 4, ran.err
    check_written(filled)
    check_report(ran, opt_ins="pending", opt_outs="pending", rest="unchanged")
    again = ran.summary["resume"].split()[1:]
    assert run(filled, *again[:2]).status == 4
    check_finished(filled, run, again)


def test_a_plan_beyond_the_limits_is_applied_with_higher_ones(filled: Simulator, run: Run) -> None:
    with in_slices():
        ran = run(filled, "plan", "in.csv", *SCAN, "--out", "p.parquet", "--max-changes", 9)
        assert ran.status == 0, ran.err
        ran = run(filled, "apply", "p.parquet", *SHORT)
        assert ran.status == 4, ran.err
        check_written(filled)
        higher = ("--max-changes", len(CHANGES), "--max-opt-ins", len(OPT_INS))
        ran = run(filled, "apply", "p.parquet", *SHORT, *higher)
    assert ran.status == 0, ran.err
    check_written(filled, OPT_OUTS, OPT_INS)
    check_report(ran, opt_ins="updated", opt_outs="updated", rest="unchanged")


def test_an_input_that_was_cut_off_is_refused_before_the_list_is_read(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    for at in range(ROWS, 3 * ROWS):
        filled.add(pkey=key(at), ccpaOptOut=True)
    write(tmp_path / "in.csv", 3 * ROWS)
    higher = ("--max-opt-ins", len(OPT_INS))
    assert run(filled, "run", "in.csv", *higher).status == 0
    write(tmp_path / "in.csv", ROWS)
    for at in OPT_OUTS:
        filled.profiles[key(at)]["ccpaOptOut"] = False
    filled.clear()
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN, *SHORT)
        assert ran.status == 4, ran.err
        assert pages_of(filled) == 0
        assert ran.summary["outcomes"] == {"duplicate": 2, "pending": ROWS}
        assert run(filled, "plan", "in.csv", *SCAN).status == 0
        ran = run(filled, *ran.summary["resume"].split()[1:])
    assert ran.status == 0, ran.err
    check_written(filled, OPT_OUTS)


def test_keys_of_another_instance_are_refused_after_the_first_page(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    rows = [f"{key(500 + at)},true" for at in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN, *SHORT)
        assert ran.status == 4, ran.err
        assert "none of 7 keys, out of the 100 to be looked up, is known" in ran.summary["message"]
        assert (pages_of(filled), filled.counters.methods["GET"]) == (1, 9)
        assert ran.summary["outcomes"] == {"pending": ROWS}
        again = ran.summary["resume"].split()[1:]
        assert again[2:] == ["--allow", "unknown-keys"]
        ran = run(filled, *again, "--summary", "json")
    assert ran.status == 3, ran.err
    assert ran.summary["outcomes"] == {"not_found": ROWS}
    check_written(filled)
    assert pages_of(filled) == 10


def test_unknown_keys_that_are_allowed_are_not_tried_first(
    filled: Simulator, run: Run, tmp_path: Path
) -> None:
    rows = [f"{key(500 + at)},true" for at in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    with in_slices():
        ran = run(filled, "run", "in.csv", *SCAN, *SHORT, "--allow", "unknown-keys")
    assert ran.status == 3, ran.err
    assert ran.summary["outcomes"] == {"not_found": ROWS}
    assert sum("_line" not in each.target for each in filled.requests) == ROWS


@pytest.mark.parametrize("command", ["run", "plan"])
@pytest.mark.parametrize("reading", [nullcontext, in_slices], ids=["whole", "slices"])
def test_rows_left_because_no_key_is_known_wait_for_a_limit(
    reading: Callable[[], AbstractContextManager[None]],
    command: str,
    filled: Simulator,
    run: Run,
    tmp_path: Path,
) -> None:
    rows = [f"{key(500 + at)},true" for at in range(ROWS)]
    (tmp_path / "in.csv").write_text("\n".join(["PKey,ccpaOptOut", *rows, ""]))
    out = ("--out", "p.parquet") if command == "plan" else ()
    with reading():
        ran = run(filled, command, "in.csv", *out, *SCAN, *SHORT)
    assert ran.status == 4, ran.err
    left = [row for row in read_csv(tmp_path / "r.csv") if row["sync_outcome"] == "pending"]
    assert len(left) > ROWS // 2
    assert {row["sync_reason"] for row in left} == {"limit"}
    assert left[-1]["sync_detail"] == "Not done: a safety limit, or a person, said no."
