"""``bulk-sync retry``: try again only the rows that failed."""

from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.errors import Exit

_EPILOG = """\b
Example:
  bulk-sync retry 20261123T020000Z-7f3a9c
"""


@click.command(name="retry", epilog=_EPILOG)
@click.argument("run_id", metavar="RUN_ID")
@options.yes_option
@options.report_option
@options.limit_options
@options.verify_option
@options.keep_rows_option
@options.lock_option
@options.work_options
def command(**values: Any) -> Exit:
    """Try again only the rows of a run that failed, as a run of its own.

    Their states are read anew. An opt-out is not lifted any more if another run has worked on the
    organization since: its file has the later word. Options that are not given are those of the
    run.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    found = runs.recorded(arguments.state(values), values["run_id"])
    reports = arguments.reports(values, str(found.begun.settings["stem"]))
    job = arguments.job(arguments.again(values, found.begun), reports, found.begun.job)
    source = f"the retry of {found.run_id} ({found.begun.input})"
    screen = Screen(source, arguments.look(values))
    return screen.finish(runs.retry(job, found.run_id, screen))
