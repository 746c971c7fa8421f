"""Workbooks and their cells: the file, the styles, and text that stays text.

No text becomes a number, a date, a link or a formula, so nothing needs an apostrophe.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from io import BytesIO
from tempfile import TemporaryDirectory
from traceback import clear_frames
from types import MappingProxyType
from typing import Any, Final

from xlsxwriter import Workbook
from xlsxwriter.exceptions import XlsxFileError
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from bulk_sync.outcomes import Outcome
from bulk_sync.report.wording import OUTCOMES, Tone
from bulk_sync.storage import workbook_seal

LINE_PX: Final = 20
MOST_LINES: Final = 27
"""A row is 409 points high at most, or Excel calls the file damaged."""

_CELL_UNITS: Final = 32_767
"""UTF-16 units that a cell can hold."""

_COLORS: Final[Mapping[Tone, tuple[str, str]]] = {
    Tone.QUIET: ("#EDEDED", "#333333"),
    Tone.DONE: ("#C6EFCE", "#00591B"),
    Tone.PLANNED: ("#DDEBF7", "#1F3F68"),
    Tone.PERSON: ("#FFEB9C", "#6B3F00"),
    Tone.FAILED: ("#FFC7CE", "#8A0010"),
}
"""Background and text; their contrast is 7 to 1 or more."""

_NUMBER: Final = {"align": "right", "indent": 1}
"""Without the indent a number touches the text to its right; LibreOffice heeds none of a share."""


class Styles:
    """The formats of a workbook; ``key`` keeps text as text when a person types it again."""

    def __init__(self, book: Workbook) -> None:
        def add(**how: Any) -> Format:
            return book.add_format({"valign": "top", **how})

        def colored(tone: Tone) -> Format:
            background, text = _COLORS[tone]
            return add(bg_color=background, font_color=text)

        self.title = add(bold=True, font_size=16)
        self.heading = add(bold=True, font_size=13, bottom=1)
        self.head = add(bold=True, bg_color="#D9D9D9", bottom=1)
        self.head_number = add(bold=True, bg_color="#D9D9D9", bottom=1, **_NUMBER)
        self.bold = add(bold=True)
        self.plain = add()
        self.wrapped = add(text_wrap=True)
        self.key = add(num_format="@")
        self.wrapped_key = add(num_format="@", text_wrap=True)
        self.number = add(num_format="0", **_NUMBER)
        self.count = add(num_format="#,##0", **_NUMBER)
        self.share = add(num_format="0.0%_W", **_NUMBER)
        # Excel shows a state by itself, LibreOffice at times as a number without this.
        self.state = add(num_format='"TRUE";"TRUE";"FALSE"', align="left")
        self.date = add(num_format="yyyy-mm-dd", align="left")
        self.time = add(num_format='yyyy-mm-dd hh:mm:ss "UTC"', align="left")
        self.opt_in = colored(Tone.PERSON)
        self.signature = add(top=1, font_color="#595959")
        self.outcomes = {str(each): colored(word.tone) for each, word in OUTCOMES.items()}


def strong_color(outcome: Outcome) -> str:
    """Return the colour of an outcome in a chart, on white."""
    return _COLORS[OUTCOMES[outcome].tone][1]


def write_text(sheet: Worksheet, row: int, column: int, text: str, style: Format) -> None:
    """Write a text, which must not be empty, as a text."""
    if len(text) > _CELL_UNITS // 2:  # a character has two UTF-16 units at most
        text = _cut(text)
    if text[:3] == "<r>" and text.endswith("</r>"):
        # XlsxWriter would take such a text for its own markup and not escape it.
        sheet.write_rich_string(row, column, text[0], style, text[1:], style)
    else:
        sheet.write_string(row, column, text, style)


def _cut(text: str) -> str:
    """Cut a text to what a cell can hold, with an ellipsis where something is missing."""
    units = text.encode("utf-16-le")
    if len(units) <= 2 * _CELL_UNITS:
        return text
    return units[: 2 * (_CELL_UNITS - 1)].decode("utf-16-le", errors="ignore") + "…"


@contextmanager
def writing(whole: BytesIO, own: Mapping[str, str] = MappingProxyType({})) -> Iterator[Workbook]:
    """Write a workbook in memory and seal it: on a full disk the archive would go on after errors.

    Args:
        whole: holds it when the block has ended.
        own: further properties of ours.

    Raises:
        OSError: there is no room for its parts.
    """
    with TemporaryDirectory() as folder:  # the remains of a failure hold keys
        options = {"constant_memory": True, "tmpdir": folder, "use_zip64": True}
        try:
            with Workbook(whole, options) as book:
                for name, value in {**own, workbook_seal.SEAL: workbook_seal.BLANK}.items():
                    if value:
                        book.set_custom_property(name, value, "text")
                yield book
        except XlsxFileError as failure:
            if failure.__context__ is not None:  # its frames hold the archive, which is in `whole`
                clear_frames(failure.__context__.__traceback__)
            raise OSError(str(failure)) from failure
    workbook_seal.seal(whole)
