"""The user's own workbook, marked: what is bad is seen in its place, and nothing else changes."""

import re
import shutil
import zipfile
from collections.abc import Callable, Mapping
from datetime import date, datetime
from pathlib import Path

import openpyxl
import pytest
import xlsxwriter
from conftest import Ran, Run, read_csv
from openpyxl.comments import Comment
from openpyxl.styles import PatternFill
from openpyxl.workbook import Workbook

from bulk_sync.report import marked
from bulk_sync.report.marked.styles import BAD, DOUBTFUL

OPC = "http://schemas.openxmlformats.org/package/2006"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "application/vnd.openxmlformats-officedocument"

LATIN = b"<?xml version='1.0' encoding='iso-8859-1'?>"
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


def requests(path: Path) -> Path:
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
    sheet.column_dimensions["A"].width = 33
    sheet.print_title_rows = "1:1"
    book.create_sheet("Costs")["A1"] = 7
    book.active = 1
    book.save(path)
    return path


def check(run: Run, path: Path, report: str = "marked.xlsx", *words: object) -> Ran:
    return run(None, "validate", path, "--report", report, *words)


def marks(path: Path, sheet: int = 1) -> dict[str, str]:
    """Return the cells with one of our fills, and which."""
    cells = (cell for row in openpyxl.load_workbook(path).worksheets[sheet] for cell in row)
    found = {cell.coordinate: cell.fill.fgColor.rgb for cell in cells if cell.fill.fill_type}
    return {place: rgb for place, rgb in found.items() if rgb in {BAD, DOUBTFUL}}


def notes(path: Path, sheet: int = 1) -> dict[str, str]:
    cells = (cell for row in openpyxl.load_workbook(path).worksheets[sheet] for cell in row)
    return {cell.coordinate: cell.comment.text for cell in cells if cell.comment}


def parts(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def changed(path: Path, become: Callable[[str, bytes], bytes]) -> Path:
    """Write a workbook anew with other parts."""
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


def test_each_bad_cell_is_filled_and_has_a_note(tmp_path: Path, run: Run) -> None:
    before = requests(tmp_path / "in.xlsx").read_bytes()
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


def test_no_value_format_or_sheet_changes(tmp_path: Path, run: Run) -> None:
    check(run, requests(tmp_path / "in.xlsx"))
    before = openpyxl.load_workbook(tmp_path / "in.xlsx")
    after = openpyxl.load_workbook(tmp_path / "marked.xlsx")
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


def test_the_first_sheet_counts_the_reasons_and_links_to_the_rows(tmp_path: Path, run: Run) -> None:
    check(run, requests(tmp_path / "in.xlsx"))
    book = openpyxl.load_workbook(tmp_path / "marked.xlsx")
    assert book.active is not None
    assert book.active.title == SHEET
    selected = [sheet.title for sheet in book.worksheets if sheet.sheet_view.tabSelected]
    assert selected == [SHEET]  # what is typed goes into all selected sheets
    sheet = book.worksheets[0]
    assert sheet["A1"].value == "bulk-sync: 6 of 8 rows cannot be used yet"
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
    path = requests(tmp_path / "in.xlsx")
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


def test_a_file_without_problems_says_so(tmp_path: Path, run: Run) -> None:
    path = requests(tmp_path / "in.xlsx")
    correct(path, CORRECTED, sheet=0)
    assert check(run, path).status == 0
    assert marks(tmp_path / "marked.xlsx") == {}
    sheet = openpyxl.load_workbook(tmp_path / "marked.xlsx").worksheets[0]
    assert sheet["A1"].value == "bulk-sync: nothing to correct in 8 rows"


@pytest.mark.parametrize("by", ["the program", "LibreOffice"])
def test_once_corrected_it_is_accepted_as_it_is_with_the_same_row_numbers(
    tmp_path: Path, run: Run, by: str
) -> None:
    path = tmp_path / "marked.xlsx"
    if by == "LibreOffice":
        shutil.copy(BY_LIBREOFFICE, path)
    else:
        check(run, requests(tmp_path / "in.xlsx"))
    first = {row["Remark"]: row for row in judged(run, path)}
    assert sum(row["sync_outcome"] == "rejected" for row in first.values()) == 6
    correct(path)
    again = {row["Remark"]: row for row in judged(run, path)}
    assert {row["sync_outcome"] for row in again.values()} == {"usable"}
    for remark, row in again.items():
        assert row["sync_row"] == first[remark]["sync_row"]
    assert [row["sync_row"] for row in again.values()] == [str(at) for at in range(2, 10)]


def judged(run: Run, path: Path) -> list[dict[str, str]]:
    ran = check(run, path, "judged.csv")
    assert "Header in row 1 of sheet \"Ann's & Bob's requests\"" in ran.out
    assert "There is data on others too: 'Costs'." in ran.err
    rows = read_csv(path.with_name("judged.csv"))
    rows[2]["Remark"] = "bad key, no state"  # a formula, without a value once openpyxl saved it
    return rows


@pytest.mark.parametrize("by", ["the program", "LibreOffice"])
def test_a_second_check_replaces_the_marks_of_the_first(tmp_path: Path, run: Run, by: str) -> None:
    path = tmp_path / "marked.xlsx"
    if by == "LibreOffice":
        shutil.copy(BY_LIBREOFFICE, path)
    else:
        check(run, requests(tmp_path / "in.xlsx"))
    correct(path, {"B3": "Yes", "A4": "carl@example.com", "B4": "Yes"})
    check(run, path, "again.xlsx")
    again = tmp_path / "again.xlsx"
    assert openpyxl.load_workbook(again).sheetnames.count(SHEET) == 1
    assert marks(again) == {place: MARKS[place] for place in ("B5", "A6", "B7", "B8", "C9")}
    found = notes(again)
    assert found["A4"].rstrip() == "She called.\nSee ticket 7"
    assert "B3" not in found
    assert found["B5"].count("bulk-sync:") == found["B5"].count("FFFFFF00") == 1
    correct(again, CORRECTED)
    assert check(run, again, "good.xlsx").status == 0
    good = tmp_path / "good.xlsx"
    assert marks(good) == {}
    assert notes(good).keys() == {"A4", "D2"}
    sheet = openpyxl.load_workbook(good).worksheets[1]
    assert sheet["B5"].fill.fgColor.rgb == "FFFFFF00"  # a person's own colour is back
    assert sheet["B3"].fill.fill_type is None
    assert sheet["D2"].fill.fgColor.rgb == "FF00FF00"


def test_every_other_part_stays_byte_for_byte(tmp_path: Path, run: Run) -> None:
    """Charts, tables, lists to choose from, values of formulas: openpyxl would lose some."""
    with xlsxwriter.Workbook(tmp_path / "in.xlsx") as book:
        sheet = book.add_worksheet("Requests")
        sheet.write_row("A1", ["PKey", "Opt out?", "Twice"])
        for row in range(2, 12):
            sheet.write_row(row - 1, 0, [f"@key{row}", "?" if row == 5 else "Yes"])
            sheet.write_formula(row - 1, 2, f'=B{row}&"x"', None, "Yesx")
        sheet.data_validation("B2:B12", {"validate": "list", "source": ["Yes", "No"]})
        sheet.conditional_format("A2:A12", {"type": "duplicate"})
        sheet.add_table(
            "A1:C11", {"columns": [{"header": each} for each in ("PKey", "Opt out?", "Twice")]}
        )
        sheet.write_comment("A2", "mine")
        sheet.insert_button("F2", {"caption": "press"})
        chart = book.add_chart({"type": "column"})
        chart.add_series({"values": "=Requests!$C$2:$C$11"})
        book.add_worksheet("Chart").insert_chart("A1", chart)
        pie = book.add_chart({"type": "pie"})
        pie.add_series({"values": "=Requests!$C$2:$C$11"})
        book.add_chartsheet("Page").set_chart(pie)
        book.define_name("Chart!here", "=Chart!$A$1")
    assert check(run, tmp_path / "in.xlsx").status == 3
    before, after = parts(tmp_path / "in.xlsx"), parts(tmp_path / "marked.xlsx")
    assert after.keys() > before.keys()
    same = {name for name in before if before[name] == after[name]}
    assert before.keys() - same == {
        "[Content_Types].xml", "xl/_rels/workbook.xml.rels", "xl/workbook.xml", "xl/styles.xml",
        "xl/worksheets/sheet1.xml", "xl/comments1.xml", "xl/drawings/vmlDrawing1.vml",
    }  # fmt: skip
    sheet_now = after["xl/worksheets/sheet1.xml"]
    assert re.sub(rb' s="\d+"', b"", sheet_now).replace(b' tabSelected="1"', b"") == re.sub(
        rb' s="\d+"', b"", before["xl/worksheets/sheet1.xml"]
    ).replace(b' tabSelected="1"', b"")
    old_shapes = before["xl/drawings/vmlDrawing1.vml"].removesuffix(b"</xml>")
    assert after["xl/drawings/vmlDrawing1.vml"].startswith(old_shapes)
    assert b'localSheetId="2"' in after["xl/workbook.xml"]  # one sheet further
    assert marks(tmp_path / "marked.xlsx") == {"B5": BAD}
    assert notes(tmp_path / "marked.xlsx").keys() == {"A2", "B5"}
    values = openpyxl.load_workbook(tmp_path / "marked.xlsx", data_only=True)["Requests"]
    assert values["C3"].value == "Yesx"


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
    """Programs that are written with a certain library of Microsoft make such ones."""

    def become(name: str, content: bytes) -> bytes:
        if not name.endswith((".xml", ".rels")) or "theme" in name or "docProps" in name:
            return content
        content = re.sub(rb"(</?)(?=[A-Za-z])", rb"\1x:", content)
        return content.replace(b" xmlns=", b" xmlns:x=")

    path = changed(requests(tmp_path / "in.xlsx"), become)
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
    path = requests(tmp_path / "in.xlsx")
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
    """Check a workbook that cannot be marked: it gets a report of its own, and a sentence."""
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


def test_a_csv_gets_the_usual_report_without_a_word(tmp_path: Path, run: Run) -> None:
    (tmp_path / "in.csv").write_text("PKey,Opt out?\n@a,?\n")
    ran = check(run, tmp_path / "in.csv")
    assert ran.status == 3
    assert "because" not in ran.err
    assert SHEET not in openpyxl.load_workbook(tmp_path / "marked.xlsx").sheetnames


def test_a_workbook_that_unpacks_to_too_much_is_not_unpacked(tmp_path: Path, run: Run) -> None:
    path = requests(tmp_path / "in.xlsx")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for number in range(17):
            archive.writestr(f"xl/media/{number}.png", bytes(16 << 20))
    assert is_fallback(run, path, "it unpacks to more than 256 MB")


@pytest.mark.parametrize(
    ("part", "was", "becomes"),
    [
        pytest.param("xl/styles.xml", b"cellXfs", b"otherXfs", id="no cell styles"),
        pytest.param("xl/styles.xml", b'fillId="2"', b'fillId="99"', id="a fill too many"),
        pytest.param("xl/workbook.xml", b'sheetId="1"', b'sheetId="x"', id="no number"),
        pytest.param("xl/workbook.xml", MAIN.encode(), b"http://purl.oclc.org/x", id="strict"),
        pytest.param("xl/styles.xml", b"<styleSheet", LATIN + b"<styleSheet", id="encoding"),
        pytest.param("xl/comments/comment1.xml", b"<authors>", b"<writers>", id="odd notes"),
        pytest.param("xl/drawings/commentsDrawing1.vml", b"</xml>", b"", id="odd drawing"),
        pytest.param("xl/comments/comment1.xml", b"<comments", LAUGHS, id="many laughs"),
    ],
)
def test_a_workbook_built_in_another_way_is_not_broken(
    tmp_path: Path, run: Run, part: str, was: bytes, becomes: bytes
) -> None:
    def become(name: str, content: bytes) -> bytes:
        assert name != part or was in content
        return content.replace(was, becomes) if name == part else content

    path = changed(requests(tmp_path / "in.xlsx"), become)
    assert is_fallback(run, path, "it is built in an unusual way")
