"""``bulk-sync undo``: put back what a run changed."""

from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.errors import Exit

_EPILOG = """\b
Example:
  bulk-sync undo 20261123T020000Z-7f3a9c
"""


@click.command(name="undo", epilog=_EPILOG)
@click.argument("run_id", metavar="RUN_ID")
@options.yes_option
@options.report_option
@options.limit_options
@options.verify_option
@options.keep_rows_option
@options.lock_option
@options.work_options
def command(**values: Any) -> Exit:
    """Put back what a run changed, where the profile still is as the run left it.

    That is a run of its own, under the same limits: undoing an opt-out is an opt-in. A profile
    that moved since is `drifted`, and left alone. An interrupted run is given up with it. Options
    that are not given, limits aside, are those of the run.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    found = runs.recorded(arguments.state(values), values["run_id"])
    reports = arguments.reports(values, str(found.begun.settings["stem"]))
    settings = arguments.again(values, found.begun) | arguments.limits_of(values)
    job = arguments.job(settings, reports, found.begun.job)
    source = f"the undo of {found.run_id} ({found.begun.input})"
    screen = Screen(source, arguments.look(values))
    return screen.finish(runs.undo(job, found.run_id, screen))
