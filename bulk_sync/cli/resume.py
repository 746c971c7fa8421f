"""``bulk-sync resume``: finish an interrupted run."""

from typing import Any

import click

from bulk_sync.cli import asked, logs, options
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync resume                              the newest interrupted run
  bulk-sync resume 20261123T020000Z-7f3a9c
  bulk-sync resume --max-calls 50000            with tonight's budget
"""


@click.command(name="resume", epilog=_EPILOG)
@click.argument("run_id", metavar="[RUN_ID]", required=False)
@options.yes_option
@options.report_option
@options.pace_options
@options.connection_options
@options.state_options
@options.lock_option
@options.summary_option
@options.logging_options
@options.config
def command(**values: Any) -> Exit:
    """Finish an interrupted run: the newest, if no RUN_ID is given.

    Neither the input file nor the options are needed: it goes on where the run stood, with the
    same settings. Credentials are taken from the environment as always. A profile whose write was
    in flight is read again before anything is written.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen

    state = asked.state(values)
    run_id = values["run_id"]
    found = runs.recorded(state, run_id) if run_id else runs.interrupted(state)
    if found is None:
        raise runs.NothingLeft("There is nothing to resume: every run is finished.")
    job = asked.job(asked.again(values, found.begun), values["report"], found.begun.job)
    screen = Screen(found.begun.input, asked.look(values, settings=found.begun.settings))
    return screen.finish(runs.resume(job, found.run_id, screen))
