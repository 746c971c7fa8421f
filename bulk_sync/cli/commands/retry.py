"""``bulk-sync retry``: try the failed rows again."""

from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import run_options
from bulk_sync.errors import Exit


@Command.declare(
    "retry",
    run_options.RUN_ID,
    *run_options.ASKING,
    *run_options.WRITING,
    examples="""
  bulk-sync retry 20261123T020000Z-7f3a9c
""",
)
def command(**values: Any) -> Exit:
    """Try only the failed rows of a run again, as a run of its own.

    Their states are read anew. An opt-out is not lifted any more if another run has worked on the
    organization since: its file is newer. Other options are those of the run.
    """
    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen

    run = runs.find_run(arguments.state(values), values["run_id"])
    reports = arguments.reports(values, str(run.begun.settings["stem"]))
    job = arguments.follow_up(values, run, reports)
    screen = Screen(f"the retry of {run.run_id} ({run.begun.input})", values)
    return screen.finish(runs.retry(job, run.run_id, screen))
