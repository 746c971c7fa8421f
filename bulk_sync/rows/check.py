"""Judges raw rows by the input rules: which may be looked up, and why the others may not.

Nothing is guessed here: a state that is not on the list, a key that a spreadsheet has damaged or
two states for one key make the row ``rejected`` with a sentence, never a best effort. Everything
works on whole columns; only bad rows cost Python code of their own.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bulk_sync.errors import InputProblem
from bulk_sync.outcomes import Outcome, Reason
from bulk_sync.rows import columns, dates
from bulk_sync.rows.columns import NONE, OUTCOME_CODES, REASON_CODES
from bulk_sync.rows.spellings import CONTROL, DAMAGE, STATES

log = logging.getLogger(__name__)

_Mask = npt.NDArray[np.bool_]

_BATCH_ROWS: Final = 1 << 16


class BlankState(StrEnum):
    """What an empty state cell means."""

    REJECT = "reject"
    SKIP = "skip"


class OnConflict(StrEnum):
    """What becomes of one key with two states."""

    REJECT = "reject"
    OPT_OUT = "opt-out"
    LAST = "last"


@dataclass(frozen=True, slots=True)
class Rules:
    """How a file is to be understood.

    Attributes:
        attribute: the attribute's name in Campaign, which a state column may bear.
        key_column: name of the key column; None finds it.
        state_column: name of the state column; None finds it.
        date_column: name of the column of request dates; None finds it, if there is one.
        state: the one state of a file that holds only keys.
        blank_state: what an empty state cell means.
        on_conflict: what becomes of one key with two states.
    """

    attribute: str = "ccpaOptOut"
    key_column: str | None = None
    state_column: str | None = None
    date_column: str | None = None
    state: bool | None = None
    blank_state: BlankState = BlankState.REJECT
    on_conflict: OnConflict = OnConflict.REJECT


@dataclass(frozen=True, slots=True)
class Found:
    """The columns that hold keys and states; ``state`` is None if one state serves all rows."""

    key: str
    state: str | None


def find_columns(names: Iterable[str], rules: Rules) -> Found:
    """Tell which columns hold the keys and the desired states.

    Args:
        names: the input's own columns.
        rules: the names asked for, if any.

    Returns:
        Their names, exactly as the input spells them.

    Raises:
        InputProblem: none, or more than one, fits; the message lists the columns.
    """
    names = [str(name) for name in names if name not in (columns.ROW, columns.FILE)]
    own = [name for name in names if name not in columns.REPORT] or names
    key = _find(own, names, rules.key_column, {"pkey"}, "--key-column", "keys (PKey)")
    wanted = {_plain("ccpaOptOut"), _plain(rules.attribute)}
    what = f"states ({rules.attribute})"
    if rules.state is None:
        state = _find(own, names, rules.state_column, wanted, "--state-column", what)
        if state == key:
            raise InputProblem(
                f"Column {key!r} cannot hold both keys and states. Name two columns with "
                "--key-column and --state-column."
            )
        return Found(key, state)
    clash = rules.state_column or next((name for name in own if _plain(name) in wanted), None)
    if clash is not None:
        raise InputProblem(
            f"--state is for a file that holds only keys, but there is a column {clash!r}. Leave "
            "out --state, or take the column out of the file."
        )
    return Found(key, None)


def find_dates(names: Iterable[str], rules: Rules, found: Found) -> str | None:
    """Tell which column holds the dates of the requests.

    Args:
        names: the input's own columns.
        rules: the name asked for, if any.
        found: the columns of keys and states, which hold no dates.

    Returns:
        Its name; None if there is none. Where two could be it there is none either, for the order
        of the work is not worth a refusal; the log says so.

    Raises:
        InputProblem: there is no column of the name asked for; the message lists the columns.
    """
    names = [str(name) for name in names if name not in (columns.ROW, columns.FILE)]
    if rules.date_column is not None:
        return _find(names, names, rules.date_column, set(), "--date-column", "request dates")
    own = [name for name in names if name not in (*columns.OURS, found.key, found.state)]
    fits = [name for name in own if _plain(name) in dates.NAMES]
    if len(fits) > 1:
        log.warning(
            "More than one column could hold the dates of the requests: %s. Rows are worked on in "
            "the order of the input; to have the oldest requests first, name one with "
            "--date-column.",
            ", ".join(map(repr, fits)),
        )
    return fits[0] if len(fits) == 1 else None


def rows(raw: pd.DataFrame, rules: Rules) -> pd.DataFrame:
    """Judge every row.

    Args:
        raw: what ``read.rows`` returned: own columns as str, ROW, perhaps FILE.
        rules: how the file is to be understood.

    Returns:
        The input's own columns, then ROW, FILE if there is one, KEY, DESIRED, OUTCOME, REASON,
        DETAIL and COUNTS_AS, and REQUESTED if there are request dates (dtypes in ``columns.py``).
        OUTCOME is missing where the row is to be looked up. Own columns named like one of ours are
        left out: they come from an earlier report or plan. Order and index (0..n-1) are kept.

    Raises:
        InputProblem: a column is missing or ambiguous.
    """
    found = find_columns(raw.columns, rules)
    dated = find_dates(raw.columns, rules, found)
    verdicts = _Verdicts.of(len(raw))
    keys = _keys(raw[found.key], verdicts)
    if found.state is None:
        desired = np.full(len(raw), int(bool(rules.state)), np.int8)
    else:
        desired = _states(raw[found.state], rules, verdicts)
    counts_as = _repeats(keys, desired, rules.on_conflict, _Places.of(raw), verdicts)

    own = [name for name in raw.columns if name not in columns.OURS]
    checked = raw[own + [name for name in (columns.ROW, columns.FILE) if name in raw]]
    checked[columns.KEY] = pd.Series(pd.array(keys, dtype="str"))
    checked[columns.DESIRED] = columns.states(desired)
    checked[columns.OUTCOME] = columns.outcomes(verdicts.outcome)
    checked[columns.REASON] = columns.reasons(verdicts.reason)
    checked[columns.DETAIL] = columns.details(len(raw), verdicts.details)
    checked[columns.COUNTS_AS] = counts_as
    if dated is not None:
        checked[columns.REQUESTED] = dates.of_keys(dates.read(raw[dated]), counts_as, desired)
    return checked


@dataclass(frozen=True, slots=True)
class _Verdicts:
    """What is known of each row so far.

    Attributes:
        outcome: int8, ``OUTCOME_CODES``; ``NONE`` while nothing was said against the row.
        reason: int8, ``REASON_CODES``; ``NONE`` where there is none.
        details: by position, the sentences.
    """

    outcome: npt.NDArray[np.int8]
    reason: npt.NDArray[np.int8]
    details: dict[int, str]

    @classmethod
    def of(cls, count: int) -> "_Verdicts":
        return cls(np.full(count, NONE, np.int8), np.full(count, NONE, np.int8), {})

    def settle(self, at: int, outcome: Outcome, reason: Reason | None, detail: str) -> None:
        """Note a verdict; a row keeps its first outcome and reason, and collects sentences."""
        if self.outcome[at] == NONE:
            self.outcome[at] = OUTCOME_CODES[outcome]
            self.reason[at] = NONE if reason is None else REASON_CODES[reason]
            self.details[at] = detail
        else:
            self.details[at] += f" {detail}"

    def reject(self, at: int, reason: Reason, detail: str) -> None:
        self.settle(at, Outcome.REJECTED, reason, detail)

    @property
    def open(self) -> npt.NDArray[np.intp]:
        """The positions of the rows that nothing was said against."""
        return np.flatnonzero(self.outcome == NONE)


@dataclass(frozen=True, slots=True)
class _Places:
    """Where a row stands, in the words of a person: row 7, or row 7 of b.csv."""

    numbers: npt.NDArray[np.int64]
    files: pd.Series | None

    @classmethod
    def of(cls, raw: pd.DataFrame) -> "_Places":
        return cls(raw[columns.ROW].to_numpy(), raw.get(columns.FILE))

    def name(self, at: int) -> str:
        place = f"row {self.numbers[at]}"
        return place if self.files is None else f"{place} of {self.files.iat[at]}"


def _find(
    own: list[str], names: list[str], asked: str | None, wanted: set[str], option: str, what: str
) -> str:
    """Find one column: by the name asked for, else by what such a column is called."""
    there = ", ".join(repr(name) for name in names) or "none"
    if asked is not None:
        if asked in names:
            return asked
        fits = [name for name in names if _plain(name) == _plain(asked)]
        problem = f"{option} {asked!r}: the input has no such column"
    else:
        fits = [name for name in own if _plain(name) in wanted]
        problem = f"No column for the {what} was found; name it with {option}"
    if not fits:
        raise InputProblem(f"{problem}. Columns: {there}.")
    if len(fits) > 1:
        raise InputProblem(
            f"More than one column could hold the {what}: {', '.join(map(repr, fits))}. "
            f"Say which with {option}. Columns: {there}."
        )
    return fits[0]


def _plain(name: str) -> str:
    """Take case, blanks and punctuation away from a column's name."""
    return "".join(char for char in name.casefold() if char.isalnum())


def _keys(column: pd.Series, verdicts: _Verdicts) -> pa.ChunkedArray:
    """Clean the keys as spreadsheets demand it, and judge them.

    Returns:
        The keys as they are used, large_string.
    """
    keys = _unwrap(_trimmed(_text(column)))
    for at in _hits(pc.equal(keys, "")):
        verdicts.reject(at, Reason.EMPTY_KEY, "The key is empty.")
    # Nearly all keys are printable ASCII, and to see that takes a fraction of what the regex takes.
    if not pc.all(pc.ascii_is_printable(keys)).as_py():
        for at in _hits(pc.match_substring_regex(keys, CONTROL)):
            key = _short(keys[at].as_py())
            sentence = f"The key {key} holds a control character or a line break."
            verdicts.reject(at, Reason.BAD_KEY, sentence)
    if not _all_at(keys):
        for pattern, what in DAMAGE.items():
            for at in _hits(pc.match_substring_regex(keys, pattern)):
                verdicts.reject(at, Reason.BAD_KEY, f"The key {_short(keys[at].as_py())} {what}.")
    return keys


def _all_at(keys: pa.ChunkedArray) -> bool:
    """Tell whether all keys begin with ``@``: then nothing was forced on them, and none damaged."""
    all_do: bool = pc.all(pc.starts_with(keys, "@")).as_py()
    return all_do


def key(text: str) -> str:
    """Clean one key as those of a file are cleaned: outer blanks, ``'`` and ``="..."``."""
    cells = pa.chunked_array([[text]], pa.large_string())
    cleaned: str = _unwrap(pc.utf8_trim_whitespace(cells))[0].as_py()
    return cleaned


def _trimmed(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take off outer blanks; chunks without any are not copied."""
    chunks = []
    for chunk in texts.chunks:
        trimmed = pc.utf8_trim_whitespace(chunk)
        chunks.append(chunk if trimmed.equals(chunk) else trimmed)
    return pa.chunked_array(chunks, texts.type)


def _unwrap(keys: pa.ChunkedArray) -> pa.ChunkedArray:
    """Take off what spreadsheets force on text that begins with ``@``: ``'`` and ``="..."``."""
    if _all_at(keys):
        return keys
    apostrophe = pc.starts_with(keys, "'")
    formula = pc.match_substring_regex(keys, r'(?s)^=".*"$')
    if not pc.any(pc.or_(apostrophe, formula)).as_py():
        return keys
    inside = pc.replace_substring(pc.utf8_slice_codeunits(keys, 2, -1), '""', '"')
    after = pc.utf8_slice_codeunits(keys, 1)
    bare = pc.if_else(apostrophe, after, pc.if_else(formula, inside, keys))
    return pc.utf8_trim_whitespace(bare)


def _states(column: pd.Series, rules: Rules, verdicts: _Verdicts) -> npt.NDArray[np.int8]:
    """Read the states by ``STATES``, each spelling once.

    Returns:
        int8: 1, 0, or -1 where the cell holds no state.
    """
    cells = pc.dictionary_encode(_text(column)).unify_dictionaries()
    spellings = cells.chunk(0).dictionary.to_pylist() if cells.num_chunks else []
    words = [spelling.strip().casefold() for spelling in spellings]
    codes = np.concatenate(
        [np.zeros(0, np.int32), *(chunk.indices.to_numpy() for chunk in cells.chunks)]
    )
    values = np.array([int(STATES.get(word, -1)) for word in words], np.int8)
    states = values[codes] if len(values) else np.zeros(0, np.int8)
    skip = rules.blank_state is BlankState.SKIP
    for at in np.flatnonzero(states < 0).tolist():
        spelling = spellings[codes[at]]
        if words[codes[at]]:
            sentence = f"{_short(spelling)} is no state; write true or false."
            verdicts.reject(at, Reason.BAD_STATE, sentence)
        elif skip:
            sentence = "The state is empty, and --blank-state skip leaves such rows out."
            verdicts.settle(at, Outcome.SKIPPED, Reason.BLANK_STATE, sentence)
        else:
            sentence = "The state is empty; write true or false, or use --blank-state skip."
            verdicts.reject(at, Reason.BLANK_STATE, sentence)
    return states


@dataclass(frozen=True, slots=True)
class _Repeated:
    """Rows whose key may stand in several of them, and what each wants.

    Attributes:
        rows: n positions, ascending.
        group: int64, which key each of them has: 0, 1, ...
        wanted: int8, the state each of them wants: 1 or 0.
    """

    rows: npt.NDArray[np.intp]
    group: npt.NDArray[np.int64]
    wanted: npt.NDArray[np.int8]

    def first(self, chosen: _Mask) -> npt.NDArray[np.intp]:
        """Tell for each row the first of the chosen rows with the same key; -1 if none is."""
        firsts = np.full(self.group.max(initial=-1) + 1, -1, np.intp)
        groups, at = np.unique(self.group[chosen], return_index=True)
        firsts[groups] = self.rows[chosen][at]
        return firsts[self.group]

    def last_wanted(self) -> npt.NDArray[np.int8]:
        """Tell for each row what the last row with the same key wants."""
        lasts = np.zeros(self.group.max(initial=-1) + 1, np.int8)
        groups, from_the_end = np.unique(self.group[::-1], return_index=True)
        lasts[groups] = self.wanted[::-1][from_the_end]
        return lasts[self.group]

    def without(self, left_out: _Mask) -> "_Repeated":
        kept = ~left_out
        return _Repeated(self.rows[kept], self.group[kept], self.wanted[kept])


def _repeats(
    keys: pa.ChunkedArray,
    desired: npt.NDArray[np.int8],
    on_conflict: OnConflict,
    places: _Places,
    verdicts: _Verdicts,
) -> npt.NDArray[np.int64]:
    """Find the rows that repeat a key, and settle all but the one that counts.

    Returns:
        int64: the position of the row that counts for this one: its own unless it is a repeat.
    """
    counts_as = np.arange(len(desired))
    repeated = _repeated(keys, desired, verdicts.open)
    if on_conflict is OnConflict.REJECT:
        repeated = repeated.without(_refuse_conflicts(repeated, places, verdicts))
    if on_conflict is OnConflict.LAST:
        agrees = repeated.wanted == repeated.last_wanted()
    else:
        agrees = (repeated.wanted == 1) | (repeated.first(repeated.wanted == 1) < 0)
    counting = repeated.first(agrees)
    counts_as[repeated.rows] = counting
    for at in np.flatnonzero(counting != repeated.rows).tolist():
        row, place = int(repeated.rows[at]), places.name(counting[at])
        if agrees[at]:
            sentence = f"Same key and state as {place}, which counts."
            verdicts.settle(row, Outcome.DUPLICATE, None, sentence)
        else:
            sentence = (
                f"{place.capitalize()} has this key with the other state, and counts by "
                f"--on-conflict {on_conflict}."
            )
            verdicts.settle(row, Outcome.DUPLICATE, Reason.CONFLICT, sentence)
    return counts_as


def _refuse_conflicts(repeated: _Repeated, places: _Places, verdicts: _Verdicts) -> _Mask:
    """Reject the rows whose key has both states.

    Returns:
        bool: which of the repeated rows these are.
    """
    says_true = repeated.wanted == 1
    others = np.where(says_true, repeated.first(~says_true), repeated.first(says_true))
    refused = others >= 0
    for at, other in zip(repeated.rows[refused].tolist(), others[refused].tolist(), strict=True):
        sentence = (
            f"This key has both states in the input: {places.name(other)} says the other one; see "
            "--on-conflict."
        )
        verdicts.reject(at, Reason.CONFLICT, sentence)
    return refused


def _repeated(
    keys: pa.ChunkedArray, desired: npt.NDArray[np.int8], usable: npt.NDArray[np.intp]
) -> _Repeated:
    """Find those of the usable rows whose key may stand in several of them.

    Only they are compared as texts; all others are told apart by 8 bytes each. Different keys with
    the same hash, should there ever be any, are found to be different then.
    """
    hashes = _hashes(keys)[usable]
    ordered = np.sort(hashes)
    shared = ordered[1:][ordered[1:] == ordered[:-1]]
    rows = usable[np.isin(hashes, shared)] if len(shared) else usable[:0]
    chosen = np.zeros(len(keys), np.bool_)
    chosen[rows] = True
    # Not pc.take, which puts all chunks into one first.
    group, _ = pd.factorize(pd.array(keys.filter(pa.array(chosen)), dtype="str"))
    return _Repeated(rows, group.astype(np.int64), desired[rows])


def _hashes(keys: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Hash every key; Python objects are made of one batch at a time."""
    hashes = np.empty(len(keys), np.int64)
    done = 0
    for batch in pa.table([keys], ["keys"]).to_batches(max_chunksize=_BATCH_ROWS):
        texts = batch.column(0).to_pylist()
        hashes[done : done + len(texts)] = list(map(hash, texts))
        done += len(texts)
    return hashes


def _text(column: pd.Series) -> pa.ChunkedArray:
    return pa.chunked_array(column)


def _hits(matches: pa.ChunkedArray) -> list[int]:
    """Turn a boolean column into the positions where it is true."""
    return np.flatnonzero(matches.to_numpy()).tolist()


def _short(value: str) -> str:
    return repr(value if len(value) <= 60 else f"{value[:60]}…")
