"""Builds settings from parsed options, once, at the edge.

To follow up a run, a command takes the options of the run, unless they are given now.
``option.Recorded`` has the rules.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from click.core import ParameterSource

from bulk_sync import garbage, job_names, settings
from bulk_sync.cli.command import Invocation
from bulk_sync.cli.options.config import GIVEN, of_job
from bulk_sync.cli.options.input_options import HEADER_ROW, SHEET
from bulk_sync.cli.options.option import DECLARED, Recorded, recorded, variable
from bulk_sync.cli.options.run_options import BOUNDS, COMMENT, TICKET
from bulk_sync.cli.options.secret_values import secret
from bulk_sync.errors import UsageProblem
from bulk_sync.storage import lock

if TYPE_CHECKING:
    from bulk_sync.ledger import Begun, Run
    from bulk_sync.runs import Input, Job

Values = Mapping[str, Any]
"""Parsed options by name."""

INPUT_AGAIN: Final = [
    option
    for option in DECLARED
    if option.is_of_input
    and option not in {SHEET, HEADER_ROW}  # what is left of an input lies in a file of our own
]
"""What is needed to read rows again, and to find their profiles: it goes into plan files."""


def job(values: Values, reports: tuple[str, ...], name: str) -> "Job":
    """Build a job; raise UsageProblem if an option is missing or wrong."""
    from bulk_sync.runs import Job, JobRecord, Matching
    from bulk_sync.runs.terms.protection import Protection

    garbage.spare_imports()
    values = _complete(values)
    keys = settings.Keys.from_options(values)
    return Job(
        connection=settings.reached(connection(values), keys),
        pace=settings.Pace.from_options(values),
        reading=settings.Reading.from_options(values),
        writing=settings.Writing.from_options(values),
        limits=limits(values),
        matching=Matching.of(values, values["attribute"]),
        record=JobRecord(
            state(values),
            name=str(values["job"] or name),
            settings={each: plain(values[each]) for each in recorded()},
            reports=reports,
            of_input=frozenset(each.key for each in INPUT_AGAIN),
        ),
        protection=Protection(map(Path, values["protect"])),
    )


def follow_up(
    values: Values, run: "Run", reports: tuple[str, ...], *, is_undo: bool = False
) -> "Job":
    """Build the job to follow up a run, from the options of both.

    An undo is about the other direction: its limits, ticket and comment are those of now, and of
    the table of its job.
    """
    begun = run.begun
    Invocation.current().monitor.follow(run)
    options = _merged(values, begun)
    if is_undo:
        own = (*recorded(Recorded.SEALED), TICKET.key, COMMENT.key)
        of_table = of_job(begun.job, [each for each in DECLARED if each.key in own])
        options |= {name: values[name] for name in own}
        options |= {name: value for name, value in of_table.items() if value not in {None, ()}}
    return job(options, reports, begun.job)


def _merged(values: Values, begun: "Begun") -> dict[str, Any]:
    """Merge the options of a run with those given now; raise UsageProblem if they cannot be."""
    given = given_now(values)
    if name := _other_place(given, begun):
        raise UsageProblem(
            f"The run is of {name} {getattr(begun, name)!r}, and --{name} says "
            f"{given[name].rstrip('/')!r}. Leave it out, or name another run."
        )
    forgotten = recorded(Recorded.SPENT, Recorded.OWN)
    taken = {name: value for name, value in begun.settings.items() if name not in forgotten}
    for name in set(recorded(Recorded.SEALED)) - typed(values):
        if name in taken:  # also if it was the default: that is a limit too
            given.pop(name, None)
    added = [each for each in DECLARED if each.recorded is Recorded.ADDED]
    of_table = of_job(begun.job, added)
    for name in {each.key for each in added} - typed(values):
        lists = (taken.get(name), plain(given.get(name)), plain(of_table.get(name)))
        given[name] = list(dict.fromkeys(path for each in lists for path in each or ()))
    return {**values, **taken, **given}


def is_for(values: Values, run: "Run") -> bool:
    """Return whether a run is of the organization, endpoint and attribute given now."""
    return not _other_place(given_now(values), run.begun)


def _other_place(given: Values, begun: "Begun") -> str:
    """Return the option that is given with another value than the run had; "" if there is none."""
    for name in recorded(Recorded.FIXED):
        before, now = str(getattr(begun, name)), str(given.get(name, "")).rstrip("/")
        if now and name == "endpoint":
            before, now = lock.place(before), lock.place(now)
        if now not in {"", before}:
            return name
    return ""


def typed(values: Values) -> frozenset[str]:
    """Return the names of the options on the command line itself."""
    source = click.get_current_context().get_parameter_source
    return frozenset(name for name in values if source(name) is ParameterSource.COMMANDLINE)


def given_now(values: Values) -> dict[str, Any]:
    """Return the options on the command line, in a variable or in the configuration."""
    source = click.get_current_context().get_parameter_source
    silent = {ParameterSource.DEFAULT, None}
    return {name: value for name, value in values.items() if source(name) not in silent}


def _complete(values: Values) -> Values:
    """Add the options missing from the command, with their defaults."""
    return {**{option.key: option.absent for option in DECLARED}, **values}


def connection(values: Values) -> settings.Connection:
    """Build the connection, with its secrets; raise UsageProblem if it cannot work."""
    for name in ("organization", "api_key"):
        if not values[name]:
            flag = f"--{name.replace('_', '-')}"
            raise UsageProblem(f"{flag} is missing; give it, or set {variable(name)}.")
    return settings.Connection(
        endpoint=values["endpoint"].rstrip("/"),
        organization=values["organization"],
        api=values["api"],
        attribute=values["attribute"],
        ca_file=Path(values["ca_file"]) if values["ca_file"] else None,
        credentials=settings.Credentials(
            api_key=values["api_key"],
            access_token=_secret("access_token"),
            client_secret=_secret("client_secret"),
            ims_endpoint=values["ims_endpoint"].rstrip("/"),
            scope=values["scope"],
        ),
    )


def _secret(name: str) -> settings.Secret | None:
    text, named = secret(name), variable(name)
    what = f"The {name.replace('_', ' ')} ({named}, or the file that {named}_FILE names)"
    return None if text is None else settings.Secret(text, what)


def given_input(values: Values, *, needs_state: bool = True) -> "Input":
    """Build the description of the input; raise UsageProblem if options contradict each other."""
    from bulk_sync.rows import read
    from bulk_sync.rows.check import BlankState, OnConflict, Rules, StateWords
    from bulk_sync.runs import Input

    values = _complete(values)
    found = read.origin(str(values["input"]))
    if found is not None and found.is_rest:  # what a job has for whole files is not about this one
        place = {SHEET.key, HEADER_ROW.key} - typed(values)
        values = {**values, **dict.fromkeys(place)}
    desired = values["state"]
    about_cells = [values[name] for name in ("state_means", "true_values", "false_values")]
    if desired is not None and any(about_cells):
        raise UsageProblem(
            "--state is for a file that holds only keys; --state-means, --true-values and "
            "--false-values are about the cells of a column of states. Leave out --state, or the "
            "others."
        )
    order = values["date_order"]
    rules = Rules(
        attribute=values["attribute"],
        key_column=values["key_column"],
        state_column=values["state_column"],
        date_column=values["date_column"],
        date_order=order and settings.DateOrder(order),
        state=None if desired is None else desired.lower() == "true",
        words=StateWords.parse(*about_cells),
        blank_state=BlankState(values["blank_state"]),
        on_conflict=OnConflict(values["on_conflict"]),
        keys=settings.Keys.from_options(values),
        tells_kind=values["key"] is None,
        needs_state=needs_state,
        ignore_dates=values["ignore_dates"],
    )
    return Input(
        values["input"],
        values["sheet"],
        values["header_row"],
        rules,
        state_dir=values["state_dir"],
        memory=values["memory"],
    )


def state(values: Values) -> settings.State:
    """Build the place of runs and ledger."""
    values = _complete(values)
    return settings.State(
        folder=values["state_dir"],
        ledger=_ledger(values),
        lock_wait_s=values["lock_wait"],
        keep_rows=values["keep_rows"],
        url=values["state_url"],
    )


def _ledger(values: Values) -> str | None:
    """Return the URL of the ledger: a file that a variable names comes before the configuration."""
    source = click.get_current_context().get_parameter_source("ledger")
    return values["ledger"] if source in GIVEN else secret("ledger")


def limits(values: Values) -> settings.Limits:
    """Build the limits."""
    bounds = {
        option.key: settings.Bound.parse(str(text), option.flag)
        for option in BOUNDS
        if (text := values[option.key]) is not None
    }
    allowed = frozenset(settings.Oddity(each) for each in values["allow"])
    return settings.Limits(**bounds, hold_opt_ins=bool(values["hold_opt_ins"]), allowed=allowed)


def reports(values: Values, stem: str) -> tuple[str, ...]:
    """Return where the reports go: by default beside the input's name, in the working directory."""
    from bulk_sync.runs import usual_report

    given: tuple[str, ...] = values["report"]
    return given or (usual_report(stem),)


def job_name(given: "Input") -> str:
    """Name a job by its input: as a workbook of ours has it, or the file's name without digits."""
    from bulk_sync.rows import read

    return read.default_job(given.source, given.stem)


def table_name(given: "Input") -> str:
    """Name the table of a job in the configuration; a todo file has that of its original file.

    Its runs are no runs of that job: they are not compared with those of whole files.
    """
    from bulk_sync.rows import read

    found = read.origin(given.source)
    return job_names.of_stem(given.stem) if found is None else found.job


def plain(value: Any) -> Any:
    """Return a parsed option as JSON, or TOML, can hold it."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Path):
        return str(value.absolute())  # another command may run in another folder
    return value if value is None or isinstance(value, bool | int | float) else str(value)
