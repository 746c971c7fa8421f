"""``bulk-sync plan``: the same reading and comparing as ``run``, and no writing."""

from typing import Any

import click

from bulk_sync.cli import options
from bulk_sync.cli.run import carry_out
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync plan optouts.csv
  bulk-sync plan optouts.csv --report plan.xlsx     every row, with what would become of it
"""


@click.command(name="plan", epilog=_EPILOG)
@click.argument("input", metavar="INPUT")
@options.report_option
@options.input_options
@options.limit_options
@options.reading_options
@options.pace_options
@options.connection_options
@options.state_options
@options.summary_option
@options.logging_options
@options.config
def command(**values: Any) -> Exit:
    """Show what `run INPUT` would write, without writing it.

    Exits with 0 also when a limit would be passed, and says so.
    """
    return carry_out(values, dry_run=True, default_report=False)
