"""``bulk-sync runs``: past runs, or one of them in full."""

from typing import Any

import click

from bulk_sync.cli import arguments, options
from bulk_sync.cli.command import Command
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync runs
  bulk-sync runs --json
  bulk-sync runs 20261123T020000Z-7f3a9c
"""


@click.command(
    "runs",
    cls=Command,
    params=[options.MAYBE_RUN_ID, options.JSON, *options.STATE, *options.LOGGING],
    epilog=_EPILOG,
)
def command(**values: Any) -> Exit:
    """List past runs, the newest last; with RUN_ID show all of one."""
    from bulk_sync import runs
    from bulk_sync.cli.ledger_tables import facts_lines, run_facts, run_lines

    run_id = values["run_id"]
    with runs.known(arguments.state(values)) as book:
        found = [book.run(run_id)] if run_id else book.runs()
    if values["json"]:
        facts = [run_facts(run) for run in found]
        say_json(facts[0] if run_id else facts)
        return Exit.DONE
    for line in facts_lines(found[0]) if run_id else run_lines(found):
        say(line)
    return Exit.DONE
