"""Finds the columns of keys, states and request dates by their names, or by the options.

Case, blanks and punctuation of a name do not count. Where more than one column could hold keys or
states, the user must choose.
"""

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import KeyKind, Keys

log = logging.getLogger(__name__)


PKEY_NAMES: Final = frozenset({"pkey"})
EMAIL_NAMES: Final = frozenset({"email", "emailaddress"})
"""Names of columns of keys, as ``plain`` makes them."""

_SALE: Final = frozenset(
    {"donotsell", "donotshare", "donotsellorshare", "donotsellmyinfo", "donotsellmydata"}
    | {"donotsellmypersonalinformation", "donotsellmypersonalinfo"}
    | {"donotsellorsharemypersonalinformation", "donotsellorsharemypersonalinfo"}
)
_STATE: Final = _SALE | {
    f"{before}{word}{after}"
    for word in ("optout", "optedout")
    for before in ("", "ccpa", "cpra")
    for after in ("", "status", "flag", "ofsale", "requested")
}
"""Names of columns whose yes forbids the sale. One whose yes allows it is not found by its name."""


@dataclass(frozen=True, slots=True)
class Found:
    """The columns of keys and states.

    Attributes:
        key: name of the column of keys.
        state: name of the column of states; None if one state serves all rows.
        keys: the kind of the keys.
    """

    key: str
    state: str | None
    keys: Keys


def find_columns(names: Iterable[str], rules: Rules) -> Found:
    """Find the columns of keys and desired states.

    Args:
        names: the input's own columns.
        rules: the names that the user gave, if any.

    Returns:
        Their names, exactly as the input spells them.

    Raises:
        InputProblem: none, or more than one, fits; the message lists the columns.
    """
    names = _own(names)
    own = [name for name in names if name not in columns.REPORT] or names
    key, keys = _find_keys(own, names, rules)
    if not rules.needs_state:
        return Found(key, None, keys)
    usual = _STATE | {plain(rules.attribute)}
    if rules.state is not None:
        clash = rules.state_column or next((name for name in own if plain(name) in usual), None)
        if clash is not None:
            raise InputProblem(
                f"--state is for a file that holds only keys, but there is a column {clash!r}. "
                "Leave out --state, or take the column out of the file."
            )
        return Found(key, None, keys)
    what = f"states ({rules.attribute})"
    state = _find(own, names, rules.state_column, usual, "--state-column", what)
    if state == key:
        raise InputProblem(
            f"Column {key!r} cannot hold both keys and states. Name two columns with --key-column "
            "and --state-column."
        )
    return Found(key, state, keys)


def find_keys(names: Iterable[str], rules: Rules) -> tuple[str, Keys]:
    """Find the column of keys, and their kind.

    Raises:
        InputProblem: none, or more than one, fits; the message lists the columns.
    """
    names = _own(names)
    return _find_keys([name for name in names if name not in columns.OURS] or names, names, rules)


def find_dates(names: Iterable[str], rules: Rules, found: Found) -> str | None:
    """Find the column of request dates.

    Returns:
        Its name; None if there is none. If two fit it is None too, and the log names them: the
        order of the work is not worth a refusal.

    Raises:
        InputProblem: there is no column of the given name; the message lists the columns.
    """
    names = _own(names)
    if rules.date_column is not None:
        return _find(names, names, rules.date_column, frozenset(), "--date-column", "request dates")
    own = [name for name in names if name not in (*columns.OURS, found.key, found.state)]
    fits = [name for name in own if plain(name) in request_dates.NAMES]
    if len(fits) > 1:
        log.warning(
            "More than one column could hold the dates of the requests: %s. Rows are worked on in "
            "the order of the input; to have the oldest requests first, name one with "
            "--date-column.",
            ", ".join(map(repr, fits)),
        )
    return fits[0] if len(fits) == 1 else None


def _own(names: Iterable[str]) -> list[str]:
    return [str(name) for name in names if name not in (columns.ROW, columns.FILE)]


def _find_keys(own: list[str], names: list[str], rules: Rules) -> tuple[str, Keys]:
    """Find the column of keys; without ``--key`` one of PKeys, else one of e-mail addresses."""
    keys, given = rules.keys, rules.key_column
    if rules.tells_kind:
        there = {plain(name) for name in own}
        is_email = (
            plain(given) in EMAIL_NAMES
            if given
            else bool(there & EMAIL_NAMES) and not there & PKEY_NAMES
        )
        keys = replace(keys, kind=KeyKind.EMAIL if is_email else KeyKind.PKEY)
        if given is None and not there & (PKEY_NAMES | EMAIL_NAMES):
            _find(own, names, None, frozenset(), "--key-column", "keys (PKey, or email)")
    usual = {
        KeyKind.PKEY: PKEY_NAMES,
        KeyKind.EMAIL: EMAIL_NAMES,
        KeyKind.CUSTOM: frozenset[str](),
        KeyKind.FILTER: _names_of_filter(keys),
    }[keys.kind]
    what = "keys (PKey)" if keys.kind is KeyKind.PKEY else f"keys (--key {keys.kind})"
    column = _find(own, names, given, usual, "--key-column", what)
    return column, replace(keys, field=column)


def _names_of_filter(keys: Keys) -> frozenset[str]:
    """Return the usual names of a column with the values of a filter."""
    name, param = keys.filter.removeprefix("by"), keys.param.removesuffix("_parameter")
    return frozenset({plain(each) for each in (keys.filter, name, keys.param, param)} - {""})


def _find(
    own: list[str],
    names: list[str],
    given: str | None,
    usual: frozenset[str],
    option: str,
    what: str,
) -> str:
    """Find one column: by the given name, else by the usual ones."""
    there = ", ".join(map(repr, names)) or "none"
    if given in names:
        return str(given)
    if given is not None:
        fits = [name for name in names if plain(name) == plain(given)]
        problem = f"{option} {given!r}: the input has no such column"
    else:
        fits = [name for name in own if plain(name) in usual]
        problem = f"No column for the {what} was found; name it with {option}"
    if not fits:
        raise InputProblem(f"{problem}. Columns: {there}.")
    if len(fits) > 1:
        raise InputProblem(
            f"More than one column could hold the {what}: {', '.join(map(repr, fits))}. "
            f"Choose one with {option}. Columns: {there}."
        )
    return fits[0]
