"""HTML: one page to read, to print and to file.

Rows that need a person come first, then changes, opt-ins before the others, then the rest. A page
with every row of a large input would open in no browser, so it shows the first of them and counts
the others. It runs no script and loads nothing; a Content-Security-Policy enforces this.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import BinaryIO, Final, NamedTuple

import pyarrow as pa
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bulk_sync.amounts import count
from bulk_sync.outcomes import Outcome
from bulk_sync.report import charts, wording
from bulk_sync.report import table as tables
from bulk_sync.report.facts import PAST_RUNS, STATES, Facts
from bulk_sync.report.table import Results
from bulk_sync.report.wording import HEADINGS, OUTCOMES, Tone, spoken
from bulk_sync.rows import columns

SHOWN_ROWS: Final = 5_000
"""A page with so many rows opens in a second."""

_FIRST: Final = (columns.ROW, columns.OUTCOME, columns.FILE, columns.REASON, columns.DETAIL)

_ONE_LINE, _LONG = 12, 40
"""Characters; texts up to the first, such as dates, are not wrapped; above the second they have a
wide column."""

_LONGEST_KEY: Final = 28
_KEY_HEAD, _KEY_TAIL = 12, 8
_ADDRESS: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,64}")
_WRAPPING: Final = re.compile(r"^\s*(?:'|=\")|\"$")
"""What a spreadsheet may put around a key."""

_MARKUP: Final = str.maketrans(
    {chr(code): chr(0x2400 + code) for code in range(32)}
    | {"\x7f": "\u2421", "\t": "\t", "\n": "\n", "\r": "&#13;"}
    | {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
)
"""What is written for characters of HTML's own, and for controls, which browsers do not show."""

_UNBROKEN_HYPHEN: Final = "\u2011"

_Rows = dict[str, list[str]]


class _Section(NamedTuple):
    """A table of the page; it would have ``total`` rows, and has the first ``shown`` of them."""

    name: str
    title: str
    note: str
    total: int
    shown: int
    head: Mapping[str, Sequence[str]]
    body: Markup


SECTIONS: Final = (
    ("person", "Rows that need a person", "Correct these rows, or find out why they failed."),
    ("opt-ins", "Changes: opt-ins", "An opt-in lifts an opt-out: the sale is allowed again."),
    ("changes", "Changes: opt-outs and new profiles", ""),
    ("others", "Other rows", "Nothing is to be done about them."),
)
"""Names, headings and notes of the tables, in their order."""


def write(results: Results, file: BinaryIO, facts: Facts) -> None:
    """Write results below the facts of their run. Memory: ``SHOWN_ROWS`` rows for each section."""
    sections = list(_sections(results))
    page = environment("bulk_sync.report").get_template("report.html.j2")
    left = results.count - sum(section.shown for section in sections)
    file.write(page.render(facts=facts, sections=sections, left=left).encode())


@cache
def environment(*packages: str) -> Environment:
    """Return the templates of packages, with what those of reports need."""
    found = Environment(
        loader=ChoiceLoader([PackageLoader(package) for package in packages]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"code": with_code, "number": "{:,}".format, "spoken": spoken}
    found.globals |= {
        "charts": charts,
        "wording": wording,
        "count": count,
        "states": STATES,
        "past_runs": PAST_RUNS,
    }
    return found


def with_code(text: object) -> Markup:
    """Return a text with what is between backticks as code."""
    return Markup(re.sub("`([^`]*)`", r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped


def _sections(results: Results) -> Iterator[_Section]:
    found: list[list[pa.RecordBatch]] = [[] for _ in SECTIONS]
    totals = [0] * len(SECTIONS)
    for batch in results.read():
        for at, mask in enumerate(tables.masks(batch)):
            chosen = batch.filter(mask)
            room = SHOWN_ROWS - totals[at]
            totals[at] += chosen.num_rows
            if chosen.num_rows and room > 0:
                found[at].append(chosen.slice(0, room))
    if results.count > SHOWN_ROWS:
        found[-1] = []
    room = SHOWN_ROWS
    for (name, title, note), total, batches in zip(SECTIONS, totals, found, strict=True):
        rows = pa.Table.from_batches(batches, results.schema).slice(0, room)
        room -= rows.num_rows
        if rows.num_rows:
            (batch,) = rows.combine_chunks().to_batches()
            yield _Section(name, title, note, total, rows.num_rows, *table_of(batch))
        elif total:
            yield _Section(name, title, note, total, 0, {}, Markup())


def table_of(batch: pa.RecordBatch) -> tuple[Mapping[str, Sequence[str]], Markup]:
    """Return the names of the columns of some rows, in groups, and the rows as HTML."""
    texts, names = tables.as_texts(tables.values_of(batch)), dict(HEADINGS)
    rows: _Rows = {name: column.to_pylist() for name, column in texts.items()}
    head = _head(rows)
    if columns.AT in rows:
        times = [f"{at[:10]} {at[11:19]}".strip() for at in rows[columns.AT]]
        days = {at[:10] for at in times} - {""}
        if len(days) == 1:
            names[columns.AT] += f" {days.pop().replace('-', _UNBROKEN_HYPHEN)}"
            times = [at[11:] for at in times]
        rows[columns.AT] = times
    shown = {group: [names.get(name, name) for name in of] for group, of in head.items()}
    return shown, Markup(_body(rows, head))  # noqa: S704 - every text in it is escaped


def _head(rows: _Rows) -> dict[str, list[str]]:
    """Return the columns to show, in groups: those of ours with a value, and the input's own."""
    own = [name for name in rows if name not in columns.OURS]
    key = rows[columns.KEY]
    ours = [name for name in HEADINGS if name in rows and _says_something(name, rows[name])]
    return {
        "Result": [name for name in ours if name in _FIRST],
        "State": [name for name in ours if name not in _FIRST],
        "Your file": [name for name in own if not _repeats(rows[name], key)],
    }


def _says_something(name: str, texts: Iterable[str]) -> bool:
    """Return whether a column of ours has a value: one try, and one profile, go without saying."""
    usual = {"", "0", "1"} if name in {columns.ATTEMPTS, columns.PROFILES} else {""}
    return not usual.issuperset(texts)


def _repeats(texts: Sequence[str], keys: Sequence[str]) -> bool:
    """Return whether a column has the keys, as a spreadsheet may wrap them."""
    bare = (_WRAPPING.sub("", text).strip().lower() for text in texts)
    return any(keys) and all(map(str.__eq__, bare, map(str.lower, keys)))


def _body(rows: _Rows, head: Mapping[str, Sequence[str]]) -> str:
    """Return rows as HTML, without what HTML lets be left out: that would be a third of it."""
    names = [name for group in head.values() for name in group]
    shown = zip(*(rows[name] for name in names), strict=True)
    lines = []
    for outcome, texts in zip(rows[columns.OUTCOME], shown, strict=True):
        tone = OUTCOMES[Outcome(outcome)].tone
        cells = "".join(map(_cell, names, texts))
        lines.append(f"<tr{'' if tone is Tone.QUIET else f' class={tone}'}>{cells}</tr>\n")
    return "".join(lines)


def _cell(name: str, text: str) -> str:
    match name:
        case columns.ROW:
            return f"<th scope=row>{text}"
        case columns.OUTCOME:
            return f"<td>{OUTCOMES[Outcome(text)].sign} {spoken(text)}"
        case columns.REASON:
            return f"<td>{_escaped(spoken(text))}"
        case columns.KEY:
            return f"<td>{_shortened(text)}"
    room = "" if len(text) <= _ONE_LINE else " class=w" if len(text) <= _LONG else " class=d"
    return f"<td{room}>{_escaped(text)}"


def _shortened(key: str) -> str:
    """Mark the middle of a long key, which the style hides; an address is shown whole."""
    if len(key) <= _LONGEST_KEY or _ADDRESS.fullmatch(key):
        return _escaped(key)
    head, middle, tail = key[:_KEY_HEAD], key[_KEY_HEAD:-_KEY_TAIL], key[-_KEY_TAIL:]
    return f"{_escaped(head)}<i>{_escaped(middle)}</i>{_escaped(tail)}"


def _escaped(text: str) -> str:
    return text.translate(_MARKUP)
