"""``bulk-sync history``: the whole story of one person."""

from typing import Any

import click

from bulk_sync.cli import arguments, options
from bulk_sync.cli.command import Command
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit, UsageProblem

_EPILOG = """\b
Examples:
  bulk-sync history @2v1dr3Nd0wSmLK0Dy3vXCLHFtkmKUIA0iDgRDEwdpmJvR6-eZ9
  bulk-sync history jo@example.com --lookup
"""


@click.command(
    "history",
    cls=Command,
    params=[
        click.Argument(["key"], metavar="KEY"),
        options.LOOKUP,
        options.JSON,
        *options.CONNECTION,
        *options.STATE,
        *options.LOGGING,
    ],
    epilog=_EPILOG,
)
def command(**values: Any) -> Exit:
    """Show the whole story of one person: every write, and every row about them.

    KEY is a PKey, an e-mail address (capitals aside), or any key of a file. First comes what
    stands now as far as this tool knows.
    """
    from bulk_sync import runs
    from bulk_sync.cli import history_output
    from bulk_sync.rows import check

    key = check.key(values["key"].encode("utf-8", "replace").decode())
    if not key:
        raise UsageProblem("KEY is empty; an unset variable, perhaps.")
    state = arguments.state(values)
    with runs.known(state) as book:
        pkeys: tuple[str, ...] = ()
        if values["lookup"]:
            pkeys = runs.look_up(book, runs.Job(arguments.connection(values), state), key)
        story = runs.story_of(book, state, key, pkeys)
    if values["json"]:
        say_json(history_output.facts(story, looked_up=values["lookup"]))
    else:
        for line in history_output.lines(story, looked_up=values["lookup"]):
            say(line)
    return Exit.DONE
