"""``bulk-sync map``: the PKeys of this instance, for rows with others, or none."""

from pathlib import Path
from typing import Any

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import input_options, run_options
from bulk_sync.errors import Exit


@Command.declare(
    "map",
    run_options.INPUT_FILE,
    run_options.MAPPED_OUT,
    *input_options.KEYS,
    input_options.ON_AMBIGUOUS,
    input_options.SHEET,
    input_options.HEADER_ROW,
    *run_options.READING,
    *run_options.WORK,
    examples="""
  bulk-sync map old.csv                                by the column email
  bulk-sync map old.csv --key custom --key-column customerId --out new.csv
  bulk-sync map old.xlsx --dialect v8 --key filter:ExternalId:externalId_parameter
""",
)
def command(**values: Any) -> Exit:
    """Find the PKeys of this instance for the rows in INPUT. Nothing is written to it.

    For a migration: PKeys of Campaign Standard do not work in Campaign v8. Profiles are found by
    another column, an e-mail address unless --key names another. The rows with a profile go to
    --out with their columns, a new PKey first and the old one as oldPKey; give that file to
    `bulk-sync run`. The others go, with reasons, to a todo file beside it.
    """
    from bulk_sync import runs
    from bulk_sync.cli.screen import Screen

    values["key"] = values["key"] or "email"
    given = arguments.given_input(values, needs_state=False)
    out = values["out"] or Path(f"{given.stem}.mapped.csv")
    screen = Screen(given.source, values, preview=True)
    mapped = runs.map_keys(arguments.job(values, (), ""), given, screen, out)
    return screen.finish_mapping(mapped)
