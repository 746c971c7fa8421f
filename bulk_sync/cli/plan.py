"""``bulk-sync plan``: the same reading and comparing as ``run``, and no writing."""

from pathlib import Path
from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync plan optouts.csv
  bulk-sync plan optouts.csv --out plan.parquet     for `bulk-sync apply`
  bulk-sync plan optouts.csv --report plan.xlsx     every row, with what would become of it
"""


@click.command(name="plan", epilog=_EPILOG)
@click.argument("input", metavar="INPUT")
@options.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PLAN",
    help="Save the plan, as Parquet, for `bulk-sync apply PLAN`.",
)
@options.fresh_option
@options.report_option
@options.input_options
@options.ambiguous_option
@options.create_options
@options.limit_options
@options.allow_option
@options.job_option
@options.reading_options
@options.ignore_dates_option
@options.work_options
def command(**values: Any) -> Exit:
    """Show what `run INPUT` would write, without writing it.

    Exits with 0 also when a limit would be passed, and says so. A plan that is saved, or has a
    budget of calls, can be resumed: by the same command, or by `bulk-sync resume`.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])
    arguments.connection(values), arguments.limits(values)

    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    given = arguments.given_input(values["input"], values)
    job = arguments.job(values, values["report"], arguments.job_name(given))
    screen = Screen(given.source, arguments.look(values, preview=True))
    return screen.finish(runs.preview(job, given, screen, values["out"], fresh=values["fresh"]))
