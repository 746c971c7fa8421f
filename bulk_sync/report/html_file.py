"""HTML: one page to read or to print, with the facts of the run, the counts and every row.

It runs no script and loads nothing; a Content-Security-Policy enforces this. A browser copes with
some ten thousand rows; for more, choose another format.
"""

from collections.abc import Mapping
from html import escape
from typing import BinaryIO, Final

import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.report import table as tables
from bulk_sync.report.facts import Counts, Facts
from bulk_sync.report.table import Results
from bulk_sync.rows import columns

_HEADING: Final = "CCPA opt-out report"

_STYLE: Final = """\
:root { color-scheme: light; }
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 2rem; }
table { border-collapse: collapse; margin: 0 0 2rem; }
caption { text-align: left; font-weight: bold; padding: .3rem 0; }
th, td { border: 1px solid #c8c8c8; padding: .2rem .5rem; text-align: left; vertical-align: top;
  unicode-bidi: isolate; white-space: pre-wrap; overflow-wrap: anywhere; min-width: 3rem; }
thead th { background: #f0f0f0; position: sticky; top: 0; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
tr > .label { border-left: .4rem solid #767676; font-weight: bold; }
.updated > .label, .created > .label { border-left-color: #1b7a3d; }
.would_update > .label, .would_create > .label { border-left-color: #1f5fae; }
.rejected > .label, .not_found > .label, .drifted > .label { border-left-color: #a65a00; }
.failed > .label, .pending > .label { border-left-color: #b3201d; }
@media print {
  body { margin: 0; font-size: 9pt; }
  thead th { position: static; }
  tr { break-inside: avoid; }
}
"""

_HEAD: Final = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>{heading}</title>
<style>
{style}</style>
</head>
<body>
<main>
<h1>{heading}</h1>
"""


def write(results: Results, file: BinaryIO, facts: Facts) -> None:
    """Write results below the facts of their run."""
    head = _HEAD.format(heading=_HEADING, style=_STYLE)
    above = _facts(dict(facts.lines())) + _counts(facts.counts)
    file.write((head + above + _header(results)).encode())
    file.writelines(tables.text_bytes(_rows(batch)) for batch in results.texts())
    file.write(b"</tbody>\n</table>\n</main>\n</body>\n</html>\n")


def _facts(facts: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(value)}</td></tr>\n'
        for name, value in facts.items()
    )
    return f"<table>\n<caption>Run</caption>\n<tbody>\n{rows}</tbody>\n</table>\n" if rows else ""


def _counts(counts: Counts) -> str:
    rows = "".join(
        f'<tr class="{outcome}"><th scope="row" class="label">{outcome}</th>'
        f'<td class="number">{number}</td></tr>\n'
        for outcome, number in counts.outcomes.items()
    )
    return (
        "<table>\n<caption>Rows by outcome</caption>\n"
        '<thead><tr><th scope="col">outcome</th><th scope="col">rows</th></tr></thead>\n'
        f"<tbody>\n{rows}</tbody>\n"
        '<tfoot><tr><th scope="row">all</th>'
        f'<td class="number">{counts.rows}</td></tr></tfoot>\n</table>\n'
    )


def _header(results: Results) -> str:
    cells = "".join(f'<th scope="col">{escape(name)}</th>' for name in results.names)
    return (
        "<table>\n<caption>Every row of the input</caption>\n"
        f"<thead><tr>{cells}</tr></thead>\n<tbody>\n"
    )


def _rows(batch: dict[str, pa.Array]) -> pa.Array:
    parts: list[pa.Array | str] = ['<tr class="', batch[columns.OUTCOME], '">']
    for name, column in batch.items():
        match name:
            case columns.ROW:
                parts += ['<th scope="row" class="number">', column, "</th>"]
            case columns.OUTCOME:
                parts += ['<td class="label">', column, "</td>"]
            case _:
                parts += ["<td>", _escaped(column), "</td>"]
    return tables.join([*parts, "</tr>\n"])


def _escaped(column: pa.Array) -> pa.Array:
    for char, entity in {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}.items():
        column = pc.replace_substring(column, char, entity)
    return column
