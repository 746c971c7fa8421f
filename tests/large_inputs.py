"""Small inputs that are worked on as large ones: in slices of a few rows.

python tests/large_inputs.py MOMENT COMMAND ...    runs the program so, until a moment of it;
                                                   there it is ended by SIGKILL
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest

from bulk_sync import memory
from bulk_sync.engines.whole_list import SavedPages
from bulk_sync.rows import reduction
from bulk_sync.rows.duckdb_session import Session
from bulk_sync.rows.on_disk import Store
from bulk_sync.runs import finish, validation
from bulk_sync.runs.checkpoint import Checkpoint

SLICE_BYTES: Final = 2_500

MOMENTS: Final[dict[str, tuple[Any, str, int]]] = {
    "judging": (Store, "keep", 5),
    "sorting": (Session, "_wait_for", 4),
    "keeping the rows": (Checkpoint, "keep_part", 5),
    "scanning": (SavedPages, "take", 4),
    "joining": (Store, "found", 1),
    "keeping the rest": (reduction, "work", 1),
    "states": (Checkpoint, "keep_states", 1),
    "writing the report": (finish, "write_reports", 1),
}
"""Functions, by what a command does when it calls them so many times."""


@contextmanager
def in_slices(size: int = SLICE_BYTES) -> Iterator[None]:
    """Read inputs of more than so many bytes of text in slices of about that size."""
    share = memory.default_bytes() // size
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(validation, "_WHOLE", share)
        patch.setattr(validation, "_SLICES", share)
        yield


@contextmanager
def at_moment(name: str, act: Callable[[], object]) -> Iterator[None]:
    """Act once, when a moment comes."""
    place, function, count = MOMENTS[name]
    calls, inner = [0], getattr(place, function)

    def counted(*given: Any, **named: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            act()
        return inner(*given, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(place, function, counted)
        yield


def main() -> None:
    from bulk_sync.cli import program  # noqa: PLC0415

    moment = sys.argv.pop(1)
    with in_slices(), at_moment(moment, lambda: os.kill(os.getpid(), signal.SIGKILL)):
        program()


if __name__ == "__main__":
    main()
