"""``bulk-sync holidays``: the days that are no business days, to check deadlines."""

from datetime import UTC, datetime
from typing import Any

import click

from bulk_sync.cli.command import Command
from bulk_sync.cli.options import run_options
from bulk_sync.cli.options.value_types import Whole
from bulk_sync.cli.output import say, say_json


@Command.declare(
    "holidays",
    click.Argument(["years"], nargs=-1, type=Whole(2020, 2100), metavar="[YEAR]..."),
    run_options.JSON,
    examples="""
  bulk-sync holidays                    this year and the next
  bulk-sync holidays 2027 --json
""",
)
def command(**values: Any) -> None:
    """List the state holidays of California that are no business days.

    An opt-out must be carried out within 15 business days from the day it was received (11 CCR
    7026). Where the input has request dates, the report has the last day of each in `sync_due`;
    weekends and these days do not count. Check them against the state's own list.
    """
    from bulk_sync.rows import due_dates

    this = datetime.now(UTC).year
    found = due_dates.holidays_of(values["years"] or (this, this + 1))
    if values["json"]:
        say_json([{"date": str(day), "name": name} for day, name in found.items()])
        return
    for day, name in found.items():
        say(f"{day} {day:%a}  {name}")
