"""Finds what people write below a list: totals, legends, signatures. It is no request.

A file's last rows are judged from the bottom up, to the first row with a key of its own. Nothing
above that row is looked at.
"""

import re
from collections.abc import Iterator, Sequence
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from bulk_sync.outcomes import Reason
from bulk_sync.rows import columns, emails
from bulk_sync.rows.check.header import Found
from bulk_sync.rows.check.state_words import StateWords
from bulk_sync.rows.check.verdicts import Verdicts
from bulk_sync.rows.parse.cell_text import UNCALCULATED

_MOST_ROWS: Final = 50
"""If more rows at the end of a file have no key, it is keys that are missing."""

LEAST_ROWS: Final = _MOST_ROWS + 1
"""So many of the last rows of a file are looked at together."""

_MOST_CELLS: Final = 2
"""A row without a key that fills more cells may be a request that lost it."""

_TOTAL_WORD: Final = (
    r"(?:grand |sub-?)?(?:totals?|sum|count)|total g[eé]n[eé]ral|somme|summe|gesamt|insgesamt|"
    r"totale|totaal|totalt|i alt|yhteensä|suma|razem|celkem|összesen|итого|всего|toplam"
)
_WHAT: Final = r"(?:requests?|rows?|records?|entries|people|persons|consumers|customers)"
_TOTAL: Final = re.compile(rf"\W*(?:{_TOTAL_WORD})(?=[\s:=(]|$)", re.IGNORECASE)
_TOTAL_ALONE: Final = re.compile(
    rf"\W*(?:{_TOTAL_WORD})(?: (?:of )?{_WHAT})?(?:[\s.:=(][\W\d]*)?", re.IGNORECASE
)
_NOTE: Final = re.compile(
    r"\W*(?:(?:prepared|reviewed|approved|checked|signed|created|compiled|exported|printed) "
    r"(?:by|on)|signature|legend|notes?|n\.?b\.?|source|page \d+ of \d+|confidential|generated|"
    r"end of|légende|legende|leyenda|legenda|unterschrift|handtekening|podpis)(?=[\s:=(]|$)",
    re.IGNORECASE,
)
_LABEL: Final = re.compile(r"(?!mailto)[^@:]+:(?:\s|$)", re.IGNORECASE)
"""Such as ``Contact: privacy@example.com``."""
_ADDRESS: Final = re.compile(emails.PLAIN)
_NUMBER: Final = re.compile(r"\d{1,3}(?:[,.\u00a0\u202f ']\d{3})+|\d+")
_COUNT: Final = re.compile(rf"({_NUMBER.pattern})(?: {_WHAT})?", re.IGNORECASE)

_LEFT_OUT: Final = (
    "not like a request: nothing is done for it. Delete the row from the file; if it is a request, "
    "write its key"
)


class _Kind(Enum):
    """What a row at the end looks like, in the words of a person."""

    TOTAL = "a total below the list"
    NOTE = "a note below the list, such as a legend or a signature"
    COUNT = "a total below the list (its number is that of the rows above)"
    NO_KEY = "a request without a key"
    REQUEST = "a request"


class _Line(NamedTuple):
    """The cells of a row: of its key, of its state (None if no column has states), and all."""

    key: str
    state: str | None
    cells: Sequence[str]


def reject(
    raw: pd.DataFrame, found: Found, words: StateWords, verdicts: Verdicts, above: int
) -> None:
    """Reject totals, legends and signatures below the data, and set their rows aside.

    The rows are those of files to their ends: all, or at least ``LEAST_ROWS`` of the first one,
    below ``above`` others.
    """
    for start, end in _files(raw):
        first = max(start, end - LEAST_ROWS)
        before = first - start + (above if start == 0 else 0)
        lines = _lines(raw.iloc[first:end], found)
        for number, kind in _below(lines, before, words):
            what = f"This row looks like {kind.value}, {_LEFT_OUT}."
            verdicts.set_aside(first + number, Reason.NOT_DATA, what)


def _files(raw: pd.DataFrame) -> Iterator[tuple[int, int]]:
    starts = [0]
    if columns.FILE in raw:
        starts += (np.flatnonzero(np.diff(raw[columns.FILE].cat.codes)) + 1).tolist()
    yield from zip(starts, [*starts[1:], len(raw)], strict=True)


def _lines(rows: pd.DataFrame, found: Found) -> list[_Line]:
    ours = {*columns.OURS, *columns.ORIGINAL}
    own = rows[[name for name in rows.columns if name not in ours]].to_numpy().tolist()
    keys = rows[found.key].tolist()
    states = [None] * len(rows) if found.state is None else rows[found.state].tolist()
    return [
        _Line(key.strip(), state and state.strip(), cells)
        for key, state, cells in zip(keys, states, own, strict=True)
    ]


def _below(lines: list[_Line], before: int, words: StateWords) -> Iterator[tuple[int, _Kind]]:
    """Yield the places of rows below the data, and what each looks like; ``before`` are above."""
    kinds = [_kind(line, words) for line in lines]
    last = max((at for at, kind in enumerate(kinds) if kind is _Kind.REQUEST), default=-1)
    if last < 0:
        return
    for at, kind in enumerate(kinds[last + 1 :], last + 1):
        rows_above = {before + at, before + last + 1}
        are_numbers = _NUMBER.fullmatch(lines[last].key) is not None
        if kind is _Kind.COUNT:
            count = int(re.sub(r"\D", "", lines[at].key))
            is_below = count in rows_above and not are_numbers
        else:
            is_below = kind is not _Kind.NO_KEY
        if is_below:
            yield at, kind


def _kind(line: _Line, words: StateWords) -> _Kind:
    state = line.state or ""
    has_state = words.state(state) is not None
    may_be_sum = not has_state or state.isdecimal()  # the sum may be 1 or 0
    if _TOTAL_ALONE.fullmatch(line.key) and may_be_sum:
        return _Kind.TOTAL
    says_total = any(map(_TOTAL_ALONE.fullmatch, line.cells))
    if not line.key:
        is_total = says_total and may_be_sum
        return _Kind.TOTAL if is_total else _kind_without_key(line, has_state=has_state)
    explains = line.state is not None and words.state(line.key) is not None
    explains &= not line.key.isdecimal()  # "No | may be sold", "No | 12"
    if has_state:
        return _Kind.NOTE if explains and may_be_sum else _Kind.REQUEST
    is_count = _COUNT.fullmatch(line.key) is not None
    if _TOTAL.match(line.key) or (says_total and (is_count or line.key == UNCALCULATED)):
        return _Kind.TOTAL
    if is_count:
        return _Kind.COUNT
    says_meaning = "=" in state and " " in state
    is_text = (line.state == "" or says_meaning) and " " in line.key and "@" not in line.key
    is_note = is_text or explains or _NOTE.match(line.key) or _LABEL.match(line.key)
    return _Kind.NOTE if is_note else _Kind.REQUEST


def _kind_without_key(line: _Line, *, has_state: bool) -> _Kind:
    """Return what a row without a key looks like; in doubt it is a request that lost it."""
    filled = [cell for cell in line.cells if cell.strip()]
    if has_state:
        return _Kind.NO_KEY
    if all(map(_NUMBER.fullmatch, filled)) or any(map(_TOTAL.match, filled)):
        return _Kind.TOTAL
    if any(map(_NOTE.match, filled)):
        return _Kind.NOTE
    is_like_data = len(filled) > _MOST_CELLS or any(map(_ADDRESS.match, filled))
    return _Kind.NO_KEY if is_like_data else _Kind.NOTE
