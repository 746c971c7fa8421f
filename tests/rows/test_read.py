"""Files as people really save them, and every kind of unreadable file."""

import bz2
import csv
import datetime as dt
import decimal
import gzip
import io
import lzma
import os
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import xlsxwriter
from conftest import Run
from examples import examples
from hypothesis import given
from hypothesis import strategies as st
from whole_input import read_whole

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns, read

HEADER = "PKey,ccpaOptOut\n"


def rows(path: Path | str, stdin: bytes = b"", **more: Any) -> list[tuple[str, ...]]:
    frame = read_whole(str(path), read.Wanted(**more), stdin=stdin)
    own = [name for name in frame.columns if name not in columns.REPORT]
    return list(frame[own].itertuples(index=False, name=None))


def numbers(path: Path) -> list[int]:
    return [int(number) for number in read_whole(str(path))[columns.ROW]]


def save(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


EXPECTED = [("@é", "true"), ("@b", "faux")]
TEXT = "PKey,état\n@é,true\n@b,faux\n"


@pytest.mark.parametrize(
    "content",
    [
        TEXT.encode(),
        TEXT.encode("utf-8-sig"),
        TEXT.encode("utf-16"),
        b"\xfe\xff" + TEXT.encode("utf-16-be"),
        TEXT.encode("cp1252"),
        TEXT.replace(",", ";").encode(),
        TEXT.replace(",", "\t").encode(),
        TEXT.replace(",", "|").encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.replace("\n", "\r").encode(),
        TEXT.rstrip().encode(),
        (TEXT + "\n\n").encode(),
        ("sep=;\n" + TEXT.replace(",", ";")).encode(),
        TEXT.replace("@b", '"@b"').encode(),
    ],
    ids=[
        "utf-8", "bom", "utf-16-le", "utf-16-be", "cp1252", "semicolon", "tab", "pipe", "crlf",
        "cr", "no last line end", "blank lines at the end", "separator named", "quoted",
    ],
)  # fmt: skip
def test_text_is_read_as_people_save_it(tmp_path: Path, content: bytes) -> None:
    assert rows(save(tmp_path / "in.csv", content)) == EXPECTED


@pytest.mark.parametrize("suffix", [".csv", ".txt", ".CSV"])
@pytest.mark.parametrize(
    ("packed", "pack"),
    [("", bytes), (".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress),
     (".zst", lambda content: pa.compress(content, "zstd", asbytes=True))],
)  # fmt: skip
def test_text_may_be_packed(
    tmp_path: Path, suffix: str, packed: str, pack: Callable[[bytes], bytes]
) -> None:
    assert rows(save(tmp_path / f"in{suffix}{packed}", pack(TEXT.encode()))) == EXPECTED


def test_cells_are_unchanged_text(tmp_path: Path) -> None:
    keys = ["007", "NA", "null", "nan", "1e5", "TRUE", "", " x ", "#N/A", "None", "-0"]
    content = HEADER + "".join(f"{key},1\n" for key in keys)
    assert [key for key, _ in rows(save(tmp_path / "in.csv", content))] == keys


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a,b\n1,2\n3,4\n", [2, 3]),
        ('a,b\n"1\n1","2\r\n2"\n3,4\n', [2, 3]),
        ("a,b\n1,2\n\n\n3,4\n", [2, 5]),
        ("\n\na,b\n1,2\n", [4]),
        ('a,b\n,\n1,2\n,\n"",\n,,,\n3,4\n', [3, 7]),
        (",\n,,\na,b\n1,2\n", [4]),
        ("sep=,\na,b\n1,2\n", [3]),
        ("a,b\r\r1,2\r", [3]),
    ],
    ids=[
        "plain",
        "line breaks in cells",
        "blank lines",
        "blank above",
        "separators alone",
        "separators above",
        "hint",
        "cr",
    ],
)
def test_a_row_has_the_number_that_a_spreadsheet_shows(
    tmp_path: Path, content: str, expected: list[int]
) -> None:
    assert numbers(save(tmp_path / "in.csv", content)) == expected


def test_standard_input_is_csv() -> None:
    assert rows("-", stdin=TEXT.encode()) == EXPECTED


def test_a_folder_or_glob_is_read_file_by_file(tmp_path: Path) -> None:
    save(tmp_path / "b.csv", "ccpaOptOut,PKey\ntrue,@b\n")
    save(tmp_path / "a.csv", HEADER + "@a,false\n@c,false\n")
    save(tmp_path / "a.20261123T020000Z-7f3a9c.results.csv", "x\n1\n")
    save(tmp_path / "notes.md", "no data")
    for source in (tmp_path, tmp_path / "[ab].csv"):
        frame = read_whole(str(source))
        assert frame["PKey"].tolist() == ["@a", "@c", "@b"]
        assert frame[columns.ROW].tolist() == [2, 3, 2]
        assert [Path(name).name for name in frame[columns.FILE]] == ["a.csv", "a.csv", "b.csv"]


@pytest.mark.parametrize(
    ("source", "where"), [("", "In the folder "), ("*.csv", "By the pattern ")], ids=str
)
def test_without_a_data_file_the_message_names_the_place(
    source: str, where: str, tmp_path: Path
) -> None:
    save(tmp_path / "notes.md", "no data")
    place = f"{tmp_path}/{source}".rstrip("/")
    with pytest.raises(InputProblem) as raised:
        read_whole(place)
    assert str(raised.value).startswith(f"{where}{place} there is no data file. ")


@pytest.mark.parametrize("pattern", ["", "*"])
def test_files_of_a_folder_that_are_not_read_are_named_in_a_warning(
    tmp_path: Path, pattern: str, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path / "a.csv", HEADER + "@a,false\n")
    for name in ("b.zip", "c.docx", "d.csv.zip", ".hidden", "~$a.xlsx", "e.csv~"):
        save(tmp_path / name, "x")
    save(tmp_path / "a.20261123T020000Z-7f3a9c.results.csv", "x\n1\n")
    (tmp_path / "2026-11").mkdir()
    workbook(tmp_path / "f.xlsm", [["PKey", "ccpaOptOut"], ["@f", True]])
    source = tmp_path / pattern
    assert rows(source) == [("@a", "false")]
    (warning,) = (each.getMessage() for each in caplog.records)
    assert "6 of the files and folders" in warning
    assert "2026-11/, b.zip, c.docx, d.csv.zip, e.csv~, f.xlsm. " in warning


CHOICE = "E-mail,Choice\nc@example.com,yes\n"


def test_an_option_for_all_files_is_suggested_for_all(tmp_path: Path, run: Run) -> None:
    save(tmp_path / "a.csv", CHOICE)
    save(tmp_path / "b.csv", f"Requests of November,\n{CHOICE}")
    ran = run(None, "validate", ".")
    assert "  bulk-sync validate . --state-column Choice\n" in ran.err


def test_a_pattern_over_folders_warns_of_no_folder(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "2026-11").mkdir()
    save(tmp_path / "2026-11" / "a.csv", HEADER + "@a,false\n")
    assert rows(tmp_path / "**" / "*") == [("@a", "false")]
    assert not caplog.records


def test_a_file_named_like_a_report_is_data(tmp_path: Path) -> None:
    save(tmp_path / "acme.results.csv", HEADER + "@a,false\n")
    save(tmp_path / "b.csv", HEADER + "@b,false\n")
    assert [key for key, _ in rows(tmp_path)] == ["@a", "@b"]


@pytest.mark.parametrize("source", ["", " "])
def test_an_empty_name_is_no_folder(source: str) -> None:
    with pytest.raises(InputProblem, match="INPUT is empty"):
        read_whole(source)


def test_files_with_other_columns_do_not_mix(tmp_path: Path) -> None:
    save(tmp_path / "a.csv", HEADER + "@a,false\n")
    save(tmp_path / "b.csv", "PKey,state\n@a,false\n")
    with pytest.raises(InputProblem, match=r"b\.csv.*'state'"):
        read_whole(str(tmp_path))


def parquet(path: Path, **arrays: pa.Array) -> Path:
    pq.write_table(pa.table(arrays), path)
    return path


def test_parquet_of_any_type_becomes_text(tmp_path: Path) -> None:
    path = parquet(
        tmp_path / "in.parquet",
        PKey=pa.array([7, None, 2**60]),
        state=pa.array([True, False, None]),
        flag=pa.array([1.0, 0.0, float("nan")]),
        day=pa.array([dt.date(2026, 5, 12), None, None]),
        word=pa.array(["007", "NA", None]).dictionary_encode(),
        price=pa.array([decimal.Decimal("1.50"), None, None]),
    )
    assert rows(path) == [
        ("7", "true", "1", "2026-05-12", "007", "1.50"),
        ("", "false", "0", "", "NA", ""),
        (str(2**60), "", "", "", "", ""),
    ]
    assert numbers(path) == [2, 3, 4]


def test_a_number_too_long_for_a_float_is_shown_damaged(tmp_path: Path) -> None:
    path = parquet(tmp_path / "in.parquet", PKey=pa.array([1.23457e17, 12.0]))
    assert [key for (key,) in rows(path)] == ["1.23457E+17", "12"]


def workbook(path: Path, table: list[list[object]], sheet: str = "Requests") -> Path:
    with xlsxwriter.Workbook(path) as book:
        date = book.add_format({"num_format": "yyyy-mm-dd"})
        page = book.add_worksheet(sheet)
        for row, cells in enumerate(table):
            for column, cell in enumerate(cells):
                if isinstance(cell, dt.date):
                    page.write_datetime(row, column, cell, date)
                elif cell == "#NAME?":
                    page.write_formula(row, column, "=x()", None, cell)
                elif isinstance(cell, str):
                    page.write_string(row, column, cell)
                elif cell is not None:
                    page.write(row, column, cell)
    return path


def test_a_cell_of_a_workbook_is_text_as_the_spreadsheet_shows_it_in_full(tmp_path: Path) -> None:
    path = workbook(
        tmp_path / "in.xlsx",
        [
            ["PKey", "ccpaOptOut"],
            ["007", True],
            [12345, 0],
            [1.5, "Vrai"],
            [1.23456789e17, False],
            ["#NAME?", "#NAME?"],
            [None, None],
            [dt.date(2026, 5, 12), 1],
        ],
    )
    assert rows(path) == [
        ("007", "TRUE"),
        ("12345", "0"),
        ("1.5", "Vrai"),
        ("1.23457E+17", "FALSE"),
        ("#NAME?", "#NAME?"),
        ("2026-05-12", "1"),
    ]
    assert numbers(path) == [2, 3, 4, 5, 6, 8]


def test_a_row_of_blanks_is_a_row_and_an_empty_row_is_not(tmp_path: Path) -> None:
    path = workbook(tmp_path / "in.xlsx", [["PKey", "state"], ["  ", None], [], ["@a", True]])
    assert rows(path) == [("  ", ""), ("@a", "TRUE")]
    assert numbers(path) == [2, 4]


def test_the_sheet_is_the_first_or_the_one_named(tmp_path: Path) -> None:
    path = tmp_path / "in.xlsx"
    book = openpyxl.Workbook()
    for name, key in (("One", "@1"), ("Zwei & drei", "@2")):
        page = book.create_sheet(name)
        page.append(["PKey"])
        page.append([key])
    book.remove(book.worksheets[0])
    book.save(path)
    assert rows(path) == [("@1",)]
    assert rows(path, sheet="Zwei & drei") == [("@2",)]
    with pytest.raises(InputProblem, match="'One', 'Zwei & drei'"):
        read_whole(str(path), read.Wanted("Drei"))


ODS_NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text")
)
ODS_STRING = '<table:table-cell office:value-type="string"><text:p>{}</text:p></table:table-cell>'
ODS_NUMBER = '<table:table-cell office:value-type="float" office:value="7"/>'
ODS_BOOLEAN = '<table:table-cell office:value-type="boolean" office:boolean-value="true"/>'
ODS_CELLS = (ODS_STRING.format("PKey") + ODS_STRING.format("state"), ODS_NUMBER + ODS_BOOLEAN)
ODS_ROWS = "".join(f"<table:table-row>{cells}</table:table-row>" for cells in ODS_CELLS)
ODS_CONTENT = (
    f'<office:document-content {ODS_NAMESPACES} office:version="1.2"><office:body>'
    f'<office:spreadsheet><table:table table:name="S">{ODS_ROWS}</table:table>'
    "</office:spreadsheet></office:body></office:document-content>"
)
ODS_MANIFEST = (
    '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry '
    'm:full-path="/" m:media-type="application/vnd.oasis.opendocument.spreadsheet"/></m:manifest>'
)


def test_an_open_document_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "in.ods"
    with zipfile.ZipFile(path, "w") as package:
        package.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        package.writestr("META-INF/manifest.xml", ODS_MANIFEST)
        package.writestr("content.xml", ODS_CONTENT)
    assert rows(path) == [("7", "TRUE")]


def truncated(path: Path) -> Path:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) * 2 // 3])
    return path


def protected(path: Path) -> Path:
    stream = "EncryptedPackage".encode("utf-16-le")
    return save(path, b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(1024) + stream + bytes(4096))


BAD: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "no such file": ("in.csv", str, "no such file"),
    "unsupported suffix": (
        "in.xlsm",
        lambda path: save(path, "x"),
        r"\.csv .* Save a workbook of another kind, such as",
    ),
    "folder without data": ("folder", lambda path: path.mkdir(), r"\.csv"),
    "empty": ("in.csv", lambda path: save(path, ""), "empty"),
    "blank": ("in.csv", lambda path: save(path, "\n\n"), "empty"),
    "header only": ("in.csv", lambda path: save(path, HEADER), "no data rows"),
    "binary named csv": ("in.csv", lambda path: workbook(path, [["a"]]), "not text"),
    "parquet named csv": ("in.csv", lambda path: parquet(path, a=pa.array([1])), "not text"),
    "text named parquet": ("in.parquet", lambda path: save(path, TEXT), "text"),
    "text named xlsx": ("in.xlsx", lambda path: save(path, TEXT), "no workbook"),
    "text named gz": ("in.csv.gz", lambda path: save(path, TEXT), "not packed"),
    "empty parquet file": ("in.parquet", lambda path: save(path, ""), "empty"),
    "empty workbook file": ("in.xlsx", lambda path: save(path, ""), "empty"),
    "truncated gz": (
        "in.csv.gz",
        lambda path: truncated(save(path, gzip.compress(TEXT.encode() * 999))),
        "cut off",
    ),
    "truncated parquet": (
        "in.parquet",
        lambda path: truncated(parquet(path, a=pa.array(range(999)))),
        "in.parquet",
    ),
    "truncated workbook": ("in.xlsx", lambda path: truncated(workbook(path, [["a"]])), "cut off"),
    "ragged": ("in.csv", lambda path: save(path, HEADER + "@a,true\n@b\n"), "line 3"),
    "too wide": ("in.csv", lambda path: save(path, HEADER + "@a,true,x\n"), "line 2"),
    "quote not closed": ("in.csv", lambda path: save(path, HEADER + '@a,true\n"@b,x\n'), "line 3"),
    "NUL": ("in.csv", lambda path: save(path, HEADER + "@a\0,true\n"), "NUL"),
    "not any encoding": ("in.csv", lambda path: save(path, b"a,b\n\x81,\xe9\n"), "line 2"),
    "password": ("in.xlsx", protected, "password"),
    "empty sheet": ("in.xlsx", lambda path: workbook(path, []), "empty"),
    "sheet with a header only": ("in.xlsx", lambda path: workbook(path, [["a"]]), "no data rows"),
    "parquet without rows": (
        "in.parquet",
        lambda path: parquet(path, a=pa.array([], pa.string())),
        "no data rows",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_an_unreadable_input_has_a_message(tmp_path: Path, case: str) -> None:
    name, make, says = BAD[case]
    path = tmp_path / name
    make(path)
    with pytest.raises(InputProblem, match=f"(?i){says}") as problem:
        read_whole(str(path))
    assert name in str(problem.value)


def test_a_glob_without_a_match_is_explained(tmp_path: Path) -> None:
    with pytest.raises(InputProblem, match=r"\*\.csv"):
        read_whole(str(tmp_path / "*.csv"))


CELLS = st.text(
    st.one_of(
        st.sampled_from(list("\",;\t| \n\r'=@é€0aN")),
        st.characters(exclude_categories=["Cs"], exclude_characters="\0\ufeff"),
    ),
    max_size=8,
)


@given(
    table=st.lists(st.tuples(CELLS, CELLS, CELLS), min_size=1, max_size=8).filter(
        lambda table: any(map(any, table))
    ),
    separator=st.sampled_from(",;\t|"),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
@examples(80)
def test_output_of_the_csv_module_is_read_back_unchanged(
    table: list[tuple[str, ...]], separator: str, newline: str, encoding: str, quoting: Any
) -> None:
    if newline != "\r\n" and any({*"\r\n"} & {*cell} for row in table for cell in row):
        quoting = csv.QUOTE_ALL  # the csv module does not quote line ends that it does not write
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, lineterminator=newline, quoting=quoting)
    writer.writerows([("PKey", "ccpaOptOut", "note"), *table])
    found = rows("-", stdin=text.getvalue().encode(encoding))
    assert found == list(filter(any, table))


def test_a_million_cells_keep_their_order(tmp_path: Path) -> None:
    count = 100_000
    path = tmp_path / "in.csv"
    pd.DataFrame({"PKey": range(count), "b": "true"}).to_csv(path, index=False)
    frame = read_whole(str(path))
    assert frame["PKey"].tolist() == [str(number) for number in range(count)]
    assert frame[columns.ROW].tolist() == list(range(2, count + 2))


def test_a_cell_may_be_huge_and_a_header_long(tmp_path: Path) -> None:
    huge = "x" * 200_000
    assert rows(save(tmp_path / "huge.csv", f'a,b\n{huge},1\n\n"{huge}",2\n')) == [
        (huge, "1"),
        (huge, "2"),
    ]
    names = [f"column {number:06d}" for number in range(8000)]
    wide = ",".join(names) + "\n" + ",".join("1" * 8000) + "\n"
    assert read_whole(str(save(tmp_path / "wide.csv", wide))).columns.tolist() == [
        *names, columns.ROW
    ]  # fmt: skip


@pytest.mark.parametrize("notes", [b"no json", b"[]", b'{"index_columns": 3}', b"\xff"])
def test_odd_pandas_metadata_in_parquet_is_ignored(tmp_path: Path, notes: bytes) -> None:
    table = pa.table({"PKey": ["@a"]}).replace_schema_metadata({b"pandas": notes})
    pq.write_table(table, tmp_path / "in.parquet")
    assert rows(tmp_path / "in.parquet") == [("@a",)]


def test_a_pipe_is_read_from_standard_input_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "in.csv")
    with pytest.raises(InputProblem, match="Give - as INPUT"):
        read_whole(str(tmp_path / "in.csv"))


@pytest.mark.parametrize("kind", ["link to a file that is not there", "pipe or a device"])
@pytest.mark.parametrize("source", ["", "/*.csv"], ids=["folder", "glob"])
def test_a_file_of_a_folder_that_cannot_be_read_is_not_passed_over(
    tmp_path: Path, source: str, kind: str
) -> None:
    save(tmp_path / "a.csv", "PKey,ccpaOptOut\n@a,true\n")
    if kind.startswith("link"):
        (tmp_path / "b.csv").symlink_to("unmounted/b.csv")
    else:
        os.mkfifo(tmp_path / "b.csv")
    with pytest.raises(InputProblem, match=f"b.csv cannot be read: it is a {kind}"):
        read_whole(f"{tmp_path}{source}")


def test_a_missing_file_is_compared_with_the_files_that_can_be_read(tmp_path: Path) -> None:
    save(tmp_path / "nightly.sh", "")
    with pytest.raises(InputProblem, match="Check the path"):
        read_whole(str(tmp_path / "nightly.csv"))
    save(tmp_path / "nightly1.csv", "")
    (tmp_path / "nightly2.csv").symlink_to("gone.csv")
    with pytest.raises(InputProblem, match=r"Did you mean nightly1\.csv\?"):
        read_whole(str(tmp_path / "nightly.csv"))


@pytest.mark.parametrize(
    ("name", "times"),
    [
        ("in.csv", 1), ("IN.TSV", 1), ("in.csv.gz", 10), ("in.txt.ZST", 10), ("in.parquet", 10),
        ("in.xlsx", 0), ("in.ods", 0), ("in.docx", 0),
    ],
)  # fmt: skip
def test_packed_files_count_for_more_text_than_their_bytes_and_workbooks_for_none(
    name: str, times: int, tmp_path: Path
) -> None:
    others = [save(tmp_path / f"{number}.csv", "x" * number) for number in (1, 2)]
    path = save(tmp_path / name, "x" * 7)
    assert read.text_bytes([*others, path]) == 3 + 7 * times


def test_the_text_of_a_file_that_is_gone_cannot_be_estimated(tmp_path: Path) -> None:
    with pytest.raises(InputProblem, match=r"gone\.csv"):
        read.text_bytes([tmp_path / "gone.csv"])
