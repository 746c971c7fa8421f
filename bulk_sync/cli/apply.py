"""``bulk-sync apply``: carry out a reviewed plan, once."""

from pathlib import Path
from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync plan optouts.csv --out plan.parquet
  bulk-sync apply plan.parquet
  bulk-sync apply plan.parquet --expect-sha256 9f86d0... --summary json -q
"""


@click.command(name="apply", epilog=_EPILOG)
@click.argument("plan", metavar="PLAN", type=click.Path(path_type=Path))
@options.option(
    "--expect-sha256",
    metavar="SHA256",
    help="Refuse any other file than the one that was reviewed; `plan --out` prints it.",
)
@options.yes_option
@options.report_option
@options.limit_options
@options.allow_option
@options.verify_option
@options.keep_rows_option
@options.lock_option
@options.work_options
def command(**values: Any) -> Exit:
    """Carry out PLAN, which `bulk-sync plan INPUT --out PLAN` made.

    Every profile is read again before it is written; one whose state moved since is `drifted`, and
    left alone. A plan is carried out once: a second time finishes what the first left. The limits
    that it was made with hold too, but for those that are given on the command line.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])
    arguments.connection(values)

    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    path: Path = values["plan"]
    job = arguments.job(values, arguments.reports(values, runs.Input(str(path)).stem), "")
    screen = Screen(str(path), arguments.look(values))
    expected, typed = values["expect_sha256"], arguments.typed(values)
    return screen.finish(runs.apply(job, path, screen, expected=expected, typed=typed))
