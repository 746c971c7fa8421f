"""``bulk-sync run``: read, compare, PATCH what differs, report."""

from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
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
@options.fresh_option
@options.report_option
@options.input_options
@options.ambiguous_option
@options.create_options
@options.limit_options
@options.allow_option
@options.job_option
@options.verify_option
@options.reading_options
@options.ignore_dates_option
@options.keep_rows_option
@options.lock_option
@options.work_options
def command(**values: Any) -> Exit:
    """Carry the desired states in INPUT into Campaign.

    INPUT is a .csv, .tsv, .txt (also .gz, .bz2, .xz, .zst), .parquet, .xlsx, .xls or .ods file, a
    folder or a quoted glob of them, or - for CSV on standard input. Only profiles whose state
    differs are written, and every row of INPUT stands once in the report. A run that is killed
    can be resumed.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])
    (
        arguments.connection(values),
        arguments.limits(values),
    )  # what is wrong with them is said at once

    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    given = arguments.given_input(values["input"], values)
    job = arguments.job(values, arguments.reports(values, given.stem), arguments.job_name(given))
    screen = Screen(given.source, arguments.look(values, preview=values["dry_run"]))
    if values["dry_run"]:
        return screen.finish(runs.preview(job, given, screen, fresh=values["fresh"]))
    return screen.finish(runs.sync(job, given, screen, fresh=values["fresh"]))
