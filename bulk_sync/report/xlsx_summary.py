"""The first sheet of a workbook: facts, sentences, and counts as tables and charts.

Tables are on the left, charts beside them, low enough for the first page when they are printed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final

from xlsxwriter import Workbook
from xlsxwriter.format import Format
from xlsxwriter.worksheet import Worksheet

from bulk_sync.report import wording
from bulk_sync.report.facts import STATES, Facts
from bulk_sync.report.xlsx_cells import LINE_PX, MOST_LINES, Styles, strong_color, write_text

NAME: Final = "Summary"

_WIDTHS: Final = (30, 11, 11, 11, 40)
"""Of the columns with tables, in characters."""
_LAST: Final = len(_WIDTHS) - 1

_CHART_PX: Final = (400, 240)
_CHARTS_BESIDE: Final = 2

_SERIES: Final = ("#1F3F68", "#C05A00", "#8C8C8C")
"""Colours of series, which differ in lightness too."""

_Cell = str | int | float


@dataclass(frozen=True, slots=True)
class _Table:
    """Counts by their names: a table, and a chart of it.

    Attributes:
        names: of its columns. The first one has the names of the rows.
        rows: the cells; whole numbers are counts, others are shares.
        chart: its kind, for XlsxWriter.
        plotted: how many columns of numbers are in the chart.
        styles: of the first cells, if they have any of their own.
        colors: of the bars, if they have any of their own.
    """

    title: str
    names: Sequence[str]
    rows: Sequence[Sequence[_Cell]]
    chart: str = "bar"
    plotted: int = 1
    styles: Sequence[Format] = ()
    colors: Sequence[str] = ()


def write(book: Workbook, sheet: Worksheet, facts: Facts, styles: Styles) -> None:
    """Fill the sheet."""
    page = _Page(book, sheet, styles)
    page.line(f"bulk-sync: {facts.subject}", styles.title, 30)
    result = facts.result
    for sentence in filter(None, (*result.sentences, result.refusal, *result.deadlines)):
        page.paragraph(sentence)
    page.skip()
    for label, text in facts.lines():
        page.fact(label, text)
    for table in _tables(facts, styles):
        if table.rows:
            page.table(table)
    page.signatures()


def _tables(facts: Facts, styles: Styles) -> Iterator[_Table]:
    counts, whole = facts.counts, max(facts.counts.rows, 1)
    yield _Table(
        "Rows by outcome",
        ("Outcome", "Rows", "Share", "Meaning"),
        [
            (f"{wording.OUTCOMES[each].sign} {each}", n, n / whole, wording.OUTCOMES[each].meaning)
            for each, n in counts.outcomes.items()
        ],
        styles=[styles.outcomes[each] for each in counts.outcomes],
        colors=[strong_color(each) for each in counts.outcomes],
    )
    yield _Table(
        "State before and after",
        ("Before (down), after (across)", *STATES),
        [(name, *row) for name, row in zip(STATES, counts.matrix, strict=False)],
        chart="column",
        plotted=len(STATES),
    )
    yield _Table(
        "Rows by reason",
        ("Reason", "Rows", "Share", "Meaning"),
        [(str(each), n, n / whole, wording.REASONS[each]) for each, n in counts.reasons.items()],
    )
    yield _Table(
        "Opt-outs still to be carried out, by business days left",
        ("Business days left", "Rows"),
        list(counts.days_left.items()),
        chart="column",
    )
    yield _Table(
        "The last runs of this job",
        ("Ended", "Rows", "Changes", "Failures", "Run"),
        [
            (f"{each.at:%Y-%m-%d %H:%M}", each.rows, each.changes, each.failures, each.run_id)
            for each in facts.past
        ],
        chart="line",
        plotted=3,
    )


class _Page:
    """The sheet while it is written, from top to bottom."""

    def __init__(self, book: Workbook, sheet: Worksheet, styles: Styles) -> None:
        self._book, self._sheet, self._styles = book, sheet, styles
        self._row, self._charts = 0, 0
        for column, width in enumerate(_WIDTHS):
            sheet.set_column(column, column, width)

    def line(self, text: str, style: Format, height_px: int = LINE_PX) -> None:
        """Write one line."""
        write_text(self._sheet, self._row, 0, text, style)
        self.skip(height_px)

    def skip(self, height_px: int = LINE_PX) -> None:
        """Go to the next row."""
        self._sheet.set_row_pixels(self._row, height_px)
        self._row += 1

    def paragraph(self, text: str) -> None:
        """Write a text over all columns, in as many lines as it needs."""
        self.skip(LINE_PX * self._wide(0, text, self._styles.wrapped))

    def fact(self, label: str, text: str) -> None:
        """Write a fact beside its label."""
        write_text(self._sheet, self._row, 0, label, self._styles.bold)
        self.skip(LINE_PX * self._wide(1, text, self._styles.wrapped))

    def table(self, table: _Table) -> None:
        """Write a table, with a chart beside it unless that is a line of one point."""
        self.skip()
        self.line(table.title, self._styles.heading, 24)
        *names, last = table.names
        for column, name in enumerate(names):
            style = self._styles.head_number if column else self._styles.head
            write_text(self._sheet, self._row, column, name, style)
        if isinstance(table.rows[0][-1], str):
            self._wide(len(names), last, self._styles.head)
        else:
            write_text(self._sheet, self._row, len(names), last, self._styles.head_number)
        self.skip()
        first = self._row
        for at, cells in enumerate(table.rows):
            self._cells(cells, table.styles[at] if table.styles else self._styles.plain)
        if len(table.rows) > 1 or table.chart != "line":
            self._insert_chart(table, first)

    def signatures(self) -> None:
        """Write lines to sign on."""
        self.skip(3 * LINE_PX)
        for column, who in ((0, "Prepared by: name, date"), (_LAST, "Approved by: name, date")):
            write_text(self._sheet, self._row, column, who, self._styles.signature)

    def _cells(self, cells: Sequence[_Cell], named: Format) -> None:
        lines, styles = 1, self._styles
        for column, cell in enumerate(cells):
            match cell:
                case int():
                    self._sheet.write_number(self._row, column, cell, styles.count)
                case float():
                    self._sheet.write_number(self._row, column, cell, styles.share)
                case str() if column:
                    lines = self._wide(column, cell, styles.wrapped)
                case str():
                    write_text(self._sheet, self._row, column, cell, named)
        self.skip(LINE_PX * lines)

    def _wide(self, column: int, text: str, style: Format) -> int:
        """Write a text over the columns up to the last one, and return how many lines it needs."""
        text = wording.legible(text)
        write_text(self._sheet, self._row, column, text, style)
        if column < _LAST:
            self._sheet.merge_range(self._row, column, self._row, _LAST, "", style)
            write_text(self._sheet, self._row, column, text, style)
        return min(MOST_LINES, ceil(len(text) / sum(_WIDTHS[column:])))

    def _insert_chart(self, table: _Table, first: int) -> None:
        is_stacked = table.chart == "column" and table.plotted > 1  # parts of a whole
        subtype = {"subtype": "stacked"} if is_stacked else {}
        chart = self._book.add_chart({"type": table.chart, **subtype})
        last = first + len(table.rows) - 1
        for column in range(1, table.plotted + 1):
            color = _SERIES[column - 1]
            chart.add_series(
                {
                    "name": [NAME, first - 1, column],
                    "categories": [NAME, first, 0, last, 0],
                    "values": [NAME, first, column, last, column],
                    "fill": {"color": color},
                    "line": {"color": color},
                    "points": [{"fill": {"color": each}} for each in table.colors],
                    "data_labels": {"value": table.plotted == 1, "num_format": "#,##0"},
                    "gap": 50,
                }
            )
        chart.set_title({"name": table.title, "name_font": {"size": 11}})
        chart.set_legend({"position": "bottom"} if table.plotted > 1 else {"none": True})
        if table.chart == "bar":
            chart.set_x_axis({"visible": False, "major_gridlines": {"visible": False}})
            chart.set_y_axis({"reverse": True})
        else:
            chart.set_y_axis({"num_format": "#,##0"})
        chart.set_size(dict(zip(("width", "height"), _CHART_PX, strict=True)))
        down, across = divmod(self._charts, _CHARTS_BESIDE)
        self._charts += 1
        place = {
            "x_offset": LINE_PX + across * (_CHART_PX[0] + LINE_PX),
            "y_offset": 2 * LINE_PX + down * (_CHART_PX[1] + LINE_PX),
            "description": _described(table),
        }
        self._sheet.insert_chart(0, len(_WIDTHS), chart, place)


def _described(table: _Table) -> str:
    """Return the numbers of a chart as text, for those who do not see it."""
    numbers = (
        f"{cells[0]} " + ", ".join(f"{n:,}" for n in cells[1 : table.plotted + 1])
        for cells in table.rows
    )
    of_columns = f" ({', '.join(table.names[1 : table.plotted + 1])})"
    return f"{table.title}{of_columns if table.plotted > 1 else ''}: {'; '.join(numbers)}."
