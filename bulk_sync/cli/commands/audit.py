"""``bulk-sync audit``: re-read what a run applied, and report what no longer holds."""

from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import deployment_options, input_options, run_options
from bulk_sync.errors import Exit, UsageProblem
from bulk_sync.settings import Bound


@Command.declare(
    "audit",
    run_options.MAYBE_RUN_ID,
    input_options.SAMPLE,
    run_options.REPORT,
    *run_options.READING,
    *run_options.WORK,
    *deployment_options.MONITORING,
    examples="""
  bulk-sync audit                                           the newest run that changed anything
  bulk-sync audit 20261123T020000Z-7f3a9c --sample 5% --report audit.xlsx
""",
)
def command(**values: Any) -> Exit:
    """Read again what a run applied, and report what no longer holds. Changes nothing.

    Exits with 3 if anything does not hold. Other options are those of the run.
    """
    sample = None if values["sample"] is None else Bound.parse(values["sample"], "--sample")
    if sample is not None and not (sample.count or sample.percent):
        raise UsageProblem("--sample 0 would read nothing; write a number, or a share like 5%.")

    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen

    state, run_id = arguments.state(values), values["run_id"]
    run = runs.find_run(state, run_id) if run_id else runs.newest_change(state)
    if run is None:
        raise runs.NothingLeft("No run has changed anything yet, so there is nothing to audit.")
    job = arguments.follow_up(values, run, values["report"])
    screen = Screen(run.begun.input, values, title="Audit of run")
    return screen.finish(runs.audit(job, run.run_id, screen, sample))
