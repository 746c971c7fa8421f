"""``report``: the report of a past run again, byte for byte, in any format, or a reason."""

import os
from dataclasses import replace
from pathlib import Path

import orjson
import pytest
from conftest import Run, key, populate, read_csv, write_states

from bulk_sync import ledger
from bulk_sync.report import table
from bulk_sync.runs.kept import kept_rows
from bulk_sync.settings import State
from bulk_sync.simulator import Simulator
from bulk_sync.storage import lock

SAME = ("csv", "csv.gz", "parquet", "json")
"""Formats without the time of writing."""


def runs(run: Run) -> list[dict[str, str]]:
    found: list[dict[str, str]] = orjson.loads(run(None, "runs", "--json").out)
    return found


def report_options(suffixes: tuple[str, ...], name: str) -> list[str]:
    return [word for suffix in suffixes for word in ("--report", f"{name}.{suffix}")]


def check_same(run: Run, folder: Path, run_id: str, name: str = "first") -> None:
    """Make the reports of a run again, and compare their bytes with the first ones."""
    ran = run(None, "report", run_id, *report_options(SAME, f"{name}-again"))
    assert (ran.status, ran.err) == (0, "")
    assert ran.out.count("byte for byte as the run wrote it") == len(SAME)
    for suffix in SAME:
        again, first = folder / f"{name}-again.{suffix}", folder / f"{name}.{suffix}"
        assert again.read_bytes() == first.read_bytes(), suffix


def several_files(folder: Path) -> Path:
    (folder / "in").mkdir()
    for number, text in enumerate(["a,b,true,2026-11-02\n", "twin,,yes,\n,x,false,\nout,,no,\n"]):
        rows = text.replace("a,b", "a,'=b").replace("twin", "TWIN")
        lines = [f"{line.split(',')[0]}@x.com,{line}" for line in rows.splitlines()]
        content = "\n".join(["email,note,more,opt out,Received", *lines, ""])
        (folder / "in" / f"{number}.csv").write_text(content)
    return folder / "in"


def test_the_report_is_the_first_one_byte_for_byte(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    for name, state in (("a", False), ("twin", False), ("TWIN", True), ("out", True)):
        sim.add(email=f"{name}@x.com", ccpaOptOut=state)
    source = several_files(tmp_path)
    words = ("--email-case", "ignore", "--max-opt-ins", 5)
    assert run(sim, "run", source, *words, *report_options(SAME, "first")).status == 3
    rows = read_csv(tmp_path / "first.csv")
    assert {"note", "sync_file", "sync_due", "sync_profiles"} <= set(rows[0])
    assert "2" in [row["sync_profiles"] for row in rows]
    ((run_id),) = [each["run_id"] for each in runs(run)]
    check_same(run, tmp_path, run_id)
    undo = ("undo", run_id, "--max-opt-ins", 5)
    assert run(sim, *undo, *report_options(SAME, "undo")).status in {0, 3}
    check_same(run, tmp_path, runs(run)[-1]["run_id"], "undo")
    assert len(runs(run)) == 2  # nothing is recorded


def test_the_report_of_several_files_of_pkeys_is_the_same_byte_for_byte(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 4)
    (tmp_path / "in").mkdir()
    write_states(tmp_path / "in" / "a.csv", 2)
    (tmp_path / "in" / "b.csv").write_text(f"PKey,ccpaOptOut\n{key(2)},true\n{key(3)},x\n")
    ran = run(sim, "run", "in", "--summary", "json", *report_options(SAME, "first"))
    check_same(run, tmp_path, ran.summary["run_id"])


def test_without_an_id_the_newest_run_is_used_and_plans_are_skipped(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2)
    assert (
        run(sim, "run", write_states(tmp_path / "in.csv", 1), "--report", "first.csv").status == 0
    )
    plan = (
        "plan",
        write_states(tmp_path / "in.csv", 2),
        "--out",
        "p.parquet",
        "--report",
        "plan.csv",
    )
    assert run(sim, *plan).status == 0
    ran = run(None, "report", "--report", "{run_id}.csv")
    (run_id, plan_id) = (each["run_id"] for each in runs(run))
    first, second = ran.out.splitlines()
    assert first.startswith(f"Run {run_id} of {tmp_path / 'in.csv'}, begun 20")
    assert second == f"Report: {run_id}.csv (byte for byte as the run wrote it)"
    ran = run(None, "report", plan_id, "--report", "again.csv", "--summary", "json")
    facts = {"run_id": plan_id, "exit": 0, "message": "", "reports": ["again.csv"], "todo": None}
    assert ran.summary == facts
    assert (tmp_path / "again.csv").read_bytes() == (tmp_path / "plan.csv").read_bytes()


def test_a_unique_beginning_of_an_id_is_enough(sim: Simulator, tmp_path: Path, run: Run) -> None:
    populate(sim, 1)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
    (first,) = (each["run_id"] for each in runs(run))
    assert run(None, "report", first[:-3], "--report", "x.csv").status == 0
    assert run(None, "report", first[:7], "--report", "x.csv").status == 2  # less than the day
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
    ran = run(None, "report", first[:8], "--report", "x.csv")
    if runs(run)[0]["run_id"][:8] == runs(run)[1]["run_id"][:8]:  # not at midnight
        assert ran.status == 2
        assert "2 runs begin with" in ran.err


def kept_file(folder: Path) -> kept_rows.KeptRows:
    ((_, found),) = kept_rows.all_of(folder / "state").items()
    return found


@pytest.mark.parametrize("why", ["never", "deleted", "elsewhere", "damaged", "plan"])
def test_without_its_rows_a_message_has_the_reason_and_the_remaining_files(
    why: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    words: tuple[object, ...] = ("--keep-rows", 0) if why == "never" else ()
    if why == "plan":
        words = ("--out", "p.parquet")
    command = "plan" if why == "plan" else "run"
    path = write_states(tmp_path / "in.csv", 1)
    assert run(sim, command, path, "--report", "first.csv", *words).status == 0
    run_id = runs(run)[0]["run_id"]
    match why:
        case "deleted":
            kept_file(tmp_path).path.unlink()
            with ledger.open_ledger(State(tmp_path / "state")) as book:
                ended = book.run(run_id).ended
                assert ended is not None
                book.end(run_id, replace(ended, rows_kept_until="2026-01-31", calls={}))
        case "elsewhere":
            kept_file(tmp_path).path.unlink()
        case "damaged":
            kept_file(tmp_path).path.write_bytes(b"PAR1")
        case "plan":
            (tmp_path / "p.parquet").unlink()
    ran = run(None, "report", run_id, "--report", "again.csv")
    assert ran.status == 2
    expected = {
        "never": "were not kept when it ended (--keep-rows). Its report went to",
        "deleted": ", and kept them until 2026-01-31 (--keep-rows)",
        "elsewhere": "are not here",
        "damaged": "cannot be read from",
        "plan": "its file is not at",
    }
    assert expected[why] in " ".join(ran.err.split())
    assert not (tmp_path / "again.csv").exists()


def test_the_report_of_an_unfinished_run_shows_its_progress(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10)
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 14, "--report", "first.csv")
    assert run(sim, "run", write_states(tmp_path / "in.csv", 10), *words).status == 6
    ran = run(None, "report", "--report", "again.csv")
    assert ran.status == 0
    unfinished = runs(run)[-1]["run_id"]
    progress = f"Run {unfinished} is not finished: the report shows how far it got."
    assert f"{progress} To finish it: bulk-sync resume {unfinished}\n" in ran.err
    assert read_csv(tmp_path / "again.csv") == read_csv(tmp_path / "first.csv")
    with lock.hold(tmp_path / "state", "acme", lock.holder(f"run {unfinished}")):
        ran = run(None, "report", "--report", "again.csv")
    assert ran.status == 0
    assert f"{progress} It is at work, as " in ran.err
    assert "bulk-sync resume" not in ran.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--report is missing"),
        (("--report", "x"), "has no suffix that names a format"),
        (("--report", "in.csv"), "would replace the input"),
        (("--report", "nowhere/x.csv"), "cannot be written"),
        (("20200101T000000Z", "--report", "x.csv"), "knows no run"),
    ],
)
def test_impossible_reports_are_refused_with_a_message(
    words: tuple[str, ...], message: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1)
    path = write_states(tmp_path / "in.csv", 1)
    assert run(sim, "run", os.path.relpath(path), "--report", "first.csv").status == 0
    before = path.read_bytes()
    ran = run(None, "report", *words)
    assert ran.status == 2
    assert message in ran.err
    assert path.read_bytes() == before


def test_why_a_run_was_refused_is_not_repeated_in_every_row(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    ran = run(sim, "run", write_states(tmp_path / "in.csv", 3), "--max-changes", 2)
    assert ran.status == 4
    assert ran.err.count("--max-changes 3") == 1
    short = "Not done: a safety limit, or a person, said no."
    first, *others = ran.report
    assert first["sync_detail"].startswith(f"{short} Nothing was written: 3 changes")
    assert first["sync_detail"].endswith("--max-changes 3.")
    assert {(row["sync_reason"], row["sync_detail"]) for row in others} == {("limit", short)}


def test_a_report_with_too_many_columns_for_a_sheet_is_refused(
    sim: Simulator, tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(table, "SHEET_COLUMNS", 14)
    populate(sim, 1)
    assert run(sim, "run", write_states(tmp_path / "in.csv", 1)).status == 0
    ran = run(sim, "report", "--report", "r.xlsx")
    assert (ran.status, (tmp_path / "r.xlsx").exists()) == (2, False)
    assert "a sheet holds 14 columns, and with those of the report there are 15" in ran.err


@pytest.mark.parametrize("ending", ["unfinished", "given up"])
@pytest.mark.parametrize("keys", ["PKey", "email", "dated"])
def test_the_report_of_a_run_that_was_stopped_while_it_read_is_the_first_one(
    keys: str, ending: str, sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 10)
    for number in range(10):
        sim.profiles[key(number)]["ccpaOptOut"] = number % 3 == 0
        sim.profiles[key(number)]["ccpaOptOutLastModified"] = (
            f"2026-11-0{number or 1} 10:00:00.000Z"
        )
    date = ",Request date" if keys == "dated" else ""
    lines = [f"{'email' if keys == 'email' else 'PKey'},ccpaOptOut{date}"]
    for number in range(10):
        name = f"p{number}@example.com" if keys == "email" else key(number)
        lines.append(f"{name},{str(number % 2 == 0).lower()}{',2026-11-03' if date else ''}")
    (tmp_path / "in.csv").write_text("\n".join([*lines, ""]))
    words = ("--fetch", "lookup", "--concurrency", 1, "--max-calls", 8, "--report", "first.csv")
    assert run(sim, "run", "in.csv", *words).status == 6
    first = read_csv(tmp_path / "first.csv")
    assert len({row["sync_outcome"] for row in first}) > 1
    run_id = runs(run)[-1]["run_id"]
    if ending == "given up":
        assert run(sim, "resume", run_id, "--give-up").status == 0
    assert run(None, "report", run_id, "--report", "again.csv").status == 0
    again = read_csv(tmp_path / "again.csv")
    told = ("sync_before", "sync_after", "sync_outcome", "sync_reason", "sync_at")
    assert [[row[name] for name in told] for row in again] == [
        [row[name] for name in told] for row in first
    ]
