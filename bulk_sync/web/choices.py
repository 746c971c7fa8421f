"""What a person chooses about the columns of a file, as fields of a form and as options.

A choice is kept only where it differs from what is found without it: the next file of a job may
have its header in another row.
"""

import re
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from bulk_sync.web.forms import Form

LABELS: Final[Mapping[str, str]] = {
    "sheet": "Sheet",
    "header_row": "Header row",
    "key_column": "Key column",
    "key": "Keys are",
    "state_column": "State column",
    "state_means": "Yes means",
    "date_column": "Request date",
    "date_order": "Day and month",
    "true_values": "Words that forbid the sale",
    "false_values": "Words that allow the sale",
    "blank_state": "Empty states",
    "on_conflict": "One key with two states",
    "email_case": "Capitals in addresses",
}
"""The fields, each called like its option."""

ALL_FORBID: Final = "every row forbids the sale"
ALL_ALLOW: Final = "every row allows the sale"
"""Choices in place of a column of states."""

KEYS: Final = {
    "pkey": "PKeys of Campaign",
    "email": "E-mail addresses",
    "custom": "Values of a custom field, called like the column",
}
MEANS: Final = {
    "opt-out": "Do not sell: yes forbids the sale",
    "consent": "May be sold: yes allows the sale",
}
ORDER: Final = {
    "month-first": "3/4/2026 is March 4, and real dates are right",
    "day-first": "3/4/2026 is 3 April, and real dates are right",
}
BLANK: Final = {
    "reject": "Must be corrected",
    "skip": "Leave these rows out: nothing was chosen",
}
CONFLICT: Final = {
    "reject": "Must be corrected",
    "opt-out": "The opt-out counts",
    "last": "The last row counts",
}
CASE: Final = {
    "exact": "Count before the @",
    "ignore": "Do not count",
}

PLACE: Final = ("sheet", "header_row")
"""Choices about the place of the table: they are for one file."""

_STATE: Final = "state"
_COLUMNS: Final = ("key_column", "state_column", "date_column")
_OF_COLUMNS: Final = (
    "key_column", "key", "state_column", _STATE, "state_means", "date_column", "date_order",
)  # fmt: skip
_DEFAULTS: Final = {"blank_state": "reject", "on_conflict": "reject", "email_case": "exact"}
_LISTS: Final = ("true_values", "false_values")
_FOR_ONE_FILE: Final = ((_STATE, "false"), ("on_conflict", "last"))
_LONGEST: Final = 10_000

_QUOTED: Final = r"(?:'[^']*'|\"'\"|[\w@%+=:,./-]*[\w@%+=:/-])+"
"""A word as ``shlex.quote`` writes it, without the full stop or comma of its sentence."""

_OPTION: Final = re.compile(
    rf"--({'|'.join(name.replace('_', '-') for name in LABELS)}) ({_QUOTED})"
)

Choices = Mapping[str, str]


def from_form(
    form: Form, before: Choices, shown: Mapping[str, str], *, is_place_open: bool
) -> dict[str, str]:
    """Return what a person has chosen.

    Args:
        form: the fields; a column may be called with blanks at its ends.
        before: the choices with which the file was checked.
        shown: the values that the form had before the person changed it.
        is_place_open: whether the sheet that it showed was a mere proposal.
    """
    given = {name: form.secret(name)[:_LONGEST] for name in LABELS if name in form.fields}
    chosen = {
        name: value
        for name, value in given.items()
        if value.strip() and (value != shown.get(name, "") or name in before or _is_all(value))
    }
    if is_place_open and given.get("sheet"):
        chosen["sheet"] = given["sheet"]
    if any(given[name] != shown[name] for name in PLACE if name in given and shown.get(name)):
        chosen = {name: each for name, each in chosen.items() if name not in _OF_COLUMNS}
    all_rows = chosen.get("state_column", "")
    if _is_all(all_rows):
        del chosen["state_column"]
        chosen.pop("state_means", None)
        chosen[_STATE] = "true" if all_rows == ALL_FORBID else "false"
    return chosen


def values(choices: Choices, found: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the values of the fields: what was read as what, else what was chosen."""
    told = {name: str(value) for name, value in (found or {}).items() if value is not None}
    merged = {**_DEFAULTS, **choices, **told}
    if _STATE in merged:
        merged["state_column"] = ALL_FORBID if merged.pop(_STATE) == "true" else ALL_ALLOW
        merged.pop("state_means", None)
    return merged


def words(choices: Choices) -> list[str]:
    """Return the options of the command line."""
    return [f"--{name.replace('_', '-')}={value}" for name, value in choices.items()]


def fit(choices: Choices, columns: Sequence[Mapping[str, Any]]) -> bool:
    """Return whether a file has the chosen columns."""
    names = {each["name"] for each in columns}
    chosen = {choices[name] for name in _COLUMNS if name in choices}
    return not names or chosen <= names


def of_columns(choices: Choices) -> dict[str, str]:
    """Return the choices that fit other files of the same kind."""
    return {name: value for name, value in choices.items() if name not in PLACE}


def of_job(choices: Choices) -> dict[str, str]:
    """Return the choices for the next file of a job, without those that may lift an opt-out."""
    return dict(each for each in of_columns(choices).items() if each not in _FOR_ONE_FILE)


def has_more(shown: Mapping[str, str]) -> bool:
    """Return whether any choice that is folded away is not the usual one."""
    return any(shown.get(name, "") != _DEFAULTS.get(name, "") for name in (*_LISTS, *_DEFAULTS))


def in_words(text: str) -> str:
    """Return a message of the command line with the fields of the page in place of its options."""
    for pattern, instead in _PHRASES:
        text = pattern.sub(instead, text)
    return text


def _is_all(value: str) -> bool:
    return value in {ALL_FORBID, ALL_ALLOW}


def _added(options: re.Match[str]) -> str:
    """Return what to put into which fields in place of options that a shell would read."""
    puts = []
    for option, quoted in _OPTION.findall(options[0]):
        name, (value,) = option.replace("-", "_"), shlex.split(quoted)
        shown = value if value == quoted or name in _LISTS else repr(value)
        puts.append(f"{shown} into “{LABELS[name]}”")
    return f"put {' and '.join(puts)}"


def _phrases() -> Iterator[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]]]:
    for name, choices in (
        ("state_means", MEANS),
        ("date_order", ORDER),
        ("blank_state", BLANK),
        ("on_conflict", CONFLICT),
        ("email_case", CASE),
        ("key", {name: text for name, text in KEYS.items() if name != "custom"}),
    ):
        for value, text in choices.items():
            flag = f"--{name.replace('_', '-')} {value}"
            choice = f"“{LABELS[name]}: {text}”"
            yield re.compile(rf"\badd {re.escape(flag)}\b"), f"choose {choice}"
            yield re.compile(rf"{re.escape(flag)}\b"), choice
    yield re.compile(r"--state(?![\w-])( true| false)?"), f"“{LABELS['state_column']}”"
    yield re.compile(rf"\badd {_OPTION.pattern}(?: {_OPTION.pattern})*"), _added
    for name, label in LABELS.items():
        yield re.compile(rf"--{name.replace('_', '-')}(?![\w-])"), f"“{label}”"
    for text, instead in _WITHOUT_FIELD.items():
        yield re.compile(re.escape(text)), instead
    yield re.compile(r" \(--[^()]+\)"), ""


KEEPER: Final = "the person who looks after this page"
_WITHOUT_FIELD: Final = {
    ", or write no opt-in at all with --hold-opt-ins --max-opt-ins 0": "",
    ", and `bulk-sync holidays` lists the days that do not count": "",
    "alone. --ignore-dates goes by the file.": (
        "alone. If it is later, write its date into the file, and upload it again."
    ),
    "; --ignore-dates goes by the file.": f": if so, ask {KEEPER}.",
    "; --on-ambiguous all takes all of them.": (
        f". Write the PKey of the right one in its place, or ask {KEEPER} to change all of them."
    ),
    "; `bulk-sync resume` goes on": "; it can be resumed",
    "Stopped by SIGINT": "It was stopped at the page or by Ctrl-C",
    "Stopped by SIGTERM": "The machine stopped it",
    "`bulk-sync map` finds": f"{KEEPER} can find",
}
"""What a person at the page does where an option, or a command, has no field."""

_PHRASES: Final = tuple(_phrases())
