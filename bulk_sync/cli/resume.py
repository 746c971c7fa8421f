"""``bulk-sync resume``: finish an interrupted run."""

import logging
from typing import TYPE_CHECKING, Any

import click

from bulk_sync.cli import asked, logs, options
from bulk_sync.errors import Exit

if TYPE_CHECKING:
    from bulk_sync.ledger import Run

log = logging.getLogger(__name__)

_EPILOG = """\b
Examples:
  bulk-sync resume                              the newest interrupted run
  bulk-sync resume 20261123T020000Z-7f3a9c
  bulk-sync resume --max-calls 50000            with tonight's budget
"""


@click.command(name="resume", epilog=_EPILOG)
@click.argument("run_id", metavar="[RUN_ID]", required=False)
@options.option(
    "--give-up",
    is_flag=True,
    help="Write nothing more, and call the run finished; what it wrote stays.",
)
@options.yes_option
@options.report_option
@options.limit_options
@options.allow_option
@options.lock_option
@options.work_options
def command(**values: Any) -> Exit:
    """Finish an interrupted run: the newest, if no RUN_ID is given.

    Neither the input file nor the options are needed: it goes on where the run stood, and what is
    not given is as it was for the run. Credentials are taken from the environment as always. A
    profile whose write was in flight is read again before anything is written. A run that a limit
    refused goes on too, if it is named.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen

    state, run_id = asked.state(values), values["run_id"]
    found = runs.recorded(state, run_id) if run_id else _newest(values, runs.interrupted(state))
    job = asked.job(asked.again(values, found.begun), values["report"], found.begun.job)
    if values["give_up"]:
        runs.abandon(job, found.run_id)
        raise runs.NothingLeft(f"Run {found.run_id} is given up; what it wrote stays.")
    screen = Screen(found.begun.input, asked.look(values, settings=found.begun.settings))
    return screen.finish(runs.resume(job, found.run_id, screen))


def _newest(values: dict[str, Any], unfinished: "list[Run]") -> "Run":
    """Choose the newest run of the instance that is configured, and name the others."""
    from bulk_sync import runs

    here = [run for run in unfinished if asked.is_for(values, run.begun)]
    for run in unfinished:
        if run not in here[:1]:
            place = f"{run.begun.organization} at {run.begun.endpoint}"
            log.warning(
                "Run %s, of %s, is unfinished too: finish it there, or give it up with `bulk-sync "
                "resume %s --give-up`",
                run.run_id,
                place,
                run.run_id,
            )
    if not here:
        where = " of this organization, endpoint and attribute" if unfinished else ""
        raise runs.NothingLeft(f"There is nothing to resume: every run{where} is finished.")
    return here[0]
