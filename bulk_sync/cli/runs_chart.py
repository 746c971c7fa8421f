"""A small chart of the last runs for a terminal: changes as bars, and how each run ended."""

import sys
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bulk_sync.cli.ledger_tables import one_line
from bulk_sync.cli.runs_table import in_short
from bulk_sync.errors import Exit
from bulk_sync.ledger import Run

_RUNS: Final = 14
_BAR_CELLS: Final = 32
_JOB_CELLS: Final = 24


class _End(NamedTuple):
    sign: str
    style: str


_DONE: Final = _End("✓", "green")
_PERSON: Final = _End("!", "yellow")
_TO_RESUME: Final = _End("…", "magenta")
_FAILED: Final = _End("✗", "red")
_ENDS: Final = {
    Exit.DONE: _DONE,
    Exit.ROWS_LEFT: _PERSON,
    Exit.REFUSED: _PERSON,
}


def show(runs: Sequence[Run]) -> None:
    """Print the chart of the newest runs, if there are any."""
    newest = runs[-_RUNS:]
    if not newest:
        return
    most = max(map(_changes, newest)) or 1
    table = Table(box=None, pad_edge=False, title_justify="left", show_header=False)
    for justify in ("left", "left", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for run in newest:
        sign, style = _end(run)
        changes = _changes(run)
        began = datetime.fromtimestamp(run.begun_ms / 1000).astimezone()
        table.add_row(
            f"{began:%m-%d %H:%M}",
            Text(one_line(run.begun.job)[:_JOB_CELLS]),
            Text("█" * -(-changes * _BAR_CELLS // most), style=style),
            f"{changes:,}" if run.has_begun else "",
            Text(f"{sign} {in_short(run)}", style=style),
        )
    console = Console(file=sys.stdout)
    console.print(f"\nChanges of the last {len(newest)} runs:" if len(newest) > 1 else "\nChanges:")
    console.print(table)


def _end(run: Run) -> _End:
    if run.ended is None or (not run.ended.final and run.has_begun):
        return _TO_RESUME
    return _ENDS.get(Exit(run.ended.exit), _FAILED)


def _changes(run: Run) -> int:
    """Return how many profiles a run changed, or a plan would have."""
    return 0 if run.ended is None else run.ended.opt_ins + run.ended.opt_outs
