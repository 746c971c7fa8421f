"""``bulk-sync apply``: carry out a reviewed plan, once."""

from pathlib import Path
from typing import Any

import click

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.next_command import Typed
from bulk_sync.cli.options import run_options
from bulk_sync.cli.options.value_types import FilledPath
from bulk_sync.errors import Exit, Refused
from bulk_sync.settings import Approval


@Command.declare(
    "apply",
    click.Argument(["plan"], metavar="PLAN", type=FilledPath(path_type=Path)),
    run_options.ALLOW,
    run_options.EXPECT_SHA256,
    run_options.APPROVED_BY,
    run_options.APPROVALS,
    run_options.PLAN_VALID,
    run_options.TICKET,
    run_options.COMMENT,
    *run_options.WRITING,
    examples="""
  bulk-sync plan optouts.csv --out plan.parquet
  bulk-sync apply plan.parquet
  bulk-sync apply plan.parquet --expect-sha256 9f86d0... --approved-by 'Ben Miller'
""",
)
def command(**values: Any) -> Exit:
    """Carry out PLAN, made by `bulk-sync plan INPUT --out PLAN`.

    Every profile is read again before it is written; if its state has changed since, it is
    `drifted`, and left alone. A plan is carried out once: a second time finishes what the first
    left, as `resume` does. The limits of the plan hold too, except those on the command line. So do
    its ticket and its comment: what you give here is added.
    """
    from bulk_sync import runs
    from bulk_sync.cli import unfinished
    from bulk_sync.cli.screen import Screen

    path: Path = values["plan"]
    job = arguments.job(values, values["report"], "")
    screen = Screen(str(path), values)
    approval = Approval(
        values["expect_sha256"], values["approved_by"], values["approvals"], values["plan_valid"]
    )
    try:
        finished = runs.apply(job, path, screen, approval, arguments.typed(values))
    except runs.PlanBegun as begun:
        return unfinished.finish(values, begun.run)
    except runs.PlanExpired as expired:
        again = Typed(click.get_current_context()).plan_again(expired.planned.begun, path)
        raise Refused(again.after(str(expired))) from expired
    return screen.finish(finished)
