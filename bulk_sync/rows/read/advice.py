"""Explains why no table is found in a file: what is there, and which options would name it. Pure.

The message itself holds no cell that may be personal data: these are in the overview, which is for
the person at the terminal.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bulk_sync.errors import InputProblem, Remedy
from bulk_sync.rows.check.header import allows, find_columns, forbids, is_known
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.check.state_words import StateMeans, StateWords
from bulk_sync.rows.listing import one_value
from bulk_sync.rows.read.first_rows import HEADER_ROWS, FirstRows, HeaderPlace, Wanted, choose
from bulk_sync.settings import KeyKind

_SHOWN_CHARACTERS: Final = 32
_SHOWN_CELLS: Final = 8
_SHOWN_COLUMNS: Final = 30
_ROWS_BELOW: Final = 3
_REMEDIES: Final = 4
_CHOICES: Final = 4
"""A column with more words than this holds no states."""

_MEANINGS: Final = ((StateMeans.OPT_OUT, "forbids"), (StateMeans.CONSENT, "allows"))
_EMAILS, _PKEYS, _STATES, _TEXT = "e-mail addresses", "PKeys", "yes or no", "text"
_LOOKS: Final = {
    _EMAILS: re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+"),
    _PKEYS: re.compile(r"['\"=]*@\S+"),
    "dates": re.compile(
        r"\d{1,4}([./-])\d{1,2}\1\d{1,4}([T ,].*)?|\d{1,2}[. -]+[A-Za-z]{3,9}[. -]+\d{2,4}"
    ),
    "numbers": re.compile(r"[-+]?\d[\d.,]*"),
}
"""What a cell looks like. States are known by their words, and everything else is text."""


@dataclass(frozen=True, slots=True)
class _Column:
    """One column below a row that may be the header.

    Attributes:
        sample: the first cell with content; "" if there is none.
        look: what most of its cells look like.
        forbidding: words in it, other than yes and no, that forbid the sale, such as ``Opt out``.
        allowing: words in it that allow the sale, such as ``Opt in``.
        choice: its words if they are few, and come again and again: they may be states.
    """

    name: str
    sample: str
    look: str
    forbidding: Sequence[str]
    allowing: Sequence[str]
    choice: Sequence[str]


def refusal(
    sheets: Sequence[FirstRows], wanted: Wanted, place: str, listed: Sequence[FirstRows] = ()
) -> InputProblem:
    """Return why no table is found, with what is there, and what would help; see ``locate``."""
    rules = wanted.rules or Rules()
    able = [HeaderPlace(each, row) for each in sheets for row in wanted.headers(each)]
    if able:
        remedies = [
            Remedy(_place(each, sheets, wanted), f"If {each} is the header, type") for each in able
        ]
        message = (
            f"more than one row could be the header: {', '.join(map(str, able[:_REMEDIES]))}. "
            "Choose one with --header-row or --sheet."
        )
        best, columns = able[0], _columns_of(able[0], rules)
    else:
        best = most_like_a_header(sheets, wanted, rules)
        columns = _columns_of(best, rules)
        remedies = []
        if _is_data(columns, rules):
            columns = _nameless(best, rules)
            message = (
                f"no row with the names of the columns was found; {best} looks like data. Write "
                "the names above the data, such as PKey,ccpaOptOut or E-mail,Opt out."
            )
        else:
            message = _why(best, columns, wanted, rules)
            remedies = list(_remedies(sheets, best, columns, wanted))
        if moved := _moved(sheets, wanted):
            message = f"{best} is not the header (--header-row), but {moved} is one."
            remedies = [Remedy(_place(moved, sheets, wanted))]
            best, columns = moved, _columns_of(moved, rules)
    overview = _overview(best, columns, listed)
    return InputProblem(f"{place}: {message}", [*overview], remedies[:_REMEDIES])


def _moved(sheets: Sequence[FirstRows], wanted: Wanted) -> HeaderPlace | None:
    """Return where a header is that --header-row does not name, such as last month's place."""
    return choose(sheets, replace(wanted, header_row=None)) if wanted.header_row else None


def most_like_a_header(sheets: Sequence[FirstRows], wanted: Wanted, rules: Rules) -> HeaderPlace:
    """Return the row with most known names, then most text; one with dates or keys comes last."""
    if wanted.header_row is not None:
        return HeaderPlace(sheets[0], wanted.header_row)

    def score(choice: HeaderPlace) -> tuple[bool, int, int]:
        cells = [cell for cell in choice.first.rows[choice.header_row] if cell.strip()]
        looks = Counter(_look([cell], rules) for cell in cells)
        known = sum(is_known(cell, rules) for cell in cells)
        return looks.keys() <= {_TEXT, _STATES}, known, looks[_TEXT]

    return max((HeaderPlace(each, row) for each in sheets for row in each.rows), key=score)


def _is_data(columns: Sequence[_Column], rules: Rules) -> bool:
    looks = [(_look([each.name], rules), each.look) for each in columns]
    if any(own in {_EMAILS, _PKEYS} for own, _ in looks):
        return True
    is_like_below = any(own == below != _TEXT for own, below in looks)
    return is_like_below and not any(is_known(each.name, rules) for each in columns)


def _why(best: HeaderPlace, columns: Sequence[_Column], wanted: Wanted, rules: Rules) -> str:
    is_first = best.header_row == min(best.first.rows)
    is_it = "looks most like a" if wanted.header_row is None else "is no"
    try:
        find_columns([each.name for each in columns], rules)
    except InputProblem as problem:
        return str(problem) if is_first else f"{best} {is_it} header. {problem}"
    return (
        f"{best} could be the header, but it is not among the first {HEADER_ROWS} rows. If it is, "
        f"name it with --header-row {best.header_row}."
    )


def _columns_of(place: HeaderPlace, rules: Rules) -> list[_Column]:
    below = [cells for row, cells in place.first.rows.items() if row > place.header_row]
    columns = []
    for at, name in enumerate(place.first.rows.get(place.header_row, ())):
        cells = [cells[at] for cells in below if at < len(cells) and cells[at].strip()]
        if name.strip():
            sample, words = cells[0] if cells else "", dict.fromkeys(map(str.strip, cells))
            forbidding = [word for word in words if forbids(word, rules)]
            allowing = [word for word in words if allows(word)]
            look = _look(cells, rules)
            is_choice = look == _TEXT and 1 < len(words) <= _CHOICES and len(words) < len(cells)
            choice = [*words] if is_choice else []
            columns.append(_Column(name, sample, look, forbidding, allowing, choice))
    return columns


def _nameless(choice: HeaderPlace, rules: Rules) -> list[_Column]:
    width = max(map(len, choice.first.rows.values()))
    names = [f"Column {at + 1}" for at in range(width)]
    rows = {0: names, **choice.first.rows}
    return _columns_of(HeaderPlace(replace(choice.first, rows=rows), 0), rules)


def _look(cells: Sequence[str], rules: Rules) -> str:
    if not cells:
        return "empty"
    if 2 * sum(rules.words.state(cell) is not None for cell in cells) > len(cells):
        return _STATES
    for look, form in _LOOKS.items():
        if 2 * sum(form.fullmatch(cell.strip()) is not None for cell in cells) > len(cells):
            return look
    return _TEXT


def _remedies(
    sheets: Sequence[FirstRows], best: HeaderPlace, columns: Sequence[_Column], wanted: Wanted
) -> Iterator[Remedy]:
    """Yield options with any of which the input can be read, each tried before."""
    rules, names = wanted.rules or Rules(), [each.name for each in columns]
    for of_keys, with_keys in _with_keys(columns, rules):
        for of_states, complete in _with_states(columns, with_keys):
            able = replace(wanted, rules=complete)
            if able.is_header(names):
                words = [*of_keys, *of_states.words, *_place(best, sheets, able)]
                yield Remedy(words, of_states.when)


def _with_keys(columns: Sequence[_Column], rules: Rules) -> Iterator[tuple[list[str], Rules]]:
    keys_alone = replace(rules, needs_state=False, date_column=None)
    if _is_complete(columns, keys_alone):
        looks = {each.name: each.look for each in columns}
        found = find_columns(looks, keys_alone)
        is_email = found.keys.kind is KeyKind.EMAIL and rules.key_column is None
        if not (is_email and looks[found.key] == _TEXT and _EMAILS in looks.values()):
            yield [], rules
            return
    for look, kind in ((_PKEYS, KeyKind.PKEY), (_EMAILS, KeyKind.EMAIL)):
        if not rules.tells_kind and rules.keys.kind is not kind:
            continue
        for column in columns:
            if column.look == look:
                keys = replace(rules.keys, kind=kind)
                named = replace(rules, key_column=column.name, keys=keys, tells_kind=False)
                words = ["--key", "email"] if rules.tells_kind and kind is KeyKind.EMAIL else []
                yield [*words, "--key-column", column.name], named


def _with_states(columns: Sequence[_Column], rules: Rules) -> Iterator[tuple[Remedy, Rules]]:
    """Yield options that name a column of states, or what yes means in it, with the rules."""
    if _is_complete(columns, rules):
        yield Remedy([]), rules
        return
    names = [each.name for each in columns]
    states = [each.name for each in columns if each.look == _STATES or allows(each.name)]
    for name in states:
        named, words = replace(rules, state_column=name), ["--state-column", name]
        if rules.words.means is not None or forbids(name, rules):
            yield Remedy(words), named
            continue
        for means, does in sorted(_MEANINGS, reverse=not allows(name)):
            said = replace(named, words=replace(rules.words, means=means))
            unnamed = replace(said, state_column=None)
            is_found = _is_complete(columns, unnamed) and name == find_columns(names, unnamed).state
            words_of_column = [] if is_found else words
            is_default = means is StateMeans.OPT_OUT and not allows(name)
            words_of_means = [] if is_default else ["--state-means", means]
            when = f"If yes in {name!r} {does} the sale, type"
            yield Remedy([*words_of_column, *words_of_means], when), said
    phrased = [] if states else [each for each in columns if each.forbidding]
    for each in phrased:
        words = ["--state-column", each.name, "--true-values", one_value(each.forbidding)]
        when = f"If {_quoted(each.forbidding)} in {each.name!r} forbids the sale"
        if each.allowing:
            words += ["--false-values", one_value(each.allowing)]
            when += f", and {_quoted(each.allowing)} allows it"
        yield Remedy(words, f"{when}, type"), replace(rules, state_column=each.name)
    choices = [] if states or phrased else [each for each in columns if each.choice]
    for each in choices:
        yield from _by_either_word(each, rules)
    is_bare = not (states or phrased or choices)
    if is_bare and rules.needs_state and rules.words == StateWords():
        yield (
            Remedy(["--state", "true"], "If every row forbids the sale, type"),
            replace(rules, state=True),
        )


def _by_either_word(column: _Column, rules: Rules) -> Iterator[tuple[Remedy, Rules]]:
    """Yield options for a column with two words, of which either may forbid the sale."""
    if len(column.choice) == 2:
        for forbids_it, allows_it in (column.choice, column.choice[::-1]):
            words = ["--state-column", column.name]
            words += ["--true-values", one_value([forbids_it])]
            words += ["--false-values", one_value([allows_it])]
            when = f"If {forbids_it!r} in {column.name!r} forbids the sale, and {allows_it!r} "
            yield Remedy(words, f"{when}allows it, type"), replace(rules, state_column=column.name)


def _quoted(words: Sequence[str]) -> str:
    return " or ".join(map(repr, words))


def _is_complete(columns: Sequence[_Column], rules: Rules) -> bool:
    return Wanted(rules=rules).is_header([each.name for each in columns])


def _place(choice: HeaderPlace, sheets: Sequence[FirstRows], wanted: Wanted) -> list[str]:
    """Return the options that the place of a table takes, as few as will do."""
    by_sheet = [] if choice.first.sheet is None else ["--sheet", choice.first.sheet]
    by_row = ["--header-row", str(choice.header_row)]
    given = replace(wanted, header_row=choice.header_row)
    if choose(sheets, wanted) == choice:
        return []
    if choose([choice.first], wanted) == choice:
        return by_sheet
    return by_row if choose(sheets, given) == choice else [*by_sheet, *by_row]


def _overview(
    best: HeaderPlace, columns: Sequence[_Column], listed: Sequence[FirstRows]
) -> Iterator[str]:
    if listed:
        empty = {True: "", False: " (empty)"}
        named = ", ".join(f"{each}{empty[bool(each.rows)]}" for each in listed)
        yield f"Sheets: {named}"
    sheet = "" if best.first.sheet is None else f" of sheet {best.first.sheet!r}"
    yield f"First rows{sheet}:"
    below = [row for row in best.first.rows if row > best.header_row][:_ROWS_BELOW]
    for row, cells in best.first.rows.items():
        if row <= best.header_row or row in below:
            more = " | ..." if len(cells) > _SHOWN_CELLS else ""
            yield f"  row {row:<3} {' | '.join(map(_short, cells[:_SHOWN_CELLS]))}{more}"
    if columns:
        is_named = columns[0].name in best.first.rows.get(best.header_row, ())
        yield f"Columns, if row {best.header_row} is the header:" if is_named else "Columns:"
        width = max(len(_short(each.name)) for each in columns)
        for each in columns[:_SHOWN_COLUMNS]:
            sample = f", such as {_short(each.sample)}" if each.sample else ""
            yield f"  {_short(each.name):<{width}}  {each.look}{sample}"


def _short(cell: str) -> str:
    """Return a cell for a terminal: on one line, without control characters, not too long."""
    text = " ".join("".join(char if char.isprintable() else " " for char in cell).split())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[: _SHOWN_CHARACTERS - 3]}..."
