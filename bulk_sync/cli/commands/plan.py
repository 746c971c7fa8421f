"""``bulk-sync plan``: the same reading and comparing as ``run``, and no writing."""

from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import run_options
from bulk_sync.errors import Exit


@Command.declare(
    "plan",
    run_options.INPUT_FILE,
    run_options.PLAN_OUT,
    *run_options.COMPARING,
    *run_options.LIMITS,
    *run_options.ASKING,
    run_options.APPROVALS,
    run_options.REPORT,
    run_options.LOCK_WAIT,
    *run_options.WORK,
    examples="""
  bulk-sync plan optouts.csv
  bulk-sync plan optouts.csv --out plan.parquet     for `bulk-sync apply`
  bulk-sync plan optouts.csv --report plan.xlsx     every row, with its outcome
""",
)
def command(**values: Any) -> Exit:
    """Show what `run INPUT` would write, without writing it.

    Exits with 0 also when a limit would be passed, and reports it. A saved plan, or one with a
    budget of calls, can be resumed: by the same command, or by `bulk-sync resume`.
    """
    from bulk_sync import runs
    from bulk_sync.cli import mapping
    from bulk_sync.cli.screen import Screen

    mapping.check(values)
    given = arguments.given_input(values)
    job = arguments.job(values, values["report"], arguments.job_name(given))
    screen = Screen(given.source, values, preview=True)
    finished = runs.preview(job, given, screen, values["out"], fresh=values["fresh"])
    status = screen.finish(finished)
    mapping.save(values, given, screen.layout, status)
    return status
