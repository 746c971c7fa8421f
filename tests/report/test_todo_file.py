"""The todo file: corrected, it is the input of the next run, in the input's format."""

import csv
import gc
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from stat import S_IMODE

import openpyxl
import pandas as pd
import pytest
from conftest import Run, key, read_csv
from full_disk import full_disk
from report_frames import results, text
from whole_input import read_whole

from bulk_sync.errors import StoppedEarly
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome
from bulk_sync.report import todo_file
from bulk_sync.report.destination import LocalFile
from bulk_sync.report.facts import Source
from bulk_sync.rows import columns
from bulk_sync.rows.slices import Slices
from bulk_sync.simulator import Simulator


def write_todo(frame: pd.DataFrame, source: str, folder: Path) -> Path:
    destination = todo_file.write(Slices.of(frame), Source(source), LocalFile(folder / "in.RUN"))
    assert isinstance(destination, LocalFile)
    return destination.path


def rejected(**own: list[str]) -> pd.DataFrame:
    count = len(next(iter(own.values())))
    ours = {
        columns.KEY: next(iter(own.values())),
        columns.OUTCOME: ["rejected"] * count,
        columns.REASON: ["bad_state"] * count,
        columns.DETAIL: ["=no"] * count,
    }
    return results(count, own, ours)


def test_it_holds_the_own_columns_of_the_rows_that_need_a_person(tmp_path: Path) -> None:
    outcomes = list(Outcome)
    frame = results(
        len(outcomes),
        {"PKey": [f"'@{outcome}" for outcome in outcomes], "state": ["x, y"] * len(outcomes)},
        {
            columns.OUTCOME: outcomes,
            columns.REASON: ["http_403"] * len(outcomes),
            columns.DETAIL: ["=no"] * len(outcomes),
        },
    )
    path = write_todo(frame, "in.csv", tmp_path)
    assert path.name == "in.RUN.todo.csv"
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file, strict=True)
    assert header == ["PKey", "state", "original_row", columns.REASON, columns.DETAIL]
    numbers = {f"'@{each}": str(at + 2) for at, each in enumerate(outcomes)}
    assert {row[0]: row[2] for row in rows} == {
        f"'@{each}": numbers[f"'@{each}"] for each in NEEDS_A_PERSON
    }
    assert {(row[1], *row[3:]) for row in rows} == {("x, y", "http_403", "'=no")}
    assert S_IMODE(path.stat().st_mode) == 0o600


def test_a_workbook_without_room_stops_the_run_as_any_report_does(tmp_path: Path) -> None:
    frame = rejected(PKey=[f"@{number:050}" for number in range(300)])
    # XlsxWriter leaves its own temporary files to the garbage collector.
    with warnings.catch_warnings(action="ignore", category=ResourceWarning):
        with full_disk(3_000), pytest.raises(StoppedEarly, match=r"todo\.xlsx could not be"):
            write_todo(frame, "in.xlsx", tmp_path)
        gc.collect()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("source", ["in.csv", "in.xlsx"])
def test_there_is_none_if_no_row_needs_a_person(tmp_path: Path, source: str) -> None:
    stem = LocalFile(tmp_path / "in.RUN")
    assert todo_file.write(Slices.of(results(2)), Source(source), stem) is None
    for suffix in todo_file.SUFFIXES:
        (tmp_path / f"in.RUN{suffix}").write_bytes(b"what an interrupted run had left to do")
    assert todo_file.write(Slices.of(results(2)), Source(source), stem) is None
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("source", "suffix"),
    [
        ("in.xlsx", ".xlsx"),
        ("in.XLS", ".xlsx"),
        ("a/in.ods", ".xlsx"),
        ("in.csv", ".csv"),
        ("in.csv.gz", ".csv"),
        ("in.parquet", ".csv"),
        ("-", ".csv"),
    ],
)
def test_the_todo_file_of_a_workbook_is_a_workbook(
    tmp_path: Path, source: str, suffix: str
) -> None:
    assert write_todo(rejected(PKey=["@a"]), source, tmp_path).suffix == suffix


def test_a_cell_that_fits_no_workbook_is_not_cut(tmp_path: Path) -> None:
    long = "n" * 20_000
    path = write_todo(rejected(PKey=["@a"], note=[long]), "in.ods", tmp_path)
    assert path.suffix == ".csv"
    assert read_csv(path)[0]["note"] == long


TRICKY = ["007", "'@a", '="@b"', "1e5", "=1+1", "a\nb", " c ", "<r>x</r>", "NA", "true", "-1"]


def test_texts_stay_texts_and_dates_become_dates_and_all_is_read_as_before(tmp_path: Path) -> None:
    count = len(TRICKY)
    days = ["2026-02-28", "", "2024-02-29", *["2026-11-30"] * (count - 3)]
    times = ["2026-11-30 10:11:12", "", "1999-12-31 23:59:59", *["2026-01-01 00:00:01"] * 8]
    own = {
        "PKey": TRICKY,
        "day": days,
        "time": times,
        "no day": ["2026-02-30"] * count,
        "midnight": ["2026-02-03 00:00:00"] * count,
    }
    path = write_todo(rejected(**own), "in.xlsx", tmp_path)
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    assert [type(sheet.cell(2, at).value) for at in range(1, 6)] == [
        str, datetime, datetime, str, str,
    ]  # fmt: skip
    assert sheet.cell(2, 6).value == 2  # original_row
    assert sheet.freeze_panes == "A2"
    again = read_whole(str(path))
    assert {name: again[name].tolist() for name in own} == own


def test_keys_that_are_dates_become_texts_to_be_corrected(tmp_path: Path) -> None:
    path = write_todo(rejected(PKey=["2026-11-30", "2026-12-01"]), "in.xlsx", tmp_path)
    sheet = openpyxl.load_workbook(path).active
    assert sheet is not None
    assert sheet["A2"].value == "2026-11-30"


def test_rows_of_several_files_name_their_file(tmp_path: Path) -> None:
    frame = rejected(PKey=["@a", "@b"])
    frame[columns.FILE] = text(["x/a.xlsx", "x/b.xlsx"]).astype("category")
    path = write_todo(frame, "x", tmp_path)
    assert path.suffix == ".xlsx"
    again = read_whole(str(path))
    assert again["original_file"].tolist() == ["x/a.xlsx", "x/b.xlsx"]
    assert again["original_row"].tolist() == ["2", "3"]


def test_the_original_row_is_carried_through_all_later_files(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    """Three rounds: the number of the first file is in every report and every todo file."""
    for number in (0, 1):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=False)
    pd.DataFrame(
        {"PKey": [key(0), key(1), "@unknown-key-of-some-length"], "Opt out?": ["yes", "?", "?"]}
    ).to_excel(tmp_path / "in.xlsx", index=False)
    assert run(sim, "run", "in.xlsx", "--report", "1.csv").status == 3
    (first,) = tmp_path.glob("in.*.todo.xlsx")
    book = openpyxl.load_workbook(first)
    sheet = book["To correct"]
    assert [[cell.value for cell in row][:3] for row in sheet.iter_rows()] == [
        ["PKey", "Opt out?", "original_row"],
        [key(1), "?", 3],
        ["@unknown-key-of-some-length", "?", 4],
    ]
    sheet["B2"], sheet["B3"] = "yes", "yes"
    book.save(first)
    ran = run(sim, "run", first, "--report", "2.csv")
    assert ran.status == 3
    assert "  row 3 (row 4 of the original file)  not_found" in ran.out
    rows = read_csv(tmp_path / "2.csv")
    assert [(row["sync_row"], row["original_row"], row["sync_outcome"]) for row in rows] == [
        ("2", "3", "updated"),
        ("3", "4", "not_found"),
    ]
    (second,) = set(tmp_path.glob("*.todo.xlsx")) - {first}
    again = read_whole(str(second))
    assert again.columns.tolist() == [
        "PKey", "Opt out?", "original_row", "sync_reason", "sync_detail", "sync_row",
    ]  # fmt: skip
    assert again["original_row"].tolist() == ["4"]
    sim.add(pkey="@unknown-key-of-some-length", email="late@example.com", ccpaOptOut=False)
    assert run(sim, "run", second, "--report", "3.csv").status == 0
    assert read_csv(tmp_path / "3.csv")[0]["original_row"] == "4"


def test_the_rows_left_by_an_undo_have_the_rows_of_the_original_file(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    sim.add(pkey=key(0), email="p0@example.com", ccpaOptOut=False)
    (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut,original_row\n{key(0)},true,41\n")
    done = run(sim, "run", "in.csv", "--summary", "json").summary
    sim.forbidden.add(key(0))
    undone = run(sim, "undo", done["run_id"], "--summary", "json", "--max-opt-ins", "100%").summary
    (left,) = read_csv(tmp_path / undone["todo"])
    assert left["original_row"] == "41"


def test_a_conflict_names_both_rows_in_the_original_file(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in.csv").write_text(
        "PKey,ccpaOptOut,original_row,original_file\n@a,yes,40,a.xlsx\n@a,no,41,b.xlsx\n"
    )
    out = run(None, "validate", "in.csv").out
    assert "row 2 (row 40 of a.xlsx)  rejected conflict: " in out
    assert "row 3 (row 41 of b.xlsx)" in out


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_options_of_a_job_for_its_workbooks_do_not_hold_for_its_todo_files(
    sim: Simulator, tmp_path: Path, run: Run, suffix: str
) -> None:
    """Next month's workbook is read by the configuration, and so is its todo file."""
    sim.add(pkey=key(0), email="p0@example.com", ccpaOptOut=False)
    (tmp_path / "bulk-sync.toml").write_text('[job.monthly]\nsheet = "Requests"\nheader-row = 3\n')
    book = openpyxl.Workbook()
    sheet = book.create_sheet("Requests")
    for row in (["November"], [], ["PKey", "Opt out?"], [key(0), "?"]):
        sheet.append(row)
    book.save(tmp_path / "in.xlsx")
    assert run(sim, "run", "in.xlsx", "--job", "monthly").status == 3
    (todo,) = tmp_path.glob("*.todo.xlsx")
    if suffix == "xlsx":
        left = openpyxl.load_workbook(todo)
        left.worksheets[0]["B2"] = "yes"
        left.save(todo)
    else:
        todo = todo.with_suffix(".csv")
        todo.write_text(f"PKey,Opt out?,original_row\n{key(0)},yes,4\n")
    assert run(sim, "run", todo, "--job", "monthly", "--allow", "fewer-rows").status == 0
    assert sim.states[key(0)] is True
    assert run(sim, "run", todo, "--sheet", "Requests").status == 2  # typed on the command line


@pytest.mark.parametrize(
    ("shows", "words", "before", "after"),
    [
        ("3/14/2026", (), "3/4/2026", "2026/03/04"),
        ("14/3/2026", (), "3/4/2026", "2026/04/03"),
        ("3/5/2026", (), "3/4/2026", "2026-03-04 or 2026-04-03"),
        ("3/5/2026", ("--date-order", "day-first"), "3/4/2026", "2026/04/03"),
        ("3/14/2026", (), "2026-04-03", "2026-03-04 or 2026-04-03"),
        ("3/14/2026", ("--date-order", "month-first"), "2026-04-03", "2026-04-03"),
    ],
)
def test_the_order_of_dates_in_the_whole_column_is_kept_by_a_second_todo_file(
    sim: Simulator, tmp_path: Path, run: Run, shows: str, words: tuple[str, ...], before: str,
    after: str,
) -> None:  # fmt: skip
    for number in (0, 1):
        sim.add(pkey=key(number), email=f"p{number}@example.com", ccpaOptOut=False)
    sim.forbidden.add(key(1))
    (tmp_path / "in.csv").write_text(
        f"PKey,ccpaOptOut,Received\n{key(0)},yes,{shows}\n{key(1)},yes,{before}\n"
    )
    first = run(sim, "run", "in.csv", "--summary", "json", *words).summary
    second = run(sim, "retry", first["run_id"], "--summary", "json").summary
    for each in (first, second):
        (left,) = read_csv(tmp_path / each["todo"])
        assert left["Received"] == after
    again = run(None, "validate", tmp_path / second["todo"], "--summary", "json")
    assert ("in doubt in 1 of them" in again.summary["read_as"]) == (" or " in after)


@pytest.mark.parametrize(
    ("own", "repeats", "written"),
    [
        ("2026-02-05", ["2026-02-02"], "2026-02-02 or 2026-02-05"),
        ("2026-02-02", ["2026-02-05"], "2026-02-02 or 2026-02-05"),
        ("2026-02-03", ["2026-02-02", "2026-02-05"], "2026-02-02 or 2026-02-05"),
        ("2026-02-05", ["2026-02-05T03:00Z"], "2026-02-04 or 2026-02-05"),  # in California
        ("2026-02-05T10:00Z", ["2026-02-05"], "2026/02/05"),
        ("2026-02-02", ["2026-02-02", "2026-02-02T10:00Z"], "2026-02-02"),
        ("2/5/2026", ["2/2/2026", "2/13/2026"], "2026-02-02 or 2026-02-13"),
    ],
)
@pytest.mark.parametrize("words", [(), ("--ignore-dates",)], ids=["dates", "no dates"])
def test_an_opt_out_that_was_asked_for_again_keeps_its_first_and_last_date(
    words: tuple[str, ...], own: str, repeats: list[str], written: str, sim: Simulator,
    tmp_path: Path, run: Run,
) -> None:  # fmt: skip
    sim.add(pkey=key(0), email="p0@example.com", ccpaOptOut=False)
    sim.forbidden.add(key(0))
    lines = [f"{key(0)},yes,{each}\n" for each in (own, *repeats)]
    (tmp_path / "in.csv").write_text(f"PKey,ccpaOptOut,Received\n{''.join(lines)}")
    first = run(sim, "run", "in.csv", "--report", "first.csv", "--summary", "json", *words)
    todo = tmp_path / first.summary["todo"]
    assert [row["Received"] for row in read_csv(todo)] == [written]
    run(sim, "run", todo, "--report", "second.csv", *words)
    (again,) = read_csv(tmp_path / "second.csv")
    assert again["sync_due"] == read_csv(tmp_path / "first.csv")[0]["sync_due"]


def date_left(sim: Simulator, folder: Path, run: Run, answer: str, days: Sequence[str]) -> str:
    """Return the date in the todo file of a person whose change Campaign refuses."""
    sim.add(pkey=key(0), email="p0@example.com", ccpaOptOut=answer == "no")
    sim.forbidden.add(key(0))
    lines = [f"{key(0)},{answer},{day}\n" for day in days]
    (folder / "in.csv").write_text(f"PKey,ccpaOptOut,Received\n{''.join(lines)}")
    summary = run(sim, "run", "in.csv", "--summary", "json").summary
    (left,) = read_csv(folder / summary["todo"])
    return left["Received"]


def test_of_an_opt_in_that_was_asked_for_again_the_own_date_is_kept(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    assert date_left(sim, tmp_path, run, "no", ["2026-02-05", "2026-02-02"]) == "2026-02-05"


def test_an_opt_out_with_an_undated_repeat_may_be_of_today(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    begun = datetime.now(UTC).date()
    found = date_left(sim, tmp_path, run, "yes", ["", "2026-02-02"])
    assert found in {f"2026-02-02 or {day}" for day in (begun, datetime.now(UTC).date())}
