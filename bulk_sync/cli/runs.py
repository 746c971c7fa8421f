"""``bulk-sync runs``: past runs, or one of them in full."""

from typing import TYPE_CHECKING, Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit

if TYPE_CHECKING:
    from bulk_sync.ledger import Run

_EPILOG = """\b
Examples:
  bulk-sync runs
  bulk-sync runs --json
  bulk-sync runs 20261123T020000Z-7f3a9c
"""


@click.command(name="runs", epilog=_EPILOG)
@click.argument("run_id", metavar="[RUN_ID]", required=False)
@options.json_option
@options.state_options
@options.logging_options
@options.config
def command(**values: Any) -> Exit:
    """List past runs, the newest last; with RUN_ID tell all of one."""
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import runs
    from bulk_sync.cli.ledger_tables import laid_out, run_facts, run_row

    with runs.known(arguments.state(values)) as book:
        found = [book.run(values["run_id"])] if values["run_id"] else book.runs()
    if values["json"]:
        told = [run_facts(run) for run in found]
        say_json(told[0] if values["run_id"] else told)
    elif values["run_id"]:
        for line in _in_full(found[0]):
            say(line)
    else:
        names = (
            "run",
            "kind",
            "input",
            "rows",
            "opt-ins",
            "opt-outs",
            "left",
            "exit",
            "operator",
        )
        for line in laid_out(names, [run_row(run) for run in found]):
            say(line)
    return Exit.DONE


def _in_full(run: "Run") -> list[str]:
    from bulk_sync.cli.ledger_tables import facts_lines, run_facts

    return facts_lines(run_facts(run))
