"""Where the checkpoint of a run is: in the state folder, and with ``--state-url`` in a bucket too.

A process that works on a run takes it over there first. What the bucket has counts then, not what
an earlier process left here: it was uploaded before anything was built on it.
"""

import pandas as pd

from bulk_sync.errors import StopRun
from bulk_sync.remote.mirror import Mirror
from bulk_sync.runs.checkpoint import ROWS, Checkpoint, checkpoint_folder
from bulk_sync.settings import State


def create(state: State, run_id: str, rows: pd.DataFrame) -> Checkpoint:
    """Write the judged rows of a new run.

    Raises:
        UsageProblem: they cannot be written.
        DiskFull: there is no room.
        StoppedEarly: they cannot be uploaded.
    """
    mirror = _mirror(state, run_id)
    checkpoint = Checkpoint.create(state.folder, run_id, rows)
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
    for path in sorted(checkpoint.files(), key=lambda path: path.name == ROWS):
        if path.parent == checkpoint.folder and path.suffix in {".parquet", ".json"}:
            mirror.keep(path)


def _mirror(state: State, run_id: str) -> Mirror | None:
    return None if state.url is None else Mirror(state.url, run_id)
