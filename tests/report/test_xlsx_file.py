"""Workbooks, read back with calamine."""

import re
import zipfile
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pytest
from conftest import Run, populate, read_csv, write_states
from examples import examples
from hypothesis import given
from python_calamine import CalamineWorkbook
from report_frames import AT, FACTS, expected, nasty_results, report_columns, results, write

from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.report import xlsx_file
from bulk_sync.report.facts import InputCounts, PastRun, Result, Source, Subject
from bulk_sync.report.table import Results
from bulk_sync.rows import columns
from bulk_sync.rows.results import UNREAD
from bulk_sync.simulator import Simulator

Ours = dict[str, Sequence[Any]]

AT_TIME = datetime.fromisoformat(AT).replace(tzinfo=None)
NAMES = ["Summary", "Needs a person", "Changes", "All rows"]
KEY = f"@{'k' * 91}"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("report") / "report.xlsx"


def sheets(path: Path) -> dict[str, list[list[Any]]]:
    """Return the rows of each sheet, without empty ones at the end."""
    with CalamineWorkbook.from_path(path) as book:
        return {
            name: [
                list(row) for row in book.get_sheet_by_name(name).to_python(skip_empty_area=False)
            ]
            for name in book.sheet_names
        }


def open_fully(path: Path) -> Any:
    """Open a workbook with everything, not only its values."""
    return openpyxl.load_workbook(path)


def xml(path: Path, part: str = "xl/worksheets/sheet4.xml") -> str:
    with zipfile.ZipFile(path) as book:
        return book.read(part).decode()


def test_it_opens_on_a_summary_and_only_all_rows_looks_like_an_input(path: Path) -> None:
    write(results(1, {"PKey": ["@a"]}), path)
    found = sheets(path)
    assert list(found) == NAMES
    assert open_fully(path).active.title == "Summary"
    assert [rows[0][0] for rows in found.values()] == [
        "bulk-sync: Result of opt-out changes",
        "bulk-sync: rows that need a person",
        "bulk-sync: changes, opt-ins first",
        "PKey",
    ]


def test_states_numbers_days_and_times_have_types_and_all_else_is_text(path: Path) -> None:
    due: Ours = {columns.AFTER: [UNREAD] * 3, columns.DUE: ["2026-12-01", "", "0206-12-31"]}
    frame = results(3, {"Request date": ["2026-11-10"] * 3}, due)
    write(frame, path)
    head, *rows = sheets(path)["All rows"]
    assert head == report_columns(frame)
    assert rows[0] == [
        "2026-11-10", 2.0, "@key0", True, False, "", "updated", "", "", 1.0,
        AT_TIME, date(2026, 12, 1),
    ]  # fmt: skip
    # Spreadsheets know no day before 1900; the slip of a pen stays legible.
    assert [row[-1] for row in rows[1:]] == ["", "0206-12-31"]
    cells = open_fully(path)["All rows"][2]
    assert [cells[at].number_format for at in (0, -2, -1)] == [
        "@", 'yyyy-mm-dd hh:mm:ss "UTC"', "yyyy-mm-dd",
    ]  # fmt: skip


@given(frame=nasty_results())
@examples(25)
def test_every_value_is_read_back(path: Path, frame: pd.DataFrame) -> None:
    write(frame, path)
    header, *rows = sheets(path)["All rows"]
    assert header == list(map(as_read, report_columns(frame)))
    assert rows == [[as_read(value) for value in row.values()] for row in expected(frame)]


def as_read(value: Any) -> Any:
    """Return a value as calamine reads it: two escapes of non-characters stay."""
    if value == AT:
        return AT_TIME
    if isinstance(value, str):
        return value.replace("\ufffe", "_xFFFE_").replace("\uffff", "_xFFFF_")
    return "" if value is None else value


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "007", "1e5", "http://example.com/", "TRUE"])
def test_text_that_looks_like_something_else_stays_text(path: Path, text: str) -> None:
    write(results(1, {"own": [text]}, {columns.KEY: [text]}), path)
    assert xml(path).count(f"<is><t>{text}</t></is>") == 2
    assert "<f>" not in xml(path)


def test_sheets_are_printed_across_one_page_with_header_and_page_numbers(path: Path) -> None:
    outcomes: Ours = {columns.OUTCOME: ["updated", "failed"], columns.REASON: [None, "timeout"]}
    write(results(2, ours=outcomes), path)
    book = open_fully(path)
    heads = {"Summary": None, "Needs a person": 4, "Changes": 4, "All rows": 1}
    for sheet in book:
        setup = sheet.page_setup
        assert (setup.orientation, setup.fitToHeight) == ("landscape", 0)  # width: 1 by default
        assert sheet.sheet_properties.pageSetUpPr.fitToPage
        assert sheet.oddFooter.center.text == "Page &P of &N"
        assert sheet.oddFooter.right.text == FACTS.run_id
        head = heads[sheet.title]
        if head:
            assert sheet.print_title_rows == f"${head}:${head}"
            assert sheet.freeze_panes == f"A{head + 1}"
            assert sheet.auto_filter.ref.startswith(f"A{head}:")
            assert sheet.cell(head, 1).font.b


def test_columns_are_as_wide_as_their_content_and_longer_text_takes_more_lines(path: Path) -> None:
    own = {"a": ["x"], "b": ["x" * 30], "c": [KEY], "a name of some length": [""]}
    write(results(1, own, {columns.DETAIL: ["Word " * 30]}), path)
    widths = [float(width) for width in re.findall(r'<col [^>]*?width="([\d.]+)"', xml(path))]
    assert widths[:4] == pytest.approx([9, 32, 48, 23], abs=1)
    sheet = open_fully(path)["All rows"]
    assert sheet["C2"].alignment.wrap_text
    assert sheet.row_dimensions[2].height == 3 * 15  # of the detail; the key takes two


def test_no_row_is_higher_than_a_spreadsheet_allows(path: Path) -> None:
    result = Result(sentences=("word " * 5_000,))
    write(results(1, {"own": ["word " * 5_000]}), path, replace(FACTS, result=result))
    heights = [
        float(height)
        for number in (1, 4)
        for height in re.findall(r' ht="([\d.]+)"', xml(path, f"xl/worksheets/sheet{number}.xml"))
    ]
    assert 400 < max(heights) <= 409


def test_outcomes_have_a_colour_and_their_word(path: Path) -> None:
    outcomes = {columns.OUTCOME: ["updated", "failed", "rejected"]}
    write(results(3, ours=outcomes), path)
    sheet = open_fully(path)["All rows"]
    cells = [sheet.cell(row, 6) for row in (2, 3, 4)]
    assert [cell.value for cell in cells] == outcomes[columns.OUTCOME]
    assert len({cell.fill.fgColor.rgb for cell in cells}) == 3


def test_listings_hold_the_important_rows_with_opt_ins_first(path: Path) -> None:
    outcomes = ["updated", "failed", "created", "unchanged", "would_update", "pending"]
    ours: Ours = {
        columns.OUTCOME: outcomes,
        columns.DESIRED: [1, 1, 1, 1, 0, 0],
        columns.BEFORE: [0, 0, UNREAD, 1, 1, 1],
        columns.REASON: [None, "timeout", None, None, None, "limit"],
        columns.DETAIL: ["", "No answer.", "", "", "", "Not done."],
        columns.DUE: ["2026-12-01"] * 6,
    }
    write(results(6, {"Name": list("abcdef")}, ours), path)
    found = sheets(path)
    _, counted, _, head, *rows = found["Needs a person"]
    assert counted[0] == "2 rows."
    assert head == [
        "Row", "Key", "Wanted", "Before", "After", "Outcome", "Reason", "What happened", "Due",
    ]  # fmt: skip
    assert [[row[0], row[5], row[6], row[7]] for row in rows] == [
        [3.0, "failed", "timeout", "No answer."],
        [7.0, "pending", "limit", "Not done."],
    ]
    head, *rows = found["Changes"][3:]
    assert head == ["Row", "Key", "Before", "Wanted", "Direction", "Outcome", "Due", "At"]
    assert [[row[0], row[4], row[5]] for row in rows] == [
        [6.0, "opt-in: lifts an opt-out", "would_update"],
        [2.0, "opt-out", "updated"],
        [4.0, "new profile", "created"],
    ]
    directions = [open_fully(path)["Changes"].cell(row, 5) for row in (5, 6)]
    assert [cell.fill.fgColor.rgb for cell in directions] == ["FFFFEB9C", "00000000"]


def test_a_listing_without_rows_is_hidden_and_says_so(path: Path) -> None:
    write(results(1, ours={columns.OUTCOME: ["unchanged"]}), path)
    states = [sheet.sheet_state for sheet in open_fully(path)]
    assert states == ["visible", "hidden", "hidden", "visible"]
    for name in ("Needs a person", "Changes"):
        assert [row[0] for row in sheets(path)[name]][1:] == ["0 rows."]


def test_people_read_sentences_without_marks_around_commands(path: Path) -> None:
    sentence = "Stopped; `bulk-sync resume` goes on."
    ours: Ours = {columns.OUTCOME: ["pending"], columns.DETAIL: [sentence]}
    write(results(1, ours=ours), path, replace(FACTS, result=Result((sentence,))))
    found = sheets(path)
    assert "Stopped; bulk-sync resume goes on." in found["Needs a person"][4]
    assert "Stopped; bulk-sync resume goes on." in found["Summary"][1]
    assert sentence in found["All rows"][1]


def test_no_number_touches_the_text_to_its_right(path: Path) -> None:
    counts = InputCounts(rows=1, outcomes={Outcome.FAILED: 1})
    write(results(1, ours={columns.OUTCOME: ["failed"]}), path, replace(FACTS, counts=counts))
    book = open_fully(path)
    numbers = [
        cell
        for sheet in (book["Summary"], book["Needs a person"])
        for row in sheet
        for cell in row
        if isinstance(cell.value, int | float) and not isinstance(cell.value, bool)
    ]
    assert len(numbers) == 3
    assert {cell.alignment.indent for cell in numbers} == {1}


def test_a_long_listing_names_the_sheet_of_the_other_rows_and_nothing_is_wrapped(
    path: Path,
) -> None:
    count = 20_001
    write(results(count, ours={columns.KEY: [KEY] * count}), path)
    found = sheets(path)
    assert found["Changes"][1][0].startswith('The first 20,000 of 20,001 rows: "All rows" has')
    assert (len(found["Changes"]), len(found["All rows"])) == (20_004, 20_002)
    assert "customHeight" not in xml(path)


def test_a_listing_is_as_wide_as_its_own_rows_however_far_down_they_are(path: Path) -> None:
    count, far = 20_000, 17_000
    outcomes = ["unchanged"] * far + ["failed"] * (count - far)
    write(results(count, ours={columns.KEY: [KEY] * count, columns.OUTCOME: outcomes}), path)
    listing = xml(path, "xl/worksheets/sheet2.xml")
    (width,) = re.findall(r'<col min="2" max="2" width="(\d+)', listing)
    assert int(width) > len(KEY)


def test_rows_that_do_not_fit_a_sheet_go_on_in_the_next(path: Path) -> None:
    frame = results(7)
    with path.open("wb") as file:
        xlsx_file.write(Results.from_frame(frame), file, FACTS, sheet_rows=3)
    found = sheets(path)
    names = ["All rows", "All rows 2", "All rows 3"]
    assert list(found)[3:] == names
    parts = [found[name] for name in names]
    assert [part[0] for part in parts] == [report_columns(frame)] * 3
    assert [[row[0] for row in part[1:]] for part in parts] == [[2, 3, 4], [5, 6, 7], [8]]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        pytest.param("x" * 32_767, "x" * 32_767, id="full"),
        pytest.param("x" * 32_768, "x" * 32_766 + "…", id="one-too-many"),
        pytest.param("😀" * 16_384, "😀" * 16_383 + "…", id="two-units-a-character"),
        pytest.param("x" + "😀" * 16_383, "x" + "😀" * 16_383, id="full-of-two-units"),
    ],
)
def test_text_beyond_what_a_cell_holds_ends_in_an_ellipsis(
    path: Path, text: str, shown: str
) -> None:
    write(results(1, {"own": [text]}), path)
    assert sheets(path)["All rows"][1][0] == shown


def test_more_columns_than_a_sheet_holds_are_refused_and_not_dropped() -> None:
    wide = pa.schema([(f"c{number}", pa.string()) for number in range(16_385)])
    with pytest.raises(OSError, match="holds 16384 columns, and there are 16385"):
        xlsx_file.write(Results(wide, 0, list), BytesIO(), FACTS)


def test_text_that_looks_like_markup_of_the_writer_is_shown_as_it_is(path: Path) -> None:
    text = "<r><t>other</t></r>"
    write(results(1, {text: [text]}), path)
    header, row = sheets(path)["All rows"]
    assert (header[0], row[0]) == (text, text)


def test_the_summary_has_the_facts_and_the_numbers_of_every_chart(path: Path) -> None:
    counts = InputCounts(
        rows=4,
        outcomes={Outcome.UPDATED: 3, Outcome.NOT_FOUND: 1},
        reasons={Reason.NOT_FOUND: 1, Reason.TIMEOUT: 2},
        matrix=((1, 0, 0), (3, 0, 0), (0, 0, 0)),
        days_left={"overdue": 2, "0 to 3 days": 1},
    )
    past = [PastRun(f"run {n}", FACTS.at + timedelta(n), 4, n, 0) for n in (1, 2)]
    result = Result(("3 of 4 rows were changed.",), "Campaign was away.", ("2 are late.",))
    source = Source(input="=1+1", read_as="Header in row 4.")
    facts = replace(FACTS, source=source, result=result, counts=counts, past=past)
    write(results(4), path, facts)
    rows = [[cell for cell in row if cell != ""] for row in sheets(path)["Summary"]]
    for expected_row in (
        ["3 of 4 rows were changed."],
        ["Campaign was away."],
        ["2 are late."],
        ["Date", "2026-11-24 03:17 UTC"],
        ["Input", "=1+1"],
        ["How it was read", "Header in row 4."],
        ["✓ updated", 3.0, 0.75, "changed, and confirmed by Campaign"],
        ["not_found", 1.0, 0.25, "Campaign knows no such profile"],
        ["false", 3.0, 0.0, 0.0],
        ["overdue", 2.0],
        ["2026-11-26 03:17", 4.0, 2.0, 0.0, "run 2"],
    ):
        assert expected_row in rows
    assert "<f>" not in xml(path, "xl/worksheets/sheet1.xml")
    described = re.findall(r'descr="([^"]*)"', xml(path, "xl/drawings/drawing1.xml"))
    assert described[0] == "Rows by outcome: ✓ updated 3; ? not_found 1."
    assert described[1].startswith("State before and after (true, false, unknown): true 1, 0, 0;")
    assert described[2] == "Rows by reason: not_found 1; timeout 2."
    assert described[3].endswith("by business days left: overdue 2; 0 to 3 days 1.")
    assert described[4].endswith("03:17 4, 1, 0; 2026-11-26 03:17 4, 2, 0.")


def test_a_new_input_has_only_its_rows(path: Path) -> None:
    write(results(1, {"PKey": ["@a"]}), path, replace(FACTS, subject=Subject.MAP))
    assert list(sheets(path)) == ["All rows"]


def test_a_report_is_an_input_again_and_says_once_why_a_run_stopped(
    sim: Simulator, tmp_path: Path, run: Run
) -> None:
    populate(sim, 3)
    words = ("--max-changes", 2, "--report", "report.xlsx")
    assert run(sim, "run", write_states(tmp_path / "in.csv", 3), *words).status == 4
    found = sheets(tmp_path / "report.xlsx")
    cells = [str(cell) for rows in found.values() for row in rows for cell in row]
    assert sum("--max-changes 3" in cell for cell in cells) == 1
    ran = run(None, "validate", "report.xlsx")
    assert ran.status == 0
    assert "'All rows'" in ran.out + ran.err
    again = run(sim, "run", "report.xlsx", "--report", "again.csv")
    assert [row["sync_outcome"] for row in read_csv(tmp_path / "again.csv")] == ["updated"] * 3
    assert again.status == 0
