"""Names the options for cells that many rows of an input have, and that are no states or keys."""

import shlex
from collections import Counter
from collections.abc import Mapping
from typing import Final

import pandas as pd

from bulk_sync import amounts
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, emails
from bulk_sync.rows.check.header import allows
from bulk_sync.rows.check.state_words import StateWords, plain_word
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.listing import one_value
from bulk_sync.rows.parse.cell_text import UNCALCULATED
from bulk_sync.settings import KeyKind

_MOST: Final = 0.5
_NAMED_WORDS: Final = 3
_LONGEST_WORD: Final = 40


def for_states(rows: pd.DataFrame, layout: Layout) -> list[str]:
    """Return sentences about words, and empty cells, that are no states in several rows.

    Args:
        rows: from ``check.rows``.
        layout: their columns.
    """
    column = layout.columns.state
    if column is None or column not in rows:
        return []
    hints = _unticked(rows, column)
    blank = int(_rejected(rows, Reason.BLANK_STATE).sum())
    if blank > 1:
        hints.append(
            f"{blank:,} rows are empty in column {column!r}. If nothing was chosen there, leave "
            "these rows out with --blank-state skip."
        )
    unknown = dict(_unknown_words(rows.loc[_rejected(rows, Reason.BAD_STATE), column]))
    effects = {word: _effect(word, layout.rules.words) for word in unknown}
    if len(unknown) > 1 and all(effects.values()) and not layout.rules.words.further:
        return [*hints, _in_one(unknown, effects, column)]
    for word, count in unknown.items():
        listed = shlex.quote(one_value([word]))
        hints.append(
            f"{amounts.count(count, 'row has', 'rows have')} {word!r} in column {column!r}. If it "
            "forbids the sale, add "
            f"--true-values {listed}; if it allows the sale, add --false-values {listed}."
        )
    if unknown and len(unknown) + len(layout.rules.words.further) > 1:
        hints.append("Write several words into one list, with commas between them.")
    return hints


def _unticked(rows: pd.DataFrame, column: str) -> list[str]:
    """Return a sentence about boxes that most rows leave empty, such as ``Opt out requested``."""
    desired = rows[columns.DESIRED]
    allowed = int((desired == False).sum())  # noqa: E712 - may be unreadable
    if "request" not in column.lower() or 2 * allowed <= int(desired.notna().sum()):
        return []
    sentence = (
        f"{amounts.count(allowed, 'row allows', 'rows allow')} the sale (No in {column!r}). If No "
        "means only that there was no request, delete these rows, or write no opt-in at all with "
        "--hold-opt-ins --max-opt-ins 0."
    )
    return [sentence]


def _in_one(counts: Mapping[str, int], effects: Mapping[str, str], column: str) -> str:
    """Return one sentence for words each of which says itself what it does with the sale."""
    shown = ", ".join(f"{word!r} in {count:,}" for word, count in counts.items())
    supposed = " and ".join(f"{word!r} {effect} the sale" for word, effect in effects.items())
    options = " ".join(
        f"{option} {shlex.quote(one_value(word for word in effects if effects[word] == does))}"
        for option, does in (("--true-values", "forbids"), ("--false-values", "allows"))
        if does in effects.values()
    )
    return f"Column {column!r} has words of its own: {shown} rows. If {supposed}, add {options}."


def _effect(word: str, words: StateWords) -> str:
    """Return what a word says itself, ``forbids`` or ``allows``; "" if it does not."""
    near = words.near(word)
    if near is not None:
        return words.effect(near)
    return "allows" if allows(word) else ""


def for_dates(layout: Layout) -> list[str]:
    """Return a sentence about each column of dates that is not used."""
    return [
        f"Column {name!r} is not used: it may have the dates of something else. If the requests "
        f"were made on these dates, add --date-column {shlex.quote(name)}."
        for name in layout.columns.unused
    ]


def for_keys(rows: pd.DataFrame, layout: Layout) -> list[str]:
    """Return a sentence about a column with addresses, if that of keys has hardly any."""
    found, own = layout.columns, [str(name) for name in rows if name not in columns.OURS]
    wrong = _rejected(rows, Reason.BAD_KEY)
    if found.keys.kind is not KeyKind.EMAIL or 2 * wrong.sum() <= len(rows):
        return []
    return [
        f"Hardly any row has an address in column {found.key!r}, but most have one in column "
        f"{name!r}. To use that one, add --key email --key-column {shlex.quote(name)}."
        for name in own
        if rows.loc[wrong, name].str.strip().str.match(emails.PLAIN).mean() > _MOST
    ]


def _rejected(rows: pd.DataFrame, reason: Reason) -> pd.Series:
    return (rows[columns.OUTCOME] == Outcome.REJECTED) & (rows[columns.REASON] == reason)


def _unknown_words(cells: pd.Series) -> list[tuple[str, int]]:
    """Return the most frequent words that several cells have, as the first one writes each."""
    count: Counter[str] = Counter()
    written: dict[str, str] = {}
    for cell in cells:
        word = plain_word(cell)
        count[word] += 1
        written.setdefault(word, cell.strip())
    return [
        (written[word], number)
        for word, number in count.most_common(_NAMED_WORDS)
        if number > 1 and len(word) <= _LONGEST_WORD and written[word] != UNCALCULATED
    ]
