"""Workbooks: all visible values are read, from every row, whatever else is in the file."""

import re
import struct
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import office_files as office
import openpyxl
import pandas as pd
import pytest
import report_frames
import xlsxwriter
from whole_input import read_whole

from bulk_sync.errors import InputProblem
from bulk_sync.outcomes import Outcome
from bulk_sync.rows import check, columns
from bulk_sync.rows.parse import workbook
from bulk_sync.rows.parse.cell_text import displayed, relevant
from bulk_sync.rows.parse.sheets import Sheet
from bulk_sync.rows.read.first_rows import FirstRows, Wanted
from bulk_sync.rows.read.location import choose_sheet

EXPECTED = {"PKey": ["@a", "#NAME?", "@c"], columns.ROW: [2, 3, 4]}


def xlsx(path: Path) -> Path:
    book = openpyxl.Workbook()
    page = book.create_sheet("Keys", 0)
    for number, key in enumerate(["PKey", "@a", "#NAME?", "@c"], start=1):
        page.cell(number, 1, key).data_type = "e" if key.startswith("#") else "s"
    book.save(path)
    return path


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        pytest.param(b"", b"", id="as Excel writes it"),
        pytest.param(b' r="A3"', b"", id="without its place"),
        pytest.param(b't="e"', b"t='e'", id="in single quotes"),
        pytest.param(b"#NAME?", b"#NAME&#63;", id="with a character reference"),
        pytest.param(b"<v>#NAME?", b"<f>a()</f><v>#NAME?", id="of a formula"),
    ],
)
def test_an_error_value_in_xlsx_is_read_as_its_text(
    tmp_path: Path, was: bytes, becomes: bytes
) -> None:
    path = tmp_path / "in.xlsx"
    with (
        zipfile.ZipFile(xlsx(tmp_path / "plain.xlsx")) as plain,
        zipfile.ZipFile(path, "w") as changed,
    ):
        for name in plain.namelist():
            part = plain.read(name)
            assert was in part or "sheet1" not in name
            changed.writestr(name, part.replace(was, becomes) if "sheet1" in name else part)
    assert parse_here(path)[0].to_dict("list") == EXPECTED


NUMBER = (
    '<table:table-cell office:value-type="float" office:value="{}"><text:p>{}</text:p>'
    "</table:table-cell>"
)
ERROR = (
    '<table:table-cell table:formula="of:=a" office:value-type="string" office:string-value="" '
    'calcext:value-type="error"><text:p>#NAME?</text:p></table:table-cell>'
)
NO_VALUE = '<table:table-cell table:formula="of:=IF([.B2]>1;1;2)"/>'
XLS_NAME = bytes([2, 0, 29, 0, 0, 0, 255, 255])
XLS_EMPTY = bytes([3, 0, 0, 0, 0, 0, 255, 255])


def parse_here(path: Path, sheet: str | None = None) -> tuple[pd.DataFrame, str]:
    """Parse a workbook in this process: in another one it would take ten times as long."""

    def choose(sheets: Sequence[Sheet]) -> tuple[int, int]:
        first = [FirstRows(dict(each.first_rows()), each.name, each.is_hidden) for each in sheets]
        return choose_sheet(first, Wanted(sheet), str(path))

    found = workbook.parse(path, choose)
    batches = [each.select(range(each.num_columns - 1)) for each in found.batches]
    names = [columns.ROW, *found.names[:-1]]  # the last column holds the cells beside the table
    frames = [each.rename_columns(names).to_pandas() for each in batches]
    frame = pd.concat(frames or [pd.DataFrame(columns=names)], ignore_index=True)
    return frame, " ".join(found.notes)


def table(path: Path, sheet: str | None = None) -> list[tuple[object, ...]]:
    return list(parse_here(path, sheet)[0].itertuples(index=False, name=None))


def judged(path: Path) -> dict[int, tuple[str, str]]:
    """Return the outcome and the reason of each row."""
    rows = check.rows(parse_here(path)[0], check.Rules())
    open_as = rows[columns.OUTCOME].astype(object).fillna("usable")
    return dict(
        zip(rows[columns.ROW], zip(open_as, rows[columns.DETAIL], strict=True), strict=True)
    )


@pytest.mark.parametrize(
    "folder", ["xl/worksheets/", "xl\\worksheets\\", "XL/Worksheets/", "sheets/", "xl/a b/"]
)
def test_an_error_value_is_found_wherever_the_sheet_lies(tmp_path: Path, folder: str) -> None:
    rows = (
        office.HEADER + '<row r="2"><c r="A2" t="e"><v>#NAME?</v></c></row>' + office.row(3, "@c")
    )
    path = office.xlsx(tmp_path / "in.xlsx", {"S": rows}, folder=folder)
    assert table(path) == [(2, "#NAME?", ""), (3, "@c", "")]


def test_a_sheet_that_was_cut_off_between_two_rows_is_damaged(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole.xlsx", tmp_path / "cut.xlsx"
    office.xlsx(whole, {"S": office.HEADER + office.row(2, "@a", "true") + office.row(3, "@b")})
    with zipfile.ZipFile(whole) as parts, zipfile.ZipFile(cut, "w") as copy:
        for name in parts.namelist():
            content = parts.read(name)
            copy.writestr(name, content.partition(b'<row r="3"')[0])
    with pytest.raises(InputProblem, match="cut off or damaged"):
        table(cut)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1", "TRUE"),
        ("0", "FALSE"),
        ("true", "TRUE"),
        ("false", "FALSE"),
        ("False", "FALSE"),
        ("no", "no"),
    ],
)
def test_a_boolean_is_read_in_each_spelling_of_xml(
    tmp_path: Path, written: str, expected: str
) -> None:
    cell = f'<row r="2">{office.text("A2", "@a")}<c r="B2" t="b"><v>{written}</v></c></row>'
    path = office.xlsx(tmp_path / "in.xlsx", {"S": office.HEADER + cell})
    assert table(path) == [(2, "@a", expected)]


def test_an_error_value_in_ods_is_read_as_its_text(tmp_path: Path) -> None:
    rows = office.ods_row("PKey") + office.ods_row("@a") + office.ods_row(ERROR)
    assert table(office.ods(tmp_path / "in.ods", {"S": rows})) == [(2, "@a"), (3, "#NAME?")]


def test_an_error_value_in_xls_is_read_as_its_text(tmp_path: Path) -> None:
    cells = office.xls_text(0, 0, "PKey") + office.xls_error(1, 0, 29)
    cells += office.xls_formula(2, 0, XLS_NAME) + office.xls_text(3, 0, "@c")
    path = office.xls(tmp_path / "in.xls", {"S": cells})
    assert table(path) == [(2, "#NAME?"), (3, "#NAME?"), (4, "@c")]


FORMULAS = {
    "no value": "<f>D2</f>",
    "an empty value": "<f>D2</f><v></v>",
    "an empty element": "<f>D2</f><v />",
    "a shared formula": '<f t="shared" si="0"/>',
}


@pytest.mark.parametrize("formula", FORMULAS)
def test_a_formula_without_a_value_rejects_its_row(tmp_path: Path, formula: str) -> None:
    cell = f'<c r="{{}}">{FORMULAS[formula]}</c>'
    rows = (
        office.HEADER
        + f'<row r="2">{cell.format("A2")}{cell.format("B2")}</row>'
        + f'<row r="3">{office.text("A3", "@a")}{cell.format("B3")}</row>'
        + f'<row r="4">{cell.format("A4")}{office.text("B4", "true")}</row>'
        + office.row(5, "@b", "true")
    )
    verdicts = judged(office.xlsx(tmp_path / "in.xlsx", {"S": rows}))
    assert [verdict for verdict, _ in verdicts.values()] == [Outcome.REJECTED] * 3 + ["usable"]
    for number in (2, 3, 4):
        assert re.match(
            r"(The key is|Column 'ccpaOptOut' has) a formula without a value: open the workbook",
            verdicts[number][1],
        )


def test_a_formula_without_a_value_in_another_column_loses_no_row(tmp_path: Path) -> None:
    rows = office.row(1, "PKey", "ccpaOptOut", "note") + "".join(
        f'<row r="{at}">{office.text(f"A{at}", f"@{at}")}{office.text(f"B{at}", "true")}'
        f'<c r="C{at}"><f>A{at}</f></c></row>'
        for at in range(2, 5)
    )
    path = office.xlsx(tmp_path / "in.xlsx", {"S": rows})
    assert judged(path) == {2: ("usable", ""), 3: ("usable", ""), 4: ("usable", "")}
    assert {cell for *_, cell in table(path)} == {"#UNCALCULATED"}


def test_a_formula_whose_value_is_the_empty_text_is_an_empty_cell(tmp_path: Path) -> None:
    empty = '<row r="3"><c r="A3" t="str"><f>IF(1,"")</f><v></v></c></row>'
    path = office.xlsx(
        tmp_path / "in.xlsx", {"S": office.HEADER + office.row(2, "@a", "true") + empty}
    )
    assert table(path) == [(2, "@a", "true")]


def test_a_text_with_an_escaped_character_is_read_as_it_is_shown(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "in.xlsx") as book:
        book.add_worksheet().write_column(0, 0, ["PKey", "_x0041_", "a\x01b"])
    assert parse_here(tmp_path / "in.xlsx")[0]["PKey"].tolist() == ["_x0041_", "a\x01b"]


def test_the_0_written_by_xlsxwriter_for_a_formula_is_no_value(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(tmp_path / "in.xlsx") as book:
        page = book.add_worksheet()
        page.write_row(0, 0, ["PKey", "ccpaOptOut"])
        page.write_row(1, 0, ["@a", '=IF(C2="out",TRUE,FALSE)'])
    assert judged(tmp_path / "in.xlsx")[2][0] == Outcome.REJECTED


SAVED = '<calcPr calcId="191029"/>'


@pytest.mark.parametrize(
    ("value", "calculation", "expected"),
    [
        pytest.param("0.0", "", Outcome.REJECTED, id="POI"),
        pytest.param("0.0", SAVED, Outcome.REJECTED, id="POI, in a workbook of Excel"),
        pytest.param("0", "", Outcome.REJECTED, id="NPOI"),
        pytest.param("0", SAVED, "usable", id="Excel"),
        pytest.param("0", "<calcPr/>", "usable", id="Google Sheets"),
        pytest.param("1.0", "", "usable", id="calculated by POI"),
    ],
)
def test_a_0_of_a_program_that_does_not_calculate_is_no_value(
    tmp_path: Path, value: str, calculation: str, expected: str
) -> None:
    cell = f'<c r="B2" t="n"><f>IF(C2="out",1,0)</f><v>{value}</v></c>'
    rows = office.HEADER + f'<row r="2">{office.text("A2", "@a")}{cell}</row>'
    path = office.xlsx(tmp_path / "in.xlsx", {"S": rows}, calculation=calculation)
    assert judged(path)[2][0] == expected


def test_a_formula_that_poi_adds_to_an_xls_is_rejected_whatever_other_formulas_have(
    tmp_path: Path,
) -> None:
    one, zero = struct.pack("<d", 1), bytes(8)
    cells = office.xls_text(0, 0, "PKey") + office.xls_text(0, 1, "ccpaOptOut")
    for at, (result, flags) in enumerate([(one, 0), (zero, 2), (zero, 0), (one, 2)], start=1):
        cells += office.xls_text(at, 0, f"@{at}") + office.xls_formula(at, 1, result, flags)
    verdicts = judged(office.xls(tmp_path / "in.xls", {"S": cells}))
    assert [verdict for verdict, _ in verdicts.values()] == [
        "usable", Outcome.REJECTED, "usable", "usable"
    ]  # fmt: skip


def test_formulas_written_by_openpyxl_are_rejected(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    page = book.create_sheet("Keys", 0)
    page.append(["PKey", "ccpaOptOut"])
    page.append(["=Data!A2", "=Data!B2"])
    book.save(tmp_path / "in.xlsx")
    assert judged(tmp_path / "in.xlsx")[2][0] == Outcome.REJECTED


@pytest.mark.parametrize("flags", [(XLS_EMPTY, 0), (bytes(8), 2)], ids=["xlwt", "POI"])
def test_a_formula_without_a_value_in_xls_rejects_its_row(
    tmp_path: Path, flags: tuple[bytes, int]
) -> None:
    cells = office.xls_text(0, 0, "PKey") + office.xls_text(0, 1, "ccpaOptOut")
    cells += office.xls_text(1, 0, "@a") + office.xls_formula(1, 1, *flags)
    cells += office.xls_formula(2, 0, *flags) + office.xls_formula(2, 1, *flags)
    verdicts = judged(office.xls(tmp_path / "in.xls", {"S": cells}))
    assert {at: verdict for at, (verdict, _) in verdicts.items()} == {
        2: Outcome.REJECTED, 3: Outcome.REJECTED
    }  # fmt: skip


def test_an_empty_text_beside_other_results_in_xls_is_an_empty_cell(tmp_path: Path) -> None:
    true = b"\x01\x00\x01\x00\x00\x00\xff\xff"
    cells = office.xls_text(0, 0, "PKey") + office.xls_text(0, 1, "ccpaOptOut")
    cells += office.xls_text(1, 0, "@a") + office.xls_formula(1, 1, true)
    cells += office.xls_text(2, 0, "@b") + office.xls_formula(2, 1, XLS_EMPTY)
    path = office.xls(tmp_path / "in.xls", {"S": cells})
    assert table(path) == [(2, "@a", "TRUE"), (3, "@b", "")]


def test_a_formula_without_a_value_in_ods_rejects_its_row(tmp_path: Path) -> None:
    rows = office.ods_row("PKey", "ccpaOptOut") + office.ods_row(NO_VALUE, NO_VALUE)
    rows += office.ods_row("@a", "true")
    verdicts = judged(office.ods(tmp_path / "in.ods", {"S": rows}))
    assert [verdict for verdict, _ in verdicts.values()] == [Outcome.REJECTED, "usable"]


def write_sheets(folder: Path, suffix: str) -> Path:
    """Write a workbook with an empty sheet, a hidden one, and two with data."""
    path = folder / f"in{suffix}"
    keys = {"Old": "@old", "New": "@new", "More": "@more"}
    if suffix == ".xls":
        cells = {
            name: office.xls_text(0, 0, "PKey") + office.xls_text(1, 0, key)
            for name, key in keys.items()
        }
        return office.xls(path, {"Cover": b"", **cells}, hidden=["Old"])
    if suffix == ".ods":
        rows = {name: office.ods_row("PKey") + office.ods_row(key) for name, key in keys.items()}
        return office.ods(path, {"Cover": office.ods_row("<table:table-cell/>"), **rows},
                          hidden=["Old"])  # fmt: skip
    rows = {name: office.row(1, "PKey") + office.row(2, key) for name, key in keys.items()}
    return office.xlsx(path, {"Cover": "", **rows}, states={"Old": "hidden"})


WRITE: dict[str, Callable[[Path, list[list[str]]], Path]] = {
    ".xlsx": lambda path, rows: office.xlsx(
        path, {"S": "".join(office.row(at, *row) for at, row in enumerate(rows, 1))}
    ),
    ".ods": lambda path, rows: office.ods(
        path, {"S": "".join(office.ods_row(*row) for row in rows)}
    ),
    ".xls": lambda path, rows: office.xls(
        path,
        {
            "S": b"".join(
                office.xls_text(at, column, cell)
                for at, row in enumerate(rows)
                for column, cell in enumerate(row)
            )
        },
    ),
}
EACH = pytest.mark.parametrize("suffix", [".xlsx", ".xls", ".ods"])


@EACH
def test_the_first_visible_sheet_with_data_is_read_and_a_warning_names_the_others(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = write_sheets(tmp_path, suffix)
    assert read_whole(str(path))["PKey"].tolist() == ["@new"]
    (warning,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert "only the sheet 'New' was read" in warning
    assert "'Old' (hidden), 'More'" in warning
    assert "Cover" not in warning


@EACH
def test_a_hidden_sheet_is_read_if_it_is_named(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    frame, _ = parse_here(write_sheets(tmp_path, suffix), "Old")
    assert frame["PKey"].tolist() == ["@old"]
    assert not caplog.records


def test_data_only_on_hidden_sheets_is_an_error(tmp_path: Path) -> None:
    rows = office.row(1, "PKey") + office.row(2, "@a")
    path = office.xlsx(tmp_path / "in.xlsx", {"S": "", "H": rows}, states={"H": "veryHidden"})
    with pytest.raises(InputProblem, match=r"there is data on hidden ones: 'H'.*--sheet"):
        parse_here(path)


def test_a_report_as_input_is_read_from_its_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    report_frames.write(report_frames.results(1, {"PKey": ["@a"]}), tmp_path / "in.xlsx")
    frame, _ = parse_here(tmp_path / "in.xlsx")
    assert frame["PKey"].tolist() == ["@a"]
    assert not caplog.records


OURS: dict[str, Callable[[Path], Path]] = {
    ".xlsx": lambda path: office.xlsx(
        path,
        {
            "Check": office.row(1, "bulk-sync: what to correct") + office.row(3, "PKey", "row"),
            "S": office.HEADER + office.row(2, "@a", "true"),
        },
    ),
    ".ods": lambda path: office.ods(
        path,
        {
            "Check": office.ods_row("bulk-sync: what to correct") + office.ods_row("PKey", "row"),
            "S": office.ods_row("PKey", "ccpaOptOut") + office.ods_row("@a", "true"),
        },
    ),
    ".xls": lambda path: office.xls(
        path,
        {
            "Check": office.xls_text(0, 0, "bulk-sync: what to correct")
            + office.xls_text(2, 0, "PKey"),
            "S": office.xls_text(0, 0, "PKey") + office.xls_text(1, 0, "@a"),
        },
    ),
}


@EACH
def test_a_sheet_of_bulk_sync_beside_the_data_is_skipped(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = OURS[suffix](tmp_path / f"in{suffix}")
    assert read_whole(str(path))["PKey"].tolist() == ["@a"]
    assert not caplog.records


HIDDEN: dict[str, Callable[[Path], Path]] = {
    ".xlsx": lambda path: office.xlsx(
        path,
        {
            "S": office.HEADER
            + office.row(2, "@a", "true")
            + office.row(3, "@b", "true", attributes=' hidden="1"')
            + '<row r="4" hidden="1"><c r="A4" s="0"/></row>'
            + office.row(5, "@c", "true", attributes=' hidden="true"')
        },
    ),
    ".xls": lambda path: office.xls(
        path,
        {
            "S": b"".join(
                office.xls_text(at, 0, key) + office.xls_text(at, 1, state)
                for at, key, state in [
                    (0, "PKey", "ccpaOptOut"), (1, "@a", "true"), (2, "@b", "true"),
                    (4, "@c", "true"),
                ]
            )
            + b"".join(map(office.xls_hidden, (2, 3, 4)))
        },
    ),
    ".ods": lambda path: office.ods(
        path,
        {
            "Empty": office.ods_row("<table:table-cell/>", attributes=' table:visibility="filter"'),
            "S": office.ods_row("PKey", "ccpaOptOut")
            + office.ods_row("@a", "true")
            + office.ods_row("@b", "true", attributes=' table:visibility="filter"')
            + office.ods_row("<table:table-cell/>", attributes=' table:visibility="filter"')
            + office.ods_row("@c", "true", attributes=' table:visibility="collapse"')
        },
    ),
}  # fmt: skip


@pytest.mark.usefixtures("started_processes")
@pytest.mark.parametrize("suffix", HIDDEN)
def test_hidden_rows_are_read_and_counted(tmp_path: Path, suffix: str) -> None:
    path = HIDDEN[suffix](tmp_path / f"in{suffix}")
    assert table(path) == [(2, "@a", "true"), (3, "@b", "true"), (5, "@c", "true")]
    assert "2 rows are hidden and were read too (rows 3, 5)" in parse_here(path)[1]


HIDDEN_COLUMNS: dict[str, Callable[[Path], Path]] = {
    ".xlsx": lambda path: office.xlsx(
        path,
        {
            "S": '</sheetData><cols><col min="1" max="1" hidden="0"/><col min="2" max="3" '
            'width="0" hidden="1"/><col hidden="true" min="5" max="16384"/></cols><sheetData>'
            + office.row(1, "PKey", "ccpaOptOut", "", "note")
        },
    ),
    ".xls": lambda path: office.xls(
        path,
        {
            "S": b"".join(
                office.xls_text(0, at, name) for at, name in ((0, "PKey"), (1, "ccpaOptOut"))
            )
            + office.record(0x7D, struct.pack("<HHHHHH", 1, 2, 0, 0, 1, 0))
        },
    ),
    ".ods": lambda path: office.ods(
        path,
        {
            "S": '<table:table-column/><table:table-column table:visibility="collapse" '
            'table:number-columns-repeated="2"/><table:table-column/>'
            + office.ods_row("PKey", "ccpaOptOut", "", "note")
        },
    ),
}


@pytest.mark.parametrize("suffix", HIDDEN_COLUMNS)
def test_hidden_columns_are_read_and_named(tmp_path: Path, suffix: str) -> None:
    notes = parse_here(HIDDEN_COLUMNS[suffix](tmp_path / f"in{suffix}"))[1]
    assert "on the sheet 'S', 1 column is hidden and read too: 'ccpaOptOut' (B). Unhide" in notes


@pytest.mark.parametrize(
    ("code", "value", "expected"),
    [
        ("0000000", 123, "0000123"),
        ("0000000", 0, "0000000"),
        ("0000", 12345, None),
        ("0", 7, None),
        ("General", 7, None),
        ('"@"0', 7, "@7"),
        ("\\@000", 7, "@007"),
        ("000-00-0000", 123456789, "123-45-6789"),
        ("000\\-00", 7, "000-07"),
        ("00000;-00000", -7, "-00007"),
        ("000", -7, "-007"),
        ('"yes";;"no"', 1, "yes"),
        ('"yes";;"no"', 0, "no"),
        ('_(* #,##0_);_(* \\(#,##0\\);_(* "-"??_);_(@_)', 0, "-"),
        ("#", 0, ""),
        (";;;", 1, ""),
        ("0;-0;;@", 0, ""),
        ("0;-0;;@", 1, None),
        ("#,##0;-#,##0;", 0, ""),
        ("General;;", 0, ""),
        ("General;;", 1, None),
        ('"Yes";"No"', 0, "Yes"),
        ('"Yes";"No";@', 0, "Yes"),
        ('"Yes";"Yes";"No"', 1, "Yes"),
        ('"No "General', 1, "No 1"),
        ('"1"', 0, "1"),
        ("@", 0, None),
        ('[=1]"Yes";[=0]"No";General', 1, "Yes"),
        ('[=1]"Yes";[=0]"No";General', 0, "No"),
        ('[=1]"Yes";[=0]"No";General', 2, None),
        ('[Red][<>1]"No";[Blue]"Yes"', 0, "No"),
        ('[Red][<>1]"No";[Blue]"Yes"', 1, "Yes"),
        ('[>=1]"Yes";"No"', 0, "No"),
        ('[>0]"Yes";"No"', 1, "Yes"),
        # LibreOffice shows Yes.
        ('[>0]"Yes";"No"', 0, '0 shown as [>0]"Yes";"No"'),
        # Excel shows Perhaps, LibreOffice No.
        ('[=1]"Yes";"Perhaps";"No"', 0, '0 shown as [=1]"Yes";"Perhaps";"No"'),
        ('[>1]"Yes";[=1]"No"', 0, '0 shown as [>1]"Yes";[=1]"No"'),
        ('[>0]"Yes";"No"', -1, '-1 shown as [>0]"Yes";"No"'),
        ("[<=9999999]###\\-####;\\(###\\)\\ ###\\-####", 5551234, None),
        ("[Red][<0]0;[Blue][>100]0;0", -1, None),
        ("#,##0", 1234, None),
        ("0.00", 7, None),
        ("yyyy", 45000, None),
        ("0%", 1, None),
        ("[Red]000", 7, "007"),
        ("[>5]000", 7, None),
        ("000", 7.5, None),
        ("000", float("nan"), None),
    ],
)  # fmt: skip
def test_a_number_format_displays_more_than_the_number(
    code: str, value: float, expected: str | None
) -> None:
    assert displayed(code, value) == expected


@pytest.mark.parametrize(
    ("code", "is_relevant"),
    [
        pytest.param("000", True, id="zeros"),
        pytest.param('0;-0;"none"', True, id="a word for zero"),
        pytest.param('[=1]"once";General', True, id="a word for one"),
        pytest.param("0;-0;", True, id="no zero"),
        pytest.param('0;-0;0;"no"', True, id="a word for texts"),
        pytest.param("yyyy", True, id="a date"),
        pytest.param("0", False, id="digits"),
        pytest.param("#,##0", False, id="an amount"),
        pytest.param("General", False, id="a number"),
        pytest.param("@", False, id="a text"),
    ],
)
def test_a_number_format_matters_if_it_displays_more(code: str, *, is_relevant: bool) -> None:
    assert relevant(code) == (code if is_relevant else "")


PADDED: dict[str, Callable[[Path], Path]] = {
    ".xlsx": lambda path: office.xlsx(
        path,
        {"S": office.row(1, "PKey") + '<row r="2"><c r="A2" s="1"><v>123</v></c></row>'
              '<row r="3"><c r="A3"><v>123</v></c></row>'},
        formats=["0000000"],
    ),
    ".xls": lambda path: office.xls(
        path,
        {"S": office.xls_text(0, 0, "PKey") + office.xls_number(1, 0, 123, 1)
              + office.xls_number(2, 0, 123)},
        formats=["0000000"],
    ),
    ".ods": lambda path: office.ods(
        path,
        {"S": office.ods_row("PKey") + office.ods_row(NUMBER.format(123, "0000123"))
              + office.ods_row(NUMBER.format(123, "123"))},
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", PADDED)
def test_a_padded_number_is_read_as_it_is_displayed(tmp_path: Path, suffix: str) -> None:
    assert table(PADDED[suffix](tmp_path / f"in{suffix}")) == [(2, "0000123"), (3, "123")]


HIDES: dict[str, Callable[[Path], Path]] = {
    ".xlsx": lambda path: office.xlsx(
        path,
        {"S": office.row(1, "PKey", "n", "m", "o")
              + '<row r="2"><c r="A2" s="2"><v>7</v></c><c r="B2" s="1"><v>0</v></c>'
              '<c r="C2" s="1" t="str"><v>no</v></c><c r="D2" s="1" t="b"><v>0</v></c></row>'},
        formats=[";;;", "0"],
    ),
    ".xls": lambda path: office.xls(
        path,
        {"S": b"".join(office.xls_text(0, at, name) for at, name in enumerate(["PKey", *"nmo"]))
              + office.xls_number(1, 0, 7, 2) + office.xls_number(1, 1, 0, 1)
              + office.xls_text(1, 2, "no", 1) + office.xls_boolean(1, 3, 0, 1)},
        formats=[";;;", "0"],
    ),
    ".ods": lambda path: office.ods(
        path,
        {"S": office.ods_row("PKey", "n", "m", "o")
              + office.ods_row(
                  NUMBER.format(7, 7),
                  NUMBER.format(0, ""),
                  '<table:table-cell office:value-type="string" office:string-value="no"><text:p/>'
                  "</table:table-cell>",
                  '<table:table-cell office:value-type="boolean" office:boolean-value="false">'
                  "<text:p/></table:table-cell>",
              )},
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", HIDES)
def test_what_a_number_format_hides_is_not_read(tmp_path: Path, suffix: str) -> None:
    assert table(HIDES[suffix](tmp_path / f"in{suffix}")) == [(2, "7", "", "", "")]


def test_a_cell_without_a_style_has_the_first_one(tmp_path: Path) -> None:
    path = office.xlsx(
        tmp_path / "in.xlsx",
        {"S": office.HEADER + f'<row r="2">{office.text("A2", "@a")}<c r="B2"><v>0</v></c></row>'},
        formats=[";;"],
    )
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    with zipfile.ZipFile(path, "w") as package:
        for name, part in parts.items():
            package.writestr(name, part.replace(b'<cellXfs><xf numFmtId="0"/>', b"<cellXfs>"))
    assert table(path) == [(2, "@a", "")]


@pytest.mark.parametrize(
    ("number", "value", "seen"),
    [(41, 0, "-"), (13, 45000, "45000"), (14, 45000, "2023-03-15"), (22, 45000, "2023-03-15"),
     (23, 45000, "45000"), (36, 45000, "2023-03-15"), (37, 45000, "45000"),
     (47, 45000, "2023-03-15"), (48, 45000, "45000")],
)  # fmt: skip
def test_formats_that_excel_knows_by_number_alone(
    number: int, value: int, seen: str, tmp_path: Path
) -> None:
    cell = f'<c r="B2" s="1"><v>{value}</v></c>'
    path = office.xlsx(
        tmp_path / "in.xlsx",
        {"S": office.HEADER + f'<row r="2">{office.text("A2", "@a")}{cell}</row>'},
        formats=["0"],
    )
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    with zipfile.ZipFile(path, "w") as package:
        for name, part in parts.items():
            by_number = part.replace(b'<xf numFmtId="170"/>', b'<xf numFmtId="%d"/>' % number)
            package.writestr(name, by_number)
    assert table(path) == [(2, "@a", seen)]


ZERO = '<sheetViews><sheetView showZeros="{}"/></sheetViews>'
NO_ZEROS: dict[str, Callable[[Path], Path]] = {
    ".xlsx": lambda path: office.xlsx(
        path,
        {"S": f'</sheetData>{ZERO.format(0)}<sheetData>{office.HEADER}<row r="2">'
              f'{office.text("A2", "@a")}<c r="B2"><v>0</v></c></row><row r="3">'
              f'{office.text("A3", "@b")}<c r="B3"><v>1</v></c></row>'},
    ),
    ".xls": lambda path: office.xls(
        path,
        {"S": office.xls_text(0, 0, "PKey") + office.xls_text(0, 1, "ccpaOptOut")
              + office.xls_text(1, 0, "@a") + office.xls_number(1, 1, 0)
              + office.xls_text(2, 0, "@b") + office.xls_number(2, 1, 1)
              + office.record(0x23E, struct.pack("<H16x", 0x6A6))},
    ),
    ".ods": lambda path: office.ods(
        path,
        {"S": office.ods_row("PKey", "ccpaOptOut") + office.ods_row("@a", NUMBER.format(0, 0))
              + office.ods_row("@b", NUMBER.format(1, 1))},
        settings='<c config:name="ShowZeroValues" config:type="boolean">false</c>',
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", NO_ZEROS)
def test_a_sheet_may_show_no_zeros(tmp_path: Path, suffix: str) -> None:
    path = NO_ZEROS[suffix](tmp_path / f"in{suffix}")
    assert table(path) == [(2, "@a", ""), (3, "@b", "1")]


def test_a_number_whose_displayed_word_is_in_doubt_rejects_its_row(tmp_path: Path) -> None:
    cell = '<row r="{0}"><c r="A{0}" t="str"><v>@{0}</v></c><c r="B{0}" s="1"><v>{1}</v></c></row>'
    cells = cell.format(2, 1) + cell.format(3, 0)
    path = office.xlsx(
        tmp_path / "in.xlsx", {"S": office.HEADER + cells}, formats=['[>0]"Yes";"No"']
    )
    verdicts = judged(path)
    assert verdicts[2] == ("usable", "")
    assert verdicts[3][0] == Outcome.REJECTED
    assert 'has \'0 shown as [>0]"Yes";"No"\', which is neither yes nor no' in verdicts[3][1]


NO_DATES: dict[str, Callable[[Path], Path]] = {
    ".xlsx": lambda path: office.xlsx(
        path,
        {"S": office.row(1, "PKey") + '<row r="2"><c r="A2" s="1"><v>5551234567</v></c></row>'
              '<row r="3"><c r="A3" s="1"><v>-1000000</v></c></row>'},
        formats=["yyyy-mm-dd"],
    ),
    ".xls": lambda path: office.xls(
        path,
        {"S": office.xls_text(0, 0, "PKey") + office.xls_number(1, 0, 5551234567, 1)
              + office.xls_number(2, 0, -1000000, 1)},
        formats=["yyyy-mm-dd"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("suffix", NO_DATES)
def test_a_number_that_is_no_date_stays_a_number_whatever_its_format(
    tmp_path: Path, suffix: str
) -> None:
    path = NO_DATES[suffix](tmp_path / f"in{suffix}")
    assert table(path) == [(2, "5551234567"), (3, "-1000000")]


def test_a_text_inside_a_cell_without_a_type_is_read(
    tmp_path: Path,
) -> None:
    cells = '<c r="A2"><is><t>@a</t></is></c><c r="B2"><v>1</v></c>'
    path = office.xlsx(tmp_path / "in.xlsx", {"S": office.HEADER + f'<row r="2">{cells}</row>'})
    assert table(path) == [(2, "@a", "1")]


@pytest.mark.parametrize(
    ("value", "shown", "expected"),
    [
        (0, "Yes", "Yes"),
        (1, "No", "No"),
        (0, "-", "-"),
        (0, "#N/A", "#N/A"),
        (0, "#DIV/0!", "#DIV/0!"),
        (0, "Err:502", "Err:502"),
        (0, "0", "0"),
        (1, "100%", "1"),
        (1234, "1,234", "1234"),
        (7, "###", "7"),
        (0, "1", "1"),
        (1, "0", "0"),
        (0, "0 No", "0 No"),
        (1, "1.00", "1"),
        (0, "", ""),
    ],
)
def test_a_word_or_an_error_that_an_ods_displays_for_a_number_is_read(
    tmp_path: Path, value: int, shown: str, expected: str
) -> None:
    rows = office.ods_row("PKey", "n") + office.ods_row("@a", NUMBER.format(value, shown))
    assert table(office.ods(tmp_path / "in.ods", {"S": rows})) == [(2, "@a", expected)]


def test_a_number_of_an_ods_without_its_value_is_read_as_it_is_displayed(tmp_path: Path) -> None:
    cell = '<table:table-cell office:value-type="float"><text:p>7</text:p></table:table-cell>'
    rows = office.ods_row("PKey", "n") + office.ods_row("@a", cell)
    assert table(office.ods(tmp_path / "in.ods", {"S": rows})) == [(2, "@a", "7")]


@pytest.mark.parametrize(("value", "expected"), [("PT10H20M30S", "10:20:30"), ("PT0S", "PT0S")])
def test_a_time_of_an_ods_is_read(tmp_path: Path, value: str, expected: str) -> None:
    cell = f'<table:table-cell office:value-type="time" office:time-value="{value}"/>'
    rows = office.ods_row("PKey", "at") + office.ods_row("@a", cell)
    assert table(office.ods(tmp_path / "in.ods", {"S": rows})) == [(2, "@a", expected)]


def test_a_note_beside_the_text_of_an_ods_cell_is_not_read_and_a_link_is(tmp_path: Path) -> None:
    cell = (
        '<table:table-cell office:value-type="string"><office:annotation>'
        "<text:p>ask <text:s/>Ann</text:p><text:p>and Ben</text:p>"
        "</office:annotation><text:p>@<text:a><text:span>a</text:span></text:a></text:p>"
        "</table:table-cell>"
    )
    rows = office.ods_row("PKey", "n") + office.ods_row(cell, "1")
    assert table(office.ods(tmp_path / "in.ods", {"S": rows})) == [(2, "@a", "1")]


def test_content_decides_and_not_the_suffix(tmp_path: Path) -> None:
    rows = office.row(1, "PKey") + office.row(2, "@a")
    assert table(office.xlsx(tmp_path / "in.xls", {"S": rows})) == [(2, "@a")]
    cells = office.xls_text(0, 0, "PKey") + office.xls_text(1, 0, "@b")
    assert table(office.xls(tmp_path / "in.xlsx", {"S": cells})) == [(2, "@b")]


MERGED_ROWS = [["PKey", "n", "m"], ["@a", "yes", "1"], ["@b", "no", "2"], ["@c", "no", "no"]]


def merged_xlsx(path: Path) -> Path:
    rows = "".join(office.row(at, *row) for at, row in enumerate(MERGED_ROWS, 1))
    merged = "".join(f'<mergeCell ref="{each}"/>' for each in ("B4:C5", "B2:B3"))
    rows += f"</sheetData><mergeCells>{merged}</mergeCells><sheetData>"
    return office.xlsx(path, {"S": rows})


def merged_xls(path: Path) -> Path:
    cells = b"".join(
        office.xls_text(at, column, text)
        for at, row in enumerate(MERGED_ROWS)
        for column, text in enumerate(row)
    )
    return office.xls(path, {"S": cells + office.xls_merged((3, 4, 1, 2), (1, 2, 1, 1))})


def merged_ods(path: Path) -> Path:
    hidden = office.ods_text("no").replace("table:table-cell", "table:covered-table-cell")
    rows = [*MERGED_ROWS[:2], ["@b", hidden, "2"], ["@c", "no", hidden]]
    return office.ods(path, {"S": "".join(office.ods_row(*row) for row in rows)})


@pytest.mark.parametrize("write", [merged_xlsx, merged_xls, merged_ods])
def test_what_a_merged_cell_hides_is_not_read(
    tmp_path: Path, write: Callable[[Path], Path]
) -> None:
    path = write(tmp_path / f"in.{write.__name__.removeprefix('merged_')}")
    assert table(path) == [(2, "@a", "yes", "1"), (3, "@b", "", "2"), (4, "@c", "no", "")]


def test_a_sheet_in_utf_16_is_refused_as_merged_cells_would_not_be_found(tmp_path: Path) -> None:
    path = merged_xlsx(tmp_path / "in.xlsx")
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name) for name in package.namelist()}
    with zipfile.ZipFile(path, "w") as package:
        for name, part in parts.items():
            is_sheet = name.startswith("xl/worksheets/")
            package.writestr(name, part.decode().encode("utf-16") if is_sheet else part)
    with pytest.raises(InputProblem, match="is in UTF-16"):
        parse_here(path)


def test_merged_cells_are_found_wherever_a_piece_of_the_sheet_ends(tmp_path: Path) -> None:
    """A piece has 2**18 bytes."""
    ranges = "".join(f'<mergeCell ref="B{at}:C{at}"/>' for at in range(2, 20_002))
    rows = "".join(office.row(at, f"@{at}", "yes", "no") for at in range(2, 20_002))
    rows = f"{office.row(1, 'PKey', 'n', 'm')}{rows}</sheetData><mergeCells>{ranges}</mergeCells>"
    path = office.xlsx(tmp_path / "in.xlsx", {"S": f"{rows}<sheetData>"})
    assert {row[2:] for row in table(path)} == {("yes", "")}


def test_an_ods_with_line_breaks_between_its_tags_is_read(tmp_path: Path) -> None:
    rows = office.ods_row("PKey", "n") + office.ods_row("@a", "  b ")
    pretty = re.sub(r"(<(?:table|text):|</table:)", r"\n  \1", rows)
    assert table(office.ods(tmp_path / "in.ods", {"S": pretty})) == [(2, "@a", "  b ")]


def test_rows_without_a_number_follow_each_other(tmp_path: Path) -> None:
    rows = re.sub(' r="[A-Z]*[0-9]+"', "", office.HEADER + office.row(2, "@a", "true"))
    rows += office.row(7, "@b", "") + re.sub(' r="[A-Z]*[0-9]+"', "", office.row(8, "@c", "no"))
    path = office.xlsx(tmp_path / "in.xlsx", {"S": rows})
    assert table(path) == [(2, "@a", "true"), (7, "@b", ""), (8, "@c", "no")]


FAR: dict[str, tuple[str, str]] = {
    "in the last cell": ("XFD1048576", r"Cell XFD1048576 .* has no name in row 1"),
    "far to the right": ("XFD1002", "Cell XFD1002 .* has no name"),
    "the first of two": ("XFC1002", "Cell XFC1002 .* has no name"),
    "in a row of the table": ("XFD1003", "Cell XFD1003 .* has no name"),
}


@pytest.mark.parametrize("case", FAR)
def test_a_value_far_from_the_table_is_refused_by_its_cell(tmp_path: Path, case: str) -> None:
    place, says = FAR[case]
    rows = "".join(office.row(at, f"@{at}", "true") for at in range(2, 1002))
    number = place.lstrip("XFDC")
    beside = office.text(f"XFD{number}", "y") if place.startswith("XFC") else ""
    own = office.text(f"A{number}", "@z") if case == "in a row of the table" else ""
    rows += f'<row r="{number}">{own}{office.text(place, "x")}{beside}</row>'
    path = office.xlsx(tmp_path / "in.xlsx", {"S": office.HEADER + rows})
    with pytest.raises(InputProblem, match=says):
        parse_here(path)


@EACH
def test_cells_beside_the_table_are_kept_under_the_letter_of_their_column(
    tmp_path: Path, suffix: str, caplog: pytest.LogCaptureFixture
) -> None:
    rows = [["PKey", "", "note", "note"], ["@a", "Ann", "1", "2"], ["", "", "", "", "Signed", "JD"]]
    path = WRITE[suffix](tmp_path / f"in{suffix}", rows)
    frame = read_whole(str(path))
    assert frame.to_dict("list") == {
        "PKey": ["@a", ""],
        "column B": ["Ann", ""],
        "note": ["1", ""],
        "note (D)": ["2", ""],
        "column E": ["", "Signed | JD"],
        columns.ROW: [2, 3],
    }
    warnings = " ".join(each.getMessage() for each in caplog.records if each.levelname == "WARNING")
    assert "column B has no name but holds data, first in row 2" in warnings
    assert "column D has the name 'note', as an earlier one has" in warnings
    assert "column E has no name but holds data, first in row 3" in warnings


def test_empty_cells_far_from_the_table_are_ignored(tmp_path: Path) -> None:
    far = '<row r="1048576"><c r="A1048576" s="0"/><c r="XFD1048576" s="0"></c></row>'
    rows = office.HEADER + office.row(2, "@a", "true") + office.row(90_000, "@b", "false") + far
    path = office.xlsx(tmp_path / "in.xlsx", {"S": rows})
    assert table(path) == [(2, "@a", "true"), (90_000, "@b", "false")]


def test_a_sheet_cut_into_parts_keeps_every_row(tmp_path: Path) -> None:
    count = 30_000
    note = "x" * 400  # 8 MB of XML make a part
    rows = "".join(office.row(at, f"@{at}", "true", note) for at in range(2, count + 2))
    path = office.xlsx(
        tmp_path / "in.xlsx", {"S": office.row(1, "PKey", "ccpaOptOut", "note") + rows}
    )
    frame, _ = parse_here(path)
    assert frame[columns.ROW].tolist() == list(range(2, count + 2))
    assert frame["PKey"].tolist() == [f"@{at}" for at in range(2, count + 2)]


REFUSED: dict[str, tuple[str, str]] = {
    "NaN": ('<c r="A2"><v>NaN</v></c>', "Row 2 .* holds nan"),
    "a number that is infinite": ('<c r="A2"><v>1e999</v></c>', "Row 2 .* holds inf"),
    "a huge duration": (
        '<c r="A2" s="1"><v>1e15</v></c>',
        r"Row 2 .* holds 1000000000000000.0, which is no duration",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_malformed_number_is_refused(tmp_path: Path, case: str) -> None:
    cell, says = REFUSED[case]
    path = office.xlsx(
        tmp_path / "in.xlsx",
        {"S": office.HEADER + f'<row r="2">{cell}</row>'},
        formats=["[h]:mm:ss"],
    )
    with pytest.raises(InputProblem, match=says):
        parse_here(path)


def test_nan_in_an_xls_is_refused(tmp_path: Path) -> None:
    cells = office.xls_text(0, 0, "PKey") + office.xls_number(1, 0, float("nan"))
    with pytest.raises(InputProblem, match=r"Row 2 .* holds nan"):
        parse_here(office.xls(tmp_path / "in.xls", {"S": cells}))


@pytest.mark.parametrize("part", ["xl/worksheets/S1.xml", "xl/styles.xml", "xl/workbook.xml"])
def test_a_zip_bomb_is_not_unpacked(tmp_path: Path, part: str) -> None:
    path = office.xlsx(tmp_path / "in.xlsx", {"S": office.HEADER + office.row(2, "@a", "true")})
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name) + bytes(40 << 20) * (name == part))
    with pytest.raises(InputProblem, match=r"unpacks to more than .* MB"):
        parse_here(bomb)


@pytest.mark.usefixtures("started_processes")
def test_a_workbook_that_aborts_or_fills_the_memory_of_its_parser_is_refused(
    tmp_path: Path,
) -> None:
    shared = "<sst>" + "<si><t>" + "x" * 30_000 + "</t></si></sst>"
    cells = "".join(
        f'<row r="{at}"><c r="A{at}" t="s"><v>0</v></c></row>' for at in range(2, 40_000)
    )
    path = office.xlsx(tmp_path / "in.xlsx", {"S": office.row(1, "PKey") + cells})
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("xl/sharedStrings.xml", shared)
        related = archive.read("xl/_rels/workbook.xml.rels").decode()
    more = f'<Relationship Id="t" Type="{office.OFFICE}/sharedStrings" Target="sharedStrings.xml"/>'
    bomb = tmp_path / "bomb.xlsx"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            part = old.read(name)
            if name == "xl/_rels/workbook.xml.rels":
                part = related.replace("</Rel", more + "</Rel").encode()
            new.writestr(name, part)
    with pytest.raises(InputProblem, match="takes more memory or time"):
        read_whole(str(bomb))


def test_an_xls_whose_directory_goes_round_in_circles_is_refused(tmp_path: Path) -> None:
    cells = office.xls_text(0, 0, "PKey") + office.xls_text(1, 0, "@a")
    path = office.xls(tmp_path / "in.xls", {"S": cells})
    content = bytearray(path.read_bytes())
    table = 512 + 512 * (struct.unpack_from("<I", content, 76)[0])
    directory = struct.unpack_from("<I", content, 48)[0]
    # The sector that follows it is itself.
    struct.pack_into("<I", content, table + 4 * directory, directory)
    path.write_bytes(content)
    with pytest.raises(InputProblem):
        read_whole(str(path))


def test_an_xls_whose_streams_share_sectors_is_read(tmp_path: Path) -> None:
    """Other libraries write such files, and Excel opens them."""
    cells = office.xls_text(0, 0, "PKey") + office.xls_text(1, 0, "@a")
    path = office.xls(tmp_path / "in.xls", {"S": cells})
    content = bytearray(path.read_bytes())
    root, book = (
        content.index(name.encode("utf-16-le")) + 116 for name in ("Root Entry", "Workbook")
    )
    content[root : root + 8] = content[book : book + 8]  # the first sector, and the size
    path.write_bytes(content)
    assert read_whole(str(path))["PKey"].tolist() == ["@a"]


def test_a_truncated_xls_is_refused(tmp_path: Path) -> None:
    cells = office.xls_text(0, 0, "PKey") + office.xls_text(1, 0, "@a")
    whole = office.xls(tmp_path / "in.xls", {"S": cells}).read_bytes()
    for kept in range(0, len(whole), 1511):
        (tmp_path / "in.xls").write_bytes(whole[:kept])
        with pytest.raises(InputProblem):
            read_whole(str(tmp_path / "in.xls"))


def test_a_workbook_whose_elements_have_a_prefix_is_read(tmp_path: Path) -> None:
    path = office.xlsx(tmp_path / "in.xlsx", {"S": office.HEADER + office.row(2, "@a", "yes")})
    with zipfile.ZipFile(path) as package:
        parts = {name: package.read(name).decode() for name in package.namelist()}
    with zipfile.ZipFile(path, "w") as package:
        for name, part in parts.items():
            named = re.sub(r"<(/?)(?=\w)", r"<\1x:", part).replace("xmlns=", "xmlns:x=")
            package.writestr(name, named if name.startswith("xl/worksheets/") else part)
    assert table(path) == [(2, "@a", "yes")]
