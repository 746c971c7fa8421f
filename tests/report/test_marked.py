"""The user's own workbook, marked: bad cells are marked in place, and nothing else changes."""

import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path
from xml.etree import ElementTree as ET

import openpyxl
import pandas as pd
import pytest
import xlsxwriter
from conftest import Ran, Run, read_csv
from openpyxl.comments import Comment
from openpyxl.styles import GradientFill, PatternFill
from openpyxl.workbook import Workbook

from bulk_sync.report import marked
from bulk_sync.report.marked.workbook import BAD, DOUBTFUL
from bulk_sync.web import choices

OPC = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "application/vnd.openxmlformats-officedocument"

LAUGHS = (
    b"<!DOCTYPE comments [<!ENTITY a0 'ha'>"
    + b"".join(b"<!ENTITY a%d '%s'>" % (at, b"&a%d;" % (at - 1) * 10) for at in range(1, 10))
    + b"]><comments a='&a9;'"
)
"""The beginning of XML that would unpack to a gigabyte."""

SHEET = "Check by bulk-sync"
BY_LIBREOFFICE = Path(__file__).with_name("marked_saved_by_libreoffice.xlsx")
"""``requests`` of this module, marked, then opened and saved by LibreOffice 7.4."""

GOOD = ("Yes", date(2026, 11, 3), "ok")
ROWS: list[tuple[str | date | None, ...]] = [
    ("E-mail", "Opt out?", "Received", "Remark"),
    ("ann@example.com", *GOOD),
    ("bob@example.com", "maybe", date(2026, 11, 4), "bad state"),
    ("carl@", None, date(2026, 11, 5), "bad key, no state"),
    ("dora@example.com", None, date(2026, 11, 6), "no state"),
    (None, "No", date(2026, 11, 7), "no key"),
    ("eve@example.com", "Yes", date(2026, 11, 8), "conflict with row 8"),
    ("eve@example.com", "No", date(2026, 11, 9), "conflict with row 7"),
    ("fay@example.com", "Yes", "last week", "no date"),
]
MARKS = {
    "B3": BAD, "A4": BAD, "B4": BAD, "B5": BAD, "A6": BAD, "B7": BAD, "B8": BAD, "C9": DOUBTFUL,
}  # fmt: skip
CORRECTED = {
    "B3": "Yes", "A4": "carl@example.com", "B4": "No", "B5": "No", "A6": "gus@example.com",
    "A8": "hal@example.com", "C9": date(2026, 11, 10),
}  # fmt: skip


def write_requests(path: Path) -> Path:
    """Write a workbook as a person has one: with formats, a note, colours and other sheets."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.title = "Ann's & Bob's requests"
    for cells in ROWS:
        sheet.append(cells)
    for row in range(2, len(ROWS) + 1):
        sheet.cell(row, 3).number_format = "dd/mm/yy"
    sheet["D4"] = "=1+1"
    sheet["A4"].comment = Comment("She called.\nSee ticket 7", "Jane")
    sheet["D2"].comment = Comment("Nice man", "Jane")
    sheet["B5"].fill = PatternFill("solid", fgColor="FFFFFF00")
    sheet["D2"].fill = PatternFill("solid", fgColor="FF00FF00")
    sheet["A1"].fill = GradientFill(stop=("FF00FF00", "FFFFFFFF"))
    sheet.column_dimensions["A"].width = 33
    sheet.print_title_rows = "1:1"
    book.create_sheet("Costs")["A1"] = 7
    book.active = 1
    book.save(path)
    return path


def check(run: Run, path: Path, report: str = "marked.xlsx", *words: object) -> Ran:
    return run(None, "validate", path, "--report", report, *words)


CHECKED: list[bytes] = []


@pytest.fixture
def checked(tmp_path: Path, run: Run) -> Path:
    """Return the marked copy of ``requests``, beside the workbook itself; the check runs once."""
    path = write_requests(tmp_path / "in.xlsx").with_name("marked.xlsx")
    if not CHECKED:
        check(run, tmp_path / "in.xlsx")
        CHECKED.append(path.read_bytes())
    path.write_bytes(CHECKED[0])
    return path


def marks(path: Path, sheet: int = 1) -> dict[str, str]:
    """Return the cells with one of our fills, and the fill."""
    cells = (cell for row in openpyxl.load_workbook(path).worksheets[sheet] for cell in row)
    solid = (cell for cell in cells if cell.fill.fill_type == "solid")
    found = {cell.coordinate: cell.fill.fgColor.rgb for cell in solid}
    return {place: rgb for place, rgb in found.items() if rgb in {BAD, DOUBTFUL}}


def notes(path: Path, sheet: int = 1) -> dict[str, str]:
    cells = (cell for row in openpyxl.load_workbook(path).worksheets[sheet] for cell in row)
    return {cell.coordinate: cell.comment.text for cell in cells if cell.comment}


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def with_parts(path: Path, become: Callable[[str, bytes], bytes]) -> Path:
    """Write a workbook with other parts."""
    before = parts(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in before.items():
            archive.writestr(name, become(name, part))
    return path


def correct(path: Path, cells: Mapping[str, object] = CORRECTED, sheet: int = 1) -> None:
    book = openpyxl.load_workbook(path)
    for place, value in cells.items():
        book.worksheets[sheet][place].value = value
    book.save(path)


@pytest.mark.usefixtures("started_processes")
def test_each_bad_cell_is_filled_and_has_a_note(tmp_path: Path, run: Run) -> None:
    before = write_requests(tmp_path / "in.xlsx").read_bytes()
    ran = check(run, tmp_path / "in.xlsx")
    assert ran.status == 3
    assert ran.out.endswith(
        "Correct the red cells in marked.xlsx, save it, and check it again:\n"
        "  bulk-sync validate marked.xlsx\n"
    )
    assert (tmp_path / "in.xlsx").read_bytes() == before
    path = tmp_path / "marked.xlsx"
    assert marks(path) == MARKS
    found = notes(path)
    assert found.pop("D2") == "Nice man"
    assert found.keys() == MARKS.keys()
    assert found["A4"].startswith("She called.\nSee ticket 7\n\nbulk-sync: 'carl@' ")
    assert found["B3"] == (
        "bulk-sync: Column 'Opt out?' has 'maybe', which is neither yes nor no. Write yes (forbids "
        "the sale) or no (allows it). (bad_state)"
    )
    assert found["B5"].endswith("\n(The cell had a colour of its own: rgb FFFFFF00.)")
    assert "row 8 allows it for the same key" in found["B7"]


def test_no_value_format_or_sheet_changes(checked: Path) -> None:
    before = openpyxl.load_workbook(checked.with_name("in.xlsx"))
    after = openpyxl.load_workbook(checked)
    assert after.sheetnames == [SHEET, *before.sheetnames]
    for old, new in zip(before.worksheets, after.worksheets[1:], strict=True):
        assert [[cell.value for cell in row] for row in new] == [
            [cell.value for cell in row] for row in old
        ]
        formats = [[cell.number_format for cell in row] for row in old]
        assert [[cell.number_format for cell in row] for row in new] == formats
        assert new.print_title_rows == old.print_title_rows
    assert after.worksheets[1].column_dimensions["A"].width == 33
    assert after.worksheets[1]["D2"].fill.fgColor.rgb == "FF00FF00"


def test_the_first_sheet_counts_the_reasons_and_links_to_the_rows(checked: Path) -> None:
    book = openpyxl.load_workbook(checked)
    assert book.active is not None
    assert book.active.title == SHEET
    selected = [sheet.title for sheet in book.worksheets if sheet.sheet_view.tabSelected]
    assert selected == [SHEET]  # input goes into all selected sheets
    sheet = book.worksheets[0]
    assert sheet["A1"].value == "bulk-sync: 6 of 8 rows cannot be used yet"
    assert re.match(r"Checked 20[\d-]{8} [\d:]{5} UTC\. Header in row 1", str(sheet["A2"].value))
    counted = {row[3]: row[1] for row in sheet.iter_rows(7, 12, values_only=True)}
    assert counted == {
        "In reports": "Rows", "bad_state": 1, "bad_key": 1, "blank_state": 1, "empty_key": 1,
        "conflict": 2,
    }  # fmt: skip
    links = {cell.value: cell.hyperlink.location for row in sheet for cell in row if cell.hyperlink}
    name = "'Ann''s & Bob''s requests'"
    assert links == {
        3: f"{name}!B3", 4: f"{name}!A4", 5: f"{name}!B5", 6: f"{name}!A6", 7: f"{name}!B7",
        8: f"{name}!B8", 9: f"{name}!C9",
    }  # fmt: skip


def test_titles_above_the_header_and_a_cover_sheet_change_nothing(tmp_path: Path, run: Run) -> None:
    path = write_requests(tmp_path / "in.xlsx")
    book = openpyxl.load_workbook(path)
    book.worksheets[0].insert_rows(1, amount=3)
    book.worksheets[0]["A1"] = "Opt-out requests"
    book.worksheets[0]["A2"] = "November 2026"
    cover = book.create_sheet("Cover", 0)
    cover["A1"] = "Acme privacy team"
    book.save(path)
    for place, now in (("in.xlsx", "marked.xlsx"), ("marked.xlsx", "again.xlsx")):
        ran = check(run, tmp_path / place, now)
        assert ran.status == 3
        assert "Header in row 4 of sheet" in ran.out
        lower = {f"{cell[0]}{int(cell[1]) + 3}": colour for cell, colour in MARKS.items()}
        assert marks(tmp_path / now, sheet=2) == lower
    lower_cells = {f"{cell[0]}{int(cell[1]) + 3}": value for cell, value in CORRECTED.items()}
    correct(tmp_path / "again.xlsx", lower_cells, sheet=2)
    assert check(run, tmp_path / "again.xlsx", "good.csv").status == 0
    rows = [int(row["sync_row"]) for row in read_csv(tmp_path / "good.csv")]
    assert rows == list(range(5, 13))


def test_the_first_sheet_has_no_marks_around_options(tmp_path: Path, run: Run) -> None:
    path = write_requests(tmp_path / "in.xlsx")
    (tmp_path / "keys.csv").write_text("email\nann@example.com\n")
    check(run, path, "marked.xlsx", "--protect", "keys.csv")
    sheet = openpyxl.load_workbook(tmp_path / "marked.xlsx").worksheets[0]
    texts = [str(cell.value) for row in sheet.iter_rows() for cell in row if cell.value]
    assert "A list given with --protect forbids any change of this person" in texts
    assert not any("`" in text for text in texts)


def test_notes_have_no_options_and_the_first_sheet_has_the_words_of_the_page_too(
    tmp_path: Path, run: Run
) -> None:
    rows = ["a@example.com,yes", "a@example.com,no", "b@example.com,yes", "B@example.com,no"]
    pd.DataFrame([row.split(",") for row in rows], columns=["E-mail", "Opt out"]).to_excel(
        tmp_path / "in.xlsx", index=False
    )
    check(run, tmp_path / "in.xlsx")
    first, second = openpyxl.load_workbook(tmp_path / "marked.xlsx").worksheets
    notes = [cell.comment.text for row in second.iter_rows() for cell in row if cell.comment]
    assert len(notes) == 3
    assert not any("--" in note for note in notes)
    assert "or let the opt-out count. (conflict)" in notes[0]
    assert "Let them count as one, or correct one of them. (conflict)" in notes[2]
    to_do = [str(row[2].value) for row in first.iter_rows() if row[1].value in {1, 2}]
    for option, text in zip(("--on-conflict opt-out", "--email-case ignore"), to_do, strict=False):
        assert f"page with {choices.in_words(option)}, at the command line with {option}" in text


def test_the_rows_of_the_first_sheet_have_room_for_their_texts(checked: Path) -> None:
    sheet = openpyxl.load_workbook(checked).worksheets[0]
    widths = [sheet.column_dimensions[letter].width for letter in "ABCD"]
    for row in sheet.iter_rows(max_col=4):
        height = sheet.row_dimensions[int(row[0].row or 0)].height
        is_merged = any(row[0].coordinate in each for each in sheet.merged_cells.ranges)
        room = [sum(widths)] if is_merged else widths
        lines = [len(str(cell.value or "")) / width for cell, width in zip(row, room, strict=False)]
        assert height >= 15 * max(lines), row[0].value


def test_a_file_without_problems_says_so(tmp_path: Path, run: Run) -> None:
    path = write_requests(tmp_path / "in.xlsx")
    correct(path, CORRECTED, sheet=0)
    assert check(run, path).status == 0
    assert marks(tmp_path / "marked.xlsx") == {}
    sheet = openpyxl.load_workbook(tmp_path / "marked.xlsx").worksheets[0]
    assert sheet["A1"].value == "bulk-sync: nothing to correct in 8 rows"


@pytest.mark.parametrize("by", ["the program", "LibreOffice"])
def test_a_corrected_workbook_is_accepted_with_the_same_row_numbers(
    checked: Path, run: Run, by: str
) -> None:
    if by == "LibreOffice":
        shutil.copy(BY_LIBREOFFICE, checked)
    first = {row["Remark"]: row for row in check_to_csv(run, checked)}
    assert sum(row["sync_outcome"] == "rejected" for row in first.values()) == 6
    correct(checked)
    again = {row["Remark"]: row for row in check_to_csv(run, checked)}
    assert {row["sync_outcome"] for row in again.values()} == {"usable"}
    for remark, row in again.items():
        assert row["sync_row"] == first[remark]["sync_row"]
    assert [row["sync_row"] for row in again.values()] == [str(at) for at in range(2, 10)]


def check_to_csv(run: Run, path: Path) -> list[dict[str, str]]:
    ran = check(run, path, "judged.csv")
    assert "Header in row 1 of sheet \"Ann's & Bob's requests\"" in ran.out
    assert "There is data on others too: 'Costs'." in ran.err
    rows = read_csv(path.with_name("judged.csv"))
    rows[2]["Remark"] = "bad key, no state"  # a formula has no value after openpyxl saved it
    return rows


@pytest.mark.parametrize("by", ["the program", "LibreOffice"])
def test_a_second_check_replaces_the_marks_of_the_first(checked: Path, run: Run, by: str) -> None:
    if by == "LibreOffice":
        shutil.copy(BY_LIBREOFFICE, checked)
    correct(checked, {"B3": "Yes", "A4": "carl@example.com", "B4": "Yes"})
    check(run, checked, "again.xlsx")
    again = checked.with_name("again.xlsx")
    assert openpyxl.load_workbook(again).sheetnames.count(SHEET) == 1
    assert marks(again) == {place: MARKS[place] for place in ("B5", "A6", "B7", "B8", "C9")}
    found = notes(again)
    assert found["A4"].rstrip() == "She called.\nSee ticket 7"
    assert "B3" not in found
    assert found["B5"].count("bulk-sync:") == found["B5"].count("FFFFFF00") == 1
    correct(again, CORRECTED)
    assert check(run, again, "good.xlsx").status == 0
    good = checked.with_name("good.xlsx")
    assert marks(good) == {}
    assert notes(good).keys() == {"A4", "D2"}
    sheet = openpyxl.load_workbook(good).worksheets[1]
    assert sheet["B5"].fill.fgColor.rgb == "FFFFFF00"  # a person's own colour is back
    assert sheet["B3"].fill.fill_type is None
    assert sheet["D2"].fill.fgColor.rgb == "FF00FF00"


def write_all_kinds(path: Path, *, is_1904: bool = False) -> Path:
    """Write a workbook with cells beyond Python's values, and formulas with values."""
    numbers = [60.5, 0.25, 46000.123456789, 1, 59.999, 61, 46000.5, 12.000001, 0.1 + 0.2, 45e3]
    texts = ["=1+1", "  lead", "a\nb", "_x000D_", "007", "@x", "+1", "'quoted", "1e5", "ünï 😀"]
    with xlsxwriter.Workbook(path, {"date_1904": is_1904, "strings_to_formulas": False}) as book:
        sheet = book.add_worksheet("Requests")
        bold, moment = (
            book.add_format({"bold": True}),
            book.add_format({"num_format": "mm/dd/yyyy hh:mm:ss.000"}),
        )
        sheet.write_row("A1", ["E-mail", "Opt out?", "Received", "Text", "Number", "Name"])
        for row, (number, text) in enumerate(zip(numbers, texts, strict=True), start=2):
            sheet.write_formula(row - 1, 0, f'=LOWER(F{row})&"@e.com"', None, f"p{row}@e.com")
            sheet.write_formula(row - 1, 1, '="no"&""', None, "maybe" if row == 5 else "no")
            sheet.write_number(row - 1, 2, number, moment)
            sheet.write_string(row - 1, 3, text)
            sheet.write_number(row - 1, 4, number * 1e22)
            sheet.write_string(row - 1, 5, f"P{row}")
        sheet.write_rich_string("D12", bold, "bold ", "and plain")
        sheet.write_array_formula("E12:E13", "{=SUM(E2:E3*2)}", None, 0.5)
        sheet.write_formula("D13", "=1/0", None, "#DIV/0!")
        sheet.write_row("A12", ["q@e.com", "Yes"])
        sheet.write_row("A13", ["r@e.com", True])
        sheet.write_url("F12", "https://example.com/a?b=c", string="link")
        sheet.data_validation("B2:B12", {"validate": "list", "source": ["Yes", "No"]})
        sheet.conditional_format("A2:A12", {"type": "duplicate", "format": bold})
        other = book.add_worksheet("Other")
        other.add_table("A1:B3", {"columns": [{"header": "Key"}, {"header": "Line\nbreak"}]})
        other.hide()
        book.define_name("Other!here", "=Other!$A$1")
    return path


def cells_of(path: Path) -> dict[str, list[tuple[str, str, bytes]]]:
    """Return the cells of each sheet: place, type, and the XML inside, shared texts resolved."""

    def name(tag: str) -> str:
        return f"{{{MAIN}}}{tag}"

    def inside(element: ET.Element) -> bytes:
        return b"".join(ET.tostring(each).strip() for each in element)

    archive = {
        part: ET.fromstring(xml)  # noqa: S314
        for part, xml in parts(path).items()
        if "xl/" in part and part.endswith(".xml")
    }
    texts = [inside(each) for each in archive.get("xl/sharedStrings.xml", ())]
    titles = [each.attrib["name"] for each in archive["xl/workbook.xml"].iter(name("sheet"))]
    found: dict[str, list[tuple[str, str, bytes]]] = {title: [] for title in titles}
    for number, title in enumerate(titles, start=1):
        for cell in archive[f"xl/worksheets/sheet{number}.xml"].iter(name("c")):
            kind, content = cell.get("t", "n"), inside(cell)
            if kind == "inlineStr":
                kind, content = "s", inside(cell[0])
            elif kind == "s":
                content = texts[int(cell[0].text or 0)]
            if content:
                found[title].append((cell.attrib["r"], kind, content))
    return found


@pytest.mark.parametrize("is_1904", [False, True], ids=["1900", "1904"])
def test_cells_stay_unchanged(tmp_path: Path, run: Run, *, is_1904: bool) -> None:
    """Dates and their fractions, long numbers, formulas and their values, texts and their looks."""
    path = write_all_kinds(tmp_path / "in.xlsx", is_1904=is_1904)
    ran = check(run, path)
    assert "because" not in ran.err
    after = cells_of(tmp_path / "marked.xlsx")
    assert list(after) == [SHEET, "Requests", "Other"]
    assert {title: after[title] for title in ("Requests", "Other")} == cells_of(path)
    assert marks(tmp_path / "marked.xlsx")["B5"] == BAD
    book = openpyxl.load_workbook(tmp_path / "marked.xlsx")
    assert book.epoch == openpyxl.load_workbook(path).epoch
    sheet, other = book["Requests"], book["Other"]
    assert [each.sqref for each in sheet.data_validations.dataValidation] == ["B2:B12"]
    assert [each.sqref for each in sheet.conditional_formatting] == ["A2:A12"]
    assert sheet["F12"].hyperlink is not None
    assert other.sheet_state == "hidden"
    assert other.tables["Table1"].column_names == ["Key", "Line\nbreak"]
    assert list(other.defined_names) == ["here"]


def test_a_marked_workbook_is_read_as_the_first_one_was(tmp_path: Path, run: Run) -> None:
    """Keys, states and dates may be formulas: their values need no spreadsheet program."""
    check(run, write_all_kinds(tmp_path / "in.xlsx"), "marked.xlsx", "--report", "in.csv")
    check(run, tmp_path / "marked.xlsx", "marked.csv")
    assert read_csv(tmp_path / "marked.csv") == read_csv(tmp_path / "in.csv")


def test_a_workbook_with_what_openpyxl_cannot_keep_is_marked_too(tmp_path: Path, run: Run) -> None:
    with xlsxwriter.Workbook(tmp_path / "in.xlsx") as book:
        sheet = book.add_worksheet("Requests")
        sheet.write_row("A1", ["PKey", "Opt out?"])
        sheet.write_row("A2", ["@a", "?"])
        chart = book.add_chart({"type": "column"})
        chart.add_series({"values": "=Requests!$A$2:$A$3"})
        sheet.insert_chart("D1", chart)
        sheet.insert_button("D20", {"caption": "press"})
        sheet.add_sparkline("C2", {"range": "Requests!A2:B2"})
    check(run, tmp_path / "in.xlsx")
    assert marks(tmp_path / "marked.xlsx") == {"B2": BAD}
    about = openpyxl.load_workbook(tmp_path / "marked.xlsx").worksheets[0]
    assert "may be missing in this copy" in str([row[0].value for row in about])


def test_a_note_on_a_merged_cell_stands_where_it_is_seen(tmp_path: Path, run: Run) -> None:
    path = write_requests(tmp_path / "in.xlsx")
    book = openpyxl.load_workbook(path)
    book.worksheets[0].merge_cells("A5:A6")
    book.save(path)
    check(run, path)
    assert marks(tmp_path / "marked.xlsx")["A5"] == BAD
    assert "Column 'E-mail' is empty" in notes(tmp_path / "marked.xlsx")["A5"]


@pytest.mark.parametrize("merged", ["C7:D8", "F1:XFD1048576"], ids=["with content", "a sheet"])
def test_values_below_a_merged_cell_are_kept(merged: str, tmp_path: Path, run: Run) -> None:
    """Some programs keep it; openpyxl makes a cell of each place, as many as a sheet has."""
    cells = f'</sheetData><mergeCells><mergeCell ref="{merged}"/></mergeCells>'.encode()

    def become(name: str, content: bytes) -> bytes:
        return content.replace(b"</sheetData>", cells) if "sheet1.xml" in name else content

    path = with_parts(write_requests(tmp_path / "in.xlsx"), become)
    ran = check(run, path)
    assert "because" not in ran.err
    assert (
        cells_of(tmp_path / "marked.xlsx")["Ann's & Bob's requests"]
        == (cells_of(path)["Ann's & Bob's requests"])
    )
    sheet = parts(tmp_path / "marked.xlsx")["xl/worksheets/sheet2.xml"]
    assert f'<mergeCell ref="{merged}"'.encode() in sheet


def test_the_column_that_was_read_is_marked(tmp_path: Path, run: Run) -> None:
    """Columns before it count too: without a name, of a report, or repeated."""
    with xlsxwriter.Workbook(tmp_path / "in.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row("B1", ["PKey", "sync_row", "Note", "Note", "Opt out?"])
        sheet.write_row("B2", ["@a", 7, "a", "b", "maybe"])
    check(run, tmp_path / "in.xlsx")
    assert marks(tmp_path / "marked.xlsx") == {"F2": BAD}


def test_a_sheet_that_is_full_of_columns_is_marked(tmp_path: Path, run: Run) -> None:
    with xlsxwriter.Workbook(tmp_path / "in.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row("A1", ["PKey", "Opt out?", *(f"column {at}" for at in range(3, 16_385))])
        sheet.write_row("A2", ["@a", "maybe"])
    ran = check(run, tmp_path / "in.xlsx")
    assert ran.status == 3, ran.err
    assert marks(tmp_path / "marked.xlsx") == {"B2": BAD}


def test_a_workbook_without_styles_and_with_bare_cells_is_marked(tmp_path: Path, run: Run) -> None:
    """Rows and cells may leave out their place, and a cell may be missing."""

    def cell(content: str) -> str:
        return f'<c t="inlineStr"><is><t>{content}</t></is></c>'

    lines = (("PKey", "Opt out?"), ("@a",), ("@b", "yes"))
    rows = "".join(f"<row>{''.join(map(cell, line))}</row>" for line in lines)
    kinds = f"{DOCUMENT}.spreadsheetml"
    with zipfile.ZipFile(tmp_path / "in.xlsx", "w") as archive:
        archive.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{OPC}/content-types"><Default Extension="rels" '
            'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
            f'<Override PartName="/xl/b.xml" ContentType="{kinds}.sheet.main+xml"/>'
            f'<Override PartName="/xl/s.xml" ContentType="{kinds}.worksheet+xml"/></Types>',
        )
        for part, kind, target in (
            ("_rels/", "officeDocument", "xl/b.xml"),
            ("xl/_rels/b.xml", "worksheet", "s.xml"),
        ):
            archive.writestr(
                f"{part}.rels",
                f'<Relationships xmlns="{OPC}/relationships"><Relationship Id="r" '
                f'Type="{OFFICE}/{kind}" Target="{target}"/></Relationships>',
            )
        archive.writestr(
            "xl/b.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets><sheet name="S" sheetId="1" '
            'r:id="r"/></sheets></workbook>',
        )
        archive.writestr(
            "xl/s.xml", f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
        )
    assert check(run, tmp_path / "in.xlsx").status == 3
    assert marks(tmp_path / "marked.xlsx") == {"B2": BAD}
    correct(tmp_path / "marked.xlsx", {"B2": "yes"})
    assert run(None, "validate", "marked.xlsx").status == 0


def test_a_workbook_whose_xml_has_prefixes_is_marked(tmp_path: Path, run: Run) -> None:
    """A library of Microsoft writes such workbooks."""

    def become(name: str, content: bytes) -> bytes:
        if not name.endswith((".xml", ".rels")) or "theme" in name or "docProps" in name:
            return content
        content = re.sub(rb"(</?)(?=[A-Za-z])", rb"\1x:", content)
        return content.replace(b" xmlns=", b" xmlns:x=")

    path = with_parts(write_requests(tmp_path / "in.xlsx"), become)
    assert check(run, path).status == 3
    assert marks(tmp_path / "marked.xlsx") == MARKS
    assert notes(tmp_path / "marked.xlsx").keys() == {*MARKS, "D2"}
    correct(tmp_path / "marked.xlsx")
    assert run(None, "validate", "marked.xlsx").status == 0


def test_a_missing_cell_keeps_the_format_of_its_column(tmp_path: Path, run: Run) -> None:
    with xlsxwriter.Workbook(tmp_path / "in.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.set_column("B:B", 20, book.add_format({"italic": True}))
        sheet.write_row("A1", ["PKey", "Opt out?", "Remark"])
        sheet.write("A2", "@a")
        sheet.write("C2", "later")
    check(run, tmp_path / "in.xlsx")
    cell = openpyxl.load_workbook(tmp_path / "marked.xlsx").worksheets[1]["B2"]
    assert cell.font.italic
    assert cell.fill.fgColor.rgb == BAD


def test_the_sheet_that_was_read_is_marked(tmp_path: Path, run: Run) -> None:
    path = write_requests(tmp_path / "in.xlsx")
    book = openpyxl.load_workbook(path)
    book.copy_worksheet(book.worksheets[0]).title = "Second"
    book.save(path)
    ran = check(run, path, "marked.xlsx", "--sheet", "Second")
    assert ran.out.endswith("  bulk-sync validate marked.xlsx --sheet Second\n")
    assert marks(tmp_path / "marked.xlsx") == {}
    assert marks(tmp_path / "marked.xlsx", sheet=3) == MARKS


def test_a_longer_file_gets_a_workbook_of_its_own_with_a_note(tmp_path: Path, run: Run) -> None:
    with xlsxwriter.Workbook(tmp_path / "in.xlsx", {"constant_memory": True}) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["PKey", "Opt out?"])
        for row in range(1, marked.MOST_ROWS + 2):
            sheet.write_row(row, 0, [f"@k{row}", "Yes"])
    ran = check(run, tmp_path / "in.xlsx")
    assert ran.status == 0
    assert "because it has more than 20,000 rows" in ran.err
    own = openpyxl.load_workbook(tmp_path / "marked.xlsx", read_only=True)
    assert SHEET not in own.sheetnames
    summary = [cell.value for row in own["Summary"] for cell in row if cell.value]
    assert any("because it has more than 20,000 rows" in str(value) for value in summary)


def is_fallback(run: Run, path: Path, why: str) -> bool:
    """Check that a workbook cannot be marked: it gets a report of its own and a sentence."""
    ran = check(run, path, "own.xlsx")
    assert f"because {why}" in ran.err
    assert f"Correct these rows in {path}" in ran.out
    return SHEET not in openpyxl.load_workbook(path.with_name("own.xlsx")).sheetnames


def test_the_list_of_an_ods_is_copied_and_marked(tmp_path: Path, run: Run) -> None:
    table = "<table:table-row>{}</table:table-row>"
    cell = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
    lines = (("November",), (), ("PKey", "Opt out?", "Received"), ("007", "?", "2026-11-03"))
    rows = "".join(
        table.format("".join(map(cell.format, line)) or "<table:table-cell/>") for line in lines
    )
    name = "A/Very:Long*Name?With[Strange]Characters"
    names = " ".join(
        f'xmlns:{each}="urn:oasis:names:tc:opendocument:xmlns:{each}:1.0"'
        for each in ("office", "table", "text")
    )
    with zipfile.ZipFile(tmp_path / "in.ods", "w") as archive:
        archive.writestr(
            "content.xml",
            f"<office:document-content {names}><office:body><office:spreadsheet>"
            f'<table:table table:name="{name}">{rows}</table:table></office:spreadsheet>'
            "</office:body></office:document-content>",
        )
    ran = check(run, tmp_path / "in.ods")
    assert "because" not in ran.err
    assert marks(tmp_path / "marked.xlsx") == {"B4": BAD}
    book = openpyxl.load_workbook(tmp_path / "marked.xlsx")
    assert book.sheetnames == [SHEET, "A_Very_Long_Name_With_Strange_Ch"[:31]]
    cells = [cell.value for cell in book.worksheets[1][4]]
    assert cells == ["007", "?", datetime(2026, 11, 3)]  # noqa: DTZ001
    correct(tmp_path / "marked.xlsx", {"B4": "yes"})
    assert check(run, tmp_path / "marked.xlsx", "good.csv").status == 0
    (row,) = read_csv(tmp_path / "good.csv")
    assert (row["PKey"], row["Received"], row["sync_row"]) == ("007", "2026-11-03", "4")


def test_a_csv_gets_the_usual_report_without_a_message(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in.csv").write_text("PKey,Opt out?\n@a,?\n")
    ran = check(run, tmp_path / "in.csv")
    assert ran.status == 3
    assert "because" not in ran.err
    assert SHEET not in openpyxl.load_workbook(tmp_path / "marked.xlsx").sheetnames


def test_a_workbook_with_a_sheet_that_is_a_chart_is_not_broken(tmp_path: Path, run: Run) -> None:
    with xlsxwriter.Workbook(tmp_path / "in.xlsx") as book:
        sheet = book.add_worksheet()
        sheet.write_row("A1", ["PKey", "Opt out?"])
        sheet.write_row("A2", ["@a", "?"])
        chart = book.add_chart({"type": "pie"})
        chart.add_series({"values": "=Sheet1!$A$2:$A$3"})
        book.add_chartsheet("Page").set_chart(chart)
    assert is_fallback(run, tmp_path / "in.xlsx", "a sheet of it is a chart")


def test_a_workbook_with_a_table_from_another_source_is_not_broken(
    tmp_path: Path, run: Run
) -> None:
    path = write_requests(tmp_path / "in.xlsx")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/queryTables/queryTable1.xml", f'<queryTable xmlns="{MAIN}"/>')
    assert is_fallback(run, path, "a table in it is filled from another source")


def test_a_workbook_of_which_openpyxl_would_move_a_row_is_not_broken(
    tmp_path: Path, run: Run
) -> None:
    """Rows in another order than their numbers are read in that order."""

    def become(name: str, content: bytes) -> bytes:
        if "sheet1.xml" not in name:
            return content
        return re.sub(rb'(<row r="6".*?</row>)(<row r="7".*?</row>)', rb"\2\1", content)

    path = with_parts(write_requests(tmp_path / "in.xlsx"), become)
    why = "openpyxl, which marks it, would change row 7 of \"Ann's & Bob's requests\""
    assert is_fallback(run, path, why)


@pytest.mark.parametrize(
    ("part", "was", "becomes"),
    [
        pytest.param("xl/styles.xml", b"cellXfs", b"otherXfs", id="no cell styles"),
        pytest.param("xl/styles.xml", b'fillId="2"', b'fillId="99"', id="a fill too many"),
        pytest.param("xl/workbook.xml", b'sheetId="1"', b'sheetId="x"', id="no number"),
        pytest.param("xl/comments/comment1.xml", b"<authors>", b"<writers>", id="odd notes"),
        pytest.param("xl/comments/comment1.xml", b"<comments", LAUGHS, id="many laughs"),
    ],
)
def test_a_workbook_built_in_another_way_is_not_broken(
    tmp_path: Path, run: Run, part: str, was: bytes, becomes: bytes
) -> None:
    def become(name: str, content: bytes) -> bytes:
        assert name != part or was in content
        return content.replace(was, becomes) if name == part else content

    path = with_parts(write_requests(tmp_path / "in.xlsx"), become)
    assert is_fallback(run, path, "it is built in an unusual way")


@pytest.mark.parametrize("is_protected", [True, False])
def test_a_protected_sheet_stays_so_and_the_first_sheet_says_how_to_correct_it(
    is_protected: bool, tmp_path: Path, run: Run
) -> None:
    book = openpyxl.load_workbook(write_requests(tmp_path / "in.xlsx"))
    book.worksheets[0].protection.sheet = is_protected
    book.save(tmp_path / "in.xlsx")
    run(None, "validate", "in.xlsx", "--report", "out.xlsx")
    found = openpyxl.load_workbook(tmp_path / "out.xlsx")
    texts = [str(cell.value) for row in found[SHEET].iter_rows() for cell in row if cell.value]
    assert any("is protected, as in yours" in each for each in texts) is is_protected
    assert found["Ann's & Bob's requests"].protection.sheet is is_protected
