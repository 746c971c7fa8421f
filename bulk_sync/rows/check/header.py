"""Finds the columns of keys, states and request dates by their names, or by the options.

Case, blanks and punctuation of a name do not count. Where more than one column could hold keys or
states, the user must choose.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from bulk_sync.errors import InputProblem
from bulk_sync.rows import columns
from bulk_sync.rows.check.rules import Rules
from bulk_sync.rows.check.state_words import StateMeans
from bulk_sync.rows.same_name import plain
from bulk_sync.settings import KeyKind, Keys

PKEY_NAMES: Final = frozenset({"pkey"})
EMAIL_NAMES: Final = frozenset(
    {"email", "emailaddress", "emailaddresses", "emails", "emailid", "mail", "mailaddress"}
    | {"emailadresse", "adresseemail", "courriel", "correoelectrónico", "indirizzoemail"}
)
"""Names of columns of keys, as ``plain`` makes them."""

_EMAIL_OF: Final = frozenset(
    f"{whose}{email}"
    for whose in (
        "client", "consumer", "contact", "customer", "member", "person", "primary", "profile",
        "recipient", "requester", "requestor", "subject", "subscriber", "user", "your",
    )
    for email in ("email", "emailaddress", "mail")
)  # fmt: skip
"""Names of columns of addresses that count if there is none of ``EMAIL_NAMES``."""

_FORBIDS: Final = re.compile(
    r"(ccpa|cpra|is|has)?"
    r"(opt(ed)?out(of(the)?(sale|selling)((or|and)?sharing)?)?"
    r"|dono?t(sell|share|sell(or|and)?share)(my)?(personal)?(info|information|data)?)"
    r"(status|flag|choice|preference|request(ed)?)?"
)
"""Names of columns whose yes forbids the sale."""

_YES_OR_NO: Final = re.compile("(y(or)?n|yes(or)?no|true(or)?false)$")
"""The end of a name such as ``Opt out (Y/N)``."""

_ALLOWS: Final = re.compile(
    r"consent|opt(ed)?in(?!g)|(may|can|ok|okay|to)(be|we|you)?(sell|sold|share)"
    r"|^(sale|selling|sell|sharing|share)?(is)?(ok|okay|allowed|permitted|authori[sz]ed)$"
    r"|^(allow|permit|authori[sz]e)(s|ed|d)?(the)?(sale|selling|sell|sharing|share)?$"
)
_NEGATES: Final = re.compile(
    "withdr|revok|refus|declin|den[iy]|oppos|object|stop|not|non|without|^no|out|date|time"
)
"""Parts of names of columns whose yes allows the sale, and of others that are like them."""

_REQUEST_DATES: Final = frozenset(
    "".join(name.split())
    for name in (
        "request date", "request time", "request date time", "request timestamp",
        "requested", "requested at", "requested on", "requested date", "date requested",
        "date of request", "date of the request", "time of request",
        "request received", "request received at", "request received on", "request received date",
        "eingang", "eingegangen am", "eingangsdatum", "antragsdatum", "datum des antrags",
        "date de demande", "date de la demande", "fecha de solicitud", "fecha de la solicitud",
        "data richiesta", "data della richiesta",
        "recd", "recd on", "recd date", "date recd",
        "received", "received at", "received on", "received date", "date received",
        "date of receipt", "receipt date",
        "submitted", "submitted at", "submitted on", "submitted date", "date submitted",
        "submission date", "date of submission", "submission time", "submission timestamp",
        "opt out date", "opt out time", "opt out timestamp", "opt out at", "opt out on",
        "date of opt out", "opted out at", "opted out on", "date opted out",
        "opt out request date", "opt out requested at", "opt out requested on",
        "date of opt out request", "date request received", "request received time",
        "ccpa request date", "privacy request date", "consumer request date",
    )
)  # fmt: skip
"""Names of a column of request dates, as ``plain`` makes them. A mere ``date`` or ``created at`` is
not here: it may be the date of the export, or of the profile."""

_DATES_OF_SOMETHING: Final = frozenset({"date", "datetime", "timestamp", "datum", "fecha"})
"""Names of columns of dates that may be those of the requests, of the export, or of the profile."""


@dataclass(frozen=True, slots=True)
class Found:
    """The columns of keys, states and request dates.

    Attributes:
        keys: the kind of the keys.
        key: name of the column of keys.
        state: name of the column of states; None if no row needs one.
        dates: names of the columns that could hold request dates; more than one are not used.
        unused: names of columns of dates that may be those of something else, if there are no
            request dates.
    """

    keys: Keys
    key: str
    state: str | None = None
    dates: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()

    @property
    def date(self) -> str | None:
        """Return the name of the column of request dates, if there is one."""
        return self.dates[0] if len(self.dates) == 1 else None


def find_columns(names: Iterable[str], rules: Rules) -> Found:
    """Find the columns of keys, states and request dates; names are as the input spells them.

    Raises:
        InputProblem: none, or more than one, fits; the message lists the columns.
    """
    names = [str(name) for name in names if name not in (columns.ROW, columns.FILE)]
    own = [name for name in names if name not in columns.OURS] or names
    key, keys = _find_keys(own, names, rules)
    state = _find_state(own, names, key, rules) if rules.needs_state else None
    others = {*columns.OURS, key, state}
    dates = [name for name in names if name not in others and _has_request_dates(name)]
    if rules.date_column is not None:
        dates = [_only(names, [], rules.date_column, "--date-column", "request dates")]
    is_open = rules.needs_state and not dates
    unused = [each for each in own if is_open and plain(each) in _DATES_OF_SOMETHING]
    return Found(keys, key, state, tuple(dates), tuple(each for each in unused if each != state))


def allows(name: str) -> bool:
    """Return whether the name of a column says that a yes in it allows the sale."""
    return _ALLOWS.search(plain(name)) is not None and _NEGATES.search(plain(name)) is None


def is_known(name: str, rules: Rules) -> bool:
    """Return whether the name of a column is one of keys, states or dates."""
    given = (rules.key_column, rules.state_column, rules.date_column)
    if may_hold_keys(name) or plain(name) in {plain(each) for each in given if each is not None}:
        return True
    return forbids(name, rules) or allows(name) or _has_request_dates(name)


def may_hold_keys(name: str) -> bool:
    """Return whether the name of a column is one of PKeys or addresses."""
    return plain(name) in PKEY_NAMES | EMAIL_NAMES | _EMAIL_OF


def forbids(name: str, rules: Rules) -> bool:
    """Return whether the name of a column says that a yes in it forbids the sale."""
    word = plain(name)
    return (
        word == plain(rules.attribute) or _FORBIDS.fullmatch(_YES_OR_NO.sub("", word)) is not None
    )


def _find_state(own: list[str], names: list[str], key: str, rules: Rules) -> str | None:
    forbidding = [name for name in own if forbids(name, rules)]
    if rules.state is not None:
        clash = rules.state_column or next(iter(forbidding), None)
        if clash is not None:
            raise InputProblem(
                f"--state is for a file that holds only keys, but there is a column {clash!r}. "
                "Leave out --state, or take the column out of the file."
            )
        return None
    fits = forbidding
    if rules.words.means is not None:
        allowing = [name for name in own if allows(name)]
        fits = allowing if rules.words.means is StateMeans.CONSENT else forbidding or allowing
    what = f"states ({rules.attribute})"
    state = _only(names, fits, rules.state_column, "--state-column", what, _hint(own, rules))
    if state == key:
        raise InputProblem(
            f"Column {key!r} cannot hold both keys and states. Name two columns with --key-column "
            "and --state-column."
        )
    if rules.words.means is None and allows(state) and not forbids(state, rules):
        raise InputProblem(
            f"By its name, a yes in column {state!r} allows the sale. If so, add --state-means "
            "consent; if it forbids the sale, --state-means opt-out."
        )
    return state


def _hint(own: Iterable[str], rules: Rules) -> str:
    """Return a sentence about columns that were not taken because of what yes means."""
    is_consent = rules.words.means is StateMeans.CONSENT
    others = [name for name in own if (forbids(name, rules) if is_consent else allows(name))]
    if not others:
        return ""
    named = ", ".join(map(repr, others))
    if is_consent:
        return (
            f" By its name, a yes in {named} forbids the sale, and --state-means consent says that "
            "it allows the sale: leave one of the two out, or name the column with --state-column."
        )
    return (
        f" By its name, a yes in {named} allows the sale, so it is not used unless you say so: add "
        "--state-means consent, or, if it forbids the sale, --state-means opt-out."
    )


def _has_request_dates(name: str) -> bool:
    """Return whether a column's name, but for a remark in parentheses, is that of request dates."""
    return plain(name.partition("(")[0]) in _REQUEST_DATES


def _find_keys(own: list[str], names: list[str], rules: Rules) -> tuple[str, Keys]:
    """Find the column of keys; without ``--key`` one of PKeys, else one of e-mail addresses."""
    keys, given = rules.keys, rules.key_column
    pkeys = [name for name in own if plain(name) in PKEY_NAMES]
    emails = [name for name in own if plain(name) in EMAIL_NAMES]
    emails = emails or [name for name in own if plain(name) in _EMAIL_OF]
    what = f"keys (--key {keys.kind})"
    if rules.tells_kind:
        is_email = bool(emails) and not pkeys
        if given:
            is_email = plain(given) in EMAIL_NAMES | _EMAIL_OF
        keys = replace(keys, kind=KeyKind.EMAIL if is_email else KeyKind.PKEY)
        what = "keys (PKey, or email)"
    name, param = keys.filter.removeprefix("by"), keys.param.removesuffix("_parameter")
    of_filter = {plain(each) for each in (keys.filter, name, keys.param, param)} - {""}
    fits = {
        KeyKind.PKEY: pkeys,
        KeyKind.EMAIL: emails,
        KeyKind.CUSTOM: [],
        KeyKind.FILTER: [name for name in own if plain(name) in of_filter],
    }[keys.kind]
    column = _only(names, fits, given, "--key-column", what)
    return column, replace(keys, field=column)


def _only(
    names: Sequence[str],
    fits: Sequence[str],
    given: str | None,
    option: str,
    what: str,
    hint: str = "",
) -> str:
    """Return the one column that fits: by the given name, else the only one found."""
    there = f"Columns: {', '.join(map(repr, names)) or 'none'}."
    problem = f"No column for the {what} was found; name it with {option}.{hint}"
    if given is not None:
        same = [name for name in names if name == given]
        fits = same or [name for name in names if plain(name) == plain(given)]
        problem = f"{option} {given!r}: the input has no such column."
    if not fits:
        raise InputProblem(f"{problem} {there}")
    if len(fits) > 1:
        choose = f"Choose one with {option}" if len(set(fits)) > 1 else "Give them other names"
        raise InputProblem(
            f"More than one column could hold the {what}: {', '.join(map(repr, fits))}. "
            f"{choose}. {there}"
        )
    return fits[0]
