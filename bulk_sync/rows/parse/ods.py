"""Makes an .ods into one that calamine reads in full.

In the text of its XML, an error value becomes the text that is shown, a formula without a value
the text ``UNCALCULATED``, a number that displays more, such as ``007``, the text that is displayed,
and blanks between tags go, on which calamine gives up.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bulk_sync.rows.parse.package import Package, written
from bulk_sync.rows.parse.prepared import UNCALCULATED

_END: Final = b"</table:table-row>"
_ERROR: Final = re.compile(
    rb"\soffice:string-value=\"[^\"]*\"(?=[^<>]*\bcalcext:value-type=\"error\")"
)
"""The empty value that hides the error, which stands as the text to be shown."""

_INSIDE: Final = rb"(?:[^<>\"]|\"[^<\"]*\")*?"  # of a tag; formulas may hold a bare >
_FORMULA: Final = re.compile(
    rb"<table:table-cell(?=%b\stable:formula=)(?!%b\soffice:value-type=)%b"
    rb"(?:/>|>.*?</table:table-cell>)" % (_INSIDE, _INSIDE, _INSIDE),
    re.DOTALL,
)
_NUMBER: Final = re.compile(
    rb"<table:table-cell(?=[^<>]*\boffice:value-type=\"float\")([^<>]*)(?<!/)>"
    rb"\s*<text:p>([^<]*)</text:p>\s*</table:table-cell>"
)
_VALUE: Final = re.compile(rb"\soffice:value(?:-type)?=\"([^\"]*)\"")
_REPEATED: Final = re.compile(rb"\stable:number-columns-repeated=\"\d+\"")
_BLANKS: Final = re.compile(rb">\s+(?=<text:p[\s>/]|</?(?:table|office):)")
_MORE: Final = re.compile(r"-?0\d+|\D*[@A-Za-z_#]\D*\d+|\d+(?:-\d+)+")
"""What displays more than a number: leading zeros, a sign of a key, groups of digits."""

_TABLE: Final = re.compile(rb"<table:table\s|<table:table-row(\s[^<>]*?)?(/?)>")
_REPEATS: Final = re.compile(rb"\stable:number-rows-repeated=\"(\d+)\"")
_CONTENT: Final = re.compile(rb"\soffice:value|<text:p[\s>]")
_HIDDEN: Final = re.compile(rb"\stable:visibility=\"(?:filter|collapse)\"")
_MANIFEST: Final = (
    '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"><m:file-entry '
    'm:full-path="/" m:media-type="application/vnd.oasis.opendocument.spreadsheet"/></m:manifest>'
)


@dataclass(slots=True)
class Document:
    """What was written.

    Attributes:
        path: the document.
        hidden: by position of the sheet, the numbers of hidden rows with content.
    """

    path: Path
    hidden: dict[int, list[int]] = field(default_factory=dict)
    _table: int = -1
    _row: int = 0

    def count(self, rows: bytes) -> None:
        """Record the hidden rows among some rows, and where they stand."""
        for match in _TABLE.finditer(rows):
            if match[0].startswith(b"<table:table "):
                self._table, self._row = self._table + 1, 0
                continue
            attributes = match[1] or b""
            repeats = _REPEATS.search(attributes)
            first, self._row = self._row + 1, self._row + (int(repeats[1]) if repeats else 1)
            if _HIDDEN.search(attributes) and not match[2]:
                end = rows.find(_END, match.end())
                if _CONTENT.search(rows, match.end(), end if end >= 0 else len(rows)):
                    numbers = range(first, min(self._row, first + 1_048_576) + 1)
                    self.hidden.setdefault(self._table, []).extend(numbers)


def rewritten(package: Package, folder: Path) -> Document:
    """Write a document that holds the sheets alone.

    Args:
        package: the document as it was given.
        folder: where to write.

    Raises:
        InputProblem: it unpacks to too much.
    """
    document = Document(folder / "sheets.ods")
    with written(document.path) as archive:
        archive.writestr("mimetype", "application/vnd.oasis.opendocument.spreadsheet")
        manifest = package.read("META-INF/manifest.xml") or _MANIFEST.encode()
        archive.writestr("META-INF/manifest.xml", manifest)
        with archive.open("content.xml", "w", force_zip64=True) as target:
            for rows in _chunks(package.pieces("content.xml")):
                document.count(rows)
                target.write(_changed(rows))
    return document


def _chunks(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the XML in pieces that end where a row ends."""
    rest = b""
    for piece in pieces:
        rest += piece
        cut = rest.rfind(_END)
        if cut >= 0:
            yield rest[: cut + len(_END)]
            rest = rest[cut + len(_END) :]
    yield rest


def _changed(rows: bytes) -> bytes:
    rows = _BLANKS.sub(b">", rows)
    rows = _ERROR.sub(b"", rows)
    if b"table:formula" in rows:
        rows = _FORMULA.sub(_uncalculated, rows)
    return _NUMBER.sub(_displayed, rows)


def _uncalculated(match: re.Match[bytes]) -> bytes:
    return _text_cell(match[0].partition(b">")[0], UNCALCULATED.encode())


def _displayed(match: re.Match[bytes]) -> bytes:
    """Return a number's cell as it is, or its text if that is more than the number."""
    shown = match[2].decode("utf-8", "replace").strip()
    if not _MORE.fullmatch(shown):
        whole: bytes = match[0]
        return whole
    return _text_cell(match[1], match[2])


def _text_cell(attributes: bytes, text: bytes) -> bytes:
    repeated = _REPEATED.search(attributes)
    return (
        b'<table:table-cell%b office:value-type="string"><text:p>%b</text:p></table:table-cell>'
        % (repeated[0] if repeated else b"", text)
    )
