"""``bulk-sync map``: the PKeys that this instance knows, for rows that hold others, or none."""

from pathlib import Path
from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync map old.csv                                by the column email
  bulk-sync map old.csv --key custom --key-column customerId --out new.csv
  bulk-sync map old.xlsx --dialect v8 --key filter:ExternalId:externalId_parameter
"""


@click.command(name="map", epilog=_EPILOG)
@click.argument("input", metavar="INPUT")
@options.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where the rows with new PKeys go; .csv .parquet .xlsx decides the format.  "
    "[default: INPUT's name and .mapped.csv]",
)
@options.key_options
@options.ambiguous_option
@options.sheet_option
@options.reading_options
@options.work_options
def command(**values: Any) -> Exit:
    """Find the PKeys that this instance knows now for the rows in INPUT. Nothing is written to it.

    For a migration: PKeys of Campaign Standard do not work in Campaign v8. Profiles are found by
    another column, an e-mail address unless --key says otherwise. The rows that were placed go to
    --out with their columns, a new PKey first and the old one as oldPKey; give that file to
    `bulk-sync run`. The others go, with reasons, to a todo file beside it.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])
    arguments.connection(values)

    from bulk_sync import runs
    from bulk_sync.cli.display import Screen

    values["key"] = values["key"] or "email"
    given = arguments.given_input(values["input"], values, needs_state=False)
    out = values["out"] or Path(f"{given.stem}.mapped.csv")
    job = arguments.job(values, (), "")
    screen = Screen(given.source, arguments.look(values, preview=True))
    return screen.finish_mapping(runs.map_keys(job, given, screen, out))
