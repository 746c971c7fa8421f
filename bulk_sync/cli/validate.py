"""``bulk-sync validate``: judge a file without contacting Campaign."""

from pathlib import Path
from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync validate optouts.csv
  bulk-sync validate optouts.xlsx --sheet Requests --report judged.xlsx
"""


@click.command(name="validate", epilog=_EPILOG)
@click.argument("input", metavar="INPUT")
@options.input_options
@options.option(
    "--attribute",
    default="ccpaOptOut",
    show_default=True,
    metavar="NAME",
    help="The attribute's name, which a state column may bear.",
)
@options.report_option
@options.summary_option
@options.logging_options
@options.config
def command(**values: Any) -> Exit:
    """Say of every row in INPUT whether it can be used, without contacting Campaign.

    Exits with 0 if all can, and with 3 if some cannot; --report writes every row with its verdict.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import runs
    from bulk_sync.cli.summary import verdict_json, verdict_lines

    given = arguments.given_input(values["input"], values)
    reports: tuple[Path, ...] = values["report"]
    judged, rejected = runs.judge(given, reports)
    status = Exit.ROWS_LEFT if rejected else Exit.DONE
    if values["summary"] == "json":
        say_json(verdict_json(judged, given.source, status))
    else:
        for line in verdict_lines(judged, given.source):
            say(line)
    return status
