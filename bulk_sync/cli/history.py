"""``bulk-sync history``: the whole story of one person."""

from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit, UsageProblem

_EPILOG = """\b
Examples:
  bulk-sync history @2v1dr3Nd0wSmLK0Dy3vXCLHFtkmKUIA0iDgRDEwdpmJvR6-eZ9
  bulk-sync history jo@example.com --lookup
"""


@click.command(name="history", epilog=_EPILOG)
@click.argument("key", metavar="KEY")
@options.option(
    "--lookup",
    is_flag=True,
    help="Ask Campaign for the PKeys of an e-mail address (GET only), so that files which held "
    "PKeys alone are searched for them too.",
)
@options.json_option
@options.connection_options
@options.state_options
@options.logging_options
@options.config
def command(**values: Any) -> Exit:
    """Show the whole story of one person: every write, and every row that named them.

    KEY is a PKey, an e-mail address (capitals aside), or any key that a file used. First comes what
    stands now as far as this tool knows.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

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
