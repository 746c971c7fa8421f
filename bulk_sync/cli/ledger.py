"""``bulk-sync ledger``: prove that the ledger was not altered."""

from typing import TYPE_CHECKING, Any

import click

from bulk_sync.cli import arguments, input_options, options
from bulk_sync.cli.command import Command
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit, UsageProblem

if TYPE_CHECKING:
    from bulk_sync.ledger import Verdict

_EPILOG = """\b
Examples:
  bulk-sync ledger verify
  bulk-sync ledger verify --head 1204:9f86d0...     as a run printed it

Each line carries the SHA-256 over itself and the line before, so that none can be changed, taken
out, put in or moved. That the end was not cut off is known from ledger.anchor in the state folder,
which notes where the ledger ended, and from what runs print, if you give it with --head.
"""


@click.group("ledger")
def command() -> None:
    """Prove that the ledger was not altered."""


@command.command(
    "verify",
    cls=Command,
    params=[input_options.HEAD, options.JSON, *options.STATE, *options.LOGGING],
    epilog=_EPILOG,
)
def verify(**values: Any) -> Exit:
    """Walk the whole ledger, offline, and name the first line that does not fit.

    Exits with 3 if one does not.
    """
    from bulk_sync import ledger

    try:
        heads = [ledger.Head.parse(each) for each in values["head"]]
    except ValueError as error:
        raise UsageProblem(f"--head: {error}.") from error
    verdict = ledger.verify(arguments.state(values), heads)
    if values["json"]:
        say_json(_facts(verdict))
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


def _facts(verdict: "Verdict") -> dict[str, object]:
    misfit = verdict.misfit
    return {
        "ledger": verdict.ledger,
        "lines": verdict.head.position,
        "sha256": verdict.head.hash,
        "fits": misfit is None,
        "first_misfit": None if misfit is None else misfit.position,
        "problem": "" if misfit is None else misfit.problem,
        "end_is_proven": verdict.end_is_proven,
    }
