"""``bulk-sync history``: every change that this tool made to one profile."""

from typing import Any

import click

from bulk_sync.cli import asked, logs, options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit

_EPILOG = """\b
Example:
  bulk-sync history @2v1dr3Nd0wSmLK0Dy3vXCLHFtkmKUIA0iDgRDEwdpmJvR6-eZ9
"""


@click.command(name="history", epilog=_EPILOG)
@click.argument("key", metavar="KEY")
@options.json_option
@options.state_options
@options.logging_options
@options.config
def command(**values: Any) -> Exit:
    """Tell what this tool did to one profile: when, from which file and row, by whom."""
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import runs
    from bulk_sync.cli.tables import laid_out, write_facts
    from bulk_sync.outcomes import Outcome
    from bulk_sync.rows import check

    key = check.key(values["key"].encode("utf-8", "replace").decode())
    with runs.known(asked.state(values)) as book:
        by_id = {run.run_id: run for run in book.runs()}
        told = [
            write_facts(each, by_id[each.run_id])
            for each in book.history(key)
            if each.settled is None or each.settled.outcome is not Outcome.PENDING
        ]
    told.sort(key=lambda each: str(each["at"]))
    if values["json"]:
        say_json(told)
    elif not told:
        say(f"This tool never changed the profile {key}, nor tried to.")
    else:
        shown = (
            "at", "kind", "outcome", "reason", "before", "desired", "input", "row", "run",
            "operator",
        )  # fmt: skip
        for line in laid_out(shown, [[str(each[name]) for name in shown] for each in told]):
            say(line)
    return Exit.DONE
