"""Names the options for cells that many rows of an input have, and that are no states or keys."""

import shlex
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync import amounts
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns
from bulk_sync.rows.check.header import allows, forbids
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.check.state_words import plain_word
from bulk_sync.rows.layout import Layout
from bulk_sync.rows.listing import one_value
from bulk_sync.rows.parse.cell_text import UNCALCULATED
from bulk_sync.rows.slices import Slices

_NAMED_WORDS: Final = 3
_LONGEST_WORD: Final = 40


class Words:
    """The words in some cells, as the first cell writes each, with their numbers.

    Beyond 100,000 different ones only the most frequent are kept on the way: memory is bounded.
    """

    def __init__(self, most: int = 100_000) -> None:
        self._most = most
        self._counts: Counter[str] = Counter()
        self._written: dict[str, str] = {}

    def add(self, cells: pd.Series) -> None:
        """Count further cells."""
        for found in pc.value_counts(pa.chunked_array(cells)):
            cell = found["values"].as_py().strip()[: _LONGEST_WORD + 1]
            word = plain_word(cell)
            self._counts[word] += found["counts"].as_py()
            self._written.setdefault(word, cell)
        if len(self._counts) > 2 * self._most:
            self._counts = Counter(dict(self._counts.most_common(self._most)))
            kept = self._counts.keys()
            self._written = {word: text for word, text in self._written.items() if word in kept}

    def most_frequent(self) -> dict[str, int]:
        """Return the most frequent words of several cells."""
        return {
            self._written[word]: number
            for word, number in self._counts.most_common(_NAMED_WORDS)
            if number > 1 and len(word) <= _LONGEST_WORD and self._written[word] != UNCALCULATED
        }


@dataclass(slots=True)
class UnusableCells:
    """Cells that cannot be used, counted; rows are added slice by slice.

    Attributes:
        layout: the columns of the rows.
        blank: how many have an empty cell in place of a state.
        states: how many have a state.
        allowed: how many of these allow the sale.
        words: how often a cell has a word that is no state.
    """

    layout: Layout
    blank: int = 0
    states: int = 0
    allowed: int = 0
    words: Words = field(default_factory=Words)

    def add(self, rows: pd.DataFrame) -> None:
        """Count further rows, from ``check.rows``."""
        column = self.layout.columns.state
        if column not in rows:  # None is in no frame
            return
        desired = columns.desired(rows)
        self.states += int((desired >= 0).sum())
        self.allowed += int((desired == 0).sum())
        self.blank += int(_rejected(rows, Reason.BLANK_STATE).sum())
        is_unknown = _rejected(rows, Reason.BAD_STATE)
        if is_unknown.any():
            self.words.add(columns.rows_of(rows[[column]], is_unknown)[column])


def find(rows: Slices, layout: Layout) -> list[str]:
    """Return sentences that name options for columns and cells that were not used."""
    cells = UnusableCells(layout)
    for each in rows.read():
        cells.add(each)
    return sentences(cells)


def sentences(cells: UnusableCells) -> list[str]:
    """Return the same sentences from the counts of the rows."""
    dates = [
        f"Column {name!r} is not used: it may have the dates of something else. If the requests "
        f"were made on these dates, add --date-column {shlex.quote(name)}."
        for name in cells.layout.columns.unused
    ]
    return [*_for_states(cells), *dates]


def _for_states(cells: UnusableCells) -> list[str]:
    column, rules = cells.layout.columns.state, cells.layout.rules
    if column is None:
        return []
    hints = [*_unticked(cells, column), *_unclear(cells, column), *_swapped(rules)]
    if cells.blank > 1:
        hints.append(
            f"{cells.blank:,} rows are empty in column {column!r}. If nothing was chosen there, "
            "leave these rows out with --blank-state skip."
        )
    unknown = cells.words.most_frequent()
    effects = {word: _effect(word, rules) for word in unknown}
    if len(unknown) > 1 and all(effects.values()) and not rules.words.further:
        return [*hints, _in_one(unknown, effects, column)]
    for word, count in unknown.items():
        listed = shlex.quote(one_value([word]))
        hints.append(
            f"{amounts.count(count, 'row has', 'rows have')} {word!r} in column {column!r}. If it "
            "forbids the sale, add "
            f"--true-values {listed}; if it allows the sale, add --false-values {listed}."
        )
    if unknown and len(unknown) + len(rules.words.further) > 1:
        hints.append("Write several words into one list, with commas between them.")
    return hints


def _unticked(cells: UnusableCells, column: str) -> list[str]:
    """Return a sentence about boxes that most rows leave empty, such as ``Opt out requested``."""
    if "request" not in column.lower() or 2 * cells.allowed <= cells.states:
        return []
    sentence = (
        f"{amounts.count(cells.allowed, 'row allows', 'rows allow')} the sale (No in {column!r}). "
        "If No means only that there was no request, delete these rows, or write no opt-in at all "
        "with --hold-opt-ins --max-opt-ins 0."
    )
    return [sentence]


def _unclear(cells: UnusableCells, column: str) -> list[str]:
    """Return a sentence about a column with opt-ins whose name does not show what yes does."""
    rules = cells.layout.rules
    is_stated = rules.words.means is not None or bool(rules.words.further)
    if not cells.allowed or is_stated or forbids(column, rules):
        return []
    sentence = (
        f"The name of column {column!r} does not show what a yes in it does. Here yes forbids the "
        "sale, and no allows it. If it is the other way round, add --state-means consent."
    )
    return [sentence]


def _swapped(rules: Rules) -> list[str]:
    """Return a sentence about each further word that stands for the state it does not mean."""
    taken = {True: ("allows", "forbid the sale"), False: ("forbids", "allow the sale")}
    return [
        f"{word!r} is taken to {does}, though the word itself {opposite} it. Are the two lists of "
        "words swapped?"
        for word, is_opt_out in rules.words.further.items()
        for opposite, does in [taken[is_opt_out]]
        if _effect(word, rules) == opposite
    ]


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


def _effect(word: str, rules: Rules) -> str:
    if forbids(word, rules):
        return "forbids"
    return "allows" if allows(word) else ""


def _rejected(rows: pd.DataFrame, reason: Reason) -> npt.NDArray[np.bool_]:
    is_rejected = columns.have_outcome(rows, [Outcome.REJECTED])
    is_rejected &= columns.reason_codes(rows[columns.REASON]) == columns.REASON_CODES[reason]
    return is_rejected
