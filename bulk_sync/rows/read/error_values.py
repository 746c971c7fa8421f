"""Keeps a workbook's error values, such as ``#NAME?``, from being read as empty cells.

calamine, which reads the workbooks, shows them as empty. But ``#NAME?`` is what a spreadsheet
makes of a key that begins with ``@``: its row must be told, not lost. So these cells are declared
to be text before calamine sees them; in an .xls, where that cannot be done in place, they are
only found.
"""

import io
import re
import zipfile
from typing import Final

_XLSX: Final = re.compile(rb"(<(?:\w+:)?c\s[^<>]*\bt=)([\"'])e\2")
"""Up to the type of a cell, where it is error; ``str`` is that of a formula's text."""

_ODS: Final = re.compile(
    rb"\soffice:string-value=\"[^\"]*\"(?=[^<>]*\bcalcext:value-type=\"error\")"
)
"""The empty value that hides the error, which stands as the text to be shown."""

_XLS: Final = re.compile(
    rb"\x05\x02\x08\0[\s\S]{6}[\0\x07\x0f\x17\x1d\x24\x2a]\x01"
    rb"|\x06\0[\s\S]{8}\x02[\s\S][\0\x07\x0f\x17\x1d\x24\x2a][\s\S]{3}\xff\xff"
)
"""A BoolErr record that holds an error, or a Formula record whose result is one ([MS-XLS] 2.4)."""


def as_text(book: bytes) -> bytes:
    """Declare the error values of an .xlsx or .ods to be text.

    Returns:
        The workbook; the very object if it holds none.

    Raises:
        zipfile.BadZipFile: it is damaged.

    Memory: the largest part, unpacked; all of them if there are error values.
    """
    declared: dict[str, bytes] = {}
    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        names = parts.namelist()
        for name in names:
            if name.startswith("xl/worksheets/") and name.endswith(".xml"):
                part, count = _XLSX.subn(rb"\1\2str\2", parts.read(name))
            elif name == "content.xml":
                part, count = _ODS.subn(b"", parts.read(name))
            else:
                continue
            if count:
                declared[name] = part
        if not declared:
            return book
        rebuilt = io.BytesIO()
        with zipfile.ZipFile(rebuilt, "w") as target:
            for name in names:
                target.writestr(name, declared.get(name) or parts.read(name))
    return rebuilt.getvalue()


def found(book: bytes) -> bool:
    """Tell whether an .xls holds error values, on any of its sheets."""
    return _XLS.search(book) is not None
