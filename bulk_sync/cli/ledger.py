"""``bulk-sync ledger``: prove that the ledger was not altered."""

from typing import Any

import click

from bulk_sync.cli import arguments, logs, options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit

_EPILOG = """\b
Examples:
  bulk-sync ledger verify
  bulk-sync ledger verify --head 1204:9f86d0...     as a run printed it

Each line carries the SHA-256 over itself and the line before, so that none can be changed, taken
out, put in or moved. That the end was not cut off is known from ledger.anchor in the state folder,
which notes where the ledger ended, and from what runs print, if you give it with --head.
"""


@click.group(name="ledger")
def command() -> None:
    """Prove that the ledger was not altered."""


def _heads(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> list[Any]:
    from bulk_sync.ledger import Head

    try:
        return [Head.parse(each) for each in given]
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error


@command.command(name="verify", epilog=_EPILOG)
@options.option(
    "--head",
    multiple=True,
    metavar="LINE:SHA256",
    callback=_heads,
    help="Where the ledger once ended, as a run's summary says. Can be repeated.",
)
@options.json_option
@options.state_options
@options.logging_options
@options.config
def verify(**values: Any) -> Exit:
    """Walk the whole ledger, offline, and name the first line that does not fit.

    Exits with 3 if one does not.
    """
    logs.set_up(values["log_format"], verbose=values["verbose"], quiet=values["quiet"])

    from bulk_sync import ledger

    state = arguments.state(values)
    verdict = ledger.verify(state, values["head"])
    if values["json"]:
        say_json(
            {
                "ledger": verdict.ledger,
                "lines": verdict.head.position,
                "sha256": verdict.head.hash,
                "fits": verdict.misfit is None,
                "first_misfit": None if verdict.misfit is None else verdict.misfit.position,
                "problem": "" if verdict.misfit is None else verdict.misfit.problem,
                "end_is_proven": verdict.end_is_proven,
            }
        )
        return verdict.exit
    lines = verdict.head.position
    if verdict.misfit is not None:
        wrong = f"line {verdict.misfit.position:,} {verdict.misfit.problem}"
        say(f"{verdict.ledger} was altered: {wrong}. The {lines:,} lines before it fit.")
    else:
        say(f"{verdict.ledger}: all {lines:,} lines fit.\nHead: {verdict.head}")
        if not verdict.end_is_proven:
            say(
                "That its end was not cut off is not proven: the note of where it ended, "
                "ledger.anchor, is missing. Give a head that a run printed with --head."
            )
    return verdict.exit
