"""``bulk-sync undo``: put back what a run changed."""

from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import run_options
from bulk_sync.errors import Exit


@Command.declare(
    "undo",
    run_options.RUN_ID,
    run_options.PLAN_OUT,
    *run_options.ASKING,
    run_options.APPROVALS,
    *run_options.WRITING,
    examples="""
  bulk-sync undo 20261123T020000Z-7f3a9c
  bulk-sync undo 20261123T020000Z-7f3a9c --out undo.parquet     for `bulk-sync apply`
""",
)
def command(**values: Any) -> Exit:
    """Put back what a run changed, where the profile still is as the run left it.

    The undo is a run of its own, under the same limits: undoing an opt-out is an opt-in. If a
    profile has changed since, it is `drifted`, and left alone. An interrupted run is given up with
    it. Other options, limits, ticket and comment aside, are those of the run. With --out nothing
    is written: the undo is saved as a plan, for another person to review and apply.
    """
    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen

    run = runs.find_run(arguments.state(values), values["run_id"])
    out, stem = values["out"], str(run.begun.settings["stem"])
    reports = values["report"] if out else arguments.reports(values, stem)
    job = arguments.follow_up(values, run, reports, is_undo=True)
    screen = Screen(f"the undo of {run.run_id} ({run.begun.input})", values, preview=bool(out))
    return screen.finish(runs.undo(job, run.run_id, screen, out))
