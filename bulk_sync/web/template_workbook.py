"""The workbook to download: the headings that are found without a choice, ready to be filled in."""

from io import BytesIO
from typing import Final

NAME: Final = "opt-out-requests.xlsx"
HEADINGS: Final = ("E-mail", "Opt out", "Request date")

_ROWS: Final = 20_000
_HOW: Final = (
    "bulk-sync: how to fill in the sheet Requests",
    "One row for each person. Only the first two columns are needed.",
    "E-mail: the address as Campaign has it. Or name the column PKey, and write the PKeys there.",
    "Opt out: yes if the person forbids the sale of their data, no if they allow it again.",
    "Request date: the day on which the request came in, like 2026-11-23.",
    "Further columns are kept and not read. This sheet is not read either.",
)


def workbook() -> bytes:
    """Return the workbook."""
    import xlsxwriter  # noqa: PLC0415  # late: few need it

    file = BytesIO()
    book = xlsxwriter.Workbook(file, {"in_memory": True})
    head = book.add_format({"bold": True, "bottom": 1, "bg_color": "#E7ECF2"})
    text = book.add_format({"num_format": "@"})
    day = book.add_format({"num_format": "yyyy-mm-dd"})
    sheet = book.add_worksheet("Requests")
    sheet.set_column(0, 0, 42, text)
    sheet.set_column(1, 1, 12, text)
    sheet.set_column(2, 2, 16, day)
    sheet.write_row(0, 0, HEADINGS, head)
    sheet.freeze_panes(1, 0)
    sheet.data_validation(1, 1, _ROWS, 1, {"validate": "list", "source": ["yes", "no"]})
    notes = book.add_worksheet("How to fill it in")
    notes.set_column(0, 0, 100)
    for row, line in enumerate(_HOW):
        notes.write_string(row, 0, line)
    book.close()
    return file.getvalue()
