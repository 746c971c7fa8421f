"""Typical workbooks of people: each kind is one habit, or several.

Run as a script, it makes the files in ``tests/workbooks`` again: openpyxl writes each kind, and
LibreOffice 7.4 (``apt-get install libreoffice-calc``) opens it and saves it in four formats. The
files are stored, since only LibreOffice writes as it does.

Every address contains the request of its row, so tests need no list: see ``Kind.wants``.
"""

import datetime as dt
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.worksheet.worksheet import Worksheet

FOLDER = Path(__file__).parent / "workbooks"
_FIRST_DAY = dt.date(2026, 10, 28)


@dataclass(frozen=True)
class Kind:
    """One kind of workbook.

    Attributes:
        make: fills a new workbook.
        people: the number of rows with a request.
        first_row: the row of the first request.
        below: the number of rows with content below the requests, in the same columns.
        sheet: the sheet with the requests, counted from 1.
    """

    make: Callable[["Kind", Workbook], None]
    people: int = 12
    first_row: int = 2
    below: int = 0
    sheet: int = 1

    def rows(self) -> Iterator[tuple[int, int]]:
        """Yield the number of each person, from 0, and of the row."""
        for person in range(self.people):
            yield person, self.first_row + person


def address(person: int) -> str:
    return f"p{person}@example.com"


def wants(person: int) -> bool:
    """Return the request of a person: every fourth one allows the sale."""
    return person % 4 != 3


def _day(person: int) -> dt.date:
    return _FIRST_DAY + dt.timedelta(days=person % 20)


def _us(person: int) -> str:
    return _day(person).strftime("%m/%d/%Y")


def _yes(person: int, yes: str = "Yes", no: str = "No") -> str:
    return yes if wants(person) else no


def _fill(sheet: Worksheet, row: int, column: int, values: Sequence[Any]) -> None:
    for at, value in enumerate(values):
        cell = sheet.cell(row, column + at, value)
        if isinstance(value, dt.date):
            cell.number_format = "m/d/yyyy"


def _sheet(kind: Kind, book: Workbook, title: str = "Requests") -> Worksheet:
    sheet = book.worksheets[0] if kind.sheet == 1 else book.create_sheet()
    sheet.title = title
    return sheet


def _head(sheet: Worksheet, row: int, names: Sequence[str], column: int = 1) -> None:
    _fill(sheet, row, column, names)
    for at in range(len(names)):
        cell = sheet.cell(row, column + at)
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DDEBF7")


def _title_rows(kind: Kind, book: Workbook) -> None:
    """A merged title, two more lines and a blank one; a totals row and a signature below."""
    sheet = _sheet(kind, book)
    sheet["A1"] = "CCPA requests, November 2026"
    sheet.merge_cells("A1:D1")
    sheet["A1"].alignment = Alignment(horizontal="center")
    sheet["A2"] = "Prepared by: Dana Reyes, Privacy Office"
    _head(sheet, 4, ["Name", "E-mail", "Opt out?", "Request date"])
    for person, row in kind.rows():
        _fill(sheet, row, 1, [f"Person {person}", address(person), _yes(person), _us(person)])
    end = kind.first_row + kind.people
    _fill(sheet, end, 1, ["Total", kind.people])
    _fill(sheet, end + 2, 1, ["Reviewed by: ______________   Date: __________"])


def _cover_sheet(kind: Kind, book: Workbook) -> None:
    """A cover sheet first; a table of 121 rows with real dates on the second sheet."""
    cover = book.worksheets[0]
    cover.title = "Cover"
    cover["B2"] = "Privacy Office"
    cover["B3"] = "Opt-out requests for the marketing team"
    _fill(cover, 5, 2, ["Status", "Final"])
    _fill(cover, 6, 2, ["Requests", kind.people])
    sheet = _sheet(kind, book)
    _head(sheet, 1, ["Case no.", "E-mail", "Opt out?", "Request date"])
    for person, row in kind.rows():
        values = [f"{person + 1:05}", address(person), _yes(person), _day(person)]
        _fill(sheet, row, 1, values)


def _everything(kind: Kind, book: Workbook) -> None:
    """A cover sheet, title rows, an empty column A, real dates, a totals row and a legend."""
    cover = book.worksheets[0]
    cover.title = "Read me"
    cover["A1"] = "How to use this workbook"
    cover["A2"] = "Fill in the second sheet. Opt out? is Yes or No."
    sheet = _sheet(kind, book, "Opt-outs")
    sheet["B1"] = "Opt-out requests"
    sheet.merge_cells("B1:E1")
    sheet["B2"] = "Week of November 16, 2026"
    _head(sheet, 5, ["E-mail Address", "State", "Opt out?", "Date received"], column=2)
    for person, row in kind.rows():
        _fill(sheet, row, 2, [address(person), "CA", _yes(person), _day(person)])
    end = kind.first_row + kind.people
    _fill(sheet, end, 2, ["Total", None, kind.people])
    _fill(sheet, end + 2, 2, ["Legend: Yes = no sale of personal information; No = sale allowed"])


def _empty_column(kind: Kind, book: Workbook) -> None:
    """An empty column A, and two empty rows above the header."""
    sheet = _sheet(kind, book)
    _head(sheet, 3, ["E-mail", "Do not sell?"], column=2)
    for person, row in kind.rows():
        _fill(sheet, row, 2, [address(person), _yes(person, "yes", "no")])


def _consent(kind: Kind, book: Workbook) -> None:
    """A question whose yes allows the sale."""
    sheet = _sheet(kind, book)
    _head(sheet, 1, ["E-mail", "May we sell?"])
    for person, row in kind.rows():
        _fill(sheet, row, 1, [address(person), _yes(person, "No", "Yes")])


def _german(kind: Kind, book: Workbook) -> None:
    """German words and dates; the column of states has an unknown name."""
    sheet = _sheet(kind, book, "Widersprüche")
    sheet["A1"] = "Widersprüche gegen den Verkauf personenbezogener Daten"
    _head(sheet, 3, ["Name", "E-Mail-Adresse", "Widerspruch", "Eingang"])
    for person, row in kind.rows():
        day = _day(person).strftime("%d.%m.%Y")
        name = f"Jörg Müßig {person}"
        _fill(sheet, row, 1, [name, address(person), _yes(person, "Ja", "Nein"), day])


def _checkboxes(kind: Kind, book: Workbook) -> None:
    """TRUE and FALSE, as from checkboxes, and text dates in one order."""
    sheet = _sheet(kind, book)
    _head(sheet, 1, ["Email address", "Do Not Sell", "Submitted"])
    for person, row in kind.rows():
        _fill(sheet, row, 1, [address(person), wants(person), _us(person)])


def _filtered(kind: Kind, book: Workbook) -> None:
    """A filter with hidden rows, a frozen header, and a hidden sheet of lists before."""
    lists = book.worksheets[0]
    lists.title = "Lists"
    _fill(lists, 1, 1, ["Owner", "Kim", "Lee"])
    lists.sheet_state = "hidden"
    sheet = _sheet(kind, book)
    book.active = 1
    _head(sheet, 1, ["E-mail", "Opt out?", "Owner"])
    for person, row in kind.rows():
        owner = "Kim" if person % 3 else "Lee"
        _fill(sheet, row, 1, [address(person), _yes(person), owner])
        sheet.row_dimensions[row].hidden = owner == "Lee"
    sheet.auto_filter.ref = f"A1:C{kind.people + 1}"
    sheet.auto_filter.add_filter_column(2, ["Kim"])
    sheet.freeze_panes = "A2"


def _crosses(kind: Kind, book: Workbook) -> None:
    """An x for those who opt out, n for the others."""
    sheet = _sheet(kind, book)
    _head(sheet, 1, ["E-mail", "Opt-out"])
    for person, row in kind.rows():
        _fill(sheet, row, 1, [address(person), _yes(person, "x", "no")])


def _links(kind: Kind, book: Workbook) -> None:
    """Addresses as links, blanks and dots after words, and a name of the column with a blank."""
    sheet = _sheet(kind, book)
    _head(sheet, 1, ["E-mail ", "Opt out? "])
    for person, row in kind.rows():
        _fill(sheet, row, 1, [f"{address(person)} ", _yes(person, "Yes.", "NO ")])
        sheet.cell(row, 1).hyperlink = f"mailto:{address(person)}"


def _signed(kind: Kind, book: Workbook) -> None:
    """Right below the rows: their number, a legend of two lines, and a signature."""
    sheet = _sheet(kind, book)
    _head(sheet, 1, ["E-mail", "Opt out?", "Notes"])
    for person, row in kind.rows():
        _fill(sheet, row, 1, [address(person), _yes(person), "by phone" if person % 5 else None])
    end = kind.first_row + kind.people
    _fill(sheet, end, 1, [kind.people])
    _fill(sheet, end + 1, 1, ["Yes", "= do not sell"])
    _fill(sheet, end + 2, 1, ["No", "= sale is fine"])
    _fill(sheet, end + 3, 1, ["Signed: M. Okafor"])


KINDS = {
    "title_rows": Kind(_title_rows, first_row=5, below=2),
    "cover_sheet": Kind(_cover_sheet, people=121, sheet=2),
    "everything": Kind(_everything, people=40, first_row=6, below=2, sheet=2),
    "empty_column": Kind(_empty_column, first_row=4),
    "consent": Kind(_consent),
    "german": Kind(_german, first_row=4),
    "checkboxes": Kind(_checkboxes),
    "filtered": Kind(_filtered, sheet=2),
    "crosses": Kind(_crosses),
    "links": Kind(_links),
    "signed": Kind(_signed, below=4),
}


def write(name: str, path: Path) -> Path:
    """Write a workbook of a kind as openpyxl does."""
    book = Workbook()
    KINDS[name].make(KINDS[name], book)
    book.save(path)
    return path


def _save_again(source: Path, suffix: str, sheet: int, folder: Path) -> Path:
    """Let LibreOffice open a workbook and save it in the format of a suffix."""
    # 44 comma, 34 double quotes, 76 UTF-8; cells as shown; one sheet.
    options = f":Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,{sheet}"
    target = suffix + (options if suffix == "csv" else "")
    words = ["soffice", "--headless", "--convert-to", target, "--outdir", str(folder), str(source)]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL, timeout=120)
    return max(folder.glob(f"{source.stem}*.{suffix}"), key=lambda path: path.stat().st_mtime)


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, kind in KINDS.items():
            source = write(name, Path(folder) / f"{name}.xlsx")
            for suffix in ("xlsx", "ods", "xls", "csv"):
                out = Path(folder) / suffix
                saved = _save_again(source, suffix, kind.sheet, out)
                target = FOLDER / f"{name}.{suffix}"
                target.write_bytes(saved.read_bytes())
                sys.stdout.write(f"{target.name}: {target.stat().st_size} bytes\n")
        text = (FOLDER / "german.csv").read_text("utf-8").replace(",", ";")
        (FOLDER / "german_excel.csv").write_text(text, "utf-8-sig", newline="\r\n")
        (FOLDER / "german_older_excel.csv").write_text(text, "cp1252", newline="\r\n")


if __name__ == "__main__":
    main()
