"""``bulk-sync tidy``: remove from the state folder what no run needs any more."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from rich import filesize

from bulk_sync.amounts import count
from bulk_sync.cli import arguments
from bulk_sync.cli.command import Command
from bulk_sync.cli.options import deployment_options, run_options
from bulk_sync.cli.output import laid_out, say, say_json
from bulk_sync.errors import Exit

if TYPE_CHECKING:
    from bulk_sync.runs import Tidied
    from bulk_sync.runs.history.leftovers import Leftover


@Command.declare(
    "tidy",
    run_options.KEEP,
    run_options.PLAN_VALID,
    run_options.SHOW_ONLY,
    run_options.SUMMARY,
    *deployment_options.STATE,
    *run_options.LOGGING,
    examples="""
  bulk-sync tidy -n                 what would go?
  bulk-sync tidy
  bulk-sync tidy --keep 90          also rows and plans older than 90 days
""",
)
def command(**values: Any) -> Exit:
    """Remove from the state folder what may go: see `bulk-sync help ledger` for what that is.

    The ledger stays, and everything that a run needs to go on, or a plan to be applied. The same
    holds for checkpoints in the bucket of --state-url. A run removes by itself what is over of
    earlier ones.
    """
    from bulk_sync import runs
    from bulk_sync.cli.next_command import Typed

    state, is_preview = arguments.state(values), bool(values["dry_run"])
    rules = runs.RetentionRules(datetime.now(UTC), values["keep"], values["plan_valid"])
    tidied = runs.tidy(state, rules, is_preview=is_preview)
    status = Exit.ROWS_LEFT if tidied.stuck else Exit.DONE
    if values["summary"]:
        say_json(_facts(tidied, state.folder, status, is_preview=is_preview))
        return status
    for line in _lines(tidied, state.folder, is_preview=is_preview):
        say(line)
    if is_preview and tidied.gone:
        command = Typed(click.get_current_context()).carried_out()
        say(command.after("\nTo remove it"))
    return status


def _lines(tidied: "Tidied", folder: Path, *, is_preview: bool) -> Iterator[str]:
    if tidied.gone:
        yield f"{'Would remove' if is_preview else 'Removed'} from {folder}:"
        yield from _table(tidied.gone, folder)
        together = sum(each.size for each in tidied.gone)
        yield f"Together: {count(len(tidied.gone), 'thing')}, {filesize.decimal(together)}."
    else:
        yield f"Nothing may go from {folder}."
    if tidied.stuck:
        yield "Could not be removed; look at the permissions, or try as the owner of the files:"
        yield from _table(tidied.stuck, folder)
    for organization in tidied.at_work:
        yield (
            f"Left alone: things of organization {organization}, since a run is at work on it. Try "
            "again when it has ended."
        )
    for path in tidied.unknown:
        yield (
            f"Left alone: {path.relative_to(folder)}. This ledger has no such run; it may belong "
            "to another one (--ledger). If to none, remove it by hand."
        )


def _table(found: Sequence["Leftover"], folder: Path) -> Iterator[str]:
    rows = [(each.name(folder), filesize.decimal(each.size), each.reason) for each in found]
    _, *lines = laid_out(("", "", ""), rows)
    yield from (f"  {line}" for line in lines)


def _facts(tidied: "Tidied", folder: Path, status: Exit, *, is_preview: bool) -> dict[str, object]:
    def told(found: Sequence["Leftover"]) -> list[dict[str, object]]:
        return [
            {"path": each.name(folder), "bytes": each.size, "reason": each.reason} for each in found
        ]

    return {
        "exit": int(status),
        "message": "Some things could not be removed." if tidied.stuck else "",
        "state_dir": str(folder),
        "dry_run": is_preview,
        "removed": told(tidied.gone),
        "count": len(tidied.gone),
        "bytes": sum(each.size for each in tidied.gone),
        "not_removed": told(tidied.stuck),
        "at_work": tidied.at_work,
        "unknown_runs": [str(path.relative_to(folder)) for path in tidied.unknown],
    }
