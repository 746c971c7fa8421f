"""Error values in workbooks: a key that a spreadsheet broke is a row, never a blank line."""

import zipfile
from pathlib import Path

import openpyxl
import pytest

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns, read

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
    assert read.rows(str(path)).to_dict("list") == EXPECTED


def test_an_error_value_in_ods_is_read_as_its_text(tmp_path: Path) -> None:
    namespaces = " ".join(
        f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for name in ("office", "table", "text")
    )
    calc = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
    text = 'office:value-type="string"'
    error = f'table:formula="of:=a" {text} office:string-value="" calcext:value-type="error"'
    table = "".join(
        f"<table:table-row><table:table-cell {kind}><text:p>{key}</text:p></table:table-cell>"
        "</table:table-row>"
        for kind, key in [(text, "PKey"), (text, "@a"), (error, "#NAME?"), (text, "@c")]
    )
    path = tmp_path / "in.ods"
    with zipfile.ZipFile(path, "w") as book:
        book.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        book.writestr(
            "META-INF/manifest.xml",
            '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        book.writestr(
            "content.xml",
            f'<office:document-content {namespaces} xmlns:calcext="{calc}"><office:body>'
            f'<office:spreadsheet><table:table table:name="S">{table}</table:table>'
            "</office:spreadsheet></office:body></office:document-content>",
        )
    assert read.rows(str(path)).to_dict("list") == EXPECTED


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(b"\x05\x02\x08\0\2\0\0\0\x0f\0\x1d\x01", id="a value"),
        pytest.param(b"\x06\0\x16\0\2\0\0\0\x0f\0\2\0\x1d\0\0\0\xff\xff", id="a formula's result"),
    ],
)
def test_an_xls_with_error_values_is_refused(tmp_path: Path, record: bytes) -> None:
    path = tmp_path / "in.xls"
    path.write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(512) + record + bytes(512))
    with pytest.raises(InputProblem, match=r"error values such as #NAME\?.*Save it as \.xlsx"):
        read.rows(str(path))
