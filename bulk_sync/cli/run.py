"""``bulk-sync run``: read, compare, PATCH what differs, report."""

from pathlib import Path
from typing import Any

import click
import orjson

from bulk_sync.cli import logs, options
from bulk_sync.cli.config import Invocation
from bulk_sync.cli.output import say
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync run optouts.csv
  bulk-sync run optouts.xlsx --sheet Requests --dry-run
  bulk-sync run suppressed.txt --state true --report result.xlsx
  bulk-sync run 'lists/*.csv.gz' --rate 20 --max-opt-ins 0 -q --summary json
"""


@click.command(name="run", epilog=_EPILOG)
@click.argument("input", metavar="INPUT")
@options.option(
    "-n",
    "--dry-run",
    is_flag=True,
    help="No method but GET leaves the process; outcomes say what would happen.",
)
@options.yes_option
@options.report_option
@options.input_options
@options.limit_options
@options.option("--verify", is_flag=True, help="Read every changed profile back.")
@options.reading_options
@options.pace_options
@options.connection_options
@options.state_options
@options.summary_option
@options.logging_options
@options.config
def command(**values: Any) -> Exit:
    """Carry the desired states in INPUT into Campaign.

    INPUT is a .csv, .tsv, .txt (also .gz, .bz2, .xz, .zst), .parquet, .xlsx, .xls or .ods file, a
    folder or a quoted glob of them, or - for CSV on standard input. Only profiles whose state
    differs are written, and every row of INPUT stands once in the report.
    """
    return carry_out(values, dry_run=values["dry_run"], default_report=True)


def _words() -> list[str]:
    invocation = click.get_current_context().obj
    return invocation.words if isinstance(invocation, Invocation) else []


def carry_out(values: dict[str, Any], *, dry_run: bool, default_report: bool) -> Exit:
    """Do a run, or as much of it as a preview is."""
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])
    connection = options.connection(values)
    limits = options.limits(values)

    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen, summary_json

    given = options.given_input(values["input"], values)
    reports: tuple[Path, ...] = values["report"]
    if not reports and default_report:
        reports = (Path(f"{given.stem}.{runs.RUN_ID}.results.csv"),)
    screen = Screen(
        given.source,
        _words(),
        answers=values["summary"] is None,
        ask=not values.get("yes"),
        bars=not values["quiet"],
        preview=dry_run,
    )
    job = runs.Job(
        input=given,
        connection=connection,
        state_dir=values["state_dir"],
        pace=options.pace(values),
        reading=options.reading(values),
        limits=limits,
        reports=reports,
        dry_run=dry_run,
        verify=bool(values.get("verify")),
    )
    finished = runs.sync(job, screen)
    screen.finish(finished)
    if values["summary"] == "json":
        say(orjson.dumps(summary_json(finished, given.source, dry_run=dry_run)).decode())
    return finished.exit
