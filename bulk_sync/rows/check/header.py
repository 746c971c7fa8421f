"""Finds the columns of keys, states and request dates by their names, or by those asked for.

Case, blanks and punctuation of a name do not count. Where more than one column could hold keys or
states nobody chooses for the user.
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


_PKEY: Final = frozenset({"pkey"})
_EMAIL: Final = frozenset({"email", "emailaddress"})
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
    """The columns that hold keys and states, and what the keys are.

    Attributes:
        key: name of the column of keys.
        state: name of the column of states; None if one state serves all rows.
        keys: what the keys are.
    """

    key: str
    state: str | None
    keys: Keys


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
    key, keys = _find_keys(own, names, rules)
    if not rules.needs_state:
        return Found(key, None, keys)
    wanted = {plain(rules.attribute), *_STATE}
    what = f"states ({rules.attribute})"
    if rules.state is None:
        state = _find(own, names, rules.state_column, wanted, "--state-column", what)
        if state == key:
            raise InputProblem(
                f"Column {key!r} cannot hold both keys and states. Name two columns with "
                "--key-column and --state-column."
            )
        return Found(key, state, keys)
    clash = rules.state_column or next((name for name in own if plain(name) in wanted), None)
    if clash is not None:
        raise InputProblem(
            f"--state is for a file that holds only keys, but there is a column {clash!r}. Leave "
            "out --state, or take the column out of the file."
        )
    return Found(key, None, keys)


def find_keys(names: Iterable[str], rules: Rules) -> tuple[str, Keys]:
    """Tell which column holds the keys, and what they are.

    Raises:
        InputProblem: none, or more than one, fits; the message lists the columns.
    """
    names = [str(name) for name in names if name not in (columns.ROW, columns.FILE)]
    own = [name for name in names if name not in columns.OURS] or names
    return _find_keys(own, names, rules)


def _find_keys(own: list[str], names: list[str], rules: Rules) -> tuple[str, Keys]:
    """Find the column of keys; without ``--key`` one of PKeys, else one of e-mail addresses."""
    keys, asked = rules.keys, rules.key_column
    if rules.tells_kind:
        has_pkeys = any(plain(name) in _PKEY for name in own)
        has_emails = any(plain(name) in _EMAIL for name in own)
        is_email = plain(asked) in _EMAIL if asked else has_emails and not has_pkeys
        keys = replace(keys, kind=KeyKind.EMAIL if is_email else KeyKind.PKEY)
        if asked is None and not has_pkeys and not has_emails:
            _find(own, names, None, set(), "--key-column", "keys (PKey, or email)")
    wanted = {
        KeyKind.PKEY: _PKEY,
        KeyKind.EMAIL: _EMAIL,
        KeyKind.CUSTOM: frozenset[str](),
        KeyKind.FILTER: _called_like(keys),
    }[keys.kind]
    what = "keys (PKey)" if keys.kind is KeyKind.PKEY else f"keys (--key {keys.kind})"
    column = _find(own, names, asked, set(wanted), "--key-column", what)
    return column, replace(keys, field=column)


def _called_like(keys: Keys) -> frozenset[str]:
    """Tell how the column may be called that holds what a filter is asked with."""
    name, param = keys.filter.removeprefix("by"), keys.param.removesuffix("_parameter")
    return frozenset({plain(each) for each in (keys.filter, name, keys.param, param)} - {""})


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
    fits = [name for name in own if plain(name) in request_dates.NAMES]
    if len(fits) > 1:
        log.warning(
            "More than one column could hold the dates of the requests: %s. Rows are worked on in "
            "the order of the input; to have the oldest requests first, name one with "
            "--date-column.",
            ", ".join(map(repr, fits)),
        )
    return fits[0] if len(fits) == 1 else None


def _find(
    own: list[str], names: list[str], asked: str | None, wanted: set[str], option: str, what: str
) -> str:
    """Find one column: by the name asked for, else by what such a column is called."""
    there = ", ".join(repr(name) for name in names) or "none"
    if asked is not None:
        if asked in names:
            return asked
        fits = [name for name in names if plain(name) == plain(asked)]
        problem = f"{option} {asked!r}: the input has no such column"
    else:
        fits = [name for name in own if plain(name) in wanted]
        problem = f"No column for the {what} was found; name it with {option}"
    if not fits:
        raise InputProblem(f"{problem}. Columns: {there}.")
    if len(fits) > 1:
        raise InputProblem(
            f"More than one column could hold the {what}: {', '.join(map(repr, fits))}. "
            f"Say which with {option}. Columns: {there}."
        )
    return fits[0]
