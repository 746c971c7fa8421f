"""Small workbooks in each format, written part by part, with typical contents of spreadsheets."""

import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.sax.saxutils import escape

OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
RELATIONS = f'<Relationships xmlns="{PACKAGE}">{{}}</Relationships>'


def text(place: str, content: str) -> str:
    """Return a cell of an .xlsx with a text."""
    return f'<c r="{place}" t="inlineStr"><is><t>{escape(content)}</t></is></c>'


def row(number: int, *texts: str, attributes: str = "") -> str:
    """Return a row of an .xlsx with texts."""
    cells = "".join(text(f"{chr(65 + at)}{number}", each) for at, each in enumerate(texts))
    return f'<row r="{number}"{attributes}>{cells}</row>'


HEADER = row(1, "PKey", "ccpaOptOut")


def xlsx(
    path: Path,
    sheets: Mapping[str, str],
    *,
    states: Mapping[str, str] | None = None,
    formats: Sequence[str] = (),
    folder: str = "xl/worksheets/",
    calculation: str = "",
) -> Path:
    """Write an .xlsx.

    Args:
        path: the path of the file.
        sheets: by name, the rows as XML.
        states: by name, how a sheet is hidden.
        formats: number formats; the first has style 1.
        folder: the folder of the sheets.
        calculation: the workbook's calculation settings.
    """
    backslash = "\\" in folder
    listed = related = ""
    parts = {}
    for number, (name, rows) in enumerate(sheets.items(), 1):
        state = f' state="{states[name]}"' if states and name in states else ""
        listed += f'<sheet name="{name}" sheetId="{number}"{state} r:id="r{number}"/>'
        part = f"{folder}S{number}.xml"
        target = "/" + part.replace("\\", "/")
        related += f'<Relationship Id="r{number}" Type="{OFFICE}/worksheet" Target="{target}"/>'
        parts[part] = f'<worksheet xmlns="{MAIN}"><sheetData>{rows}</sheetData></worksheet>'
    related += f'<Relationship Id="s" Type="{OFFICE}/styles" Target="styles.xml"/>'
    codes = "".join(
        f'<numFmt numFmtId="{170 + at}" formatCode="{escape(code, {chr(34): "&quot;"})}"/>'
        for at, code in enumerate(formats)
    )
    styles = "".join(f'<xf numFmtId="{170 + at}"/>' for at in range(len(formats)))
    parts["xl/workbook.xml"] = (
        f'<workbook xmlns="{MAIN}" xmlns:r="{OFFICE}"><sheets>{listed}</sheets>{calculation}'
        "</workbook>"
    )
    parts["xl/_rels/workbook.xml.rels"] = RELATIONS.format(related)
    parts["xl/styles.xml"] = (
        f'<styleSheet xmlns="{MAIN}"><numFmts>{codes}</numFmts><cellXfs><xf numFmtId="0"/>{styles}'
        "</cellXfs></styleSheet>"
    )
    parts["_rels/.rels"] = RELATIONS.format(
        f'<Relationship Id="r" Type="{OFFICE}/officeDocument" Target="xl/workbook.xml"/>'
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(name.replace("/", "\\") if backslash else name, content)
    return path


NAMESPACES = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
    for name in ("office", "table", "text", "style")
)
CALC = "urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"
ODS = "application/vnd.oasis.opendocument.spreadsheet"


def ods_text(content: str) -> str:
    """Return a cell of an .ods with a text."""
    return (
        f'<table:table-cell office:value-type="string"><text:p>{escape(content)}</text:p>'
        "</table:table-cell>"
    )


def ods_row(*cells: str, attributes: str = "") -> str:
    """Return a row of an .ods; cells without markup are texts."""
    inside = "".join(cell if cell.startswith("<") else ods_text(cell) for cell in cells)
    return f"<table:table-row{attributes}>{inside}</table:table-row>"


def ods(
    path: Path, sheets: Mapping[str, str], *, hidden: Sequence[str] = (), settings: str = ""
) -> Path:
    """Write an .ods: by name of the sheet, its rows as XML."""
    tables = "".join(
        f'<table:table table:name="{name}" table:style-name="{"h" if name in hidden else "v"}">'
        f"{rows}</table:table>"
        for name, rows in sheets.items()
    )
    styles = "".join(
        f'<style:style style:name="{name}" style:family="table"><style:table-properties '
        f'table:display="{shown}"/></style:style>'
        for name, shown in (("v", "true"), ("h", "false"))
    )
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", ODS)
        archive.writestr(
            "META-INF/manifest.xml",
            '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"/>',
        )
        if settings:
            archive.writestr("settings.xml", settings)
        archive.writestr(
            "content.xml",
            f'<office:document-content {NAMESPACES} xmlns:calcext="{CALC}">'
            f"<office:automatic-styles>{styles}</office:automatic-styles><office:body>"
            f"<office:spreadsheet>{tables}</office:spreadsheet></office:body>"
            "</office:document-content>",
        )
    return path


def record(kind: int, data: bytes = b"") -> bytes:
    """Return a record of an .xls."""
    return struct.pack("<HH", kind, len(data)) + data


def xls_text(at: int, column: int, content: str, style: int = 0) -> bytes:
    """Return a cell of an .xls with a text; rows and columns from 0."""
    chars = content.encode("utf-16-le")
    return record(0x204, struct.pack("<HHHHB", at, column, style, len(chars) // 2, 1) + chars)


def xls_number(at: int, column: int, value: float, style: int = 0) -> bytes:
    """Return a cell of an .xls with a number."""
    return record(0x203, struct.pack("<HHHd", at, column, style, value))


def xls_boolean(at: int, column: int, value: int, style: int = 0) -> bytes:
    """Return a cell of an .xls with a boolean."""
    return record(0x205, struct.pack("<HHHBB", at, column, style, value, 0))


def xls_merged(*ranges: tuple[int, int, int, int]) -> bytes:
    """Return a record of merged cells: first and last rows, first and last columns."""
    places = b"".join(struct.pack("<HHHH", *each) for each in ranges)
    return record(0xE5, struct.pack("<H", len(ranges)) + places)


def xls_error(at: int, column: int, code: int) -> bytes:
    """Return a cell of an .xls with an error value."""
    return record(0x205, struct.pack("<HHHBB", at, column, 0, code, 1))


def xls_formula(at: int, column: int, result: bytes, flags: int = 0) -> bytes:
    """Return a cell of an .xls with a formula and the eight bytes of its result."""
    return record(0x06, struct.pack("<HHH8sHIHBH", at, column, 0, result, flags, 0, 3, 0x1E, 1))


def xls_hidden(at: int) -> bytes:
    """Return the record of a hidden row of an .xls."""
    return record(0x208, struct.pack("<HHHHHHHH", at, 0, 2, 255, 0, 0, 0x120, 0))


def xls(
    path: Path,
    sheets: Mapping[str, bytes],
    *,
    hidden: Sequence[str] = (),
    formats: Sequence[str] = (),
) -> Path:
    """Write an .xls: by name of the sheet, its records; the first format has style 1."""
    begin, end = record(0x809, struct.pack("<HHHHII", 0x600, 5, 0, 0, 0, 0)), record(0x0A)
    styles = record(0xE0, bytes(20))
    for number, code in enumerate(formats, 170):
        styles += record(0x41E, struct.pack("<HHB", number, len(code), 0) + code.encode("latin-1"))
        styles += record(0xE0, struct.pack("<HH", 0, number) + bytes(16))
    named = {name: struct.pack("<BBBB", name in hidden, 0, len(name), 0) for name in sheets}
    start = len(begin) + len(styles) + len(end)
    start += sum(8 + len(rest) + len(name) for name, rest in named.items())
    listed = body = b""
    for name, cells in sheets.items():
        listed += record(0x85, struct.pack("<I", start + len(body)) + named[name] + name.encode())
        body += record(0x809, struct.pack("<HHHHII", 0x600, 0x10, 0, 0, 0, 0)) + cells + end
    path.write_bytes(container(begin + styles + listed + end + body))
    return path


def container(stream: bytes) -> bytes:
    """Return a file with the one stream ``Workbook``."""
    free, last = 0xFFFF_FFFF, 0xFFFF_FFFE
    stream = stream.ljust(max(4096, -(-len(stream) // 512) * 512), b"\0")
    count = len(stream) // 512
    tables = -(-(count + 1 + 100) // 127)
    following = [*range(1, count), last, last, *[0xFFFF_FFFD] * tables]
    following += [free] * (tables * 128 - len(following))
    header = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(16)
    header += struct.pack("<HHHHH6x", 0x3E, 3, 0xFFFE, 9, 6)
    header += struct.pack("<9I", 0, tables, count, 0, 4096, last, 0, last, 0)
    places = [*range(count + 1, count + 1 + tables)]
    header += struct.pack("<109I", *places, *[free] * (109 - tables))

    def entry(name: str, kind: int, child: int, start: int, size: int) -> bytes:
        label = name.encode("utf-16-le")
        packed = label.ljust(64, b"\0") + struct.pack(
            "<HBB", len(label) + 2 if name else 0, kind, 1
        )
        return packed + struct.pack("<III36xIII", free, free, child, start, size, 0)

    directory = entry("Root Entry", 5, 1, last, 0) + entry("Workbook", 2, free, 0, len(stream))
    directory += entry("", 0, free, 0, 0) * 2
    return header + stream + directory + struct.pack(f"<{len(following)}I", *following)
