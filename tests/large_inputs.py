"""Small inputs processed as large ones: in slices of a few rows."""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest

from bulk_sync import memory
from bulk_sync.cli.screen import Screen
from bulk_sync.engines.whole_list import SavedPages
from bulk_sync.ledger import Ledger
from bulk_sync.rows import duckdb_session, on_disk
from bulk_sync.rows.duckdb_session import Progress, Tables
from bulk_sync.rows.on_disk import Store
from bulk_sync.runs.kept import plan_file
from bulk_sync.runs.kept.checkpoint import Checkpoint
from bulk_sync.runs.stages import validation

SLICE_BYTES: Final = 2_500

_DATABASE_BYTES: Final = 16_000_000
_BALLAST: Final = "CREATE TEMP TABLE ballast AS SELECT range FROM range(3_000_000)"
"""More than fits into the memory of the database."""

MOMENTS: Final[dict[str, tuple[Any, str, str, int]]] = {
    "judging": (Store, "keep", "", 3),
    "sorting": (duckdb_session, "_execute", "TABLE repeated", 1),
    "keeping the rows": (Checkpoint, "keep_part", "input-", 2),
    "scanning": (SavedPages, "take", "", 4),
    "joining": (duckdb_session, "_execute", "TABLE matched", 1),
    "keeping the rest": (Checkpoint, "keep_part", "rest-", 2),
    "divided": (Checkpoint, "drop", "listed-", 1),
    "states": (Checkpoint, "keep_states", "", 1),
    "writing": (Ledger, "settle", "", 1),
    "writing the report": (Screen, "show_progress", ".results.", 2),
    "writing the plan": (plan_file, "write", "", 1),
}
"""Moments of a command: the n-th call of a function with a text among its arguments."""

MOMENTS_OF_RUN: Final = tuple(MOMENTS)[:-1]


@contextmanager
def in_slices(size: int = SLICE_BYTES) -> Iterator[None]:
    """Read inputs larger than a number of bytes in slices of about that size."""
    share = memory.default_bytes() // size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_ENOUGH_BYTES", memory.default_bytes())  # as on a small machine
        patch.setattr(validation, "_WHOLE", share)
        patch.setattr(validation, "_SLICES", share)
        yield


@contextmanager
def in_groups(rows: int = 100) -> Iterator[None]:
    """Read plans larger than a number of rows in groups."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(memory, "_ENOUGH_BYTES", memory.default_bytes())
        patch.setattr(memory, "_ROW_BYTES", memory.default_bytes() // rows)
        yield


@contextmanager
def at_moment(name: str, act: Callable[[], object]) -> Iterator[None]:
    """Call a function once, at a moment."""
    place, function, text, count = MOMENTS[name]
    calls, inner = [0], getattr(place, function)

    def counted(*given: Any, **named: Any) -> Any:
        calls[0] += not text or any(isinstance(each, str) and text in each for each in given)
        if calls[0] == count:
            calls[0] += 1
            act()
        return inner(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, function, counted)
        yield


@contextmanager
def spilling() -> Iterator[None]:
    """Give DuckDB so little memory that it spills to disk each time."""

    def with_little(
        tables: Tables,
        aside: Path,
        _: int,
        progress: Progress,
        query: str,
        statements: Sequence[str] = (),
    ) -> Iterator[pa.RecordBatch]:
        given = (query, [_BALLAST, *statements])
        return duckdb_session.rows_of(tables, aside, _DATABASE_BYTES, progress, *given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(on_disk, "rows_of", with_little)
        yield


@contextmanager
def killed_at(moment: str) -> Iterator[None]:
    """Process inputs and plans as large ones, and end this process at a moment."""
    with in_slices(), in_groups(), spilling(), at_moment(moment, kill):
        yield


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
