"""``bulk-sync ledger``: prove that the ledger was not altered; copy it to another database."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from bulk_sync.amounts import count
from bulk_sync.cli import arguments
from bulk_sync.cli.command import CommandGroup
from bulk_sync.cli.options import deployment_options, input_options, run_options
from bulk_sync.cli.output import say, say_json
from bulk_sync.errors import Exit, UsageProblem

if TYPE_CHECKING:
    from bulk_sync.ledger import LedgerVerdict, Transfer
    from bulk_sync.settings import State

_EPILOG = """\b
Examples:
  bulk-sync ledger verify
  bulk-sync ledger verify --head 1204:9f86d0...     as a run printed it

Each line carries the SHA-256 over itself and the line before, so that none can be changed, taken
out, put in or moved. That the end was not cut off is known from ledger.anchor in the state folder,
which notes where the ledger ended, and from what runs print, if you give it with --head.
"""


_EPILOG_COPY = """\b
Examples:
  bulk-sync ledger copy postgresql://user@host/database
  bulk-sync ledger copy sqlite:////backup/ledger.sqlite3

A password belongs into ~/.pgpass or PGPASSWORD: a URL on the command line is visible to others.
`bulk-sync help ledger` shows the whole way.
"""


@click.group("ledger", cls=CommandGroup)
def command() -> None:
    """Prove that the ledger was not altered; copy it to another database."""


@command.command(
    "verify",
    params=[input_options.HEAD, run_options.JSON, *deployment_options.STATE, *run_options.LOGGING],
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
        fitting = min(lines, verdict.misfit.position - 1)  # a rewritten line fits the chain
        before = count(fitting, "line before it fits", "lines before it fit")
        say(f"{verdict.ledger} was altered: {wrong}. The {before}.")
    else:
        fit = count(lines, "line fits", "lines fit")
        say(f"{verdict.ledger}: all {fit}.\nHead: {verdict.head}")
        if not verdict.end_is_proven:
            say(
                "That its end was not cut off is not proven: the note of where it ended, "
                "ledger.anchor, is missing. Give a head that a run printed with --head."
            )
    return verdict.exit


@command.command(
    "copy",
    params=[
        run_options.DATABASE,
        run_options.LOCK_WAIT,
        run_options.JSON,
        *deployment_options.STATE,
        *run_options.LOGGING,
    ],
    epilog=_EPILOG_COPY,
)
def copy(**values: Any) -> None:
    """Copy the ledger into the empty database at URL, in one step, and verify both.

    A copy made before gets the lines that it lacks. The ledger itself stays as it is.
    """
    from bulk_sync import runs

    state = arguments.state(values)
    copied, target = runs.copy_ledger(state, values["url"])
    ends = dict(zip((copied.source, copied.target), copied.heads, strict=True))
    if values["json"]:
        say_json(
            {
                "ledgers": [
                    {"ledger": name, "lines": end.position, "sha256": end.hash}
                    for name, end in ends.items()
                ],
                "lines_added": copied.added,
                "runs": copied.runs,
                "writes": copied.writes,
            }
        )
        return
    say(
        f"{count(copied.added, 'line')} copied. Both ledgers fit: "
        f"{count(copied.heads[1].position, 'line')}, {count(copied.runs, 'run')}, "
        f"{count(copied.writes, 'write')}.\n"
    )
    for name, end in ends.items():
        say(f"  {name}\n    Head: {end}\n")
    for line in _next(state, target, copied):
        say(line)


def _next(state: "State", target: "State", copied: "Transfer") -> Iterator[str]:
    yield "Before the next run, on every machine and for every job:"
    if target.ledger is None:
        yield "  1. Remove BULK_SYNC_LEDGER, BULK_SYNC_LEDGER_FILE, and `ledger` in bulk-sync.toml."
    else:
        yield (
            "  1. Set BULK_SYNC_LEDGER to the URL of the copy. With a password: into a file for "
            "its owner alone, which BULK_SYNC_LEDGER_FILE names."
        )
    yield (
        f"  2. Leave --state-dir as it is ({state.folder}): checkpoints, kept rows and the notes "
        "of where ledgers ended stay there."
    )
    yield "  3. Look at both: bulk-sync ledger verify; bulk-sync runs"
    yield (
        f"  4. Take {copied.source} out of use, and keep it with your records: what a run adds to "
        "it from now on is not in the copy."
    )


def _facts(verdict: "LedgerVerdict") -> dict[str, object]:
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
