"""A small chart of the last runs for a terminal: changes as bars, and how each run ended."""

import sys
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bulk_sync.cli.output import one_line
from bulk_sync.cli.runs_table import in_short
from bulk_sync.errors import Exit
from bulk_sync.ledger import Run

_RUNS: Final = 14
_BAR_CELLS: Final = 32
_JOB_CELLS: Final = 16
_GAP: Final = 2


_PERSON: Final = ("!", "yellow")
_ENDS: Final = {Exit.DONE: ("✓", "green"), Exit.ROWS_LEFT: _PERSON, Exit.REFUSED: _PERSON}
"""The sign and the colour of the end of a run."""

_TO_RESUME: Final = ("…", "magenta")
_FAILED: Final = ("✗", "red")


def show(runs: Sequence[Run], at_work: Collection[str]) -> None:
    """Print the chart of the newest runs, if there are any."""
    newest = runs[-_RUNS:]
    if not newest:
        return
    console = Console(file=sys.stdout, highlight=False)
    cells = [_cells(run, at_work) for run in newest]
    others = sum(max(map(len, column)) + _GAP for column in zip(*cells, strict=True))
    most = max(run.changes for run in newest) or 1
    room = max(1, min(_BAR_CELLS, console.width - others))
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, _GAP, 0, 0))
    for justify in ("left", "left", "left", "right", "left"):
        table.add_column(justify=justify, no_wrap=True)
    for run, (began, job, changes, ended) in zip(newest, cells, strict=True):
        _, style = _end(run)
        bar = "█" * -(-run.changes * room // most)
        table.add_row(began, Text(job), Text(bar, style=style), changes, Text(ended, style=style))
    console.print(f"\nChanges of the last {len(newest)} runs:" if len(newest) > 1 else "\nChanges:")
    console.print(table)


def _cells(run: Run, at_work: Collection[str]) -> tuple[str, str, str, str]:
    """Return the beginning, the job, the number of changes and the end of a run."""
    began = datetime.fromtimestamp(run.begun_ms / 1000).astimezone()
    changes = f"{run.changes:,}" if run.has_begun else ""
    job = one_line(run.begun.job)[:_JOB_CELLS]
    sign, _ = _end(run)
    return f"{began:%m-%d %H:%M}", job, changes, f"{sign} {in_short(run, at_work)}"


def _end(run: Run) -> tuple[str, str]:
    if run.ended is None or (not run.ended.final and run.has_begun):
        return _TO_RESUME
    return _ENDS.get(Exit(run.ended.exit), _FAILED)
