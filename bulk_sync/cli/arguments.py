"""What was asked: settings built from parsed options, once, at the edge.

A run that goes on, or that is of another one, takes up that one's options; what is given anew on
the command line, in the environment or in the configuration overrules them.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

import bulk_sync.storage.lock
from bulk_sync import garbage
from bulk_sync.cli.config import secret, secret_text, variable
from bulk_sync.cli.next_command import pair
from bulk_sync.errors import UsageProblem
from bulk_sync.settings import (
    Bound,
    Connection,
    Creating,
    Fetch,
    Keys,
    Limits,
    Oddity,
    Pace,
    Reading,
    State,
    Writing,
    reached,
)

if TYPE_CHECKING:
    from bulk_sync.cli.display import Look
    from bulk_sync.ledger import Begun
    from bulk_sync.runs import Input, Job

CONNECTION: Final = (
    "endpoint", "organization", "api_key", "ims_endpoint", "scope", "api", "attribute", "ca_file",
)  # fmt: skip
_INPUT: Final = (
    "key", "key_column", "state_column", "date_column", "state", "sheet", "blank_state",
    "on_conflict", "email_case", "dialect", "key_field", "ignore_dates",
)  # fmt: skip
_WORK: Final = (
    "rate", "concurrency", "max_calls", "max_calls_per_day", "retries", "timeout",
    "patience", "fetch", "page_size", "max_changes", "max_opt_ins", "max_failures",
    "allow", "verify", "job", "on_ambiguous", "create", "create_column", "max_creates",
    "keep_rows",
)  # fmt: skip
BUDGETS: Final = ("max_calls", "max_calls_per_day")
"""Options that always hold as given now, never as given when a run began."""

LIMITS: Final = ("max_changes", "max_opt_ins", "max_failures", "max_creates")
_PLACE: Final = ("organization", "endpoint", "attribute")
"""What a run that goes on must not change."""

_RECORDED: Final = (*CONNECTION, *_INPUT, *_WORK)
"""Options that a run is recorded with; none of them is a secret."""

_ABSENT: Final[Mapping[str, Any]] = {
    "fetch": str(Fetch.AUTO), "page_size": None, "verify": False,
    "allow": (), "job": None, "max_changes": None, "max_opt_ins": None, "max_failures": None,
    "max_creates": None, "key": None, "key_column": None, "email_case": "exact", "key_field": None,
    "dialect": "standard", "on_ambiguous": None, "on_conflict": "reject", "create": False,
    "create_column": (), "state": None, "state_column": None, "date_column": None,
    "blank_state": "reject", "sheet": None, "keep_rows": None,
}  # fmt: skip
"""What options are that a command does not have."""


def job(values: Mapping[str, Any], reports: tuple[Path, ...], name: str) -> "Job":
    """Build a job from parsed options.

    Raises:
        UsageProblem: something is missing or cannot work.
    """
    from bulk_sync.rows.check import OnConflict
    from bulk_sync.runs import Job, JobRecord, Matching

    garbage.spare_imports()
    values = {**_ABSENT, **values}
    keys = Keys.of(values)
    return Job(
        connection=reached(connection(values), keys),
        state=state(values),
        pace=pace(values),
        reading=Reading(Fetch(values["fetch"]), values["page_size"]),
        writing=Writing(verify=bool(values["verify"])),
        limits=limits(values),
        matching=Matching(keys, OnConflict(values["on_conflict"]), _creating(values)),
        record=JobRecord(
            name=str(values["job"] or name),
            settings={each: _plain(values[each]) for each in _RECORDED if each in values},
            reports=tuple(map(str, reports)),
        ),
    )


def _creating(values: Mapping[str, Any]) -> Creating | None:
    if not values["create"]:
        return None
    return Creating.parse(values["create_column"], values["attribute"])


def again(values: Mapping[str, Any], begun: "Begun") -> dict[str, Any]:
    """Put the options of another run below those that are given now.

    Raises:
        UsageProblem: another organization, endpoint or attribute is given now.
    """
    given = _given(values)
    for name in _PLACE:
        was, now = str(getattr(begun, name)), str(given.get(name, "")).rstrip("/")
        if now and not _is_same(name, now, was):
            raise UsageProblem(
                f"The run is of {name} {was!r}, and --{name} (or {variable(name)}, or the "
                f"configuration) says {now!r}. Leave it out, or name another run."
            )
    # What was typed for the run, or sealed in its plan, is not loosened by what holds in general.
    sealed = {name for name in LIMITS if begun.settings.get(name) is not None} - typed(values)
    given = {name: value for name, value in given.items() if name not in sealed}
    recorded = {name: value for name, value in begun.settings.items() if name not in BUDGETS}
    return {**_ABSENT, **values, **recorded, **given}


def typed(values: Mapping[str, Any]) -> frozenset[str]:
    """Tell which options were given on the command line itself."""
    source = click.get_current_context().get_parameter_source
    return frozenset(name for name in values if source(name) is ParameterSource.COMMANDLINE)


def connection(values: Mapping[str, Any]) -> Connection:
    """Build the connection from parsed options and the environment's secrets.

    Raises:
        UsageProblem: something is missing or cannot work.
    """
    for name in ("organization", "api_key"):
        if not values[name]:
            flag = f"--{name.replace('_', '-')}"
            raise UsageProblem(f"{flag} is missing; give it, or set {variable(name)}.")
    return Connection(
        endpoint=values["endpoint"].rstrip("/"),
        organization=values["organization"],
        api_key=values["api_key"],
        access_token=secret("access_token"),
        client_secret=secret("client_secret"),
        ims_endpoint=values["ims_endpoint"].rstrip("/"),
        scope=values["scope"],
        api=values["api"],
        attribute=values["attribute"],
        ca_file=Path(values["ca_file"]) if values["ca_file"] else None,
    )


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    """Pick what was given, on the command line, in the environment or in the configuration."""
    source = click.get_current_context().get_parameter_source
    silent = {ParameterSource.DEFAULT, None}
    return {name: value for name, value in values.items() if source(name) not in silent}


def _is_same(name: str, now: str, was: str) -> bool:
    if name == "endpoint":
        return bulk_sync.storage.lock.place(now) == bulk_sync.storage.lock.place(was)
    return now == was


def look(values: Mapping[str, Any], *, preview: bool = False) -> "Look":
    """Tell how a run is to be shown."""
    from bulk_sync.cli.display import Look

    return Look(
        json=values["summary"] is not None,
        # Who collects a JSON log gets no line for people, nor a bar, on the stream that it is on.
        quiet=values["quiet"] or values["log_format"] == "json",
        ask=not values.get("yes"),
        preview=preview,
        of="Plan" if preview else "Run",
        out=values.get("out"),
    )


def reports(values: Mapping[str, Any], stem: str) -> tuple[Path, ...]:
    """Tell where the reports go, if not told otherwise."""
    from bulk_sync.runs import RUN_ID

    given: tuple[Path, ...] = values["report"]
    return given or (Path(f"{stem}.{RUN_ID}.results.csv"),)


def job_name(given: "Input") -> str:
    """Name a job by its input: the file's name without its digits."""
    return "".join(char for char in given.stem if not char.isdecimal()) or "input"


def limits_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Pick the limits out of parsed options."""
    return {name: values[name] for name in LIMITS}


def is_for(values: Mapping[str, Any], begun: "Begun") -> bool:
    """Tell whether a run is of the organization, endpoint and attribute that are given, if any."""
    given = _given(values)
    return all(
        name not in given or _is_same(name, str(given[name]).rstrip("/"), getattr(begun, name))
        for name in _PLACE
    )


def given_input(source: str, values: Mapping[str, Any], *, needs_state: bool = True) -> "Input":
    """Build the description of the input from parsed options."""
    from bulk_sync.rows.check import BlankState, OnConflict, Rules
    from bulk_sync.runs import Input

    values = {**_ABSENT, **values}
    state = values["state"]
    rules = Rules(
        attribute=values["attribute"],
        key_column=values["key_column"],
        state_column=values["state_column"],
        date_column=values["date_column"],
        state=None if state is None else state.lower() == "true",
        blank_state=BlankState(values["blank_state"]),
        on_conflict=OnConflict(values["on_conflict"]),
        keys=Keys.of(values),
        tells_kind=values["key"] is None,
        needs_state=needs_state,
        ignore_dates=bool(values.get("ignore_dates")),
    )
    return Input(source, values["sheet"], rules)


def pace(values: Mapping[str, Any]) -> Pace:
    """Build the pace from parsed options."""
    return Pace(
        rate=values["rate"],
        concurrency=values["concurrency"],
        max_calls=values["max_calls"],
        max_calls_per_day=values["max_calls_per_day"],
        retries=values["retries"],
        timeout_s=values["timeout"],
        patience_s=values["patience"],
    )


def state(values: Mapping[str, Any]) -> State:
    """Build the place of runs and ledger from parsed options and the environment."""
    return State(
        folder=values["state_dir"],
        ledger=values["ledger"] or secret_text("ledger"),
        lock_wait_s=values.get("lock_wait", 0.0),
        keep_rows=values.get("keep_rows"),
    )


def limits(values: Mapping[str, Any]) -> Limits:
    """Build the limits from parsed options."""

    def bound(name: str) -> Bound | None:
        text = values[name]
        return None if text is None else Bound.parse(str(text), f"--{name.replace('_', '-')}")

    return Limits(
        max_changes=bound("max_changes"),
        max_opt_ins=bound("max_opt_ins"),
        max_failures=bound("max_failures"),
        max_creates=bound("max_creates"),
        allowed=frozenset(Oddity(each) for each in values["allow"]),
    )


def input_words(settings: Mapping[str, Any]) -> list[str]:
    """Return the options, as they are typed, that an input is read with, and its place.

    What variables, the configuration or a default say of the place anyway is left out.
    """
    context, words = click.get_current_context(), list[str]()
    here = {name: context.params.get(name) for name in _PLACE} | {"api": context.params.get("api")}
    typed_here = typed(here)
    for name, now in here.items():
        was = settings.get(name)
        if was is not None and (name in typed_here or str(was) != str(now).rstrip("/")):
            words += pair(f"--{name.replace('_', '-')}", was)
    for name in (*_INPUT, "on_ambiguous", "create", "create_column"):
        value, flag = settings.get(name), f"--{name.replace('_', '-')}"
        if name == "sheet" or value in (None, False, "reject", "exact", "standard"):
            continue
        if value is True:
            words.append(flag)
        else:
            for each in value if isinstance(value, list) else [value]:
                words += pair(flag, each)
    return words


def _plain(value: Any) -> Any:
    """Turn a parsed option into what JSON can hold."""
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, Path):
        return str(value.absolute())  # whoever goes on may stand elsewhere
    return value if value is None or isinstance(value, bool | int | float) else str(value)
