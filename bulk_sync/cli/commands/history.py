"""``bulk-sync history``: the whole story of one person."""

from typing import TYPE_CHECKING, Any, Final

import click

from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import deployment_options, run_options
from bulk_sync.cli.output import laid_out, say, say_json

if TYPE_CHECKING:
    from bulk_sync.runs import Story

_SHOWN: Final = (
    "at", "kind", "outcome", "reason", "before", "desired", "input", "row", "run", "operator",
)  # fmt: skip

_LOOK_UP: Final = (
    "add --lookup, which asks Campaign for the PKeys of the address, or ask for the PKey."
)


@Command.declare(
    "history",
    click.Argument(["key"], metavar="KEY"),
    deployment_options.LOOKUP,
    run_options.JSON,
    *deployment_options.CONNECTION,
    *deployment_options.STATE,
    *run_options.LOGGING,
    examples="""
  bulk-sync history @2v1dr3Nd0wSmLK0Dy3vXCLHFtkmKUIA0iDgRDEwdpmJvR6-eZ9
  bulk-sync history jo@example.com --lookup
""",
)
def command(**values: Any) -> None:
    """Show the whole story of one person: every write, and every row about them.

    KEY is a PKey, an e-mail address (capitals aside), or any key of a file. First comes what
    stands now as far as this tool knows.
    """
    from bulk_sync import runs
    from bulk_sync.rows import check
    from bulk_sync.runs.commands import story_text

    key = check.key(values["key"].encode("utf-8", "replace").decode())
    state = arguments.state(values)
    with runs.known(state) as book:
        pkeys: tuple[str, ...] = ()
        if values["lookup"]:
            job = runs.Job(arguments.connection(values), runs.JobRecord(state))
            pkeys = runs.look_up(book, job, key)
        story = runs.story_of(book, state, key, pkeys)
    look_up = "" if values["lookup"] else _LOOK_UP
    if values["json"]:
        say_json(story_text.facts(story, look_up))
    else:
        for line in _lines(story, look_up):
            say(line)


def _lines(story: "Story", look_up: str) -> list[str]:
    from bulk_sync.runs.commands import story_text

    table = [
        [str(facts[name]) for name in _SHOWN] for facts in map(story_text.event_facts, story.events)
    ]
    notes = story_text.notes(story, look_up)
    return [
        *story_text.standing(story),
        *(["", *laid_out(_SHOWN, table)] if table else []),
        *(["", *notes] if notes else []),
    ]
