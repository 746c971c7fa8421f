"""``--save-mapping``: keeps the choices about an input in the configuration, for its job."""

import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.core import ParameterSource

from bulk_sync.cli.arguments import Values, plain, table_name
from bulk_sync.cli.options.config import GIVEN, Configuration
from bulk_sync.cli.options.config_file import FILE, JOBS
from bulk_sync.cli.options.option import Option, variable
from bulk_sync.cli.output import say
from bulk_sync.cli.summary import shown
from bulk_sync.errors import Exit, UsageProblem
from bulk_sync.settings import KeyKind
from bulk_sync.storage import atomic

if TYPE_CHECKING:
    from bulk_sync.rows.layout import Layout
    from bulk_sync.runs import Input

log = logging.getLogger(__name__)


def check(values: Values) -> None:
    """Check, before anything is read, if the configuration can take a mapping, if it is wanted."""
    if not values["save_mapping"]:
        return
    context = click.get_current_context()
    path = _path(context)
    if "job" in (context.default_map or {}):
        raise UsageProblem(
            f"--save-mapping: {path} has one job for all inputs (job = ...), so it cannot have "
            f"tables of jobs. Take that line out, and name the job with --job or {variable('job')}."
        )
    if not os.access(path.parent, os.W_OK) or (path.exists() and not os.access(path, os.W_OK)):
        raise UsageProblem(
            f"--save-mapping: {path} cannot be written. Leave the option out, or name a file that "
            "you may write to with --config."
        )


def save(values: Values, given: "Input", layout: "Layout | None", status: Exit) -> None:
    """Write the choices about an input that could be used, if that is wanted, and print them.

    The table is that of the job of the input, unless the options name another.
    """
    if not values["save_mapping"] or layout is None or status is Exit.USAGE:
        return
    context = click.get_current_context()
    path, chosen = _path(context), _choices(context, layout)
    job = str(values["job"] or table_name(given))
    try:
        _write(path, job, chosen)
    except OSError as error:
        log.warning(
            "--save-mapping: %s could not be written: %s. Everything else is done.",
            path,
            error.strerror or error,
        )
        return
    told = ", ".join(f"{name} {value!r}" for name, value in chosen.items())
    say(
        f"\nSaved in {shown(path)} for the job {job!r}: {told}. The next file of this job needs "
        "none of these options.",
        err=values["summary"] is not None,
    )


def _path(context: click.Context) -> Path:
    return (Configuration.current(context).path or Path(FILE)).absolute()


def _choices(context: click.Context, layout: "Layout") -> dict[str, Any]:
    """Return what was given about the input, and the columns of keys and states that were found.

    A sheet, a header's row and a column of dates are found anew in each file.
    """
    columns = layout.columns
    kind = None if columns.keys.kind is KeyKind.PKEY else str(columns.keys)
    found = {"key": kind, "key_column": columns.key, "state_column": columns.state}
    chosen = {}
    for option in context.command.params:
        if not isinstance(option, Option) or not option.is_of_input:
            continue
        source, value = context.get_parameter_source(option.key), found.get(option.key)
        if source in GIVEN:
            value = plain(context.params[option.key])
        elif source is ParameterSource.DEFAULT_MAP:
            value = None  # it stands there already
        if value is not None:
            chosen[option.flag.removeprefix("--")] = value
    return chosen


def _write(path: Path, job: str, chosen: Mapping[str, Any]) -> None:
    """Write options into the table of a job; comments and order stay."""
    import tomlkit

    path = path.resolve()  # a link stays one
    before = path.stat() if path.exists() else None
    document = tomlkit.parse(path.read_bytes().decode("utf-8-sig") if before else "")
    jobs = document.setdefault(JOBS, tomlkit.table(is_super_table=True))
    table = jobs.setdefault(job, tomlkit.table())
    for name, value in chosen.items():
        spelled = name.replace("-", "_")
        table[spelled if spelled in table else name] = value
    with atomic.replacing(path) as file:
        file.write(tomlkit.dumps(document).encode())
    if before is not None:
        path.chmod(before.st_mode & 0o7777)
        with suppress(OSError):  # only root may give a file away
            os.chown(path, before.st_uid, before.st_gid)
