"""``bulk-sync audit``: re-read what a run applied, and report what no longer holds."""

from dataclasses import replace
from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.errors import Exit, UsageProblem
from bulk_sync.settings import Bound

_EPILOG = """\b
Examples:
  bulk-sync audit                                           the newest run that changed anything
  bulk-sync audit 20261123T020000Z-7f3a9c --sample 5% --report audit.xlsx
"""


@click.command(name="audit", epilog=_EPILOG)
@click.argument("run_id", metavar="[RUN_ID]", required=False)
@options.option("--sample", metavar="N|P%", help="Look at so many of its writes.  [default: all]")
@options.report_option
@options.reading_options
@options.work_options
def command(**values: Any) -> Exit:
    """Read again what a run applied, and report what no longer holds. Changes nothing.

    Exits with 3 if anything does not hold. Options that are not given are those of the run.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])
    sample = None if values["sample"] is None else Bound.parse(values["sample"], "--sample")
    if sample is not None and not (sample.count or sample.percent):
        raise UsageProblem("--sample 0 would look at nothing; write a number, or a share like 5%.")

    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    state = arguments.state(values)
    run_id = values["run_id"]
    found = runs.recorded(state, run_id) if run_id else runs.newest_change(state)
    if found is None:
        raise runs.NothingLeft("No run has changed anything yet, so there is nothing to audit.")
    job = arguments.job(arguments.again(values, found.begun), values["report"], found.begun.job)
    look = replace(arguments.look(values), of="Audit of run")
    screen = Screen(found.begun.input, look)
    return screen.finish(runs.audit(job, found.run_id, screen, sample))
