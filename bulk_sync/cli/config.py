"""Where values come from beside the command line: the configuration file, and files of secrets.

    max-opt-ins = 5             for every command
    [job.requests]              for the inputs of one job, in place of those above
    key-column = "E-mail"

The order: command line, variable, ``[job.NAME]``, top of the file, default.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from bulk_sync import job_names
from bulk_sync.cli.option import DECLARED, Option, Recorded, variable
from bulk_sync.errors import UsageProblem

FILE: Final = "bulk-sync.toml"
NEVER_TYPED: Final = ("access_token", "client_secret", "ledger")
"""What may also lie in a file of its own, which ``NAME_file`` names."""

_HOOKS: Final = ("ping", "notify")
"""Options whose value is a secret, so that it may lie in such a file too."""

SECRETS: Final = (*NEVER_TYPED, *_HOOKS)
"""Everything that may lie in a file of its own."""

_OF_ALL_JOBS: Final = frozenset(
    {"state_dir", "state_url", "job", *NEVER_TYPED, *(f"{name}_file" for name in NEVER_TYPED)}
)
"""What no table of a job may hold: a run is found, and resumed, without knowing its job."""

_PAGE: Final = "page"
"""The variable of this name is set in the processes of the page: it says where their reports go."""

GIVEN: Final = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})
"""What comes before the file."""

JOBS: Final = "job"
"""The table of the tables of jobs."""


@dataclass
class Configuration:
    """The configuration file of a command.

    Attributes:
        path: the file; None if there is none.
        own: the options at its top.
        jobs: the options of the table of each job.
        job: the job whose table holds; "" if none does.
        missed: a warning of limits that hold for other jobs alone; "" if there are none.
        typed: the words of the command line by option, not parsed yet.
    """

    path: Path | None = None
    own: Mapping[str, object] = field(default_factory=dict)
    jobs: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    job: str = ""
    missed: str = ""
    typed: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def current(cls, ctx: click.Context) -> "Configuration":
        """Return the configuration of a command."""
        found: Configuration = ctx.meta.setdefault(__name__, cls())
        return found

    @property
    def values(self) -> dict[str, object]:
        """Return the options that hold: those of the job's table in place of those at the top.

        A file with URLs in the table takes the place of URLs at the top.
        """
        table = self.jobs.get(self.job, {})
        hidden = {name for name in _HOOKS if f"{name}_file" in table}
        return {**{name: self.own[name] for name in self.own if name not in hidden}, **table}


class Config(Option):
    """The option of the configuration file; the other words of the command line name the job."""

    def handle_parse_result(
        self, ctx: click.Context, opts: Mapping[str, Any], args: list[str]
    ) -> tuple[Any, list[str]]:
        """Process the option before all others."""
        Configuration.current(ctx).typed = opts
        return super().handle_parse_result(ctx, opts, args)


def load(ctx: click.Context, _param: click.Parameter, path: Path | None) -> Path | None:
    """Use the file's values as defaults of the options; raise UsageProblem if it is wrong."""
    try:
        Path.cwd()
        path = path or _own_file()
    except OSError as error:
        is_gone = isinstance(error, FileNotFoundError)
        why = ". Perhaps it was removed" if is_gone else f": {error.strerror}"
        raise UsageProblem(
            f"The working directory cannot be read{why}. Change to a folder that exists, and that "
            "you may enter (cd), and call the command again."
        ) from error
    if path is None:
        return None
    found = Configuration.current(ctx)
    typed, found.path = found.typed, path
    values = _content(path)
    tables = values.pop(JOBS, {}) if isinstance(values.get(JOBS), dict) else {}
    # If the file is wrong, the form of the message still follows it.
    ctx.default_map = {name.replace("-", "_"): value for name, value in values.items()}
    found.own = ctx.default_map = _table(str(path), values)
    found.jobs = {job: _table_of_job(path, job, table) for job, table in tables.items()}
    job = job_of(typed) if found.jobs else None
    name = None if job is None else _table_for(typed, job, found.jobs)
    if name is not None:
        found.job = name
        ctx.default_map = found.values
    elif typed.get("input") and not _named_job(typed):
        found.missed = _missed(path, str(typed["input"]), job, found.jobs)
    return path


def _table_for(typed: Mapping[str, Any], job: str, jobs: Mapping[str, object]) -> str | None:
    """Return the name of the table of a job; for a workbook of ours else the one of its name."""
    name, source = job if job in jobs else None, typed.get("input")
    if _named_job(typed) or not source:
        return name
    from bulk_sync.rows import read
    from bulk_sync.runs import Input

    if read.of_workbook(str(source)) is None or read.is_todo(str(source)):
        return name
    by_name = job_names.of_stem(Input(str(source)).stem)
    if by_name not in jobs:
        return name
    if name not in {None, by_name}:
        raise UsageProblem(
            f"{source} has rows of the job {name!r}, and the name of the job {by_name!r}. Give the "
            f"workbook another name, or say which job it is: --job {name}, or --job {by_name}."
        )
    return by_name


def of_job(job: str, options: Iterable[Option]) -> dict[str, Any]:
    """Return the values of some options for the job of an earlier run; what is given now wins.

    Its table holds from now on, also for the files with secrets that it names.
    """
    ctx = click.get_current_context()
    found = Configuration.current(ctx)
    found.job = job if job in found.jobs else ""
    values = found.values
    absent = [each for each in options if ctx.get_parameter_source(each.key) not in GIVEN]
    for each in absent:
        if each.key in values:  # for ``origins``
            ctx.default_map = {**(ctx.default_map or {}), each.key: values[each.key]}
            ctx.set_parameter_source(each.key, ParameterSource.DEFAULT_MAP)
    return {each.key: each.type_cast_value(ctx, values.get(each.key)) for each in absent}


def _own_file() -> Path | None:
    """Return the file of the working directory; None if there is none, not even its name."""
    own = Path(FILE)
    try:
        if own.is_file():
            return own
        what = "a folder" if own.is_dir() else "no file, or a link to a file that is not there"
    except OSError as error:
        if not os.path.lexists(own):
            raise
        what = f"a link to {own.readlink()}, which you may not read ({error.strerror})"
    if not os.path.lexists(own):
        return None
    raise UsageProblem(
        f"{FILE} cannot be read: it is {what}. The limits and lists that it should hold would not "
        "hold. Put the file there, or remove that name, or name another file with --config."
    )


def _content(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise UsageProblem(f"{path} cannot be read: {error.strerror}. Check --config.") from error
    except UnicodeDecodeError as error:
        raise UsageProblem(f"{path} is no UTF-8 ({error.reason}). Save it as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        hint = ' A line is like organization = "acme", with the text in quotes.'
        raise UsageProblem(f"{path}: {error}. Correct it there.{hint}") from error


def job_of(typed: Mapping[str, Any]) -> str | None:
    """Return the name of the job by the words of a command line; None if they name none.

    The follow-ups of a run take its options from its record.
    """
    if job := _named_job(typed):
        return job
    from bulk_sync.cli.arguments import table_name
    from bulk_sync.remote import url
    from bulk_sync.runs import Input, plan_file

    if source := typed.get("input"):
        return table_name(Input(url.source(str(source))))
    return plan_file.job_of(Path(plan)) if (plan := typed.get("plan")) else None


def _named_job(typed: Mapping[str, Any]) -> str | None:
    return typed.get("job") or os.environ.get(variable("job"))


def _missed(
    path: Path, source: str, job: str | None, jobs: Mapping[str, Mapping[str, object]]
) -> str:
    """Return a warning of limits and lists that hold for other jobs; "" if there are none."""
    guards = {each.key for each in DECLARED if each.recorded in {Recorded.SEALED, Recorded.ADDED}}
    guarded = [f"[{JOBS}.{name}]" for name, table in jobs.items() if guards & table.keys()]
    if not guarded:
        return ""
    return (
        f"The limits and protected people in {path}, {', '.join(guarded)}, do not hold for "
        f"{source}: by its name it is of the job {job!r}. --job NAME names its job."
    )


def _table_of_job(path: Path, job: str, table: object) -> dict[str, object]:
    if not isinstance(table, dict):
        raise UsageProblem(
            f"{path}: [{JOBS}] holds nothing but tables of jobs, such as [{JOBS}.requests]. Put "
            f"{job!r} into one of them, or above the first table."
        )
    place = f"{path}, [{JOBS}.{job}]"
    options = _table(place, table)
    for name in sorted(_OF_ALL_JOBS & set(options)):
        raise UsageProblem(
            f"{place}: {_dashed(name)} holds for all jobs. Put it above the first table of {path}."
        )
    return options


def _table(place: str, values: Mapping[str, object]) -> dict[str, object]:
    known, options = _known(), dict[str, object]()
    for written, value in values.items():
        name = written.replace("-", "_")
        if name not in known:
            hint = _hint(name, _dashed)
            raise UsageProblem(f"{place}: there is no option {_dashed(name)!r}.{hint}")
        if name in options:
            raise UsageProblem(
                f"{place}: {_dashed(name)} is there twice, with - and with _. Take one out."
            )
        options[name] = _checked(f"{place}: {_dashed(name)}", value, known[name])
    if os.environ.get(variable(_PAGE)):
        options.pop("report", None)
    return options


def hides(name: str) -> bool:
    """Return whether an option may stand in a configuration file that cannot be read."""
    context = click.get_current_context()
    is_there = Configuration.current(context).path is not None
    is_unreadable = is_there and context.default_map is None
    return is_unreadable and context.get_parameter_source(name) is ParameterSource.DEFAULT


def origins(message: str, ctx: click.Context) -> Iterator[str]:
    """Yield where the values of the options in a message come from, if they were not typed."""
    found, held = Configuration.current(ctx), ctx.default_map or {}
    table = found.jobs.get(found.job, {})
    for option in ctx.command.params:
        if not isinstance(option, Option) or not re.search(rf"{option.flag}(?![\w-])", message):
            continue
        source = ctx.get_parameter_source(option.key)
        if source is ParameterSource.ENVIRONMENT:
            yield f" {option.flag} comes from the variable {option.envvar}."
        elif source is ParameterSource.DEFAULT_MAP:
            is_of_job = option.key in table and held.get(option.key) == table[option.key]
            place = f"{found.path}, [{JOBS}.{found.job}]" if is_of_job else found.path
            yield f" {option.flag} comes from {place}: {_dashed(option.key)}."


def warnings(ctx: click.Context) -> Iterator[str]:
    """Yield a sentence for limits of other jobs, and for each variable that is no option."""
    if missed := Configuration.current(ctx).missed:
        yield missed
    prefix, simulated = variable(""), variable("simulate-")
    known = {"config", _PAGE, *_known()}
    for found in sorted(os.environ):
        name = found.removeprefix(prefix).lower()
        if found.startswith(prefix) and not found.startswith(simulated) and name not in known:
            hint = _hint(name, variable)
            yield f"{variable(name)} has no effect: there is no such option.{hint}"


def _known() -> dict[str, Option | None]:
    """Return what the file may hold, by name; a secret belongs to no option."""
    known: dict[str, Option | None] = {each.key: each for each in DECLARED if each.key != "config"}
    for name in NEVER_TYPED:
        known |= {name: None, f"{name}_file": None}
    return known | {f"{name}_file": None for name in _HOOKS}


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _hint(name: str, shown: Callable[[str], str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, _known(), 1)
    return f" Did you mean {shown(close[0])}?" if close else ""


def _checked(place: str, value: object, option: Option | None) -> object:
    """Return a value of the file as the command line would hold it, to be judged alike."""
    if option is not None and option.is_flag:
        if isinstance(value, bool):
            return value
        raise UsageProblem(f"{place} is on or off: write true or false.")
    if option is not None and option.multiple:
        return [str(each) for each in value] if isinstance(value, list) else [str(value)]
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float | date | time):
        raise UsageProblem(f"{place} takes one value, not a table or a list.")
    return str(value)
