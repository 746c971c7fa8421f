"""Typical workbooks: title rows, a cover sheet, other names of columns, other words.

From the file to Campaign, with no option, or with the one named in the message.
"""

import datetime as dt
import json
import shlex
from collections.abc import Sequence
from pathlib import Path

import openpyxl
import pandas as pd
import pytest
from conftest import Run, populate

from bulk_sync.simulator import Simulator

TITLE: list[Sequence[object]] = [["Opt-out requests, November"], ["Prepared by", "Jane Doe"], []]
HEADER = ("E-mail", "Name", "Received", "Opt out?")
ROWS: list[Sequence[object]] = [
    ("p0@example.com", "Ann", dt.date(2026, 11, 3), "Yes"),
    ("p1@example.com", "Bob", dt.date(2026, 11, 13), "No"),
]
READ_AS = (
    "Header in row 4 of sheet 'Requests'; keys: 'E-mail'; states: 'Opt out?', yes forbids the "
    "sale; request dates: 'Received'"
)


def save(path: Path, **sheets: Sequence[Sequence[object]]) -> Path:
    book = openpyxl.Workbook()
    book.remove(book.worksheets[0])
    for name, rows in sheets.items():
        page = book.create_sheet(name)
        for row in rows:
            page.append(row)
    book.save(path)
    return path


@pytest.fixture
def requests(tmp_path: Path) -> Path:
    cover: list[Sequence[object]] = [["Privacy team"], ["Questions to", "privacy@example.com"]]
    return save(tmp_path / "in.xlsx", Cover=cover, Requests=[*TITLE, HEADER, *ROWS])


def test_a_workbook_with_a_cover_and_titles_reaches_campaign_without_an_option(
    sim: Simulator, tmp_path: Path, run: Run, requests: Path
) -> None:
    populate(sim, 2, state=False)
    checked = run(None, "validate", requests)
    assert checked.status == 0
    assert checked.out.index(READ_AS) < checked.out.index("usable")
    assert "only the sheet 'Requests' was read" in checked.err
    assert "what is above the header in row 4 of sheet 'Requests' was not read" in checked.err
    planned = run(sim, "plan", requests, "--out", "plan.parquet")
    assert planned.out.index(READ_AS) < planned.out.index("opt-outs")
    assert run(sim, "apply", "plan.parquet").status == 0
    assert sorted(sim.states.values(), key=str) == [False, True]
    report = run(sim, "run", requests, "--report", "r.csv", "--summary", "json")
    assert json.loads(report.out)["read_as"] == READ_AS
    numbers = [line.split(",")[4] for line in (tmp_path / "r.csv").read_text().splitlines()]
    assert numbers == ["sync_row", "5", "6"]


def test_the_option_named_in_the_message_is_enough(tmp_path: Path, run: Run) -> None:
    unknown = [*TITLE, ("Customer", "Name", "Received", "Decision"), *ROWS]
    save(tmp_path / "in put.xlsx", Cover=[["Privacy team"]], Requests=unknown)
    refused = run(None, "validate", "in put.xlsx")
    assert refused.status == 2
    for shown in (
        "Sheets: 'Cover', 'Requests'",
        "row 5   p0@example.com | Ann | 2026-11-03 | Yes",
        "Customer  e-mail addresses, such as p0@example.com",
        "Received  dates, such as 2026-11-03",
        "Decision  yes or no, such as Yes",
        "If yes in 'Decision' allows the sale, type:",
    ):
        assert shown in refused.err
    command, inverted = (
        shlex.split(line) for line in refused.err.splitlines() if line.startswith("  bulk-sync")
    )
    accepted = run(None, *command[1:])
    assert accepted.status == 0
    assert "keys: 'Customer'; states: 'Decision', yes forbids the sale" in accepted.out
    assert "1 forbids the sale" in accepted.out
    assert "states: 'Decision', yes allows the sale" in run(None, *inverted[1:]).out


def test_each_suggested_command_reads_the_named_column(tmp_path: Path, run: Run) -> None:
    columns = ("E-mail", "OK to sell data?", "Opt-out processed?")
    save(tmp_path / "in.xlsx", Export=[columns, *(("a@example.com", "N", "Y") for _ in range(3))])
    shown = run(None, "validate", "in.xlsx").err.splitlines()
    sentences = [line for line in shown if line.startswith("If yes in ")]
    commands = [line for line in shown if line.startswith("  bulk-sync")]
    read = [run(None, *shlex.split(each)[1:]).out for each in commands]
    assert len(set(commands)) == len(sentences) == 4
    for sentence, out in zip(sentences, read, strict=True):
        _, column, does = sentence.split("'")
        assert f"states: {column!r}, yes {does.split()[0]} the sale" in out


@pytest.mark.parametrize("way", ["typed", "configured"])
def test_a_message_about_a_moved_header_shows_no_row_of_data(
    way: str, tmp_path: Path, run: Run
) -> None:
    save(tmp_path / "in.xlsx", Requests=[HEADER, *ROWS])
    (tmp_path / "bulk-sync.toml").write_text("header-row = 3\n" if way == "configured" else "")
    words = ("--header-row", 3) if way == "typed" else ()
    refused = run(None, "validate", "in.xlsx", *words)
    assert refused.status == 2
    assert "row 3 of sheet 'Requests' is not the header (--header-row), but row 1" in refused.err
    (command,) = (line for line in refused.err.splitlines() if line.startswith("  bulk-sync"))
    assert command == "  bulk-sync validate in.xlsx --header-row 1"
    assert run(None, *command.split()[1:]).status == 0


@pytest.mark.parametrize("words", [("--log-format", "json"), ("-q",)], ids=["JSON log", "-q"])
def test_no_row_of_the_file_goes_into_a_log(
    tmp_path: Path, run: Run, words: tuple[str, ...]
) -> None:
    (tmp_path / "in.csv").write_text("Customer,Decision\np0@example.com,Yes\n")
    refused = run(None, "validate", "in.csv", *words)
    assert refused.status == 2
    assert "--key-column" in refused.err
    assert "p0@example.com" not in refused.err


def test_the_row_of_the_header_is_repeated_only_in_commands_that_read_the_file(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 2, state=False)
    (tmp_path / "in.csv").write_text("a\n\nb\nPKey,ccpaOptOut\n@nobody,maybe\n")
    words = ("--header-row", "4")
    planned = run(sim, "run", "in.csv", *words, "--dry-run")
    assert "bulk-sync run in.csv --header-row 4" in planned.out
    done = run(sim, "run", "in.csv", *words)
    assert done.status == 3
    (line,) = [line for line in done.out.splitlines() if ".todo.csv" in line and "run " in line]
    assert "--header-row" not in line


def test_a_resumed_preview_names_the_place_of_the_table_again(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 1, state=False)
    unknown = [*TITLE, HEADER, *ROWS]
    save(tmp_path / "in.xlsx", Requests=unknown, Copy=unknown)
    words = ("--sheet", "Copy", "--header-row", "4", "--fetch", "lookup")
    stopped = run(sim, "plan", "in.xlsx", *words, "--max-calls", "1")
    assert stopped.status == 6
    resumed = run(sim, "resume")
    (command,) = [each for each in resumed.out.splitlines() if "bulk-sync run in.xlsx" in each]
    assert "--sheet Copy --header-row 4" in command


@pytest.mark.parametrize(
    ("name", "words", "says"),
    [
        ("in.csv", ("--header-row", "9"), "Row 9 of in.csv is empty"),
        ("in.csv", ("--header-row", "2"), "row 2 is not the header (--header-row), but row 1 is"),
        ("headless.csv", ("--header-row", "2"), "row 2 looks like data"),
        ("headless.csv", ("--header-row", "3"), "row 3 is no header. No column for the keys"),
        ("in.csv", ("--header-row", "0"), "--header-row"),
        ("in.parquet", ("--header-row", "1"), "Leave out --header-row"),
    ],
)
def test_a_row_that_is_no_header_is_refused(
    tmp_path: Path, run: Run, name: str, words: tuple[str, str], says: str
) -> None:
    (tmp_path / "in.csv").write_text("PKey,ccpaOptOut\n@a,true\n@b,false\nthe,end\n")
    (tmp_path / "headless.csv").write_text("@a,true\n@b,false\nthe,end\n")
    if name == "in.parquet":
        pd.read_csv(tmp_path / "in.csv").to_parquet(tmp_path / name)
    refused = run(None, "validate", name, *words)
    assert refused.status == 2
    assert says in refused.err


def test_each_file_of_a_folder_may_have_its_header_elsewhere(tmp_path: Path, run: Run) -> None:
    folder = tmp_path / "requests"
    folder.mkdir()
    (folder / "a.csv").write_text("PKey,ccpaOptOut\n@a,true\n")
    (folder / "b.csv").write_text("November\nPKey;ccpaOptOut\n@b;true\n")
    checked = run(None, "validate", "requests")
    assert checked.status == 0
    assert "Headers in row 1 of requests/a.csv, row 2 of requests/b.csv; keys" in checked.out


@pytest.mark.parametrize("others", ["", "Permitir venta"])
def test_words_of_another_language_are_offered_either_way_round_and_never_taken_for_all_rows(
    others: str, tmp_path: Path, run: Run
) -> None:
    words = ["No vender", others or "No vender", "No vender"]
    rows = [f"p{number}@example.com,{word}" for number, word in enumerate(words)]
    (tmp_path / "in.csv").write_text("\n".join(["Correo,Tipo de solicitud", *rows, ""]))
    ran = run(None, "validate", "in.csv")
    assert ran.status == 2
    offered = [line.split() for line in ran.err.splitlines() if "bulk-sync validate" in line]
    if not others:
        assert ["true" in each for each in offered] == [True]
        return
    assert not any("--state" in each for each in offered)
    assert [shlex.split(" ".join(each))[-4:] for each in offered] == [
        ["--true-values", "No vender", "--false-values", "Permitir venta"],
        ["--true-values", "Permitir venta", "--false-values", "No vender"],
    ]
    typed = shlex.split(" ".join(offered[0]))[1:]
    assert run(None, *typed).status == 0


def test_a_header_may_stand_below_very_many_titles(tmp_path: Path, run: Run) -> None:
    titles = [f"Note {number}" for number in range(60)]
    (tmp_path / "in.csv").write_text("\n".join([*titles, "PKey,ccpaOptOut", "@a,yes", ""]))
    ran = run(None, "validate", "in.csv", "--header-row", 61, "--summary", "json")
    assert (ran.status, ran.summary["rows"], ran.summary["usable"]) == (0, 1, 1)
