"""The first sheet of a marked workbook: what is wrong, how often, what to do, and where."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final
from xml.sax.saxutils import quoteattr

from bulk_sync.report.marked.cells import Place
from bulk_sync.report.marked.problems import Problem
from bulk_sync.report.marked.styles import BAD, DOUBTFUL, Styles
from bulk_sync.report.marked.xml_part import literal, text

NAME: Final = "Check by bulk-sync"

_Line = list[tuple[str | int, str]]
"""The cells of a row: contents, and the names of their looks."""

_QUOTE: Final = "'"

_WIDTHS: Final = (42, 8, 84, 14)
_HEIGHT: Final = 15
_STYLES: Final = {
    "title": ('<b/><sz val="14"/><name val="Calibri"/>', 'vertical="top"'),
    "line": ('<sz val="11"/><name val="Calibri"/>', 'vertical="top"'),
    "header": ('<b/><sz val="11"/><name val="Calibri"/>', 'vertical="top"'),
    "cell": ('<sz val="11"/><name val="Calibri"/>', 'vertical="top" wrapText="1"'),
    "number": ('<sz val="11"/><name val="Calibri"/>', 'horizontal="center" vertical="top"'),
    "link": (
        '<u/><sz val="11"/><color rgb="FF0B57A4"/><name val="Calibri"/>',
        'horizontal="center" vertical="top"',
    ),
}


def write(head: Sequence[str], problems: Sequence[Problem], sheet: str, styles: Styles) -> bytes:
    """Return the XML of the sheet.

    Args:
        head: the sentences at its top.
        problems: the problems, in the order of the input.
        sheet: the name of the sheet with them.
        styles: the styles of the workbook; those of this sheet are added.
    """
    looks = {name: styles.written(*style) for name, style in _STYLES.items()}
    for is_bad, colour in ((True, BAD), (False, DOUBTFUL)):
        looks[_fill(is_bad=is_bad)] = styles.filled(looks["cell"], f"rgb {colour}")
    title, *rest = head
    lines: list[_Line] = [[(title, "title")]]
    lines += [[(each, "line")] for each in rest]
    kinds = Counter((not each.is_bad, each.why, each.to_do, each.reason) for each in problems)
    if problems:
        lines += [[], _header("Problem", "Rows", "What to do", "In reports")]
    for (is_fine, why, to_do, reason), count in sorted(kinds.items(), key=lambda kind: kind[0][0]):
        look = _fill(is_bad=not is_fine)
        lines.append([(why, look), (count, "number"), (to_do, "cell"), (reason, "line")])
    if problems:
        lines += [[], _header("Problem", "Row", "What is wrong", "In reports")]
    links = []
    for each in problems:
        look, row = _fill(is_bad=each.is_bad), (each.places[0].row, "link")
        lines.append([(each.why, look), row, (each.sentences, "cell"), (each.reason, "line")])
        target = quoteattr(literal(f"'{sheet.replace(_QUOTE, _QUOTE * 2)}'!{each.places[0]}"))
        links.append(f'<hyperlink ref="{Place(len(lines), 1)}" location={target}/>')
    return _sheet((_row(number, line, looks) for number, line in enumerate(lines, 1)), links)


def _fill(*, is_bad: bool) -> str:
    return "bad" if is_bad else "doubtful"


def _header(*names: str) -> _Line:
    return [(name, "header") for name in names]


def _row(number: int, line: _Line, looks: Mapping[str, int]) -> str:
    """Return the XML of a row."""
    cells = []
    for column, (content, look) in enumerate(line):
        head = f'<c r="{Place(number, column)}" s="{looks[look]}"'
        if isinstance(content, int):
            cells.append(f"{head}><v>{content}</v></c>")
        else:
            inside = f'<is><t xml:space="preserve">{text(content)}</t></is>'
            cells.append(f'{head} t="inlineStr">{inside}</c>')
    lengths = [len(content) if isinstance(content, str) else 0 for content, _ in line]
    most = max(
        (-(-length * 10 // (width * 11)) for length, width in zip(lengths, _WIDTHS, strict=False)),
        default=1,
    )
    is_wrapped = most > 1 and any(look == "cell" for _, look in line)
    height = f' ht="{most * _HEIGHT}" customHeight="1"' if is_wrapped else ""
    return f'<row r="{number}"{height}>{"".join(cells)}</row>'


def _sheet(rows: Iterable[str], links: Sequence[str]) -> bytes:
    columns = "".join(
        f'<col min="{at}" max="{at}" width="{width}" customWidth="1"/>'
        for at, width in enumerate(_WIDTHS, start=1)
    )
    hyperlinks = f"<hyperlinks>{''.join(links)}</hyperlinks>" if links else ""
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        '<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main">'
        '<sheetPr><pageSetUpPr fitToPage="1"/></sheetPr>'
        '<sheetViews><sheetView showGridLines="0" tabSelected="1" workbookViewId="0"/></sheetViews>'
        f'<sheetFormatPr defaultRowHeight="15"/><cols>{columns}</cols>'
        f"<sheetData>{''.join(rows)}</sheetData>{hyperlinks}"
        '<pageSetup orientation="landscape" fitToHeight="0"/></worksheet>'
    ).encode()
