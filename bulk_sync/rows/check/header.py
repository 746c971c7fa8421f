"""Finds the columns of keys, states and request dates by their names, or by the options.

Case, blanks and punctuation of a name do not count. Where more than one column could hold keys or
states, the user must choose.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Final

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns, request_dates
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import KeyKind, Keys

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
    """The columns of keys, states and request dates.

    Attributes:
        keys: the kind of the keys.
        key: name of the column of keys.
        state: name of the column of states; None if no row needs one.
        dates: names of the columns that could hold request dates; more than one are not used.
    """

    keys: Keys
    key: str
    state: str | None = None
    dates: tuple[str, ...] = ()

    @property
    def date(self) -> str | None:
        """Return the name of the column of request dates, if there is one."""
        return self.dates[0] if len(self.dates) == 1 else None


def find_columns(names: Iterable[str], rules: Rules) -> Found:
    """Find the columns of keys, desired states and request dates.

    Args:
        names: the input's own columns.
        rules: the names that the user gave, if any.

    Returns:
        Their names, exactly as the input spells them.

    Raises:
        InputProblem: none, or more than one, fits; the message lists the columns.
    """
    names = [str(name) for name in names if name not in (columns.ROW, columns.FILE)]
    own = [name for name in names if name not in columns.OURS] or names
    key, keys = _find_keys(own, names, rules)
    state = _find_state(own, names, key, rules) if rules.needs_state else None
    return Found(keys, key, state, _find_dates(names, rules, {key, state}))


def _find_state(own: list[str], names: list[str], key: str, rules: Rules) -> str | None:
    """Find the column of states; None if one state serves all rows."""
    usual = _STATE | {plain(rules.attribute)}
    if rules.state is not None:
        clash = rules.state_column or next((name for name in own if plain(name) in usual), None)
        if clash is not None:
            raise InputProblem(
                f"--state is for a file that holds only keys, but there is a column {clash!r}. "
                "Leave out --state, or take the column out of the file."
            )
        return None
    what = f"states ({rules.attribute})"
    state = _find(own, names, rules.state_column, usual, "--state-column", what)
    if state == key:
        raise InputProblem(
            f"Column {key!r} cannot hold both keys and states. Name two columns with --key-column "
            "and --state-column."
        )
    return state


def _find_dates(names: list[str], rules: Rules, others: Collection[str | None]) -> tuple[str, ...]:
    """Find the columns that could hold request dates."""
    if rules.date_column is not None:
        given = rules.date_column
        return (_find(names, names, given, frozenset(), "--date-column", "request dates"),)
    own = [name for name in names if name not in columns.OURS and name not in others]
    return tuple(name for name in own if request_dates.is_name(name))


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
