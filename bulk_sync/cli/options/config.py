"""Which values of the configuration file hold for a command, and where each value comes from.

The order: command line, variable, ``[job.NAME]``, top of the file, default.
"""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import click
from click.core import ParameterSource

from bulk_sync import job_names
from bulk_sync.cli.options import config_file
from bulk_sync.cli.options.config_file import JOBS
from bulk_sync.cli.options.option import DECLARED, Option, Recorded, variable
from bulk_sync.errors import UsageProblem

GIVEN: Final = frozenset({ParameterSource.COMMANDLINE, ParameterSource.ENVIRONMENT})
"""What comes before the file."""


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
        hidden = {name for name in config_file.HOOKS if f"{name}_file" in table}
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
        path = path or config_file.find()
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
    values, tables = config_file.read(path)
    # If the file is wrong, the form of the message still follows it.
    ctx.default_map = {name.replace("-", "_"): value for name, value in values.items()}
    found.own = ctx.default_map = config_file.options(str(path), values)
    found.jobs = {
        job: config_file.options_of_job(path, job, table) for job, table in tables.items()
    }
    job = job_of(typed) if found.jobs else None
    if job is not None and (name := _table_for(typed, job, found.jobs)):
        found.job = name
        ctx.default_map = found.values
    elif job is not None and typed.get("input") and not _named_job(typed):
        found.missed = _missed(found, str(typed["input"]), job)
    return path


def _table_for(typed: Mapping[str, Any], job: str, jobs: Mapping[str, object]) -> str:
    """Return the name of the table of a job; for a workbook of ours else the one of its name.

    Return "" if there is none.
    """
    name, source = job if job in jobs else "", str(typed.get("input") or "")
    if _named_job(typed) or not source:
        return name
    from bulk_sync.rows import read
    from bulk_sync.runs import Input

    by_name = job_names.of_stem(Input(source).stem)
    if by_name not in jobs or read.of_workbook(source) is None or read.is_todo(source):
        return name
    if name not in {"", by_name}:
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


def job_of(typed: Mapping[str, Any]) -> str | None:
    """Return the name of the job by the words of a command line; None if they name none.

    The follow-ups of a run take its options from its record.
    """
    if job := _named_job(typed):
        return job
    from bulk_sync.cli.arguments import table_name
    from bulk_sync.remote import url
    from bulk_sync.runs import Input
    from bulk_sync.runs.kept import plan_file

    if source := typed.get("input"):
        return table_name(Input(url.source(str(source))))
    return plan_file.job_of(Path(plan)) if (plan := typed.get("plan")) else None


def _named_job(typed: Mapping[str, Any]) -> str | None:
    return typed.get("job") or os.environ.get(variable("job"))


def _missed(found: Configuration, source: str, job: str) -> str:
    """Return a warning of limits and lists that hold for other jobs; "" if there are none."""
    guards = {each.key for each in DECLARED if each.recorded in {Recorded.SEALED, Recorded.ADDED}}
    guarded = [f"[{JOBS}.{name}]" for name, table in found.jobs.items() if guards & table.keys()]
    if not guarded:
        return ""
    return (
        f"The limits and protected people in {found.path}, {', '.join(guarded)}, do not hold for "
        f"{source}: by its name it is of the job {job!r}. --job NAME names its job."
    )


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
            yield f" {option.flag} comes from {place}: {config_file.dashed(option.key)}."


def warnings(ctx: click.Context) -> Iterator[str]:
    """Yield a sentence for limits of other jobs, and for each variable that is no option."""
    if missed := Configuration.current(ctx).missed:
        yield missed
    prefix, simulated = variable(""), variable("simulate-")
    known = {"config", config_file.PAGE, *config_file.names()}
    for found in sorted(os.environ):
        name = found.removeprefix(prefix).lower()
        if found.startswith(prefix) and not found.startswith(simulated) and name not in known:
            hint = config_file.hint(name, variable)
            yield f"{variable(name)} has no effect: there is no such option.{hint}"
