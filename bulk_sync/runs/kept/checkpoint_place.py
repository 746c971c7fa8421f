"""Where the checkpoint of a run is: in the state folder, and with ``--state-url`` in a bucket too.

A process that works on a run takes it over there first. What the bucket has counts then, not what
an earlier process left here: it was uploaded before anything was built on it.
"""

import re
from collections.abc import Iterable
from pathlib import Path

from bulk_sync.errors import StopRun
from bulk_sync.remote.mirror import Mirror
from bulk_sync.rows.slices import Slices
from bulk_sync.runs.kept import large_input
from bulk_sync.runs.kept.checkpoint import ROWS, WHOLE, Checkpoint, checkpoint_folder
from bulk_sync.settings import RUN_ID_PATTERN, State
from bulk_sync.storage import reading


def create(state: State, run_id: str, rows: Slices) -> Checkpoint:
    """Write the judged rows of a new run, those of a large input in parts.

    Raises:
        UsageProblem: they cannot be written.
        DiskFull: there is no room.
        StoppedEarly: they cannot be uploaded.
    """
    mirror = _mirror(state, run_id)
    if rows.only is None:
        checkpoint = large_input.create(state.folder, run_id, rows)
    else:
        checkpoint = Checkpoint.create(state.folder, run_id, rows.only)
    if mirror is not None:
        try:
            _upload(checkpoint, mirror)
        except StopRun:
            checkpoint.remove()
            raise
    return checkpoint


def find(state: State, run_id: str) -> Checkpoint | None:
    """Return a checkpoint to be read; None if there is no complete one.

    Another process may be at work on the run: what is here is left as it is.
    """
    checkpoint = Checkpoint.find(state.folder, run_id)
    return checkpoint or _fetched(state, run_id, _mirror(state, run_id))


def find_newest(state: State, run_id: str) -> Checkpoint | None:
    """Return a checkpoint as the bucket has it; None if there is no complete one.

    No other process may be at work on the run.
    """
    return _fetched(state, run_id, _mirror(state, run_id))


def take_over(state: State, run_id: str) -> Checkpoint | None:
    """Return a checkpoint to go on with; None if there is no complete one."""
    mirror = _mirror(state, run_id)
    is_there = mirror is not None and mirror.take_over()
    checkpoint = _fetched(state, run_id, mirror)
    if checkpoint is not None and mirror is not None and not is_there:
        _upload(checkpoint, mirror)  # it began without --state-url
    return checkpoint


def exists(state: State, run_id: str) -> bool:
    """Return whether there is a checkpoint to go on with."""
    if Checkpoint.find(state.folder, run_id) is not None:
        return True
    mirror = _mirror(state, run_id)
    return mirror is not None and mirror.exists()


def all_checkpoints(state_dir: Path) -> Iterable[Checkpoint]:
    """Return every checkpoint, also an incomplete one, the oldest first; or raise Unreadable."""
    found = reading.listed(state_dir / "runs")
    is_one = re.compile(RUN_ID_PATTERN).fullmatch
    return [
        Checkpoint(each)
        for each in found
        if is_one(each.name) and each.is_dir() and not each.is_symlink()
    ]


def _fetched(state: State, run_id: str, mirror: Mirror | None) -> Checkpoint | None:
    """Return a checkpoint as the bucket has it, or else as it is here."""
    if mirror is not None:
        mirror.fetch(checkpoint_folder(state.folder, run_id))
    checkpoint = Checkpoint.find(state.folder, run_id)
    if checkpoint is not None:
        checkpoint.mirror = mirror
    return checkpoint


def _upload(checkpoint: Checkpoint, mirror: Mirror) -> None:
    """Upload all files to a new mirror, the rows last: without them it is no checkpoint."""
    checkpoint.mirror = mirror
    for path in sorted(checkpoint.files(), key=lambda path: path.name in {ROWS, WHOLE}):
        if path.suffix in {".parquet", ".json"}:  # no locks, nothing half written
            mirror.keep(path)


def _mirror(state: State, run_id: str) -> Mirror | None:
    return None if state.url is None else Mirror(state.url, run_id)
