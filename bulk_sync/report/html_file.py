"""HTML: one page to read, to print and to file.

Rows that need a person come first, then changes, opt-ins before the others, then the rest. A page
with every row of a large input would open in no browser, so it shows the first of them and counts
the others. It runs no script and loads nothing; a Content-Security-Policy enforces this.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import BinaryIO, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from bulk_sync.amounts import count
from bulk_sync.outcomes import NEEDS_A_PERSON, Outcome
from bulk_sync.report import charts, wording
from bulk_sync.report import table as tables
from bulk_sync.report.facts import PAST_RUNS, STATES, Facts
from bulk_sync.report.table import Results
from bulk_sync.report.wording import HEADINGS, OUTCOMES, Tone, spoken
from bulk_sync.rows import columns
from bulk_sync.rows.comparison import CHANGED, WRITTEN

SHOWN_ROWS: Final = 5_000
"""A page with so many rows opens in a second."""

_FIRST: Final = (columns.ROW, columns.OUTCOME, columns.FILE, columns.REASON, columns.DETAIL)

_ONE_LINE, _LONG = 12, 40
"""Characters; texts up to the first, such as dates, are not wrapped; above the second they have a
wide column."""

_LONGEST_KEY: Final = 28
_KEY_HEAD, _KEY_TAIL = 12, 8
_ADDRESS: Final = r"^[^@\s]{1,64}@[^@\s]{1,64}$"

_ENTITIES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
_CONTROLS: Final = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
_PICTURES: Final = {chr(code): chr(0x2400 + code) for code in range(32)} | {"\x7f": "\u2421"}
"""What is shown in place of control characters, which browsers do not show."""

_UNBROKEN_HYPHEN: Final = "\u2011"

_Rows = dict[str, pa.Array]


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
        for at, mask in enumerate(masks(batch)):
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
    rows, names = tables.as_texts(tables.values_of(batch)), dict(HEADINGS)
    head = _head(rows)
    if columns.AT in rows:
        at = pc.replace_substring_regex(rows[columns.AT], r"T(.{8}).*", r" \1")
        days = set(pc.utf8_slice_codeunits(at, 0, 10).to_pylist()) - {""}
        if len(days) == 1:
            names[columns.AT] += f" {days.pop().replace('-', _UNBROKEN_HYPHEN)}"
            at = pc.utf8_slice_codeunits(at, 11)
        rows[columns.AT] = at
    shown = {group: [names.get(name, name) for name in of] for group, of in head.items()}
    return shown, Markup(_body(rows, head))  # noqa: S704 - every text in it is escaped


def masks(batch: pa.RecordBatch) -> Iterator[pa.Array]:
    """Yield which rows need a person, are opt-ins, are other changes, or nothing of it."""
    outcome = batch[columns.OUTCOME].cast(tables.TEXT)
    person = pc.is_in(outcome, pa.array(NEEDS_A_PERSON, tables.TEXT))
    changed = pc.is_in(outcome, pa.array(CHANGED, tables.TEXT))
    allows = pc.fill_null(pc.invert(batch[columns.DESIRED]), False)  # noqa: FBT003
    opt_in = pc.and_(pc.is_in(outcome, pa.array(WRITTEN, tables.TEXT)), allows)
    yield from (person, opt_in, pc.and_not(changed, opt_in), pc.invert(pc.or_(person, changed)))


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


def _says_something(name: str, column: pa.Array) -> bool:
    """Return whether a column of ours has a value: one try, and one profile, go without saying."""
    usual = ["", "0", "1"] if name in {columns.ATTEMPTS, columns.PROFILES} else [""]
    return bool(pc.any(pc.invert(pc.is_in(column, pa.array(usual, tables.TEXT)))).as_py())


def _repeats(column: pa.Array, key: pa.Array) -> bool:
    """Return whether a column has the keys, as a spreadsheet may wrap them."""
    bare = pc.utf8_trim_whitespace(pc.replace_substring_regex(column, r"^\s*(?:'|=\")|\"$", ""))
    same = pc.equal(pc.utf8_lower(bare), pc.utf8_lower(key))
    return bool(pc.all(same).as_py()) and bool(pc.any(pc.not_equal(key, "")).as_py())


def _body(rows: _Rows, head: Mapping[str, Sequence[str]]) -> str:
    """Return rows as HTML, without what HTML lets be left out: that would be a third of it."""
    outcome = rows[columns.OUTCOME]
    begin = {
        each: "<tr>" if word.tone is Tone.QUIET else f"<tr class={word.tone}>"
        for each, word in OUTCOMES.items()
    }
    parts: list[pa.Array | str] = [_looked_up(outcome, begin)]
    for name in (name for group in head.values() for name in group):
        column = rows[name]
        match name:
            case columns.ROW:
                parts += ["<th scope=row>", column]
            case columns.OUTCOME:
                signs = {each: f"<td>{word.sign} {spoken(each)}" for each, word in OUTCOMES.items()}
                parts.append(_looked_up(outcome, signs))
            case columns.REASON:
                parts += ["<td>", _escaped(_spoken(column))]
            case columns.KEY:
                parts += ["<td>", _shortened(column)]
            case _:
                parts += [_begun(column), _escaped(column)]
    lines = tables.join([*parts, "</tr>\n"])
    return bytes(tables.text_bytes(lines)).decode()


def _spoken(reasons: pa.Array) -> pa.Array:
    found = pc.unique(reasons)
    words = pa.array(map(spoken, found.to_pylist()), tables.TEXT)
    return words.take(pc.index_in(reasons, found))


def _begun(column: pa.Array) -> pa.Array:
    """Return the beginnings of cells, of a class that gives long texts room."""
    length = pc.utf8_length(column)
    wide = pc.if_else(pc.greater(length, _LONG), "<td class=d>", "<td class=w>")
    return pc.if_else(pc.greater(length, _ONE_LINE), wide, "<td>").cast(tables.TEXT)


def _looked_up(outcomes: pa.Array, words: Mapping[Outcome, str]) -> pa.Array:
    found = pc.index_in(outcomes, pa.array(words, tables.TEXT))
    return pa.array(words.values(), tables.TEXT).take(found)


def _shortened(keys: pa.Array) -> pa.Array:
    """Mark the middle of long keys, which the style hides; an address is shown whole."""
    is_address = pc.match_substring_regex(keys, _ADDRESS)
    is_long = pc.and_not(pc.greater(pc.utf8_length(keys), _LONGEST_KEY), is_address)
    if not pc.any(is_long).as_py():
        return _escaped(keys)
    head = _escaped(pc.utf8_slice_codeunits(keys, 0, _KEY_HEAD))
    middle = _escaped(pc.utf8_slice_codeunits(keys, _KEY_HEAD, -_KEY_TAIL))
    tail = _escaped(pc.utf8_slice_codeunits(keys, -_KEY_TAIL))
    return pc.if_else(is_long, tables.join([head, "<i>", middle, "</i>", tail]), _escaped(keys))


def _escaped(column: pa.Array) -> pa.Array:
    for char, entity in _ENTITIES.items():
        column = pc.replace_substring(column, char, entity)
    if pc.any(pc.match_substring_regex(column, _CONTROLS)).as_py():
        for char, picture in _PICTURES.items():
            if char not in "\t\n\r":
                column = pc.replace_substring(column, char, picture)
    return column
